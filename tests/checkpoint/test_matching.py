"""Which tensor of one checkpoint is which of another: by names, never by a guess."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.matching import Matching, match
from mwv.checkpoint.open import open_checkpoint
from mwv.comparing import oppose

LAYER = {"self_attn.q_proj.weight": (4, 4), "mlp.up_proj.weight": (8, 4), "input_layernorm.weight": (4,)}


def checkpoint(folder: Path, shapes: dict[str, tuple[int, ...]]) -> Checkpoint:
    folder.mkdir()
    save_file({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}, folder / "model.safetensors")
    return open_checkpoint(folder)


def layers(prefix: str, count: int = 3, **more: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}layers.{n}.{slot}": shape for n in range(count) for slot, shape in LAYER.items()} | more


def matched(tmp_path: Path, a: dict[str, tuple[int, ...]], b: dict[str, tuple[int, ...]]) -> Matching:
    return match(checkpoint(tmp_path / "a", a), checkpoint(tmp_path / "b", b))


def pairs(found: Matching) -> dict[str, str]:
    return {m.a.name: m.b.name for m in found.matches if m.a and m.b}


def alone(found: Matching) -> tuple[set[str], set[str]]:
    return {m.a.name for m in found.matches if m.a and not m.b}, {m.b.name for m in found.matches if m.b and not m.a}


def test_equal_names_belong_together(tmp_path: Path) -> None:
    found = matched(tmp_path, layers("model."), layers("model."))
    assert pairs(found) == {name: name for name in layers("model.")}
    assert {m.how for m in found.matches} == {"same name"}
    assert {m.kind for m in found.matches} == {"same shape"}
    assert not found.ambiguous


@pytest.mark.parametrize("prefixes", [("model.", ""), ("", "model."), ("", "base.inner."), ("bert.", "roberta.")])
def test_one_beginning_may_differ(tmp_path: Path, prefixes: tuple[str, str]) -> None:
    of_a, of_b = prefixes
    found = matched(tmp_path, layers(of_a), layers(of_b))
    assert pairs(found) == dict(zip(layers(of_a), layers(of_b), strict=True))
    assert not found.ambiguous and alone(found) == (set(), set())


def test_how_a_beginning_differs_is_told(tmp_path: Path) -> None:
    found = matched(tmp_path, layers("model."), layers(""))
    assert {m.how for m in found.matches} == {"with model."}
    assert {m.name for m in found.matches} == set(layers("model."))


def test_what_only_the_second_has_is_called_as_in_the_first(tmp_path: Path) -> None:
    found = matched(tmp_path, layers("model."), layers("", 4))
    assert {m.name for m in found.matches if m.a is None} == {f"model.layers.3.{slot}" for slot in LAYER}


def test_two_counterparts_are_reported_and_not_chosen_from(tmp_path: Path) -> None:
    found = matched(tmp_path, layers(""), layers("encoder.") | layers("decoder."))
    assert pairs(found) == {}
    assert len(found.ambiguous) == 9
    assert all("encoder." in line and "decoder." in line and "may or may not" in line for line in found.ambiguous)


def test_layers_of_other_numbers_never_belong_together(tmp_path: Path) -> None:
    a, b = layers("", 2) | {"layers.2.adapter.w": (4, 4)}, layers("", 2) | {"layers.7.adapter.w": (4, 4)}
    found = matched(tmp_path, a, b)
    assert "layers.2.adapter.w" not in pairs(found)
    assert alone(found) == ({"layers.2.adapter.w"}, {"layers.7.adapter.w"})


def test_an_encoder_is_no_decoder(tmp_path: Path) -> None:
    shared = {"embed.weight": (16, 4)}
    found = matched(tmp_path, shared | layers("encoder."), shared | layers("decoder."))
    assert pairs(found) == {"embed.weight": "embed.weight"}


def test_an_expert_belongs_to_its_part_of_all_experts(tmp_path: Path) -> None:
    fused = {"model.layers.0.mlp.experts.up_proj.weight": (3, 8, 4)}
    single = {f"model.layers.0.mlp.experts.{e}.up_proj.weight": (8, 4) for e in range(3)}
    found = matched(tmp_path, fused, single)
    assert pairs(found) == {f"{next(iter(fused))}[{e}]": name for e, name in enumerate(single)}
    assert {m.kind for m in found.matches} == {"same shape"}
    assert {m.name for m in found.matches} == set(single)


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ((10, 4), (12, 4), "other rows"),
        ((10, 4), (10, 5), "other shape"),
        ((10,), (12,), "other shape"),
        ((1, 10, 4), (10, 4), "same shape"),
        ((8, 2, 3, 3), (6, 2, 3, 3), "other rows"),
    ],
)
def test_shapes_tell_how_far_two_can_be_compared(tmp_path: Path, a: tuple[int, ...], b: tuple[int, ...], kind: str) -> None:
    found = matched(tmp_path, {"embed.weight": a}, {"embed.weight": b})
    assert [m.kind for m in found.matches] == [kind]


def test_names_of_a_gguf_are_those_of_transformers(tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(str(tmp_path / "m.gguf"), "llama")
    writer.add_block_count(1)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    for name, shape in (("token_embd", (16, 4)), ("blk.0.attn_norm", (4,)), ("blk.0.ffn_up", (8, 4))):
        writer.add_tensor(f"{name}.weight", np.zeros(shape, np.float32))
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    other = checkpoint(
        tmp_path / "b",
        {
            "model.embed_tokens.weight": (16, 4),
            "model.layers.0.input_layernorm.weight": (4,),
            "model.layers.0.mlp.up_proj.weight": (8, 4),
        },
    )
    found = match(open_checkpoint(tmp_path / "m.gguf"), other)
    assert pairs(found) == {
        "token_embd.weight": "model.embed_tokens.weight",
        "blk.0.attn_norm.weight": "model.layers.0.input_layernorm.weight",
        "blk.0.ffn_up.weight": "model.layers.0.mlp.up_proj.weight",
    }
    assert {m.how for m in found.matches} == {"same canonical name"}


def test_a_tensor_of_another_shape_has_a_name_of_its_own(tmp_path: Path) -> None:
    shapes = {"w": (3, 4), "w (other shape)": (2, 2)}
    found = oppose(checkpoint(tmp_path / "a", shapes), checkpoint(tmp_path / "b", {**shapes, "w": (5, 6)}))
    assert [m.name for m in found.drawn] == ["w", "w (other shape 2)", "w (other shape)"]
