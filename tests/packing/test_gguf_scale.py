"""In: GGUF files with a scale beside their weights. Out: what the gguf package makes of the weights, times the scale."""

from pathlib import Path

import gguf
import numpy as np
import pytest
from packingkit import digests, info, values

from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.open import open_checkpoint

BLOCKS = {"NVFP4": (64, 36), "TQ2_0": (256, 66)}
UP, EXPERTS = "blk.0.ffn_up.weight", "blk.0.ffn_up_exps.weight"


def model(path: Path, tensors: dict[str, np.ndarray], kind: str, architecture: str = "qwen3") -> Checkpoint:
    """A file of packed bytes of this kind, and of other tensors as they are."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_head_count(4)
    for name, array in tensors.items():
        writer.add_tensor(name, array, raw_dtype=gguf.GGMLQuantizationType[kind] if array.dtype == np.uint8 else None)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return open_checkpoint(path)


def packed(kind: str, *shape: int) -> np.ndarray:
    """Random blocks whose scales are finite."""
    elements, size = BLOCKS[kind]
    return np.random.default_rng(4).integers(0, 120, (*shape[:-1], shape[-1] // elements * size), np.uint8)


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_scale_is_that_of_the_tensor_or_of_each_expert(tmp_path: Path, kind: str) -> None:
    up, experts = packed(kind, 70, 512), packed(kind, 3, 66, 256)
    one, each = np.array([0.37], np.float32), np.array([0.5, 1.3, 2e-3], np.float32)
    tensors = {UP: up, "blk.0.ffn_up.scale": one, EXPERTS: experts, "blk.0.ffn_up_exps.scale": each}
    checkpoint = model(tmp_path / "m.gguf", tensors, kind)
    number = gguf.GGMLQuantizationType[kind]
    for columns in (0, 50):
        expected = (gguf.dequantize(up, number).astype(np.float64) * one).astype(np.float32)
        np.testing.assert_array_equal(values(checkpoint, UP, columns), expected)
        expected = (gguf.dequantize(experts, number).astype(np.float64) * each[:, None, None]).astype(np.float32)
        np.testing.assert_array_equal(values(checkpoint, EXPERTS, columns).reshape(expected.shape), expected)
    assert info(checkpoint, "blk.0.ffn_up.scale").part_of == UP
    other = model(tmp_path / "o.gguf", {**tensors, "blk.0.ffn_up.scale": one * 2}, kind)
    assert not set(digests(checkpoint, UP)) & set(digests(other, UP))
    assert digests(checkpoint, EXPERTS) == digests(other, EXPERTS)


def test_scales_of_other_shapes_and_types_are_not_applied(tmp_path: Path) -> None:
    rows = np.ones(70, np.float32)
    checkpoint = model(tmp_path / "m.gguf", {UP: packed("NVFP4", 70, 512), "blk.0.ffn_up.scale": rows}, "NVFP4")
    assert info(checkpoint, UP).note.endswith("its scale is not one, nor one for each expert")
    tensors = {UP: np.ones((4, 32), np.float32), "blk.0.ffn_up.scale": rows[:1]}
    assert info(model(tmp_path / "f.gguf", tensors, "F32"), UP).packing is None


def test_q_and_k_of_llama_say_that_their_order_is_not_known(tmp_path: Path) -> None:
    name = "blk.0.attn_q.weight"
    tensors = {name: packed("NVFP4", 64, 64), "blk.0.attn_q.scale": np.ones(1, np.float32)}
    found = info(model(tmp_path / "m.gguf", tensors, "NVFP4", "llama"), name)
    assert found.packing.scheme == "scaled" and found.note.endswith("rows as in the file, which may be permuted for llama.cpp")
