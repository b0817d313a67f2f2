"""In: GGUF files of llama's kind. Out: q and k with their rows as Hugging Face has them; others as they are stored."""

from pathlib import Path

import gguf
import numpy as np
import pytest
from packingkit import info, values

from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.open import open_checkpoint

HIDDEN, HEADS, KV_HEADS = 256, 4, 2


def permuted(weights, heads):
    """As convert_hf_to_gguf.py stores q and k: rows (half, pair) of a head as (pair, half)."""
    rows = weights.shape[0]
    return weights.reshape(heads, 2, rows // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def model(path: Path, weights: dict, kind: gguf.GGMLQuantizationType, architecture: str = "llama", heads: object = HEADS):
    """A file of q, k and v of one layer; returns the checkpoint and what the package makes of each quantised tensor."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_head_count(heads)
    writer.add_head_count_kv(KV_HEADS)
    for name, array in weights.items():
        packed = gguf.quantize(array, kind) if array.ndim > 1 else array
        writer.add_tensor(f"blk.0.{name}", packed, raw_dtype=kind if array.ndim > 1 else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return open_checkpoint(path)


@pytest.fixture
def weights() -> dict:
    random = np.random.default_rng(3)
    rows = {"attn_q.weight": 256, "attn_k.weight": 128, "attn_v.weight": 128}
    found = {name: random.standard_normal((n, HIDDEN)).astype(np.float32) for name, n in rows.items()}
    return {**found, "attn_q.bias": random.standard_normal(256).astype(np.float32)}


def stored(weights: dict) -> dict:
    heads = {"attn_q.weight": HEADS, "attn_k.weight": KV_HEADS, "attn_q.bias": HEADS}
    return {name: permuted(array, heads[name]) if name in heads else array for name, array in weights.items()}


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_1"])
@pytest.mark.parametrize("heads", [HEADS, [HEADS]])
def test_q_and_k_have_the_rows_of_the_model_they_were_made_from(tmp_path: Path, weights: dict, kind: str, heads) -> None:
    number = gguf.GGMLQuantizationType[kind]
    checkpoint = model(tmp_path / "m.gguf", stored(weights), number, heads=heads)
    for name, array in weights.items():
        # Rows are quantised one by one, so that their order makes no difference to their values.
        expected = array if array.ndim == 1 else gguf.dequantize(gguf.quantize(array, number), number)
        for columns in (0, 50):
            np.testing.assert_array_equal(values(checkpoint, f"blk.0.{name}", columns).reshape(expected.shape), expected)
    assert "permuted for llama.cpp" in info(checkpoint, "blk.0.attn_q.weight").note
    assert info(checkpoint, "blk.0.attn_q.weight").dtype.name == kind


@pytest.mark.parametrize(("architecture", "heads"), [("qwen2", HEADS), ("llama", 3), ("llama", [])])
def test_other_files_are_shown_as_they_are_stored(tmp_path: Path, weights: dict, architecture: str, heads) -> None:
    given = stored(weights)
    checkpoint: Checkpoint = model(tmp_path / "m.gguf", given, gguf.GGMLQuantizationType.F32, architecture, heads)
    np.testing.assert_array_equal(values(checkpoint, "blk.0.attn_q.weight"), given["attn_q.weight"])
    note = info(checkpoint, "blk.0.attn_q.weight").note
    assert note.startswith("rows as in the file, permuted") if architecture == "llama" else not note
