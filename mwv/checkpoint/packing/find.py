"""Tensors as they are stored in, as models mean them out: every packed weight as one of real values, beside its parts."""

from dataclasses import replace
from typing import Final

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.packing.bitsandbytes import four_bit, llm_int8
from mwv.checkpoint.packing.compressed import compressed
from mwv.checkpoint.packing.gguf_scale import gguf_scale
from mwv.checkpoint.packing.gptq import gptq
from mwv.checkpoint.packing.hqq import hqq
from mwv.checkpoint.packing.microscaled import microscaled
from mwv.checkpoint.packing.quanto import eetq, quanto, quanto_packed
from mwv.checkpoint.packing.rotary import rotary
from mwv.checkpoint.packing.scaled import scaled
from mwv.checkpoint.packing.stored import PartMissingError, Recogniser, Stored
from mwv.checkpoint.packing.torchao import torchao
from mwv.checkpoint.wording import printable

_RECOGNISERS: Final[tuple[Recogniser, ...]] = (
    *(gptq, compressed, four_bit, llm_int8, hqq, quanto, quanto_packed, eetq, torchao),
    *(microscaled, scaled, gguf_scale, rotary),
)

_LONGEST_ROW: Final = 1 << 20
"""Elements of a longer row, which is folded into many bands and would be unpacked whole for each."""


def find_packed(stored: Stored) -> list[TensorInfo]:
    """The tensors with every packed weight that can be decoded in the place of its main part.

    Its other parts say so in `part_of`. What looks packed but cannot be decoded stays as it is stored, with a note that
    says why.
    """
    result: dict[str, TensorInfo] = {}
    owners: dict[str, str] = {}
    names = set(stored.tensors)
    for name, info in stored.tensors.items():
        found = _recognised(info, stored)
        if isinstance(found, TensorInfo) and found.name != name and found.name in names:
            found = "there is another tensor of the name that its values would have"
        if isinstance(found, str):
            what = "numbers" if info.dtype.kind == "float" else "integers"
            found = replace(info, note=f"stored {what} of a packed weight, not decoded: {found}", undecoded=True)
        elif found is not None and found.packing is not None:
            names.add(found.name)
            owners |= {part.name: found.name for part in found.packing.parts.values() if part.name != name}
            if stored.unknown and stored.format != "gguf":  # GGUF keeps a tensor whole
                found = replace(found, note=f"{found.note}, unless the missing shards hold more of its parts")
        result[name] = found or info
    return [replace(info, part_of=owners[name]) if name in owners else info for name, info in result.items()]


def _recognised(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    for recognise in _RECOGNISERS:
        try:
            found = recognise(info, stored)
        except PartMissingError as error:
            return f"{printable(str(error), 200)} is missing"
        if isinstance(found, TensorInfo) and found.packing is not None and found.shape[-1] > _LONGEST_ROW:
            return "its rows are too long"
        if found is not None:
            return found
    return None
