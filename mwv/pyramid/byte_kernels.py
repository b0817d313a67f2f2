"""Bytes in, their pixels along the curve, and what overviews of them are made of, out: the numeric kernels of byte scenes.

All sums are whole numbers, so every machine gives the same bytes.
"""

import math
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mwv.compiled import compiled

ZERO: Final = 0
CONTROL: Final = 1
TEXT: Final = 2
HIGH: Final = 3
FULL: Final = 4
RANGES: Final = ((0x00, 0x00), (0x01, 0x1F), (0x20, 0x7E), (0x7F, 0xFE), (0xFF, 0xFF))
"""First and last byte of each class, as arbvis colours them."""
CLASSES: Final = len(RANGES)
SUMS: Final = CLASSES - CONTROL
"""Plane of the sum of a class less its number; the classes from `CONTROL` to `HIGH` have several bytes."""
PLANES: Final = CLASSES + HIGH - CONTROL + 1
"""Of an overview pixel: how many bytes of each class, and the sums of those of the three classes that have several bytes."""
SIDE: Final = 32
LOCAL: Final = SIDE * SIDE
"""Bytes whose entropy is taken together: a square of `SIDE` pixels."""
FRACTION: Final = 16
"""Bits behind the point of an entropy."""
_COUNT: Final = 3
_SUM: Final = 10
"""Bits of a count of 4 bytes, and of their sum."""
_COUNTS: Final = _COUNT * CLASSES
"""Bits of all counts."""
_SCALE: Final = FRACTION + 3
"""A mean entropy of 8 bits, the most there is, is 2**_SCALE steps."""
_STEPS: Final = 254
"""Codes of entropies, from 1 on, but the last, which is that of 8 bits alone."""


def classes() -> NDArray[np.uint8]:
    """The class of each byte: (256,)"""
    return np.repeat(np.arange(CLASSES, dtype=np.uint8), [last - first + 1 for first, last in RANGES])


@lru_cache(maxsize=1)
def information() -> NDArray[np.int64]:
    """n·log2(n) for n up to `LOCAL`, in whole steps of 2**-FRACTION."""
    return np.array([0, *(round(n * math.log2(n) * (1 << FRACTION)) for n in range(1, LOCAL + 1))], np.int64)


@compiled()
def _unroll(chunk: Any, place: Any, out: Any, real: Any) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            at = place[y, x]
            inside = at < chunk.size
            out[y, x] = chunk[at] if inside else np.uint8(0)
            real[y, x] = inside


def unroll(chunk: NDArray[np.uint8], place: NDArray[np.int32], out: NDArray[np.uint8], real: NDArray[np.uint8]) -> None:
    """Put consecutive bytes where `place` says, each pixel's place among them; beyond them `real` becomes 0, else 1."""
    _unroll(chunk, place, out, real)


@lru_cache(maxsize=1)
def _packed() -> NDArray[np.uint64]:
    """What a byte adds to all planes of 2 × 2 bytes, in one word: the count of each class, then the sums."""
    kinds = classes().astype(np.uint64)
    several = (kinds >= CONTROL) & (kinds <= HIGH)
    sums = np.arange(256, dtype=np.uint64) << (np.uint64(_COUNTS) + np.uint64(_SUM) * (kinds - several))
    found: NDArray[np.uint64] = (np.uint64(1) << (np.uint64(_COUNT) * kinds)) + sums * several
    return found


@compiled()
def _count_classes(codes: Any, real: Any, packed: Any, planes: Any) -> None:
    for y in range(planes.shape[1]):
        for x in range(planes.shape[2]):
            word = np.uint64(0)
            for i in range(2):
                for j in range(2):
                    word += packed[codes[2 * y + i, 2 * x + j]] * real[2 * y + i, 2 * x + j]
            for c in range(CLASSES):
                planes[c, y, x] = (word >> np.uint64(_COUNT * c)) & np.uint64((1 << _COUNT) - 1)
            for c in range(PLANES - CLASSES):
                planes[CLASSES + c, y, x] = (word >> np.uint64(_COUNTS + _SUM * c)) & np.uint64((1 << _SUM) - 1)


def count_classes(codes: NDArray[np.uint8], real: NDArray[np.uint8], planes: NDArray[np.uint32]) -> None:
    """Sums (`PLANES`, height / 2, width / 2) over 2 × 2 bytes, where they are real."""
    _count_classes(codes, real, _packed(), planes)


@compiled()
def _halve(below: Any, out: Any) -> None:
    for plane in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                a, b = below[plane, 2 * y, 2 * x], below[plane, 2 * y, 2 * x + 1]
                c, d = below[plane, 2 * y + 1, 2 * x], below[plane, 2 * y + 1, 2 * x + 1]
                out[plane, y, x] = (a + b) + (c + d)


def halve(below: NDArray[Any], out: NDArray[Any]) -> None:
    """Sums over 2 × 2 pixels: (planes, height, width) from twice the height and width."""
    _halve(below, out)


@compiled()
def _prevailing(planes: Any, out: Any) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            best = TEXT
            most = planes[TEXT, y, x]
            # Text goes before others of which there are as many, and these before one another in this order.
            for i in range(4):
                c = (CONTROL, HIGH, FULL, ZERO)[i]
                if planes[c, y, x] > most:
                    best, most = c, planes[c, y, x]
            if most == 0 or best == ZERO:
                out[y, x] = 0
            elif best == FULL:
                out[y, x] = 255
            else:
                out[y, x] = (np.int64(planes[SUMS + best, y, x]) + np.int64(most) // 2) // np.int64(most)


def prevailing(planes: NDArray[np.uint32], out: NDArray[np.uint8]) -> None:
    """The mean byte, halves up, of the class that most bytes are of; of several the first of text, control, high, 0xFF, 0."""
    _prevailing(planes, out)


@compiled()
def _local_entropy(codes: Any, real: Any, info: Any, out: Any, counts: Any) -> None:
    for top in range(0, codes.shape[0], SIDE):
        for left in range(0, codes.shape[1], SIDE):
            counts[:] = 0
            n = 0
            for y in range(top, top + SIDE):
                for x in range(left, left + SIDE):
                    if real[y, x]:
                        counts[codes[y, x]] += 1
                        n += 1
            total = info[n]
            for byte in range(256):
                total -= info[counts[byte]]
            value = (total + n // 2) // n if n else 0
            for y in range(top, top + SIDE):
                for x in range(left, left + SIDE):
                    out[y, x] = value if real[y, x] else 0


def local_entropy(codes: NDArray[np.uint8], real: NDArray[np.uint8], out: NDArray[np.uint32]) -> None:
    """Entropy of the real bytes in each square of `SIDE` pixels, in steps of 2**-FRACTION bits, at each of them; else 0."""
    _local_entropy(codes, real, information(), out, np.zeros(256, np.int64))


@compiled()
def _entropy_codes(total: Any, count: Any, out: Any) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            n = np.int64(count[y, x])
            scaled = np.int64(total[y, x]) * _STEPS
            if n & (n - 1):
                out[y, x] = 1 + scaled // (n << _SCALE)
            elif n == 1:
                out[y, x] = 1 + (scaled >> _SCALE)
            else:  # nearly always a power of two, for which no division is needed
                shift = _SCALE
                while n > 1:
                    n >>= 1
                    shift += 1
                out[y, x] = 1 + (scaled >> shift) if count[y, x] else 0


def entropy_codes(total: NDArray[Any], count: NDArray[Any], out: NDArray[np.uint8]) -> None:
    """1 + floor(254·mean/8) of a mean of total / count steps of 2**-FRACTION bits; 0 where nothing is. All (height, width)."""
    _entropy_codes(total, count, out)
