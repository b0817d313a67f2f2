"""A tensor's elements and its grid in, bands of them out: what stored and packed tensors have in common."""

import json
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.source import Range, Source
from mwv.decode.tensor import BAND_ROWS, Extent

RECIPE_VERSION = 1
"""Raised whenever the same bytes would give other values."""


class Banded:
    """A tensor, or one panel of fused experts, whose bands are runs of its elements in row-major order.

    A storage row is `row_elements` consecutive elements, counted from element `first`; of `elements` in all (by
    default the rest of the tensor), so the last row may be short. It makes `patch[0]` grid rows: the kernel
    (i, kh, kw) of a convolution (o, i, kh, kw) is drawn as i patches of kh × kw side by side.
    """

    info: TensorInfo
    row_elements: int
    patch: tuple[int, int]
    first: int
    elements: int | None

    def check_grid(self) -> None:
        """Raise ValueError unless the rows lie in the tensor."""
        name = self.info.name
        if self.row_elements < 1 or self.first < 0 or not 0 <= self.count <= self.info.elements - self.first:
            raise ValueError(f"{name}: rows of {self.row_elements} from element {self.first} are not in the tensor")
        if self.row_elements % (self.patch[0] * self.patch[1]):
            raise ValueError(f"{name}: rows of {self.row_elements} elements are not made of patches {self.patch}")

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

    def run(self, band: int) -> tuple[int, int]:
        """First element of a band, counted in the tensor, and how many it has."""
        if not 0 <= band < self.bands:
            raise IndexError(f"band {band} of {self.bands}")
        begin = band * BAND_ROWS * self.row_elements
        return self.first + begin, min(BAND_ROWS * self.row_elements, self.count - begin)

    def grid_rows(self, elements: NDArray[Any]) -> NDArray[Any]:
        """The elements of a band as grid rows; a short last row is padded with zero bits."""
        return grid_rows(elements, self.row_elements, self.patch)


def grid_rows(elements: NDArray[Any], row_elements: int, patch: tuple[int, int]) -> NDArray[Any]:
    """Elements in storage rows as grid rows; a short last row is padded with zero bits."""
    rows = -(-len(elements) // row_elements)
    if lacking := rows * row_elements - len(elements):
        elements = np.concatenate((elements, np.zeros(lacking, elements.dtype)))
    return _mosaic(elements.reshape(rows, -1), patch)


def value_digest(recipe: bytes, raw: bytes) -> bytes:
    """Digest of the values that a recipe makes of bytes: BLAKE3 of the recipe, then of the bytes' own BLAKE3."""
    return blake3(recipe + blake3(raw).digest()).digest()


def spelt(facts: dict[str, Any]) -> bytes:
    """A recipe as canonical JSON."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def form_of(info: TensorInfo) -> tuple[object, ...]:
    """How a stored tensor lies in its bytes."""
    return info.dtype.name, info.byteorder, info.shape, info.strides


def extent_of(source: Source, info: TensorInfo) -> Extent:
    """Where a stored tensor lies."""
    return source, Range(info.offset, info.offset + info.nbytes, info.name)


def _mosaic(rows: NDArray[Any], patch: tuple[int, int]) -> NDArray[Any]:
    """Rows of kernels (i, kh, kw) as kh grid rows each, with patches side by side."""
    high, wide = patch
    if high == 1:
        return rows
    kernels = rows.reshape(len(rows), -1, high, wide)
    return kernels.transpose(0, 2, 1, 3).reshape(len(rows) * high, -1)
