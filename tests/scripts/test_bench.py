"""scripts/bench: synthetic models are read alike by the formats' own libraries; the table says what was measured."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors import safe_open

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The module behind scripts/bench, or one beside it."""
    return subprocess.run(
        [sys.executable, "-B", *map(str, arguments)], cwd=ROOT / "scripts", capture_output=True, text=True, timeout=300
    )


def model(kind: str, path: Path, argument: object) -> Path:
    answer = bench("-m", "benchmarks.models", kind, path, str(argument))
    assert answer.returncode == 0, answer.stderr
    return path


def read(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name).double().numpy() for name in file.keys()}  # noqa: SIM118


def test_bfloat16_models_have_the_size_and_the_statistics_of_real_ones(tmp_path: Path) -> None:
    weights = read(model("bf16", tmp_path / "bf16" / "model.safetensors", 3_000_000))
    assert sum(array.size for array in weights.values()) == pytest.approx(3e6, rel=0.1)
    for name, array in weights.items():
        if array.ndim == 2:
            assert 0.009 < array.std() < 0.052
            assert abs(array.mean()) < 5 * array.std() / array.size**0.5
            assert (array**4).mean() / array.var() ** 2 == pytest.approx(3, abs=0.2)  # the normal distribution's kurtosis
        else:
            assert array.mean() == pytest.approx(1, abs=0.05), name


def test_a_model_of_experts_has_20_000_tensors(tmp_path: Path) -> None:
    path = model("experts", tmp_path / "model.safetensors", 5_000_000)
    with safe_open(path, "pt") as file:
        names = list(file.keys())
        sizes = [int(np.prod(file.get_slice(name).get_shape())) for name in names]
    assert 19_000 < len(names) < 21_000
    assert sum(sizes) == pytest.approx(5e6, rel=0.2)
    assert sum(name.startswith("model.layers.31.mlp.experts.199.") for name in names) == 3
    assert not any(name.endswith("mlp.gate_proj.weight") for name in names)


def test_a_finetune_differs_in_one_tensor(tmp_path: Path) -> None:
    base = model("bf16", tmp_path / "base.safetensors", 3_000_000)
    before, after = read(base), read(model("finetune", tmp_path / "tuned.safetensors", base))
    assert before.keys() == after.keys()
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert [name.rpartition(".mlp.")[2] for name in changed] == ["up_proj.weight"]


def test_a_canvas_of_8_g_takes_no_room(tmp_path: Path) -> None:
    path = model("8B", tmp_path / "sparse.safetensors", 10_000)
    assert path.stat().st_size > 15e9
    assert path.stat().st_blocks * 512 < 1e6
    with safe_open(path, "pt") as file:
        assert len(file.keys()) == 3 + 32 * 9 - 1
        embedding = file.get_slice("model.embed_tokens.weight")
        assert embedding.get_shape() == [128256, 4096]
        assert (embedding[:2].double().numpy() != 0).mean() > 0.99
        assert not embedding[3:5].any()


def test_q4_k_blocks_are_valid_and_look_normal(tmp_path: Path) -> None:
    path = model("q4_k", tmp_path / "model.gguf", 1_000_000)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    matrix = tensors["blk.0.ffn_up.weight"]
    assert matrix.tensor_type == gguf.GGMLQuantizationType.Q4_K
    assert "output_norm.weight" in tensors
    values = gguf.quants.dequantize(matrix.data, matrix.tensor_type).astype(np.float64)
    assert values.size == matrix.n_elements
    assert np.isfinite(values).all()
    assert abs(values.mean()) < 0.01 * values.std()
    assert 0.01 < values.std() < 0.05


def test_rows_that_are_named_are_measured(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    work = tmp_path / "work"
    work.mkdir()
    answer = bench("-m", "benchmarks", "help", "parts", "--elements", "1M", "--repeats", "1", "--folder", work, "--json", out)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(out.read_text())
    assert found["options"] == {"elements": 1_000_000, "repeats": 1, "jobs": 2, "full": False}
    assert [row["name"] for row in found["rows"]] == ["parts", "help"]
    parts, help_ = found["rows"]
    assert set(parts["detail"]["seconds"]) == {"pread", "blake3", "table", "isal", "png", "write"}
    assert parts["detail"]["value"] == pytest.approx(parts["detail"]["build"] / parts["detail"]["floor"])
    floor = sum(min(times) for name, times in parts["detail"]["seconds"].items() if name != "png")
    assert parts["detail"]["floor"] == pytest.approx(floor)
    assert parts["met"] is (parts["detail"]["value"] <= 1.7)
    assert help_["met"] is (help_["detail"]["value"] <= 0.3)
    for row in found["rows"]:
        assert f"| {row['what']}" in answer.stdout
    assert list(work.iterdir()) == []


def test_unknown_rows_and_sizes_are_refused() -> None:
    for arguments, word in ((["speed"], "no row is called speed"), (["--elements", "many"], "invalid number value")):
        answer = bench("-m", "benchmarks", *arguments)
        assert answer.returncode == 2
        assert word in answer.stderr
        assert "Traceback" not in answer.stderr


def test_what_cannot_be_measured_says_why(tmp_path: Path) -> None:
    """A row whose command fails is a line of the table, and the exit code tells."""
    script = (
        "import sys; from benchmarks import __main__, bench, runs\n"
        "def broken(options):\n    'Nothing.'\n    yield from [runs.run(sys.executable, '-c', 'exit(\"no luck\")')]\n"
        "bench.ROWS['help'] = __main__.ROWS['help'] = broken\n"
        "sys.argv = ['bench', 'help']; sys.exit(__main__.main())"
    )
    answer = bench("-c", script)
    assert answer.returncode == 1, answer.stderr
    assert "not measured: python" in answer.stdout.replace(Path(sys.executable).name, "python")
    assert "no luck" in answer.stdout
