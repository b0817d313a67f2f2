"""The readers of checkpoints, each as a function of bytes: what a file or folder of someone else's holds.

Each takes a folder of its own, prepares there what it needs, and returns what takes an input: that puts the input where
it is to be read, and gives back the reading itself, which is watched.
"""

import codecs
import contextlib
import json
import re
import struct
from collections.abc import Callable, Iterable
from functools import partial
from math import prod
from pathlib import Path
from typing import Final

import numpy as np

from fuzzing.trees import plant
from mwv.checkpoint import hdf5
from mwv.checkpoint.config import architecture
from mwv.checkpoint.dtypes import DType
from mwv.checkpoint.facts import dtype_counts, facts, parameters, promised_layers
from mwv.checkpoint.gguf import read_gguf
from mwv.checkpoint.gguf_config import gguf_config, gguf_metadata
from mwv.checkpoint.info import Checkpoint, TensorInfo
from mwv.checkpoint.numpy_files import is_numpy, read_numpy
from mwv.checkpoint.open import open_checkpoint
from mwv.checkpoint.pickle_machine import load
from mwv.checkpoint.pytorch import MAX_EXPANDED, is_pytorch, read_pytorch
from mwv.checkpoint.safetensors import is_safetensors, read_safetensors
from mwv.checkpoint.source import Range, Source
from mwv.checkpoint.state_dict import named_tensors
from mwv.checkpoint.torch_objects import call, persistent
from mwv.decode.blocks import dequantise
from mwv.decode.open import open_tensor
from mwv.errors import SourceChangedError, UnsupportedError
from mwv.layout.grid import grid_of
from mwv.layout.transformer import arrange
from mwv.pyramid.plan import make_plan
from mwv.site.text import canonical

Given = Callable[[bytes], Callable[[], None]]
"""An input → the reading of it."""

MOST_DECODED: Final = 8
LONGEST_BAND: Final = 4 << 20
MOST_LINES: Final = 200
_JSON_CODECS: Final = ("utf_8_sig", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be")
"""What json may take bytes for."""
DATA: Final = bytes(range(256)) * 16


class Memory:
    """Bytes as a Source."""

    identity = None
    name = place = "file"

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0 and length >= 0, "a reader asked for bytes that no file has"
        if offset + length > self.size:
            raise SourceChangedError("file: ends early")
        return self.data[offset : offset + length]

    def expect(self, ranges: Iterable[Range]) -> None: ...

    def check_unchanged(self) -> None: ...

    def close(self) -> None: ...


def safetensors(_: Path) -> Given:
    """A whole safetensors file."""

    def read(source: Memory) -> None:
        is_safetensors(source)
        look_at(read_safetensors(source).tensors, (source,))

    return lambda data: lambda: read(Memory(data))


def header(_: Path) -> Given:
    """The JSON header of a safetensors file whose data is as long as it says."""

    def read(source: Memory) -> None:
        look_at(read_safetensors(source).tensors, (source,))

    def given(data: bytes) -> Callable[[], None]:
        source = Memory(framed(data))
        return lambda: read(source)

    return given


def framed(text: bytes) -> bytes:
    """A safetensors file with this header."""
    try:
        size = max(int(entry["data_offsets"][1]) for entry in json.loads(text).values() if "data_offsets" in entry)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        size = 64
    return len(text).to_bytes(8, "little") + text + DATA[: max(size, 0)]


def gguf(_: Path) -> Given:
    """A whole GGUF file."""

    def read(source: Memory) -> None:
        found = read_gguf(source)
        json.dumps([gguf_config(found.values), gguf_metadata(found.values)], allow_nan=False)
        look_at(found.tensors, (source,))

    return lambda data: lambda: read(Memory(data))


def gguf_values(_: Path) -> Given:
    """Key/values of a GGUF file, as many as the first byte says, and what they say of the model."""

    def read(source: Memory) -> None:
        values = read_gguf(source).values
        config, metadata = gguf_config(values), gguf_metadata(values)
        look_through(Checkpoint("m", "gguf", (source,), (), config, metadata))
        json.dumps(config, allow_nan=False)

    start = b"GGUF" + (3).to_bytes(4, "little") + bytes(8)
    return lambda data: lambda: read(Memory(start + data[:1].ljust(8, b"\0") + data[1:]))


def pytorch(_: Path) -> Given:
    """A whole file of torch.save."""

    def read(source: Memory) -> None:
        is_pytorch(source)
        look_at(read_pytorch(source).tensors, (source,))

    return lambda data: lambda: read(Memory(data))


def arrays(_: Path) -> Given:
    """A whole .npy or .npz file."""

    def read(source: Memory) -> None:
        if is_numpy(source):
            look_at(read_numpy(source).tensors, (source,))

    return lambda data: lambda: read(Memory(data))


def state_dict(_: Path) -> Given:
    """The pickle of a PyTorch file, in a sound archive with storages 0 and 1."""

    def read(source: Memory) -> None:
        look_at(read_pytorch(source).tensors, (source,))

    def given(data: bytes) -> Callable[[], None]:
        source = Memory(archived(data))
        return lambda: read(source)

    return given


def archived(pickled: bytes) -> bytes:
    """A PyTorch file with this pickle: a zip archive, made here since zipfile takes longer than the reading."""
    local, directory = b"", b""
    for name, body in ((b"m/data.pkl", pickled), (b"m/data/0", DATA[:256]), (b"m/data/1", DATA[:256])):
        sizes = struct.pack("<IIHH", len(body), len(body), len(name), 0)
        directory += b"PK\1\2" + bytes(16) + sizes + bytes(10) + struct.pack("<I", len(local)) + name
        local += b"PK\3\4" + bytes(14) + sizes + name + body
    return local + directory + b"PK\5\6" + bytes(4) + struct.pack("<HHIIH", 3, 3, len(directory), len(local), 0)


def pickle(_: Path) -> Given:
    """A pickle alone."""

    def read(data: bytes) -> None:
        named_tensors("file", load("file", data, call, partial(persistent, "")))

    return lambda data: lambda: read(data)


def index(folder: Path) -> Given:
    """A shard index, beside two shards."""
    for number in (1, 2):
        text = b'{"layers.%d.w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}' % number
        (folder / f"model-0000{number}-of-00002.safetensors").write_bytes(framed(text))
    return _opened_with(folder / "model.safetensors.index.json", folder)


def config(folder: Path) -> Given:
    """A config.json beside a model."""
    text = b'{"layers.0.w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
    (folder / "model.safetensors").write_bytes(framed(text))
    return _opened_with(folder / "config.json", folder)


def packed(folder: Path) -> Given:
    """Two lines: the header of a safetensors file with packed weights, and the config.json beside it."""

    def given(data: bytes) -> Callable[[], None]:
        text, _, config = data.partition(b"\n")
        (folder / "model.safetensors").write_bytes(framed(text))
        (folder / "config.json").write_bytes(config)
        return lambda: look_through(open_checkpoint(folder))

    given(GPTQ)()  # this compiles what is compiled when it is first needed
    return given


GPTQ: Final = (
    b'{"a.qweight":{"dtype":"I32","shape":[4,8],"data_offsets":[0,128]},'
    b'"a.qzeros":{"dtype":"I32","shape":[1,1],"data_offsets":[128,132]},'
    b'"a.scales":{"dtype":"F16","shape":[1,8],"data_offsets":[132,148]},'
    b'"a.g_idx":{"dtype":"I32","shape":[32],"data_offsets":[148,276]}}\n'
    b'{"quantization_config":{"quant_method":"gptq","bits":4,"group_size":32}}'
)


def _opened_with(path: Path, named: Path) -> Given:
    """The input lies at `path` when `named` is opened."""

    def given(data: bytes) -> Callable[[], None]:
        path.write_bytes(data)
        return lambda: look_through(open_checkpoint(named))

    return given


def directory(folder: Path) -> Given:
    """A folder of files, links, pipes and sockets, or one of them, which the first byte chooses."""

    def given(data: bytes) -> Callable[[], None]:
        places = [folder / "tree", *plant(folder / "tree", data[1:])]
        return lambda: look_through(open_checkpoint(places[(data or b"\0")[0] % len(places)]))

    return given


def load_late() -> None:
    """Load what is loaded when it is first needed, so that every import while something is read is one too many."""
    import unicodedata  # noqa: F401  what Python's parser asks about letters beyond ASCII

    import ml_dtypes  # noqa: F401
    from gguf import GGML_QUANT_SIZES

    # A process of its own lists what is in an HDF5 file, and no input may start one here.
    hdf5.find_spec = lambda _: None
    for codec in ("cp437", "raw_unicode_escape", "unicode_escape", *_JSON_CODECS):
        codecs.lookup(codec)
    for kind, (elements, nbytes) in GGML_QUANT_SIZES.items():
        with contextlib.suppress(UnsupportedError):
            dequantise(DType(kind.name, "block", elements, nbytes), np.zeros((1, 1, nbytes), np.uint8))


def layout(_: Path) -> Given:
    """Names and shapes of tensors, a line for each: `2,3 name`; a name alone is one that an index promises."""

    def read(tensors: dict[str, tuple[int, ...]], promised: list[str]) -> None:
        if any(map(prod, tensors.values())):  # a build refuses others
            make_plan(arrange(list(tensors.items()), layers=len(promised), index_names=promised))

    def given(data: bytes) -> Callable[[], None]:
        tensors, promised = {}, []
        for line in data.decode(errors="replace").splitlines()[:MOST_LINES]:
            sizes, _, name = line.partition(" ")
            if not name:
                promised.append(line)
            elif re.fullmatch("[0-9]{1,9}(,[0-9]{1,9}){0,8}", sizes):
                shape = tuple(map(int, sizes.split(",")))
                tensors[name] = shape if prod(shape) <= MAX_EXPANDED else (1,)
        return lambda: read(tensors, promised)

    return given


def look_at(tensors: Iterable[TensorInfo], shards: tuple[Source, ...]) -> None:
    """What a build does with tensors first: names and ranges are used, and the first band of each is decoded."""
    for number, info in enumerate(tensors):
        size = shards[info.shard].size
        assert 0 <= info.offset <= info.offset + info.nbytes <= size, "a tensor lies outside of its file"
        info.name.encode()
        if info.elements and number < MOST_DECODED:
            _decode(info, shards)


def _decode(info: TensorInfo, shards: tuple[Source, ...]) -> None:
    grid = grid_of(info.shape)
    tensor = open_tensor(shards, info, grid.row_elements, grid.patch)
    if info.dtype.nbytes(min(64 * grid.row_elements, tensor.count)) <= LONGEST_BAND:
        raw = tensor.read(0)
        tensor.digest(0, raw)
        tensor.samples(0, raw, 0, min(grid.cols, 64))
        tensor.numbers(0, raw, grid.cols - min(grid.cols, 7), min(grid.cols, 7))


def look_through(checkpoint: Checkpoint) -> None:
    """What a build and `mwv inspect` say of a checkpoint."""
    look_at(checkpoint.tensors, checkpoint.shards)
    told = [checkpoint.name, architecture(checkpoint), *checkpoint.left_out]
    assert all(len(f"{line}.".splitlines()) == 1 for line in told), f"a note of several lines: {told}"
    canonical([told, facts(checkpoint.config), checkpoint.metadata]).encode("ascii")
    json.dumps(facts(checkpoint.config), allow_nan=False)
    promised_layers(checkpoint.config)
    parameters(checkpoint.tensors)
    dtype_counts(checkpoint.tensors)
