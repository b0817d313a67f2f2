"""Parts of a GPTQ or AWQ layer in, values out: integers of a few bits in 32-bit words, scales and zero points by input group.

Both store a linear layer transposed, inputs × outputs. GPTQ packs along the inputs, the lowest bits first (values may reach
into the next word), and zero points along the outputs, one less than they mean in its first version; `g_idx` gives the group
of each input, whose values are NaN if there is none. AWQ packs both along the outputs, in the order 0, 2, 4, 6, 1, 3, 5, 7 of a
word's nibbles, and stores zero points as they are.
Source: the packing functions of AutoGPTQ (`qlinear_cuda`) and AutoAWQ (`WQLinear_GEMM`).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.info import TensorInfo
from mwv.compiled import compiled
from mwv.decode.schemes.scheme import Array, Window, groups_of

_AWQ_ORDER: Final = (0, 2, 4, 6, 1, 3, 5, 7)
"""Output that the i-th nibble of a word holds."""


class Gptq:
    """values[o, i] = (code[i, o] − zero[group(i), o]) × scale[group(i), o]."""

    version = 2
    period = 32
    quantum = 32

    def __init__(self, info: TensorInfo) -> None:
        assert info.packing is not None
        self._bits = info.packing.numbers["bits"]
        self._group = info.packing.numbers["group"]
        self._offset = info.packing.numbers["zero_offset"]
        self._parts = info.packing.parts

    def windows(self, rows: range) -> Mapping[str, Window]:
        """Columns of all parts but `g_idx`; zero points in whole runs of 32."""
        groups = range(self._parts["scales"].shape[0])
        found = {"codes": Window(range(self._parts["codes"].shape[0]), rows), "scales": Window(groups, rows)}
        if "zeros" in self._parts:
            first, last = rows.start // 32 * self._bits, -(-rows.stop // 32) * self._bits
            found["zeros"] = Window(groups, range(first, min(last, self._parts["zeros"].shape[1])))
        if "g_idx" in self._parts:
            found["g_idx"] = Window(range(1), range(self._parts["g_idx"].shape[0]))
        return found

    def values(self, parts: Mapping[str, Array], rows: range, cols: range) -> NDArray[np.float32]:
        """Values of outputs `rows` and inputs `cols`."""
        scales = parts["scales"].astype(np.float32, copy=False)
        middle = 1 << (self._bits - 1)
        if "zeros" in parts:
            words = np.ascontiguousarray(parts["zeros"].view(np.uint32))
            stored = np.empty((len(words), words.shape[1] * 32 // self._bits), np.uint32)
            unpack_rows(words, self._bits, stored)
            skip = rows.start % 32
            zeros = (stored[:, skip : skip + len(rows)] + np.uint32(self._offset)) & np.uint32((1 << self._bits) - 1)
        else:
            zeros = np.full(scales.shape, middle, np.uint32)
        index = parts["g_idx"][0] if "g_idx" in parts else None
        groups, none = groups_of(cols, self._group, len(scales), index)
        words = parts["codes"].view(np.uint32)[cols.start * self._bits // 32 : -(-cols.stop * self._bits // 32)]
        out = np.empty((len(rows), len(cols)), np.float32)
        affine_columns(
            np.ascontiguousarray(words), self._bits, np.ascontiguousarray(scales), np.ascontiguousarray(zeros), groups, out
        )
        out[:, none] = np.nan
        return out


class Awq:
    """values[o, i] = (code[i, o] − zero[group(i), o]) × scale[group(i), o], of four bits."""

    version = 1
    period = 8
    quantum = 1

    def __init__(self, info: TensorInfo) -> None:
        assert info.packing is not None
        self._group = info.packing.numbers["group"]
        self._parts = info.packing.parts

    def windows(self, rows: range) -> Mapping[str, Window]:
        """Columns of all parts, packed ones in whole words."""
        words = range(rows.start // 8, -(-rows.stop // 8))
        groups = range(self._parts["scales"].shape[0])
        found = {"codes": Window(range(self._parts["codes"].shape[0]), words), "scales": Window(groups, rows)}
        if "zeros" in self._parts:
            found["zeros"] = Window(groups, words)
        return found

    def values(self, parts: Mapping[str, Array], rows: range, cols: range) -> NDArray[np.float32]:
        """Values of outputs `rows` and inputs `cols`."""
        skip = rows.start % 8
        codes = _nibbles(parts["codes"][cols.start : cols.stop])[:, skip : skip + len(rows)]
        scales = parts["scales"].astype(np.float32, copy=False)
        zeros = _nibbles(parts["zeros"])[:, skip : skip + len(rows)] if "zeros" in parts else np.full(scales.shape, 8, np.uint8)
        groups = np.arange(cols.start, cols.stop) // self._group
        shifted = codes.astype(np.float32) - zeros[groups].astype(np.float32)
        return np.ascontiguousarray((shifted * scales[groups]).T)


def _nibbles(words: Array) -> NDArray[np.uint8]:
    """Eight outputs of each word, in order."""
    raw = words.view(np.uint32)
    out = np.empty((*raw.shape, 8), np.uint8)
    for nibble, output in enumerate(_AWQ_ORDER):
        out[..., output] = raw >> np.uint32(4 * nibble) & np.uint32(15)
    return out.reshape(len(raw), -1)


@compiled()
def unpack_rows(words: Array, bits: int, out: Array) -> None:
    """Codes of `bits` bits, lowest first, along the rows of `words` (uint32)."""
    mask = np.uint32((1 << bits) - 1)
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            place = j * bits
            word, shift = place >> 5, place & 31
            code = words[i, word] >> np.uint32(shift)
            if shift + bits > 32:
                code |= words[i, word + 1] << np.uint32(32 - shift)
            out[i, j] = code & mask


@compiled()
def affine_columns(words: Array, bits: int, scales: Array, zeros: Array, groups: Array, out: Array) -> None:
    """out[o, i] = (code[i, o] − zeros[g, o]) × scales[g, o] with g = groups[i].

    Codes lie down the columns of `words`, lowest bits first.
    """
    mask = np.uint32((1 << bits) - 1)
    outputs, inputs = out.shape
    for begin in range(0, inputs, 32):
        end = min(begin + 32, inputs)
        for o in range(outputs):
            for i in range(begin, end):
                place = i * bits
                word, shift = place >> 5, place & 31
                code = words[word, o] >> np.uint32(shift)
                if shift + bits > 32:
                    code |= words[word + 1, o] << np.uint32(32 - shift)
                g = groups[i]
                out[o, i] = (np.float32(code & mask) - np.float32(zeros[g, o])) * scales[g, o]
