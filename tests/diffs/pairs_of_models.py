"""Pairs of checkpoints to compare, and what plain numpy says about two arrays."""

from collections.abc import Mapping
from math import inf, log10
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

BERT = Path("models/bert")
HEADS = {"attn_q": 9, "attn_k": 3}


def saved(folder: Path, tensors: Mapping[str, Any], **others: Mapping[str, Any]) -> Path:
    """A folder with a safetensors file, and others by the ends of their names."""
    folder.mkdir(parents=True)
    save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, folder / "model.safetensors")
    for name, more in others.items():
        save_file(dict(more), folder / f"model-{name}.safetensors")
    return folder


def bert() -> dict[str, Any]:
    """The tensors of a real model."""
    return load_file(next(BERT.rglob("*.safetensors")))


def told(a: Any, b: Any) -> dict[str, float | None]:
    """What mwv says of a pair, by plain numpy in float64."""
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    differ = ~((x == y) | (np.isnan(x) & np.isnan(y)))
    finite = np.isfinite(x) & np.isfinite(y)
    d = (y - x)[finite]
    x, y = x[finite], y[finite]
    noise, signal = float(np.sum(d * d)), float(np.sum(x * x))
    norms = float(np.linalg.norm(x) * np.linalg.norm(y))
    return {
        "elements": a.size,
        "changed": int(differ.sum()),
        "odd": int((differ & ~finite).sum()),
        "grew": int((d > 0).sum()),
        "max": float(np.max(np.abs(d), initial=0)),
        "mean": float(d.mean()) if d.size else 0.0,
        "rms": (noise / d.size) ** 0.5 if d.size else 0.0,
        "relative": (noise / signal) ** 0.5 if signal else None if noise else 0.0,
        "cosine": float(x @ y) / norms if norms else None,
        "snr": 10 * log10(signal / noise) if signal and noise else None,
    }


def assert_told(record: Mapping[str, Any], a: Any, b: Any) -> None:
    """A record of mwv says of two arrays what numpy says."""
    for name, expected in told(a, b).items():
        found = record[name]
        if expected is None or found is None:
            assert found is expected, (record["name"], name, found, expected)
        else:
            assert abs(found - expected) <= 1e-9 * max(abs(expected), abs(found)) + 1e-12, (
                record["name"],
                name,
                found,
                expected,
            )
    assert inf not in record.values()


def ordered(name: str, value: Any) -> Any:
    """Rows of q and k, of which GGUF has the halves of a rotation side by side."""
    heads = HEADS.get(name.split(".")[-2] if "." in name else "")
    if heads is None:
        return value
    return value.reshape(heads, -1, 2, value.shape[-1]).swapaxes(1, 2).reshape(value.shape)
