"""Numbers of eight bits with a scale for each row, or one for all: LLM.int8, types of optimum-quanto and torchao.

Source: `int8_vectorwise_dequant` of bitsandbytes; `QBytesDequantizer` of optimum-quanto.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.info import TensorInfo
from mwv.decode.schemes.scheme import Array, Window


class ByRow:
    """values[r, c] = code[r, c] × scale[r // rows] / divisor."""

    version = 1
    quantum = 1

    def __init__(self, info: TensorInfo) -> None:
        assert info.packing is not None
        self.period = info.packing.numbers["rows"]
        self._divisor = info.packing.numbers["divisor"]
        self._width = info.shape[-1]

    def windows(self, rows: range) -> Mapping[str, Window]:
        """Rows of codes, and their scales."""
        scales = range(rows.start // self.period, -(-rows.stop // self.period))
        return {"codes": Window(rows, range(self._width)), "scales": Window(range(1), scales)}

    def values(self, parts: Mapping[str, Array], rows: range, cols: range) -> NDArray[np.float32]:
        """Values of `rows` × `cols`, rounded once."""
        which = np.arange(rows.start, rows.stop) // self.period - rows.start // self.period
        scales = parts["scales"][0].astype(np.float64)[which, None]
        codes = parts["codes"][:, cols.start : cols.stop].astype(np.float64)
        values: NDArray[np.float64] = codes * scales / self._divisor
        return values.astype(np.float32)
