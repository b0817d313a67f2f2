"""In: real values and numbers of a scheme. Out: files as its tools write them, and what mwv reads from them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from mwv.checkpoint.info import Checkpoint, TensorInfo
from mwv.checkpoint.open import open_checkpoint
from mwv.decode.open import FileTensor, open_tensor
from mwv.layout.grid import grid_of

Array = NDArray[Any]

LAYER = "model.layers.0.self_attn.q_proj"
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def written(folder: Path, tensors: Mapping[str, Array], config: Mapping[str, Any] | None = None, **files: Any) -> Checkpoint:
    """A checkpoint of `tensors` with a configuration, opened; `files` are further JSON files by their stems."""
    folder.mkdir(exist_ok=True)
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, folder / "model.safetensors")
    for stem, content in {"config": config, **files}.items():
        if content is not None:
            (folder / f"{stem}.json").write_text(json.dumps(content))
    return open_checkpoint(folder)


def info(checkpoint: Checkpoint, name: str) -> TensorInfo:
    """The tensor of a name."""
    return next(tensor for tensor in checkpoint.tensors if tensor.name == name)


def tensor(checkpoint: Checkpoint, name: str) -> FileTensor:
    """The tensor of a name, as it is drawn."""
    found = info(checkpoint, name)
    grid = grid_of(found.shape)
    return open_tensor(checkpoint.shards, found, grid.row_elements, grid.patch)


def values(checkpoint: Checkpoint, name: str, columns: int = 0) -> Array:
    """All values of a tensor, read band by band, in windows of so many columns (by default in one)."""
    opened = tensor(checkpoint, name)
    bands = list(opened.read_run(range(opened.bands)))
    assert bands == [opened.read(band) for band in range(opened.bands)]
    step = columns or opened.row_elements
    found = [
        np.concatenate(
            [
                opened.numbers(band, raw, col, min(step, opened.row_elements - col))
                for col in range(0, opened.row_elements, step)
            ],
            axis=1,
        )
        for band, raw in enumerate(bands)
    ]
    return np.concatenate(found)


def digests(checkpoint: Checkpoint, name: str) -> list[bytes]:
    """Value digests of all bands of a tensor."""
    opened = tensor(checkpoint, name)
    return [opened.digest(band, opened.read(band)) for band in range(opened.bands)]


def words(codes: Array, bits: int) -> Array:
    """Codes packed along the first axis into int32, the lowest bits first, as one long number a column."""
    rows, columns = codes.shape
    packed = np.zeros((rows * bits // 32, columns), np.uint32)
    for column in range(columns):
        number = sum(int(code) << (bits * i) for i, code in enumerate(codes[:, column]))
        packed[:, column] = np.frombuffer(number.to_bytes(rows * bits // 8, "little"), "<u4")
    return packed.view(np.int32)


def gptq_layer(
    bits: int, inputs: int, outputs: int, group: int, *, act_order: bool = False, offset: int = 1
) -> tuple[dict[str, Array], Array]:
    """Parts of a layer, and its values (outputs × inputs) in float64."""
    random = np.random.default_rng(0)
    groups = -(-inputs // group)
    codes = random.integers(0, 2**bits, (inputs, outputs))
    zeros = random.integers(0, 2**bits, (groups, outputs))
    scales = random.uniform(0.001, 0.1, (groups, outputs)).astype(np.float16)
    index = np.arange(inputs) // group
    if act_order:
        index = random.permutation(index)
    expected = (codes - zeros[index]) * scales.astype(np.float64)[index]
    parts = {
        f"{LAYER}.qweight": words(codes, bits),
        f"{LAYER}.qzeros": words(((zeros - offset) % 2**bits).T, bits).T,
        f"{LAYER}.scales": scales,
        f"{LAYER}.g_idx": index.astype(np.int32),
    }
    return parts, expected.T


def awq_layer(inputs: int = 256, outputs: int = 136, group: int = 128) -> tuple[dict[str, Array], Array]:
    random = np.random.default_rng(1)
    groups = inputs // group
    codes, zeros = (random.integers(0, 16, (n, outputs)) for n in (inputs, groups))
    scales = random.uniform(0.001, 0.1, (groups, outputs)).astype(np.float16)

    def packed(numbers: Array) -> Array:
        eights = numbers.reshape(len(numbers), -1, 8).astype(np.uint32)
        return sum(eights[..., output] << np.uint32(4 * i) for i, output in enumerate(AWQ_ORDER)).view(np.int32)

    expected = (codes - zeros.repeat(group, 0)) * scales.astype(np.float64).repeat(group, 0)
    return {f"{LAYER}.qweight": packed(codes), f"{LAYER}.qzeros": packed(zeros), f"{LAYER}.scales": scales}, expected.T
