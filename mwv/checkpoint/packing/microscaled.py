"""Bytes of packed 4- or 6-bit floats and a scale for each 16 or 32 of them in, their products out: MXFP4, MXFP6 and NVFP4.

gpt-oss has `X_blocks` (…, groups, 16) with `X_scales` (…, groups), in OpenAI's own files `X.blocks` and `X.scales`. Its
experts are outputs × inputs: the logical `X` keeps this order of axes, although transformers transposes it when it loads.
compressed-tensors has `weight_packed`, modelopt and Quark have bytes as `weight`, all of them with `weight_scale`; NVFP4 has
a scale for the whole tensor, too, by which compressed-tensors (`weight_global_scale`) divides and modelopt (`weight_scale_2`)
multiplies. Low bits come first everywhere.
"""

import re
from dataclasses import replace
from math import prod
from typing import Final

from mwv.checkpoint.dtypes import PLAIN
from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.packing.spread import Spread, product, spread
from mwv.checkpoint.packing.stored import Stored

_BLOCKS: Final = re.compile(r"(.+)([._])blocks")
_PACKED: Final = "_packed"
_EXPONENTS: Final = ("U8", "F8_E8M0")
_NV_GROUP: Final = 16
_MX_GROUP: Final = 32


def microscaled(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    """The weight whose codes `info` holds."""
    if info.dtype.name != "U8" or len(info.shape) < 2 or not info.elements:
        return None
    if blocks := _BLOCKS.fullmatch(info.name):
        name = blocks[1]
        scales = stored.part(f"{name}{blocks[2]}scales")
        if scales is None:
            return None
        if (*scales.shape, _MX_GROUP // 2) != info.shape:
            return "its scales are for blocks of another size"
        return _mx(name, info, (*info.shape[:-2], _MX_GROUP * info.shape[-2]), scales, "F4")
    if stored.has(f"{info.name}_weight_scale"):  # fused experts of modelopt, whose axes are nowhere told
        return "its packing is not known"
    name = info.name.removesuffix(_PACKED)
    scales = stored.part(f"{name}_scale")
    if not name.endswith("weight") or scales is None:
        return None
    if stored.has(f"{name.removesuffix('weight')}comfy_quant"):
        return "its scales may be in the order of ComfyUI's kernel"
    if scales.shape[:-1] != info.shape[:-1]:
        return "its scales are not for groups of its rows"
    if scales.dtype.name == "F8_E4M3":
        return _nv(name, info, scales, stored)
    if scales.dtype.name not in _EXPONENTS or (name == info.name and stored.method not in ("quark", "modelopt")):
        return "its packing is not known"
    sextets = 4 * info.shape[-1] == 3 * _MX_GROUP * scales.shape[-1]
    return _mx(name, info, (*info.shape[:-1], _MX_GROUP * scales.shape[-1]), scales, "F6_E2M3" if sextets else "F4")


def _mx(name: str, info: TensorInfo, shape: tuple[int, ...], scales: TensorInfo, element: str) -> TensorInfo | str:
    if scales.dtype.name not in _EXPONENTS:
        return "its scales are no exponents"
    exponents = replace(scales, dtype=PLAIN["F8_E8M0"])
    return _made(name, info, shape, exponents, element, "MXFP4" if element == "F4" else "MXFP6 E2M3")


def _nv(name: str, info: TensorInfo, scales: TensorInfo, stored: Stored) -> TensorInfo | str:
    divide = name != info.name
    shape = (*info.shape[:-1], _NV_GROUP * scales.shape[-1])
    whole = stored.part(f"{name}_global_scale" if divide else f"{name}_scale_2")
    once = None if whole is None or whole.dtype.kind != "float" else spread(shape, whole)
    if once is None or (len(shape) == 2 and once.block != (0, 0)):
        return "the scale of the whole tensor is missing or of another shape"
    return _made(name, info, shape, scales, "F4", "NVFP4", once.scales, divide)


def _made(
    name: str,
    info: TensorInfo,
    shape: tuple[int, ...],
    scales: TensorInfo,
    element: str,
    label: str,
    whole: TensorInfo | None = None,
    divide: bool = False,
) -> TensorInfo | str:
    dtype = PLAIN[element]
    if info.strides is not None or scales.strides is not None:
        return "its parts do not lie in rows"
    if dtype.nbytes(prod(shape)) != info.nbytes:
        return "its scales are not for groups of its rows"
    panel = shape[-2] if whole is not None and whole.elements > 1 else 0
    lines = replace(scales, shape=(prod(shape[:-1]), scales.shape[-1]))
    across = Spread(lines, (1, shape[-1] // scales.shape[-1]), panel, "")
    codes = replace(info, dtype=dtype, shape=shape)
    return product(name, shape, label, {"codes": codes, "global": whole}, across, divide=divide)
