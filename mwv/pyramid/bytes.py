"""The kinds of scene that show bytes: bytes along a curve in, themselves and what prevails among them, or their entropy, out.

Kind `bytes`: the code is the byte. An overview pixel has the mean byte of the class that prevails under it. Kind `entropy`:
every pixel has the mean of the local entropies of the bytes under it. Where nothing is both have 0.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from mwv.pyramid import byte_kernels as kernels
from mwv.pyramid.kind import Kind, Summary, Target
from mwv.pyramid.plan import BLOCK_LEVEL, STRIP, TILE

Codes = NDArray[np.uint8]
Planes = NDArray[np.uint32]
"""Sums by plane: (planes, height, width)."""

_HEADER: Final = struct.Struct("<4sII")
_MAGIC: Final = b"mwvB"
_MOST_LEVELS: Final = 64
_CODES: Final = 256
_DAMAGE: Final = cast("type[Exception]", isal_zlib.error)


@dataclass(frozen=True, eq=False)
class Unrolled:
    """Some rows of pixels: the bytes there, and 1 where there is one."""

    codes: Codes
    real: Codes


def strip_of(width: int, planes: int) -> tuple[tuple[Codes, ...], tuple[Planes, ...]]:
    """Codes of a strip of this many leaf pixels across, by level, and its sums, by level from 1 on; all zero."""
    shapes = [(STRIP >> level, width >> level) for level in range(BLOCK_LEVEL + 1)]
    return (
        tuple(np.zeros(shape, np.uint8) for shape in shapes),
        tuple(np.zeros((planes, *shape), np.uint32) for shape in shapes[1:]),
    )


def reduce_strip(planes: Sequence[Planes], codes: Sequence[Codes], code: Callable[[Planes, Codes], None]) -> Planes:
    """Add up sums from level to level and give each level the codes that `code` makes of them; gives the last sums."""
    for below, above in pairwise(planes):
        kernels.halve(below, above)
    for sums, out in zip(planes, codes, strict=True):
        code(sums, out)
    return planes[-1]


@dataclass(frozen=True, eq=False)
class _Strip:
    real: Codes
    codes: tuple[Codes, ...]
    """By level."""
    planes: tuple[Planes, ...]
    """By level from 1 on."""

    @classmethod
    def of_width(cls, width: int, planes: int) -> Any:
        return cls(np.zeros((STRIP, width), np.uint8), *strip_of(width, planes))

    def clear(self) -> None:
        self.codes[0].fill(0)
        self.real.fill(0)

    def draw(self, samples: Unrolled, rows: slice, thick: tuple[int, int], target: Target) -> None:  # noqa: ARG002
        self.codes[0][target] = samples.codes[rows]
        self.real[target] = samples.real[rows]


class _ByteStrip(_Strip):
    def reduce(self) -> Planes:
        kernels.count_classes(self.codes[0], self.real, self.planes[0])
        return reduce_strip(self.planes, self.codes[1:], kernels.prevailing)


class _EntropyStrip(_Strip):
    def reduce(self) -> Planes:
        leaf = np.empty((2, *self.real.shape), np.uint32)
        kernels.local_entropy(self.codes[0], self.real, leaf[0])
        leaf[1] = self.real
        return reduce_strip((leaf, *self.planes), self.codes, _entropy_codes)


def _entropy_codes(sums: Planes, out: Codes) -> None:
    """Of a plane of sums of entropies and one of counts."""
    kernels.entropy_codes(sums[0], sums[1], out)


class OfPlanes:
    """What all kinds of bytes have in common.

    A plane holds up to 2**32: of the largest canvas, a pixel of the top has 2**22 bytes.
    """

    name: str
    _planes: int
    _type: type[np.unsignedinteger[Any]] = np.uint32
    """Of sums above blocks."""
    _strip: Any
    """A class that `of_width` gives a `Strip` of."""

    def strip(self, width: int) -> Any:
        """An empty strip of this many leaf pixels across."""
        return self._strip.of_width(width, self._planes)

    def empty(self, height: int, width: int) -> Planes:
        """Sums over nothing."""
        return np.zeros((self._planes, height, width), self._type)

    def put(self, part: Planes, whole: Planes, y: int, x: int) -> None:
        """Let sums take the place of a part of larger ones."""
        whole[:, y : y + part.shape[1], x : x + part.shape[2]] = part

    def reduce(self, below: Planes, whole: Planes, y: int, x: int) -> None:
        """Sums over 2 × 2 pixels."""
        _, height, width = below.shape
        kernels.halve(below, whole[:, y : y + height // 2, x : x + width // 2])

    def pack(self, summary: Summary[Planes]) -> bytes:
        """Magic, number of levels, bytes of a number; then deflated the planes, little-endian, in the shortest type that holds
        them, and how often each code occurs, int64.
        """
        stored = np.min_scalar_type(int(summary.sums.max()))
        body = summary.sums.astype(stored.newbyteorder("<")).tobytes() + summary.counts.astype("<i8").tobytes()
        return _HEADER.pack(_MAGIC, len(summary.counts), stored.itemsize) + isal_zlib.compress(body, 1)

    def unpack(self, body: bytes) -> Summary[Planes] | None:
        """What was packed, or None if the body is damaged."""
        if len(body) < _HEADER.size:
            return None
        magic, levels, itemsize = _HEADER.unpack_from(body)
        if magic != _MAGIC or levels > _MOST_LEVELS or itemsize not in (1, 2, 4, 8):
            return None
        size = self._planes * TILE * TILE * itemsize
        wanted = size + levels * _CODES * np.dtype(np.int64).itemsize
        try:
            rest = isal_zlib.decompressobj().decompress(body[_HEADER.size :], wanted + 1)
        except _DAMAGE:
            return None
        if len(rest) != wanted:
            return None
        planes = np.frombuffer(rest, f"<u{itemsize}", self._planes * TILE * TILE).reshape(self._planes, TILE, TILE)
        counts = np.frombuffer(rest, "<i8", levels * _CODES, size).reshape(levels, _CODES)
        return Summary(planes.astype(self._type), counts)


class _Bytes(OfPlanes):
    name = "bytes"
    _planes = kernels.PLANES
    _strip = _ByteStrip

    def codes(self, sums: Planes, out: Codes) -> None:
        kernels.prevailing(sums, out)


class _Entropy(OfPlanes):
    name = "entropy"
    _planes = 2
    _strip = _EntropyStrip
    _type = np.uint64  # 8 bits with 16 behind the point reach 2**32 at 2**13 bytes

    def codes(self, sums: Planes, out: Codes) -> None:
        _entropy_codes(sums, out)


BYTES: Final[Kind[Unrolled, Planes]] = _Bytes()
ENTROPY: Final[Kind[Unrolled, Planes]] = _Entropy()
