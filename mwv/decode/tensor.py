"""The contract of decode: a band's number in, its bytes, value digest and samples out, whatever makes the values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.source import Range, Source

BAND_ROWS: Final = 64
"""Storage rows in a band, the unit of reading, hashing and dequantising."""


@dataclass(frozen=True, eq=False)
class Table:
    """Values of a small type by bit pattern: 256 or 65,536 floats, stored value × unit."""

    name: str
    values: NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Coded:
    """A window of elements as bit patterns (uint8 or uint16, rows × cols) and the table that gives their values."""

    bits: NDArray[np.unsignedinteger[Any]]
    table: Table


@dataclass(frozen=True, eq=False)
class Plain:
    """A window of elements as float32 or float64 (rows × cols), stored value × unit."""

    values: NDArray[np.floating[Any]]


Samples = Coded | Plain

Extent = tuple[Source, Range]
"""Bytes of a file."""


class Tensor(Protocol):
    """Something with a grid of values that can be had band by band: stored, or later a delta or computed.

    Grid rows and columns are those of `layout.Grid`; a band is `BAND_ROWS` storage rows, the last may have fewer.
    """

    @property
    def extents(self) -> tuple[Extent, ...]:
        """The stored tensors that its values depend on, each as a whole."""

    def extents_of(self, bands: range) -> tuple[Extent, ...]:
        """Where the bytes of some bands lie, perhaps with some between them."""

    @property
    def form(self) -> tuple[object, ...]:
        """All that tells its bands from others of the same bytes."""

    @property
    def bands(self) -> int:
        """Number of bands."""

    @property
    def exponent(self) -> int:
        """The unit is 2**exponent: samples are stored value × unit."""

    def read(self, band: int) -> bytes:
        """The bytes that the band's values depend on."""

    def read_run(self, bands: range) -> Iterator[bytes]:
        """The same for several bands, which may take fewer and longer reads."""

    def digest(self, band: int, raw: bytes) -> bytes:
        """Value digest (32 bytes) of a band whose bytes are `raw`."""

    def samples(self, band: int, raw: bytes, col: int, cols: int) -> Samples:
        """Grid rows of the band, grid columns `col` to `col + cols`; a short last row is padded with zeros."""
