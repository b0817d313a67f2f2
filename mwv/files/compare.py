"""Two files in, what sets them apart out: as JSON, a model card, text or bytes, whichever tells most."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from mwv.checkpoint.open import no_collection
from mwv.checkpoint.source import Content, Source, why
from mwv.errors import UNUSABLE, FormatError
from mwv.files.lines import TextDiff, compare_texts
from mwv.files.pairing import Pair
from mwv.files.parse import front_matter, parse_json, parse_lines
from mwv.files.runs import ByteDiff, compare_bytes
from mwv.files.structure import JsonDiff, compare_values

Status = Literal["equal", "changed", "only_a", "only_b", "unread"]

MOST_TEXT: Final = 64 << 20
"""Bytes of a file that is understood; a longer one is compared by bytes."""
MOST_READ: Final = 1 << 30
"""Bytes of a file that is read."""
_READ: Final = 8 << 20
_AS_JSON: Final[dict[str, Callable[[bytes], Any]]] = {".json": parse_json, ".jsonl": parse_lines, ".ndjson": parse_lines}


@dataclass(frozen=True)
class CardDiff:
    """Two model cards: what their front matter says, and the text after it."""

    front: JsonDiff
    text: TextDiff


@dataclass(frozen=True)
class FileDiff:
    """Two files of one path, or a file that only one side has."""

    path: str
    status: Status
    sizes: tuple[int | None, int | None]
    """Bytes; None on the side that has it not."""
    detail: JsonDiff | CardDiff | TextDiff | ByteDiff | None = None
    """Of changed files."""
    note: str = ""
    """What is to be said about how they were compared."""


def compare_pair(pair: Pair) -> FileDiff:
    """What sets a pair apart; a file that cannot be read is told as such."""
    sources: list[Source] = []
    try:
        sources += [place.open() for place in (pair.a, pair.b) if place is not None]
        if pair.a is None:
            return FileDiff(pair.path, "only_b", (None, sources[0].size))
        if pair.b is None:
            return FileDiff(pair.path, "only_a", (sources[0].size, None))
        with no_collection():
            return _compared(pair.path, *sources)
    except UNUSABLE as error:
        place = pair.a or pair.b
        assert place is not None
        sizes = [source.size for source in sources] if len(sources) == 2 else [None, None]
        return FileDiff(pair.path, "unread", (sizes[0], sizes[1]), note=why(error, place.folder.place(place.name)))
    finally:
        for source in sources:
            source.close()


def _compared(path: str, a: Source, b: Source) -> FileDiff:
    sizes = a.size, b.size
    if isinstance(a.identity, Content) and a.identity == b.identity:
        return FileDiff(path, "equal", sizes)
    if max(sizes) > MOST_READ:
        return FileDiff(path, "unread", sizes, note=f"longer than {MOST_READ >> 30} GiB, and not read")
    if max(sizes) > MOST_TEXT:
        if _equal(a, b):
            return FileDiff(path, "equal", sizes)
        return FileDiff(path, "changed", sizes, compare_bytes(a, b))
    before, after = a.read(0, a.size), b.read(0, b.size)
    if before == after:
        return FileDiff(path, "equal", sizes)
    detail, note = _understood(path, before, after)
    return FileDiff(path, "changed", sizes, detail or compare_bytes(a, b), note)


def _equal(a: Source, b: Source) -> bool:
    if a.size != b.size:
        return False
    steps = range(0, a.size, _READ)
    return all(a.read(at, n) == b.read(at, n) for at in steps for n in (min(_READ, a.size - at),))


def _understood(path: str, a: bytes, b: bytes) -> tuple[JsonDiff | CardDiff | TextDiff | None, str]:
    """The difference as far as the files are JSON or text, and a note; None for anything else."""
    name = PurePosixPath(path)
    note = ""
    parse = _AS_JSON.get(name.suffix.lower())
    if parse is not None:
        try:
            values = compare_values(parse(a), parse(b))
            return values, "" if values.changes else "Only spaces, the order of keys or the spelling of values differ."
        except FormatError as error:
            note = f"Not compared as JSON: {error}."
    try:
        texts = a.decode(), b.decode()
        if "\0" in texts[0] or "\0" in texts[1]:
            return None, note
        if name.name.lower() == "readme.md":
            return _cards(*texts)
        return compare_texts(*texts), note
    except (UnicodeDecodeError, FormatError):
        return None, note


def _cards(a: str, b: str) -> tuple[CardDiff | TextDiff, str]:
    (front_a, text_a), (front_b, text_b) = front_matter(a), front_matter(b)
    if not front_a and not front_b:
        return compare_texts(a, b), ""
    card = CardDiff(compare_values(front_a, front_b), compare_texts(text_a, text_b))
    same = not card.front.changes and not card.text.gaps
    return card, "Only the spelling of the front matter differs." if same else ""
