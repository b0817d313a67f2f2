"""A quantised weight of a GGUF file and the scale beside it in, their product out: `X.weight` and `X.scale`.

llama.cpp multiplies what the matrix gives by it: NVFP4 has a scale for the whole tensor, or one for each expert, which its
blocks leave out, and BitNet's ternary weights have one, too. Beside other types such a name may mean something else.
"""

from dataclasses import replace
from typing import Final

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.packing.rotary import rotary
from mwv.checkpoint.packing.spread import product, spread
from mwv.checkpoint.packing.stored import Stored

_TYPES: Final = ("NVFP4", "TQ1_0", "TQ2_0")
_WEIGHT: Final = ".weight"


def gguf_scale(info: TensorInfo, stored: Stored) -> TensorInfo | str | None:
    """The weight whose blocks `info` holds."""
    if stored.format != "gguf" or info.dtype.name not in _TYPES or not info.name.endswith(_WEIGHT):
        return None
    scale = stored.part(f"{info.name.removesuffix(_WEIGHT)}.scale")
    if scale is None:
        return None
    across = spread(info.shape, scale) if scale.dtype.kind == "float" else None
    if across is None or (scale.elements > 1 and len(info.shape) < 3):
        return "its scale is not one, nor one for each expert"
    made = product(info.name, info.shape, f"{info.dtype.name} × {across.words}", {"codes": info}, across)
    # Converters disagree on whether these rows are permuted.
    permuted = rotary(info, stored) is not None
    return replace(made, note=f"{made.note}; rows as in the file, which may be permuted for llama.cpp") if permuted else made
