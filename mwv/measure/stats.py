"""Bands of values in, TensorStats out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TensorStats:
    """Numbers about one tensor, in stored values (unit divided out), over its finite elements.

    `minimum` and the moments are None when no element is finite; complex tensors are measured by magnitude.
    """

    elements: int
    nan: int
    inf: int
    zeros: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    rms: float | None
    std: float | None
    kurtosis: float | None
    """Fourth central moment over squared variance, 3 for a normal distribution; None when the variance is 0."""
    percentiles: tuple[tuple[float, float], ...]
    """(percent, value) for 0.1, 1, 5, 25, 50, 75, 95, 99, 99.9; exact to the top 16 bits of a float32."""
    histogram: tuple[int, ...]
    """Counts of 64 equal bins from `minimum` to `maximum`, by the top 16 bits of each value."""
    row_rms: tuple[float, ...]
    """RMS of each grid row; when there are more than 1,024, of each of 1,024 nearly equal runs of rows."""
    col_rms: tuple[float, ...]
    """The same for grid columns."""
