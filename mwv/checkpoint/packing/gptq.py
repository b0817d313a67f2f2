"""`qweight`, `scales`, `qzeros` and `g_idx` in, a linear layer's weight out: GPTQ and AWQ.

Bits and groups follow from the shapes, which say both; the configuration is only asked for what shapes leave open. What the
parts mean is in `mwv/decode/schemes/gptq.py`.
"""

from typing import Final

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.packing.stored import Stored, matrix, whole

_MAIN: Final = ".qweight"
_BITS: Final = (2, 3, 4, 8)
_UNGROUPED: Final = "its shapes and the configuration do not tell how many inputs a group has"
_FOREIGN: Final = {
    "gemv": "packed for AWQ's GEMV kernel",
    "gemv_fast": "packed for AWQ's GEMV kernel",
    "marlin": "packed for the Marlin kernel",
    "ipex": "packed for Intel's kernel",
    "exllama": "packed for the ExLlama kernel",
}


def gptq(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    """The weight whose codes `info` holds."""
    if not info.name.endswith(_MAIN) or info.dtype.name not in ("I32", "U32"):
        return None
    base = info.name.removesuffix(_MAIN)
    scales, zeros, index = (stored.part(f"{base}.{part}") for part in ("scales", "qzeros", "g_idx"))
    codes, groups = matrix(info), matrix(scales)
    if scales is None or codes is None or groups is None or scales.dtype.kind != "float":
        return "its scales are missing or of another shape"
    kernel = stored.word("version" if "awq" in stored.method else "checkpoint_format")
    if stored.quantisation.get("is_marlin_format") is True:
        kernel = "marlin"
    if kernel in _FOREIGN:
        return _FOREIGN[kernel]
    if zeros is not None and (matrix(zeros) is None or zeros.dtype.name not in ("I32", "U32") or zeros.shape[0] != groups[0]):
        return "its zero points have another shape than its scales"
    if index is not None and (len(index.shape) != 1 or index.dtype.kind != "int"):
        return "the index of its groups has another shape or type"
    if codes[1] == groups[1] and "awq" not in stored.method:
        return _gptq(base, info, scales, zeros, index, stored)
    return _awq(base, info, scales, zeros, stored)


def _gptq(
    base: str, codes: TensorInfo, scales: TensorInfo, zeros: TensorInfo | None, index: TensorInfo | None, stored: Stored
) -> TensorInfo | str:
    words, outputs = codes.shape
    groups = scales.shape[0]
    inputs = index.shape[0] if index is not None else None
    if zeros is not None:
        bits = _quotient(32 * zeros.shape[1], outputs)
    elif inputs is not None:
        bits = _quotient(32 * words, inputs)
    else:
        bits = stored.number("bits", "w_bit", "weight_bits")
    if bits not in _BITS:
        return f"codes of {bits} bits" if bits else "its shapes do not tell how many bits a code has"
    inputs = 32 * words // bits if inputs is None else inputs
    if -(-inputs * bits // 32) != words or not groups or not inputs:
        return "its shapes contradict each other"
    group = _group(inputs, groups, stored)
    if group is None and index is None:
        return _UNGROUPED
    # The second version of the format says so; the first stores zero points less one.
    offset = 0 if stored.word("checkpoint_format") == "gptq_v2" else 1
    numbers = {"bits": bits, "group": group or inputs, "zero_offset": offset}
    parts = {"codes": codes, "scales": scales, "zeros": zeros, "g_idx": index}
    return whole(f"{base}.weight", (outputs, inputs), f"GPTQ {bits}-bit", "gptq", numbers, "codes", parts)


def _awq(base: str, codes: TensorInfo, scales: TensorInfo, zeros: TensorInfo | None, stored: Stored) -> TensorInfo | str:
    inputs, words = codes.shape
    groups, outputs = scales.shape
    bits = _quotient(32 * words, outputs)
    if bits != 4:
        return f"AWQ codes of {bits} bits" if bits else "its shapes contradict each other"
    if not groups or not inputs or (zeros is not None and zeros.shape[1] != words):
        return "its shapes contradict each other"
    group = _group(inputs, groups, stored)
    if group is None:
        return _UNGROUPED
    parts = {"codes": codes, "scales": scales, "zeros": zeros}
    return whole(f"{base}.weight", (outputs, inputs), "AWQ 4-bit", "awq", {"group": group}, "codes", parts)


def _group(inputs: int, groups: int, stored: Stored) -> int | None:
    """Inputs of a group, as the configuration says if it makes so many groups, else all alike; None if neither can be."""
    said = stored.number("group_size", "q_group_size")
    return said if said and said > 0 and -(-inputs // said) == groups else _quotient(inputs, groups)


def _quotient(product: int, divisor: int) -> int | None:
    """A whole quotient, None if there is none."""
    return product // divisor if divisor and product % divisor == 0 else None
