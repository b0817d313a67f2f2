"""Arrays of values in, counts and sums in float64 out; compiled loops whose results do not depend on the machine.

There is no fast-math: every sum has a fixed order, so it is the same for any width of vector registers. Each kernel
has one signature (two where said), which keeps the time of the first compilation small.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mwv.compiled import compiled

Array = NDArray[Any]

CHUNK: Final = 512
"""Columns that are worked on together, so that their accumulators stay in the first-level cache."""


def _input(element: str, dimensions: int) -> str:
    """A contiguous array that is only read; accepts writable ones as well, which would else be a type of its own."""
    return f"Array({element}, {dimensions}, 'C', readonly=True)"


@compiled()
def _fold(terms: Array, count: int) -> float:
    """Sum of the first `count` terms by halving; overwrites them."""
    while count > 16:
        half = count // 2
        left = terms[:half]
        right = terms[count - half : count]
        for j in range(half):
            left[j] += right[j]
        count -= half
    total = 0.0
    for j in range(count):
        total += terms[j]
    return total


@compiled(f"int64({_input('uint16', 2)}, {_input('float32', 1)}, int64[::1], float64[::1], float64[::1])")
def add_patterns(bits: Array, table: Array, counts: Array, row_squares: Array, col_squares: Array) -> int:
    """Add bit patterns to `counts`, and squares of their values to the rows' and columns' sums.

    NaN and Inf are left out of the sums; returned is how many there are.
    """
    rows, cols = bits.shape
    squares = np.empty(CHUNK, np.float64)
    infinite = 0
    for begin in range(0, cols, CHUNK):
        end = min(begin + CHUNK, cols)
        columns = col_squares[begin:end]
        for i in range(rows):
            window = bits[i, begin:end]
            width = len(window)
            # Counted in the loop that looks up: alone, that one is compiled to gathers, which take longer than scalar loads.
            for j in range(width):
                pattern = window[j]
                counts[pattern] += 1
                squares[j] = np.float64(table[pattern])
            for j in range(width):
                square = squares[j] * squares[j]
                finite = square < np.inf
                square = square if finite else np.float64(0.0)
                infinite += not finite
                squares[j] = square
                columns[j] += square
            row_squares[i] += _fold(squares, width)
    return infinite


@compiled(f"UniTuple(int64, 6)({_input('uint32', 2)}, int64[::1])")
def add_buckets(bits: Array, buckets: Array) -> tuple[Any, ...]:
    """Add the top 16 bits of float32 patterns to `buckets`.

    Returned are the numbers of NaN, Inf and zeros, the bitwise or of all finite patterns' low 16 bits, and the least
    and the greatest finite pattern as keys: a pattern with its lower 31 bits inverted where the sign is set orders as
    its value does. Without finite values the least key is greater than the greatest.
    """
    rows, cols = bits.shape
    magnitude = np.uint32(0x7FFFFFFF)
    infinity = np.uint32(0x7F800000)
    nans, infinities, zeros, low = 0, 0, 0, np.uint32(0)
    least, greatest = np.int32(0x7FFFFFFF), np.int32(-0x7FFFFFFF)
    for i in range(rows):
        row = bits[i]
        for j in range(cols):
            buckets[row[j] >> np.uint32(16)] += 1
        for j in range(cols):
            pattern = row[j]
            size = pattern & magnitude
            finite = size < infinity
            signed = np.int32(pattern)
            key = signed ^ (np.int32(signed >> np.int32(31)) & np.int32(0x7FFFFFFF))
            least = min(least, key if finite else np.int32(0x7FFFFFFF))
            greatest = max(greatest, key if finite else np.int32(-0x7FFFFFFF))
            nans += size > infinity
            infinities += size == infinity
            zeros += size == np.uint32(0)
            low |= pattern if finite else np.uint32(0)
    return nans, infinities, zeros, low & np.uint32(0xFFFF), least, greatest


@compiled(
    f"void({_input('float32', 2)}, float64, float64[:, ::1], float64[::1], float64[::1])",
    f"void({_input('float64', 2)}, float64, float64[:, ::1], float64[::1], float64[::1])",
)
def add_sums(values: Array, pivot: float, powers: Array, row_squares: Array, col_squares: Array) -> None:
    """Add squares of values to the rows' and columns' sums, and first to fourth powers of (value - pivot) to `powers`.

    `powers` is (4, columns). NaN and Inf are left out.
    """
    rows, cols = values.shape
    squares = np.empty(CHUNK, np.float64)
    for begin in range(0, cols, CHUNK):
        end = min(begin + CHUNK, cols)
        columns = col_squares[begin:end]
        first, second = powers[0, begin:end], powers[1, begin:end]
        third, fourth = powers[2, begin:end], powers[3, begin:end]
        for i in range(rows):
            window = values[i, begin:end]
            width = len(window)
            for j in range(width):
                value = np.float64(window[j])
                square = value * value
                square = square if square < np.inf else np.float64(0.0)
                squares[j] = square
                columns[j] += square
            for j in range(width):
                away = np.float64(window[j]) - pivot
                away = away if abs(away) < np.inf else np.float64(0.0)
                square = away * away
                first[j] += away
                second[j] += square
                third[j] += square * away
                fourth[j] += square * square
            row_squares[i] += _fold(squares, width)
