"""Names of tensors and the configuration in, the names that Hugging Face's transformers has for them out.

So tensors of one model in two formats have one name. What is translated: GGUF's names, by the tables of the gguf package, which
tell GGUF's name for each of the names that an architecture's tensors have elsewhere; the original names of Llama and Mistral;
what trainers put before names, or into them; names of a language model inside a model that also sees or hears, which GGUF does
not tell from one alone; old names of norms. Any other name is canonical as it is.
"""

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from mwv.checkpoint.gguf_config import gguf_architecture

_GGUF: Final = re.compile(r"token_embd\.weight|(?:(?:enc|dec|v|a)\.)?blk\.[0-9]+\..+")
_ORIGINAL: Final = re.compile(r"((?:\w+\.)*)layers\.[0-9]+\.attention\.w[qk]\.weight")
_TRAINER: Final = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.")
_WRAPPERS: Final = ("module.", "base_model.model.")
"""Taken off where every name of the model begins with it."""
_ADAPTER: Final = re.compile(r"(\.lora_[A-Za-z_]+|\.modules_to_save)\.default(?=\.|$)|\.base_layer(?=\.)")
_NESTED: Final = re.compile(r"(?<![^.])(?:language_model\.(?=model\.|lm_head\.)|(model\.)language_model\.)")
_NORM: Final = re.compile(r"((?:^|.*\.)LayerNorm\.)(gamma|beta)")
_NORMED: Final = re.compile(r"((?:.*\.)?)weight_([gv])")
_LOADED: Final = {
    "gamma": "weight",
    "beta": "bias",
    "g": "parametrizations.weight.original0",
    "v": "parametrizations.weight.original1",
}
"""What transformers and torch themselves rename when they load a file: BERT's first norms, and weights with a norm."""
_INDEX: Final = re.compile(r"\.([0-9]+)\.")
_EXPERT: Final = re.compile(r"\.(?:experts|(ffn_gate|ffn_up|ffn_down))\.([0-9]+)(?=\.)")
"""An expert's number; old GGUF files say `ffn_gate.3`."""
_BARE: Final = re.compile(r"\.(?:A_log|D|sinks|attention_sink_bias|time_\w+|experts\.mlp\.[wv][12])$")
"""Parameters without a module of their own, and so without `.weight`, which GGUF adds."""

_LAYER: Final = "model.layers.{bid}."
_USUAL: Final = (
    *(f"{_LAYER}self_attn.{name}" for name in ("q_norm", "k_norm", "")),
    f"{_LAYER}mlp.",
    "model.embed_tokens",
    "model.norm",
    "lm_head",
    "model.",
)
_GPT2: Final = ("transformer.h.{bid}.", "transformer.", "lm_head")
_MOE: Final = (f"{_LAYER}block_sparse_moe.experts.", f"{_LAYER}block_sparse_moe.gate")
_FORWARD: Final = tuple(
    f"{_LAYER}feed_forward.{name}" for name in ("shared_expert.", "experts.", "gate_proj", "up_proj", "down_proj", "")
)
_SHARED: Final = (f"{_LAYER}mlp.shared_experts.",)
_DENSE_LINEAR: Final = ("transformer.word_embeddings", "transformer.h.{bid}.self_attention.", "transformer.h.{bid}.mlp.dense")
# How the names of an architecture begin, the most wanted first; those of _USUAL follow. Of names that begin alike, the table's
# first is taken. What GGUF calls "llama" may be Mixtral.
_STYLES: Final[dict[str, tuple[str, ...]]] = {
    "bert": ("embeddings.", "encoder.layer.{bid}.", "classifier"),
    "bloom": ("word_embeddings", "h.{bid}.self_attention.", "h.{bid}.mlp.dense", "h.{bid}.", "ln_f"),
    "clip": ("vision_tower.vision_model.", "multi_modal_projector."),
    "dbrx": (
        "transformer.blocks.{bid}.norm_attn_norm.",
        "transformer.blocks.{bid}.ffn.",
        "transformer.wte",
        "transformer.norm_f",
    ),
    "deepseek": _SHARED,
    "deepseek2": _SHARED,
    "falcon": (*_DENSE_LINEAR, "transformer.h.{bid}.input_layernorm", "transformer.h.{bid}.ln_attn", "transformer.ln_f"),
    "glm4": (f"{_LAYER}mlp.gate_up_proj", f"{_LAYER}post_self_attn_layernorm", f"{_LAYER}post_mlp_layernorm"),
    "glm4moe": _SHARED,
    "gpt-oss": (f"{_LAYER}mlp.router",),
    "gpt2": _GPT2,
    "gptj": ("transformer.h.{bid}.attn.out_proj", "transformer.h.{bid}.mlp.fc_", *_GPT2),
    "gptneox": ("gpt_neox.", "embed_out"),
    "granitehybrid": (
        f"{_LAYER}block_sparse_moe.router.",
        f"{_LAYER}shared_mlp.",
        f"{_LAYER}mamba.",
        f"{_LAYER}block_sparse_moe.output_linear",
        f"{_LAYER}post_attention_layernorm",
    ),
    "granitemoe": (f"{_LAYER}block_sparse_moe.router.", f"{_LAYER}block_sparse_moe.output_linear"),
    "jamba": (f"{_LAYER}mamba.", *_FORWARD, f"{_LAYER}pre_ff_layernorm", "model.final_layernorm"),
    "llama": _MOE,
    "llama4": _FORWARD,
    "mamba": ("backbone.embeddings", "backbone."),
    "mamba2": ("backbone.embeddings", "backbone."),
    "modern-bert": ("embeddings.", "layers.{bid}.attn.", "layers.{bid}.", "head.", "final_norm"),
    "mpt": ("transformer.blocks.{bid}.", "transformer.wte", "transformer.norm_f"),
    "phi2": (f"{_LAYER}self_attn.dense", f"{_LAYER}mlp.fc", "model.final_layernorm"),
    "phi3": (f"{_LAYER}self_attn.qkv_proj", f"{_LAYER}mlp.gate_up_proj"),
    "phimoe": _MOE,
    "rwkv6": ("rwkv.", "head"),
    "starcoder": _GPT2,
    "starcoder2": (f"{_LAYER}mlp.c_",),
    "t5": ("shared", "encoder.", "decoder."),
}
# Variants of an architecture, told by a tensor that only they have: what comes before the architecture's own.
_VARIANTS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("falcon", "attn_norm_2"): ("transformer.h.{bid}.ln_mlp",),
    ("t5", "ffn_gate"): tuple(
        f"{side}.block.{{bid}}.layer.{n}.DenseReluDense.wi_" for side, n in (("encoder", 1), ("decoder", 2))
    ),
}
_PROJECTORS: Final = {
    "qwen2vl_merger": ("visual.",),
    "qwen2.5vl_merger": ("visual.blocks.{bid}.mlp.up_proj", "visual.blocks.{bid}.mlp.down_proj", "visual."),
}
"""The same for vision towers, by what joins them to the language model."""


def canonical_names(names: Iterable[str], config: Mapping[str, Any]) -> dict[str, str]:
    """The canonical name of each name of one model, whose `config` tells the architecture; pure.

    A GGUF file has the experts of a layer in one tensor: its name is that of one expert's without the expert's number. A name
    that no table knows stays as it is, and so do two that would become one.
    """
    given = sorted(set(names))
    plain = {name: _TRAINER.sub("", name) for name in given}
    for wrapper in _WRAPPERS:
        if all(name.startswith(wrapper) for name in plain.values()):
            plain = {name: inner.removeprefix(wrapper) for name, inner in plain.items()}
    plain = {name: _NESTED.sub(_kept, _ADAPTER.sub(_kept, inner)) for name, inner in plain.items()}
    stored = set(plain.values())
    plain = {name: _as_loaded(inner, stored) for name, inner in plain.items()}
    if any(_GGUF.fullmatch(name) for name in plain.values()):
        architecture = gguf_architecture(config)
        table = _table(architecture, _projector(config) or _variant(architecture, plain.values()), False)
        plain = {name: _translated(inner, table) for name, inner in plain.items()}
    elif wrappers := [found[1] for name in plain.values() if (found := _ORIGINAL.fullmatch(name))]:
        wrapper = min(wrappers)
        if all(name.startswith(wrapper) for name in plain.values()):
            table = _table("llama", (), True)
            plain = {name: _translated(inner.removeprefix(wrapper), table) for name, inner in plain.items()}
    times = Counter(plain.values())
    single = {name: inner if times[inner] == 1 else name for name, inner in plain.items()}
    return single if len(set(single.values())) == len(single) else {name: name for name in given}


def _kept(found: re.Match[str]) -> str:
    """What stays of a match: its group, if it took part."""
    return found[1] or ""


def _as_loaded(name: str, stored: Container[str]) -> str:
    """A name as transformers has it after loading; of a weight with a norm both parts must be there."""
    if found := _NORM.fullmatch(name):
        return found[1] + _LOADED[found[2]]
    found = _NORMED.fullmatch(name)
    if found and f"{found[1]}weight_{'v' if found[2] == 'g' else 'g'}" in stored:
        return found[1] + _LOADED[found[2]]
    return name


def _variant(architecture: str, names: Iterable[str]) -> tuple[str, ...]:
    """What the names of this variant of an architecture begin with."""
    parts = {part for name in names for part in name.split(".")}
    return next((first for (known, part), first in _VARIANTS.items() if known == architecture and part in parts), ())


def _projector(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What the names of a vision tower begin with, if the file says what joins it to the language model."""
    vision = config.get("vision_config")
    said = (place.get("projector_type") for place in (config, vision) if isinstance(place, Mapping))
    return next((_PROJECTORS[kind] for kind in said if isinstance(kind, str) and kind in _PROJECTORS), ())


def _translated(name: str, table: Mapping[str, str]) -> str:
    """A name by a table from modules to modules, in which `{bid}` stands for the layer; as it is if the table lacks it."""
    expert = _EXPERT.search(name)
    fused = _EXPERT.sub(lambda found: f".{found[1]}_exps" if found[1] else ".experts", name)
    layer = _INDEX.search(fused)
    pattern = fused if layer is None else f"{fused[: layer.start()]}.{{bid}}.{fused[layer.end() :]}"
    module, dot, leaf = pattern.rpartition(".")
    if pattern in table:
        found = table[pattern]
    elif module in table:
        found = table[module] if _BARE.search(table[module]) else f"{table[module]}{dot}{leaf}"
    else:
        return name
    found = found.replace("e_score_correction.bias", "e_score_correction_bias")
    if expert:
        found = found.replace(".experts.", f".experts.{expert[2]}.")
    return found if layer is None else found.replace("{bid}", layer[1])


@lru_cache(maxsize=16)
def _table(architecture: str, first: tuple[str, ...], original: bool) -> Mapping[str, str]:
    """Canonical modules by GGUF's modules of an architecture, or by all names that the tables have for it if `original`."""
    import gguf  # late: takes a tenth of a second

    known = next((key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture), gguf.MODEL_ARCH.LLAMA)
    prefixes = (*first, *_STYLES.get(architecture, ()), *_USUAL)
    table: dict[str, str] = {}
    tensors = gguf.TensorNameMap
    for names in (tensors.mappings_cfg, tensors.block_mappings_cfg | tensors.arch_block_mappings_cfg.get(known, {})):
        for tensor in gguf.MODEL_TENSORS[known]:
            if tensor not in names or tensor in (gguf.MODEL_TENSOR.ROPE_FREQS, gguf.MODEL_TENSOR.ATTN_ROT_EMBD):
                continue
            wanted = min(
                names[tensor], key=lambda name: next((i for i, p in enumerate(prefixes) if name.startswith(p)), 99), default=""
            )
            if wanted:
                for name in names[tensor] if original else (gguf.TENSOR_NAMES[tensor],):
                    table.setdefault(name, wanted)
    return table
