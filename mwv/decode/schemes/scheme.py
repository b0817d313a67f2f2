"""The contract of a scheme: rows of a logical tensor in, the windows of the parts that they need, and then values out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Window:
    """Rows and columns of a part, seen as a matrix: all axes but the last are rows, a vector is one row."""

    rows: range
    cols: range


class Scheme(Protocol):
    """How the values of one logical tensor are made; a value of its kind is built from the tensor's `TensorInfo`.

    The tensor is seen as a matrix, too: all axes but the last are rows.
    """

    version: int
    """Raised whenever the same parts would give other values."""
    period: int
    """Rows after which everything repeats: the same parts give the same values in rows r and r + period."""
    quantum: int
    """Columns are asked for from a multiple of this, and to one or to the last."""

    def windows(self, rows: range) -> Mapping[str, Window]:
        """The window of each part that the values of `rows` depend on, by its role."""

    def values(self, parts: Mapping[str, Array], rows: range, cols: range) -> NDArray[np.float32]:
        """Values of `rows` × `cols`; `parts` are the windows of `rows`, as stored numbers (raw bits of integers)."""


Groups = tuple[NDArray[np.int64], NDArray[np.bool_]]
"""The group of each column, and whether it is one that is not there, so that the values are NaN."""


def groups_of(columns: range, size: int, count: int, index: Array | None = None) -> Groups:
    """Columns in one of `count` groups: as `index`, a number for each of all columns, says, else in runs of `size`."""
    which = np.arange(columns.start, columns.stop) // size if index is None else index[columns.start : columns.stop]
    none = (which < 0) | (which >= count)
    return np.where(none, 0, which).astype(np.int64), none
