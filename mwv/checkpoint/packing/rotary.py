"""q and k of a GGUF file in, the same with their rows in Hugging Face's order out (see `mwv/decode/schemes/rotary.py`)."""

import re
from dataclasses import replace
from typing import Final

from mwv.checkpoint.info import Packing, TensorInfo
from mwv.checkpoint.packing.stored import Stored

ARCHITECTURES: Final = frozenset(
    (
        *("llama", "deci", "baichuan", "xverse", "internlm2", "minicpm", "olmo", "arctic", "deepseek", "smollm3", "arcee"),
        *("granite", "granitemoe", "mistral3", "chameleon", "bailingmoe"),
    )
)
"""Architectures whose q and k llama.cpp's converter permutes: rotary pairs are neighbours there, halves in Hugging Face's."""
_NAME: Final = re.compile(r"blk\.([0-9]{1,6})\.attn_([qk])\.(?:weight|bias)")


def rotary(info: TensorInfo, stored: Stored) -> TensorInfo | None:
    """The tensor in its order before the conversion, or a note that it has another; None for tensors that are not permuted."""
    if stored.format != "gguf" or stored.config.get("model_type") not in ARCHITECTURES:
        return None
    match = _NAME.fullmatch(info.name)
    if match is None:
        return None
    heads = stored.config.get("num_attention_heads")
    if match[2] == "k":
        heads = stored.config.get("num_key_value_heads", heads)
    if isinstance(heads, list):
        heads = heads[int(match[1])] if int(match[1]) < len(heads) else None
    if type(heads) is not int or heads < 1 or len(info.shape) not in (1, 2) or info.shape[0] % (2 * heads):
        return replace(info, note="rows as in the file, permuted for llama.cpp: it does not tell a number of heads that fits")
    packing = Packing("rotary", {"head": info.shape[0] // heads}, {"weight": info})
    return replace(info, packing=packing, note="rows in the order of Hugging Face; in the file they are permuted for llama.cpp")
