"""Bands of stored tensors: grids, windows, digests, panels, folds, errors."""

from typing import Any

import numpy as np
import pytest
from byte_sources import BytesSource, digests, stored, whole
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from mwv.checkpoint.dtypes import PLAIN, DType
from mwv.decode.tensor import Tensor
from mwv.errors import UnsupportedError

SLOW_OK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def numbers(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


@settings(SLOW_OK, max_examples=60)
@given(st.data())
def test_every_window_of_every_convolution_is_the_transposed_kernel(data: st.DataObject) -> None:
    o, i, kh, kw = (data.draw(st.integers(1, n)) for n in (150, 5, 3, 4))
    kernels = numbers(o, i, kh, kw)
    expected = kernels.transpose(0, 2, 1, 3).reshape(o * kh, i * kw)
    tensor = stored(kernels.tobytes(), "F32", kernels.shape, i * kh * kw, patch=(kh, kw))
    col = data.draw(st.integers(0, i * kw - 1))
    cols = data.draw(st.integers(1, i * kw - col))
    np.testing.assert_array_equal(whole(tensor, col, cols), expected[:, col : col + cols])


@pytest.mark.parametrize("name", ["F4", "F16", "C64"])
def test_mosaics_of_other_types(name: str) -> None:
    dtype = PLAIN[name]
    data = np.random.default_rng(2).bytes(dtype.nbytes(66 * 3 * 2 * 2))
    flat = whole(stored(data, name, (66, 12), 12), 0, 12)
    expected = flat.reshape(66, 3, 2, 2).transpose(0, 2, 1, 3).reshape(132, 6)
    np.testing.assert_array_equal(whole(stored(data, name, (66, 3, 2, 2), 12, patch=(2, 2)), 0, 6), expected)


@settings(SLOW_OK, max_examples=40)
@given(elements=st.integers(1, 1500), row=st.integers(1, 9), data=st.data())
def test_folded_vectors_pad_their_last_row_with_zeros(elements: int, row: int, data: st.DataObject) -> None:
    vector = numbers(elements)
    rows = -(-elements // row)
    expected = np.zeros(rows * row, np.float32)
    expected[:elements] = vector
    tensor = stored(vector.tobytes(), "F32", (elements,), row)
    assert tensor.bands == -(-rows // 64)
    col = data.draw(st.integers(0, row - 1))
    np.testing.assert_array_equal(whole(tensor, col, row - col), expected.reshape(rows, row)[:, col:])


def test_panels_of_fused_experts_are_tensors_of_their_own() -> None:
    experts = numbers(4, 100, 6)
    panels = [stored(experts.tobytes(), "F32", experts.shape, 6, first=e * 600, elements=600) for e in range(4)]
    for panel, expert in zip(panels, experts, strict=True):
        np.testing.assert_array_equal(whole(panel, 0, 6), expert)
        assert digests(panel) == digests(stored(expert.tobytes(), "F32", (100, 6), 6))
    assert len({digest for panel in panels for digest in digests(panel)}) == 8


def test_equal_bands_meet_wherever_they_stand() -> None:
    band = numbers(64, 8).tobytes()
    twice = stored(band + band, "F32", (128, 8), 8)
    elsewhere = stored(band, "F32", (64, 8), 8, lead=100)
    assert {*digests(twice), *digests(elsewhere)} == {digests(elsewhere)[0]}


def test_rows_appended_to_a_tensor_leave_its_full_bands_alone() -> None:
    table = numbers(200, 8)
    short, grown = (
        digests(stored(table[:130].tobytes(), "F32", (130, 8), 8)),
        digests(stored(table.tobytes(), "F32", (200, 8), 8)),
    )
    assert short[:2] == grown[:2] and short[2] not in grown


def test_what_makes_other_values_makes_another_digest() -> None:
    data = numbers(64, 8).tobytes()
    tensors = [
        stored(data, "F32", (64, 8), 8),
        stored(data, "I32", (64, 8), 8),
        stored(data, "F16", (64, 16), 16),
        stored(data, "BF16", (64, 16), 16),
        stored(data, "F32", (64, 8), 4),
        stored(data, "F32", (64, 8), 8, byteorder="big"),
        stored(data, DType("F32", "raw", 1, 4, -32), (64, 8), 8),
        stored(data[:-4], "F32", (511,), 8),
        stored(data[:-3], "U8", (2045,), 2048),
        stored(data[:-4] + b"\0\0\0\1", "F32", (64, 8), 8),
    ]
    assert len({digests(tensor)[0] for tensor in tensors}) == len(tensors)


def test_the_recipe_is_what_caches_were_filled_with() -> None:
    """When this fails, every cache is void: raise RECIPE_VERSION knowingly, and write the new digest here."""
    assert (
        digests(stored(bytes(range(32)), "F32", (2, 4), 4))[0].hex()
        == "3135a500664edbcd94eb46fbd1187b600c24161c529ba16a09e8175d5cf9da92"
    )


def test_the_patch_belongs_to_the_drawing_not_to_the_values() -> None:
    data = numbers(10, 2, 3, 3).tobytes()
    assert digests(stored(data, "F32", (10, 2, 3, 3), 18, patch=(3, 3))) == digests(stored(data, "F32", (10, 18), 18))


@pytest.mark.parametrize(
    ("dtype", "shape", "row", "first"),
    [
        (DType("Q8_0", "block", 32, 34), (3, 5, 16), 16, 80),
        (DType("Q6_K", "block", 256, 210), (200, 2), 2, 0),
        (PLAIN["F4"], (2, 3, 3), 3, 9),
    ],
)
def test_a_row_or_panel_inside_a_block_cannot_be_drawn(dtype: DType, shape: tuple[int, ...], row: int, first: int) -> None:
    with pytest.raises(UnsupportedError, match=r"memory.*blk\.0\.weight"):
        stored(bytes(1000), dtype, shape, row, first=first)


def test_rows_outside_the_tensor_and_bands_outside_it_are_refused() -> None:
    for bad in ({"first": 5}, {"elements": 5}, {"first": -1}, {"elements": -1}, {"patch": (2, 2)}):
        with pytest.raises(ValueError, match="blk"):
            stored(bytes(16), "F32", (4,), 2, **bad)
    tensor = stored(bytes(16), "F32", (4,), 2)
    for band in (-1, 1):
        with pytest.raises(IndexError):
            tensor.read(band)


def test_a_tensor_without_elements_has_no_bands() -> None:
    assert stored(b"", "F32", (0, 4), 4).bands == 0


def test_only_the_bytes_of_a_band_are_read() -> None:
    tensor = stored(numbers(130, 4).tobytes(), "F32", (130, 4), 4, lead=7)
    source = tensor.source
    assert isinstance(source, BytesSource)
    assert [len(tensor.read(band)) for band in range(3)] == [1024, 1024, 32]
    assert source.reads == [(7, 1024), (1031, 1024), (2055, 32)]


def test_it_is_a_tensor() -> None:
    tensor: Tensor = stored(bytes(16), "F32", (4,), 2)
    assert tensor.exponent == 0 and stored(bytes(16), "I8", (16,), 2).exponent == -8


def test_a_real_model_in_full(bert: Any) -> None:
    tensors = load_file(bert)
    for name in (
        "embeddings.word_embeddings.weight",
        "encoder.layer.3.intermediate.dense.weight",
        "encoder.layer.0.attention.self.query.bias",
    ):
        array = tensors[name]
        cols = array.shape[-1]
        np.testing.assert_array_equal(
            whole(stored(array.tobytes(), "F32", array.shape, cols), 0, cols), array.reshape(-1, cols)
        )
