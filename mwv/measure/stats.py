"""What was measured about a tensor in, the same as a dictionary for JSON or as bytes out, and back from bytes."""

import json
import struct
from dataclasses import dataclass
from typing import Any


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
    row_rms: tuple[float, ...]
    """RMS of the finite elements of each grid row, to 6 digits, 0 where there is none; when there are more than 1,024
    rows, of each of 1,024 nearly equal runs of rows."""
    col_rms: tuple[float, ...]
    """The same for grid columns."""

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, numbers and None; every float is finite and survives JSON unchanged."""
        return vars(self) | {
            "percentiles": [list(pair) for pair in self.percentiles],
            "histogram": list(self.histogram),
            "row_rms": list(self.row_rms),
            "col_rms": list(self.col_rms),
        }

    def to_bytes(self) -> bytes:
        """A line of JSON with the lengths of the profiles instead of them, then their numbers as float64, little-endian.

        Profiles are nearly all of it, and text takes ten times as long to write and read.
        """
        profiles = (*self.row_rms, *self.col_rms)
        head = vars(self) | {"row_rms": len(self.row_rms), "col_rms": len(self.col_rms)}
        return json.dumps(head, separators=(",", ":")).encode() + b"\n" + struct.pack(f"<{len(profiles)}d", *profiles)

    @classmethod
    def from_bytes(cls, body: bytes) -> "TensorStats":
        """What `to_bytes` gave; raises ValueError for anything else."""
        head, _, rest = body.partition(b"\n")
        try:
            data = json.loads(head)
            rows, cols = data["row_rms"], data["col_rms"]
            numbers = struct.unpack(f"<{rows + cols}d", rest)
            percentiles = tuple((float(percent), float(value)) for percent, value in data["percentiles"])
            lists = {"histogram": tuple(data["histogram"]), "row_rms": numbers[:rows], "col_rms": numbers[rows:]}
            return cls(**{**data, **lists, "percentiles": percentiles})
        except (ValueError, KeyError, TypeError, struct.error):
            raise ValueError("no statistics of a tensor") from None
