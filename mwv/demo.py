"""A folder in, two small checkpoints in it out: a transformer built by code and a finetune of it, with things to find.

In the base: attention heads of differing strength, one dead head, one outlier channel, neurons whose strength drifts from
layer to layer, matrices that grow with depth, a pruned matrix, tokens that were never trained. In the finetune: low-rank
changes in the upper layers, one head that died, a NaN, a vocabulary that grew; everything else is the base, bit for bit.

Every byte is the same on every machine: the noise comes from a bit generator whose stream is fixed, and the rest is
element-wise +, ×, ÷ and √, which IEEE 754 defines to the bit. No sines, no matrix products, no sums of floats.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

Array = npt.NDArray[np.float32]
Tensors = dict[str, Array]

_WRITTEN = 1_767_225_600

EDITION = 1
"""Raised with every change of a byte, so that files of an older edition are written anew."""

LAYERS = 8
HIDDEN = 512
HEADS = 8
KEY_VALUE_HEADS = 4
HEAD_SIZE = HIDDEN // HEADS
NEURONS = 1536
TOKENS = 4000
UNTRAINED_TOKENS = 96
ADDED_TOKENS = 64

DEAD_HEAD = (5, 2)
"""(layer, head) whose queries and outputs are zero in both models."""
LOST_HEAD = (2, 6)
"""(layer, head) that is dead in the finetune alone."""
OUTLIER_CHANNEL = 77
"""The channel of the residual stream that is much stronger than all others."""
PRUNED = "model.layers.7.mlp.up_proj.weight"
"""Two of four neighbours are zero."""
NAN = ("model.layers.4.mlp.down_proj.weight", 300, 1000)
"""Tensor, row and column of the finetune's NaN."""
TUNED_LAYERS = (5, 6, 7)
"""Layers whose queries and values the finetune changes, by matrices of rank 2."""


def wave(cycles: float, phase: float, length: int) -> Array:
    """A sine's look-alike from parabolas, between -1 and 1: smooth, and equal on all machines."""
    turn = (np.arange(length, dtype=np.float32) / np.float32(length) * np.float32(cycles) + np.float32(phase)) % np.float32(1)
    centred = np.float32(2) * turn - np.float32(1)
    values: Array = np.float32(4) * centred * (np.abs(centred) - np.float32(1))
    return values


def noise(seed: int, rows: int, columns: int) -> Array:
    """Nearly normal values of mean 0 and standard deviation 1, none of them zero: sums of four random bytes."""
    raw = np.random.SFC64(seed).random_raw((rows * columns + 1) // 2).astype("<u8", copy=False).view(np.uint8).reshape(-1, 4)
    total = raw[:, 0].astype(np.int16)
    for byte in range(1, 4):
        total += raw[:, byte]
    # The mean is 4 × 127.5 = 510; half a step beside it, so that no value is zero. The variance is 4 (256² - 1) / 12.
    values = total[: rows * columns].reshape(rows, columns).astype(np.float32)
    values -= np.float32(510.5)
    values *= np.float32(1 / 147.8)
    return values


def head_strengths(heads: int, layer: int) -> Array:
    """One factor per row of a projection that belongs to heads: it differs from head to head and drifts with the layers.

    Within a head the first half of each pair of rotated channels is stronger, as rotary positions leave it.
    """
    each = np.float32(1) + np.float32(0.6) * wave(3, layer / 11, heads)
    within = np.float32(1.25) - np.float32(0.5) * (np.arange(HEAD_SIZE, dtype=np.float32) % 32) / np.float32(32)
    return (each[:, None] * within[None, :]).reshape(-1)


def neuron_strengths(layer: int) -> Array:
    """One factor per neuron: a smooth hump that moves on by an eighth from layer to layer."""
    return np.float32(1) + np.float32(0.55) * wave(1, layer / LAYERS, NEURONS) + np.float32(0.15) * wave(24, 0, NEURONS)


def ripple(rows: int, columns: int, layer: int, strength: float) -> Array:
    """A smooth pattern with regions of either sign, which an overview shows in colour."""
    down, across = wave(2 + layer % 3, layer / 7, rows), wave(3, layer / 5, columns)
    return np.float32(strength) * down[:, None] * across[None, :]


def strengthen(matrix: Array, axis: int, factor: float) -> Array:
    """The matrix with its outlier channel (a row for axis 0, a column for axis 1) made stronger."""
    matrix[(slice(None),) * axis + (OUTLIER_CHANNEL,)] *= np.float32(factor)
    return matrix


def silence(tensors: Tensors, layer: int, head: int) -> None:
    """Make one attention head dead: nothing asks, nothing comes out."""
    rows = slice(head * HEAD_SIZE, (head + 1) * HEAD_SIZE)
    tensors[f"model.layers.{layer}.self_attn.q_proj.weight"][rows] = 0
    tensors[f"model.layers.{layer}.self_attn.o_proj.weight"][:, rows] = 0


def layer_tensors(layer: int) -> Tensors:
    """One block of the base."""
    prefix = f"model.layers.{layer}"
    depth = np.float32(0.02 * (0.7 + 0.12 * layer))

    def matrix(slot: int, rows: int, columns: int, strength: Array | np.float32, axis: int) -> Array:
        values = noise(100 * layer + slot, rows, columns)
        values += ripple(rows, columns, layer + slot, 0.45)
        values *= depth * (strength if np.ndim(strength) == 0 else np.expand_dims(strength, 1 - axis))
        return values

    def gain(slot: int, level: float) -> Array:
        values = np.float32(level) * (np.float32(1) + np.float32(0.08) * noise(100 * layer + slot, 1, HIDDEN)[0])
        return strengthen(values, 0, 6)

    heads, shared = head_strengths(HEADS, layer), head_strengths(KEY_VALUE_HEADS, layer)
    neurons = neuron_strengths(layer)
    return {
        f"{prefix}.input_layernorm.weight": gain(8, 0.4 + 0.05 * layer),
        f"{prefix}.self_attn.q_proj.weight": strengthen(matrix(0, HIDDEN, HIDDEN, heads, 0), 1, 5),
        f"{prefix}.self_attn.k_proj.weight": strengthen(matrix(1, shared.size, HIDDEN, shared, 0), 1, 5),
        f"{prefix}.self_attn.v_proj.weight": strengthen(matrix(2, shared.size, HIDDEN, np.float32(0.6), 0), 1, 3),
        f"{prefix}.self_attn.o_proj.weight": strengthen(matrix(3, HIDDEN, HIDDEN, heads, 1), 0, 4),
        f"{prefix}.post_attention_layernorm.weight": gain(9, 0.6 + 0.04 * layer),
        f"{prefix}.mlp.gate_proj.weight": strengthen(matrix(4, NEURONS, HIDDEN, neurons, 0), 1, 5),
        f"{prefix}.mlp.up_proj.weight": strengthen(matrix(5, NEURONS, HIDDEN, neurons, 0), 1, 4),
        f"{prefix}.mlp.down_proj.weight": strengthen(matrix(6, HIDDEN, NEURONS, neurons, 1), 0, 4),
    }


def token_table(seed: int, strength: float) -> Array:
    """One row per token, weaker towards the rare ones and almost nothing for those never trained; columns lean to a side."""
    values = noise(seed, TOKENS, HIDDEN)
    values += np.float32(0.9) * wave(5, 0.1 * seed, HIDDEN)
    rank = np.arange(TOKENS, dtype=np.float32)
    values *= (np.float32(strength) / np.sqrt(np.float32(1) + rank / np.float32(500)))[:, None]
    values[-UNTRAINED_TOKENS:] *= np.float32(1 / 64)
    return strengthen(values, 1, 4)


def base_model() -> Tensors:
    """All tensors of the base, in float32."""
    tensors = {"model.embed_tokens.weight": token_table(9001, 0.05)}
    for layer in range(LAYERS):
        tensors |= layer_tensors(layer)
    silence(tensors, *DEAD_HEAD)
    tensors[PRUNED][:, 0::4] = 0
    tensors[PRUNED][:, 2::4] = 0
    tensors["model.norm.weight"] = strengthen(np.float32(2) + np.float32(0.1) * noise(9002, 1, HIDDEN)[0], 0, 5)
    tensors["lm_head.weight"] = token_table(9003, 0.04)
    return tensors


def low_rank(rows: int, columns: int, layer: int) -> Array:
    """A change of rank 2, as low-rank finetuning makes it."""
    broad = wave(1.5, layer / 6, rows)[:, None] * wave(2, 0.2, columns)[None, :]
    fine = wave(9, 0, rows)[:, None] * wave(5, layer / 9, columns)[None, :]
    return np.float32(0.012) * broad + np.float32(0.008) * fine


def grown(table: Array, seed: int) -> Array:
    """The table with rows for new tokens below, all near the common ones."""
    return np.concatenate([table, np.float32(0.02) * (noise(seed, ADDED_TOKENS, HIDDEN) + wave(5, 0.5, HIDDEN))])


def finetuned(base: Tensors) -> Tensors:
    """All tensors of the finetune; those that did not change are the base's own arrays."""
    tensors = dict(base)
    for layer in TUNED_LAYERS:
        for slot in ("q_proj", "v_proj"):
            name = f"model.layers.{layer}.self_attn.{slot}.weight"
            rows, columns = base[name].shape
            tensors[name] = base[name] + low_rank(rows, columns, layer)
    layer, head = LOST_HEAD
    for slot in ("q_proj", "o_proj"):
        name = f"model.layers.{layer}.self_attn.{slot}.weight"
        tensors[name] = base[name].copy()
    silence(tensors, layer, head)
    silence(tensors, *DEAD_HEAD)
    name, row, column = NAN
    tensors[name] = base[name].copy()
    tensors[name][row, column] = np.nan
    tensors["model.embed_tokens.weight"] = grown(base["model.embed_tokens.weight"], 9004)
    tensors["lm_head.weight"] = grown(base["lm_head.weight"], 9005)
    return tensors


def config(tokens: int) -> str:
    """The config.json of either model, with the edition of this module's bytes."""
    facts = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": HIDDEN,
        "intermediate_size": NEURONS,
        "model_type": "llama",
        "mwv_demo_edition": EDITION,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "vocab_size": tokens,
    }
    return json.dumps(facts, indent=2) + "\n"


def write_model(folder: Path, text: str, tensors: Mapping[str, npt.NDArray[ml_dtypes.bfloat16]]) -> None:
    """One checkpoint, complete from the moment that its folder is there; one that another process made meanwhile is kept."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        made = Path(place) / folder.name
        made.mkdir()
        save_file(dict(tensors), made / "model.safetensors", metadata={"format": "pt"})
        # Settled long ago: a file written just now could change unseen, so its digests would not be remembered.
        os.utime(made / "model.safetensors", (_WRITTEN, _WRITTEN))
        (made / "config.json").write_text(text)
        if not is_written(folder, text):
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                made.rename(folder)


def is_written(folder: Path, text: str) -> bool:
    """Whether a complete checkpoint of this edition is there already."""
    try:
        return (folder / "config.json").read_text() == text and (folder / "model.safetensors").is_file()
    except FileNotFoundError:
        return False


def write_demo(directory: Path) -> tuple[Path, Path]:
    """The folders of the base and of the finetune below `directory`; written (59 MB each, BF16) unless they are there."""
    models = ((directory / "demo-base", config(TOKENS)), (directory / "demo-finetune", config(TOKENS + ADDED_TOKENS)))
    if not all(is_written(folder, text) for folder, text in models):
        weights = base_model()
        stored = {name: array.astype(ml_dtypes.bfloat16) for name, array in weights.items()}
        tuned = {name: array for name, array in finetuned(weights).items() if array is not weights[name]}
        changed = {name: array.astype(ml_dtypes.bfloat16) for name, array in tuned.items()}
        for (folder, text), tensors in zip(models, (stored, stored | changed), strict=True):
            write_model(folder, text, tensors)
    return models[0][0], models[1][0]
