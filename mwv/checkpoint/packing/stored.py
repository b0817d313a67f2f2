"""What recognisers of packed weights look into, and what they make: stored tensors in, a logical one out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any, Final

from mwv.checkpoint.checks import parse_json
from mwv.checkpoint.dtypes import DType
from mwv.checkpoint.info import Packing, TensorInfo
from mwv.checkpoint.wording import printable
from mwv.errors import FormatError

SMALL: Final = 4096
"""Bytes of the longest tensor whose content tells how others are packed."""
_FEW: Final = 64
"""Numbers of the longest tensor that tells them one by one; a shape has so many at most."""
_GROUPS: Final = 64
"""Groups of layers that a configuration can set apart; real ones have a few."""
_SIDE: Final = 1 << 31
"""No block or group is so long."""

Block = tuple[int, int]
"""Rows and columns that have a scale in common; 0 is all there are."""


class PartMissingError(Exception):
    """A packed weight needs a tensor that an index promises and that is not there."""


@dataclass(frozen=True)
class Stored:
    """The tensors of a checkpoint by name, its format and configuration, and a way to read small tensors."""

    tensors: Mapping[str, TensorInfo]
    format: str
    config: Mapping[str, Any]
    content: Callable[[TensorInfo], bytes] = field(repr=False)
    """All bytes of a tensor of at most SMALL bytes."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Text that the files carry beside their tensors."""
    missing: frozenset[str] = frozenset()
    """Names of tensors that an index promises, in shards that are not there."""

    unknown: bool = False
    """Whether shards are missing of which nothing tells what they hold."""

    def part(self, name: str) -> TensorInfo | None:
        """The tensor of a name, None if the model has none; PartMissingError if it has one that is not there."""
        if name in self.missing:
            raise PartMissingError(name)
        return self.tensors.get(name)

    def has(self, name: str) -> bool:
        """Whether the model has a tensor of this name; PartMissingError if it has one that is not there."""
        return self.part(name) is not None

    @cached_property
    def quantisation(self) -> Mapping[str, Any]:
        """What the configuration says about quantisation."""
        text = self.config.get("text_config")
        places = (self.config, text if isinstance(text, Mapping) else {})
        found = (place.get(key) for place in places for key in ("quantization_config", "compression_config", "quantization"))
        return next((said for said in found if isinstance(said, Mapping)), {})

    @property
    def method(self) -> str:
        """What the configuration calls the way of quantisation, in lower case; empty if it does not say."""
        return self.word("quant_method") or self.word("quant_algo")

    def metadata_object(self, key: str) -> Mapping[str, Any]:
        """The JSON object in a text of the metadata; an empty one if there is none."""
        return json_object(self.metadata.get(key, "").encode())

    def integers(self, name: str) -> list[int] | None:
        """What a tensor of a few whole numbers or truth values holds; None if there is none of this name."""
        info = self.part(name)
        if info is None or info.dtype.kind not in ("int", "uint", "bool") or info.elements > _FEW:
            return None
        raw, size = self.content(info), info.dtype.block_bytes
        signed = info.dtype.kind == "int"
        return [int.from_bytes(raw[i : i + size], info.byteorder, signed=signed) for i in range(0, len(raw), size)]

    def word(self, key: str) -> str:
        """A word that the configuration says about quantisation, in lower case; empty if it does not say."""
        value = self.quantisation.get(key)
        return value.lower() if isinstance(value, str) else ""

    @cached_property
    def weights(self) -> Sequence[Mapping[str, Any]]:
        """What the configuration says about all weights, and, in the way of compressed-tensors, about groups of them."""
        said = self.quantisation.get("config_groups")
        groups = islice(said.values(), _GROUPS) if isinstance(said, dict) else ()
        weights = (group.get("weights") for group in groups if isinstance(group, dict))
        return [self.quantisation, *(place for place in weights if isinstance(place, dict))]

    @cached_property
    def blocks(self) -> Sequence[Block]:
        """The blocks with a scale in common that the configuration names, for whichever layers."""
        found: list[Block] = []
        for place in self.weights:
            for key in ("weight_block_size", "block_structure"):
                match place.get(key):
                    case [int(high), int(broad)] if 0 < high < _SIDE and 0 < broad < _SIDE:
                        found.append((high, broad))
            match place.get("group_size"):
                case int(group) if 0 < group < _SIDE:
                    found.append((1, group))
        return list(dict.fromkeys(found))

    def number(self, *keys: str) -> int | None:
        """The first of these keys of what is said about quantisation that is a whole number of a sensible size."""
        said = (self.quantisation.get(key) for key in keys)
        return next((value for value in said if type(value) is int and -_SIDE < value < _SIDE), None)


def json_object(text: bytes) -> dict[str, Any]:
    """The JSON object that a text is; an empty one for anything else."""
    try:
        value = parse_json("", "a description", text)
    except FormatError:
        return {}
    return value if isinstance(value, dict) else {}


Recogniser = Callable[[TensorInfo, Stored], TensorInfo | str | None]
"""A stored tensor to the logical one whose main part it is, to the reason why that cannot be decoded, or to None."""


def whole(
    name: str,
    shape: tuple[int, ...],
    label: str,
    scheme: str,
    numbers: Mapping[str, int],
    main: str,
    parts: Mapping[str, TensorInfo | None],
    beside: Mapping[str, TensorInfo | None] | None = None,
) -> TensorInfo:
    """A logical tensor in the place of its part `main`; `label` names its type for people, such as "GPTQ 4-bit".

    What lies `beside` the parts has told the numbers.
    """
    made_of = {role: part for role, part in parts.items() if part is not None}
    told_by = {role: part for role, part in (beside or {}).items() if part is not None}
    names = list(dict.fromkeys(printable(part.name.rpartition(".")[2], 40) for part in made_of.values()))
    return replace(
        made_of[main],
        name=name,
        dtype=DType(label, "packed", 1, 1),
        shape=shape,
        strides=None,
        packing=Packing(scheme, dict(numbers), made_of | told_by),
        note=f"values made of {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"values made of {names[0]}",
    )


def flat(info: TensorInfo | None, dtype: DType | None = None) -> TensorInfo | None:
    """The bytes of a tensor as a vector of `dtype`, by default its own; None where they do not lie one after the other."""
    if info is None or info.strides is not None:
        return None
    dtype = dtype or info.dtype
    return replace(info, dtype=dtype, shape=(info.nbytes // dtype.block_bytes * dtype.block_elements,))


def sliced(info: TensorInfo, dtype: DType, line: int, slices: int) -> dict[str, TensorInfo]:
    """The roles of a matrix of words that holds so many slices of lines over each other (see the scheme `sliced`).

    None of them if its bytes do not lie in a row or make no whole lines.
    """
    words = flat(info, dtype)
    if words is None or line < 1 or words.shape[0] % line or not words.shape[0]:
        return {}
    part = replace(words, shape=(words.shape[0] // line, line))
    return {f"codes{i}": part for i in range(slices)}


def matrix(info: TensorInfo | None) -> tuple[int, int] | None:
    """Rows and columns of a matrix; None for anything else."""
    return None if info is None or len(info.shape) != 2 else (info.shape[0], info.shape[1])
