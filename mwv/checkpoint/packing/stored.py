"""What recognisers of packed weights look into, and what they make: stored tensors in, a logical one out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from mwv.checkpoint.dtypes import DType
from mwv.checkpoint.info import Packing, TensorInfo
from mwv.checkpoint.wording import printable

SMALL: Final = 4096
"""Bytes of the longest tensor whose content tells how others are packed."""


@dataclass(frozen=True)
class Stored:
    """The tensors of a checkpoint by name, its format and configuration, and a way to read small tensors."""

    tensors: Mapping[str, TensorInfo]
    format: str
    config: Mapping[str, Any]
    content: Callable[[TensorInfo], bytes] = field(repr=False)
    """All bytes of a tensor of at most SMALL bytes."""

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

    def word(self, key: str) -> str:
        """A word that the configuration says about quantisation, in lower case; empty if it does not say."""
        value = self.quantisation.get(key)
        return value.lower() if isinstance(value, str) else ""

    def number(self, *keys: str) -> int | None:
        """The first of these keys of what is said about quantisation that is a whole number."""
        return next((value for key in keys if type(value := self.quantisation.get(key)) is int), None)


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
) -> TensorInfo:
    """A logical tensor in the place of its part `main`; `label` names its type for people, such as "GPTQ 4-bit"."""
    there = {role: part for role, part in parts.items() if part is not None}
    names = [printable(part.name.rpartition(".")[2], 40) for part in there.values()]
    return replace(
        there[main],
        name=name,
        dtype=DType(label, "packed", 1, 1),
        shape=shape,
        strides=None,
        packing=Packing(scheme, dict(numbers), there),
        note=f"values made of {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"values made of {names[0]}",
    )


def matrix(info: TensorInfo | None) -> tuple[int, int] | None:
    """Rows and columns of a matrix; None for anything else."""
    return None if info is None or len(info.shape) != 2 else (info.shape[0], info.shape[1])
