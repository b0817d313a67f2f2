"""`W_q`, `scale`, `zero` and the small tensors of numbers beside them in, a linear layer's weight out: HQQ of 8 to 1 bits.

What the parts mean is in `mwv/decode/schemes/sliced.py`. Source: `HQQLinear.state_dict` and `encode_safetensor_type` of hqq,
which transformers and vLLM save and read.
"""

import math
from typing import Final

from mwv.checkpoint.checks import MAX_DIMENSIONS
from mwv.checkpoint.dtypes import PLAIN
from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.packing.stored import Stored, flat, sliced, whole
from mwv.checkpoint.wording import shown

_MAIN: Final = ".W_q"
_PACKINGS: Final = {
    "8bit_u8": ("U8", 8, 1),
    "4bit_u8": ("U8", 4, 2),
    "2bit_u8": ("U8", 2, 4),
    "1bit_u8": ("U8", 1, 8),
    "3bit_32": ("I32", 3, 10),
}
"""By their names: type of the words, bits of a code, codes of a word, of which the first lies highest."""
_FACTS: Final = (
    *("nbits", "group_size", "shape", "axis", "packing", "unpack_view_dtype", "view_as_float", "quant_scale", "quant_zero"),
    *("compute_dtype", "offload_meta", "encoded_state_dict", "stores_quant_config", "channel_wise", "optimize", "round_zero"),
)
"""Numbers and words that lie beside the codes, each a small tensor."""


def hqq(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    """The weight whose codes `info` holds."""
    base = info.name.removesuffix(_MAIN)
    if base == info.name:
        return None
    facts = {key: stored.integers(f"{base}.{key}") for key in ("shape", "axis", "packing", "group_size", "nbits")}
    shape, axis = facts["shape"], facts["axis"]
    packing = "".join(chr(code & 127) for code in facts["packing"] or ())
    if packing not in _PACKINGS:
        return f"packing {shown(packing)} is not known" if packing else "it does not say how its codes are packed"
    if shape is None or not 0 < len(shape) <= MAX_DIMENSIONS or min(shape) < 1 or axis not in ([0], [1]):
        return "it does not say its shape or axis"
    elements = math.prod(shape)
    groups = facts["group_size"] or [shape[-1] if axis == [1] else elements // shape[-1]]
    scale, zero = (flat(stored.part(f"{base}.{key}")) for key in ("scale", "zero"))
    if scale is None or zero is None or {scale.dtype.kind, zero.dtype.kind} != {"float"}:
        return "its scales or zero points are missing or packed themselves"
    if len(groups) != 1 or groups[0] < 1 or elements % groups[0]:
        return "its shapes contradict each other"
    count = elements // groups[0]
    lines, line = (count, groups[0]) if axis == [1] else (groups[0], count)
    word, bits, slices = _PACKINGS[packing]
    codes = sliced(info, PLAIN[word], line, slices)
    if not codes or -(-lines // slices) != codes["codes0"].shape[0] or scale.shape != (count,) or zero.shape != (count,):
        return "its shapes contradict each other"
    numbers = {"mask": (1 << bits) - 1, "first_bit": bits * (slices - 1), "bit_step": -bits, "columns": 1 - axis[0]}
    beside = {key: stored.part(f"{base}.{key}") for key in _FACTS}
    said = facts["nbits"]
    label = f"HQQ {said[0] if said and len(said) == 1 and 0 < said[0] <= bits else bits}-bit"
    parts = {**codes, "scale": scale, "zero": zero}
    return whole(f"{base}.weight", tuple(shape), label, "sliced", numbers, "codes0", parts, beside)
