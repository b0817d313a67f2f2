"""What the models of a site have in common by chunks in, the page that tells it in numbers out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mwv.site.manifest import ModelEntry
from mwv.site.shared import common
from mwv.site.storing import content_of
from mwv.site.templates import Templates
from mwv.xet.stored import StoredFile

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
    guessed: int
    """Of its files, in chunks whose lengths are estimates."""


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
    unmet: bool
    """Whether files of this machine may have chunks among those of which only the places are known."""


def sharing_page(
    templates: Templates, title: str, models: Mapping[str, ModelEntry], stored: Mapping[str, Sequence[StoredFile]]
) -> bytes:
    """`sharing.html`; `stored` are the files of each model whose chunks are known, by slug."""
    contents = {slug: content_of(files) for slug, files in stored.items()}
    found = common(contents)
    rows = []
    for slug, shared in zip(found.slugs, found.shared.tolist(), strict=True):
        files, own = stored[slug], int(contents[slug].sizes.sum())
        size, guessed = sum(file.size for file in files), sum(file.guessed_bytes for file in files)
        rows.append(Row(slug, models[slug].title, size, own, shared, own - shared, guessed))
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
        unmet=any(row.guessed for row in rows) and any(not file.terms for files in stored.values() for file in files),
    )
    return templates.render("sharing.html", "", vars(page))
