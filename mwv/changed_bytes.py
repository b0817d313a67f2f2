"""Pairs of files in, the scenes of how their bytes differ out: the changes, and both sides with holes for what they lack."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal, NamedTuple

from mwv.byte_scenes import Drawn, byte_files, draw, layout_digest, look, with_tiles
from mwv.checkpoint.source import Source
from mwv.checkpoint.stream import Found, let_open, open_or_note
from mwv.checkpoint.wording import printable
from mwv.files.beside import Absent, Side
from mwv.files.pairing import Pairing, Place
from mwv.files.record import files_record
from mwv.files.runs import compare_bytes, in_fewer
from mwv.files.stretches import KINDS, VERSION, Stretches
from mwv.memory import Memory
from mwv.progress import progress
from mwv.pyramid.byte_changes import CHANGES, BothContent
from mwv.pyramid.byte_palette import change_tables
from mwv.pyramid.bytes import BYTES
from mwv.pyramid.keys import key_of
from mwv.pyramid.picture import Look
from mwv.rendering import Means
from mwv.site.model import Beside, ByteFile, ByteScene, TileFiles

ABSENT: Final = Absent()
"""The side of a pair that is not there."""
_SHOWN: Final = ("changed", "only_a", "only_b")
_MOST: Final = 100_000
"""Stretches of a page; a browser gets them all."""
_FEWEST: Final = 16
"""Stretches of a file, however many files there are."""


class Pair(NamedTuple):
    """Two files, not both `ABSENT`."""

    name: str
    a: Source
    b: Source


@dataclass(frozen=True, eq=False)
class OtherFiles:
    """The files of two folders that hold no weights."""

    record: Mapping[str, Any] | None = None
    """What sets them apart; None unless two folders are compared."""
    pairs: Sequence[Pair] = ()
    """Those that differ."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """All that is read of them."""
        return tuple(source for pair in self.pairs for source in (pair.a, pair.b) if source is not ABSENT)


@dataclass(frozen=True, eq=False)
class Changes:
    """The scenes of a page, and what was drawn for them."""

    scenes: Sequence[ByteScene]
    tiles: TileFiles
    drawn: Drawn
    look: Look
    """Of the first scene."""


def other_files(pairing: Pairing, stack: ExitStack) -> OtherFiles:
    """Compare files, and open those that differ until `stack` ends."""
    record = files_record(pairing)
    shown = [two for two, file in zip(pairing.pairs, record["files"], strict=True) if file["status"] in _SHOWN]
    let_open(2 * len(shown), "these folders")
    pairs = []
    for two in shown:
        found = [ABSENT if place is None else _opened(two.path, place) or ABSENT for place in (two.a, two.b)]
        for source in found:
            stack.callback(source.close)
        if found != [ABSENT, ABSENT]:
            pairs.append(Pair(printable(two.path), found[0], found[1]))
    return OtherFiles(record, pairs)


def _opened(path: str, place: Place) -> Source | None:
    return open_or_note(Found(path, place.open, place.folder.place(place.name)), path, [])


def sides(title: str, pairs: Sequence[Pair], memory: Memory) -> tuple[Side, Side]:
    """Lay files side by side; those that are known to be equal are not read for that, and are one file from then on."""
    pairs = [pair._replace(b=pair.a) if _known_equal(pair) else pair for pair in pairs]
    most = max(_MOST // len(pairs), _FEWEST)
    how = "beside", VERSION, most
    with progress(f"{title}: aligning", len(pairs), "file", "MB") as advance:

        def laid(pair: Pair) -> Stretches:
            body = memory.stream((pair.a, pair.b), how)
            found = _laid(pair, most, body)
            advance(1, pair.a.size + pair.b.size)
            return found

        found = tuple(map(laid, pairs))
    memory.remember_streams(((pair.a, pair.b), how, laid.to_bytes()) for pair, laid in zip(pairs, found, strict=True))
    names = tuple(pair.name for pair in pairs)
    columns = tuple(pair.a for pair in pairs), tuple(pair.b for pair in pairs)
    return Side(columns[0], names, which=0, laid=found), Side(columns[1], names, which=1, laid=found)


def _known_equal(pair: Pair) -> bool:
    return pair.a.identity is not None and pair.a.identity == pair.b.identity


def _laid(pair: Pair, most: int, body: bytes | None) -> Stretches:
    """How a pair lies, from what is remembered of it if that is whole."""
    _, a, b = pair
    if a is ABSENT or b is ABSENT:
        return Stretches.alone(int(a is ABSENT), max(a.size, b.size))
    if a is b:
        return Stretches.equal(a.size)
    try:
        if body is not None:
            return Stretches.from_bytes(body)
    except ValueError:
        pass  # damaged: made anew
    found = Stretches.of(in_fewer(compare_bytes(a, b), a, b, most).runs)
    a.check_unchanged()
    b.check_unchanged()
    return found


def draw_changes(
    title: str, titles: tuple[str, str], both: tuple[Side, Side], means: Means, memory: Memory, of: str = ""
) -> Changes:
    """The scenes of changes and of both sides; raises LostError if the cache loses a result on the way.

    `of` begins the names of the scenes.
    """
    drawn = draw(title, both, lambda own: ((BothContent(*own), CHANGES), (own[0], BYTES), (own[1], BYTES)), means, memory)
    files = [byte_files(side, learnt) for side, learnt in zip(both, drawn.learnt, strict=True)]
    told: tuple[tuple[Literal["both", "a", "b"], str, Sequence[ByteFile]], ...] = (
        ("both", f"{of}Difference", _together(both, files)),
        ("a", f"{of}{titles[0]}", files[0]),
        ("b", f"{of}{titles[1]}", files[1]),
    )
    scenes = [
        ByteScene(
            CHANGES.name if side == "both" else BYTES.name,
            name,
            drawn.canvas,
            layout_digest("beside", both[0]),
            pyramid.levels,
            pyramid.tiles,
            tuple(own),
            beside=_beside(side, titles, both),
        )
        for (side, name, own), pyramid in zip(told, drawn.pyramids, strict=True)
    ]
    seen = look(change_tables()[0], both[0].length)
    return Changes(*with_tiles(scenes, means), drawn, seen)


def _together(both: tuple[Side, Side], files: Sequence[Sequence[ByteFile]]) -> list[ByteFile]:
    """The files of the scene of changes: bytes of both, each that stands at another counted once."""
    found = []
    for laid, a, b in zip(both[0].laid, *files, strict=True):
        counts = tuple(x + y for x, y in zip(a.counts, b.counts, strict=True))
        found.append(ByteFile(a.name, laid.length, laid.length, key_of("pair", a.digest, b.digest), counts))
    return found


def _beside(side: Literal["both", "a", "b"], titles: tuple[str, str], both: tuple[Side, Side]) -> Beside:
    a, b = both
    sizes = tuple(
        (None if x is ABSENT else x.size, None if y is ABSENT else y.size) for x, y in zip(a.sources, b.sources, strict=True)
    )
    equal, changed, only_a, only_b = ([laid.bytes_of(kind) for laid in a.laid] for kind in range(KINDS))
    stretches = tuple(tuple(chain.from_iterable(zip(one.kinds.tolist(), one.lengths.tolist(), strict=True))) for one in a.laid)
    return Beside(side, titles, sizes, tuple(zip(equal, changed, only_a, only_b, strict=True)), stretches)
