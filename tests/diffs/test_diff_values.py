"""`mwv diff` of types that are rarely compared, and of values that are hard to sum, against torch and numpy in float64."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from packingkit import gptq_layer, written
from pairs_of_models import assert_told, told
from safetensors.torch import save_file

from mwv.cli import cli

FLOATS = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")
SMALL = np.random.default_rng(0).standard_normal((200, 70))


def tensors(folder: Path, a: Path, b: Path) -> list[dict[str, Any]]:
    arguments = ["diff", str(a), str(b), "--json", "--cache", str(folder / "cache")]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
    found: list[dict[str, Any]] = json.loads(result.stdout)["tensors"]
    return found


def compared(folder: Path, a: Any, b: Any) -> dict[str, Any]:
    """What is said of two arrays or tensors."""
    paths = []
    for name, values in (("a", a), ("b", b)):
        tensor = values if isinstance(values, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(values))
        save_file({"w": tensor}, folder / f"{name}.safetensors")
        paths.append(folder / f"{name}.safetensors")
    (found,) = tensors(folder, *paths)
    return found


@pytest.mark.parametrize("name", FLOATS)
def test_every_short_float_equals_its_own_bf16_and_differs_from_others(tmp_path: Path, name: str) -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(16, 16).view(getattr(torch, name))
    assert compared(tmp_path, every, every.to(torch.bfloat16))["identical"]
    turned = every.view(torch.uint8).flip(0).contiguous().view(every.dtype).to(torch.bfloat16)
    x, y = every.double().numpy(), turned.double().numpy()
    assert_told(compared(tmp_path, every, turned), x, y)


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "bfloat16", "bool", "int8"])
def test_a_tensor_in_another_type_is_compared_by_value(tmp_path: Path, kind: str) -> None:
    a = torch.from_numpy(SMALL.astype(np.float32))
    b = a > 0 if kind == "bool" else (a * 40 if kind == "int8" else a).to(getattr(torch, kind))
    assert_told(compared(tmp_path, a, b), a.double().numpy(), b.double().numpy())


def test_a_gptq_weight_is_compared_with_its_values_in_bf16(tmp_path: Path) -> None:
    parts, values = gptq_layer(4, 256, 160, 64, act_order=True)
    plain = torch.from_numpy(values.astype(np.float32)).to(torch.bfloat16)
    name = "model.layers.0.self_attn.q_proj.weight"
    written(tmp_path / "packed", parts)
    written(tmp_path / "plain", {name: plain})
    (found,) = tensors(tmp_path, tmp_path / "packed", tmp_path / "plain")
    assert found["a"]["dtype"] == "GPTQ 4-bit" and found["b"]["dtype"] == "BF16"
    assert_told(found, values.astype(np.float32), plain.float().numpy())


@pytest.mark.parametrize(("value", "dtype"), [(3e38, np.float32), (1e10, np.float32), (1e200, np.float64), (1e160, np.float64)])
def test_small_values_are_measured_beside_a_huge_one_that_became_nan(tmp_path: Path, value: float, dtype: Any) -> None:
    a = SMALL.astype(dtype)
    b = a + SMALL[::-1].astype(dtype) * dtype(1e-3)
    a[3, 3], b[3, 3], b[70, 7] = value, np.nan, np.inf
    assert_told(compared(tmp_path, a, b), a, b)


def test_rows_of_huge_values_that_went_leave_the_others_measured(tmp_path: Path) -> None:
    a = np.concatenate((SMALL, np.full((3, 70), 1e12)))
    b = SMALL + 1e-3
    assert_told(compared(tmp_path, a, b), SMALL, b)


def test_float64_beyond_float32_counts_as_it_is(tmp_path: Path) -> None:
    a, b = SMALL * 1e60, SMALL * 1.01e60
    found, expected = compared(tmp_path, a, b), told(a, b)
    for name in ("rms", "relative", "cosine", "snr", "max"):
        assert found[name] == pytest.approx(expected[name], rel=1e-9), name


def test_what_is_too_small_to_be_squared_is_not_called_equal(tmp_path: Path) -> None:
    found = compared(tmp_path, np.full((4, 4), 1e-300), np.full((4, 4), 2e-300))
    assert found["changed"] == 16 and found["max"] == 1e-300
    assert found["rms"] >= 2.5e-301 and found["relative"] is None and found["cosine"] is None and found["snr"] is None
    added = compared(tmp_path, np.ones((4, 4)), np.where(np.eye(4), 1.0, 1 + 2.0**-52))
    assert added["relative"] > 0


def test_what_a_complex_nan_replaces_does_not_count(tmp_path: Path) -> None:
    a = (SMALL + 1j * SMALL[::-1]).astype(np.complex64)
    b = a.copy()
    b[1, 1] += 3j
    a[0, 0], b[0, 0] = 50, complex(np.nan, 1)
    found, both = compared(tmp_path, a, b), np.isfinite(b)
    x, y = a[both].astype(np.complex128), b[both].astype(np.complex128)
    assert found["relative"] == pytest.approx(np.linalg.norm(y - x) / np.linalg.norm(x), rel=1e-6)
    cosine = np.vdot(x, y).real / np.linalg.norm(x) / np.linalg.norm(y)
    assert found["cosine"] == pytest.approx(cosine, rel=1e-6)


def test_int64_that_float64_does_not_tell_apart_differ(tmp_path: Path) -> None:
    a = torch.tensor([[2**62, 2**53 + 1, -(2**63), 2**63 - 1]])
    b = torch.tensor([[2**62 + 1, 2**53, 2**63 - 1, 2**63 - 1]])
    found = compared(tmp_path, a, b)
    assert (found["changed"], found["grew"], found["odd"]) == (3, 2, 0)
