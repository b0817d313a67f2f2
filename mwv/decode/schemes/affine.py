"""Torch's quantised tensors: integers with a scale and a zero point for all of them, or for each index of the first axis.

Source: torch.quantize_per_tensor and torch.quantize_per_channel.
"""

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.info import TensorInfo
from mwv.decode.schemes.scheme import Array, Window


class Affine:
    """values[r, c] = scale[r // rows] × (code[r, c] − zero[r // rows]), rounded once."""

    version = 1
    quantum = 1

    def __init__(self, info: TensorInfo) -> None:
        assert info.packing is not None
        self.period = max(prod(info.shape[1:-1]), 1)
        self._width = info.shape[-1]
        self._reals = info.packing.reals

    def windows(self, rows: range) -> Mapping[str, Window]:
        """Rows of codes, and the numbers of their channels."""
        found = {"codes": Window(rows, range(self._width))}
        if not self._reals:
            channels = range(rows.start // self.period, -(-rows.stop // self.period))
            found |= {"scales": Window(range(1), channels), "zeros": Window(range(1), channels)}
        return found

    def values(self, parts: Mapping[str, Array], rows: range, cols: range) -> NDArray[np.float32]:
        """Values of `rows` × `cols`."""
        if self._reals:
            scales, zeros = (np.full((1, 1), self._reals[name]) for name in ("scale", "zero"))
        else:
            which = np.arange(rows.start, rows.stop) // self.period - rows.start // self.period
            scales, zeros = (parts[role][0].astype(np.float64)[which, None] for role in ("scales", "zeros"))
        values: NDArray[np.float64] = (parts["codes"][:, cols.start : cols.stop].astype(np.float64) - zeros) * scales
        return values.astype(np.float32)
