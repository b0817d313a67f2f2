"""Magnitudes and signs in, codes of the tile code out: the one fixed scale of every `values` tile.

A code is a byte: 0 padding, 1 exact zero, 2…48 negative, 49…199 balanced, 200…246 positive, 251 missing, 254 infinite,
255 NaN. Within a class, codes are levels of the magnitude m by e = log2(m): one level an octave for -14 ≤ e < -11,
n an octave for -11 ≤ e < 2, one per two octaves for 2 ≤ e < 12, with n = 3 for the signed classes and 11 for the
balanced one; what lies below or above belongs to the first or last level. FORMAT.md shows the same as a table.
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PADDING: Final = 0
ZERO: Final = 1
NEGATIVE: Final = 2
BALANCED: Final = 49
POSITIVE: Final = 200
MISSING: Final = 251
INF: Final = 254
NAN: Final = 255

SIGNED_STEPS: Final = 3
BALANCED_STEPS: Final = 11

SMALLEST: Final = 2.0**-40
"""A non-zero magnitude below this counts as this in sums, so that Σv² = 0 means all exactly zero."""
LARGEST: Final = 2.0**30
"""A finite magnitude above this counts as this in sums, so that nothing overflows."""

BALANCE: Final = 0.3
"""An overview pixel has a sign when (Σv)² exceeds this share of n·Σv²."""


@cache
def exponents(steps: int) -> tuple[Decimal, ...]:
    """log2 of the lower bound of every level but the first, for `steps` levels an octave in the middle range."""
    middle = (Decimal(-11) + Decimal(i) / steps for i in range(13 * steps))
    return (Decimal(-13), Decimal(-12), *middle, *(Decimal(e) for e in (2, 4, 6, 8, 10)))


@cache
def thresholds(steps: int, power: int = 1) -> NDArray[np.float64]:
    """Lower bounds of all levels but the first as magnitudes to the `power`; correctly rounded, so equal on every machine."""
    with localcontext() as context:
        context.prec = 50
        return np.array([float(Decimal(2) ** (power * e)) for e in exponents(steps)])


@cache
def _centres(steps: int) -> tuple[float, ...]:
    """Geometric centre of every level, for `steps` levels an octave in the middle range."""
    bounds = [-14.0, *map(float, exponents(steps)), 12.0]
    return tuple(2.0 ** ((low + high) / 2) for low, high in pairwise(bounds))


def magnitude(code: int) -> float:
    """Geometric centre of a code's bin; 0.0 for the codes that stand for no magnitude or for zero."""
    for base, steps in ((NEGATIVE, SIGNED_STEPS), (BALANCED, BALANCED_STEPS), (POSITIVE, SIGNED_STEPS)):
        level = code - base
        if 0 <= level < len(_centres(steps)):
            return _centres(steps)[level]
    return 0.0


def sign(code: int) -> int:
    """-1, 0 or +1: the class of a code."""
    if NEGATIVE <= code < BALANCED:
        return -1
    return int(POSITIVE <= code < POSITIVE + BALANCED - NEGATIVE)


def leaf_codes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Codes of single elements (value × unit) of any shape."""
    with np.errstate(invalid="ignore"):
        wide = np.abs(values.astype(np.float64))
    level = np.searchsorted(thresholds(SIGNED_STEPS), wide, side="right")
    codes = (level + np.where(np.signbit(values), NEGATIVE, POSITIVE)).astype(np.uint8)
    codes[wide == 0] = ZERO
    codes[np.isinf(wide)] = INF
    codes[np.isnan(wide)] = NAN
    return codes


def summands(values: NDArray[Any]) -> NDArray[np.float32]:
    """Elements as they enter the sums: magnitudes clamped to [2^-40, 2^30], zero kept, NaN and Inf replaced by zero."""
    with np.errstate(invalid="ignore"):
        wide = values.astype(np.float64)
    clamped = np.copysign(np.clip(np.abs(wide), SMALLEST, LARGEST), wide)
    return np.where(np.isfinite(wide) & (wide != 0), clamped, 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Scale:
    """A scale looked up by the top 16 bits of a float: each bucket holds at most one threshold.

    The code of a float whose top 16 bits are i is `low[i]`, plus `step[i]` (modulo 256) if its bits without the sign
    are ≥ `edge[i]`; a bucket without a threshold has an edge that no float reaches.
    """

    low: NDArray[np.uint8]
    step: NDArray[np.uint8]
    edge: NDArray[np.unsignedinteger[Any]]


def _scale(bounds: NDArray[Any], first: int, zero: bool) -> Scale:
    """The scale of non-negative floats of the type of `bounds`, codes counted from `first`; zero apart if `zero`."""
    word: Any = np.uint32 if bounds.dtype == np.float32 else np.uint64
    bits = bounds.view(word)
    width = 1 << (8 * bits.itemsize - 16)
    start = np.arange(32768, dtype=word) * word(width)
    never = word(np.iinfo(word).max)
    level = np.searchsorted(bits, start, side="right")
    after = np.append(bits, never)[level]
    split = after < start + word(width)
    low = (first + level).astype(np.uint8)
    step = split.astype(np.uint8)
    edge = np.where(split, after, never)
    if zero:
        low[0], step[0], edge[0] = ZERO, first - ZERO, 1
    infinite = int(np.array(np.inf, bounds.dtype).view(word)) // width
    low[infinite:] = NAN
    low[infinite], step[infinite] = INF, NAN - INF
    edge[infinite] = word(infinite * width + 1)
    return Scale(low, step, edge)


def _at_least(bounds: NDArray[np.float64], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """The smallest floats of `dtype` that are ≥ `bounds`, so that comparing in `dtype` decides as in float64."""
    narrow = bounds.astype(dtype)
    return np.where(narrow < bounds, np.nextafter(narrow, dtype(np.inf)), narrow)


@cache
def leaf_scale(dtype: str) -> Scale:
    """The leaf scale for float32 or float64 bit patterns with sign (65,536 buckets); decides exactly as `leaf_codes`."""
    bounds = _at_least(thresholds(SIGNED_STEPS), np.dtype(dtype).type)
    halves = (_scale(bounds, POSITIVE, True), _scale(bounds, NEGATIVE, True))
    return Scale(
        np.concatenate([half.low for half in halves]),
        np.concatenate([half.step for half in halves]),
        np.concatenate([half.edge for half in halves]),
    )


@cache
def overview_scale(steps: int) -> Scale:
    """Levels (from 0) of a float32 mean square, 32,768 buckets, for the signed or the balanced class."""
    return _scale(_at_least(thresholds(steps, power=2), np.float32), 0, False)
