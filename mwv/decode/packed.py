"""A logical TensorInfo and the files of its parts in, a PackedTensor out: bands of real values, made from several tensors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.info import Packing, TensorInfo
from mwv.checkpoint.source import Range, Source
from mwv.decode import blocks, plain
from mwv.decode.banded import RECIPE_VERSION, Banded, extent_of, form_of, spelt, value_digest
from mwv.decode.schemes import scheme_of
from mwv.decode.schemes.scheme import Array, Scheme, Window
from mwv.decode.strided import gather
from mwv.decode.tensor import Extent, Plain, Samples

_TOGETHER: Final = 32 << 20
"""Bytes of neighbouring bands that are read together: where parts lie across the bands, a band alone is many short runs."""


@dataclass(frozen=True)
class PackedTensor(Banded):
    """A logical tensor, or one panel of fused experts; implements `Tensor`.

    The bytes of a band are the windows of all parts that its values depend on, in the order of their roles.
    """

    shards: Sequence[Source]
    info: TensorInfo
    row_elements: int
    patch: tuple[int, int] = (1, 1)
    first: int = 0
    elements: int | None = None

    def __post_init__(self) -> None:
        """Check that the rows lie in the tensor."""
        self.check_grid()

    @property
    def packing(self) -> Packing:
        """What it is made of."""
        assert self.info.packing is not None
        return self.info.packing

    @property
    def extents(self) -> tuple[Extent, ...]:
        """Its parts, in the order of their roles."""
        return tuple(extent_of(self.shards[part.shard], part) for _, part in sorted(self.packing.parts.items()))

    def extents_of(self, bands: range) -> tuple[Extent, ...]:
        """The rows of its parts that some bands depend on; of strided parts all."""
        if not bands:
            return ()
        found = []
        for role, window in self._windows(self._rows(bands[0], bands[-1] + 1)):
            part = self.packing.parts[role]
            source, whole = extent_of(self.shards[part.shard], part)
            if part.strides is None:
                row = part.dtype.nbytes(part.shape[-1] if part.shape else 1)
                begin, end = (whole.begin + row * edge for edge in (window.rows.start, window.rows.stop))
                whole = Range(begin, min(end, whole.end), part.name)
            found.append((source, whole))
        return tuple(found)

    @property
    def form(self) -> tuple[object, ...]:
        """All that tells its bands from others of the same bytes."""
        packing = self.packing
        parts = [(role, *form_of(part)) for role, part in sorted(packing.parts.items())]
        numbers = sorted(packing.numbers.items()), sorted(packing.reals.items())
        how = packing.scheme, self.scheme.version, numbers, parts
        return (*how, self.info.shape, self.row_elements, self.patch, self.first, self.count)

    @cached_property
    def scheme(self) -> Scheme:
        """What makes the values."""
        return scheme_of(self.info)

    def read(self, band: int) -> bytes:
        """The windows of all parts that a band depends on, one after the other."""
        return next(self.read_run(range(band, band + 1)))

    def read_run(self, bands: range) -> Iterator[bytes]:
        """The bytes of several bands, one after the other."""
        while bands:
            count = 1
            while count < len(bands) and self._size(self._rows(bands[0], bands[count])) <= _TOGETHER:
                count = min(2 * count, len(bands))
            together, bands = bands[:count], bands[count:]
            whole = dict(self._windows(self._rows(together[0], together[-1] + 1)))
            read = {role: self._window(self.packing.parts[role], window) for role, window in whole.items()}
            for band in together:
                cut = []
                for role, window in self._windows(self._rows(band, band + 1)):
                    dtype, outer = self.packing.parts[role].dtype, whole[role]
                    top, left = window.rows.start - outer.rows.start, window.cols.start - outer.cols.start
                    wide = slice(dtype.nbytes(left), dtype.nbytes(left) + dtype.nbytes(len(window.cols)))
                    cut.append(read[role][top : top + len(window.rows), wide].tobytes())
                yield b"".join(cut)

    def digest(self, band: int, raw: bytes) -> bytes:
        """Value digest of a band whose bytes are `raw`."""
        start, count = self.run(band)
        rows = self._rows(band, band + 1)
        packing = self.packing
        facts = {
            "recipe": packing.scheme,
            "version": [RECIPE_VERSION, self.scheme.version],
            "numbers": {**packing.numbers, **packing.reals},
            "parts": {
                role: [packing.parts[role].dtype.name, packing.parts[role].byteorder, len(window.rows), len(window.cols)]
                for role, window in self._windows(rows)
            },
            "width": self._width,
            "rows": [rows.start % self.scheme.period, len(rows)],
            "begin": start - rows.start * self._width,
            "exponent": self.exponent,
            "row_elements": self.row_elements,
            "elements": count,
        }
        return value_digest(spelt(facts), raw)

    def samples(self, band: int, raw: bytes, col: int, cols: int) -> Samples:
        """Grid rows of the band, grid columns `col` to `col + cols`; a short last row is padded with zeros."""
        return Plain(self.numbers(band, raw, col, cols))

    def numbers(self, band: int, raw: bytes, col: int, cols: int) -> NDArray[np.float32]:
        """The same window as values without the unit."""
        start, count = self.run(band)
        rows, width = self._rows(band, band + 1), self._width
        parts = self._parts(rows, raw)
        with np.errstate(all="ignore"):  # scales may be Inf or NaN: the values then are, and are shown
            if self.row_elements == width and self.patch == (1, 1) and count == len(rows) * width:
                begin = col - col % self.scheme.quantum
                end = min(-(-(col + cols) // self.scheme.quantum) * self.scheme.quantum, width)
                return self.scheme.values(parts, rows, range(begin, end))[:, col - begin : col - begin + cols]
            whole = self.scheme.values(parts, rows, range(width)).reshape(-1)
        begin = start - rows.start * width
        return self.grid_rows(whole[begin : begin + count])[:, col : col + cols]

    @property
    def _width(self) -> int:
        """Columns of the tensor, seen as a matrix."""
        return self.info.shape[-1]

    def _rows(self, first: int, last: int) -> range:
        """Rows of the tensor, seen as a matrix, that hold the elements of bands `first` to `last` - 1."""
        begin = self.run(first)[0]
        end = sum(self.run(last - 1))
        return range(begin // self._width, -(-end // self._width))

    def _windows(self, rows: range) -> list[tuple[str, Window]]:
        return sorted(self.scheme.windows(rows).items())

    def _size(self, rows: range) -> int:
        return sum(
            len(window.rows) * self.packing.parts[role].dtype.nbytes(len(window.cols)) for role, window in self._windows(rows)
        )

    def _window(self, part: TensorInfo, window: Window) -> NDArray[np.uint8]:
        """The bytes of a window of a part, a row of bytes for each row."""
        size, packed = part.dtype.block_bytes, part.dtype.block_elements
        width = (part.shape[-1] if part.shape else 1) // packed
        left, wide = window.cols.start // packed, -(-len(window.cols) // packed)
        if part.strides is not None and len(part.shape) > 2:
            return self._folded(part, window.rows)[:, left * size : (left + wide) * size]
        strides = (width, 1) if part.strides is None else (0, *part.strides)[-2:]
        offset = part.offset + (window.rows.start * strides[0] + left * strides[1]) * size
        read = self.shards[part.shard].read
        count = len(window.rows) * wide
        if strides == (wide, 1):
            raw = read(offset, count * size)
        else:
            raw = gather(read, offset, (len(window.rows), wide), strides, size, 0, count)
        return np.frombuffer(raw, np.uint8).reshape(len(window.rows), wide * size)

    def _folded(self, part: TensorInfo, rows: range) -> NDArray[np.uint8]:
        """Rows of a strided part of more than two axes."""
        width, size = part.shape[-1], part.dtype.block_bytes
        read = self.shards[part.shard].read
        raw = gather(read, part.offset, part.shape, part.strides or (), size, rows.start * width, rows.stop * width)
        return np.frombuffer(raw, np.uint8).reshape(len(rows), width * size)

    def _parts(self, rows: range, raw: bytes) -> Mapping[str, Array]:
        """The windows of the parts of `rows` as numbers, from their bytes."""
        found: dict[str, Array] = {}
        place = 0
        for role, window in self._windows(rows):
            part = self.packing.parts[role]
            dtype, high = part.dtype, len(window.rows)
            size = high * dtype.nbytes(len(window.cols))
            packed = np.frombuffer(raw, np.uint8, size, place).reshape(high, -1, dtype.block_bytes)
            found[role] = _numbers(part, packed)
            place += size
        return found


def _numbers(part: TensorInfo, packed: NDArray[np.uint8]) -> Array:
    """Stored numbers of a part: floats as float32 or float64, integers as such."""
    if part.dtype.kind == "block":
        return blocks.dequantise(part.dtype, packed)
    return plain.numbers(part.dtype, plain.unpack(part.dtype, part.byteorder, packed))
