"""A quantised tensor of torch's and what its pickle says of scale and zero point in, the tensor of its values out."""

from dataclasses import replace

from mwv.checkpoint.info import Packing, TensorInfo

Number = float | TensorInfo
"""One for all elements, or a tensor of one for each index of an axis."""


def affine(codes: TensorInfo, scale: Number, zero: Number, axis: int | None) -> TensorInfo | None:
    """The values as a logical tensor; None for numbers along another axis than the first, and for codes of less than a byte."""
    if not codes.shape or codes.dtype.block_elements > 1:
        return None
    dtype = replace(codes.dtype, kind="packed", exponent=0)
    if not isinstance(scale, TensorInfo) and not isinstance(zero, TensorInfo):
        packing = Packing("affine", {}, {"codes": codes}, {"scale": float(scale), "zero": float(zero)})
        note = f"values are {scale:g} × (integer − {zero})"
    elif isinstance(scale, TensorInfo) and isinstance(zero, TensorInfo) and axis == 0:
        if scale.shape != codes.shape[:1] or zero.shape != codes.shape[:1] or len(codes.shape) < 2:
            return None
        packing = Packing("affine", {}, {"codes": codes, "scales": scale, "zeros": zero})
        note = "values are scale × (integer − zero point), both by index of the first axis"
    else:
        return None
    if any(part.strides is not None and len(part.shape) > 2 for part in packing.parts.values()):
        return None
    return replace(codes, dtype=dtype, strides=None, packing=packing, note=note)
