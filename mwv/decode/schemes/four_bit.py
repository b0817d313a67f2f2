"""bitsandbytes' NF4 and FP4: codes of four bits into a table of the file, in blocks of elements with a scale each.

Elements are counted row by row through the whole tensor, so a block may reach over the end of a row; of two codes in a byte
the high one comes first. With double quantisation the scales are themselves codes of eight bits, in blocks with a scale, less
their mean. All steps are in float32, as in the library.
Source: `dequantize_4bit` and `dequantize_blockwise` of bitsandbytes.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.info import TensorInfo
from mwv.compiled import compiled
from mwv.decode.schemes.scheme import Array, Window


class FourBit:
    """values[e] = table[code[e]] × scale[e // block]; scale[b] = absmax[b], or with double quantisation

    nested_table[absmax[b]] × nested_absmax[b // nested] + offset.
    """

    version = 1
    quantum = 1

    def __init__(self, info: TensorInfo) -> None:
        assert info.packing is not None
        numbers = info.packing.numbers
        self._width = info.shape[-1]
        self._block = numbers["block"]
        self._nested = numbers.get("nested")
        self._offset = np.uint32(numbers.get("offset", 0)).view(np.float32)
        repeats = math.lcm(2, self._block * (self._nested or 1))
        self.period = repeats // math.gcd(repeats, self._width)

    def windows(self, rows: range) -> Mapping[str, Window]:
        """Runs of codes and of scales, and whole tables."""
        elements = range(rows.start * self._width, rows.stop * self._width)
        blocks = _over(elements, self._block)
        found = {"codes": _over(elements, 2), "absmax": blocks, "table": range(16)}
        if self._nested:
            found |= {"nested_absmax": _over(blocks, self._nested), "nested_table": range(256)}
        return {role: Window(range(1), cols) for role, cols in found.items()}

    def values(self, parts: Mapping[str, Array], rows: range, cols: range) -> NDArray[np.float32]:
        """Values of `rows` × `cols`."""
        first = rows.start * self._width
        scales = parts["absmax"][0]
        if self._nested:
            begin = first // self._block
            which = (begin + np.arange(len(scales))) // self._nested - begin // self._nested
            nested = parts["nested_absmax"][0].astype(np.float32)[which]
            scales = parts["nested_table"][0].astype(np.float32)[scales] * nested + self._offset
        table = parts["table"][0].astype(np.float32)
        out = np.empty((len(rows), len(cols)), np.float32)
        unpack(parts["codes"][0], table, scales.astype(np.float32), first, self._width, self._block, cols.start, out)
        return out


def _over(elements: range, size: int) -> range:
    """The blocks of so many elements that a run of elements touches."""
    return range(elements.start // size, -(-elements.stop // size))


@compiled()
def unpack(codes: Array, table: Array, scales: Array, first: int, width: int, block: int, col: int, out: Array) -> None:
    """Columns from `col` on of rows of `width` elements; codes and scales begin with those of element `first`."""
    first_byte, first_block = first >> 1, first // block
    for i in range(out.shape[0]):
        e = first + i * width + col
        j = 0
        while j < out.shape[1]:
            b = e // block
            scale = scales[b - first_block]
            stop = min(out.shape[1], j + (b + 1) * block - e)
            while j < stop:
                pair = np.int64(codes[(e >> 1) - first_byte])
                out[i, j] = table[pair & 15 if e & 1 else pair >> 4] * scale
                e += 1
                j += 1
