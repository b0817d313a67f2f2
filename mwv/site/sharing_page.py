"""What the models of a site have in common by chunks in, the page that tells it in numbers out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mwv.site.manifest import ModelEntry
from mwv.site.shared import Common
from mwv.site.templates import Templates

MATRIX: Final = 24
"""Models of the largest matrix; of more, only the list of pairs is shown."""
PAIRS: Final = 500
"""Pairs in that list, those that save most first."""


@dataclass(frozen=True)
class Row:
    """A model, alone and among the others; bytes."""

    slug: str
    title: str
    files: int
    """Of its files."""
    stored: int
    """Of its chunks, each counted once."""
    shared: int
    unique: int
    """Of its chunks that some other model has, or none."""


@dataclass(frozen=True)
class Pair:
    """Two models; bytes of chunks."""

    first: Row
    second: Row
    shared: int
    """In both: what storing them together saves."""

    @property
    def stored(self) -> int:
        """Of both together."""
        return self.first.stored + self.second.stored - self.shared


@dataclass(frozen=True)
class SharingPage:
    """The context of `sharing.html`."""

    title: str
    rows: Sequence[Row]
    matrix: Sequence[Sequence[int]]
    """Shared bytes of each pair, if there are few models."""
    pairs: Sequence[Pair]
    files: int
    stored: int
    """Bytes of all files, and of all chunks, each counted once."""


def sharing_page(
    templates: Templates, title: str, models: Mapping[str, ModelEntry], files: Mapping[str, tuple[int, int]], found: Common
) -> bytes:
    """`sharing.html`; `files` gives bytes of the files and of the distinct chunks of each model."""
    rows = []
    for slug, shared in zip(found.slugs, found.shared.tolist(), strict=True):
        nbytes, stored = files[slug]
        rows.append(Row(slug, models[slug].title, nbytes, stored, shared, stored - shared))
    pairs = [
        Pair(first, rows[j], int(found.between[i, j]))
        for i, first in enumerate(rows)
        for j in range(i + 1, len(rows))
        if found.between[i, j]
    ]
    page = SharingPage(
        title=title,
        rows=rows,
        matrix=found.between.tolist() if len(rows) <= MATRIX else [],
        pairs=sorted(pairs, key=lambda pair: -pair.shared)[:PAIRS],
        files=sum(row.files for row in rows),
        stored=found.stored,
    )
    return templates.render("sharing.html", "", vars(page))
