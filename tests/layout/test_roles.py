from collections import defaultdict

import families
import pytest

from mwv.layout.canvas import Role
from mwv.layout.roles import module_order, natural, roles_of, side_of, slot_order, stack_order


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("model.layers.3.self_attn.q_proj.weight", Role("model.layers", 3, "self_attn.q_proj.weight")),
        ("model.layers.3.mlp.experts.17.gate_proj.weight", Role("model.layers", 3, "mlp.experts.gate_proj.weight", 17)),
        ("model.layers.3.mlp.shared_experts.gate_proj.weight", Role("model.layers", 3, "mlp.shared_experts.gate_proj.weight")),
        (
            "model.layers.0.block_sparse_moe.experts.7.w1.weight",
            Role("model.layers", 0, "block_sparse_moe.experts.w1.weight", 7),
        ),
        ("blk.12.ffn_gate.3.weight", Role("blk", 12, "ffn_gate.weight", 3)),
        ("blk.12.attn_q.weight", Role("blk", 12, "attn_q.weight")),
        ("transformer.h.0.attn.c_attn.weight", Role("transformer.h", 0, "attn.c_attn.weight")),
        ("gpt_neox.layers.5.mlp.dense_h_to_4h.weight", Role("gpt_neox.layers", 5, "mlp.dense_h_to_4h.weight")),
        ("bert.encoder.layer.11.output.dense.weight", Role("bert.encoder.layer", 11, "output.dense.weight")),
        ("vision_model.encoder.layers.2.mlp.fc1.weight", Role("vision_model.encoder.layers", 2, "mlp.fc1.weight")),
        ("down_blocks.0.resnets.1.conv1.weight", Role("down_blocks", 0, "resnets.1.conv1.weight")),
        ("mid_block.attentions.0.to_q.weight", Role("mid_block.attentions", 0, "to_q.weight")),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", Role("encoder.block", 0, "layer.0.SelfAttention.q.weight")),
        ("layer1.0.conv1.weight", Role("layer1", 0, "conv1.weight")),
        (
            "lora_unet_down_blocks_0_attentions_1_proj_in.lora_up.weight",
            Role("lora_unet_down_blocks", 0, "attentions.1.proj_in.lora_up.weight"),
        ),
        ("lora_unet_input_blocks_4_1_proj_in.alpha", Role("lora_unet_input_blocks", 4, "1.proj_in.alpha")),
        ("lora_te_final_2", Role("", None, "lora_te_final_2")),
        ("visual.merger.mlp.2.weight", Role("", None, "visual.merger.mlp.2.weight")),
        ("mtp.layers.0.eh_proj.weight", Role("mtp.layers", 0, "eh_proj.weight")),
        ("model.layers.61.embed_tokens.weight", Role("", None, "model.layers.61.embed_tokens.weight")),
        ("model.layers.61.shared_head.head.weight", Role("", None, "model.layers.61.shared_head.head.weight")),
        ("blk.61.nextn.shared_head_head.weight", Role("", None, "blk.61.nextn.shared_head_head.weight")),
        ("blk.61.nextn.shared_head_norm.weight", Role("blk", 61, "nextn.shared_head_norm.weight")),
        ("lm_head.weight", Role("", None, "lm_head.weight")),
        ("to_out.0.weight", Role("", None, "to_out.0.weight")),
        ("layers.07.weight", Role("", None, "layers.07.weight")),
        ("layers.99999999999.weight", Role("", None, "layers.99999999999.weight")),
        ("layers.٣.weight", Role("", None, "layers.٣.weight")),
        ("layers.3", Role("", None, "layers.3")),
        ("", Role("", None, "")),
    ],
)
def test_role_of_a_name(name: str, role: Role) -> None:
    assert roles_of([name]) == {name: role}


def test_stages_of_like_blocks_are_stacks_of_their_own() -> None:
    block = ("norm.weight", "attn.qkv.weight", "mlp.fc1.weight", "mlp.fc2.weight")
    names = [f"stages.{stage}.blocks.{i}.{leaf}" for stage in (0, 1) for i in (0, 1, 2) for leaf in block]
    roles = roles_of([*names, "stages.1.downsample.1.weight", "stages.0.downsample.1.weight"])
    assert roles["stages.1.blocks.2.attn.qkv.weight"] == Role("stages.1.blocks", 2, "attn.qkv.weight")
    assert roles["stages.1.downsample.1.weight"] == Role("stages", 1, "downsample.1.weight")
    flat = roles_of([f"blocks.{stage}.{i}.{leaf}" for stage in (0, 1) for i in (0, 1) for leaf in block])
    assert flat["blocks.1.0.norm.weight"] == Role("blocks.1", 0, "norm.weight")


def test_layers_are_found_inside_lists_that_are_no_stacks() -> None:
    roles = roles_of(
        [
            *(f"0.auto_model.encoder.layer.{i}.w" for i in range(6)),
            "2.linear.weight",
            *(f"backbone.0.body.layer1.{i}.conv1.weight" for i in range(3)),
            "albert_layer_groups.0.albert_layers.0.ffn.weight",
            *(f"mlps.{i}.layers.{j}.weight" for i in range(4) for j in range(2)),
        ]
    )
    assert roles["0.auto_model.encoder.layer.5.w"] == Role("0.auto_model.encoder.layer", 5, "w")
    assert roles["2.linear.weight"] == Role("", None, "2.linear.weight")
    assert roles["backbone.0.body.layer1.2.conv1.weight"] == Role("backbone.0.body.layer1", 2, "conv1.weight")
    assert roles["albert_layer_groups.0.albert_layers.0.ffn.weight"].stack == "albert_layer_groups.0.albert_layers"
    assert roles["mlps.3.layers.1.weight"] == Role("mlps", 3, "layers.1.weight")


def test_sublayers_that_differ_stay_in_their_layer() -> None:
    names = [
        f"decoder.block.{n}.layer.{leaf}"
        for n in (0, 1)
        for leaf in ("0.SelfAttention.q.weight", "0.layer_norm.weight", "1.DenseReluDense.wi.weight", "1.layer_norm.weight")
    ]
    assert {role.stack for role in roles_of(names).values()} == {"decoder.block"}
    unet = [
        f"input_blocks.{n}.{leaf}"
        for n in (1, 2)
        for leaf in ("0.in_layers.2.weight", "0.out_layers.3.weight", "1.proj_in.weight", "1.norm.weight")
    ]
    assert {role.stack for role in roles_of(unet).values()} == {"input_blocks"}


def test_deep_unet_attention_is_a_stack() -> None:
    leaves = ("attn1.to_q.weight", "attn1.to_k.weight", "attn1.to_v.weight", "ff.net.2.weight")
    names = [f"mid_block.attentions.0.transformer_blocks.{i}.{leaf}" for i in range(10) for leaf in leaves]
    assert roles_of(names)[names[-1]] == Role("mid_block.attentions.0.transformer_blocks", 9, "ff.net.2.weight")


def test_numbered_heads_and_tables_are_no_stack() -> None:
    roles = roles_of(
        [
            "classifier.0.weight",
            "classifier.3.weight",
            "lm_heads.0.weight",
            "lm_heads.1.weight",
            "embed_tokens.0.weight",
            "embed_tokens.1.weight",
        ]
    )
    assert {role.layer for role in roles.values()} == {None}
    assert roles_of(["0.weight", "2.weight"])["2.weight"] == Role("", 2, "weight")


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("model.embed_tokens.weight", "embedding"),
        ("token_embd.weight", "embedding"),
        ("wte.weight", "embedding"),
        ("transformer.wpe.weight", "embedding"),
        ("embeddings.LayerNorm.bias", "embedding"),
        ("shared.weight", "embedding"),
        ("cls_token", "embedding"),
        ("patch_embed.proj.weight", "embedding"),
        ("gpt_neox.embed_in.weight", "embedding"),
        ("stem.0.weight", "embedding"),
        ("conv_in.weight", "embedding"),
        ("img_in.bias", "embedding"),
        ("conv_norm_out.weight", "head"),
        ("final_layer.linear.weight", "head"),
        ("decoder.final_layer_norm.weight", "rest"),
        ("model.layers.61.shared_head.head.weight", "head"),
        ("blk.61.nextn.embed_tokens.weight", "embedding"),
        ("blk.61.nextn.shared_head_head.weight", "head"),
        ("embed_out.weight", "head"),
        ("lm_head.weight", "head"),
        ("output.weight", "head"),
        ("score.weight", "head"),
        ("head.fc.weight", "head"),
        ("classifier.6.bias", "head"),
        ("output_norm.weight", "rest"),
        ("model.norm.weight", "rest"),
        ("pooler.dense.weight", "rest"),
        ("rope_freqs.weight", "rest"),
        ("conv1.weight", "rest"),
    ],
)
def test_side_of_a_tensor_outside_stacks(name: str, side: str) -> None:
    assert side_of(name) == side


@pytest.mark.parametrize(
    "slots",
    [
        [
            "self_attn.q_proj.weight",
            "self_attn.k_proj.weight",
            "self_attn.v_proj.weight",
            "self_attn.o_proj.weight",
            "mlp.gate_proj.weight",
            "mlp.up_proj.weight",
            "mlp.down_proj.weight",
            "input_layernorm.weight",
            "post_attention_layernorm.weight",
        ],
        [
            "attn_q.weight",
            "attn_k.weight",
            "attn_v.weight",
            "attn_output.weight",
            "ffn_gate_inp.weight",
            "ffn_gate_exps.weight",
            "ffn_up_exps.weight",
            "ffn_down_exps.weight",
            "attn_norm.weight",
            "ffn_norm.weight",
        ],
        [
            "attention.self.query.weight",
            "attention.self.query.bias",
            "attention.self.key.weight",
            "attention.self.value.weight",
            "attention.output.dense.weight",
            "intermediate.dense.weight",
            "output.dense.weight",
            "attention.output.LayerNorm.weight",
            "output.LayerNorm.weight",
        ],
        [
            "self_attn.q_proj.weight",
            "self_attn.out_proj.weight",
            "encoder_attn.q_proj.weight",
            "encoder_attn.out_proj.weight",
            "fc1.weight",
            "fc2.weight",
            "final_layer_norm.weight",
        ],
        [
            "block_sparse_moe.gate.weight",
            "block_sparse_moe.experts.w1.weight",
            "block_sparse_moe.experts.w3.weight",
            "block_sparse_moe.experts.w2.weight",
        ],
        [
            "norm_attn_norm.attn.Wqkv.weight",
            "norm_attn_norm.attn.out_proj.weight",
            "ffn.router.layer.weight",
            "ffn.experts.mlp.w1",
            "ffn.experts.mlp.v1",
            "ffn.experts.mlp.w2",
            "norm_attn_norm.norm_1.weight",
        ],
        [
            "attn.to_q.weight",
            "attn.to_k.weight",
            "attn.to_v.weight",
            "attn.to_out.0.weight",
            "attn.add_q_proj.weight",
            "attn.add_k_proj.weight",
            "attn.to_add_out.weight",
            "ff.net.0.proj.weight",
            "ff.net.2.weight",
            "ff_context.net.0.proj.weight",
            "norm1.linear.weight",
        ],
        [
            "attention.receptance.weight",
            "attention.key.weight",
            "attention.value.weight",
            "attention.output.weight",
            "feed_forward.receptance.weight",
            "feed_forward.key.weight",
            "ln1.weight",
        ],
        [
            "layer.0.SelfAttention.q.weight",
            "layer.0.SelfAttention.o.weight",
            "layer.1.EncDecAttention.o.weight",
            "layer.2.DenseReluDense.wi_0.weight",
            "layer.2.DenseReluDense.wi_1.weight",
            "layer.2.DenseReluDense.wo.weight",
            "layer.0.layer_norm.weight",
        ],
        [
            "attn.c_attn.weight",
            "attn.c_proj.weight",
            "mlp.c_fc.weight",
            "mlp.c_proj.weight",
            "ln_1.weight",
            "ln_1.bias",
            "ln_2.weight",
        ],
    ],
)
def test_slots_in_reading_order(slots: list[str]) -> None:
    assert sorted(sorted(slots), key=slot_order) == slots


def test_stacks_from_left_to_right() -> None:
    perception = ["vision_model.encoder.layers", "model.encoder.layers"]
    stacks = [*perception, "blk", "h", "model.decoder.layers", "single_blocks", "mtp.layers"]
    assert sorted(sorted(stacks), key=stack_order) == stacks


def test_numbers_sort_as_numbers() -> None:
    assert sorted(["b10.w", "b9.w", "a.w"], key=natural) == ["a.w", "b9.w", "b10.w"]
    assert sorted(["n.bias", "n.weight", "m.scale"], key=module_order) == ["m.scale", "n.weight", "n.bias"]
    assert natural("9" * 10_000)


@pytest.mark.parametrize("family", families.ARCHITECTURES)
def test_slots_of_gguf_and_of_hugging_face_have_one_order(family: str) -> None:
    """Matrices of a layer, in either naming, by the tables of the gguf package."""
    shapes = families.language(family)
    matrices = [name for name, shape in shapes.items() if len(shape) > 1 and shape[0] > 1]
    pairs = [(one, other) for one, other in families.in_gguf(matrices, families.ARCHITECTURES[family]).items() if other]
    ours, theirs = roles_of(one for one, _ in pairs), roles_of(other for _, other in pairs)
    layers: defaultdict[tuple[str, int], list[tuple[str, str]]] = defaultdict(list)
    for one, other in pairs:
        role = ours[one]
        if role.layer is not None:
            layers[role.stack, role.layer].append((role.slot, theirs[other].slot))
    assert layers and all(len(slots) > 1 for slots in layers.values())
    for slots in layers.values():
        assert sorted(slots, key=lambda pair: slot_order(pair[0])) == sorted(slots, key=lambda pair: slot_order(pair[1]))
