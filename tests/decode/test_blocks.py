"""GGUF blocks against the gguf package, type by type, with libgguf and without."""

import sys

import numpy as np
import pytest
from byte_sources import digests, stored, values_of, whole
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

from mwv.checkpoint.dtypes import DType
from mwv.decode import blocks
from mwv.errors import UnsupportedError

TYPES = sorted(
    (kind for kind in GGMLQuantizationType if GGML_QUANT_SIZES[kind][0] > 1 and kind in quants._type_traits), key=int
)


def block_type(kind: GGMLQuantizationType) -> DType:
    return DType(kind.name, "block", *GGML_QUANT_SIZES[kind])


@pytest.fixture(params=["libgguf", "gguf"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "gguf":
        monkeypatch.setitem(sys.modules, "libgguf", None)
    blocks._dequantiser.cache_clear()
    request.addfinalizer(blocks._dequantiser.cache_clear)
    return str(request.param)


def test_the_oracle_knows_many_types() -> None:
    assert len(TYPES) >= 20


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_whole_tensors_and_windows_equal_gguf(kind: GGMLQuantizationType, engine: str) -> None:
    dtype = block_type(kind)
    per_row, rows = 3, 67
    cols = per_row * dtype.block_elements
    packed = np.random.default_rng(int(kind)).integers(0, 256, (rows, per_row * dtype.block_bytes), np.uint8)
    with np.errstate(all="ignore"):
        expected = quants.dequantize(packed, kind).astype(np.float64)
    assert np.isfinite(expected).mean() > 0.5
    tensor = stored(packed.tobytes(), dtype, (rows, cols), cols, lead=32)
    np.testing.assert_array_equal(whole(tensor, 0, cols), expected)
    for col, width in ((dtype.block_elements, dtype.block_elements), (5, cols - 9), (cols - 1, 1)):
        np.testing.assert_array_equal(whole(tensor, col, width), expected[:, col : col + width])


@pytest.mark.parametrize("kind", [GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q8_0], ids=lambda kind: kind.name)
def test_quantised_numbers_come_back_near_what_they_were(kind: GGMLQuantizationType) -> None:
    numbers = np.random.default_rng(0).standard_normal((64, 256)).astype(np.float32)
    tensor = stored(quants.quantize(numbers, kind).tobytes(), block_type(kind), (64, 256), 256)
    assert np.abs(whole(tensor, 0, 256) - numbers).max() < 0.3


def test_a_folded_vector_of_blocks_with_a_short_last_row(engine: str) -> None:
    dtype = block_type(GGMLQuantizationType.Q8_0)
    packed = np.random.default_rng(0).integers(0, 100, (1, 5 * dtype.block_bytes), np.uint8)
    expected = quants.dequantize(packed, GGMLQuantizationType.Q8_0).ravel()
    tensor = stored(packed.tobytes(), dtype, (160,), 64)
    shown = whole(tensor, 0, 64).ravel()
    np.testing.assert_array_equal(shown[:160], expected)
    assert not shown[160:].any()


def test_fused_experts_are_read_panel_by_panel() -> None:
    dtype = block_type(GGMLQuantizationType.Q4_1)
    packed = np.random.default_rng(0).integers(0, 120, (3 * 70, 2 * dtype.block_bytes), np.uint8)
    expected = quants.dequantize(packed, GGMLQuantizationType.Q4_1).reshape(3, 70, 64)
    for expert in range(3):
        panel = stored(packed.tobytes(), dtype, (3, 70, 64), 64, first=expert * 70 * 64, elements=70 * 64)
        alone = stored(packed[expert * 70 : (expert + 1) * 70].tobytes(), dtype, (70, 64), 64)
        np.testing.assert_array_equal(whole(panel, 0, 64), expected[expert])
        assert digests(panel) == digests(alone)


def test_rows_that_do_not_end_with_a_block_are_still_decoded() -> None:
    """Allowed as long as bands do: 64 rows of 48 elements are 96 blocks of 32."""
    packed = np.random.default_rng(0).integers(0, 120, (1, 3 * 34 * 48), np.uint8)
    expected = quants.dequantize(packed, GGMLQuantizationType.Q8_0).reshape(-1, 48)
    tensor = stored(packed.tobytes(), block_type(GGMLQuantizationType.Q8_0), expected.shape, 48)
    np.testing.assert_array_equal(whole(tensor, 7, 30), expected[:, 7:37])


@pytest.mark.parametrize("name", ["Q8_1", "Q9_Z"])
def test_a_type_that_gguf_cannot_dequantise_is_one_clear_line(name: str) -> None:
    tensor = stored(bytes(40), DType(name, "block", 32, 40), (1, 32), 32)
    with pytest.raises(UnsupportedError, match=name):
        tensor.samples(0, bytes(40), 0, 32)


@pytest.mark.parametrize("agrees", [True, False])
def test_libgguf_is_used_only_when_it_agrees(agrees: bool, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Other:
        @staticmethod
        def dequantize_rows(rows: np.ndarray, number: int) -> np.ndarray:
            calls.append(len(rows))
            values = quants.dequantize(rows, GGMLQuantizationType(number))
            return values if agrees else values + 1

    monkeypatch.setitem(sys.modules, "libgguf", Other)  # type: ignore[arg-type]
    blocks._dequantiser.cache_clear()
    tensor = stored(bytes(34 * 5), block_type(GGMLQuantizationType.Q8_0), (5, 32), 32)
    assert not values_of(tensor.samples(0, bytes(34 * 5), 0, 32)).any()
    assert (5 in calls) == agrees
