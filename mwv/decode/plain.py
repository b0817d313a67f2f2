"""Packed elements of plain types in (floats, integers, unknown types as raw integers), samples out."""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mwv.checkpoint.dtypes import DType
from mwv.decode.tensor import Coded, Plain, Samples, Table

Array = NDArray[Any]

_ML_TYPES: Final = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2": "float8_e5m2",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
    "F6_E2M3": "float6_e2m3fn",
    "F6_E3M2": "float6_e3m2fn",
    "F4": "float4_e2m1fn",
}
"""Types that numpy lacks, by their names in ml_dtypes."""


def unpack(dtype: DType, byteorder: str, packed: NDArray[np.uint8]) -> Array:
    """Elements of `packed`, bytes of shape (rows, blocks, block_bytes), as an array (rows, elements).

    Elements of up to 16 bits are their bit patterns, complex ones pairs (re, im), all others numbers. It is a view of
    `packed` unless elements are smaller than a byte.
    """
    if dtype.block_elements == 2:
        return _nibbles(packed)
    if dtype.block_elements == 4:
        return _sextets(packed)
    return packed.view(_element_type(dtype, byteorder))[..., 0]


def samples(dtype: DType, elements: Array) -> Samples:
    """What `unpack` gave as samples: stored value × 2**exponent, complex numbers by their magnitude."""
    if dtype.kind == "complex":
        with np.errstate(all="ignore"):  # signalling NaNs stay NaNs, magnitudes beyond float64 become Inf
            return Plain(np.hypot(elements["re"].astype(np.float64), elements["im"].astype(np.float64)))
    native = elements.astype(elements.dtype.newbyteorder("="), copy=False)
    if elements.dtype.itemsize <= 2:
        return Coded(native, table(dtype))
    if dtype.name in ("F32", "F64"):
        return Plain(native)
    return Plain(native.astype(np.float64) * 2.0**dtype.exponent)


def numbers(dtype: DType, elements: Array) -> Array:
    """What `unpack` gave as stored values, without the unit: integers as such, short floats as float32."""
    native = elements.astype(elements.dtype.newbyteorder("="), copy=False)
    if dtype.kind == "complex":
        pairs = np.empty(native.shape, np.complex128)
        with np.errstate(invalid="ignore"):  # signalling NaNs stay NaNs
            pairs.real, pairs.imag = native["re"], native["im"]
        return pairs
    if native.itemsize > 2:
        return native
    return table(dtype).values[native] if dtype.kind == "float" else np.asarray(_values(dtype, native))


@cache
def table(dtype: DType) -> Table:
    """Values of a type of up to 16 bits by bit pattern, as float32; the unit leaves every one of them exact."""
    bits: Array = np.arange(65536, dtype=np.uint16) if dtype.block_bytes == 2 else np.arange(256, dtype=np.uint8)
    if dtype.block_elements > 1:
        bits &= 15 if dtype.block_elements == 2 else 63
    with np.errstate(invalid="ignore"):  # signalling NaNs stay NaNs
        values = _values(dtype, bits).astype(np.float32) * np.float32(2.0**dtype.exponent)
    values.setflags(write=False)
    return Table(dtype.name, values)


def _values(dtype: DType, bits: Array) -> Array:
    if dtype.kind == "bool":
        return np.not_equal(bits, 0)
    if dtype.kind == "int":
        return bits.view(f"i{bits.itemsize}")
    if dtype.kind != "float":
        return bits
    if dtype.name == "F16":
        return bits.view(np.float16)
    import ml_dtypes  # only here: most models need it for one type or none

    return bits.view(getattr(ml_dtypes, _ML_TYPES[dtype.name]))


def _element_type(dtype: DType, byteorder: str) -> np.dtype[Any]:
    """The numpy type under which an element is viewed in the file's bytes."""
    order = ">" if byteorder == "big" else "<"
    size = dtype.block_bytes
    if dtype.kind == "complex":
        part = f"{order}f{size // 2}"
        return np.dtype([("re", part), ("im", part)])
    letter = "u" if size <= 2 else {"float": "f", "int": "i"}.get(dtype.kind, "u")
    return np.dtype(f"{order}{letter}{size}")


def _nibbles(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two elements a byte, the low nibble first, as torch's float4_e2m1fn_x2 has it."""
    pairs = np.concatenate((packed & 15, packed >> 4), axis=-1)
    return pairs.reshape(len(packed), -1)


def _sextets(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Four elements in three bytes, lowest bits first; the format leaves the order open, this is that of the nibbles."""
    low, middle, high = packed[..., 0], packed[..., 1], packed[..., 2]
    four = (low & 63, low >> 6 | (middle & 15) << 2, middle >> 4 | (high & 3) << 4, high >> 2)
    return np.stack(four, axis=-1).reshape(len(packed), -1)
