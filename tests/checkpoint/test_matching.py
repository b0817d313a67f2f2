"""Which tensor of one checkpoint is which of another: by names, never by a guess."""

from collections.abc import Sequence
from pathlib import Path

import families
import numpy as np
import pytest
from safetensors.numpy import save_file

from mwv.checkpoint import matching
from mwv.checkpoint.dtypes import PLAIN
from mwv.checkpoint.info import Checkpoint, TensorInfo
from mwv.checkpoint.matching import Matching, match
from mwv.checkpoint.open import open_checkpoint
from mwv.comparing import oppose

LAYER = {"self_attn.q_proj.weight": (4, 4), "mlp.up_proj.weight": (8, 4), "input_layernorm.weight": (4,)}


def checkpoint(folder: Path, shapes: dict[str, tuple[int, ...]]) -> Checkpoint:
    folder.mkdir(parents=True)
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


@pytest.mark.parametrize(
    "prefixes",
    [
        ("model.", ""),
        ("", "model."),
        ("", "base.inner."),
        ("bert.", "roberta."),
        ("", "0.auto_model."),
        ("bert.", "0.auto_model."),
        ("model.", "model.text_model."),
    ],
)
def test_one_beginning_may_differ(tmp_path: Path, prefixes: tuple[str, str]) -> None:
    of_a, of_b = prefixes
    found = matched(tmp_path, layers(of_a), layers(of_b))
    assert pairs(found) == dict(zip(layers(of_a), layers(of_b), strict=True))
    assert not found.ambiguous and alone(found) == (set(), set())


@pytest.mark.parametrize("wrapper", ["model.", "net.", "vlm.model.", "base.0."])
@pytest.mark.parametrize("family", sorted(set(families.NAMES) - {"smollm2_gguf"}))
def test_a_model_inside_another_belongs_to_itself_alone(family: str, wrapper: str) -> None:
    a, b = (
        Checkpoint(
            "m",
            "safetensors",
            (),
            tuple(TensorInfo(before + name, PLAIN["F32"], shape, 0, 0, 0) for name, shape in families.read(family)),
        )
        for before in ("", wrapper)
    )
    expected = {name: wrapper + name for name, _ in families.read(family)}
    assert pairs(match(a, b)) == expected
    assert pairs(match(b, a)) == {inner: name for name, inner in expected.items()}


def test_components_within_a_beginning_may_be_more_though_a_head_has_one_name(tmp_path: Path) -> None:
    head = {"lm_head.weight": (16, 4)}
    vision = {"model.vision_model.blocks.0.w": (3, 3), "model.connector.w": (4, 3)}
    found = matched(tmp_path, layers("model.") | head, layers("model.text_model.") | vision | head)
    assert pairs(found) == dict(zip(layers("model."), layers("model.text_model."), strict=True)) | dict.fromkeys(head, *head)
    assert alone(found) == (set(), set(vision))


def test_names_of_one_component_follow_the_others(tmp_path: Path) -> None:
    token = {"cls_token": (1, 1, 4)}
    found = matched(tmp_path, layers("") | token, {f"net.{name}": shape for name, shape in (layers("") | token).items()})
    assert pairs(found)["cls_token"] == "net.cls_token"
    assert "a.token" not in pairs(matched(tmp_path / "alone", {"w.x": (3,), "token": (4,)}, {"w.x": (3,), "a.token": (4,)}))


def test_of_two_that_end_alike_the_one_of_equal_shapes_belongs(tmp_path: Path) -> None:
    wide = {f"clip_g.{name}": tuple(2 * n for n in shape) for name, shape in layers("").items()}
    found = matched(tmp_path, layers(""), wide | layers("clip_l."))
    assert pairs(found) == dict(zip(layers(""), layers("clip_l."), strict=True))
    assert not pairs(matched(tmp_path / "wide", layers(""), wide))


def test_one_layer_is_not_another(tmp_path: Path) -> None:
    of_a, of_b = ({f"model.layers.{n}.{slot}": shape for slot, shape in LAYER.items()} for n in (0, 2))
    assert pairs(matched(tmp_path, of_a, of_b)) == {}
    assert pairs(matched(tmp_path / "all", dict(LAYER), layers("model."))) == {}


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
        ((1, 4), (2, 4), "other rows"),
        ((10, 1), (12, 1), "other shape"),
        ((10, 4), (10, 4, 2), "other shape"),
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


MANY = 20_000
EXPERTS = [f"layers.{n}.mlp.experts.{e}.{w}.weight" for n in range(26) for e in range(256) for w in ("w1", "w2", "w3")]
HOSTILE = {
    "equal": (EXPERTS, EXPERTS, len(EXPERTS), 0),
    "one beginning": (EXPERTS, [f"model.{name}" for name in EXPERTS], len(EXPERTS), 0),
    "nothing alike": ([f"a{i}.w" for i in range(MANY)], [f"b{i}.w" for i in range(MANY)], 0, 0),
    "one end for all": ([f"a{i}.x.w" for i in range(MANY)], [f"b{i}.x.w" for i in range(MANY)], 0, 1),
    "two for each": (
        [f"x{i}.y.w" for i in range(MANY // 2)],
        [f"{side}.x{i}.y.w" for side in ("enc", "dec") for i in range(MANY // 2)],
        0,
        MANY // 2,
    ),
    "a beginning each": ([f"p{i}.x{i}.w" for i in range(MANY)], [f"x{i}.w" for i in range(MANY)], 16, MANY - 16),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_many_names_take_work_in_proportion(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of_a, of_b, wanted, ambiguous = HOSTILE[case]
    looks = 0
    squeezed = matching._squeezed

    def counted(shape: Sequence[int]) -> tuple[int, ...]:
        nonlocal looks
        looks += 1
        return squeezed(shape)

    monkeypatch.setattr(matching, "_squeezed", counted)
    a, b = (
        Checkpoint("m", "x", (), tuple(TensorInfo(name, PLAIN["F32"], (4, 4), 0, 0, 64) for name in names))
        for names in (of_a, of_b)
    )
    found = match(a, b)
    assert sum(m.a is not None and m.b is not None for m in found.matches) == wanted
    assert len(found.ambiguous) == ambiguous
    assert len({m.name for m in found.matches}) == len(found.matches)
    assert looks <= 100 * (len(of_a) + len(of_b))
