"""In: layers quantised as GPTQ and AWQ do. Out: their values by the formula in float64, and tiles that follow every part."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from packingkit import LAYER, awq_layer, digests, gptq_layer, info, values, written
from safetensors.numpy import save_file

from mwv.build import build
from mwv.checkpoint.dtypes import DType
from mwv.checkpoint.open import open_checkpoint
from mwv.drawing import draw
from mwv.errors import SourceError
from mwv.inspect import as_json, inspect
from mwv.settings import ModelSettings, Settings


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


def test_inputs_of_a_group_that_is_not_there_are_nan(tmp_path: Path) -> None:
    parts, expected = gptq_layer(4, 128, 64, 32)
    parts[f"{LAYER}.g_idx"][[3, 70]] = [4, -1]
    expected[:, [3, 70]] = np.nan
    checkpoint = written(tmp_path, parts)
    np.testing.assert_array_equal(values(checkpoint, f"{LAYER}.weight", 33), expected.astype(np.float32))


def test_what_cannot_be_decoded_stays_integers_with_a_note(tmp_path: Path) -> None:
    parts, _ = gptq_layer(4, 64, 64, 32)
    del parts[f"{LAYER}.scales"]
    checkpoint = written(tmp_path, parts)
    found = info(checkpoint, f"{LAYER}.qweight")
    assert found.dtype.name == "I32" and found.note.endswith("its scales are missing or of another shape")


def test_weights_that_are_not_decoded_are_told_and_not_counted(tmp_path: Path) -> None:
    """The scales' elements count, as they might be weights; 64 × 64 / 8 words are no number of parameters."""
    parts, _ = gptq_layer(4, 64, 64, 32)
    config = {"quantization_config": {"quant_method": "gptq", "checkpoint_format": "marlin"}}
    written(tmp_path / "layer", parts, config)
    found = inspect(tmp_path / "layer", stats=False, odd=False, jobs=1)
    record = found.record()
    assert (record["parameters"], record["undecoded"]) == (2 * 64, 1)
    assert "128 parameters (without 1 packed weight not decoded)" in next(found.lines())
    site = tmp_path / "site"
    build(Settings(models=(ModelSettings(tmp_path / "layer"),), destination=site, cache=None, jobs=1))
    assert "Parameters are counted without 1 packed weight not decoded" in (site / "layer" / "index.html").read_text()


def test_kernels_with_an_order_of_their_own_are_not_guessed(tmp_path: Path) -> None:
    parts, _ = gptq_layer(4, 64, 64, 32)
    checkpoint = written(tmp_path, parts, {"quantization_config": {"quant_method": "gptq", "checkpoint_format": "marlin"}})
    assert info(checkpoint, f"{LAYER}.qweight").note.endswith("packed for the Marlin kernel")


def test_inspect_tells_what_was_made_of_what(tmp_path: Path) -> None:
    parts, expected = gptq_layer(4, 64, 64, 32)
    written(tmp_path / "layer", parts)
    found = json.loads(as_json(inspect(tmp_path / "layer", stats=True, odd=False, jobs=1)))
    told = {tensor["name"]: tensor for tensor in found["tensors"]}
    whole = told[f"{LAYER}.weight"]
    assert whole["decode"] == "values made of qweight, scales, qzeros and g_idx"
    assert whole["stats"]["minimum"] == expected.astype(np.float32).min()
    assert told[f"{LAYER}.scales"]["decode"] == f"part of {LAYER}.weight"
    assert found["parameters"] == 64 * 64
    assert found["dtypes"] == {"GPTQ 4-bit": 64 * 64}
    assert found["bytes"] == sum(array.nbytes for array in parts.values())


@pytest.mark.parametrize("part", ["scales", "qweight"])
def test_only_a_part_of_a_weight_is_an_error_that_names_the_weight(tmp_path: Path, part: str) -> None:
    checkpoint = written(tmp_path, gptq_layer(4, 64, 64, 32)[0])
    with pytest.raises(SourceError, match=f"parts of packed weights.*name the weight, such as '{LAYER}.weight'"):
        draw(checkpoint, ModelSettings(tmp_path, only=("nothing", f"*.{part}")))


def test_names_of_an_index_that_became_values_are_not_missing(tmp_path: Path) -> None:
    parts, _ = gptq_layer(4, 64, 64, 32)
    written(tmp_path, parts)
    (tmp_path / "model.safetensors").rename(tmp_path / "model-00001-of-00001.safetensors")
    index = {"weight_map": dict.fromkeys([*parts, "model.layers.1.w"], "model-00001-of-00001.safetensors")}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    names = set(open_checkpoint(tmp_path).index_names)
    assert names == {f"{LAYER}.scales", f"{LAYER}.qzeros", f"{LAYER}.g_idx", "model.layers.1.w"}


@pytest.mark.parametrize("part", ["scales", "qzeros", "g_idx"])
def test_a_part_in_a_shard_that_is_missing_is_not_replaced_by_a_default(tmp_path: Path, part: str) -> None:
    parts, _ = gptq_layer(4, 128, 64, 32, act_order=True)
    missing = f"{LAYER}.{part}"
    first, second = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
    save_file({name: np.ascontiguousarray(content) for name, content in parts.items() if name != missing}, tmp_path / first)
    promised = {name: second if name == missing else first for name in parts}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": promised}))
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "gptq", "bits": 4}}))
    stored = info(open_checkpoint(tmp_path), f"{LAYER}.qweight")
    assert stored.packing is None
    assert stored.note == f"stored integers of a packed weight, not decoded: {missing} is missing"


def test_without_an_index_a_missing_shard_may_hold_parts_and_the_note_says_so(tmp_path: Path) -> None:
    parts, _ = gptq_layer(4, 128, 64, 32)
    for count in (1, 2):
        file = tmp_path / f"model-00001-of-0000{count}.safetensors"
        save_file({name: np.ascontiguousarray(content) for name, content in parts.items()}, file)
        note = info(open_checkpoint(file), f"{LAYER}.weight").note
        assert note.endswith("unless the missing shards hold more of its parts") == (count == 2)


ODD: list[tuple[Callable[[], dict], dict, str]] = [
    (lambda: _with(gptq_layer(4, 128, 64, 32), g_idx=np.zeros(128, np.float32)), {}, "index of its groups"),
    (lambda: _with(gptq_layer(4, 128, 64, 32), g_idx=np.zeros(5, np.int32)), {}, "contradict each other"),
    (lambda: _with(gptq_layer(4, 320, 64, 128), g_idx=None), {}, "how many inputs a group has"),
    (lambda: _with(awq_layer(384), scales=np.ones((5, 136), np.float16), qzeros=None), {}, "how many inputs a group has"),
    (lambda: _with(awq_layer(), scales=np.ones((300, 136), np.float16), qzeros=None), {"group_size": 1}, "a group has"),
]


def _with(layer: tuple[dict, np.ndarray], **changed: np.ndarray | None) -> dict:
    parts = {**layer[0], **{f"{LAYER}.{part}": content for part, content in changed.items()}}
    return {name: content for name, content in parts.items() if content is not None}


@pytest.mark.parametrize(("parts", "said", "why"), ODD)
def test_groups_are_not_guessed(tmp_path: Path, parts: Callable[[], dict], said: dict, why: str) -> None:
    found = info(written(tmp_path, parts(), {"quantization_config": said}), f"{LAYER}.qweight")
    assert found.packing is None and why in found.note
