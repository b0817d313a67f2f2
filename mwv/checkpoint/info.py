"""What readers found in headers in, validated Checkpoint records out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from mwv.checkpoint.dtypes import DType
from mwv.checkpoint.source import Source
from mwv.hub.address import Pinned


@dataclass(frozen=True)
class Packing:
    """How stored tensors make one tensor of real values: by a scheme of `mwv/decode/schemes`, its numbers and its parts.

    Parts are stored tensors by their role in the scheme, such as `codes`, `scales` and `zeros`. `reals` are numbers that lie
    in no tensor.
    """

    scheme: str
    numbers: Mapping[str, int]
    parts: Mapping[str, "TensorInfo"]
    reals: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a checkpoint, its bytes proven to lie in its shard.

    `offset` is the byte of the first element, `nbytes` reaches to the end of the last. `strides` (in elements, not
    negative) is None for row-major contiguous data, the only layout that most formats know; 0 repeats elements.

    One with a `packing` is logical: its shape is that of the values, and it stands in the place of its main part, whose
    shard, offset and bytes it has. Its other parts are tensors of the checkpoint, too, and name it in `part_of`.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    shard: int
    offset: int
    nbytes: int
    strides: tuple[int, ...] | None = None
    byteorder: Literal["little", "big"] = "little"
    packing: Packing | None = None
    part_of: str = ""
    note: str = ""
    """What a reader must know about its values: how they were made, or why they are but stored integers."""
    undecoded: bool = False
    """Whether it is the main part of a packed weight whose values cannot be made."""

    @property
    def elements(self) -> int:
        """Number of elements; 1 for a scalar."""
        product = 1
        for n in self.shape:
            product *= n
        return product


class Header(NamedTuple):
    """What a reader found in one file: tensors in order of offset, and a line for each thing that was left out."""

    tensors: tuple[TensorInfo, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Checkpoint:
    """A model's weights as found on disk; tensors in the order (shard, offset, name), names unique."""

    name: str
    format: str
    shards: tuple[Source, ...]
    tensors: tuple[TensorInfo, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    """`config.json`, or for GGUF its key/values brought to the same names (see `gguf_config.py`)."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Free text that the files carry about themselves, shown in the page."""
    index_names: tuple[str, ...] = ()
    """Tensor names that a shard index promises, present or not."""
    left_out: tuple[str, ...] = ()
    """One line for each thing that could be weights and was not read (a file, a missing shard, a part of a pickle), and why."""
    pinned: Pinned | None = None
    """Where it lies on the Hub, if it does."""
