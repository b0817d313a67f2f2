"""A source in, its format out: recognised by content; the name decides only when the content is of no known kind."""

from pathlib import PurePath
from typing import Final, Literal

from mwv.checkpoint.gguf import is_gguf
from mwv.checkpoint.hdf5 import is_hdf5
from mwv.checkpoint.numpy_files import is_numpy
from mwv.checkpoint.pytorch import is_pytorch
from mwv.checkpoint.safetensors import is_safetensors
from mwv.checkpoint.source import Source
from mwv.errors import FormatError

Format = Literal["safetensors", "pytorch", "gguf", "numpy", "hdf5"]

EXTENSIONS: Final[dict[str, Format]] = {
    ".safetensors": "safetensors",
    ".gguf": "gguf",
    ".bin": "pytorch",
    ".pt": "pytorch",
    ".pth": "pytorch",
    ".ckpt": "pytorch",
    ".jit": "pytorch",
    ".npy": "numpy",
    ".npz": "numpy",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
}

FOREIGN: Final = frozenset((".keras", ".msgpack", ".onnx", ".onnx_data", ".ot", ".pkl", ".tflite", ".mlmodel", ".zip"))
"""Extensions of files that may hold weights in ways that mwv does not read."""

_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"


def by_content(source: Source) -> Format | None:
    """The format that the bytes show, or None."""
    if is_gguf(source):
        return "gguf"
    # Before PyTorch, for which the directory of a zip file must be read.
    if is_numpy(source):
        return "numpy"
    if is_hdf5(source):
        return "hdf5"
    if is_pytorch(source):
        return "pytorch"
    return "safetensors" if is_safetensors(source) else None


def by_name(name: str) -> Format | None:
    """The format that a file's extension promises, or None."""
    return EXTENSIONS.get(PurePath(name).suffix.lower())


def recognise(source: Source) -> Format:
    """The format to read a source as; FormatError if it is no checkpoint of ours."""
    if found := by_content(source):
        return found
    place = source.place
    if not source.size:
        raise FormatError(f"{place}: the file is empty; fetch it again")
    if source.read(0, min(source.size, len(_LFS_POINTER))) == _LFS_POINTER:
        raise FormatError(f"{place}: a Git LFS pointer, not the file itself; run git lfs pull")
    promised = by_name(source.name)
    if promised is None:
        suffix = PurePath(source.name).suffix.lower()
        if suffix in FOREIGN:
            raise FormatError(f"{place}: files of type {suffix} are not read; convert it to one that is, such as safetensors")
        raise FormatError(f"{place}: of no format that mwv reads; name a checkpoint")
    # The reader says best what is wrong with the file.
    return promised
