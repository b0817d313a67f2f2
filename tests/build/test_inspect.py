"""`mwv inspect`: what it finds odd in files, against numpy on what other libraries read from them, and its exit codes."""

import json
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import dropwhile
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
import torch
from buildkit import Finished, mwv, write_model
from safetensors.numpy import load_file, save_file

from mwv.inspect import as_json, inspect
from mwv.measure.odd import KINDS

RNG = np.random.default_rng(2)
Odd = set[tuple[str, str, tuple[int, ...]]]
"""Kind, tensor, and the numbers that are told: how many elements, or which channels."""


def noise(*shape: int) -> np.ndarray:
    return (RNG.standard_normal(shape) * 0.02).astype(np.float32)


def planted() -> dict[str, np.ndarray]:
    """A tensor for each oddity, and others that have none."""
    tensors = {name: noise(120, 96) for name in ("good", "nan", "inf", "both", "row", "first")}
    tensors["nan"][[3, 7, 100], 5] = np.nan
    tensors["inf"][4, 4], tensors["inf"][9, 9] = np.inf, -np.inf
    tensors["both"][0, :2] = np.nan, np.inf
    tensors["row"][37] *= 9
    tensors["column"] = noise(200, 160).astype(np.float16)
    tensors["column"][:, [12, 140]] *= 12
    tensors["zero"] = np.zeros((8, 9), np.float16)
    tensors["ones"] = np.ones(96, ml_dtypes.bfloat16)
    tensors["second"] = tensors["first"].copy()
    tensors["tiny"] = noise(64, 64).astype(ml_dtypes.bfloat16)
    tensors["tiny"][:2, :5] = 1e-39
    tensors["f16"] = noise(64, 64).astype(np.float16)
    tensors["f16"][:1] = 1e-6
    tensors["ids"] = np.arange(512).reshape(1, 512)
    tensors["empty"] = np.zeros((0, 4), np.float32)
    tensors["one"] = np.zeros(1, np.float32)
    return tensors


@pytest.fixture(scope="module")
def odd_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("odd") / "odd.safetensors"
    save_file(planted(), path)
    return path


def inspected(path: Path, jobs: int = 2) -> dict[str, Any]:
    return json.loads(as_json(inspect(path, stats=True, odd=True, jobs=jobs)))


def complaint(done: Finished) -> list[str]:
    """The lines of stderr from the error on; on a busy machine lines about the progress come before it."""
    return [*dropwhile(lambda line: not line.startswith("mwv: "), done.err.splitlines())]


def figures(found: dict[str, Any]) -> Odd:
    """The findings of a record; of channels their numbers, of all else the first number that is told."""
    said = set()
    for finding in found["findings"]:
        kind, text = finding["kind"], finding["text"]
        if kind == "outlier":
            kind, text = text.split()[0].rstrip("s"), text.partition(":")[0]
        else:
            text = re.findall(r"\d[\d,]*", text)[0].replace(",", "")
        said.add((kind, finding["tensor"], tuple(sorted(map(int, re.findall(r"\d+", text))))))
    return said


def expected(tensors: Iterable[tuple[str, np.ndarray]]) -> Odd:
    """The same by numpy, for tensors without ties, of at most two axes that say anything."""
    found: Odd = set()
    seen = set()
    for name, values in tensors:
        odd = dict(oddities(values))
        found.update((kind, name, numbers) for kind, numbers in odd.items())
        key = values.dtype.name, values.shape, sha256(values.tobytes()).digest()
        if key in seen:
            found.add(("duplicate", name, (values.size,)))
        if values.size > 1 and not odd.keys() & {"zero", "constant"}:
            seen.add(key)
    return found


def oddities(values: np.ndarray) -> Iterator[tuple[str, tuple[int, ...]]]:
    """What is odd about one tensor; sums in float64."""
    normal = {"float32": 2.0**-126, "bfloat16": 2.0**-126, "float16": 2.0**-14}.get(values.dtype.name, 0)
    share = 0.01 if values.dtype == np.float16 else 0
    exact = values if values.dtype == np.float32 else values.astype(np.float64)
    small = np.count_nonzero((exact != 0) & (np.abs(exact) < normal))
    if small > share * exact.size:
        yield "denormal", (small,)
    for kind, count in (("nan", np.isnan(exact).sum()), ("inf", np.isinf(exact).sum())):
        if count:
            yield kind, (int(count),)
    if exact.size > 1 and (exact == exact.flat[0]).all():
        yield "constant" if exact.flat[0] else "zero", (exact.size,)
    if exact.ndim == 2 and min(exact.shape) >= 16:
        finite = np.isfinite(exact)
        clean = exact if finite.all() else np.where(finite, exact, 0)
        for axis, kind in ((1, "row"), (0, "column")):
            squares = np.einsum("ij,ij->i" if axis else "ij,ij->j", clean, clean, dtype=np.float64)
            rms = np.sqrt(squares / finite.sum(axis=axis))
            far = np.flatnonzero(rms > 4 * np.median(rms))
            if 0 < len(far) <= max(1, len(rms) // 50):
                yield kind, tuple(map(int, far))


def test_every_oddity_is_found_as_numpy_finds_it(odd_file: Path) -> None:
    found = inspected(odd_file)
    said = figures(found)
    arrays = load_file(odd_file)
    assert said == expected([(tensor["name"], arrays[tensor["name"]]) for tensor in found["tensors"]])
    assert {kind for kind, _, _ in said} == {*KINDS, "row", "column"} - {"outlier"}
    assert {name for _, name, _ in said}.isdisjoint({"good", "ids", "empty", "one"})
    assert inspected(odd_file, jobs=3)["findings"] == found["findings"]


def test_a_real_bert(bert: Path) -> None:
    found = inspected(bert)
    arrays = load_file(bert)
    said = figures(found)
    assert said == expected([(tensor["name"], arrays[tensor["name"]]) for tensor in found["tensors"]])
    assert ("zero", "pooler.dense.bias", (384,)) in said
    assert ("column", "encoder.layer.0.output.dense.weight", (856,)) in said


def test_a_real_gguf(smollm2: Path) -> None:
    found = inspected(smollm2)
    fields = gguf.GGUFReader(smollm2).tensors
    kinds = {field.name: field.tensor_type.name for field in fields}
    arrays = [(field.name, gguf.dequantize(field.data, field.tensor_type)) for field in fields]
    said = figures(found)
    assert said == expected(arrays)
    assert ("row", "blk.28.ffn_up.weight", (678,)) in said
    for tensor in found["tensors"]:
        kind = kinds[tensor["name"]]
        permuted = any(slot in tensor["name"] for slot in ("attn_q.", "attn_k."))
        order = ", rows in the order of Hugging Face; in the file they are permuted for llama.cpp" if permuted else ""
        assert tensor.get("decode") == (None if kind == "F32" else f"dequantised from {kind} blocks of 32{order}")


def test_findings_come_with_the_measurements(odd_file: Path) -> None:
    def run(*flags: str) -> Finished:
        return mwv("inspect", odd_file, *flags, cwd=odd_file.parent)

    assert "findings" not in json.loads(run("--json").out)
    measured = json.loads(run("--json", "--stats").out)
    by_condition = run("--json", "--fail-on", "nan")
    assert json.loads(by_condition.out)["findings"] == measured["findings"]
    assert all("stats" not in tensor for tensor in json.loads(by_condition.out)["tensors"])
    text = run("--stats").out
    assert "\n\nduplicate  second: the same 11,520 values as first\n" in text.replace(
        text[: text.index("\nduplicate")], "\n", 1
    )
    for finding in measured["findings"]:
        assert re.search(rf"^{finding['kind']} +{finding['tensor']}: {re.escape(finding['text'])}$", text, re.MULTILINE)
    assert run().out == run("--fail-on", "nan").out


@pytest.mark.parametrize(
    ("flags", "kinds"),
    [
        (["nan"], {"nan"}),
        (["nan,inf"], {"nan", "inf"}),
        (["zero", "Constant, denormal"], {"zero", "constant", "denormal"}),
        (["duplicate,outlier"], {"duplicate", "outlier"}),
        (["nan,any"], set(KINDS)),
    ],
)
def test_a_condition_that_is_met_is_exit_code_3(odd_file: Path, flags: list[str], kinds: set[str]) -> None:
    done = mwv("inspect", odd_file, *(word for flag in flags for word in ("--fail-on", flag)), cwd=odd_file.parent)
    assert done.code == 3
    head, *lines = complaint(done)
    assert head == f"mwv: {odd_file}: {len(lines)} findings of the kinds that --fail-on names:"
    assert {line.split()[0] for line in lines} == kinds
    assert all(re.fullmatch(r"\w+ +\w+: .+", line) for line in lines)


def test_a_condition_that_is_not_met_is_exit_code_0(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.safetensors")
    done = mwv("inspect", path, "--fail-on", "nan,inf,zero,denormal,outlier", cwd=tmp_path)
    assert (done.code, complaint(done)) == (0, [])
    assert "nothing odd" not in done.out
    constant = mwv("inspect", path, "--fail-on", "any", cwd=tmp_path)  # norms of ones
    assert constant.code == 3
    assert "constant  model.layers.0.input_layernorm.weight: all 96 elements are 1\n" in constant.err
    save_file({"w": noise(9, 9)}, tmp_path / "good.safetensors")
    assert mwv("inspect", "good.safetensors", "--stats", cwd=tmp_path).out.endswith("\nnothing odd was found\n")


@pytest.mark.parametrize("kind", ["nonsense", "nan,", "", "nan;inf"])
def test_unknown_kinds_are_wrong_usage_before_any_work(tmp_path: Path, kind: str) -> None:
    done = mwv("inspect", "missing.safetensors", "--fail-on", kind, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert all(name in done.err for name in (*KINDS, "any"))


def test_a_file_that_cannot_be_read_is_no_condition(tmp_path: Path) -> None:
    assert mwv("inspect", "missing.safetensors", "--fail-on", "any", cwd=tmp_path).code == 1


def test_tied_tensors_are_said_to_be_tied_and_are_no_duplicates(tmp_path: Path) -> None:
    weight = torch.from_numpy(noise(40, 30))
    tensors = {"embed": weight, "head": weight, "copy": weight.clone(), "turned": weight.T}
    torch.save(tensors, tmp_path / "m.pt")
    found = inspected(tmp_path / "m.pt")
    by_name = {tensor["name"]: tensor for tensor in found["tensors"]}
    assert {name: tensor.get("tied") for name, tensor in by_name.items()} == {
        "embed": None,
        "head": "embed",
        "copy": None,
        "turned": None,
    }
    assert by_name["turned"]["decode"] == "gathered from a strided view"
    assert figures(found) == {("duplicate", "copy", (1200,))}
    (line,) = (line for line in mwv("inspect", "m.pt", cwd=tmp_path).out.splitlines() if line.startswith("head"))
    assert line.endswith("  tied to embed")


def test_names_are_told_on_one_line(tmp_path: Path) -> None:
    values = noise(4, 4)
    save_file({"a\nb": values, "c\x1b[31m": values}, tmp_path / "m.safetensors")
    done = mwv("inspect", "m.safetensors", "--fail-on", "duplicate", cwd=tmp_path)
    head, finding = complaint(done)
    assert (done.code, finding.split()[0]) == (3, "duplicate")
    assert head == "mwv: m.safetensors: 1 finding of the kinds that --fail-on names:"
    assert "\x1b" not in done.out + done.err


def test_an_adapter_names_its_base_model(tmp_path: Path) -> None:
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({name: noise(8, 64)}, tmp_path / "adapter_model.safetensors")
    said = {"peft_type": "LORA", "base_model_name_or_path": "org/base", "r": 8, "lora_alpha": 16}
    (tmp_path / "adapter_config.json").write_text(json.dumps(said))
    found = inspect(tmp_path, stats=False, odd=False, jobs=1)
    assert found.record()["architecture"] == "LORA adapter"
    lines = list(found.lines())
    assert ": LORA adapter, safetensors" in lines[0]
    assert lines[1] == "adapter: base model org/base, lora rank 8, lora alpha 16"
    assert mwv("build", ".", "-o", "site", "--no-cache", cwd=tmp_path).code == 0
    page = next((tmp_path / "site").glob("*/index.html")).read_text()
    assert all(text in page for text in ("Base model", "org/base", "LoRA rank", "LORA adapter"))
    # A model beside the adapter is none itself.
    save_file({"model.layers.0.w": noise(8, 8)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    beside = [inspect(tmp_path / f"{stem}.safetensors", stats=False, odd=False, jobs=1) for stem in ("model", "adapter_model")]
    assert [found.record()["architecture"] for found in beside] == ["llama", "LORA adapter"]
