"""A file of a sharded set in, all files of the set out: by the index beside it, or by its name.

`model-00001-of-00003.safetensors`, any of its siblings, and `model.safetensors.index.json` name the same set. Shards
that are not there are noted; what is there is shown.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from mwv.checkpoint.checks import parse_json
from mwv.checkpoint.folder import Folder
from mwv.checkpoint.source import why
from mwv.checkpoint.wording import printable
from mwv.errors import FormatError, SourceError

MAX_INDEX: Final = 100_000_000
MAX_SHARDS: Final = 10_000
MAX_INDICES: Final = 20
"""In a folder, the first by name: a model has one, and perhaps one for each of its variants."""
INDEX_SUFFIX: Final = ".index.json"
_SHARD_NAME: Final = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<rest>\..+)?", re.DOTALL)
_MOST_MISSING_NAMED: Final = 10


@dataclass(frozen=True)
class Selection:
    """The files of one model, in order, and what is to be told about others."""

    files: tuple[str, ...]
    """Their names in their folder."""
    index_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unknown: bool = False
    """Whether files are missing of which no index tells what they hold."""


@dataclass(frozen=True)
class ShardName:
    """The name of one file of a sharded set: `stem-number-of-count.rest`."""

    stem: str
    number: int
    count: int
    rest: str

    def sibling(self, number: int) -> str:
        """Name of another file of the set."""
        return f"{self.stem}-{number:05d}-of-{self.count:05d}{self.rest}"


def shard_name(name: str) -> ShardName | None:
    """The parts of a shard's name, or None for other names."""
    if not (match := _SHARD_NAME.fullmatch(name)):
        return None
    parts = ShardName(match["stem"], int(match["number"]), int(match["count"]), match["rest"] or "")
    return parts if 1 <= parts.number <= parts.count else None


def read_index(folder: Folder, name: str) -> dict[str, str]:
    """Tensor name → file name of a shard index; FormatError for what is no index or leads out of the folder."""
    source = folder.open(name)
    try:
        place = source.place
        if source.size > MAX_INDEX:
            raise FormatError(f"{place}: an index of {source.size} bytes is impossible; fetch it again")
        index = parse_json(place, "the index", source.read(0, source.size))
    finally:
        source.close()
    names = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(names, dict) or not all(isinstance(file, str) for file in names.values()):
        raise FormatError(f"{place}: is no shard index, for it has no weight_map from tensor names to files; name a checkpoint")
    files = set(names.values())
    if len(files) > MAX_SHARDS:
        raise FormatError(f"{place}: names {len(files)} shards, at most {MAX_SHARDS} are possible; the file is damaged")
    for file in files:
        if file in ("", ".", "..") or "/" in file or "\\" in file or "\0" in file:
            raise FormatError(
                f"{place}: names the shard '{printable(file, 200)}', which is no file beside it; the file is damaged"
            )
    return names


def select_index(folder: Folder, name: str) -> Selection:
    """The files that an index names; SourceError if none of them is there."""
    names = read_index(folder, name)
    files = sorted(set(names.values()))
    present = [file for file in files if folder.has(file)]
    if not present:
        raise SourceError(f"{folder.place(name)}: none of the {len(files)} shards that it names is beside it; fetch them")
    notes = _missing(set(files) - set(present))
    return Selection(tuple(present), tuple(sorted(names)), notes)


def select_file(folder: Folder, name: str) -> Selection:
    """The set that a file belongs to, by an index beside it or by its name; else the file alone."""
    if not folder.has(name):
        return Selection((name,))
    if name.lower().endswith(".json"):
        return select_index(folder, name)
    notes: list[str] = []
    for index in folder.ending(INDEX_SUFFIX)[:MAX_INDICES]:
        try:
            if name in read_index(folder, index).values():
                return select_index(folder, index)
        except (FormatError, SourceError) as error:
            notes.append(f"{printable(index, 200)}: ignored: {why(error, folder.place(index))}")
    parts = shard_name(name)
    if parts:
        selection = select_set(folder, parts)
        return replace(selection, notes=(*notes, *selection.notes))
    return Selection((name,), (), tuple(notes))


def select_set(folder: Folder, parts: ShardName) -> Selection:
    """The files of a set that has no index."""
    if parts.count > MAX_SHARDS:
        raise FormatError(f"{folder.place(parts.sibling(parts.number))}: at most {MAX_SHARDS} shards are possible")
    names = [parts.sibling(number) for number in range(1, parts.count + 1)]
    present = tuple(name for name in names if folder.has(name))
    missing = set(names) - set(present)
    return Selection(present, (), _missing(missing), bool(missing))


def _missing(names: Iterable[str]) -> tuple[str, ...]:
    names = sorted(names)
    lines = [f"{printable(name, 200)}: missing, a shard of this model" for name in names[:_MOST_MISSING_NAMED]]
    if more := len(names) - len(lines):
        lines.append(f"{more} more shards are missing")
    return tuple(lines)
