"""TensorInfo and its source in, a StoredTensor out: the elements of a file as bands of samples."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.source import Range, Source
from mwv.checkpoint.wording import shown
from mwv.decode import blocks, plain
from mwv.decode.banded import RECIPE_VERSION, Banded, extent_of, form_of, spelt, value_digest
from mwv.decode.strided import gather
from mwv.decode.tensor import BAND_ROWS, Extent, Plain, Samples
from mwv.errors import UnsupportedError


@dataclass(frozen=True)
class StoredTensor(Banded):
    """A tensor, or one panel of fused experts, as it lies in a file; implements `Tensor`.

    Raises UnsupportedError when the panel starts, or a band would start, inside a packed block.
    """

    source: Source
    info: TensorInfo
    row_elements: int
    patch: tuple[int, int] = (1, 1)
    first: int = 0
    elements: int | None = None

    def __post_init__(self) -> None:
        """Check that the rows lie in the tensor and that bands start on whole blocks."""
        self.check_grid()
        block = self.info.dtype.block_elements
        if self.first % block or (self.bands > 1 and BAND_ROWS * self.row_elements % block):
            raise UnsupportedError(
                f"{self.source.place}: tensor {shown(self.info.name)} packs {block} elements of {self.info.dtype.name} "
                f"together, and a row of {self.row_elements} from element {self.first} does not end with them; "
                "it cannot be drawn"
            )

    @property
    def extents(self) -> tuple[Extent, ...]:
        """The stored tensor."""
        return (extent_of(self.source, self.info),)

    def extents_of(self, bands: range) -> tuple[Extent, ...]:
        """Where the bytes of some bands lie; of strided elements the whole tensor."""
        info = self.info
        if info.strides is not None or not bands:
            return self.extents if bands else ()
        begin, end = self.run(bands[0])[0], sum(self.run(bands[-1]))
        return ((self.source, Range(info.offset + info.dtype.nbytes(begin), info.offset + info.dtype.nbytes(end), info.name)),)

    @property
    def form(self) -> tuple[object, ...]:
        """All that tells its bands from others of the same bytes."""
        return (*form_of(self.info), self.row_elements, self.first, self.count)

    def read(self, band: int) -> bytes:
        """The band's bytes; elements of a strided tensor come in logical order, as if it were contiguous."""
        info = self.info
        start, count = self.run(band)
        if info.strides is not None:
            size = info.dtype.block_bytes
            return gather(self.source.read, info.offset, info.shape, info.strides, size, start, start + count)
        return self.source.read(info.offset + info.dtype.nbytes(start), info.dtype.nbytes(count))

    def read_run(self, bands: range) -> Iterator[bytes]:
        """The bytes of several bands, one after the other."""
        return map(self.read, bands)

    def digest(self, band: int, raw: bytes) -> bytes:
        """Value digest of a band whose bytes are `raw`."""
        return value_digest(self._recipes[self.run(band)[1] < BAND_ROWS * self.row_elements], raw)

    def samples(self, band: int, raw: bytes, col: int, cols: int) -> Samples:
        """Grid rows of the band, grid columns `col` to `col + cols`; a short last row is padded with zero bits."""
        window = self._window(band, raw, col, cols)
        return Plain(window) if self.info.dtype.kind == "block" else plain.samples(self.info.dtype, window)

    def numbers(self, band: int, raw: bytes, col: int, cols: int) -> plain.Array:
        """The same window as stored values, without the unit, in a type that holds each of them exactly."""
        window = self._window(band, raw, col, cols)
        return window if self.info.dtype.kind == "block" else plain.numbers(self.info.dtype, window)

    def _window(self, band: int, raw: bytes, col: int, cols: int) -> plain.Array:
        """The window's elements: values of packed blocks, else what `plain.unpack` gives."""
        dtype = self.info.dtype
        packed = np.frombuffer(raw, np.uint8).reshape(1, -1, dtype.block_bytes)
        elements = self.run(band)[1]
        rows = -(-elements // self.row_elements)
        whole = elements == rows * self.row_elements and self.row_elements % dtype.block_elements == 0
        if whole and self.patch[0] == 1:
            per_row = self.row_elements // dtype.block_elements
            begin, end = col // dtype.block_elements, -(-(col + cols) // dtype.block_elements)
            window = self._unpack(packed.reshape(rows, per_row, -1)[:, begin:end])
            col -= begin * dtype.block_elements
        else:
            window = self.grid_rows(self._unpack(packed)[0, :elements])
        return window[:, col : col + cols]

    def _unpack(self, packed: NDArray[np.uint8]) -> plain.Array:
        dtype = self.info.dtype
        return blocks.dequantise(dtype, packed) if dtype.kind == "block" else plain.unpack(dtype, self.info.byteorder, packed)

    @cached_property
    def _recipes(self) -> tuple[bytes, bytes]:
        """What the value digest says beside the bytes: for a full band, and for a last one with fewer elements."""
        full = BAND_ROWS * self.row_elements
        return self._recipe(full), self._recipe(self.count % full)

    def _recipe(self, elements: int) -> bytes:
        return spelt(
            {
                "recipe": "stored",
                "version": RECIPE_VERSION,
                "dtype": self.info.dtype.name,
                "kind": self.info.dtype.kind,
                "bytes": self.info.dtype.block_bytes,
                "byteorder": self.info.byteorder,
                "exponent": self.exponent,
                "row_elements": self.row_elements,
                "elements": elements,
            }
        )
