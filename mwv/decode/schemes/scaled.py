"""Short numbers with scales beside them, in; their products, out: FP8, NVFP4, MXFP4, compressed-tensors.

Codes are floats of 4, 6 or 8 bits or integers, the latter as they are or packed into 32-bit words along the rows, lowest bits
first and with half their range added. A scale is that of a block of rows × columns, from one element to the whole tensor.
Of 2:4-sparse matrices only the two codes of every four are stored, and a bit for each element says which they are.
Sources: the compressors of `compressed-tensors`, the `weight_dequant` of DeepSeek-V3, OCP Microscaling Formats 1.0.
"""

from collections.abc import Mapping
from math import lcm
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.info import TensorInfo
from mwv.compiled import compiled
from mwv.decode.schemes.gptq import unpack_rows
from mwv.decode.schemes.scheme import Array, Window, groups_of

_ZEROS_PERIOD: Final = 32
"""Rows after which zero points that are packed down the columns begin a word anew, whatever their bits."""


class Scaled:
    """values[r, c] = (code[r, c] − zero[s, g]) × scale[s, g] × global, rounded once.

    Its numbers: `block_rows` and `block_cols` of a scale (0: all there are), `panel`, the rows after which blocks begin anew
    (0: never), `bits` of packed integers (0: codes are numbers), `divide`, whether the global scale is to be divided by.
    """

    version = 2
    quantum = 32

    def __init__(self, info: TensorInfo) -> None:
        assert info.packing is not None
        numbers = info.packing.numbers
        self._panel, self._bits, self._divide = numbers["panel"], numbers["bits"], numbers["divide"]
        self._high, self._broad = numbers["block_rows"] or self._panel, numbers["block_cols"]
        self._width = info.shape[-1]
        self._parts = info.packing.parts
        self.period = lcm(self._panel or self._high or 1, _ZEROS_PERIOD if "packed_zeros" in self._parts else 1)

    def windows(self, rows: range) -> Mapping[str, Window]:
        """Rows of all parts; of scales, those of their blocks."""
        first, last = self._lines(np.array([rows[0], rows[-1]])).tolist()
        lines = range(first, last + 1)
        words = range(rows.start // 32 * self._bits, -(-rows.stop // 32) * self._bits)
        panels = range(rows[0] // self._panel, rows[-1] // self._panel + 1) if self._panel else range(1)
        rows_of = {"codes": rows, "mask": rows, "scales": lines, "zeros": lines, "packed_zeros": words, "global": panels}
        found = {}
        for role, part in self._parts.items():
            high = 1 if len(part.shape) == 1 else part.elements // part.shape[-1]
            wanted = range(1) if role == "g_idx" or (role == "global" and high == 1) else rows_of.get(role)
            if wanted is not None:
                found[role] = Window(range(wanted.start, min(wanted.stop, high)), range(part.shape[-1]))
        return found

    def values(self, parts: Mapping[str, Array], rows: range, cols: range) -> NDArray[np.float32]:
        """Values of `rows` × `cols`."""
        lines = self._lines(np.arange(rows.start, rows.stop))
        scales = parts["scales"].astype(np.float64) if "scales" in parts else np.ones((1, 1))
        if "global" in parts:
            whole = parts["global"].astype(np.float64)
            if len(whole) > 1:
                first, per_panel = rows[0] // self._panel, -(-self._panel // self._high)
                whole = whole[np.arange(lines[0], lines[-1] + 1) // per_panel - first]
            scales = scales / whole if self._divide else scales * whole
        # A negative number in the index says that it was never set.
        index = parts["g_idx"][0] if "g_idx" in parts and (parts["g_idx"] >= 0).all() else None
        groups, none = groups_of(cols, self._broad or self._width, scales.shape[1], index)
        codes = np.ascontiguousarray(self._codes(parts, cols))
        out = np.empty((len(rows), len(cols)), np.float32)
        scale_blocks(codes, self._zeros(parts, rows, scales), scales, lines - lines[0], groups, out)
        out[:, none] = np.nan
        return out

    def _lines(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row of scales that each row of elements has."""
        if self._panel:
            return rows // self._panel * -(-self._panel // self._high) + rows % self._panel // self._high
        return rows // self._high if self._high else np.zeros_like(rows)

    def _codes(self, parts: Mapping[str, Array], cols: range) -> Array:
        codes = parts["codes"]
        if "mask" in parts:
            whole = np.empty((len(codes), self._width), np.float32)
            place_sparse(codes, parts["mask"], whole)
            return whole[:, cols.start : cols.stop]
        if not self._bits:
            return codes[:, cols.start : cols.stop]
        words = codes.view(np.uint32)[:, cols.start * self._bits // 32 : -(-cols.stop * self._bits // 32)]
        unpacked = np.empty((len(codes), len(cols)), np.uint8)
        unpack_rows(np.ascontiguousarray(words), self._bits, unpacked)
        return unpacked

    def _zeros(self, parts: Mapping[str, Array], rows: range, scales: Array) -> NDArray[np.float64]:
        """Zero points in the places of their scales; both they and packed codes have half their range added."""
        if "packed_zeros" in parts:
            words = np.ascontiguousarray(parts["packed_zeros"].view(np.uint32).T)
            skip = rows.start % _ZEROS_PERIOD
            unpacked = np.empty((len(words), skip + len(rows)), np.uint8)
            unpack_rows(words, self._bits, unpacked)
            return np.ascontiguousarray(unpacked[:, skip:].T, np.float64)
        middle = float(1 << (self._bits - 1)) if self._bits else 0.0
        return parts["zeros"].astype(np.float64) + middle if "zeros" in parts else np.full(scales.shape, middle)


@compiled()
def scale_blocks(codes: Array, zeros: Array, scales: Array, lines: Array, groups: Array, out: Array) -> None:
    """out[r, c] = (codes[r, c] − zeros[s, g]) × scales[s, g] with s = lines[r] and g = groups[c]; zeros, scales in float64."""
    for r in range(out.shape[0]):
        s = lines[r]
        for c in range(out.shape[1]):
            g = groups[c]
            out[r, c] = (np.float64(codes[r, c]) - zeros[s, g]) * scales[s, g]


@compiled()
def place_sparse(codes: Array, mask: Array, out: Array) -> None:
    """Codes of each row in the places of its set bits (the lowest bit of a byte first), 0 in all others.

    A bit without a code becomes NaN.
    """
    for r in range(out.shape[0]):
        taken = 0
        for c in range(out.shape[1]):
            value = np.float32(0)
            if mask[r, c >> 3] >> (c & 7) & 1:
                value = np.float32(codes[r, taken]) if taken < codes.shape[1] else np.float32(np.nan)
                taken += 1
            out[r, c] = value
