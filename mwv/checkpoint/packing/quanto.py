"""`_data`, `_scale` and `_shift` of optimum-quanto in, a layer's weight out; what EETQ keeps for its kernel, named.

What the parts mean is in `mwv/decode/schemes/affine.py` and `sliced.py`. Source: `save_to_state_dict` of `WeightQBytesTensor`
and `WeightQBitsTensor` of optimum-quanto.
"""

from dataclasses import replace
from typing import Final

from mwv.checkpoint.dtypes import PLAIN
from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.packing.stored import Stored, flat, sliced, whole

_GROUPS: Final = (128, 96, 64, 32)
"""Inputs of a group, the first that divides them all; layers of fewer inputs, or where none does, are not grouped."""
_SHAPELESS: Final = "each row is one group of inputs: the file does not say how many groups a row of the weight has"


def quanto(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    """The weight of eight bits whose numbers `info` holds."""
    name = info.name.removesuffix("._data")
    scales, size = stored.part(f"{name}._scale"), info.shape
    if name == info.name or scales is None:
        return None
    vector = flat(scales)
    if info.dtype.name != "I8" and not info.dtype.name.startswith("F8_"):
        return f"a type that is not known ({info.dtype.name})"
    if info.strides is not None or len(size) < 2 or not info.elements:
        return "its shapes contradict each other"
    by_row = scales.shape[:1] == size[:1] and scales.elements == size[0]
    if vector is None or vector.dtype.kind != "float" or not (by_row or scales.elements == 1):
        return "its scales have another shape than its rows"
    rows = info.elements // size[-1] // vector.shape[0]
    parts = {"codes": info, "scales": vector}
    return whole(name, size, f"quanto {info.dtype.name}", "affine", {"rows": rows, "divisor": 1}, "codes", parts)


def quanto_packed(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    """The weight of four or two bits whose codes `info` holds."""
    name = info.name.removesuffix("._data._data")
    if name == info.name:
        return None
    scale, shift = (flat(stored.part(f"{name}.{key}")) for key in ("_scale", "_shift"))
    if scale is None or shift is None or scale.dtype.kind != "float" or scale.shape != shift.shape or not scale.shape[0]:
        return "its scales or shifts are missing or of another shape"
    if len(info.shape) < 2 or not info.elements or info.dtype.name != "U8":
        return "its shapes contradict each other"
    groups, height, line = scale.shape[0], info.shape[0], info.elements // info.shape[0]
    bits = [8 // codes for codes in (2, 4) if -(-groups // codes) == height]
    if len(bits) != 1:
        return "its shapes do not tell how many bits a code has"
    codes = sliced(info, PLAIN["U8"], line, 8 // bits[0])
    if not codes:
        return "its bytes do not lie in a row"
    numbers = {"mask": (1 << bits[0]) - 1, "first_bit": 0, "bit_step": bits[0], "columns": 0}
    # Whole numbers are zero points, taken before scaling; others are what is subtracted after it.
    parts = {**codes, "scale": scale, "zero" if shift.dtype.kind == "int" else "shift": shift}
    shape, note = (groups, *info.shape[1:]), ""
    if len(info.shape) == 2 and line in _GROUPS:
        shape, note = _ungrouped(groups, line, stored.part(f"{name.removesuffix('weight')}bias"))
    made = whole(name, shape, f"quanto {bits[0]}-bit", "sliced", numbers, "codes0", parts)
    return replace(made, note=f"{made.note}; {note}") if note else made


def eetq(info: TensorInfo, stored: Stored) -> str | None:
    """Why a weight of EETQ is not decoded: its order depends on the graphics card that it was made on."""
    if info.dtype.name != "I8" or not info.name.endswith(".weight") or not stored.has(f"{info.name}_scales"):
        return None
    return "in the order of EETQ's kernel, which the file does not say"


def _ungrouped(groups: int, line: int, bias: TensorInfo | None) -> tuple[tuple[int, int], str]:
    """The shape of a weight whose groups may be parts of rows, told by its bias; else a row for each group, with a note."""
    if bias is not None and len(bias.shape) == 1 and bias.shape[0] and groups % bias.shape[0] == 0:
        outputs = bias.shape[0]
        inputs = groups // outputs * line
        if inputs == line or _group(inputs) == line:
            return (outputs, inputs), ""
    return (groups, line), _SHAPELESS


def _group(inputs: int) -> int | None:
    """Inputs of a group in a layer of so many; None if it is not grouped."""
    return next((size for size in _GROUPS if inputs % size == 0), None) if inputs > _GROUPS[0] else None
