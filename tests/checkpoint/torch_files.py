"""Values in, files as torch.save writes them out, or files by hand that torch never would; what torch holds, in bytes."""

import io
import pickle
import zipfile
from typing import Any

import numpy as np
import torch
from memory_source import MemorySource

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.pytorch import read_pytorch


def saved(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def read(data: bytes) -> Any:
    return read_pytorch(MemorySource(data, name="x.bin"))


def stored(data: bytes, info: TensorInfo) -> bytes:
    """The tensor's bytes in row-major order, gathered by numpy."""
    size = info.dtype.block_bytes
    raw = np.frombuffer(data[info.offset : info.offset + info.nbytes], np.uint8)
    if info.strides is None:
        return raw.tobytes()
    steps = (*(s * size for s in info.strides), 1)
    return np.lib.stride_tricks.as_strided(raw, (*info.shape, size), steps).tobytes()


def contents(tensor: torch.Tensor) -> bytes:
    tensor = tensor.detach().resolve_conj().clone(memory_format=torch.contiguous_format)
    return bytes(tensor.untyped_storage().tolist())


class Call:
    """Pickles as a call of a function that need not exist here."""

    def __init__(self, module: str, name: str, *arguments: Any) -> None:
        self.module, self.name, self.arguments = module, name, arguments


class Stored:
    """Pickles as torch's reference to a storage."""

    def __init__(self, kind: str, key: Any, numel: Any, part: tuple[str, int, int] | None = None) -> None:
        self.kind = kind
        self.rest = (key, "cpu", numel, part)


class _Pickler(pickle._Pickler):  # the one in Python, whose save can be told of calls
    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, Call):
            self.write(f"c{value.module}\n{value.name}\n".encode())
            self.save(value.arguments)
            self.write(b"R")
        elif isinstance(value, Stored):
            self.write(b"(")
            self.save("storage")
            self.write(f"ctorch\n{value.kind}\n".encode())
            for part in value.rest:
                self.save(part)
            self.write(b"tQ")
        else:
            super().save(value, save_persistent_id)


def torch_pickle(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, 2).dump(value)
    return buffer.getvalue()


def archive(
    data: bytes, storages: dict[str, bytes], others: dict[str, bytes] | None = None, kind: int = zipfile.ZIP_STORED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as file:
        file.writestr("top/data.pkl", data)
        for key, raw in storages.items():
            file.writestr(f"top/data/{key}", raw)
        for name, raw in (others or {}).items():
            file.writestr(name, raw)
    return buffer.getvalue()


def view(
    numel: Any = 4, offset: Any = 0, shape: Any = (4,), strides: Any = (1,), key: Any = "0", kind: str = "FloatStorage"
) -> Call:
    return Call("torch._utils", "_rebuild_tensor_v2", Stored(kind, key, numel), offset, shape, strides, False, {})
