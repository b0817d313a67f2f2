"""`_weight_qdata` and the like of torchao, and what the file's metadata says of them, in; a layer's weight out.

What the parts mean is in `mwv/decode/schemes/sliced.py` and `affine.py`. Source: `flatten_tensor_state_dict` of torchao, by
which transformers saves its tensors as safetensors.
"""

import re
from typing import Final

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.packing.stored import Stored, flat, sliced, whole
from mwv.checkpoint.wording import printable

_MAIN: Final = re.compile(r"((?:.*\.)?)_([^.]+)_qdata", re.S)
_INTEGERS: Final = ("Int8Tensor", "IntxUnpackedToInt8Tensor")
_BESIDE: Final = ("act_quant_scale", "act_quant_zero_point", "act_pre_scale")
"""Of the numbers that a layer is given, not of its weight."""


def torchao(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    """The weight whose numbers `info` holds."""
    match = _MAIN.fullmatch(info.name)
    if match is None:
        return None
    name, prefix = match[1] + match[2], info.name.removesuffix("qdata")
    said = stored.metadata_object(name)
    kind, data = said.get("_type"), said.get("_data")
    if not isinstance(kind, str):
        return "the file's metadata does not say what torchao made"
    scales, zeros = stored.part(f"{prefix}scale"), stored.part(f"{prefix}zero_point")
    scale = flat(scales)
    if scales is None or scale is None or scale.dtype.kind != "float" or not info.elements:
        return "its scales are missing or of another shape"
    if not info.shape or info.strides is not None:
        return "its numbers do not lie in rows"
    single = scales.elements == 1
    if not single and (scales.shape[:-1] != info.shape[:-1] or not scales.shape[-1] or info.shape[-1] % scales.shape[-1]):
        return "its scales are those of blocks of rows, or of another shape"
    beside = {key: stored.part(prefix + key) for key in _BESIDE}
    if kind == "Float8Tensor" and info.dtype.name.startswith("F8_") and (single or scales.shape[-1] == 1):
        rows = info.elements // info.shape[-1] // scale.shape[0] if info.shape else 1
        numbers, parts = {"rows": rows, "divisor": 1}, {"codes": info, "scales": scale}
        return whole(name, info.shape, f"torchao {info.dtype.name}", "affine", numbers, "codes", parts, beside)
    if kind not in _INTEGERS or info.dtype.name != "I8":
        return f"torchao's {printable(kind, 40)} of {info.dtype.name}"
    zero = flat(zeros)
    if zeros is not None and (zero is None or zero.dtype.kind not in ("int", "float") or zero.shape != scale.shape):
        return "its zero points have another shape than its scales"
    codes = sliced(info, info.dtype, info.elements // scale.shape[0], 1)
    numbers = {"mask": -1, "first_bit": 0, "bit_step": 0, "columns": 0}
    label = f"torchao {_target(data)}"
    return whole(name, info.shape, label, "sliced", numbers, "codes0", {**codes, "scale": scale, "zero": zero}, beside)


def _target(data: object) -> str:
    """The type whose range the integers were made for."""
    target = data.get("target_dtype") if isinstance(data, dict) else None
    word = target.get("_data") if isinstance(target, dict) else None
    return word if isinstance(word, str) and re.fullmatch("int[1-8]", word) else "int8"
