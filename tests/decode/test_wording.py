"""How tensors are decoded, in words, for every kind of type."""

from dataclasses import replace

import pytest

from mwv.checkpoint.dtypes import PLAIN, QUANTISED, DType, raw_dtype
from mwv.checkpoint.info import TensorInfo
from mwv.decode.wording import how_decoded


def info(dtype: DType | None) -> TensorInfo:
    assert dtype is not None
    return TensorInfo("w", dtype, (4, 256), 0, 0, dtype.nbytes(1024))


@pytest.mark.parametrize("name", ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I8", "U32", "I64", "BOOL"])
def test_plain_numbers_need_no_words(name: str) -> None:
    assert how_decoded(info(PLAIN[name])) == ""


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (DType("Q4_K", "block", 256, 144), "dequantised from Q4_K blocks of 256"),
        (raw_dtype("X16", 16), "unknown type, shown as integers of 16 bits"),
        (raw_dtype("X4", 4), "unknown type, shown as integers of 4 bits"),
        (QUANTISED["QUINT4X2"], "2 elements in a byte, quantised, shown as the integers that are stored"),
        (PLAIN["C64"], "measured by magnitude"),
        (PLAIN["F4"], "2 elements in a byte"),
        (PLAIN["F6_E3M2"], "4 elements in 3 bytes"),
    ],
)
def test_other_types_say_what_was_done(dtype: DType, text: str) -> None:
    assert how_decoded(info(dtype)) == text


def test_the_way_they_lie_is_said_too() -> None:
    plain = info(PLAIN["F32"])
    assert how_decoded(replace(plain, strides=(1, 4))) == "gathered from a strided view"
    assert how_decoded(replace(plain, byteorder="big")) == "from big-endian numbers"
    assert how_decoded(replace(info(PLAIN["I8"]), byteorder="big")) == ""  # a byte has no order
    both = replace(info(PLAIN["C64"]), strides=(1, 4), byteorder="big")
    assert how_decoded(both) == "measured by magnitude, gathered from a strided view, from big-endian numbers"
