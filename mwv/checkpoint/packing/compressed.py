"""`weight_packed` words, or `compressed` with a `bitmask`, in; a linear layer's weight out: the formats of compressed-tensors.

Bits follow from `weight_shape` and the number of words; the configuration is only asked where several fit. Its formats whose
codes are numbers of their own (float-quantized, int-quantized, naive-quantized) are read by `scaled.py`, its floats of 4 and 6
bits by `microscaled.py`. What the parts mean is in `mwv/decode/schemes/scaled.py`.
"""

from typing import Final

import numpy as np

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.packing.scaled import factors
from mwv.checkpoint.packing.spread import product
from mwv.checkpoint.packing.stored import Stored, matrix

_PACKED: Final = "_packed"
_SPARSE: Final = "compressed"
_BITS: Final = range(1, 9)


def compressed(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    """The weight whose codes `info` holds."""
    if info.name.endswith(f"weight{_PACKED}") and info.dtype.name == "I32":
        return _integers(info, stored)
    if info.name.endswith(f".{_SPARSE}") and stored.has(info.name.removesuffix(_SPARSE) + "bitmask"):
        return _sparse(info, stored)
    return None


def _integers(info: TensorInfo, stored: Stored) -> TensorInfo | str:
    name = info.name.removesuffix(_PACKED)
    owner = name.removesuffix("weight")
    if stored.has(f"{owner}scale_packed") or stored.word("format").startswith("marlin"):
        return "packed for the Marlin kernel"
    words, told, scales = matrix(info), stored.part(f"{name}_shape"), stored.part(f"{name}_scale")
    if words is None or scales is None:
        return "its scales are missing or it is no matrix"
    said = {bits for place in stored.weights if type(bits := place.get("num_bits")) is int and bits in _BITS}
    shape = _dimensions(told, stored) if told is not None else _shape(words, said)
    if shape is None or len(shape) != 2 or shape[0] != words[0] or shape[1] < 1:
        return "its shape is missing or contradicts its words"
    fitting = {bits for bits in _BITS if -(-shape[1] * bits // 32) == words[1]}
    fitting = fitting & said if said else fitting
    if len(fitting) != 1:
        return "its shapes and the configuration do not tell how many bits a code has"
    bits = fitting.pop()
    packed = stored.part(f"{name}_zero_point")
    if packed is not None and packed.dtype.name != "I32":
        packed = None
    found = factors(name, shape, scales, stored, plain_zeros=packed is None)
    if isinstance(found, str):
        return found
    across, parts = found
    if packed is None and parts["zeros"] is None and not _symmetric(stored):
        return "its zero points are missing"
    if packed is not None and (across.block[0] != 1 or packed.shape != (-(-shape[0] * bits // 32), across.scales.shape[1])):
        return "its zero points have another shape than its scales"
    label = f"INT{bits} × {across.words}"
    return product(name, shape, label, {"codes": info, **parts, "packed_zeros": packed, "shape": told}, across, bits)


def _sparse(info: TensorInfo, stored: Stored) -> TensorInfo | str:
    owner = info.name.removesuffix(_SPARSE)
    told, mask = stored.part(f"{owner}shape"), stored.part(f"{owner}bitmask")
    codes = matrix(info)
    if codes is None:
        return "its rows have different numbers of codes"
    if info.dtype.kind != "float" and info.dtype.name != "I8":
        return "its codes are integers of an unknown meaning"
    shape = (codes[0], 2 * codes[1])
    if mask is None or mask.dtype.name != "U8" or mask.shape != (shape[0], -(-shape[1] // 8)) or not info.elements:
        return "its bit mask has another shape"
    if told is not None and _dimensions(told, stored) != shape:
        return "its shape is not twice as wide as its codes"
    name = f"{owner}weight"
    scales = stored.part(f"{name}_scale")
    found = factors(name, shape, scales, stored) if scales is not None else None
    if isinstance(found, str):
        return found
    across, parts = found or (None, {})
    label = f"{info.dtype.name} 2:4 sparse" + (f" × {across.words}" if across else "")
    return product(name, shape, label, {"codes": info, "mask": mask, "shape": told, **parts}, across)


def _dimensions(told: TensorInfo, stored: Stored) -> tuple[int, ...] | None:
    """The shape that a small tensor of integers holds."""
    content = stored.content(told)
    if told.dtype.name not in ("I32", "I64") or len(content) != told.elements * told.dtype.block_bytes:
        return None
    order = ">" if told.byteorder == "big" else "<"
    return tuple(np.frombuffer(content, f"{order}i{told.dtype.block_bytes}").tolist())


def _shape(words: tuple[int, int], said: set[int]) -> tuple[int, int] | None:
    """The shape of full words whose codes have so many bits as the configuration says."""
    return (words[0], 32 * words[1] // next(iter(said))) if len(said) == 1 else None


def _symmetric(stored: Stored) -> bool:
    """Whether weights may do without zero points."""
    said = [place["symmetric"] for place in stored.weights if "symmetric" in place]
    return not said or any(word is not False for word in said)
