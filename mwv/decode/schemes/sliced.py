"""HQQ, optimum-quanto and torchao: a weight seen as lines of groups, its codes of a few bits packed slice over slice.

The weight in row-major order is cut into lines: a line for each group, or (HQQ's axis 0) a column for each group. The lines are
divided into slices of equal height that lie over each other in the bits of one matrix of words, so line l is in slice
l // height, at word row l % height.
Source: `Quantizer` and `BitPack` of hqq; `QBitsDequantizer` and `unpack` of optimum-quanto; `dequantize_affine` of torchao.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.info import TensorInfo
from mwv.compiled import compiled
from mwv.decode.schemes.scheme import Array, Window


class Sliced:
    """values[e] = (code[e] − zero[g]) × scale[g] − shift[g], g being the group of element e.

    A code is what `mask` leaves of a word that is shifted right; -1 leaves all of it, with its sign.

    The matrix of words is a part for each slice: `codes0` is seen through the first slice's bits, and so on.
    """

    version = 1
    quantum = 1

    def __init__(self, info: TensorInfo) -> None:
        assert info.packing is not None
        numbers = info.packing.numbers
        self._parts = info.packing.parts
        self._width = info.shape[-1]
        self._height, self._line = self._parts["codes0"].shape
        self._slices = sum(role.startswith("codes") for role in self._parts)
        self._mask = numbers["mask"]
        self._first_bit, self._bit_step = numbers["first_bit"], numbers["bit_step"]
        self._columns = bool(numbers["columns"])
        self.period = self._line // math.gcd(self._line, self._width)

    def windows(self, rows: range) -> Mapping[str, Window]:
        """Lines of each slice, whole unless the rows lie within one; the numbers of the groups in them."""
        lines, inside = self._lines(rows)
        found = {}
        for i in range(self._slices):
            begin, end = max(lines.start, i * self._height), min(lines.stop, (i + 1) * self._height)
            if begin < end:
                found[f"codes{i}"] = Window(range(begin - i * self._height, end - i * self._height), inside)
        groups = Window(range(1), inside if self._columns else lines)
        return found | {role: groups for role in ("scale", "zero", "shift") if role in self._parts}

    def values(self, parts: Mapping[str, Array], rows: range, cols: range) -> NDArray[np.float32]:
        """Values of `rows` × `cols`, rounded once."""
        lines, inside = self._lines(rows)
        scale = parts["scale"][0].astype(np.float64)
        zero, shift = (
            parts[role][0].astype(np.float64) if role in parts else np.zeros_like(scale) for role in ("zero", "shift")
        )
        out = np.empty((len(rows), len(cols)), np.float32)
        first = rows.start * self._width + cols.start
        for i in range(self._slices):
            if (words := parts.get(f"codes{i}")) is not None:
                top = max(lines.start, i * self._height)
                bits = self._first_bit + i * self._bit_step, self._mask
                corner = top, inside.start, inside.start if self._columns else lines.start
                unpack(words, bits, corner, self._columns, (scale, zero, shift), first, (self._width, self._line), out)
        return out

    def _lines(self, rows: range) -> tuple[range, range]:
        """The lines that rows touch, and the places in a line."""
        first, last = rows.start * self._width, rows.stop * self._width
        lines = range(first // self._line, -(-last // self._line))
        if len(lines) > 1:
            return lines, range(self._line)
        return lines, range(first - lines.start * self._line, last - lines.start * self._line)


@compiled()
def unpack(
    words: Array,
    bits: tuple[int, int],
    corner: tuple[int, int, int],
    columns: bool,
    numbers: tuple[Array, Array, Array],
    first: int,
    widths: tuple[int, int],
    out: Array,
) -> None:
    """Fill what one slice holds of a window that begins at element `first`.

    `bits` are the lowest bit of its codes and their mask, `corner` the line and the place of the first word and the group of
    the first number, `widths` elements of a row and of a line.
    """
    low, mask = bits
    top, left, group = corner
    scale, zero, shift = numbers
    width, length = widths
    bottom = top + words.shape[0]
    for i in range(out.shape[0]):
        e = first + i * width
        j = 0
        while j < out.shape[1]:
            line = e // length
            place = e - line * length
            count = min(out.shape[1] - j, length - place)
            if top <= line < bottom:
                for k in range(count):
                    g = (place + k if columns else line) - group
                    code = np.int64(words[line - top, place + k - left]) >> low & mask
                    out[i, j + k] = (code - zero[g]) * scale[g] - shift[g]
            e += count
            j += count
