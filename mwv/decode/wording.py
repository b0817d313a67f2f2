"""A TensorInfo in, how its bytes become values out, in words."""

from mwv.checkpoint.info import TensorInfo


def how_decoded(info: TensorInfo) -> str:
    """What was done to the bytes of a tensor beside reading them as numbers one after the other; empty if nothing."""
    dtype = info.dtype
    said = []
    if dtype.kind == "block":
        said.append(f"dequantised from {dtype.name} blocks of {dtype.block_elements}")
    elif dtype.is_raw:
        said.append(f"raw integers of {8 * dtype.block_bytes // dtype.block_elements} bits: unknown type")
    elif dtype.kind == "complex":
        said.append("measured by magnitude")
    elif dtype.block_elements > 1:
        said.append(f"{dtype.block_elements} elements in {dtype.block_bytes} bytes".replace("1 bytes", "a byte"))
    if info.strides is not None:
        said.append("gathered from a strided view")
    if info.byteorder == "big" and dtype.block_bytes > 1:
        said.append("from big-endian numbers")
    if info.part_of:
        said.append(f"part of {info.part_of}")
    if info.note:
        said.append(info.note)
    return ", ".join(said)
