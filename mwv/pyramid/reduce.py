"""Samples in, leaf codes, sums and overview codes out: the numeric kernels of the pyramid.

Every kernel adds in a fixed order in float32 and compares with fixed thresholds, so all machines give the same bytes.
Compiled code holds the numbers of `code` and is kept by the time of this file: who changes those must touch this.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from mwv.compiled import compiled
from mwv.pyramid import code

_HAS_INF: Final = 1
_HAS_NAN: Final = 2
_HAS_MISSING: Final = 4
"""Flags of a pixel: an element is infinite, one is NaN, a missing tensor is drawn there."""


@dataclass(frozen=True, eq=False)
class Sums:
    """What overview pixels are made of: Σv and Σv² (float32), real elements n (uint32) and flags (uint8), all H × W."""

    total: NDArray[np.float32]
    square: NDArray[np.float32]
    count: NDArray[np.uint32]
    flags: NDArray[np.uint8]

    @classmethod
    def empty(cls, height: int, width: int) -> Self:
        """Sums over no elements at all."""
        shape = (height, width)
        return cls(
            np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, np.uint32), np.zeros(shape, np.uint8)
        )

    def window(self, y: int, x: int, height: int, width: int) -> "Sums":
        """A view of a rectangle."""
        index = (slice(y, y + height), slice(x, x + width))
        return Sums(self.total[index], self.square[index], self.count[index], self.flags[index])

    @property
    def planes(self) -> tuple[NDArray[Any], ...]:
        """The four arrays in the order of the fields."""
        return (self.total, self.square, self.count, self.flags)


@compiled()
def _leaf_coded(bits: Any, codes: Any, values: Any, out: Any, summand: Any) -> None:
    for y in range(bits.shape[0]):
        for x in range(bits.shape[1]):
            b = bits[y, x]
            out[y, x] = codes[b]
            summand[y, x] = values[b]


@compiled()
def _leaf_float(values: Any, bits: Any, shift: Any, mask: Any, low: Any, step: Any, edge: Any, out: Any, summand: Any) -> None:
    smallest = np.float32(code.SMALLEST)
    largest = np.float32(code.LARGEST)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            b = bits[y, x]
            i = b >> shift
            magnitude = b & mask
            c = np.uint8(low[i] + step[i] * np.uint8(magnitude >= edge[i]))
            out[y, x] = c
            v = np.float32(values[y, x])
            a = min(max(abs(v), smallest), largest)
            if c < code.NEGATIVE or c >= code.MISSING:
                a = np.float32(0)
            # The sign of the value itself: a float64 may be too small for a float32.
            summand[y, x] = -a if values[y, x] < 0 else a


def leaf_coded(
    bits: NDArray[Any],
    codes: NDArray[np.uint8],
    values: NDArray[np.float32],
    out: NDArray[np.uint8],
    summand: NDArray[np.float32],
) -> None:
    """Look bit patterns up: `out` becomes their codes, `summand` the values as they enter the sums."""
    _leaf_coded(bits, codes, values, out, summand)


def leaf_float(values: NDArray[np.floating[Any]], out: NDArray[np.uint8], summand: NDArray[np.float32]) -> None:
    """The same for float32 or float64 values (value × unit)."""
    bits = values.view(np.uint32 if values.dtype == np.float32 else np.uint64)
    word = bits.dtype.type
    width = 8 * values.itemsize
    scale = code.leaf_scale(values.dtype.name)
    _leaf_float(values, bits, word(width - 16), word((1 << (width - 1)) - 1), scale.low, scale.step, scale.edge, out, summand)


@compiled()
def _reduce_leaf(codes: Any, summand: Any, total: Any, square: Any, count: Any, flags: Any) -> None:
    for y in range(total.shape[0]):
        for x in range(total.shape[1]):
            n = 0
            f = 0
            for i in range(2):
                for j in range(2):
                    c = codes[2 * y + i, 2 * x + j]
                    n += (c != code.PADDING) and (c != code.MISSING)
                    if c >= code.MISSING:
                        f |= _HAS_MISSING if c == code.MISSING else (_HAS_INF if c == code.INF else _HAS_NAN)
            count[y, x] = n
            flags[y, x] = f
            a, b = summand[2 * y, 2 * x], summand[2 * y, 2 * x + 1]
            c1, d = summand[2 * y + 1, 2 * x], summand[2 * y + 1, 2 * x + 1]
            total[y, x] = (a + b) + (c1 + d)
            square[y, x] = (a * a + b * b) + (c1 * c1 + d * d)


def reduce_leaf(codes: NDArray[np.uint8], summand: NDArray[np.float32], out: Sums) -> None:
    """Sums over 2 × 2 leaf pixels; `codes` and `summand` are twice as high and wide as `out`."""
    _reduce_leaf(codes, summand, *out.planes)


@compiled()
def _reduce_sums(t: Any, s: Any, n: Any, f: Any, total: Any, square: Any, count: Any, flags: Any) -> None:
    for y in range(total.shape[0]):
        u, d = 2 * y, 2 * y + 1
        for x in range(total.shape[1]):
            a, b = 2 * x, 2 * x + 1
            total[y, x] = (t[u, a] + t[u, b]) + (t[d, a] + t[d, b])
            square[y, x] = (s[u, a] + s[u, b]) + (s[d, a] + s[d, b])
            count[y, x] = (n[u, a] + n[u, b]) + (n[d, a] + n[d, b])
            flags[y, x] = (f[u, a] | f[u, b]) | (f[d, a] | f[d, b])


def reduce_sums(sums: Sums, out: Sums) -> None:
    """Sums over 2 × 2 pixels of sums."""
    _reduce_sums(*sums.planes, *out.planes)


@lru_cache(maxsize=1)
def _classes() -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Codes and edges (see `code.Scale`) of a mean square by class: negative, balanced, positive, 32,768 entries each."""
    signed, balanced = code.overview_scale(code.SIGNED_STEPS), code.overview_scale(code.BALANCED_STEPS)
    low = np.concatenate([code.NEGATIVE + signed.low, code.BALANCED + balanced.low, code.POSITIVE + signed.low])
    return low.astype(np.uint8), np.concatenate([signed.edge, balanced.edge, signed.edge]).astype(np.uint32)


@compiled()
def _overview_codes(
    total: Any, square: Any, count: Any, flags: Any, mean: Any, bits: Any, place: Any, low: Any, edge: Any, share: Any, out: Any
) -> None:
    # The class is computed, not branched on: on real weights a branch would be mispredicted at every third pixel. Simple
    # passes over a row are compiled to vector instructions.
    for y in range(out.shape[0]):
        odd = np.uint8(0)
        for x in range(out.shape[1]):
            odd |= flags[y, x]
        for x in range(out.shape[1]):
            odd |= np.uint8(square[y, x] == 0)
        for x in range(out.shape[1]):
            mean[x] = square[y, x] / np.float32(max(count[y, x], np.uint32(1)))
        for x in range(out.shape[1]):
            s = total[y, x]
            signed = np.float64(s) * np.float64(s) > share * np.float64(count[y, x]) * np.float64(square[y, x])
            place[x] = np.int32(32768) + np.int32(signed) * (np.int32(1) if s > 0 else np.int32(-1)) * np.int32(32768)
        for x in range(out.shape[1]):
            i = np.uint32(place[x]) + (bits[x] >> np.uint32(16))  # unsigned: else each look-up asks for its sign
            out[y, x] = low[i] + np.uint8(bits[x] >= edge[i])
        if odd:
            for x in range(out.shape[1]):
                f = flags[y, x]
                if f & (_HAS_INF | _HAS_NAN):
                    out[y, x] = code.NAN if f & _HAS_NAN else code.INF
                elif count[y, x] == 0:
                    out[y, x] = code.MISSING if f else code.PADDING
                elif square[y, x] == 0:
                    out[y, x] = code.ZERO


def overview_codes(sums: Sums, out: NDArray[np.uint8]) -> None:
    """Codes of overview pixels: root mean square by level, class by the balance of signs."""
    mean = np.empty(out.shape[1], np.float32)
    low, edge = _classes()
    place = np.empty(out.shape[1], np.int32)
    _overview_codes(*sums.planes, mean, mean.view(np.uint32), place, low, edge, code.BALANCE, out)
