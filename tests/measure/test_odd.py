"""What is odd about tensors: each oddity is said with its figures, and what only resembles one is not."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from blake3 import blake3
from slab_measuring import measured

from mwv.checkpoint.dtypes import PLAIN
from mwv.checkpoint.info import TensorInfo
from mwv.measure.odd import Finding, Measured, findings, tied

RNG = np.random.default_rng(5)
NOISE = RNG.standard_normal((64, 48)).astype(np.float32)
TYPES = {"float32": "F32", "float64": "F64", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "bool": "BOOL"}


def tensor(values: np.ndarray, name: str = "w", offset: int = 0, patch: tuple[int, int] = (1, 1), dtype: str = "") -> Measured:
    """As it would be measured: rows and columns of the first axis by all others, or of patches."""
    info = TensorInfo(name, PLAIN[dtype or TYPES[values.dtype.name]], values.shape, 0, offset, values.nbytes)
    grid = values.reshape(len(values) if values.ndim > 1 else 1, -1)
    if patch != (1, 1):
        out, inner = values.shape[:2]
        grid = values.transpose(0, 2, 1, 3).reshape(out * patch[0], inner * patch[1])
    wide = np.ascontiguousarray(grid, np.float64 if values.itemsize == 8 else np.float32)
    return Measured(info, measured(wide), blake3(values.tobytes()).digest(), len(grid), patch)


def said(*tensors: Measured) -> list[tuple[str, str]]:
    return [(finding.kind, finding.text) for finding in findings(tensors)]


def changed(values: np.ndarray, **at: float) -> np.ndarray:
    """A copy with other values at some flat places, which are spelt i0, i7, …"""
    values = values.copy()
    for place, value in at.items():
        values.flat[int(place[1:])] = value
    return values


def test_a_usual_tensor_has_no_findings() -> None:
    for values in (NOISE, NOISE.astype(np.float64), NOISE.astype(np.float16), np.arange(100), np.ones(1), NOISE[0]):
        assert said(tensor(values)) == []


def test_nan_and_infinity_are_counted() -> None:
    values = changed(NOISE, i3=np.nan, i4=np.inf, i5=-np.inf, i70=np.nan, i71=np.nan)
    assert said(tensor(values)) == [("nan", "3 NaN of 3,072"), ("inf", "2 infinite of 3,072")]
    assert said(tensor(np.full((3, 4), np.nan, np.float32))) == [("nan", "12 NaN of 12")]


@pytest.mark.parametrize("values", [np.zeros((30, 40), np.float32), -np.zeros(1200, np.float16), np.zeros(1200, bool)])
def test_zero(values: np.ndarray) -> None:
    assert said(tensor(values)) == [("zero", "all 1,200 elements are zero")]


def test_one_number_other_than_zero_is_constant() -> None:
    assert said(tensor(np.full((4, 5), -0.25, np.float32))) == [("constant", "all 20 elements are -0.25")]
    assert said(tensor(np.full(2000, 7))) == [("constant", "all 2,000 elements are 7")]
    assert said(tensor(np.array([3.0, 3.0, np.nan], np.float32))) == [("nan", "1 NaN of 3")]
    magnitudes = np.full((4, 4), 1.0, np.float32)  # of 1, -1 and i, say
    assert said(tensor(magnitudes, dtype="C64")) == []
    assert said(tensor(np.array([2**60, 2**60 + 1]))) == []  # one number as float64


def test_single_elements_are_neither_zero_nor_constant_nor_duplicates() -> None:
    one = np.full((), 3.0, np.float32).reshape(1)
    assert said(tensor(one), tensor(one, "b", 4), tensor(one * 0, "c", 8)) == []


@pytest.mark.parametrize(
    ("kind", "small", "normal"),
    [(np.float32, 2.0**-127, 2.0**-126), (ml_dtypes.bfloat16, 2.0**-133, 2.0**-126), (np.float64, 1e-300, 2.0**-126)],
)
def test_subnormal_numbers_of_wide_types(kind: type, small: float, normal: float) -> None:
    values = changed(NOISE, i0=normal, i1=-normal, i2=0.0, i3=-0.0).astype(kind)
    assert said(tensor(values)) == []
    values.flat[4], values.flat[500] = small, -small
    assert said(tensor(values)) == [("denormal", "2 of 3,072 not zero but below 2^-126")]


def test_subnormal_numbers_of_f16_are_odd_when_they_are_many() -> None:
    values = np.where(np.abs(NOISE) < 1e-4, 1, NOISE).astype(np.float16)
    values.flat[:20] = 2.0**-14
    values.flat[20:50] = np.finfo(np.float16).smallest_subnormal
    assert said(tensor(values)) == []
    values.flat[50] = -(2.0**-15)
    assert said(tensor(values)) == [("denormal", "31 of 3,072 not zero but below 2^-14")]


def test_types_that_are_not_floats_have_no_subnormal_numbers() -> None:
    small = np.full((4, 4), 1e-40, np.float32)
    small[0] = 1
    assert said(tensor(small, dtype="C64")) == []
    assert said(tensor(small, dtype="F8_E4M3")) == []


def test_duplicates_name_the_first_of_them() -> None:
    other = changed(NOISE, i0=9.0)
    found = findings(
        [tensor(v, name, at) for at, (name, v) in enumerate(zip("abcd", (NOISE, other, NOISE, NOISE), strict=True))]
    )
    text = "the same 3,072 values as a"
    assert found == (Finding("duplicate", "c", text), Finding("duplicate", "d", text))


def test_equal_bytes_in_another_shape_are_no_duplicates() -> None:
    assert said(tensor(NOISE), tensor(NOISE.reshape(48, 64), "b", 99)) == []


def test_tied_tensors_are_no_duplicates() -> None:
    first, twin, copy = tensor(NOISE), tensor(NOISE, "tied"), tensor(NOISE, "copy", 5000)
    assert said(first, twin) == []
    assert said(first, twin, copy) == [("duplicate", "the same 3,072 values as w")]
    infos = [first.info, copy.info, twin.info, replace(twin.info, strides=(1, 64)), replace(twin.info, shape=(0, 9))]
    assert tied(infos + infos[-1:]) == {2: 0}


def test_zeros_and_constants_are_not_duplicates_as_well() -> None:
    zeros, ones = np.zeros((3, 3), np.float32), np.ones((3, 3), np.float32)
    tensors = [tensor(v, str(i), 36 * i) for i, v in enumerate((zeros, zeros, ones, ones))]
    assert [kind for kind, _ in said(*tensors)] == ["zero", "zero", "constant", "constant"]


def test_outlier_channels_of_a_matrix() -> None:
    values = RNG.standard_normal((300, 200))
    values[17] *= 8
    values[:, [5, 150]] *= 6
    (kind, rows), (_, columns) = said(tensor(values))
    rms = [np.sqrt((values**2).mean(axis=axis)) for axis in (1, 0)]
    assert kind == "outlier"
    assert rows == f"row 17: RMS {rms[0][17] / np.median(rms[0]):.3g} × the median"
    first, second = (5, 150) if rms[1][5] > rms[1][150] else (150, 5)
    assert columns == f"columns {first}, {second}: RMS up to {rms[1].max() / np.median(rms[1]):.3g} × the median"


def test_many_outlier_channels_are_named_in_part() -> None:
    values = RNG.standard_normal((600, 20))
    values[:11] *= np.linspace(20, 10, 11)[:, None]
    (_, text) = said(tensor(values))[0]
    assert text.startswith("rows ") and " and 3 more: RMS up to " in text
    assert set(text[5:].partition(" and ")[0].split(", ")) < set(map(str, range(11)))


def test_vectors_have_no_channels() -> None:
    values = RNG.standard_normal(70_000)
    values[5] = 1e6
    flat = tensor(values)
    folded = np.zeros((18, 4096))
    folded.flat[: len(values)] = values
    assert said(flat) == said(replace(flat, stats=measured(folded), rows=18)) == []
    assert measured(folded).row_outliers  # of the grid, which is folded


def test_channels_of_a_convolution_are_outputs_and_inputs() -> None:
    values = RNG.standard_normal((100, 60, 3, 3))
    values[31] *= 9
    values[:, 8] *= 7
    (_, rows), (_, columns) = said(tensor(values, patch=(3, 3)))
    assert rows.startswith("row 31: RMS ") and columns.startswith("column 8: RMS ")
    kernel = RNG.standard_normal((1, 9, 40, 3))
    kernel[:, :, 7] *= 9
    assert tensor(kernel, patch=(40, 3)).stats.row_outliers  # a row of the kernel of the only output
    assert said(tensor(kernel, patch=(40, 3))) == []


def test_rows_of_several_axes_are_named_by_all_of_them() -> None:
    values = RNG.standard_normal((4, 1, 32, 64))
    values[3, 0, 17] *= 9
    flat = values.reshape(128, 64)
    row = replace(tensor(flat), info=replace(tensor(flat).info, shape=values.shape))
    assert said(row)[0][1].startswith("row [3, 17]: RMS ")
