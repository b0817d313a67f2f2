"""A kind and a size in, a synthetic checkpoint file out. Run as a program, so that whoever measures stays small.

Weights are what real ones look like to a compressor: Gaussian, with a spread of its own for every tensor. They are drawn
from a table of quantiles, which is fast, and no two bands are alike. Norms are near one.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from pathlib import Path
from statistics import NormalDist
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

PIECE = 1 << 24
"""Elements written at a time."""
Q4_K = (256, 144)
"""Elements and bytes of a block of GGUF's Q4_K."""
BANK = 1 << 14
"""Different blocks of Q4_K; a tensor is a random sequence of them."""


@dataclass(frozen=True)
class Llama:
    """Sizes of a model of the Llama family."""

    hidden: int
    inner: int
    keys: int
    layers: int
    vocabulary: int

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names, as the safetensors files of such models have them, and shapes."""
        yield "model.embed_tokens.weight", (self.vocabulary, self.hidden)
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}"
            yield f"{prefix}.input_layernorm.weight", (self.hidden,)
            for name, rows in (("q", self.hidden), ("k", self.keys), ("v", self.keys), ("o", self.hidden)):
                yield f"{prefix}.self_attn.{name}_proj.weight", (rows, self.hidden)
            yield f"{prefix}.post_attention_layernorm.weight", (self.hidden,)
            yield f"{prefix}.mlp.gate_proj.weight", (self.inner, self.hidden)
            yield f"{prefix}.mlp.up_proj.weight", (self.inner, self.hidden)
            yield f"{prefix}.mlp.down_proj.weight", (self.hidden, self.inner)
        yield "model.norm.weight", (self.hidden,)

    @property
    def elements(self) -> int:
        """Elements of all tensors."""
        return sum(prod(shape) for _, shape in self.tensors())


@dataclass(frozen=True)
class Experts(Llama):
    """The same with many small experts, each matrix of which is a tensor."""

    experts: int

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes, as Qwen's models of that kind have them."""
        for name, shape in super().tensors():
            prefix, dot, matrix = name.partition(".mlp.")
            if not dot:
                yield name, shape
                continue
            if matrix == "gate_proj.weight":
                yield f"{prefix}.mlp.gate.weight", (self.experts, self.hidden)
            for expert in range(self.experts):
                yield f"{prefix}.mlp.experts.{expert}.{matrix}", shape


LLAMA_8B = Llama(4096, 14336, 1024, 32, 128256)
LLAMA_70B = Llama(8192, 28672, 1024, 80, 128256)


def sized(elements: int) -> Llama:
    """The model nearest to a number of elements, a fifth of it the embedding; at least one layer of a small one."""
    hidden = next((width for width, least in ((2048, 1.2e8), (1024, 2e7)) if elements >= least), 256)
    inner, keys = -(-hidden * 11 // 1024) * 256, hidden // 4
    layer = hidden * (2 * hidden + 2 * keys + 3 * inner)
    layers = max(1, round(0.8 * elements / layer))
    return Llama(hidden, inner, keys, layers, max(256, (elements - layers * layer) // hidden))


def with_experts(elements: int) -> Experts:
    """A model of about 20,000 tensors, near a number of elements."""
    hidden = 1024 if elements >= 2e8 else 64
    least = Experts(hidden, 1, hidden, 32, 32 * hidden, 200)
    each = 3 * hidden * least.layers * least.experts
    return replace(least, inner=max(1, 1 + round((elements - least.elements) / each)))


def gaussian(rng: np.random.Generator, count: int, centre: float, spread: float) -> NDArray[np.uint16]:
    """Bit patterns of bfloat16 numbers of a normal distribution."""
    table = (centre + spread * _quantiles()).astype(ml_dtypes.bfloat16).view(np.uint16)
    return table[np.frombuffer(rng.bytes(2 * count), np.uint16)]


@cache
def _quantiles() -> NDArray[np.float32]:
    """65,536 equally likely values of the standard normal distribution, from 4,096 exact ones."""
    normal = NormalDist()
    exact = [normal.inv_cdf((i + 0.5) / 4096) for i in range(4096)]
    return np.interp((np.arange(65536) + 0.5) / 16, np.arange(4096) + 0.5, exact).astype(np.float32)


def _statistics(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[float, float]:
    return (1.0, 0.1) if len(shape) == 1 else (0.0, float(rng.uniform(0.01, 0.05)))


def write_safetensors(path: Path, model: Llama, filled: int | None = None) -> None:
    """A bfloat16 file; only its first `filled` elements are written, and the rest is a hole that reads as zeros."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in model.tensors():
        begin, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(0)
    left = model.elements if filled is None else filled
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, shape in model.tensors():
            centre, spread = _statistics(rng, shape)
            count = min(left, prod(shape))
            left -= count
            for begin in range(0, count, PIECE):
                file.write(gaussian(rng, min(PIECE, count - begin), centre, spread).data)
        file.truncate(8 + len(text) + end)


def write_finetune(path: Path, base: Path) -> str:
    """A copy of a safetensors file in which one matrix of the middle layer is drawn anew; the matrix' name."""
    shutil.copyfile(base, path)
    with open(path, "r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        matrices = [name for name in header if name.endswith("up_proj.weight")]
        name = matrices[len(matrices) // 2]
        begin, end = header[name]["data_offsets"]
        file.seek(8 + length + begin)
        file.write(gaussian(np.random.default_rng(1), (end - begin) // 2, 0.0, 0.03).data)
    return str(name)


def write_tuned(path: Path, base: Path) -> None:
    """A copy of a safetensors file in which the last bit of half of all values is another."""
    rng = np.random.default_rng(2)
    with open(base, "rb") as old, open(path, "wb") as new:
        length = old.read(8)
        new.write(length + old.read(int.from_bytes(length, "little")))
        while piece := old.read(2 * PIECE):
            values = np.frombuffer(piece, np.uint16)
            new.write((values ^ (np.frombuffer(rng.bytes(values.size), np.uint8) & 1)).data)


def q4_k_blocks(rng: np.random.Generator, count: int) -> NDArray[np.uint8]:
    """Valid Q4_K blocks (count × 144 bytes) whose values are about normal around zero.

    A block is: scale of scales d and of minima dmin (float16), eight 6-bit scales and eight 6-bit minima in 12 bytes, 256
    nibbles; a value is d · scale · nibble - dmin · minimum. Here minima equal scales and dmin is 7.5 d.
    """
    blocks = np.empty((count, Q4_K[1]), np.uint8)
    d = rng.uniform(1e-4, 2e-4, count)
    blocks[:, :4] = np.stack((d, 7.5 * d), axis=1).astype("<f2").view(np.uint8)
    scales = rng.integers(30, 64, (count, 8), np.uint8)
    low, high = scales[:, :4], scales[:, 4:]
    blocks[:, 4:8] = blocks[:, 8:12] = low | (high >> 4) << 6
    blocks[:, 12:16] = (high & 15) * 17
    nibbles = np.clip(np.rint(rng.normal(7.5, 3, (count, 2, 128))), 0, 15).astype(np.uint8)
    blocks[:, 16:] = nibbles[:, 0] | nibbles[:, 1] << 4
    return blocks


def write_gguf(path: Path, model: Llama) -> None:
    """The same model as a GGUF file: matrices in Q4_K, norms in F32."""
    from gguf import GGMLQuantizationType, GGUFWriter, get_tensor_name_map
    from gguf.constants import MODEL_ARCH

    names = get_tensor_name_map(MODEL_ARCH.LLAMA, model.layers)
    rng = np.random.default_rng(0)
    bank = q4_k_blocks(rng, BANK)
    writer = GGUFWriter(path, "llama", use_temp_file=True)
    writer.add_block_count(model.layers)
    writer.add_embedding_length(model.hidden)
    for name, shape in model.tensors():
        short = names.get_name(name, try_suffixes=(".weight",))
        if len(shape) == 1:
            writer.add_tensor(str(short), rng.normal(1.0, 0.1, shape).astype(np.float32))
            continue
        rows = bank[rng.integers(0, BANK, prod(shape) // Q4_K[0], np.uint16)].reshape(shape[0], -1)
        writer.add_tensor(str(short), rows, raw_dtype=GGMLQuantizationType.Q4_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_gptq(path: Path, model: Llama) -> None:
    """The same model as GPTQ's tools write it: linear layers of four bits in groups of 128 inputs, all else in float16."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    # Two codes of a byte, about normal around the zero point.
    nibbles = np.clip(np.rint(7.5 + 2.5 * _quantiles()[128::256]), 0, 15).astype(np.uint8)
    found: dict[str, NDArray[Any]] = {}
    for name, shape in model.tensors():
        if len(shape) == 1 or ".layers." not in name:
            centre, spread = _statistics(rng, shape)
            found[name] = gaussian(rng, prod(shape), centre, spread).view(ml_dtypes.bfloat16).astype(np.float16).reshape(shape)
            continue
        (outputs, inputs), base = shape, name.removesuffix(".weight")
        low, high = (nibbles[np.frombuffer(rng.bytes(inputs * outputs // 2), np.uint8)] for _ in range(2))
        found[f"{base}.qweight"] = (low | high << 4).view(np.int32).reshape(inputs // 8, outputs)
        found[f"{base}.qzeros"] = np.full((inputs // 128, outputs // 8), 0x77777777, np.int32)
        found[f"{base}.scales"] = rng.uniform(0.005, 0.02, (inputs // 128, outputs)).astype(np.float16)
        found[f"{base}.g_idx"] = (np.arange(inputs) // 128).astype(np.int32)
    save_file(found, path)


def write(kind: str, path: Path, argument: str) -> str:
    """Write a model of a kind; a line about it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "finetune":
        return write_finetune(path, Path(argument))
    if kind == "tuned":
        write_tuned(path, Path(argument))
        return "every tensor changed"
    if kind in ("8B", "70B"):
        model = LLAMA_8B if kind == "8B" else LLAMA_70B
        write_safetensors(path, model, int(argument))
    else:
        model = (with_experts if kind == "experts" else sized)(int(argument))
        {"q4_k": write_gguf, "gptq": write_gptq}.get(kind, write_safetensors)(path, model)
    return f"{model.layers} layers of width {model.hidden}"


if __name__ == "__main__":
    target = Path(sys.argv[2])
    print(write(sys.argv[1], target, sys.argv[3]))
    # A file that is older than two seconds is one whose digests mwv remembers.
    hour_ago = time.time() - 3600
    os.utime(target, (hour_ago, hour_ago))
