"""A quantised tensor of torch's and what its pickle says of scale and zero point in, the tensor of its values out."""

from dataclasses import replace
from math import prod

from mwv.checkpoint.info import Packing, TensorInfo

Number = float | TensorInfo
"""One for all elements, or a tensor of one for each index of an axis."""


def affine(codes: TensorInfo, scale: Number, zero: Number, axis: int | None) -> TensorInfo | None:
    """The values as a logical tensor; None for codes of less than a byte, and for numbers that are not those of the axis."""
    if not codes.shape or codes.dtype.block_elements > 1:
        return None
    if not isinstance(scale, TensorInfo) and not isinstance(zero, TensorInfo):
        numbers = {"rows": 1, "divisor": 1}
        packing = Packing("affine", numbers, {"codes": codes}, {"scales": float(scale), "zeros": float(zero)})
        note = f"values are {scale:g} × (integer − {zero})"
    elif isinstance(scale, TensorInfo) and isinstance(zero, TensorInfo) and axis is not None:
        if not 0 <= axis < len(codes.shape) or scale.shape != codes.shape[axis : axis + 1] or zero.shape != scale.shape:
            return None
        numbers = {"rows": prod(codes.shape[axis + 1 : -1]) if axis + 1 < len(codes.shape) else 0, "divisor": 1}
        packing = Packing("affine", numbers, {"codes": codes, "scales": scale, "zeros": zero})
        note = f"values are scale × (integer − zero point), both by index of axis {axis}"
    else:
        return None
    return replace(codes, dtype=replace(codes.dtype, kind="packed", exponent=0), strides=None, packing=packing, note=note)
