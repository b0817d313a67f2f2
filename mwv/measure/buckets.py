"""Counts of the top 16 bits of float32 values in; percentiles and a histogram of few bins out.

A bucket holds the values whose float32 pattern starts with its 16 bits: sign, exponent and 7 bits of mantissa, so it is
at most 2**-7 of its magnitude wide.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SIZE: Final = 65_536
BINS: Final = 64
MILLE: Final = (1, 10, 50, 250, 500, 750, 950, 990, 999)
"""Percentiles in tenths of a percent, so that ranks are computed in integers."""

_ORDER: Final = np.concatenate((np.arange(0xFF7F, 0x7FFF, -1), np.arange(0x7F80)))
"""Buckets of finite values in ascending order of value."""
_NEAR: Final = (_ORDER.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64) + 0.0
"""The end of each bucket that is nearest to zero: its only value when the data have no bits beyond the top 16."""
_FAR: Final = (_ORDER.astype(np.uint32) << np.uint32(16) | np.uint32(0xFFFF)).view(np.float32).astype(np.float64)


class Buckets:
    """The finite values of a tensor by bucket, ascending.

    `exact` tells that no value has bits beyond the top 16, so that a bucket stands for one value. Else a bucket's values
    are taken to be spread evenly over it, but the bucket of zero, which holds hardly anything else, for zeros.
    """

    def __init__(self, counts: NDArray[np.int64], exact: bool, minimum: float, maximum: float) -> None:
        """`counts` has 65,536 entries, at least one of a finite bucket; the extremes are the values' own."""
        ordered = counts[_ORDER]
        held = np.flatnonzero(ordered)
        self._counts = ordered[held]
        near = _NEAR[held]
        far = near if exact else np.where(near == 0.0, 0.0, _FAR[held])
        self._low, self._high = np.minimum(near, far), np.maximum(near, far)
        self._minimum, self._maximum = minimum, maximum

    def percentiles(self) -> list[float]:
        """For each of MILLE the least value that so many of the values do not exceed.

        Right to the bucket; within it the rank interpolates between its ends.
        """
        ends: NDArray[Any] = np.cumsum(self._counts)
        total = int(ends[-1])
        ranks = np.array([max(0, -(-total * mille // 1000) - 1) for mille in MILLE])
        at = np.searchsorted(ends, ranks, side="right")
        share = (ranks - (ends[at] - self._counts[at]) + 0.5) / self._counts[at]
        values = self._low[at] + share * (self._high[at] - self._low[at])
        return [float(value) for value in np.clip(values, self._minimum, self._maximum)]

    def histogram(self) -> list[int]:
        """Counts of BINS equal bins from minimum to maximum; a bucket goes where its middle lies."""
        # Halves, since maximum - minimum may overflow.
        low, high = self._minimum / 2, self._maximum / 2
        if not high > low:
            return [int(self._counts.sum())] + [0] * (BINS - 1)
        middle = np.clip((self._low + self._high) / 4, low, high)
        bins = np.minimum(((middle - low) / (high - low) * BINS).astype(np.int64), BINS - 1)
        counts = np.zeros(BINS, np.int64)
        np.add.at(counts, bins, self._counts)
        return [int(count) for count in counts]
