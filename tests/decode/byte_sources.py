"""In: bytes and shapes. Out: sources in memory that note what was read, and tensors over them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mwv.checkpoint.dtypes import PLAIN, DType
from mwv.checkpoint.info import TensorInfo
from mwv.decode.stored import StoredTensor
from mwv.decode.tensor import Coded, Samples


@dataclass
class BytesSource:
    data: bytes
    name: str = "memory"
    place: str = "memory"
    identity: None = None
    reads: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0 and offset + length <= len(self.data)
        self.reads.append((offset, length))
        return self.data[offset : offset + length]

    def check_unchanged(self) -> None:
        pass


def dtype_named(name: str) -> DType:
    return PLAIN[name]


def stored(data: bytes, dtype: DType | str, shape: tuple[int, ...], row: int, *, lead: int = 0, **more: Any) -> StoredTensor:
    """A tensor of `shape` whose bytes are `data`, behind `lead` other bytes."""
    dtype = PLAIN[dtype] if isinstance(dtype, str) else dtype
    of_info = {key: more.pop(key) for key in ("strides", "byteorder") if key in more}
    info = TensorInfo("blk.0.weight", dtype, shape, 0, lead, len(data), **of_info)
    return StoredTensor(BytesSource(b"\xff" * lead + data), info, row, **more)


def values_of(samples: Samples) -> np.ndarray[Any, Any]:
    """Samples as float64."""
    values = samples.table.values[samples.bits] if isinstance(samples, Coded) else samples.values
    with np.errstate(invalid="ignore"):  # signalling NaNs
        return values.astype(np.float64)


def whole(tensor: StoredTensor, col: int, cols: int) -> np.ndarray[Any, Any]:
    """Columns `col` to `col + cols` of all rows as float64."""
    return np.concatenate([values_of(tensor.samples(b, tensor.read(b), col, cols)) for b in range(tensor.bands)])


def digests(tensor: StoredTensor) -> list[bytes]:
    return [tensor.digest(band, tensor.read(band)) for band in range(tensor.bands)]
