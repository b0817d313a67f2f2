"""Values, or sums of their powers, in; count, mean and central moments out, which can be merged."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """Number of values, their mean, and the sums of the second to fourth powers of their distances from it.

    Kept about the mean, not about zero, so that nothing is lost when the spread is small beside the mean.
    """

    count: int = 0
    mean: float = 0.0
    second: float = 0.0
    third: float = 0.0
    fourth: float = 0.0

    @staticmethod
    def of_counts(values: NDArray[np.float64], counts: NDArray[np.int64]) -> "Moments":
        """Moments of distinct finite values that occur `counts` times each."""
        total = int(counts.sum())
        if total == 0:
            return Moments()
        weights: NDArray[Any] = counts.astype(np.float64)
        mean = float(np.sum(weights * values)) / total
        away = values - mean
        square = away * away
        second, third, fourth = (float(np.sum(weights * power)) for power in (square, square * away, square * square))
        return Moments(total, mean, second, third, fourth)

    @staticmethod
    def of_powers(count: int, pivot: float, powers: tuple[float, float, float, float]) -> "Moments":
        """Moments from the sums of the first to fourth powers of (value - pivot)."""
        if count == 0:
            return Moments()
        first, second, third, fourth = powers
        shift = first / count
        return Moments(
            count,
            pivot + shift,
            max(0.0, second - shift * first),
            third - 3 * shift * second + 2 * shift * shift * first,
            max(0.0, fourth - 4 * shift * third + 6 * shift**2 * second - 3 * shift**3 * first),
        )

    def merge(self, other: "Moments") -> "Moments":
        """Moments of both sets together, by the formulas of Chan et al. (1979) and Pébay (2008)."""
        if self.count == 0 or other.count == 0:
            return self if other.count == 0 else other
        a, b = self.count, other.count
        n = a + b
        delta = other.mean - self.mean
        step = delta / n
        second = self.second + other.second + delta * step * a * b
        third = (
            self.third + other.third + delta * step * step * a * b * (a - b) + 3 * step * (a * other.second - b * self.second)
        )
        fourth = (
            self.fourth
            + other.fourth
            + delta * step**3 * a * b * (a * a - a * b + b * b)
            + 6 * step * step * (a * a * other.second + b * b * self.second)
            + 4 * step * (a * other.third - b * self.third)
        )
        return Moments(n, self.mean + step * b, second, third, fourth)
