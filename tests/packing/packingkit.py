"""In: real values and numbers of a scheme. Out: files as its tools write them, and what mwv reads from them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from mwv.checkpoint.info import Checkpoint, TensorInfo
from mwv.checkpoint.open import open_checkpoint
from mwv.decode.open import FileTensor, open_tensor
from mwv.layout.grid import grid_of

Array = NDArray[Any]


def written(
    folder: Path, tensors: Mapping[str, Array | torch.Tensor], config: Mapping[str, Any] | None = None, **files: Any
) -> Checkpoint:
    """A checkpoint of `tensors` with a configuration, opened; `files` are further JSON files by their stems."""
    folder.mkdir(exist_ok=True)
    save_file({name: torch.as_tensor(array).contiguous() for name, array in tensors.items()}, folder / "model.safetensors")
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
