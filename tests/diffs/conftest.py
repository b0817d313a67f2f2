"""Real pairs of checkpoints, made once: a model and what is commonly made of it."""

from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants
from pairs_of_models import bert, ordered, saved

LAYERS: Final = 3
TYPES: Final = ("Q8_0", "Q5_1", "Q4_0")
SMOL: Final = next(Path("models/smollm2").rglob("*.gguf"))


ROWS: Final = 2048
"""Of the vocabulary: quantising all of it takes a minute."""
NAMES: Final = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    **{f"attn_{x}": f"self_attn.{y}_proj" for x, y in (("q", "q"), ("k", "k"), ("v", "v"), ("output", "o"))},
    **{f"ffn_{x}": f"mlp.{x}_proj" for x in ("gate", "up", "down")},
}
"""What transformers calls the tensors of llama's GGUF."""


@pytest.fixture(scope="session")
def smol(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first layers of a real GGUF: as it is, requantised, and as safetensors in the names and the order of transformers."""
    folder = tmp_path_factory.mktemp("smol")
    kept = {}
    for t in gguf.GGUFReader(SMOL).tensors:
        if not t.name.startswith("blk.") or int(t.name.split(".")[1]) < LAYERS:
            kept[t.name] = t.data[:ROWS], t.tensor_type
    values = {name: quants.dequantize(data, kind).astype(np.float32) for name, (data, kind) in kept.items()}
    _gguf(folder / "q4_1.gguf", kept)
    for name in TYPES:
        kind = GGMLQuantizationType[name]
        made = {
            n: (quants.quantize(v, kind), kind) if v.ndim == 2 else (v, GGMLQuantizationType.F32) for n, v in values.items()
        }
        _gguf(folder / f"{name.lower()}.gguf", made)
    saved(folder / "f32", {_renamed(name): ordered(name, value) for name, value in values.items()})
    return folder


def _renamed(name: str) -> str:
    parts = name.removesuffix(".weight").split(".")
    layer = f"model.layers.{parts[1]}." if len(parts) > 1 else ""
    return f"{layer}{NAMES[parts[-1]]}.weight"


def _gguf(path: Path, tensors: dict[str, tuple[Any, Any]]) -> None:
    """The tensors in a GGUF file that says what the real one says of its architecture."""
    writer = gguf.GGUFWriter(path, "llama")
    for add, value in (
        (writer.add_block_count, LAYERS),
        (writer.add_head_count, 9),
        (writer.add_head_count_kv, 3),
        (writer.add_embedding_length, 576),
    ):
        add(value)
    for name, (data, kind) in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray(data), raw_dtype=kind)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()


@pytest.fixture(scope="session")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Path, dict[str, Any]]:
    """A real BERT and a low-rank update of two of its matrices."""
    folder = tmp_path_factory.mktemp("tuned")
    base = bert()
    random = np.random.default_rng(5)
    other = dict(base)
    for name in ("encoder.layer.2.attention.self.query.weight", "encoder.layer.4.output.dense.weight"):
        rows, cols = base[name].shape
        update = random.standard_normal((rows, 4)) @ random.standard_normal((4, cols)) * 1e-3
        other[name] = (base[name] + update).astype(np.float32)
    return saved(folder / "base", base), base, saved(folder / "tuned", other), other
