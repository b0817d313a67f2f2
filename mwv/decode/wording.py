"""A TensorInfo in, how its bytes become values and what must be known about them out, in words."""

from mwv.checkpoint.info import TensorInfo


def how_decoded(info: TensorInfo) -> str:
    """What was done to the bytes of a tensor beside reading them as numbers one after the other; empty if nothing."""
    dtype = info.dtype
    said = []
    if dtype.kind == "block":
        said.append(f"dequantised from {dtype.name} blocks of {dtype.block_elements}")
    elif dtype.kind == "complex":
        said.append("measured by magnitude")
    elif dtype.block_elements > 1 and not dtype.is_raw:
        said.append(f"{dtype.block_elements} elements in {dtype.block_bytes} bytes".replace("1 bytes", "a byte"))
    if info.strides is not None:
        said.append("gathered from a strided view")
    if info.byteorder == "big" and dtype.block_bytes > 1:
        said.append("from big-endian numbers")
    if info.part_of:
        said.append(f"part of {info.part_of}")
    return ", ".join(filter(None, (*said, remark(info))))


def remark(info: TensorInfo) -> str:
    """What a reader must know about the values of a tensor: how they were made, or that they are but stored integers."""
    if info.note:
        return info.note
    if info.dtype.is_quantised:
        return "quantised, shown as the integers that are stored"
    bits = 8 * info.dtype.block_bytes // info.dtype.block_elements
    return f"unknown type, shown as integers of {bits} bits" if info.dtype.is_raw else ""
