"""A TensorInfo and the files of its checkpoint in, the Tensor of its grid out, stored or packed."""

from collections.abc import Iterable, Sequence

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.source import Range, Source
from mwv.decode.packed import PackedTensor
from mwv.decode.stored import StoredTensor
from mwv.decode.tensor import Extent

FileTensor = StoredTensor | PackedTensor
"""What has its values from files."""


def open_tensor(
    shards: Sequence[Source],
    info: TensorInfo,
    row_elements: int,
    patch: tuple[int, int] = (1, 1),
    first: int = 0,
    elements: int | None = None,
) -> FileTensor:
    """The elements of a tensor from `first` on, as rows of `row_elements`; see `Banded` for the rest."""
    if info.packing is not None:
        return PackedTensor(shards, info, row_elements, patch, first, elements)
    return StoredTensor(shards[info.shard], info, row_elements, patch, first, elements)


def expect(extents: Iterable[Extent]) -> None:
    """Tell files what is going to be read of them."""
    wanted: dict[Source, set[Range]] = {}
    for source, extent in extents:
        wanted.setdefault(source, set()).add(extent)
    for source, ranges in wanted.items():
        source.expect(ranges)
