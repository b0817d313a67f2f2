"""What was measured about a tensor in, the same as a dictionary for JSON or as bytes out, and back from bytes."""

import json
import sys
from array import array
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from mwv.measure.channels import Outliers

_NORMAL: Final = (2.0**-126, (2 - 2.0**-23) * 2.0**127)
"""The smallest and the largest normal number of a float32."""


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
    """(percent, value) for 0.1, 1, 5, 25, 50, 75, 95, 99, 99.9; exact to the top 16 bits of a float32. The value is the
    least that so many percent of the finite elements do not exceed. Empty, as all that follows, without finite elements."""
    histogram: tuple[int, ...]
    """Counts of 64 equal bins from `minimum` to `maximum`, by the top 16 bits of each value."""
    row_rms: "array[float]"
    """RMS of the finite elements of each grid row, 0 where there is none; when there are more than 1,024 rows, of each of
    1,024 nearly equal runs of rows. Of type f (float32), or d where its range is too small: a model has 100,000 profiles."""
    col_rms: "array[float]"
    """The same for grid columns."""
    row_outliers: Outliers
    """Grid rows that stand out, by `channels.outliers`; of all rows, not of runs."""
    col_outliers: Outliers
    """The same for grid columns."""
    below_f32: int
    """Elements that are not zero and whose magnitude × unit is below 2**-126, the smallest normal number of F32 and BF16."""
    below_f16: int
    """The same for 2**-14, the smallest normal number of F16."""

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and None; every float is finite; profiles have six digits."""
        return vars(self) | {
            "percentiles": [list(pair) for pair in self.percentiles],
            "histogram": list(self.histogram),
            "row_outliers": [list(pair) for pair in self.row_outliers],
            "col_outliers": [list(pair) for pair in self.col_outliers],
            "row_rms": [float(f"{rms:.6g}") for rms in self.row_rms],
            "col_rms": [float(f"{rms:.6g}") for rms in self.col_rms],
        }

    def to_bytes(self) -> bytes:
        """A line of JSON with type and length of each profile instead of it, then their numbers, little-endian.

        Profiles are nearly all of it, and text takes ten times as long to write and read.
        """
        profiles = {"row_rms": self.row_rms, "col_rms": self.col_rms}
        head = vars(self) | {name: [numbers.typecode, len(numbers)] for name, numbers in profiles.items()}
        text = json.dumps(head, separators=(",", ":")).encode()
        return b"".join((text, b"\n", *(_little(numbers).tobytes() for numbers in profiles.values())))

    @classmethod
    def from_bytes(cls, body: bytes) -> "TensorStats":
        """What `to_bytes` gave; raises ValueError for anything else."""
        head, _, rest = body.partition(b"\n")
        try:
            data = json.loads(head)
            profiles = {}
            for name in ("row_rms", "col_rms"):
                kind, length = data[name]
                size = {"f": 4, "d": 8}[kind] * length
                if not 0 <= size <= len(rest):
                    raise ValueError("a profile is cut off")
                profiles[name] = _little(array(kind, rest[:size]))
                rest = rest[size:]
            if rest:
                raise ValueError("more than two profiles")
            percentiles = tuple((float(percent), float(value)) for percent, value in data["percentiles"])
            outliers = {
                name: tuple((int(index), float(ratio)) for index, ratio in data[name])
                for name in ("row_outliers", "col_outliers")
            }
            tuples = {"histogram": tuple(data["histogram"]), "percentiles": percentiles}
            return cls(**{**data, **profiles, **tuples, **outliers})
        except (ValueError, KeyError, TypeError, OverflowError):
            raise ValueError("no statistics of a tensor") from None


def profile(values: ArrayLike) -> "array[float]":
    """Numbers as a profile keeps them: as float32 if all are zero or in its normal range, else as float64."""
    wide = np.asarray(values, np.float64)
    narrow = bool(np.all((wide == 0) | ((wide >= _NORMAL[0]) & (wide <= _NORMAL[1]))))
    return array("f", wide.astype(np.float32).tobytes()) if narrow else array("d", wide.tobytes())


def _little(numbers: "array[float]") -> "array[float]":
    """Numbers in little-endian order, or back from it."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers
