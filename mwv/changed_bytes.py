"""Pairs of files in, the scenes of how their bytes differ out: the changes, and both sides with holes for what they lack."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from mwv.byte_scenes import Drawn, byte_files, draw, layout_digest, look, with_tiles
from mwv.checkpoint.source import Source
from mwv.checkpoint.stream import Found, let_open
from mwv.files.beside import ABSENT, OpenPair, Side, open_pair
from mwv.files.pairing import Pairing, Place
from mwv.files.record import files_record
from mwv.files.runs import compare_bytes, in_fewer
from mwv.files.stretches import EQUAL, ONLY_A, ONLY_B, REPLACED, VERSION, Stretches
from mwv.memory import Memory
from mwv.progress import progress
from mwv.pyramid.byte_changes import CHANGES, BothContent
from mwv.pyramid.byte_palette import change_tables
from mwv.pyramid.bytes import BYTES
from mwv.pyramid.keys import key_of
from mwv.pyramid.picture import Look
from mwv.rendering import Means
from mwv.site.model import Beside, ByteFile, ByteScene, TileFiles

_SHOWN: Final = ("changed", "only_a", "only_b")
"""What the record says of files whose bytes are worth a look."""
_MOST: Final = 100_000
"""Stretches of a page, about; a browser gets them all."""
_FEWEST: Final = 16
"""Stretches of a file, however many files there are."""


@dataclass(frozen=True, eq=False)
class OtherFiles:
    """The files of two folders that hold no weights."""

    record: Mapping[str, Any] | None = None
    """What sets them apart; None unless two folders are compared."""
    pairs: Sequence[OpenPair] = ()
    """Those that differ."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """All that is read of them."""
        return tuple(source for pair in self.pairs for source in pair.present)


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
        pair = open_pair(two.path, _found(two.path, two.a), _found(two.path, two.b), (two.path, two.path), [])
        if pair is not None:
            pairs.append(pair)
            for source in pair.present:
                stack.callback(source.close)
    return OtherFiles(record, pairs)


def _found(path: str, place: Place | None) -> Found | None:
    return None if place is None else Found(path, place.open, place.folder.place(place.name))


def sides(title: str, pairs: Sequence[OpenPair], memory: Memory) -> tuple[Side, Side]:
    """Lay files side by side; those that are known to be equal are not read for that, and are one file from then on."""
    pairs = [pair._replace(b=pair.a) if pair.known_equal else pair for pair in pairs]
    left = _MOST
    found: list[Stretches] = []
    learnt = []
    with progress(f"{title}: aligning", len(pairs), "file", "MB") as advance:
        for pair in pairs:
            one = _unread(pair)
            if one is None:
                # Nearly all files have few. In powers of two, so that a change of one does not lay the next ones anew.
                most = max(1 << (left // 2).bit_length() >> 1, _FEWEST)
                how = "beside", VERSION, most
                one = _recalled(memory.stream((pair.a, pair.b), how))
                if one is None:
                    one = _aligned(pair, most)
                    learnt.append(((pair.a, pair.b), how, one.to_bytes()))
            found.append(one)
            left -= one.kinds.size
            advance(1, pair.a.size + pair.b.size)
    memory.remember_streams(learnt)
    names, of_a, of_b = zip(*pairs, strict=True)
    return Side(of_a, names, which=0, laid=tuple(found)), Side(of_b, names, which=1, laid=tuple(found))


def _unread(pair: OpenPair) -> Stretches | None:
    """How a pair lies of which one side is absent, or both are one file; None for others."""
    _, a, b = pair
    if a is ABSENT or b is ABSENT:
        return Stretches.alone(int(a is ABSENT), max(a.size, b.size))
    return Stretches.equal(a.size) if a is b else None


def _recalled(body: bytes | None) -> Stretches | None:
    """What is remembered of a pair, if that is whole."""
    try:
        return None if body is None else Stretches.from_bytes(body)
    except ValueError:
        return None


def _aligned(pair: OpenPair, most: int) -> Stretches:
    """How a pair lies by its bytes, in at most `most` stretches or a few more."""
    _, a, b = pair
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
    sizes = tuple((_size(x), _size(y)) for x, y in zip(a.sources, b.sources, strict=True))
    changes = tuple((one.bytes_of(EQUAL), one.bytes_of(REPLACED), one.bytes_of(ONLY_A), one.bytes_of(ONLY_B)) for one in a.laid)
    stretches = tuple(tuple(np.stack([one.kinds, one.lengths], axis=1).ravel().tolist()) for one in a.laid)
    return Beside(side, titles, sizes, changes, stretches)


def _size(source: Source) -> int | None:
    return None if source is ABSENT else source.size
