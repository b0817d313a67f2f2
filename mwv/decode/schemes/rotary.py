"""Rows of q and k as llama.cpp orders them, in; as Hugging Face has them, out.

llama.cpp's converter turns a head's rows (half, pair) into (pair, half): its rotary embedding pairs neighbours,
Hugging Face's rows j and j + d/2. Source: `permute` of convert_hf_to_gguf.py.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.info import TensorInfo
from mwv.decode.schemes.scheme import Array, Window


class Rotary:
    """values[head, half, pair] = stored[head, pair, half]."""

    version = 1
    quantum = 1

    def __init__(self, info: TensorInfo) -> None:
        assert info.packing is not None
        self.period = info.packing.numbers["head"]
        self._part = info.packing.parts["weight"]

    def windows(self, rows: range) -> Mapping[str, Window]:
        """Whole heads; a bias is a row."""
        if len(self._part.shape) == 1:
            return {"weight": Window(range(1), range(self._part.shape[0]))}
        head = self.period
        return {"weight": Window(range(rows.start // head * head, -(-rows.stop // head) * head), range(self._part.shape[1]))}

    def values(self, parts: Mapping[str, Array], rows: range, cols: range) -> NDArray[np.float32]:
        """Rows, or elements of a bias, in their order before the conversion."""
        weight = parts["weight"]
        if len(self._part.shape) == 1:
            return weight[:, self._stored(cols)]
        return weight[self._stored(rows) - rows.start // self.period * self.period, cols.start : cols.stop]

    def _stored(self, wanted: range) -> NDArray[np.int64]:
        """Where the rows lie in the file."""
        rows = np.arange(wanted.start, wanted.stop)
        inside = rows % self.period
        return rows - inside + inside % (self.period // 2) * 2 + inside // (self.period // 2)
