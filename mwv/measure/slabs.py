"""Bands of values in, partial statistics of a slab out, which can be stored and combined to TensorStats.

A slab is up to 64 consecutive bands of one tensor. Its bands are added in order, and slabs are combined in order, so the
result does not depend on who measured which slab, nor on which of them came out of a cache.
"""

import struct
from array import array
from collections.abc import Sequence
from dataclasses import astuple
from math import ldexp, sqrt
from typing import Any, Final, NamedTuple, cast

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from mwv.measure.buckets import MILLE, SIZE, Buckets
from mwv.measure.channels import Outliers, outliers
from mwv.measure.kernels import add_buckets, add_patterns, add_sums
from mwv.measure.moments import Moments
from mwv.measure.stats import TensorStats, profile

VERSION: Final = 1
"""Of what is measured and how it is stored; belongs in the key under which slabs are kept."""
PROFILE: Final = 1024
"""Longest row or column profile."""
LARGEST: Final = 2.0**128
"""Just beyond float32. A float64 of greater magnitude counts as this in moments and profiles, so that powers stay finite."""

_MAGIC: Final = b"mwvslab" + bytes([VERSION])
_HEAD: Final = struct.Struct("<IQQqqq?ddqdddd")
_DAMAGE: Final = (cast("type[Exception]", isal_zlib.error), struct.error)
_FLOAT32_MAX: Final = np.float32(np.finfo(np.float32).max)

Array = NDArray[Any]


class SlabStats:
    """Counts and sums over the bands added so far; values are stored value × unit."""

    def __init__(self, grid_rows: int, grid_cols: int) -> None:
        """Nothing measured yet of a slab of `grid_rows` × `grid_cols`."""
        self.nan = self.inf = self.zeros = 0
        self.exact = True
        """Whether no finite value has bits beyond the top 16 of a float32."""
        self.minimum, self.maximum = np.inf, -np.inf
        self.held, self.counts = np.zeros(0, np.uint16), np.zeros(0, np.int64)
        """Buckets that hold values, and how many."""
        self.row_squares, self.col_squares = np.zeros(grid_rows), np.zeros(grid_cols)
        self.row_finite, self.col_finite = np.zeros(grid_rows, np.int32), np.zeros(grid_cols, np.int32)
        # Collected while adding, and brought into the fields above by settle().
        self._buckets: NDArray[np.int64] | None = None
        self.moments = Moments()
        self._table: Array | None = None
        self._patterns: NDArray[np.int64] = np.zeros(0, np.int64)
        self._pivot: float | None = None
        self._powers, self._powered = np.zeros((4, 0)), 0

    def add_coded(self, bits: Array, table_values: Array, row: int) -> None:
        """Add rows of bit patterns (uint8 or uint16, rows × columns) whose values stand in a float32 table.

        `row` is the first grid row within the slab. An array narrower than the grid is its first columns.
        """
        if len(table_values) < 256**bits.itemsize:
            raise ValueError(f"a table of {len(table_values)} values for patterns of {8 * bits.itemsize} bits")
        rows, cols = self._window(bits, row)
        if self._table is not table_values:
            self.settle()
            self._table, self._patterns = table_values, np.zeros(SIZE, np.int64)
        patterns = np.ascontiguousarray(bits, np.uint16)
        table = np.ascontiguousarray(table_values, np.float32)
        lost = add_patterns(patterns, table, self._patterns, self.row_squares[rows], self.col_squares)
        self._count_finite(rows, cols, ~np.isfinite(table)[patterns] if lost else None)

    def add_plain(self, values: Array, row: int) -> None:
        """Add rows of values (float32 or float64, rows × columns); `row` and width as in `add_coded`."""
        rows, cols = self._window(values, row)
        values = np.ascontiguousarray(values)
        tally = _tally(values, self._all_buckets())
        lost = tally.nan + tally.inf
        self.nan += tally.nan
        self.inf += tally.inf
        self.zeros += tally.zeros
        self.exact &= tally.exact
        self.minimum, self.maximum = min(self.minimum, tally.minimum), max(self.maximum, tally.maximum)
        values = _tame(values)
        if self._pivot is None and lost < values.size:
            self._pivot = float(values.ravel()[np.argmax(np.isfinite(values))])
            self._powers = np.zeros((4, len(self.col_squares)))
        if self._pivot is not None:
            add_sums(values, self._pivot, self._powers, self.row_squares[rows], self.col_squares)
            self._powered += values.size - lost
        self._count_finite(rows, cols, ~np.isfinite(values) if lost else None)

    def to_bytes(self) -> bytes:
        """What was added so far, compressed; equal for equal statistics."""
        self.settle()
        shape = (len(self.held), len(self.row_squares), len(self.col_squares))
        facts = (self.nan, self.inf, self.zeros, self.exact, self.minimum, self.maximum)
        head = _HEAD.pack(*shape, *facts, *astuple(self.moments))
        body = (self.held, self.counts, self.row_squares, self.col_squares, self.row_finite, self.col_finite)
        data = _MAGIC + isal_zlib.compress(head + b"".join(part.tobytes() for part in body), 1)
        return data + isal_zlib.crc32(data).to_bytes(4, "little")

    @classmethod
    def from_bytes(cls, data: bytes) -> "SlabStats":
        """What `to_bytes` wrote; raises ValueError for anything else."""
        if not data.startswith(_MAGIC):
            raise ValueError("not the statistics of a slab, or of another version")
        if isal_zlib.crc32(data[:-4]).to_bytes(4, "little") != data[-4:]:
            raise ValueError("statistics of a slab are damaged")
        try:
            body = isal_zlib.decompress(data[len(_MAGIC) : -4])
            held, rows, cols, nan, inf, zeros, exact, minimum, maximum, *moments = _HEAD.unpack_from(body)
        except _DAMAGE as error:
            raise ValueError(f"statistics of a slab are damaged: {error}") from None
        if len(body) != _HEAD.size + 10 * held + 12 * (rows + cols):
            raise ValueError("statistics of a slab are damaged: their length is wrong")
        slab = cls(rows, cols)
        slab.nan, slab.inf, slab.zeros, slab.exact, slab.minimum, slab.maximum = nan, inf, zeros, exact, minimum, maximum
        slab.moments = Moments(*moments)
        kinds = ("<u2", held), ("<i8", held), ("<f8", rows), ("<f8", cols), ("<i4", rows), ("<i4", cols)
        at, parts = _HEAD.size, []
        for kind, count in kinds:
            parts.append(np.frombuffer(body, kind, count, at).astype(kind[1:]))
            at += parts[-1].nbytes
        slab.held, slab.counts, slab.row_squares, slab.col_squares, slab.row_finite, slab.col_finite = parts
        return slab

    def _window(self, array: Array, row: int) -> tuple[slice, slice]:
        rows, cols = array.shape
        if row < 0 or row + rows > len(self.row_squares) or cols > len(self.col_squares):
            raise ValueError(
                f"{rows} × {cols} values at row {row} of a slab of {len(self.row_squares)} × {len(self.col_squares)}"
            )
        return slice(row, row + rows), slice(cols)

    def _count_finite(self, rows: slice, cols: slice, lost: Array | None) -> None:
        self.row_finite[rows] += cols.stop
        self.col_finite[cols] += rows.stop - rows.start
        if lost is not None:
            self.row_finite[rows] -= lost.sum(axis=1)
            self.col_finite[cols] -= lost.sum(axis=0)

    def _all_buckets(self) -> NDArray[np.int64]:
        """Counts of all buckets, to add to."""
        if self._buckets is None:
            self._buckets = np.zeros(SIZE, np.int64)
            self._buckets[self.held] = self.counts
        return self._buckets

    def settle(self) -> None:
        """Bring all that was added into the public fields, which are complete only then; storing and combining do it."""
        if self._table is not None:
            self._settle_patterns(self._table)
            self._table, self._patterns = None, np.zeros(0, np.int64)
        if self._pivot is not None:
            first, second, third, fourth = (float(np.sum(sums)) for sums in self._powers)
            self.moments = self.moments.merge(Moments.of_powers(self._powered, self._pivot, (first, second, third, fourth)))
            self._pivot, self._powers, self._powered = None, np.zeros((4, 0)), 0
        if self._buckets is not None:
            self.held = np.flatnonzero(self._buckets).astype(np.uint16)
            self.counts, self._buckets = self._buckets[self.held], None

    def _settle_patterns(self, table: Array) -> None:
        held = np.flatnonzero(self._patterns)
        counts = self._patterns[held]
        values = table[held].astype(np.float32)
        top = values.view(np.uint32)
        np.add.at(self._all_buckets(), top >> 16, counts)
        finite = np.isfinite(values)
        self.nan += int(counts[np.isnan(values)].sum())
        self.inf += int(counts[np.isinf(values)].sum())
        self.zeros += int(counts[values == 0].sum())
        self.exact &= not bool(np.any(top[finite] & 0xFFFF))
        numbers = values[finite].astype(np.float64)
        self.minimum = min(self.minimum, float(np.min(numbers, initial=np.inf)))
        self.maximum = max(self.maximum, float(np.max(numbers, initial=-np.inf)))
        self.moments = self.moments.merge(Moments.of_counts(numbers, counts[finite]))


def combine(slabs: Sequence[SlabStats], *, exponent: int, elements: int) -> TensorStats:
    """Statistics of a tensor, in stored values, from its slabs in order.

    `elements` is what the tensor holds; ValueError tells that the slabs hold another number.
    """
    moments = Moments()
    for slab in slabs:
        slab.settle()
        moments = moments.merge(slab.moments)
    nan, inf = sum(slab.nan for slab in slabs), sum(slab.inf for slab in slabs)
    if moments.count + nan + inf != elements:
        raise ValueError(f"slabs of {moments.count + nan + inf} elements for a tensor of {elements}")
    if moments.count == 0:
        nothing = None, None, None, None, None, None, (), (), profile(()), profile(()), (), (), 0, 0
        return TensorStats(elements, nan, inf, 0, *nothing)
    minimum, maximum = min(slab.minimum for slab in slabs), max(slab.maximum for slab in slabs)
    counts = np.zeros(SIZE, np.int64)
    squares, finite = np.zeros(len(slabs[0].col_squares)), np.zeros(len(slabs[0].col_finite), np.int64)
    for slab in slabs:
        counts[slab.held] += slab.counts
        squares += slab.col_squares
        finite += slab.col_finite
    zeros = sum(slab.zeros for slab in slabs)
    buckets = Buckets(counts, all(slab.exact for slab in slabs), minimum, maximum)
    variance = moments.second / moments.count
    rows = np.concatenate([slab.row_squares for slab in slabs]), np.concatenate([slab.row_finite for slab in slabs])
    return TensorStats(
        elements=elements,
        nan=nan,
        inf=inf,
        zeros=zeros,
        minimum=_stored(minimum, exponent),
        maximum=_stored(maximum, exponent),
        mean=_stored(moments.mean, exponent),
        rms=_stored(sqrt(variance + moments.mean**2), exponent),
        std=_stored(sqrt(variance), exponent),
        kurtosis=moments.fourth / moments.count / variance**2 if variance**2 > 0 else None,
        percentiles=tuple((m / 10, _stored(v, exponent)) for m, v in zip(MILLE, buckets.percentiles(), strict=True)),
        histogram=tuple(buckets.histogram()),
        row_rms=_profile(*rows, exponent),
        col_rms=_profile(squares, finite, exponent),
        row_outliers=_outliers(*rows, len(squares)),
        col_outliers=_outliers(squares, finite, len(rows[0])),
        below_f32=_below(counts, 2.0**-126) - zeros,
        below_f16=_below(counts, 2.0**-14) - zeros,
    )


def _stored(value: float, exponent: int) -> float:
    """A value × unit as the value that is stored; -0 becomes 0."""
    return ldexp(value, -exponent) + 0.0


def _profile(squares: NDArray[np.float64], finite: NDArray[np.int64], exponent: int) -> "array[float]":
    """RMS of nearly equal runs of rows or columns; 0 for a run without a finite element."""
    runs = min(PROFILE, len(squares))
    starts = np.arange(runs) * len(squares) // runs
    mean = np.add.reduceat(squares, starts) / np.maximum(np.add.reduceat(finite, starts), 1)
    return profile(np.ldexp(np.sqrt(mean), -exponent))


def _outliers(squares: NDArray[np.float64], finite: NDArray[np.int64], length: int) -> Outliers:
    return outliers(np.sqrt(squares / np.maximum(finite, 1)), length)


def _below(counts: NDArray[np.int64], limit: float) -> int:
    """How many values have a magnitude below a power of two, by the counts of all buckets."""
    end = int(np.float32(limit).view(np.uint32) >> 16)
    negative = SIZE // 2
    return int(counts[:end].sum() + counts[negative : negative + end].sum())


class _Tally(NamedTuple):
    nan: int
    inf: int
    zeros: int
    exact: bool
    minimum: float
    maximum: float


def _tally(values: Array, buckets: NDArray[np.int64]) -> _Tally:
    """Count values into buckets, which takes float64 to the nearest float32, and find what float32 can tell."""
    if values.dtype == np.float32:
        nan, inf, zeros, low, least, greatest = add_buckets(values.view(np.uint32), buckets)
        if nan + inf == values.size:
            return _Tally(nan, inf, zeros, True, np.inf, -np.inf)
        return _Tally(nan, inf, zeros, low == 0, _of_key(least), _of_key(greatest))
    finite = np.isfinite(values)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        single = values.astype(np.float32)
    single = np.where(finite, np.clip(single, -_FLOAT32_MAX, _FLOAT32_MAX), single)
    nan, inf, _, low, _, _ = add_buckets(single.view(np.uint32), buckets)
    return _Tally(
        nan,
        inf,
        values.size - int(np.count_nonzero(values)),
        low == 0 and bool(np.all((values == single) | ~finite)),
        float(np.min(values, initial=np.inf, where=finite)),
        float(np.max(values, initial=-np.inf, where=finite)),
    )


def _of_key(key: int) -> float:
    """The value whose ordering key (see `kernels.add_buckets`) is `key`."""
    pattern = np.int32(key) if key >= 0 else np.int32(key) ^ np.int32(0x7FFFFFFF)
    return float(pattern.view(np.float32))


def _tame(values: Array) -> Array:
    """Values with finite magnitudes of at most LARGEST."""
    if values.dtype == np.float32:
        return values
    return np.where(np.isinf(values), values, np.clip(values, -LARGEST, LARGEST))
