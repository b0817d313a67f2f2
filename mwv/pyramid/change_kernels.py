"""Bytes of two files beside each other in, what became of them, as codes and as sums for overviews, out: the numeric kernels.

A code tells one of seven things: 0 nothing is there; 1 the same in both; grew, shrank or both under one pixel, each with a
level of the root mean square of the differences; only in A, only in B, each with a level of the bytes there.
"""

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mwv.compiled import compiled
from mwv.pyramid.code import BALANCE

Codes = NDArray[np.uint8]
Deltas = NDArray[np.int16]
"""B − A where both have a byte; a byte only in A plus 256, one only in B plus 512; else `NOTHING`."""

NOTHING: Final = 1024
EQUAL: Final = 1
GREW: Final = 2
SHRANK: Final = 44
MIXED: Final = 86
ONLY_A: Final = 128
ONLY_B: Final = 192
"""First codes of each class; codes from there to the next are its levels."""
CHANGE_LEVELS: Final = 42
ONE: Final = 18
"""Level of a difference of 1: three an octave, six octaves below for overviews, eight above."""
BYTE_LEVELS: Final = 64
PLANES: Final = 9
"""Of an overview pixel: bytes in both; of these those that changed, sums of what grew, of what shrank, and of all squares;
bytes only in A and only in B, and the sums of these.
"""


@lru_cache(maxsize=1)
def _levels() -> NDArray[np.uint8]:
    """Levels of differences from 0 to 255."""
    found = np.zeros(256, np.uint8)
    for size in range(1, 256):
        found[size] = ONE + ((size**6).bit_length() - 1) // 2
    return found


@compiled()
def _subtract(a: Any, a_real: Any, b: Any, b_real: Any, out: Any) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            if a_real[y, x] and b_real[y, x]:
                out[y, x] = np.int16(b[y, x]) - np.int16(a[y, x])
            elif a_real[y, x]:
                out[y, x] = 256 + np.int16(a[y, x])
            elif b_real[y, x]:
                out[y, x] = 512 + np.int16(b[y, x])
            else:
                out[y, x] = 1024


def subtract(a: Codes, a_real: Codes, b: Codes, b_real: Codes, out: Deltas) -> None:
    """Differences of bytes that are there where `real` is not 0."""
    _subtract(a, a_real, b, b_real, out)


@compiled()
def _leaf_codes(deltas: Any, levels: Any, out: Any) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            d = deltas[y, x]
            if d == 0:
                out[y, x] = 1
            elif d < 0:
                out[y, x] = 44 + levels[-d]
            elif d < 256:
                out[y, x] = 2 + levels[d]
            elif d < 512:
                out[y, x] = 128 + (d - 256) // 4
            elif d < 1024:
                out[y, x] = 192 + (d - 512) // 4
            else:
                out[y, x] = 0


def leaf_codes(deltas: Deltas, out: Codes) -> None:
    """Codes of single bytes."""
    _leaf_codes(deltas, _levels(), out)


@compiled()
def _sum_changes(deltas: Any, planes: Any) -> None:
    planes[:] = 0
    for y in range(2 * planes.shape[1]):
        for x in range(2 * planes.shape[2]):
            d = np.int64(deltas[y, x])
            i, j = y // 2, x // 2
            if d < 256:
                planes[0, i, j] += 1
                planes[1, i, j] += d != 0
                planes[2, i, j] += max(d, 0)
                planes[3, i, j] += max(-d, 0)
                planes[4, i, j] += d * d
            elif d < 512:
                planes[5, i, j] += 1
                planes[7, i, j] += d - 256
            elif d < 1024:
                planes[6, i, j] += 1
                planes[8, i, j] += d - 512


def sum_changes(deltas: Deltas, planes: NDArray[np.uint32]) -> None:
    """Sums (see `PLANES`) over 2 × 2 bytes."""
    _sum_changes(deltas, planes)


@compiled()
def _change_codes(planes: Any, balance: Any, out: Any) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            both, changed = np.float64(planes[0, y, x]), np.float64(planes[1, y, x])
            a, b = np.float64(planes[5, y, x]), np.float64(planes[6, y, x])
            if both + a + b == 0:
                out[y, x] = 0
            elif changed + a + b == 0:
                out[y, x] = 1
            elif changed >= a and changed >= b:
                square = np.float64(planes[4, y, x])
                net = np.float64(planes[2, y, x]) - np.float64(planes[3, y, x])
                mean = square / both
                # Three levels an octave of the root: floor(log2(mean³) / 2). Divisions and products give the same everywhere.
                cube = mean * mean * mean
                level = 18
                while cube >= 4 and level < 41:
                    cube /= 4
                    level += 1
                while cube < 1 and level > 0:
                    cube *= 4
                    level -= 1
                first = 86
                if net * net > balance * changed * square:
                    first = 2 if net > 0 else 44
                out[y, x] = first + level
            else:
                count, total, first = (b, np.float64(planes[8, y, x]), 192) if b >= a else (a, np.float64(planes[7, y, x]), 128)
                # The mean byte, dimmed by the root of the share that these bytes are of.
                light = (total / count) * (total / count) * (count / (both + a + b))
                out[y, x] = first + np.int64(np.sqrt(light)) // 4


def change_codes(planes: NDArray[Any], out: NDArray[np.uint8]) -> None:
    """Codes of overview pixels: never "the same" if a byte is not.

    What most are of decides: changed bytes, those only in B, those only in A. The level of changes is the root mean square
    over all bytes in both; they have a sign where (Σd)² exceeds `BALANCE`·n·Σd² over the n that changed. The level of bytes
    that one side alone has is their mean times the root of their share.
    """
    _change_codes(planes, BALANCE, out)
