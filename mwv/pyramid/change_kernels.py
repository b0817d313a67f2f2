"""Bytes of two files beside each other in, what became of them, as codes and as sums for overviews, out: the numeric kernels.

A code tells one of seven things: 0 nothing is there; 1 the same in both; grew, shrank or both under one pixel, each with a
level of the root mean square of the differences; only in A, only in B, each with a level of the bytes there. FORMAT.md has
the same as a table.
"""

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mwv.compiled import compiled
from mwv.pyramid.code import BALANCE

Codes = NDArray[np.uint8]
Deltas = NDArray[np.int16]
"""B − A where both have a byte; a byte only in A plus `A_ALONE`, one only in B plus `B_ALONE`; else `NOTHING`."""

A_ALONE: Final = 256
B_ALONE: Final = 512
NOTHING: Final = 1024

CHANGE_LEVELS: Final = 42
ONE: Final = 18
"""Level of a difference of 1: three an octave, six octaves below for overviews, eight above."""
BYTE_LEVELS: Final = 64
STEP: Final = 256 // BYTE_LEVELS
"""Bytes of one level."""

HOLE: Final = 0
EQUAL: Final = 1
GREW: Final = 2
SHRANK: Final = GREW + CHANGE_LEVELS
MIXED: Final = SHRANK + CHANGE_LEVELS
ONLY_A: Final = MIXED + CHANGE_LEVELS
ONLY_B: Final = ONLY_A + BYTE_LEVELS
"""First codes of each class; codes from there to the next are its levels."""

BOTH: Final = 0
CHANGED: Final = 1
RISES: Final = 2
FALLS: Final = 3
SQUARES: Final = 4
IN_A: Final = 5
IN_B: Final = 6
SUM_A: Final = 7
SUM_B: Final = 8
PLANES: Final = 9
"""Of an overview pixel: bytes in both; of these those that changed, sums of what grew, of what shrank, and of all squares;
bytes only in A and only in B, and the sums of these.
"""


@lru_cache(maxsize=1)
def _levels() -> NDArray[np.uint8]:
    """Levels of differences from 0 to 255: `ONE` + floor(3·log2(size)), in whole numbers."""
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
                out[y, x] = A_ALONE + np.int16(a[y, x])
            elif b_real[y, x]:
                out[y, x] = B_ALONE + np.int16(b[y, x])
            else:
                out[y, x] = NOTHING


def subtract(a: Codes, a_real: Codes, b: Codes, b_real: Codes, out: Deltas) -> None:
    """Differences of bytes that are there where `real` is not 0; all arrays (height, width)."""
    _subtract(a, a_real, b, b_real, out)


@compiled()
def _leaf_codes(deltas: Any, levels: Any, out: Any) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            d = deltas[y, x]
            if d == 0:
                out[y, x] = EQUAL
            elif d < 0:
                out[y, x] = SHRANK + levels[-d]
            elif d < A_ALONE:
                out[y, x] = GREW + levels[d]
            elif d < B_ALONE:
                out[y, x] = ONLY_A + (d - A_ALONE) // STEP
            elif d < NOTHING:
                out[y, x] = ONLY_B + (d - B_ALONE) // STEP
            else:
                out[y, x] = HOLE


def leaf_codes(deltas: Deltas, out: Codes) -> None:
    """Codes of single bytes; both arrays (height, width)."""
    _leaf_codes(deltas, _levels(), out)


@compiled()
def _sum_changes(deltas: Any, planes: Any) -> None:
    planes[:] = 0
    for y in range(2 * planes.shape[1]):
        for x in range(2 * planes.shape[2]):
            d = np.int64(deltas[y, x])
            i, j = y // 2, x // 2
            if d < A_ALONE:
                planes[BOTH, i, j] += 1
                planes[CHANGED, i, j] += d != 0
                planes[RISES, i, j] += max(d, 0)
                planes[FALLS, i, j] += max(-d, 0)
                planes[SQUARES, i, j] += d * d
            elif d < B_ALONE:
                planes[IN_A, i, j] += 1
                planes[SUM_A, i, j] += d - A_ALONE
            elif d < NOTHING:
                planes[IN_B, i, j] += 1
                planes[SUM_B, i, j] += d - B_ALONE


def sum_changes(deltas: Deltas, planes: NDArray[np.uint32]) -> None:
    """Sums (`PLANES`, height / 2, width / 2) over 2 × 2 bytes."""
    _sum_changes(deltas, planes)


@compiled()
def _change_codes(planes: Any, balance: Any, out: Any) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            both, changed = np.float64(planes[BOTH, y, x]), np.float64(planes[CHANGED, y, x])
            a, b = np.float64(planes[IN_A, y, x]), np.float64(planes[IN_B, y, x])
            if both + a + b == 0:
                out[y, x] = HOLE
            elif changed + a + b == 0:
                out[y, x] = EQUAL
            elif changed >= a and changed >= b:
                square = np.float64(planes[SQUARES, y, x])
                net = np.float64(planes[RISES, y, x]) - np.float64(planes[FALLS, y, x])
                mean = square / both
                # Three levels an octave of the root: floor(log2(mean³) / 2). Divisions and products give the same everywhere.
                # A root of 255 has the last level.
                cube = mean * mean * mean
                level = ONE
                while cube >= 4:
                    cube /= 4
                    level += 1
                while cube < 1 and level > 0:
                    cube *= 4
                    level -= 1
                first = MIXED
                if net * net > balance * changed * square:
                    first = GREW if net > 0 else SHRANK
                out[y, x] = first + level
            else:
                count, total, first = a, np.float64(planes[SUM_A, y, x]), ONLY_A
                if b >= a:
                    count, total, first = b, np.float64(planes[SUM_B, y, x]), ONLY_B
                # The mean byte, dimmed by the root of the share that these bytes are of.
                light = (total / count) * (total / count) * (count / (both + a + b))
                out[y, x] = first + np.int64(np.sqrt(light)) // STEP


def change_codes(planes: NDArray[Any], out: NDArray[np.uint8]) -> None:
    """Codes (height, width) of overview pixels with sums (`PLANES`, height, width): never "the same" if a byte is not.

    What most are of decides: changed bytes, those only in B, those only in A. The level of changes is the root mean square
    over all bytes in both; they have a sign where (Σd)² exceeds `BALANCE`·n·Σd² over the n that changed. The level of bytes
    that one side alone has is their mean times the root of their share.
    """
    _change_codes(planes, BALANCE, out)
