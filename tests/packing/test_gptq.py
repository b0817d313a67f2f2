"""In: layers quantised as GPTQ and AWQ do. Out: their values by the formula in float64, and tiles that follow every part."""

from pathlib import Path

import numpy as np
import pytest
from packingkit import digests, info, values, words, written

from mwv.checkpoint.dtypes import DType

LAYER = "model.layers.0.self_attn.q_proj"
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def gptq_layer(bits, inputs, outputs, group, *, act_order=False, offset=1, seed=0):
    """Parts of a layer, and its values (outputs × inputs) in float64."""
    random = np.random.default_rng(seed)
    groups = -(-inputs // group)
    codes = random.integers(0, 2**bits, (inputs, outputs))
    zeros = random.integers(0, 2**bits, (groups, outputs))
    scales = random.uniform(0.001, 0.1, (groups, outputs)).astype(np.float16)
    index = np.arange(inputs) // group
    if act_order:
        index = random.permutation(index)
    expected = (codes - zeros[index]) * scales.astype(np.float64)[index]
    parts = {
        f"{LAYER}.qweight": words(codes, bits),
        f"{LAYER}.qzeros": words(((zeros - offset) % 2**bits).T, bits).T,
        f"{LAYER}.scales": scales,
        f"{LAYER}.g_idx": index.astype(np.int32),
    }
    return parts, expected.T


def awq_layer(inputs=256, outputs=136, group=128):
    random = np.random.default_rng(1)
    groups = inputs // group
    codes, zeros = (random.integers(0, 16, (n, outputs)) for n in (inputs, groups))
    scales = random.uniform(0.001, 0.1, (groups, outputs)).astype(np.float16)

    def packed(numbers):
        eights = numbers.reshape(len(numbers), -1, 8).astype(np.uint32)
        return sum(eights[..., output] << np.uint32(4 * i) for i, output in enumerate(AWQ_ORDER)).view(np.int32)

    expected = (codes - zeros.repeat(group, 0)) * scales.astype(np.float64).repeat(group, 0)
    return {f"{LAYER}.qweight": packed(codes), f"{LAYER}.qzeros": packed(zeros), f"{LAYER}.scales": scales}, expected.T


@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_gptq_gives_the_values_of_the_formula(tmp_path: Path, bits: int, act_order: bool) -> None:
    parts, expected = gptq_layer(bits, 256, 160, 64, act_order=act_order)
    checkpoint = written(tmp_path, parts)
    for columns in (0, 33):
        np.testing.assert_array_equal(values(checkpoint, f"{LAYER}.weight", columns), expected.astype(np.float32))
    found = info(checkpoint, f"{LAYER}.weight")
    assert found.shape == (160, 256)
    assert found.dtype == DType(f"GPTQ {bits}-bit", "packed", 1, 1)
    owned = {t.name.rpartition(".")[2]: t.part_of for t in checkpoint.tensors if t.name != found.name}
    assert owned == dict.fromkeys(("scales", "qzeros", "g_idx"), found.name)


@pytest.mark.parametrize(
    "said", [{"quantization_config": {"quant_method": "gptq", "group_size": n}} for n in (-1, 10**30)] + [{}]
)
def test_one_group_for_all_inputs(tmp_path: Path, said: dict) -> None:
    parts, expected = gptq_layer(4, 192, 64, 192)
    del parts[f"{LAYER}.g_idx"]
    checkpoint = written(tmp_path, parts, said)
    np.testing.assert_array_equal(values(checkpoint, f"{LAYER}.weight"), expected.astype(np.float32))


def test_the_last_group_may_be_short(tmp_path: Path) -> None:
    parts, expected = gptq_layer(4, 320, 64, 128)
    del parts[f"{LAYER}.g_idx"]
    checkpoint = written(tmp_path, parts, quantize_config={"bits": 4, "group_size": 128})
    np.testing.assert_array_equal(values(checkpoint, f"{LAYER}.weight"), expected.astype(np.float32))


def test_the_second_version_stores_zero_points_as_they_are(tmp_path: Path) -> None:
    parts, expected = gptq_layer(4, 64, 64, 32, offset=0)
    checkpoint = written(tmp_path, parts, {"quantization_config": {"quant_method": "gptq", "checkpoint_format": "gptq_v2"}})
    np.testing.assert_array_equal(values(checkpoint, f"{LAYER}.weight"), expected.astype(np.float32))


@pytest.mark.parametrize("config", [{}, {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}])
def test_awq_gives_the_values_of_the_formula(tmp_path: Path, config: dict) -> None:
    parts, expected = awq_layer()
    checkpoint = written(tmp_path, parts, config)
    for columns in (0, 37):
        np.testing.assert_array_equal(values(checkpoint, f"{LAYER}.weight", columns), expected.astype(np.float32))
    assert info(checkpoint, f"{LAYER}.weight").dtype.name == "AWQ 4-bit"


def test_a_weight_with_as_many_words_as_outputs_is_awq_when_the_configuration_says_so(tmp_path: Path) -> None:
    parts, _ = gptq_layer(4, 64, 64, 32)
    del parts[f"{LAYER}.g_idx"]
    checkpoint = written(tmp_path, parts, {"quantization_config": {"quant_method": "awq"}})
    assert "not decoded: AWQ codes of 32 bits" in info(checkpoint, f"{LAYER}.qweight").note


@pytest.mark.parametrize("part", ["qweight", "qzeros", "scales", "g_idx"])
def test_every_part_changes_the_digest(tmp_path: Path, part: str) -> None:
    parts, _ = gptq_layer(4, 256, 160, 64)
    before = digests(written(tmp_path / "a", parts), f"{LAYER}.weight")
    changed = parts[f"{LAYER}.{part}"].copy()
    changed[(0,) * changed.ndim] += 1
    after = digests(written(tmp_path / "b", {**parts, f"{LAYER}.{part}": changed}), f"{LAYER}.weight")
    assert before[0] != after[0]
    if part != "g_idx":  # all outputs depend on the index, one band on the others' first column
        assert before[1:] == after[1:]


def test_what_cannot_be_decoded_stays_integers_with_a_note(tmp_path: Path) -> None:
    parts, _ = gptq_layer(4, 64, 64, 32)
    del parts[f"{LAYER}.scales"]
    checkpoint = written(tmp_path, parts)
    found = info(checkpoint, f"{LAYER}.qweight")
    assert found.dtype.name == "I32" and found.note.endswith("its scales are missing or of another shape")


def test_kernels_with_an_order_of_their_own_are_not_guessed(tmp_path: Path) -> None:
    parts, _ = gptq_layer(4, 64, 64, 32)
    checkpoint = written(tmp_path, parts, {"quantization_config": {"quant_method": "gptq", "checkpoint_format": "marlin"}})
    assert info(checkpoint, f"{LAYER}.qweight").note.endswith("packed for the Marlin kernel")
