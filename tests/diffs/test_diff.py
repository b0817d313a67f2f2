"""`mwv diff` on real pairs of models, against numpy, gguf and safetensors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from gguf import GGUFReader, quants
from pairs_of_models import assert_told, bert, ordered, saved
from safetensors.numpy import load_file, save_file

from mwv.cli import cli
from mwv.errors import MwvError

TUNED = ("encoder.layer.2.attention.self.query.weight", "encoder.layer.4.output.dense.weight")
Tuned = tuple[Path, dict[str, Any], Path, dict[str, Any]]


def ran(*arguments: str | Path) -> str:
    """What the command prints."""
    result = CliRunner().invoke(cli, ["diff", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.stdout


def record(cache: Path, a: Path, b: Path, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran(a, b, "--json", "--cache", cache, *more))
    return found


def test_a_low_rank_update_is_found_and_measured(tuned: Tuned, tmp_path: Path) -> None:
    a, base, b, other = tuned
    found = record(tmp_path / "cache", a, b)
    assert found["identical"] == len(base) - 2
    assert {t["name"] for t in found["tensors"][:2]} == set(TUNED)
    for tensor in found["tensors"]:
        assert_told(tensor, base[tensor["name"]], other[tensor["name"]])
    # Weights alone: position_ids, 0 to 511, would be nearly all of the norm.
    floats = [name for name, values in base.items() if values.dtype.kind == "f"]
    assert len(floats) == len(base) - 1
    everything = np.concatenate([base[n].ravel() for n in floats]), np.concatenate([other[n].ravel() for n in floats])
    assert_told({**found["total"], "name": "total"}, *everything)


def test_what_digests_settle_is_not_read(tuned: Tuned, tmp_path: Path) -> None:
    a, base, b, _ = tuned
    size = sum(v.nbytes for v in base.values())
    assert record(tmp_path / "cache", a, b)["read_bytes"] >= 2 * size
    again = record(tmp_path / "cache", a, b)
    assert again["read_bytes"] == 0
    assert [t["rms"] for t in again["tensors"]] == [t["rms"] for t in record(tmp_path / "other", a, b)["tensors"]]


def test_a_table_tells_what_changed_most(tuned: Tuned, tmp_path: Path) -> None:
    a, base, b, _ = tuned
    text = ran(a, b, "--cache", tmp_path / "cache")
    assert f"{len(base)} tensors compared, {len(base) - 2} identical" in text
    lines = [line for line in text.splitlines() if line.startswith("encoder.")]
    assert {line.split()[0] for line in lines} == set(TUNED)


@pytest.mark.parametrize("kind", ["q8_0", "q5_1", "q4_0"])
def test_a_quantisation_against_its_values(smol: Path, tmp_path: Path, kind: str) -> None:
    values = load_file(smol / "f32" / "model.safetensors")
    made = {t.name: quants.dequantize(t.data, t.tensor_type) for t in GGUFReader(smol / f"{kind}.gguf").tensors}
    found = record(tmp_path / "cache", smol / "f32", smol / f"{kind}.gguf")
    assert not found["only_a"] and not found["only_b"] and len(found["tensors"]) == len(values)
    assert {t["match"] for t in found["tensors"]} == {"same canonical name"}
    for tensor in found["tensors"]:
        name = tensor["b"]["name"]
        assert_told(tensor, values[tensor["a"]["name"]], ordered(name, made[name]))


def test_a_gguf_is_equal_to_its_own_values(smol: Path, tmp_path: Path) -> None:
    found = record(tmp_path / "cache", smol / "q4_1.gguf", smol / "f32")
    assert found["identical"] == len(found["tensors"]) and not found["total"]["changed"]


def test_fewer_bits_are_further_away(smol: Path, tmp_path: Path) -> None:
    base = smol / "f32"
    snr = [record(tmp_path / "cache", base, smol / f"{kind}.gguf")["total"]["snr"] for kind in ("q8_0", "q5_1", "q4_0")]
    assert snr == sorted(snr, reverse=True) and snr[0] > 40 and snr[2] > 15


def test_renamed_and_sharded_anew_is_identical(tmp_path: Path) -> None:
    tensors = bert()
    names = sorted(tensors)
    a = saved(tmp_path / "a", tensors)
    b = tmp_path / "b"
    b.mkdir()
    parts = [names[::2], names[1::2]]
    for i, part in enumerate(parts, 1):
        save_file({f"bert.{n}": np.ascontiguousarray(tensors[n]) for n in part}, b / f"model-{i:05}-of-00002.safetensors")
    index = {f"bert.{n}": f"model-{i:05}-of-00002.safetensors" for i, part in enumerate(parts, 1) for n in part}
    (b / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    found = record(tmp_path / "cache", a, b)
    assert found["identical"] == len(names) and not found["total"]["changed"]
    assert f"matched: without bert. ({len(names):,})" in ran(a, b, "--cache", tmp_path / "cache")
    assert {t["match"] for t in found["tensors"]} == {"without bert."}


def test_a_grown_vocabulary_is_compared_row_by_row(tmp_path: Path) -> None:
    tensors = bert()
    name = "embeddings.word_embeddings.weight"
    grown = np.concatenate((tensors[name], np.ones((64, tensors[name].shape[1]), np.float32)))
    grown[7, 7] += 1
    a, b = saved(tmp_path / "a", tensors), saved(tmp_path / "b", {**tensors, name: grown})
    found = record(tmp_path / "cache", a, b)
    tensor = next(t for t in found["tensors"] if t["name"] == name)
    assert_told(tensor, tensors[name], grown[: len(tensors[name])])
    assert tensor["a"]["shape"][0] + 64 == tensor["b"]["shape"][0] and not tensor["identical"]
    assert found["identical"] == len(tensors) - 1


def test_what_one_side_lacks_is_listed(tmp_path: Path) -> None:
    shapes = {f"layers.{n}.mlp.weight": (8, 8) for n in range(4)}
    a = saved(tmp_path / "a", {n: np.ones(s, np.float32) for n, s in shapes.items()} | {"old": np.ones(3, np.float32)})
    b = saved(tmp_path / "b", {n: np.ones(s, np.float32) for n, s in shapes.items()} | {"new": np.ones((2, 3), np.float32)})
    text = ran(a, b, "--no-cache")
    assert "only in a:\n  old 3" in text and "only in b:\n  new 2 × 3" in text
    found = record(tmp_path / "cache", a, b)
    assert [t["name"] for t in found["only_a"]] == ["old"] and [t["name"] for t in found["only_b"]] == ["new"]


def failing(*arguments: str | Path) -> MwvError:
    with pytest.raises(MwvError) as caught:
        ran(*arguments)
    return caught.value


def test_limits_lead_to_exit_code_3(tuned: Tuned, tmp_path: Path) -> None:
    a, _, b, _ = tuned
    cache = ("--cache", tmp_path / "cache")
    for limit in (("--fail-over", "relative=1e-6"), ("--fail-over", "changed=0.5"), ("--fail-under", "snr=90")):
        error = failing(a, b, *cache, *limit)
        assert error.exit_code == 3
        assert any(TUNED[0] in line for line in error.lines)
    ran(a, b, *cache, "--fail-over", "relative=0.5", "--fail-over", "unmatched=0", "--fail-under", "cosine=0.5")
    assert failing(a, a.parent, *cache).exit_code == 1


def test_of_several_limits_the_strictest_counts(tuned: Tuned, tmp_path: Path) -> None:
    a, _, b, _ = tuned
    cache = ("--cache", tmp_path / "cache")
    for option, strict, lax in (("--fail-over", "relative=1e-6", "relative=1"), ("--fail-under", "snr=90", "snr=1")):
        ran(a, b, *cache, option, lax)
        for limits in ((strict, lax), (lax, strict)):
            assert failing(a, b, *cache, option, limits[0], option, limits[1]).exit_code == 3


def test_a_tensor_of_which_nothing_finite_is_left_is_furthest_apart(tmp_path: Path) -> None:
    ones = {f"layers.{n}.w": np.ones((4, 4), np.float32) for n in range(3)}
    broken = ones | {"layers.1.w": np.full((4, 4), np.nan, np.float32), "layers.2.w": np.full((4, 4), 3, np.float32)}
    a, b = saved(tmp_path / "a", ones), saved(tmp_path / "b", broken)
    found = record(tmp_path / "cache", a, b)
    assert [t["name"] for t in found["tensors"]] == ["layers.1.w", "layers.2.w", "layers.0.w"]
    assert found["tensors"][0]["relative"] is None and found["tensors"][0]["odd"] == 16
    assert "relative inf is over 5" in " ".join(failing(a, b, "--no-cache", "--fail-over", "relative=5").lines)


def test_a_limit_is_a_metric_and_a_number(tuned: Tuned) -> None:
    a, _, b, _ = tuned
    for text in ("nonsense=1", "relative", "relative=x", "snr=3", "relative=nan"):
        error = failing(a, b, "--no-cache", "--fail-over", text)
        assert error.exit_code == 2 and "METRIC=X" in str(error)


def test_models_without_a_tensor_in_common_are_an_error(tmp_path: Path) -> None:
    a, b = (saved(tmp_path / n, {f"{n}.one": np.ones(3, np.float32)}) for n in "ab")
    error = failing(a, b, "--no-cache")
    assert "no tensor in common" in str(error) and error.exit_code == 1


def test_a_model_of_empty_tensors_is_an_error(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", {"w": np.ones((0, 3), np.float32)})
    b = saved(tmp_path / "b", {"w": np.ones((2, 3), np.float32)})
    for pair in ((a, b), (b, a), (a, a)):
        error = failing(*pair, "--no-cache")
        assert str(error).startswith("a: holds no tensor with elements") and error.exit_code == 1


def test_long_lists_are_cut_until_all_is_asked_for(tmp_path: Path) -> None:
    one = {"layers.0.w": np.zeros(2, np.float32)}
    a, b = (
        saved(
            tmp_path / side,
            one
            | {f"{side}{n}.w": np.zeros(2, np.float32) for n in range(60)}
            | {f"{part}.t{n}.x.w": np.zeros(2, np.float32) for n in range(60) for part in parts},
        )
        for side, parts in (("a", ("",)), ("b", ("enc", "dec")))
    )
    text = ran(a, b, "--no-cache")
    assert text.count("and 70 more; --all shows them") == 1 and text.count("and 130 more; --all shows them") == 1
    assert text.count("may or may not") == 50 and "and 10 more; --all shows them" in text
    text = ran(a, b, "--no-cache", "--all")
    assert "more" not in text and text.count("may or may not") == 60


def test_nan_on_both_sides_is_no_difference_and_on_one_is_odd(tmp_path: Path) -> None:
    a = np.ones((4, 4), np.float32)
    a[0, 0] = np.nan
    b = a.copy()
    b[1, 1] = np.inf
    sides = saved(tmp_path / "a", {"w": a}), saved(tmp_path / "b", {"w": b})
    found = record(tmp_path / "c", *sides)
    assert_told(found["tensors"][0], a, b)
    assert found["tensors"][0]["changed"] == found["tensors"][0]["odd"] == 1
    assert "odd: 1 value NaN or infinite on one side alone" in ran(*sides, "--cache", tmp_path / "c")


def test_integers_are_not_among_the_weights_but_count_alone(tmp_path: Path) -> None:
    a = {"position_ids": np.arange(512), "w": np.ones(100, np.float32)}
    b = {"position_ids": np.arange(512) + 1, "w": np.full(100, 1.5, np.float32)}
    found = record(tmp_path / "c", saved(tmp_path / "a", a), saved(tmp_path / "b", b))
    assert_told({**found["total"], "name": "total"}, a["w"], b["w"])
    del a["w"], b["w"]
    found = record(tmp_path / "c", saved(tmp_path / "only-a", a), saved(tmp_path / "only-b", b))
    assert_told({**found["total"], "name": "total"}, a["position_ids"], b["position_ids"])


def test_other_files_of_two_folders_are_compared(tmp_path: Path) -> None:
    tensors = {"w": np.zeros((2, 2), np.float32)}
    a, b = saved(tmp_path / "a", tensors), saved(tmp_path / "b", tensors)
    for folder, size in ((a, 100), (b, 103)):
        (folder / "config.json").write_text(json.dumps({"vocab_size": size}))
    files = record(tmp_path / "cache", a, b)["files"]
    assert [(file["path"], file["status"]) for file in files["files"]] == [("config.json", "changed")]
    text = ran(a, b, "--cache", tmp_path / "cache")
    assert "files: 1 changed\n" in text
    assert "vocab_size: 100 → 103" in text
    one, other = a / "model.safetensors", b / "model.safetensors"
    assert record(tmp_path / "cache", one, other)["files"] is None
    assert "files:" not in ran(one, other, "--cache", tmp_path / "cache")


EXPERTS = "model.layers.0.mlp.experts."


def test_other_numbers_of_experts_are_listed_once_each(tmp_path: Path) -> None:
    norm = {"model.norm.weight": np.ones(8, np.float32)}
    a, b = (saved(tmp_path / str(n), {f"{EXPERTS}gate_up_proj": np.ones((n, 6, 8), np.float32), **norm}) for n in (4, 6))
    found = record(tmp_path / "cache", a, b)
    assert [t["name"] for t in found["tensors"]] == [*norm]
    assert [t["shape"] for t in found["only_a"]] == [[4, 6, 8]] and [t["shape"] for t in found["only_b"]] == [[6, 6, 8]]
    text = ran(a, b, "--cache", tmp_path / "cache")
    assert f"  {EXPERTS}gate_up_proj 4 × 6 × 8" in text
    assert "2 tensors without" in " ".join(failing(a, b, "--no-cache", "--fail-over", "unmatched=1").lines)


@pytest.mark.parametrize("turned", [False, True])
def test_an_expert_that_grew_is_compared_with_its_part_of_all(tmp_path: Path, turned: bool) -> None:
    rng = np.random.default_rng(0)
    fused = rng.standard_normal((4, 6, 8)).astype(np.float32)
    grown = rng.standard_normal((4, 9, 8)).astype(np.float32)
    a = saved(tmp_path / "a", {f"{EXPERTS}up_proj": fused})
    b = saved(tmp_path / "b", {f"{EXPERTS}{n}.up_proj": grown[n] for n in range(4)})
    found = record(tmp_path / "cache", *((b, a) if turned else (a, b)))
    assert len(found["tensors"]) == 4
    for tensor in found["tensors"]:
        pair = fused[tensor["expert"]], grown[tensor["expert"], :6]
        assert_told(tensor, *(pair[::-1] if turned else pair))


def test_what_float64_does_not_hold_is_not_told(tmp_path: Path) -> None:
    large = {"w": np.full((4, 4), 1.7e308), "v": np.full((4, 4), 1e200)}
    a, b = saved(tmp_path / "a", large), saved(tmp_path / "b", {name: -values for name, values in large.items()})
    found = {t["name"]: t for t in record(tmp_path / "cache", a, b)["tensors"]}
    for tensor in found.values():
        assert tensor["changed"] == 16
        assert [tensor[name] for name in ("rms", "relative", "cosine", "snr")] == [None] * 4
    assert found["w"]["max"] is None and found["v"]["max"] == 2e200
    assert "∞" in ran(a, b, "--no-cache")
    assert "relative inf is over 1" in " ".join(failing(a, b, "--no-cache", "--fail-over", "relative=1").lines)
    site = tmp_path / "site"
    built = CliRunner().invoke(cli, ["build", "--diff", str(a), str(b), "-o", str(site), "--no-cache"], standalone_mode=False)
    assert built.exception is None


def test_complex_values_that_are_not_finite_are_told_like_others(tmp_path: Path) -> None:
    inf, nan = np.inf, np.nan
    a = np.array([1 + 2j, nan, inf, inf, nan, 3, 5], np.complex64)
    b = np.array([1 + 3j, nan, inf, -inf, 2, inf, 5], np.complex64)
    x, y = (saved(tmp_path / n, {"w": values}) for n, values in (("a", a), ("b", b)))
    (found,) = record(tmp_path / "cache", x, y)["tensors"]
    assert (found["changed"], found["odd"], found["max"]) == (4, 3, 1.0)
    assert found["rms"] == pytest.approx(0.5**0.5)


def test_tensors_are_chosen_by_the_name_that_either_side_has(tuned: Tuned, tmp_path: Path) -> None:
    a, base, b, other = tuned
    renamed = saved(tmp_path / "renamed", {f"bert.{name}": values for name, values in other.items()})
    for pattern in ("*.layer.2.*", "bert.encoder.layer.2.*"):
        found = record(tmp_path / "cache", a, renamed, "--only", pattern)
        assert {t["name"] for t in found["tensors"]} == {name for name in base if ".layer.2." in name}
    with pytest.raises(MwvError, match="no tensor's whole name matches"):
        ran(a, b, "--only", "layer.2", "--no-cache")
