"""RMS of each row or column of a matrix in, the few that stand out from all others out."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FAR: Final = 4.0
"""A channel stands out if its RMS is more than so many times the median RMS of its kind. Rows and columns of normal noise stay
below twice the median, those of trained matrices mostly below three times."""
_FEW: Final = 50
_MOST: Final = 64
"""At most one channel in fifty stands out, and no more than 64 in all (one, where there are less than fifty): where more
are so far from the median they are the tail of a wide distribution."""
_LEAST: Final = 16
"""Fewer channels have no median worth the name, and an RMS of fewer elements tells about these rather than about a channel."""

Outliers = tuple[tuple[int, float], ...]
"""(index, RMS as a multiple of the median, to four digits) of each channel that stands out, the farthest first."""


def outliers(rms: NDArray[np.float64], length: int) -> Outliers:
    """The channels that stand out among those with these RMS, of `length` elements each."""
    if min(len(rms), length) < _LEAST:
        return ()
    median = float(np.median(rms))
    found = np.flatnonzero(rms > FAR * median)
    if median == 0 or not 0 < len(found) <= max(1, min(len(rms) // _FEW, _MOST)):
        return ()
    found = found[np.argsort(-rms[found], kind="stable")]
    return tuple((int(i), float(f"{rms[i] / median:.4g}")) for i in found)
