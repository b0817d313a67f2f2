"""Two Sources of any bytes in, which runs of bytes they have in common out; what is inserted smears nothing after it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, NamedTuple

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mwv.checkpoint.source import Source
from mwv.files.align import Block, Gap, align, gaps
from mwv.xet.chunks import chunks_of, cuts
from mwv.xet.gear import GEAR

RunKind = Literal["equal", "replaced", "inserted", "removed"]

_FINE: Final = (64, 1024, 0x3F << 58)
"""Of small chunks the least and the most bytes, and the bits that end one after 64 more on average."""
_REFINED: Final = 32 << 20
"""Bytes of a gap, and of all gaps, that are cut into small chunks."""
_SAME: Final = 0.5
"""Of two gaps of one length, differing bytes that may be values changed in place rather than other content."""
_READ: Final = 8 << 20
"""Bytes that are read at a time."""
_SPREAD: Final = 2_654_435_769
"""2**32 over the golden ratio: multiples of it are spread evenly (Knuth)."""
_CLOSE: Final = 16_000_000
"""Cells of the table in which two short stretches are aligned byte by byte; 4,000 bytes each, some milliseconds."""
_CELLS: Final = 2_000_000_000
"""Cells of all such tables."""
_GRAM: Final = 8
"""Bytes in common within such stretches that are no chance."""
_GRAMS: Final = 4 << 20
"""Bytes of longer stretches, of both sides together, in which all such short pieces are looked for."""


class Run(NamedTuple):
    """Bytes that belong together: `a_length` bytes from `a` on became `b_length` bytes from `b` on."""

    kind: RunKind
    a: int
    a_length: int
    b: int
    b_length: int
    differing: int
    """Of a replaced run the bytes that are others when both are laid start to start, and those beyond the shorter."""


@dataclass(frozen=True)
class ByteDiff:
    """Runs in order, which cover both files."""

    runs: Sequence[Run]

    @property
    def equal(self) -> int:
        """Bytes in common."""
        return sum(run.a_length for run in self.runs if run.kind == "equal")

    @property
    def differing(self) -> int:
        """Bytes replaced by others, inserted or removed."""
        return sum(run.differing for run in self.runs)


def compare_bytes(a: Source, b: Source) -> ByteDiff:
    """Align two files by chunks that their content cuts; what lies between, by smaller ones, and at last byte by byte.

    Memory: 50 bytes a chunk of 64 KiB, and what is cut into smaller ones, 64 MiB at most.
    """
    runs: list[Run] = []
    left, room = _REFINED, _Room(_CELLS, _GRAMS)
    cut_a, cut_b = chunks_of(a), chunks_of(b)
    ends_a, ends_b = (np.concatenate(([0], np.cumsum(cut.lengths, dtype=np.int64))) for cut in (cut_a, cut_b))
    for gap in _gaps(_numbered([bytes(h) for h in cut_a.hashes], [bytes(h) for h in cut_b.hashes]), ends_a, ends_b):
        size = max(gap.a_end - gap.a, gap.b_end - gap.b)
        if size <= left:
            left -= size
            old, new = (np.frombuffer(s.read(i, n - i), np.uint8) for s, i, n in ((a, gap.a, gap.a_end), (b, gap.b, gap.b_end)))
            runs += (run._replace(a=run.a + gap.a, b=run.b + gap.b) for run in _refined(old, new, room))
        else:
            runs += _laid(gap, partial(_differing, a, b))
    return ByteDiff(tuple(_covering(runs, a.size, b.size)))


def in_fewer(diff: ByteDiff, a: Source, b: Source, most: int) -> ByteDiff:
    """The same in at most `most` runs, or a few: the shorter equal ones become part of what lies around them.

    What lies between two that are kept is laid start to start or end to end, so all after it stands where it stood.
    """
    if len(diff.runs) <= most:
        return diff
    equal = [run for run in diff.runs if run.kind == "equal"]
    # The longest; of those that are equally long some here and some there, so that no long part is without.
    order = sorted(range(len(equal)), key=lambda at: (-equal[at].a_length, at * _SPREAD % 2**32))
    # With each come at most two runs of what lies before it.
    kept = [equal[at] for at in sorted(order[: max(most // 4, 1)])]
    blocks = [Block(run.a, run.b, run.a_length) for run in kept]
    between = gaps(blocks, Gap(0, a.size, 0, b.size))
    return ByteDiff(tuple(_covering([run for gap in between for run in _laid(gap, partial(_differing, a, b))], a.size, b.size)))


def _numbered(a: Sequence[bytes], b: Sequence[bytes]) -> tuple[list[int], list[int]]:
    """Pieces as numbers that are equal where these are."""
    numbers: dict[bytes, int] = {}
    of_a, of_b = ([numbers.setdefault(piece, len(numbers)) for piece in pieces] for pieces in (a, b))
    return of_a, of_b


def _gaps(numbers: tuple[list[int], list[int]], ends_a: NDArray[np.int64], ends_b: NDArray[np.int64]) -> Iterator[Gap]:
    """Offsets of bytes between equal pieces."""
    of_a, of_b = numbers
    for i, i_end, j, j_end in gaps(align(of_a, of_b), Gap(0, len(of_a), 0, len(of_b))):
        yield Gap(int(ends_a[i]), int(ends_a[i_end]), int(ends_b[j]), int(ends_b[j_end]))


@dataclass(eq=False)
class _Room:
    """Cells of tables, and bytes of long stretches, that may still be looked at."""

    cells: int
    grams: int


def _refined(a: NDArray[np.uint8], b: NDArray[np.uint8], room: _Room) -> Iterator[Run]:
    """What differs between bytes whose chunks do."""
    n = min(a.size, b.size)
    if a.size == b.size and np.count_nonzero(a != b) < _SAME * n:
        yield from _trimmed(a, b, Gap(0, n, 0, n))
        return
    (pieces_a, ends_a), (pieces_b, ends_b) = _pieces(a), _pieces(b)
    for gap in _gaps(_numbered(pieces_a, pieces_b), ends_a, ends_b):
        for part in gaps(list(_close(a, b, gap, room)), gap):
            yield from _trimmed(a, b, part)


def _close(a: NDArray[np.uint8], b: NDArray[np.uint8], gap: Gap, room: _Room) -> Iterator[Block]:
    """What of a gap is equal for `_GRAM` bytes at least; nothing where that would take too long to find."""
    i, i_end, j, j_end = gap
    n, m = i_end - i, j_end - j
    if n * m <= min(_CLOSE, room.cells):
        room.cells -= n * m
        found = align(a[i:i_end].tolist(), b[j:j_end].tolist())
        yield from (Block(i + x, j + y, length) for x, y, length in found if length >= _GRAM)
    elif n + m <= room.grams and min(n, m) >= _GRAM:
        room.grams -= n + m
        x_end, y_end = i, j  # neighbouring blocks share bytes
        for x, y, length in align(*_grams(a[i:i_end], b[j:j_end])):
            over = max(x_end - (i + x), y_end - (j + y), 0)
            if length + _GRAM - 1 > over:
                yield Block(i + x + over, j + y + over, length + _GRAM - 1 - over)
                x_end, y_end = i + x + length + _GRAM - 1, j + y + length + _GRAM - 1


def _grams(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> tuple[list[int], list[int]]:
    """The bytes from each place on, `_GRAM` of them, as numbers that are equal where these are."""
    words = [np.lib.stride_tricks.sliding_window_view(data, _GRAM).copy().view(np.uint64).ravel() for data in (a, b)]
    _, numbers = np.unique(np.concatenate(words), return_inverse=True)
    return numbers[: words[0].size].tolist(), numbers[words[0].size :].tolist()


def _pieces(data: NDArray[np.uint8]) -> tuple[list[bytes], NDArray[np.int64]]:
    """Digests of small chunks, and where these end, after a 0: (chunks + 1,)."""
    smallest, largest, mask = _FINE
    ends = np.zeros(data.size // smallest + 2, np.int64)
    ends = ends[: 1 + cuts(data, GEAR, smallest, largest, mask, True, ends[1:])]
    return [blake3(data[i:j].tobytes()).digest() for i, j in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)], ends


def _trimmed(a: NDArray[np.uint8], b: NDArray[np.uint8], gap: Gap) -> Iterator[Run]:
    """A gap without the bytes that are equal at its ends."""
    i, i_end, j, j_end = gap
    n = min(i_end - i, j_end - j)
    other = np.flatnonzero(a[i : i + n] != b[j : j + n])
    head = int(other[0]) if other.size else n
    rest = n - head
    other = np.flatnonzero(a[i_end - rest : i_end][::-1] != b[j_end - rest : j_end][::-1])
    tail = int(other[0]) if other.size else rest
    gap = Gap(i + head, i_end - tail, j + head, j_end - tail)
    yield from _laid(gap, lambda i, j, n: int(np.count_nonzero(a[i : i + n] != b[j : j + n])))


def _differing(a: Source, b: Source, i: int, j: int, n: int) -> int:
    """Of `n` bytes from `i` and from `j` on how many are others."""
    count = 0
    for at in range(0, n, _READ):
        length = min(_READ, n - at)
        old, new = (np.frombuffer(s.read(start + at, length), np.uint8) for s, start in ((a, i), (b, j)))
        count += int(np.count_nonzero(old != new))
    return count


def _laid(gap: Gap, differing: Callable[[int, int, int], int]) -> Iterator[Run]:
    """A gap as one run, start to start; or, if more is equal then, as one that only a side has and one laid end to end."""
    i, i_end, j, j_end = gap
    n = min(i_end - i, j_end - j)
    from_start = differing(i, j, n)
    if i_end - i != j_end - j and n and (from_end := differing(i_end - n, j_end - n, n)) < from_start:
        yield _run(Gap(i, i_end - n, j, j_end - n), 0)
        yield _run(Gap(i_end - n, i_end, j_end - n, j_end), from_end)
    else:
        yield _run(gap, from_start)


def _run(gap: Gap, differing: int) -> Run:
    n, m = gap.a_end - gap.a, gap.b_end - gap.b
    kind: RunKind = "replaced" if n and m else "removed" if n else "inserted"
    return Run(kind, gap.a, n, gap.b, m, differing + abs(n - m))


def _covering(runs: Sequence[Run], size_a: int, size_b: int) -> Iterator[Run]:
    """Runs that differ, and the equal ones between them."""
    i = j = 0
    for run in (*runs, Run("replaced", size_a, 0, size_b, 0, 0)):
        if run.a > i:
            yield Run("equal", i, run.a - i, j, run.b - j, 0)
        if run.a_length or run.b_length:
            yield run
        i, j = run.a + run.a_length, run.b + run.b_length
