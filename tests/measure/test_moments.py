"""Moments against float64 numpy, in one piece and merged from skewed pieces."""

import numpy as np
import pytest

from mwv.measure.moments import Moments

RNG = np.random.default_rng(11)


def by_numpy(values: np.ndarray) -> list[float]:
    away = values - values.mean()
    return [values.size, values.mean(), *((away**power).sum() for power in (2, 3, 4))]


def numbers(moments: Moments) -> list[float]:
    return [moments.count, moments.mean, moments.second, moments.third, moments.fourth]


def test_counted_values() -> None:
    values, counts = RNG.standard_normal(50), RNG.integers(1, 9, 50)
    np.testing.assert_allclose(numbers(Moments.of_counts(values, counts)), by_numpy(np.repeat(values, counts)), rtol=1e-11)


@pytest.mark.parametrize("pivot", [0.0, 1.5, -3.0])
def test_powers_about_any_pivot(pivot: float) -> None:
    values = RNG.exponential(size=1000)
    first, second, third, fourth = (((values - pivot) ** power).sum() for power in (1, 2, 3, 4))
    moments = Moments.of_powers(1000, pivot, (first, second, third, fourth))
    np.testing.assert_allclose(numbers(moments), by_numpy(values), rtol=1e-9)


def test_merged_pieces_of_unequal_size_mean_and_skew() -> None:
    pieces = [
        RNG.exponential(size=n) * scale + shift for n, scale, shift in ((300, 1, 0), (20, 5, 3), (1000, -2, 1), (7, 1, 9))
    ]
    merged = Moments()
    for piece in pieces:
        merged = merged.merge(Moments.of_counts(piece, np.ones(len(piece), np.int64)))
    np.testing.assert_allclose(numbers(merged), by_numpy(np.concatenate(pieces)), rtol=1e-11)


def test_nothing_merges_with_nothing() -> None:
    some = Moments.of_counts(np.array([1.0, 2.0]), np.array([1, 3]))
    assert some.merge(Moments()) == some == Moments().merge(some)
    assert Moments.of_counts(np.zeros(0), np.zeros(0, np.int64)) == Moments.of_powers(0, 1.0, (0.0, 0.0, 0.0, 0.0)) == Moments()
