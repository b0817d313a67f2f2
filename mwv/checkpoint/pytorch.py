"""A PyTorch checkpoint in, its tensors out."""
from typing import NamedTuple
from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.source import Source
from mwv.errors import UnsupportedError


class PytorchHeader(NamedTuple):
    """What one file holds."""

    tensors: tuple[TensorInfo, ...]
    notes: tuple[str, ...]


def is_pytorch(source: Source) -> bool:
    """Whether the file begins like a PyTorch checkpoint."""
    return source.size > 4 and source.read(0, 4) == b"PK\3\4"


def read_pytorch(source: Source, shard: int = 0) -> PytorchHeader:
    """Tensors of the file."""
    raise UnsupportedError(f"{source.name}: PyTorch checkpoints cannot be read yet")
