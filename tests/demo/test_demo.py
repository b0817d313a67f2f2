"""The built-in pair of models as torch and safetensors read it."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mwv.demo import write_demo

Weights = dict[str, torch.Tensor]

SHA256 = {
    "demo-base": "80efe759ba5b525eb32d1c37b9ea92fa9ae01a75c5310fbfd94a41c4ab025361",
    "demo-finetune": "8cfa2d1f8d3169476a7929ac45d6a68bf85c4cffca89606e8ad75a2718c41a77",
}
"""Of edition 1: the same bytes on every machine. A change here needs a new edition."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def base(folders: tuple[Path, Path]) -> Weights:
    return load_file(folders[0] / "model.safetensors")


@pytest.fixture(scope="module")
def tuned(folders: tuple[Path, Path]) -> Weights:
    return load_file(folders[1] / "model.safetensors")


def test_the_bytes_are_the_same_everywhere(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == SHA256[folder.name]


def test_complete_files_are_kept_and_incomplete_ones_written_anew(tmp_path: Path) -> None:
    folders = write_demo(tmp_path)
    files = [folder / "model.safetensors" for folder in folders]
    before = [file.stat().st_mtime_ns for file in files]
    assert write_demo(tmp_path) == folders
    assert [file.stat().st_mtime_ns for file in files] == before
    # Without config.json, which is written last, the weights beside it cannot be trusted.
    (folders[1] / "config.json").unlink()
    files[1].write_bytes(b"cut short")
    write_demo(tmp_path)
    assert hashlib.sha256(files[1].read_bytes()).hexdigest() == SHA256["demo-finetune"]
    assert sorted(path.name for path in folders[1].iterdir()) == ["config.json", "model.safetensors"]


def test_shapes_are_those_of_the_configuration(folders: tuple[Path, Path], base: Weights, tuned: Weights) -> None:
    for folder, weights in zip(folders, (base, tuned), strict=True):
        facts = json.loads((folder / "config.json").read_text())
        hidden, heads = facts["hidden_size"], facts["num_attention_heads"]
        keys = facts["num_key_value_heads"] * hidden // heads
        expected = {
            "model.embed_tokens.weight": (facts["vocab_size"], hidden),
            "lm_head.weight": (facts["vocab_size"], hidden),
            "model.norm.weight": (hidden,),
        }
        for layer in range(facts["num_hidden_layers"]):
            expected |= {
                f"model.layers.{layer}.{name}.weight": shape
                for name, shape in {
                    "input_layernorm": (hidden,),
                    "post_attention_layernorm": (hidden,),
                    "self_attn.q_proj": (hidden, hidden),
                    "self_attn.k_proj": (keys, hidden),
                    "self_attn.v_proj": (keys, hidden),
                    "self_attn.o_proj": (hidden, hidden),
                    "mlp.gate_proj": (facts["intermediate_size"], hidden),
                    "mlp.up_proj": (facts["intermediate_size"], hidden),
                    "mlp.down_proj": (hidden, facts["intermediate_size"]),
                }.items()
            }
        assert {name: tuple(tensor.shape) for name, tensor in weights.items()} == expected
        assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}


def dead_heads(weights: Weights) -> set[tuple[int, int]]:
    """(layer, head) of every head of 64 rows whose queries and outputs are all zero."""
    return {
        (layer, head)
        for layer in range(8)
        for head in range(8)
        if not weights[f"model.layers.{layer}.self_attn.q_proj.weight"][head * 64 : head * 64 + 64].any()
        and not weights[f"model.layers.{layer}.self_attn.o_proj.weight"][:, head * 64 : head * 64 + 64].any()
    }


def test_heads(base: Weights, tuned: Weights) -> None:
    assert dead_heads(base) == {(5, 2)}
    assert dead_heads(tuned) == {(5, 2), (2, 6)}
    for layer in range(8):
        norms = base[f"model.layers.{layer}.self_attn.q_proj.weight"].double().view(8, -1).norm(dim=1)
        alive = norms[norms > 0]
        assert alive.max() > 1.5 * alive.min()


def test_one_channel_is_an_outlier_in_every_layer(base: Weights) -> None:
    for layer in range(8):
        for name, axis in (("self_attn.q_proj", 0), ("mlp.gate_proj", 0), ("self_attn.o_proj", 1), ("mlp.down_proj", 1)):
            norms = base[f"model.layers.{layer}.{name}.weight"].double().norm(dim=axis)
            assert norms.argmax() == 77
            assert norms.max() > 3 * norms.median()


def test_one_nan_in_the_finetune_alone(base: Weights, tuned: Weights) -> None:
    assert all(tensor.isfinite().all() for tensor in base.values())
    found = {name: tensor.isnan().nonzero().tolist() for name, tensor in tuned.items() if not tensor.isfinite().all()}
    assert found == {"model.layers.4.mlp.down_proj.weight": [[300, 1000]]}


def test_only_some_tensors_changed(base: Weights, tuned: Weights) -> None:
    changed = {name for name in base if not torch.equal(base[name], tuned[name])}
    assert changed == {
        *(f"model.layers.{layer}.self_attn.{slot}_proj.weight" for layer in (5, 6, 7) for slot in "qv"),
        *(f"model.layers.2.self_attn.{slot}_proj.weight" for slot in "qo"),
        "model.layers.4.mlp.down_proj.weight",
        "model.embed_tokens.weight",
        "lm_head.weight",
    }


def test_the_changes_are_of_low_rank(base: Weights, tuned: Weights) -> None:
    for slot in "qv":
        name = f"model.layers.6.self_attn.{slot}_proj.weight"
        values = torch.linalg.svdvals(tuned[name].double() - base[name].double())
        # Rounding to bfloat16 leaves a little in all other directions.
        assert values[1] > 10 * values[2]


def test_the_vocabulary_grew_at_its_end(base: Weights, tuned: Weights) -> None:
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        rows = base[name].shape[0]
        assert torch.equal(tuned[name][:rows], base[name])
        assert tuned[name].shape[0] == rows + 64
        untrained = base[name][-96:].double().square().mean()
        assert untrained < base[name][:-96].double().square().mean() / 1000


def test_zeros_are_where_they_were_put(base: Weights) -> None:
    counts = {name: int((tensor == 0).sum()) for name, tensor in base.items()}
    assert {name: count for name, count in counts.items() if count} == {
        "model.layers.5.self_attn.q_proj.weight": 64 * 512,
        "model.layers.5.self_attn.o_proj.weight": 64 * 512,
        "model.layers.7.mlp.up_proj.weight": 1536 * 512 // 2,
    }
