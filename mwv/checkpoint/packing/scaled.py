"""A matrix of FP8 or of 8-bit integers and its scales in, their products out.

The scales of `X` are `X_scale_inv` (DeepSeek-V3; it multiplies, despite its name), `X_scale` (compressed-tensors, modelopt,
FBGEMM), and for `X` = `Y.weight` also `Y.scale_weight` (ComfyUI) or `Y.scale` (DeepSeek's own code). What they mean is in
`mwv/decode/schemes/scaled.py`.
"""

from dataclasses import replace
from typing import Final

from mwv.checkpoint.dtypes import PLAIN
from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.packing.spread import Spread, product, spread
from mwv.checkpoint.packing.stored import Stored

_FLOATS: Final = ("F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ")


def scaled(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    """The weight whose codes `info` holds, in its place and under its name."""
    if info.dtype.name not in (*_FLOATS, "I8") or not info.elements:
        return None
    scales = _scales(info, stored)
    if scales is None:
        promised = info.dtype.name in _FLOATS and len(info.shape) > 1 and _says_fp8(stored)
        return "its scales were not found" if promised else None
    if stored.has(f"{info.name}_scale_2") or (stored.has(f"{info.name}_scale") and stored.has(f"{info.name}_scale_inv")):
        return "it has two scales"
    found = factors(info.name, info.shape, scales, stored)
    if isinstance(found, str):
        return found
    across, parts = found
    kernel = stored.has(f"{info.name.removesuffix('weight')}comfy_quant")
    if kernel and across.scales.elements > 1:
        return "its scales may be in the order of ComfyUI's kernel"
    return product(info.name, info.shape, f"{info.dtype.name} × {across.words}", {"codes": info, **parts}, across)


def _says_fp8(stored: Stored) -> bool:
    """Whether the configuration says that weights are FP8 with scales."""
    return (
        any("fp8" in stored.word(key) for key in ("quant_method", "quant_algo")) or stored.word("format") == "float-quantized"
    )


def factors(
    name: str, shape: tuple[int, ...], scales: TensorInfo, stored: Stored, *, plain_zeros: bool = True
) -> tuple[Spread, dict[str, TensorInfo | None]] | str:
    """How the scales of the weight `name` spread over it, and its parts beside them; a reason if they do not fit.

    Zero points are such a part only where they are `plain_zeros`, a number for each scale.
    """
    across = spread(shape, scales, stored.blocks)
    if across is None:
        return "its scales do not fit its shape"
    if scales.dtype.name == "U8" and (across.block[1] == 32 or stored.word("scale_fmt") == "ue8m0"):
        across = replace(across, scales=replace(across.scales, dtype=PLAIN["F8_E8M0"]))
    elif scales.dtype.kind != "float":
        return "its scales are integers"
    zeros, index = stored.part(f"{name}_zero_point"), stored.part(f"{name}_g_idx")
    if not plain_zeros:
        zeros = None
    if zeros is not None:
        if zeros.shape != scales.shape or zeros.strides is not None or zeros.dtype.kind not in ("float", "int", "uint"):
            return "its zero points have another shape than its scales"
        zeros = replace(zeros, shape=across.scales.shape)
    if index is not None and (index.shape != shape[-1:] or index.dtype.kind != "int"):
        return "the index of its groups has another shape"
    return across, {"zeros": zeros, "g_idx": index}


def _scales(info: TensorInfo, stored: Stored) -> TensorInfo | None:
    name = info.name
    owner = name.removesuffix("weight")
    if found := stored.part(f"{name}_scale_inv") or stored.part(f"{name}_scale"):
        return found
    if owner == name or info.dtype.name == "I8":
        return None
    if found := stored.part(f"{owner}scale_weight"):
        return found
    # Many things are called a scale; one of these dimensions is surely this.
    blocks = (*info.shape[:-2], *(-(-size // 128) for size in info.shape[-2:]))
    found = stored.part(f"{owner}scale")
    return found if found is not None and len(blocks) > 1 and found.shape == blocks else None
