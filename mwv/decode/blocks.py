"""Packed GGUF blocks in, float32 values out."""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.dtypes import DType
from mwv.errors import UnsupportedError

Dequantise = Callable[[NDArray[np.uint8]], Any]
"""Rows of packed blocks to rows of float32."""


def dequantise(dtype: DType, packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Values of `packed`, bytes of shape (rows, blocks, block_bytes), as an array (rows, blocks × block_elements).

    Raises UnsupportedError for a type that the gguf package cannot dequantise.
    """
    with np.errstate(all="ignore"):  # scales may be Inf or NaN: the values then are, and are shown
        values: NDArray[np.float32] = _dequantiser(dtype)(packed.reshape(len(packed), -1))
    return values


@cache
def _dequantiser(dtype: DType) -> Dequantise:
    """What dequantises the type: libgguf where it is installed and gives what gguf gives, else gguf."""
    from gguf import GGMLQuantizationType, quants  # late: only such models need it

    kind = GGMLQuantizationType.__members__.get(dtype.name)
    sample = np.random.default_rng(0).integers(0, 256, (8, 8 * dtype.block_bytes), np.uint8)
    try:
        expected = None if kind is None else quants.dequantize(sample, kind)
    except NotImplementedError:
        expected = None
    if kind is None or expected is None:
        raise UnsupportedError(
            f"type {dtype.name} cannot be dequantised by the installed gguf package; a newer one may know it"
        )
    number = int(kind)
    # Threads are ours to start: libgguf's own would cost more than they bring on a band.
    os.environ.setdefault("LIBGGUF_NUM_THREADS", "1")
    try:
        from libgguf import dequantize_rows

        if np.array_equal(dequantize_rows(sample, number), expected, equal_nan=True):
            return lambda rows: dequantize_rows(rows, number)
    except (ImportError, OSError, ValueError):
        pass  # not installed, or without this type
    return lambda rows: quants.dequantize(rows, kind)
