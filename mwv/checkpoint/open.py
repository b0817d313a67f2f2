"""What the user names in, a Checkpoint out: a file, a shard, a shard index or a directory, here or on the Hub (`opener.py`).

Formats are recognised by content. A shard or an index stands for the whole set (see `shards.py`); in a directory the
model's weights are chosen by the rules that `directory.py` states.
"""

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, Final

from mwv.checkpoint.checks import check_count, check_unique
from mwv.checkpoint.config import read_config
from mwv.checkpoint.directory import select_directory
from mwv.checkpoint.folder import Folder, LocalFolder
from mwv.checkpoint.formats import EXTENSIONS, Format, recognise
from mwv.checkpoint.gguf import Value, read_gguf
from mwv.checkpoint.gguf_config import gguf_config, gguf_metadata
from mwv.checkpoint.hdf5 import read_hdf5
from mwv.checkpoint.info import Checkpoint, Header, TensorInfo
from mwv.checkpoint.numpy_files import read_numpy
from mwv.checkpoint.packing.find import find_packed
from mwv.checkpoint.packing.stored import SMALL, Stored
from mwv.checkpoint.pytorch import read_pytorch
from mwv.checkpoint.safetensors import read_safetensors
from mwv.checkpoint.shards import Selection, select_file, shard_name
from mwv.checkpoint.source import Source, is_directory
from mwv.checkpoint.wording import printable
from mwv.errors import FormatError

_OTHERS: Final[dict[Format, Callable[[Source, int], Header]]] = {
    "pytorch": read_pytorch,
    "numpy": read_numpy,
    "hdf5": read_hdf5,
}
"""Readers of formats that have no metadata."""

# File names that say nothing about the model; its directory's name does.
_GENERIC: Final = re.compile(
    r"(model|pytorch_model|diffusion_pytorch_model|open_clip_(pytorch_)?model|adapter_model|consolidated(\.\d+)?|weights|pretrained|checkpoint"
    r"|ggml-model)([.-](fp16|fp32|bf16|f16|f32|ema|non_ema))?",
    re.I,
)


def open_checkpoint(path: Path) -> Checkpoint:
    """Find and open the model that `path` names, reading headers only.

    Raises SourceError if it cannot be found or read, FormatError if a file lies, UnsupportedError if it holds what mwv
    cannot show.
    """
    whole = is_directory(path)
    return open_in(LocalFolder(path if whole else path.parent), "" if whole else path.name)


def open_in(folder: Folder, name: str = "") -> Checkpoint:
    """Open the model of a file in a folder, or that of the folder; raises as `open_checkpoint` does."""
    selection = select_file(folder, name) if name else select_directory(folder)
    sources: list[Source] = []
    try:
        for file in selection.files:
            sources.append(folder.open(file))
        with no_collection():
            return _read(folder, selection, sources)
    except BaseException:
        for source in sources:
            source.close()
        raise


@contextmanager
def no_collection() -> Iterator[None]:
    """Without the garbage collector, which would go through the records of many tensors again and again: all are kept."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read(folder: Folder, selection: Selection, sources: list[Source]) -> Checkpoint:
    kind = _format(sources)
    tensors: list[TensorInfo] = []
    metadata: dict[str, str] = {}
    values: dict[str, Value] = {}
    notes = list(selection.notes)
    for shard, source in enumerate(sources):
        if kind == "safetensors":
            header = read_safetensors(source, shard)
            tensors += header.tensors
            metadata = header.metadata | metadata
        elif kind == "gguf":
            gguf_header = read_gguf(source, shard)
            tensors += gguf_header.tensors
            values = gguf_header.values | values
        else:
            found = _OTHERS[kind](source, shard)
            tensors += found.tensors
            notes += found.notes
    places = [source.place for source in sources]
    check_count(places[0], max(len(tensors), len(selection.index_names)))
    check_unique((places[tensor.shard], tensor.name) for tensor in tensors)
    if not tensors:
        raise FormatError(f"{places[0]}: holds no tensors; there is nothing to show")
    config: dict[str, Any]
    if kind == "gguf":
        config, metadata = gguf_config(values), gguf_metadata(values)
    else:
        config, ignored = read_config(folder, selection.files[0])
        notes += ignored
    by_name = {info.name: info for info in tensors}
    missing = frozenset(selection.index_names) - by_name.keys()
    stored = Stored(
        by_name, kind, config, lambda info: _content(sources[info.shard], info), metadata, missing, selection.unknown
    )
    whole = find_packed(stored)
    replaced = by_name.keys() - {info.name for info in whole}
    return Checkpoint(
        name=checkpoint_name(folder, selection.files[0]),
        format=kind,
        shards=tuple(sources),
        tensors=tuple(sorted(whole, key=lambda t: (t.shard, t.offset, t.name))),
        config=config,
        metadata=metadata,
        index_names=tuple(name for name in selection.index_names if name not in replaced),
        left_out=tuple(notes),
    )


def _content(source: Source, info: TensorInfo) -> bytes:
    """The bytes of a small tensor that tells how others are packed; none of a large one."""
    return source.read(info.offset, info.nbytes) if info.nbytes <= SMALL and info.strides is None else b""


def _format(sources: list[Source]) -> Format:
    """The format that all shards have in common."""
    first = recognise(sources[0])
    for source in sources[1:]:
        if (other := recognise(source)) != first:
            raise FormatError(f"{source.place}: is {other}, but {sources[0].place} is {first}; shards must have one format")
    return first


def checkpoint_name(folder: Folder, file: str) -> str:
    """What to call a model: its file's name, or the folder's if that says nothing."""
    parts = shard_name(file)
    named = PurePath(file.removesuffix(".tar"))  # model.pth.tar is no archive, but a habit of training scripts
    stem = parts.stem if parts else named.stem if named.suffix.lower() in EXTENSIONS else file
    return printable(folder.name if folder.name and _GENERIC.fullmatch(stem) else stem)
