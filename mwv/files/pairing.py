"""A folder in, the files in it and below that hold no weights out, by their paths; of two folders what pairs with what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mwv.checkpoint.folder import Folder
from mwv.checkpoint.formats import by_name
from mwv.checkpoint.shards import INDEX_SUFFIX
from mwv.checkpoint.source import Source, why
from mwv.errors import UNUSABLE

MOST_FILES: Final = 2_000
"""Of each folder, those nearest to its top."""
_DEEPEST: Final = 3
"""Folders in one another: parts of pipelines, and those of sentence-transformers, lie one below."""


@dataclass(frozen=True)
class Place:
    """A file in a folder."""

    folder: Folder
    name: str

    def open(self) -> Source:
        """Its bytes; SourceError if that fails."""
        return self.folder.open(self.name)


@dataclass(frozen=True)
class Pair:
    """Files of one path in two folders; one of them may be absent."""

    path: str
    a: Place | None
    b: Place | None


@dataclass(frozen=True)
class Pairing:
    """What is to be compared, by path."""

    pairs: Sequence[Pair]
    notes: Sequence[str]
    """What was left out, and why, in a line each."""


def pair(a: Folder, b: Folder) -> Pairing:
    """The files of two folders by equal paths; those of the top first, each level in order of name."""
    notes: list[str] = []
    of_a, of_b = _files(a, notes), _files(b, notes)
    paths = sorted(of_a.keys() | of_b.keys(), key=lambda path: (path.count("/"), path))
    return Pairing([Pair(path, of_a.get(path), of_b.get(path)) for path in paths], notes)


def _files(top: Folder, notes: list[str]) -> Mapping[str, Place]:
    found: dict[str, Place] = {}
    for path, place in _walk(top, notes):
        if len(found) == MOST_FILES:
            notes.append(f"{top.name}: only the first {MOST_FILES:,} files were compared")
            break
        found[path] = place
    return found


def _walk(top: Folder, notes: list[str]) -> Iterator[tuple[str, Place]]:
    level = [("", top)]
    for _ in range(_DEEPEST + 1):
        below = []
        for prefix, folder in level:
            try:
                listing = folder.listing()
            except UNUSABLE as error:
                notes.append(f"{prefix or top.name}: left out: {why(error, folder.place())}")
                continue
            yield from ((prefix + name, Place(folder, name)) for name in listing.files if not _holds_weights(name))
            # What begins with a dot is of tools: .git, .cache.
            below += [(f"{prefix}{name}/", folder.inside(name)) for name in listing.folders if not name.startswith(".")]
        level = below[:MOST_FILES]


def _holds_weights(name: str) -> bool:
    return by_name(name) is not None or name.endswith(INDEX_SUFFIX)
