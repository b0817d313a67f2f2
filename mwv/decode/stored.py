"""TensorInfo and its source in, a StoredTensor out: the elements of a file as bands of samples."""

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.source import Source, where
from mwv.checkpoint.wording import shown
from mwv.decode import blocks, plain
from mwv.decode.strided import gather
from mwv.decode.tensor import BAND_ROWS, Plain, Samples
from mwv.errors import UnsupportedError

RECIPE_VERSION = 1
"""Raised whenever the same bytes would give other values."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor, or one panel of fused experts, as it lies in a file; implements `Tensor`.

    A storage row is `row_elements` consecutive elements, counted from element `first`; of `elements` in all (by
    default the rest of the tensor), so the last row may be short. It makes `patch[0]` grid rows: the kernel
    (i, kh, kw) of a convolution (o, i, kh, kw) is drawn as i patches of kh × kw side by side.
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
        if self.row_elements < 1 or self.first < 0 or not 0 <= self.count <= self.info.elements - self.first:
            raise ValueError(f"{self.info.name}: rows of {self.row_elements} from element {self.first} are not in the tensor")
        if self.row_elements % (self.patch[0] * self.patch[1]):
            raise ValueError(f"{self.info.name}: rows of {self.row_elements} elements are not made of patches {self.patch}")
        block = self.info.dtype.block_elements
        if self.first % block or (self.bands > 1 and BAND_ROWS * self.row_elements % block):
            raise UnsupportedError(
                f"{where(self.source)}: tensor {shown(self.info.name)} packs {block} elements of {self.info.dtype.name} "
                f"together, and a row of {self.row_elements} from element {self.first} does not end with them; "
                "it cannot be drawn"
            )

    @property
    def count(self) -> int:
        """Number of elements in this tensor or panel."""
        return self.info.elements - self.first if self.elements is None else self.elements

    @property
    def bands(self) -> int:
        """Number of bands."""
        return -(-self.count // (BAND_ROWS * self.row_elements))

    @property
    def exponent(self) -> int:
        """The unit is 2**exponent: samples are stored value × unit."""
        return self.info.dtype.exponent

    def read(self, band: int) -> bytes:
        """The band's bytes; elements of a strided tensor come in logical order, as if it were contiguous."""
        info = self.info
        start = self.first + band * BAND_ROWS * self.row_elements
        count = self._band_elements(band)
        if info.strides is not None:
            size = info.dtype.block_bytes
            return gather(self.source.read, info.offset, info.shape, info.strides, size, start, start + count)
        return self.source.read(info.offset + info.dtype.nbytes(start), info.dtype.nbytes(count))

    def digest(self, band: int, raw: bytes) -> bytes:
        """Value digest of a band whose bytes are `raw`: BLAKE3 of the recipe, then of the bytes' own BLAKE3."""
        recipe = self._recipes[self._band_elements(band) < BAND_ROWS * self.row_elements]
        return blake3(recipe + blake3(raw).digest()).digest()

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
        elements = self._band_elements(band)
        rows = -(-elements // self.row_elements)
        whole = elements == rows * self.row_elements and self.row_elements % dtype.block_elements == 0
        if whole and self.patch[0] == 1:
            per_row = self.row_elements // dtype.block_elements
            begin, end = col // dtype.block_elements, -(-(col + cols) // dtype.block_elements)
            window = self._unpack(packed.reshape(rows, per_row, -1)[:, begin:end])
            col -= begin * dtype.block_elements
        else:
            row = self._unpack(packed)[0, :elements]
            if elements < rows * self.row_elements:
                row = np.concatenate((row, np.zeros(rows * self.row_elements - elements, row.dtype)))
            window = _mosaic(row.reshape(rows, -1), self.patch)
        return window[:, col : col + cols]

    def _unpack(self, packed: NDArray[np.uint8]) -> plain.Array:
        dtype = self.info.dtype
        return blocks.dequantise(dtype, packed) if dtype.kind == "block" else plain.unpack(dtype, self.info.byteorder, packed)

    def _band_elements(self, band: int) -> int:
        if not 0 <= band < self.bands:
            raise IndexError(f"band {band} of {self.bands}")
        return min(BAND_ROWS * self.row_elements, self.count - band * BAND_ROWS * self.row_elements)

    @cached_property
    def _recipes(self) -> tuple[bytes, bytes]:
        """What the value digest says beside the bytes: for a full band, and for a last one with fewer elements."""
        full = BAND_ROWS * self.row_elements
        return self._recipe(full), self._recipe(self.count % full)

    def _recipe(self, elements: int) -> bytes:
        facts = {
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
        return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def _mosaic(rows: plain.Array, patch: tuple[int, int]) -> plain.Array:
    """Rows of kernels (i, kh, kw) as kh grid rows each, with patches side by side."""
    high, wide = patch
    if high == 1:
        return rows
    kernels = rows.reshape(len(rows), -1, high, wide)
    return kernels.transpose(0, 2, 1, 3).reshape(len(rows) * high, -1)
