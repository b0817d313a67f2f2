"""Packed GGUF blocks in, float32 values out."""

from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.dtypes import DType
from mwv.errors import UnsupportedError


def dequantise(dtype: DType, packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Values of `packed`, bytes of shape (rows, blocks, block_bytes), as an array (rows, blocks × block_elements).

    Raises UnsupportedError for a type that the gguf package cannot dequantise.
    """
    quants, kind = _quantisation(dtype.name)
    flat = packed.reshape(len(packed), -1)
    with np.errstate(all="ignore"):  # scales may be Inf or NaN: the values then are, and are shown
        try:
            return cast("NDArray[np.float32]", quants.dequantize(flat, kind))
        except NotImplementedError:
            raise UnsupportedError(f"GGUF type {dtype.name} cannot be dequantised by the installed gguf package") from None


@cache
def _quantisation(name: str) -> tuple[Any, Any]:
    """The module that dequantises and its number for type `name`; loaded late, since most models need none of it."""
    from gguf import GGMLQuantizationType, quants

    if name not in GGMLQuantizationType.__members__:
        raise UnsupportedError(f"GGUF type {name} is not known to the installed gguf package")
    return quants, GGMLQuantizationType[name]
