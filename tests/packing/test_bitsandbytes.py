"""In: layers quantised by bitsandbytes. Out: the values it makes of them, bit for bit, and tiles that follow every part."""

import json
from pathlib import Path

import bitsandbytes.functional as bnb
import numpy as np
import pytest
import torch
from packingkit import assert_equal_digests_mean_equal_values, digests, info, values, written

from mwv.checkpoint.dtypes import DType

LAYER = "model.layers.0.mlp.up_proj"
WEIGHT = f"{LAYER}.weight"


def four_bit(shape=(100, 132), *, kind="nf4", nested=False, block=64, seed=0):
    """Parts of a layer as `Linear4bit` saves them, and its values by bitsandbytes in float32."""
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    codes, state = bnb.quantize_4bit(weight, blocksize=block, quant_type=kind, compress_statistics=nested)
    parts = {WEIGHT: codes, **{f"{WEIGHT}.{key}": part for key, part in state.as_dict(packed=True).items()}}
    return {name: part.numpy() for name, part in parts.items()}, bnb.dequantize_4bit(codes, state).numpy()


def int8(rows=200, columns=136):
    """Parts of a layer as `Linear8bitLt` saves them, and its values in float64."""
    random = np.random.default_rng(0)
    codes = random.integers(-127, 128, (rows, columns)).astype(np.int8)
    scales = random.uniform(0.01, 3, rows).astype(np.float32)
    parts = {WEIGHT: codes, f"{LAYER}.SCB": scales, f"{LAYER}.weight_format": np.array(0, np.uint8)}
    return parts, codes * scales.astype(np.float64)[:, None] / 127


@pytest.mark.parametrize("block", [32, 64, 4096])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_four_bits_give_the_values_of_the_library(tmp_path: Path, kind: str, nested: bool, block: int) -> None:
    parts, expected = four_bit(kind=kind, nested=nested, block=block)
    checkpoint = written(tmp_path, parts)
    for columns in (0, 33):
        np.testing.assert_array_equal(values(checkpoint, WEIGHT, columns), expected)
    found = info(checkpoint, WEIGHT)
    assert found.note.startswith("values made of weight, absmax") and found.shape == (100, 132)
    assert found.dtype == DType(f"bitsandbytes {kind.upper()}", "packed", 1, 1)
    assert {t.part_of for t in checkpoint.tensors if t.name != WEIGHT} == {WEIGHT}


@pytest.mark.parametrize("shape", [(70, 33), (5, 7, 9), (13,)])
def test_rows_need_not_end_where_bytes_or_blocks_do(tmp_path: Path, shape: tuple[int, ...]) -> None:
    parts, expected = four_bit(shape, nested=True, block=32)
    found = values(written(tmp_path, parts), WEIGHT)
    assert found.size >= expected.size  # a vector is padded to whole rows
    np.testing.assert_array_equal(found.reshape(-1)[: expected.size], expected.reshape(-1))


def test_scales_of_scales_begin_anew_inside_a_band(tmp_path: Path) -> None:
    parts, expected = four_bit((200, 520), nested=True, block=32)
    assert parts[f"{WEIGHT}.nested_absmax"].shape == (13,)
    np.testing.assert_array_equal(values(written(tmp_path, parts), WEIGHT, 100), expected)


@pytest.mark.parametrize("storage", [np.float16, np.float32, np.int8])
def test_codes_may_be_stored_as_any_type(tmp_path: Path, storage: type) -> None:
    parts, expected = four_bit()
    parts[WEIGHT] = parts[WEIGHT].reshape(-1).view(storage)[:, None]
    np.testing.assert_array_equal(values(written(tmp_path, parts), WEIGHT), expected)


def test_tables_are_those_of_the_file(tmp_path: Path) -> None:
    parts, expected = four_bit()
    parts[f"{WEIGHT}.quant_map"] = parts[f"{WEIGHT}.quant_map"] * 2
    np.testing.assert_array_equal(values(written(tmp_path, parts), WEIGHT), expected * 2)


@pytest.mark.parametrize("part", ["", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"])
def test_every_part_changes_the_digest(tmp_path: Path, part: str) -> None:
    parts, _ = four_bit((256, 520), nested=True, block=32)
    before = digests(written(tmp_path / "a", parts), WEIGHT)
    changed = parts[WEIGHT + part].copy()
    changed[(0,) * changed.ndim] += 1
    after = digests(written(tmp_path / "b", {**parts, WEIGHT + part: changed}), WEIGHT)
    assert before[0] != after[0]
    assert (before[1:] == after[1:]) != part.endswith("map")  # all bands depend on tables, one on a block's scale


@pytest.mark.parametrize("key", ["blocksize", "nested_offset"])
def test_the_state_changes_the_digest(tmp_path: Path, key: str) -> None:
    parts, _ = four_bit((8, 64), nested=True, block=1024)
    state = f"{WEIGHT}.quant_state.bitsandbytes__nf4"
    before = digests(written(tmp_path / "a", parts), WEIGHT)
    said = json.loads(parts[state].tobytes())
    parts[state] = np.frombuffer(json.dumps({**said, key: said[key] * 2}).encode(), np.uint8)
    assert before != digests(written(tmp_path / "b", parts), WEIGHT)


@pytest.mark.parametrize("nested", [0, 64])
def test_bands_with_equal_bytes_that_meet_blocks_elsewhere_are_not_equal(tmp_path: Path, nested: int) -> None:
    elements, block = 64 * 12 * 48, 64 if nested else 4096
    blocks = -(-elements // block)
    state = said(shape=[64 * 12, 48], blocksize=block, **({"nested_blocksize": nested, "nested_offset": 0.5} if nested else {}))
    scales = np.arange(-(-blocks // nested) if nested else blocks) % 2 + 1
    parts = {
        "": np.full((elements // 2, 1), 0x77, np.uint8),
        ".absmax": np.full(blocks, 9, np.uint8) if nested else scales.astype(np.float32),
        ".quant_map": np.arange(1, 17, dtype=np.float32),
        ".quant_state.bitsandbytes__nf4": np.frombuffer(state, np.uint8),
    }
    if nested:
        parts |= {".nested_absmax": scales.astype(np.float32), ".nested_quant_map": np.arange(256, dtype=np.float32)}
    checkpoint = written(tmp_path, {WEIGHT + name: part for name, part in parts.items()})
    assert_equal_digests_mean_equal_values(checkpoint, WEIGHT)


def said(**numbers):
    return json.dumps({"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [100, 132], **numbers}).encode()


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (b"[1, 2]", "gives no shape or block size"),
        (b"\xff\xfe{}", "gives no shape or block size"),
        (b"[" * 4000, "gives no shape or block size"),
        (said(shape=None), "gives no shape or block size"),
        (said(shape=[-100, -132]), "gives no shape or block size"),
        (said(shape=[1] * 1000), "gives no shape or block size"),
        (said(shape=[True, 13200]), "gives no shape or block size"),
        (said(blocksize=0), "gives no shape or block size"),
        (said(blocksize=10**400), "gives no shape or block size"),
        (said(shape=[2**31, 2**31, 2**31, 2**31]), "has not as many codes as its quant_state says"),
        (said(shape=[100, 133]), "has not as many codes as its quant_state says"),
        (said(blocksize=128), "its scales are missing or of another shape"),
        (said(more="x" * 5000), "gives no shape or block size"),
    ],
)
def test_a_quant_state_that_lies_leaves_integers_with_a_note(tmp_path: Path, state: bytes, reason: str) -> None:
    parts, _ = four_bit()
    parts[f"{WEIGHT}.quant_state.bitsandbytes__nf4"] = np.frombuffer(state, np.uint8)
    checkpoint = written(tmp_path, parts)
    assert info(checkpoint, WEIGHT).dtype.name == "U8"
    assert reason in info(checkpoint, WEIGHT).note
    assert values(checkpoint, WEIGHT).size


@pytest.mark.parametrize("offset", ["x", None, 1e39, "NaN", 10**300, [1]])
def test_the_scales_of_scales_need_an_offset(tmp_path: Path, offset: object) -> None:
    parts, _ = four_bit(nested=True)
    state = said(nested_blocksize=256, nested_offset=offset)
    parts[f"{WEIGHT}.quant_state.bitsandbytes__nf4"] = np.frombuffer(state, np.uint8)
    assert "no block size or offset for the scales" in info(written(tmp_path, parts), WEIGHT).note


@pytest.mark.parametrize("part", ["absmax", "quant_map", "nested_absmax", "nested_quant_map", "quant_state.bitsandbytes__nf4"])
def test_a_part_that_is_missing_or_short_leaves_integers_with_a_note(tmp_path: Path, part: str) -> None:
    parts, _ = four_bit(nested=True)
    whole = parts.pop(f"{WEIGHT}.{part}")
    assert "not decoded" in info(written(tmp_path / "a", parts), WEIGHT).note
    parts[f"{WEIGHT}.{part}"] = whole[:-1]
    assert "not decoded" in info(written(tmp_path / "b", parts), WEIGHT).note


def test_int8_gives_the_values_of_the_formula(tmp_path: Path) -> None:
    parts, expected = int8()
    checkpoint = written(tmp_path, parts)
    for columns in (0, 33):
        np.testing.assert_array_equal(values(checkpoint, WEIGHT, columns), expected.astype(np.float32))
    library = bnb.int8_vectorwise_dequant(torch.from_numpy(parts[WEIGHT]), torch.from_numpy(parts[f"{LAYER}.SCB"]))
    np.testing.assert_allclose(values(checkpoint, WEIGHT), library.numpy(), rtol=3e-7)
    assert info(checkpoint, WEIGHT).dtype == DType("LLM.int8", "packed", 1, 1)
    assert {t.part_of for t in checkpoint.tensors if t.name != WEIGHT} == {WEIGHT}


def test_a_scale_of_int8_changes_the_digest_of_its_band_alone(tmp_path: Path) -> None:
    parts, _ = int8()
    before = digests(written(tmp_path / "a", parts), WEIGHT)
    parts[f"{LAYER}.SCB"][70] *= 2
    after = digests(written(tmp_path / "b", parts), WEIGHT)
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, True]


@pytest.mark.parametrize(
    ("order", "reason"), [([1], "the order col32"), ([3], "the order col_ampere"), ([9], "unknown"), ([0, 0], "unknown")]
)
def test_int8_in_the_order_of_a_kernel_is_not_guessed(tmp_path: Path, order: list[int], reason: str) -> None:
    parts, _ = int8()
    parts[f"{LAYER}.weight_format"] = np.array(order, np.uint8)
    found = info(written(tmp_path, parts), WEIGHT)
    assert found.dtype.name == "I8" and reason in found.note


def test_int8_without_a_scale_for_each_row_stays_integers(tmp_path: Path) -> None:
    parts, _ = int8()
    parts[f"{LAYER}.SCB"] = parts[f"{LAYER}.SCB"][1:]
    assert "its scales have another shape than its rows" in info(written(tmp_path, parts), WEIGHT).note
