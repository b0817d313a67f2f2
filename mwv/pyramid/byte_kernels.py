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
CLASSES: Final = 5
"""Classes of bytes, as arbvis colours them: 0; 0x01-0x1F; 0x20-0x7E; 0x7F-0xFE; 0xFF."""
PLANES: Final = 8
"""Of an overview pixel: how many bytes of each class, and the sums of those of the three classes that have several bytes."""
LOCAL: Final = 1024
"""Bytes whose entropy is taken together: a square of `SIDE` pixels."""
SIDE: Final = 32
FRACTION: Final = 16
"""Bits behind the point of an entropy."""


def classes() -> NDArray[np.uint8]:
    """The class of each byte."""
    found = np.full(256, HIGH, np.uint8)
    found[0], found[1:0x20], found[0x20:0x7F], found[0xFF] = ZERO, CONTROL, TEXT, FULL
    return found


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
    """Put consecutive bytes where `place` says; beyond them `real` becomes 0, else 1."""
    _unroll(chunk, place, out, real)


@lru_cache(maxsize=1)
def _packed() -> NDArray[np.uint64]:
    """What a byte adds to all planes of 2 × 2 bytes, in one word: five counts of 3 bits, then three sums of 10."""
    kinds = classes().astype(np.uint64)
    several = (kinds != ZERO) & (kinds != FULL)
    sums = np.arange(256, dtype=np.uint64) << (np.uint64(15) + np.uint64(10) * (kinds - several))
    found: NDArray[np.uint64] = (np.uint64(1) << (np.uint64(3) * kinds)) + sums * several
    return found


@compiled()
def _count_classes(codes: Any, real: Any, packed: Any, planes: Any) -> None:
    for y in range(planes.shape[1]):
        for x in range(planes.shape[2]):
            word = np.uint64(0)
            for i in range(2):
                for j in range(2):
                    word += packed[codes[2 * y + i, 2 * x + j]] * real[2 * y + i, 2 * x + j]
            for c in range(5):
                planes[c, y, x] = (word >> np.uint64(3 * c)) & np.uint64(7)
            for c in range(3):
                planes[5 + c, y, x] = (word >> np.uint64(15 + 10 * c)) & np.uint64(1023)


def count_classes(codes: NDArray[np.uint8], real: NDArray[np.uint8], planes: NDArray[np.uint32]) -> None:
    """Classes (see `PLANES`) of 2 × 2 bytes, where they are real."""
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
    """Sums over 2 × 2 pixels of planes."""
    _halve(below, out)


@compiled()
def _prevailing(planes: Any, out: Any) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            best = 2
            most = planes[2, y, x]
            # The order in which classes go before others of which there are as many: 2, 1, 3, 4, 0.
            for i in range(4):
                c = (1, 3, 4, 0)[i]
                if planes[c, y, x] > most:
                    best, most = c, planes[c, y, x]
            if most == 0 or best == 0:
                out[y, x] = 0
            elif best == 4:
                out[y, x] = 255
            else:
                out[y, x] = (np.int64(planes[4 + best, y, x]) + np.int64(most) // 2) // np.int64(most)


def prevailing(planes: NDArray[np.uint32], out: NDArray[np.uint8]) -> None:
    """The mean byte, halves up, of the class that most bytes are of; of several the first of text, control, high, 0xFF, 0."""
    _prevailing(planes, out)


@compiled()
def _local_entropy(codes: Any, real: Any, info: Any, out: Any, counts: Any) -> None:
    for top in range(0, codes.shape[0], 32):
        for left in range(0, codes.shape[1], 32):
            counts[:] = 0
            n = 0
            for y in range(top, top + 32):
                for x in range(left, left + 32):
                    if real[y, x]:
                        counts[codes[y, x]] += 1
                        n += 1
            total = info[n]
            for byte in range(256):
                total -= info[counts[byte]]
            value = (total + n // 2) // n if n else 0
            for y in range(top, top + 32):
                for x in range(left, left + 32):
                    out[y, x] = value if real[y, x] else 0


def local_entropy(codes: NDArray[np.uint8], real: NDArray[np.uint8], out: NDArray[np.uint32]) -> None:
    """Entropy of the real bytes in each square of `SIDE` pixels, in steps of 2**-FRACTION bits, at each of them; else 0."""
    _local_entropy(codes, real, information(), out, np.zeros(256, np.int64))


@compiled()
def _entropy_codes(total: Any, count: Any, out: Any) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            n = np.int64(count[y, x])
            scaled = np.int64(total[y, x]) * 254
            if n & (n - 1):
                out[y, x] = 1 + scaled // (n << 19)
            elif n == 1:
                out[y, x] = 1 + (scaled >> 19)
            else:  # nearly always a power of two, for which no division is needed
                shift = 19
                while n > 1:
                    n >>= 1
                    shift += 1
                out[y, x] = 1 + (scaled >> shift) if count[y, x] else 0


def entropy_codes(total: NDArray[Any], count: NDArray[Any], out: NDArray[np.uint8]) -> None:
    """1 + floor(254·mean/8) of a mean of total / count steps; 0 where nothing is."""
    _entropy_codes(total, count, out)
