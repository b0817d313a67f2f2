"""Codes, scales and tables of bitsandbytes in, a layer's weight out: NF4 and FP4 of any block size, and LLM.int8.

What the parts mean is in `mwv/decode/schemes/four_bit.py` and `affine.py`. Source: `QuantState.as_dict` and
`Linear8bitLt._save_to_state_dict` of bitsandbytes.
"""

import math
import struct
from typing import Any, Final, TypeGuard

from mwv.checkpoint.checks import MAX_DIMENSIONS
from mwv.checkpoint.dtypes import PLAIN
from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.packing.stored import Stored, flat, json_object, matrix, whole

_LONGEST: Final = 2**31
"""Elements of the longest block that is believed; bitsandbytes knows 32 to 4096."""
_KERNELS: Final = {1: "col32", 2: "col_turing", 3: "col_ampere"}
"""Values of `weight_format` that mean another order than rows."""


def four_bit(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    """The weight whose codes `info` holds, two a byte, whatever type the bytes are stored as."""
    name = info.name
    states = ((kind, stored.part(f"{name}.quant_state.bitsandbytes__{kind}")) for kind in ("nf4", "fp4"))
    kind, state = next(((kind, state) for kind, state in states if state is not None), ("", None))
    if state is None:
        return "its quant_state is missing" if stored.has(f"{name}.absmax") and stored.has(f"{name}.quant_map") else None
    said = json_object(stored.content(state))
    shape, block = _shape(said.get("shape")), said.get("blocksize")
    if shape is None or not _counts(block):
        return "its quant_state gives no shape or block size"
    elements = math.prod(shape)
    codes = flat(info, PLAIN["U8"])
    if codes is None or codes.shape != (-(-elements // 2),):
        return "it has not as many codes as its quant_state says"
    table, absmax = _floats(f"{name}.quant_map", 16, stored), flat(stored.part(f"{name}.absmax"))
    if table is None:
        return "its table of 16 values is missing or of another shape"
    blocks = -(-elements // block)
    if absmax is None or absmax.shape != (blocks,):
        return "its scales are missing or of another shape"
    numbers = {"block": block}
    parts: dict[str, TensorInfo | None] = {"codes": codes, "absmax": absmax, "table": table}
    if absmax.dtype.kind != "float":
        nested, offset = said.get("nested_blocksize"), _bits(said.get("nested_offset"))
        if not _counts(nested) or offset is None:
            return "its quant_state gives no block size or offset for the scales of its scales"
        scales = _floats(f"{name}.nested_absmax", -(-blocks // nested), stored)
        levels = _floats(f"{name}.nested_quant_map", 256, stored)
        if absmax.dtype.name != "U8" or scales is None or levels is None:
            return "the scales of its scales are missing or of another shape"
        numbers |= {"nested": nested, "offset": offset}
        parts |= {"nested_absmax": scales, "nested_table": levels}
    return whole(name, shape, f"bitsandbytes {kind.upper()}", "four_bit", numbers, "codes", parts, {"state": state})


def llm_int8(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    """The weight of a layer of LLM.int8, whose rows are scaled to ±127."""
    base = info.name.removesuffix("weight")
    if base == info.name or info.dtype.name != "I8" or not stored.has(f"{base}SCB"):
        return None
    scales = flat(stored.part(f"{base}SCB"))
    size = matrix(info)
    if size is None or not info.elements or scales is None or scales.dtype.kind != "float" or scales.shape != size[:1]:
        return "its scales have another shape than its rows"
    order = stored.part(f"{base}weight_format")
    said = stored.integers(f"{base}weight_format")
    if order is not None and said != [0]:
        kernel = _KERNELS.get(said[0]) if said is not None and len(said) == 1 else None
        return f"its elements are in the order {kernel} of a kernel" if kernel else "its weight_format is unknown"
    parts, numbers = {"codes": info, "scales": scales}, {"rows": 1, "divisor": 127}
    return whole(info.name, size, "LLM.int8", "affine", numbers, "codes", parts, {"format": order})


def _floats(name: str, count: int, stored: Stored) -> TensorInfo | None:
    """The tensor of this name as a vector of so many floats; None if it is none."""
    found = flat(stored.part(name))
    return found if found is not None and found.dtype.kind == "float" and found.shape == (count,) else None


def _shape(sizes: Any) -> tuple[int, ...] | None:
    """The shape that a quant_state gives; None if it cannot be one."""
    believed = isinstance(sizes, list) and 0 < len(sizes) <= MAX_DIMENSIONS and all(_counts(n) for n in sizes)
    return tuple(sizes) if believed else None


def _counts(number: Any) -> TypeGuard[int]:
    """Whether a quant_state may give this number as a size."""
    return type(number) is int and 0 < number <= _LONGEST


def _bits(number: Any) -> int | None:
    """The bits of a number as float32; None for what is none."""
    try:
        return int.from_bytes(struct.pack("<f", number), "little") if type(number) in (int, float) else None
    except (OverflowError, struct.error):
        return None
