"""Canonical names against the tables by which the gguf package itself turns Hugging Face's names into GGUF's."""

import re

import families
import gguf
import pytest
from families import ARCHITECTURES, in_gguf, language
from hypothesis import given
from hypothesis import strategies as st

from mwv.checkpoint.gguf_config import gguf_config
from mwv.checkpoint.names import canonical_names

NOT_IN_GGUF = {
    "deepseek_v3": {
        "mlp.gate.e_score_correction_bias": "the converter writes a dot for its last underscore",
        **{
            f"{name}.weight": "the converter leaves out the layer that predicts a further token"
            for name in ("embed_tokens", "enorm", "hnorm", "eh_proj", "shared_head.head", "shared_head.norm")
        },
    },
    "gpt2": {"attn.bias": "a mask, no weight"},
    "gpt_oss": {
        f"mlp.experts.{name}": "packed and fused, taken apart by the converter"
        for name in (
            "gate_up_proj_blocks",
            "gate_up_proj_scales",
            "gate_up_proj_bias",
            "down_proj_blocks",
            "down_proj_scales",
            "down_proj_bias",
        )
    },
    "granite_hybrid": {
        "block_sparse_moe.input_linear.weight": "gate and up in one, parted by the converter",
        "shared_mlp.input_linear.weight": "gate and up in one, parted by the converter",
        "mamba.dt_bias": "the converter calls it dt_proj.bias",
    },
    "granite_moe": {"block_sparse_moe.input_linear.weight": "gate and up in one, parted by the converter"},
    "llama4": {"feed_forward.experts.gate_up_proj": "gate and up in one, parted by the converter"},
    "mamba2": {"mixer.dt_bias": "the converter calls it dt_proj.bias"},
    "neox": {
        "attention.bias": "a mask, no weight",
        "attention.masked_bias": "a mask, no weight",
        "attention.rotary_emb.inv_freq": "computed, no weight",
    },
}
"""Tensors of layers for which gguf's tables have no name, and why."""


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_gguf_names_lead_back(family: str) -> None:
    names = in_gguf(language(family), ARCHITECTURES[family])
    missing = {re.split(r"\.\d+\.", name, maxsplit=1)[1] for name, other in names.items() if other is None}
    assert missing == set(NOT_IN_GGUF.get(family, {}))
    back = canonical_names([other for other in names.values() if other], {"model_type": ARCHITECTURES[family]})
    assert {other: name for name, other in names.items() if other} == back


@pytest.mark.parametrize("family", ["gemma3", "llava"])
def test_names_of_a_vision_tower_lead_back(family: str) -> None:
    names = in_gguf([name for name, _ in families.read(family) if name.startswith("vision_tower.")], "clip")
    assert None not in names.values()
    assert canonical_names(map(str, names.values()), {"model_type": "clip"}) == {other: name for name, other in names.items()}


@pytest.mark.parametrize(("family", "projector"), [("qwen2_vl", "qwen2vl_merger"), ("qwen2_5_vl", "qwen2.5vl_merger")])
@pytest.mark.parametrize("key", ["clip.projector_type", "clip.vision.projector_type"])
def test_names_of_qwens_vision_tower_lead_back(family: str, projector: str, key: str) -> None:
    names = in_gguf([name for name, _ in families.read(family) if name.startswith("visual.")], "clip")
    assert None not in names.values()
    config = gguf_config({"general.architecture": "clip", key: projector})
    assert canonical_names(map(str, names.values()), config) == {other: name for name, other in names.items()}


def test_gguf_turns_canonical_names_into_its_own_in_every_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    # The package changes its tables for all when it makes Arctic's.
    monkeypatch.setattr(gguf.TensorNameMap, "block_mappings_cfg", dict(gguf.TensorNameMap.block_mappings_cfg))
    changed = 0
    for architecture, title in gguf.MODEL_ARCH_NAMES.items():
        table = gguf.get_tensor_name_map(architecture, 2)
        own = {name for _, name in table.mapping.values()}
        for name, found in canonical_names([f"{name}.weight" for name in own], {"model_type": title}).items():
            if found != name:
                changed += 1
                module = found.removesuffix(".weight").replace("e_score_correction_bias", "e_score_correction")
                assert table.get_name(module) == name.removesuffix(".weight")
    assert changed > 2000


@pytest.mark.parametrize(
    ("kind", "name", "canonical"),
    [
        ("llama", "blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight"),
        ("llama", "blk.17.ffn_gate_exps.weight", "model.layers.17.block_sparse_moe.experts.w1.weight"),
        ("llama", "blk.0.ffn_gate.3.weight", "model.layers.0.block_sparse_moe.experts.3.w1.weight"),
        ("llama", "rope_freqs.weight", "rope_freqs.weight"),
        ("llama", "blk.0.unheard_of.weight", "blk.0.unheard_of.weight"),
        ("", "blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight"),
        ("qwen2_moe", "blk.0.ffn_up_shexp.weight", "model.layers.0.mlp.shared_expert.up_proj.weight"),
        ("deepseek_v2", "blk.1.exp_probs_b.bias", "model.layers.1.mlp.gate.e_score_correction_bias"),
        ("gpt_oss", "blk.0.attn_sinks.weight", "model.layers.0.self_attn.sinks"),
        ("rwkv6", "blk.0.time_mix_lerp_x.weight", "rwkv.blocks.0.attention.time_maa_x"),
        ("mamba", "blk.0.ssm_a", "backbone.layers.0.mixer.A_log"),
        ("dbrx", "blk.0.ffn_up_exps.weight", "transformer.blocks.0.ffn.experts.mlp.v1"),
        ("t5", "enc.blk.3.attn_q.weight", "encoder.block.3.layer.0.SelfAttention.q.weight"),
        ("bert", "token_embd_norm.bias", "embeddings.LayerNorm.bias"),
        ("bert", "blk.0.attn_output_norm.weight", "encoder.layer.0.attention.output.LayerNorm.weight"),
        ("bert", "blk.0.layer_output_norm.weight", "encoder.layer.0.output.LayerNorm.weight"),
        ("bert", "blk.0.ffn_up.weight", "encoder.layer.0.intermediate.dense.weight"),
        ("clip", "v.blk.0.ffn_up.bias", "vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias"),
    ],
)
def test_name_of_a_gguf_tensor(kind: str, name: str, canonical: str) -> None:
    assert canonical_names(["token_embd.weight", name], {"model_type": kind})[name] == canonical


def test_original_names_of_llama_and_mixtral() -> None:
    found = canonical_names([name for name, _ in families.read("llama_original")], {})
    slots = ["input_layernorm", "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
    slots += [f"self_attn.{x}_proj" for x in "qkvo"]
    outside = ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"]
    assert sorted(found.values()) == sorted(outside + [f"model.layers.{i}.{slot}.weight" for i in range(2) for slot in slots])
    assert found["layers.1.feed_forward.w2.weight"] == "model.layers.1.mlp.down_proj.weight"
    wrapped = canonical_names([f"net.{name}" for name in found], {})
    assert {name.removeprefix("net."): canonical for name, canonical in wrapped.items()} == found
    expert = "layers.0.feed_forward.experts.3.w1.weight"
    names = ["tok_embeddings.weight", "layers.0.attention.wq.weight", expert]
    assert canonical_names(names, {})[expert] == "model.layers.0.block_sparse_moe.experts.3.w1.weight"


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("module.model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
        ("_orig_mod.model.layers.0._orig_mod.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
        ("_fsdp_wrapped_module.layers.0._checkpoint_wrapped_module.w", "layers.0.w"),
        ("base_model.model.model.layers.0.q_proj.lora_A.weight", "model.layers.0.q_proj.lora_A.weight"),
        ("base_model.model.model.layers.0.q_proj.lora_A.default.weight", "model.layers.0.q_proj.lora_A.weight"),
        ("base_model.model.model.layers.0.q_proj.base_layer.weight", "model.layers.0.q_proj.weight"),
        ("my_orig_mod.weight", "my_orig_mod.weight"),
    ],
)
def test_what_trainers_add_is_taken_off(name: str, canonical: str) -> None:
    assert canonical_names([name], {}) == {name: canonical}


@pytest.mark.parametrize(
    ("names", "canonical"),
    [
        (["a.LayerNorm.gamma", "a.LayerNorm.beta"], ["a.LayerNorm.weight", "a.LayerNorm.bias"]),
        (["LayerNorm.gamma"], ["LayerNorm.weight"]),
        (["a.weight_g", "a.weight_v"], ["a.parametrizations.weight.original0", "a.parametrizations.weight.original1"]),
        (["a.weight_g", "b.weight_v"], ["a.weight_g", "b.weight_v"]),
        (["a.layer_norm.gamma", "a.gamma"], ["a.layer_norm.gamma", "a.gamma"]),
        (["a.LayerNorm.gamma", "a.LayerNorm.weight"], ["a.LayerNorm.gamma", "a.LayerNorm.weight"]),
    ],
)
def test_old_names_of_norms_are_those_after_loading(names: list[str], canonical: list[str]) -> None:
    assert canonical_names(names, {}) == dict(zip(names, canonical, strict=True))


def test_a_wrapper_is_taken_off_only_if_all_names_have_it() -> None:
    assert canonical_names(["module.a", "b"], {}) == {"module.a": "module.a", "b": "b"}


def test_names_that_would_become_one_stay() -> None:
    names = ["a.w", "_orig_mod.a.w", "b._orig_mod.w"]
    assert canonical_names(names, {}) == {"a.w": "a.w", "_orig_mod.a.w": "_orig_mod.a.w", "b._orig_mod.w": "b.w"}


NESTED = {"gemma3", "llama4", "llava", "qwen3_vl"}
"""Families whose language model is a part of a larger one."""


@pytest.mark.parametrize("family", sorted(set(families.NAMES) - {"llama_original", "lora", "smollm2_gguf"} - NESTED))
def test_hugging_face_names_are_canonical(family: str) -> None:
    names = [name for name, _ in families.read(family)]
    assert canonical_names(names, {"model_type": "llama"}) == {name: name for name in names}


@pytest.mark.parametrize("family", sorted(NESTED))
def test_a_nested_language_model_has_the_names_that_it_has_alone(family: str) -> None:
    found = canonical_names([name for name, _ in families.read(family)], {"model_type": "llama"})
    assert all(name == canonical for name, canonical in found.items() if "language_model" not in name)
    assert {canonical for name, canonical in found.items() if "language_model" in name} >= {
        "model.embed_tokens.weight",
        "model.layers.1.self_attn.k_proj.weight",
        "model.norm.weight",
    }
    assert not any("language_model" in canonical for canonical in found.values())
    wrapped = canonical_names([f"vlm.{name}" for name in found], {"model_type": "llama"})
    assert wrapped == {f"vlm.{name}": f"vlm.{canonical}" for name, canonical in found.items()}


words = st.sampled_from(
    ["blk", "0", "17", "attn_q", "ffn_gate", "experts", "module", "_orig_mod", "weight", "token_embd", "", "é"]
)


@given(st.lists(st.lists(words, max_size=6).map(".".join), max_size=8), st.sampled_from(["llama", "t5", "x", ""]))
def test_any_names_get_one_of_their_own(names: list[str], kind: str) -> None:
    found = canonical_names(names, {"model_type": kind})
    assert found.keys() == set(names)
    assert len(set(found.values())) == len(found)
    assert canonical_names(reversed(names), {"model_type": kind}) == found
