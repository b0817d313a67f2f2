"""A family's file in, names and shapes of its tensors out: as real files have them, few layers, true widths.

The first line of a file says whose names they are. Every other one is a name and a shape, in which `{0..2}` and `{1,3}`
stand for several numbers or words, as in a shell. The names are those of the state dicts that transformers 4.57, diffusers 0.35
and peft 0.21 make of the published configurations, where the first line names a class; else those of the published file.
"""

import re
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import gguf

Tensors = list[tuple[str, tuple[int, ...]]]

FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))


ARCHITECTURES = {
    "bloom": "bloom",
    "dbrx": "dbrx",
    "deepseek_v2": "deepseek2",
    "deepseek_v3": "deepseek2",
    "falcon_40b": "falcon",
    "falcon_7b": "falcon",
    "gemma2": "gemma2",
    "gemma3": "gemma3",
    "gpt2": "gpt2",
    "gpt_oss": "gpt-oss",
    "gptj": "gptj",
    "granite": "granite",
    "granite_hybrid": "granitehybrid",
    "granite_moe": "granitemoe",
    "jamba": "jamba",
    "llama4": "llama4",
    "llava": "llama",
    "mamba": "mamba",
    "mamba2": "mamba2",
    "mpt": "mpt",
    "neox": "gptneox",
    "phi2": "phi2",
    "phi3": "phi3",
    "phimoe": "phimoe",
    "qwen2": "qwen2",
    "qwen2_5_vl": "qwen2vl",
    "qwen2_moe": "qwen2moe",
    "qwen2_vl": "qwen2vl",
    "qwen3": "qwen3",
    "qwen3_vl": "qwen3vl",
    "qwen3_moe": "qwen3moe",
    "rwkv6": "rwkv6",
    "t5": "t5",
    "umt5": "t5",
}
"""What GGUF calls the architecture of a family."""

_ROOTS = {
    "gpt2": ("", "transformer."),
    "qwen3_vl": ("model.language_model.", "model."),
    **dict.fromkeys(("gemma3", "llama4", "llava"), ("language_model.", "")),
}
"""What the names of a file begin with, and what those of the language model alone do."""

_PERCEPTION = re.compile(r"vision_tower|vision_model|(?:model\.)?visual|multi_modal_projector")


def read(family: str) -> Tensors:
    """All tensors of a family."""
    tensors: Tensors = []
    for line in (FOLDER / f"{family}.txt").read_text(encoding="utf-8").splitlines()[1:]:
        pattern, shape = line.split()
        sizes = () if shape == "scalar" else tuple(map(int, shape.split("×")))
        parts = re.split(r"\{(.*?)\}", pattern)
        choices = [_choices(part) if i % 2 else [part] for i, part in enumerate(parts)]
        tensors += [("".join(name), sizes) for name in product(*choices)]
    return tensors


def _choices(text: str) -> list[str]:
    first, dots, last = text.partition("..")
    return [str(n) for n in range(int(first), int(last) + 1)] if dots else text.split(",")


def language(family: str) -> dict[str, tuple[int, ...]]:
    """The tensors of a family's language model under transformers' names, those of experts as one."""
    old, new = _ROOTS.get(family, ("", ""))
    tensors = [(name, shape) for name, shape in read(family) if not _PERCEPTION.match(name)]
    return {re.sub(r"\.experts\.\d+", ".experts", new + name.removeprefix(old)): shape for name, shape in tensors}


def in_gguf(names: Iterable[str], architecture: str) -> dict[str, str | None]:
    """GGUF's name of each name by the tables of the gguf package, None where they have none."""
    known = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    table = gguf.get_tensor_name_map(known, 9)
    return {name: table.get_name(name, try_suffixes=(".weight", ".bias")) for name in names}
