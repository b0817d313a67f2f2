"""The kind of scene that shows classes: the class of each byte of a file in, codes of elements and of what prevails out.

An element shows the class of the byte in which it begins; `Lying` says which that is. An overview pixel shows the class that
most of the leaf's pixels under it have, of several the lowest code; what is missing counts only where there is nothing else.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, cast

import numpy as np
from blake3 import blake3
from isal import isal_zlib
from numpy.typing import NDArray

from mwv.decode.banded import grid_rows
from mwv.decode.tensor import BAND_ROWS
from mwv.layout.grid import Grid
from mwv.pyramid.code import MISSING, PADDING
from mwv.pyramid.kind import Kind, Summary, Target
from mwv.pyramid.plan import BLOCK_LEVEL, STRIP, TILE, Window, window_entry

UNKNOWN: Final = 250
"""Code of elements of whose bytes no class is known."""

Codes = NDArray[np.uint8]
Counts = NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class Runs:
    """The classes of a file's bytes: run i has the code `codes[i]` and goes on to byte `ends[i]`; no neighbours are equal."""

    ends: NDArray[np.int64]
    codes: Codes

    @classmethod
    def of(cls, lengths: NDArray[np.int64], codes: Codes) -> "Runs":
        """Runs of these lengths, one after the other; what lies behind them is unknown."""
        ends = np.append(np.cumsum(lengths), np.iinfo(np.int64).max)
        codes = np.append(codes, np.uint8(UNKNOWN)).astype(np.uint8)
        last = np.append(codes[1:] != codes[:-1], True)
        return cls(ends[last], codes[last])


@dataclass(frozen=True, eq=False)
class Lying:
    """Where the elements of a placement lie in a file: evenly from the first byte of its tensor to the last.

    That is where the elements of all plain and block-quantised types lie. The values of a packed weight lie in its main part in
    an order of their own, and are taken as if they lay evenly, too.
    """

    grid: Grid
    runs: Runs
    """Classes of the file's bytes."""
    offset: int
    """Where the tensor begins."""
    nbytes: int
    """From the first byte of the tensor to the last."""
    elements: int
    """Of the tensor."""
    first: int = 0
    """The element that the placement begins with."""
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] | None = None
    """Elements from one index to the next of each axis, where they do not lie in row-major order."""

    def codes(self, band: int) -> Codes | int:
        """Codes of the grid rows of a band; one code where all are equal, and no array."""
        per_band = BAND_ROWS * self.grid.row_elements
        start = self.first + band * per_band
        count = min(per_band, self.first + self.grid.elements - start)
        ends, codes = self._element_ends
        span = [start, start + count - 1] if self.strides is None else [0, ends[-1] - 1]
        first, last = np.searchsorted(ends, span, "right")
        if first == last:
            return int(codes[first])
        if self.strides is not None:
            found = self._strided(start, count)
        else:
            inside = np.clip(ends[first : last + 1] - start, 0, count)
            found = codes[first : last + 1].repeat(np.diff(inside, prepend=0))
        return grid_rows(found, self.grid.row_elements, self.grid.patch)

    @cached_property
    def _element_ends(self) -> tuple[NDArray[np.int64], Codes]:
        """The runs under the tensor, with ends counted in its elements."""
        ends, codes = self.runs.ends, self.runs.codes
        first, last = np.searchsorted(ends, [self.offset, self.offset + self.nbytes - 1], "right")
        bytes_in = [int(end) - self.offset for end in ends[first:last]]
        # Element e begins in byte floor(e·nbytes / elements); beyond 2^63 only Python multiplies.
        within = [-(-n * self.elements // self.nbytes) for n in bytes_in]
        return np.array([*within, self.elements], np.int64), codes[first : last + 1]

    def _strided(self, start: int, count: int) -> Codes:
        assert self.strides is not None
        places = np.zeros(count, np.int64)
        rest = np.arange(start, start + count)
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            places += rest % size * stride
            rest //= size
        reach = 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        at = self.offset + places * (self.nbytes // reach)
        return self.runs.codes[np.searchsorted(self.runs.ends, at, "right")]


@dataclass(frozen=True, eq=False)
class ClassContent:
    """What a scene of classes shows; no byte of a tensor is read for it."""

    lying: Sequence[Lying | None]
    """One for each placement; None for a missing tensor."""

    def content(self, window: Window) -> list[object]:
        """What the key of a leaf says of a window; windows of one class are told by their size alone."""
        lying = self._at(window.placement)
        high, wide = lying.grid.thick
        bands = [lying.codes(band) for band in range(*window.storage_bands(lying.grid))]
        if all(isinstance(codes, int) and codes == bands[0] for codes in bands):
            return ["class", bands[0], window.x, window.y, window.rows * high, window.cols * wide]
        digests = (codes.to_bytes(32) if isinstance(codes, int) else blake3(codes.tobytes()).digest() for codes in bands)
        return window_entry(window, lying.grid, b"".join(digests))

    def samples(self, index: int, band: int, col: int, cols: int) -> Codes | None:
        """Codes of all grid rows of a band; None for a placement without tensor."""
        if self.lying[index] is None:
            return None
        lying = self._at(index)
        codes = lying.codes(band)
        return np.full((lying.grid.band_rows, cols), codes, np.uint8) if isinstance(codes, int) else codes[:, col : col + cols]

    def expect(self, bands: Iterable[tuple[int, int]]) -> None:
        """Nothing: there is nothing to fetch."""

    def release(self, index: int, band: int) -> None:
        """Nothing is held."""

    def _at(self, index: int) -> Lying:
        lying = self.lying[index]
        assert lying is not None
        return lying


@dataclass(frozen=True, eq=False)
class Tallies:
    """How many of the leaf's pixels of each class lie under each pixel of a rectangle; by code, for those that occur."""

    height: int
    width: int
    planes: dict[int, Counts] = field(default_factory=dict)

    def put(self, code: int, counts: Counts, y: int, x: int) -> None:
        """Take the counts of a class in a part of the rectangle."""
        if code not in self.planes:
            self.planes[code] = np.zeros((self.height, self.width), np.uint32)
        self.planes[code][y : y + counts.shape[0], x : x + counts.shape[1]] = counts


@dataclass(frozen=True, eq=False)
class _Strip:
    codes: tuple[Codes, ...]
    """By level."""

    def clear(self) -> None:
        self.codes[0].fill(PADDING)

    def draw(self, samples: Codes, rows: slice, thick: tuple[int, int], target: Target) -> None:
        self.codes[0][target] = samples[rows].repeat(thick[0], 0).repeat(thick[1], 1) if thick != (1, 1) else samples[rows]

    def reduce(self) -> Tallies:
        leaf = self.codes[0]
        planes: dict[int, Counts] = {c: (leaf == c).astype(np.uint32) for c in _present(leaf)}
        for codes in self.codes[1:]:
            planes = {c: _halved(plane) for c, plane in planes.items()}
            _most_frequent(planes, codes)
        height, width = self.codes[-1].shape
        return Tallies(height, width, planes)


class _Classes:
    name = "classes"

    def strip(self, width: int) -> _Strip:
        return _Strip(tuple(np.zeros((STRIP >> level, width >> level), np.uint8) for level in range(BLOCK_LEVEL + 1)))

    def empty(self, height: int, width: int) -> Tallies:
        return Tallies(height, width)

    def put(self, part: Tallies, whole: Tallies, y: int, x: int) -> None:
        for c, counts in part.planes.items():
            whole.put(c, counts, y, x)

    def reduce(self, below: Tallies, whole: Tallies, y: int, x: int) -> None:
        for c, counts in below.planes.items():
            whole.put(c, _halved(counts), y, x)

    def codes(self, sums: Tallies, out: Codes) -> None:
        _most_frequent(sums.planes, out)

    def pack(self, summary: Summary[Tallies]) -> bytes:
        """Magic, number of levels, number of classes and their codes; then deflated the counts of each, uint32 little-endian,
        and how often each code occurs, int64 (levels × 256).
        """
        planes = sorted(summary.sums.planes.items())
        head = _HEADER.pack(_MAGIC, len(summary.counts), len(planes)) + bytes(c for c, _ in planes)
        body = b"".join(plane.astype("<u4").tobytes() for _, plane in planes) + summary.counts.astype("<i8").tobytes()
        return head + isal_zlib.compress(body, 1)

    def unpack(self, body: bytes) -> Summary[Tallies] | None:
        if len(body) < _HEADER.size:
            return None
        magic, levels, classes = _HEADER.unpack_from(body)
        head, size = _HEADER.size + classes, 4 * TILE * TILE
        wanted = classes * size + levels * 2048
        if magic != _MAGIC or levels > _MOST_LEVELS or len(body) < head:
            return None
        try:
            rest = isal_zlib.decompressobj().decompress(body[head:], wanted + 1)
        except _DAMAGE:
            return None
        if len(rest) != wanted:
            return None
        planes = {
            c: np.frombuffer(rest, "<u4", TILE * TILE, i * size).reshape(TILE, TILE)
            for i, c in enumerate(body[_HEADER.size : head])
        }
        counts = np.frombuffer(rest, "<i8", levels * 256, classes * size).reshape(levels, 256)
        return Summary(Tallies(TILE, TILE, planes), counts)


CLASSES: Final[Kind[Codes, Tallies]] = _Classes()

_HEADER: Final = struct.Struct("<4sIB")
_MAGIC: Final = b"mwvC"
_MOST_LEVELS: Final = 64
_DAMAGE: Final = cast("type[Exception]", isal_zlib.error)


def _present(codes: Codes) -> list[int]:
    """The codes that occur, but for padding."""
    return [c for c in np.flatnonzero(np.bincount(codes.ravel(), minlength=256)).tolist() if c != PADDING]


def _halved(counts: Counts) -> Counts:
    """Sums over 2 × 2 pixels."""
    rows = counts[0::2] + counts[1::2]
    return rows[:, 0::2] + rows[:, 1::2]


def _most_frequent(planes: Mapping[int, Counts], out: Codes) -> None:
    out.fill(PADDING)
    most = np.zeros(out.shape, np.uint32)
    for c in sorted(planes.keys() - {MISSING}):
        out[planes[c] > most] = c
        np.maximum(most, planes[c], out=most)
    if MISSING in planes:
        out[(most == 0) & (planes[MISSING] > 0)] = MISSING
