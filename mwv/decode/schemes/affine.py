"""Numbers with a scale, and perhaps a zero point, for each index of an axis or one for all: torch's, LLM.int8, quanto, torchao.

Sources: torch.quantize_per_tensor and torch.quantize_per_channel; `int8_vectorwise_dequant` of bitsandbytes;
`QBytesDequantizer` of optimum-quanto.
"""

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.info import TensorInfo
from mwv.decode.schemes.scheme import Array, Window


class Affine:
    """values[r, c] = (code[r, c] − zero[g]) × scale[g] / divisor, rounded once, with g = r // rows % groups.

    `rows` 0 means a group for each column, g = c. Without `scales` or `zeros` there is one number, among the reals, or no zero.
    """

    version = 1
    quantum = 1

    def __init__(self, info: TensorInfo) -> None:
        assert info.packing is not None
        numbers, parts = info.packing.numbers, info.packing.parts
        self._reals = {"zeros": 0.0, **info.packing.reals}
        self._numbered = [role for role in ("scales", "zeros") if role in parts]
        self._rows, self._divisor = numbers["rows"], numbers["divisor"]
        self._width = info.shape[-1]
        self._groups = parts["scales"].elements if "scales" in parts else 1
        self._again = bool(self._rows) and prod(info.shape[:-1]) > self._rows * self._groups
        self.period = max(self._rows * (self._groups if self._again else 1), 1)

    def windows(self, rows: range) -> Mapping[str, Window]:
        """Rows of codes, and the numbers of their groups: all of them where the groups begin again."""
        groups = range(self._groups)
        if self._rows and not self._again:
            groups = range(rows.start // self._rows, -(-rows.stop // self._rows))
        return {"codes": Window(rows, range(self._width))} | {role: Window(range(1), groups) for role in self._numbered}

    def values(self, parts: Mapping[str, Array], rows: range, cols: range) -> NDArray[np.float32]:
        """Values of `rows` × `cols`."""
        spread = {role: self._spread(parts[role][0].astype(np.float64), rows, cols) for role in self._numbered}
        numbers = self._reals | spread
        codes = parts["codes"][:, cols.start : cols.stop].astype(np.float64)
        values: NDArray[np.float64] = (codes - numbers["zeros"]) * numbers["scales"] / self._divisor
        return values.astype(np.float32)

    def _spread(self, numbers: NDArray[np.float64], rows: range, cols: range) -> NDArray[np.float64]:
        """The number of each row, or of each column."""
        if not self._rows:
            return numbers[None, cols.start : cols.stop]
        groups = np.arange(rows.start, rows.stop) // self._rows
        return numbers[groups % self._groups if self._again else groups - rows.start // self._rows, None]
