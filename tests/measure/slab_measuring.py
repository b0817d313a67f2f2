"""In: a whole tensor as an array. Out: its slabs as a build makes them, and what float64 numpy says about it."""

from itertools import pairwise
from typing import Any

import numpy as np

from mwv.measure.slabs import SlabStats, combine
from mwv.measure.stats import TensorStats

Array = np.ndarray[Any, Any]
BF16 = (np.arange(65536, dtype=np.uint32) << 16).view(np.float32)
SLAB_ROWS = 4096


def slabs_of(values: Array, table: Array | None = None, slab_rows: int = SLAB_ROWS, band_rows: int = 64) -> list[SlabStats]:
    """Slabs of plain values, or of bit patterns when there is a table."""
    slabs = []
    for start in range(0, len(values), slab_rows):
        part = values[start : start + slab_rows]
        slab = SlabStats(*part.shape)
        for row in range(0, len(part), band_rows):
            if table is None:
                slab.add_plain(part[row : row + band_rows], row)
            else:
                slab.add_coded(part[row : row + band_rows], table, row)
        slabs.append(slab)
    return slabs


def measured(values: Array, table: Array | None = None, exponent: int = 0, **more: int) -> TensorStats:
    return combine(slabs_of(values, table, **more), exponent=exponent, elements=values.size)


def check_against_numpy(stats: TensorStats, values: Array, *, exact: bool = False, rtol: float = 1e-11) -> None:
    """Every number of `stats` against the stored values, rows × columns in float64."""
    rows = values.astype(np.float64)
    finite = rows[np.isfinite(rows)]
    mean = finite.mean()
    away = finite - mean
    variance = (away**2).mean()
    assert stats.elements == rows.size
    assert (stats.nan, stats.inf, stats.zeros) == (np.isnan(rows).sum(), np.isinf(rows).sum(), (rows == 0).sum())
    assert (stats.minimum, stats.maximum) == (finite.min(), finite.max())
    scale = np.abs(finite).max()
    np.testing.assert_allclose(stats.mean, mean, rtol=rtol, atol=scale * 1e-13)
    np.testing.assert_allclose(stats.rms, np.sqrt((finite**2).mean()), rtol=rtol)
    np.testing.assert_allclose(stats.std, np.sqrt(variance), rtol=rtol, atol=scale * 1e-14)
    if finite.min() < finite.max():
        np.testing.assert_allclose(stats.kurtosis, (away**4).mean() / variance**2, rtol=1e-8)
    else:
        assert stats.kurtosis is None
    check_order(stats, finite, exact)
    for profile, axis in ((stats.row_rms, 1), (stats.col_rms, 0)):
        check_profile(profile, rows, axis)


def check_profile(profile: tuple[float, ...], rows: Array, axis: int) -> None:
    """RMS over runs of rows (axis 1) or columns (axis 0)."""
    good = np.isfinite(rows)
    squares, counts = np.where(good, rows, 0) ** 2, good
    lines = rows.shape[1 - axis]
    assert len(profile) == min(lines, 1024)
    sums, numbers = squares.sum(axis=axis), counts.sum(axis=axis)
    edges = [k * lines // len(profile) for k in range(len(profile) + 1)]
    expected = [np.sqrt(sums[a:b].sum() / max(1, numbers[a:b].sum())) for a, b in pairwise(edges)]
    np.testing.assert_allclose(profile, expected, rtol=1e-5)


def top(value: float) -> int:
    return int(np.float32(value).view(np.uint32) >> 16)


def check_order(stats: TensorStats, finite: Array, exact: bool) -> None:
    """Percentiles lie in the bucket of the right element, histogram edges at most a bucket from their place."""
    assert [percent for percent, _ in stats.percentiles] == [0.1, 1, 5, 25, 50, 75, 95, 99, 99.9]
    ordered = np.sort(finite)
    for percent, value in stats.percentiles:
        rank = -(-len(ordered) * round(percent * 10) // 1000)  # the least rank that covers so many of a thousand
        expected = ordered[max(0, rank - 1)]
        assert value == expected if exact else top(value) == top(expected) or abs(value - expected) <= 2**-126
    assert len(stats.histogram) == 64 and sum(stats.histogram) == len(finite)
    edges = np.linspace(ordered[0], ordered[-1], 65)[1:-1]
    if ordered[0] < ordered[-1]:
        slack = np.abs(edges) * (0 if exact else 2**-7) + (ordered[-1] - ordered[0]) * 1e-9
        below = np.cumsum(stats.histogram)[:-1]
        assert (np.searchsorted(ordered, edges - slack, "left") <= below).all()
        assert (below <= np.searchsorted(ordered, edges + slack, "right")).all()
    else:
        assert stats.histogram[0] == len(finite)
