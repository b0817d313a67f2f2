"""The configuration of a checkpoint in, the few facts that pages and tables show out."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

from mwv.checkpoint.dtypes import WEIGHTS
from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.wording import counted

_FACTS: Final[dict[str, tuple[str, ...]]] = {
    "model_type": (),
    "num_hidden_layers": ("n_layer", "num_layers", "n_layers", "encoder_layers"),
    "hidden_size": ("n_embd", "d_model", "dim", "n_embed"),
    "intermediate_size": ("n_inner", "d_ff", "ffn_dim", "encoder_ffn_dim"),
    "num_attention_heads": ("n_head", "num_heads", "n_heads", "encoder_attention_heads"),
    "decoder_attention_heads": (),
    "num_key_value_heads": ("n_head_kv", "n_kv_heads"),
    "head_dim": ("d_kv",),
    "num_local_experts": ("num_experts", "n_routed_experts", "moe_num_experts"),
    "num_experts_per_tok": (),
    "vocab_size": (),
    "max_position_embeddings": ("n_positions", "n_ctx"),
    "tie_word_embeddings": (),
    "torch_dtype": ("dtype",),
}
"""Names as Hugging Face's configurations use them, each with the other names under which models give the same fact."""
_NESTED: Final = ("text_config", "llm_config", "ffn_config")
_ADAPTER: Final = {"base_model_name_or_path": "base_model", "r": "lora_rank", "lora_alpha": "lora_alpha"}
"""What PEFT writes about an adapter, and our name for it."""


def facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers, texts and switches worth showing, under Hugging Face's names; parts that tell of the text model count too."""
    places = [config, *(part for key in _NESTED if isinstance(part := config.get(key), Mapping))]
    found: dict[str, Any] = {}
    for name, others in _FACTS.items():
        for place in places:
            value = next((place[key] for key in (name, *others) if place.get(key) is not None), None)
            if name not in found and isinstance(value, str | int | float):
                found[name] = value
    return found | adapter_facts(config)


def adapter_facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """Base model, rank and alpha of an adapter, as far as it tells them; of a base model in a folder the folder's name."""
    said = config.get("adapter_config")
    found = {name: said.get(key) for key, name in _ADAPTER.items()} if isinstance(said, Mapping) else {}
    if isinstance(base := found.get("base_model"), str) and PurePath(base).is_absolute():
        found["base_model"] = PurePath(base).name
    return {name: value for name, value in found.items() if isinstance(value, str | int | float) and value != ""}


def promised_layers(config: Mapping[str, Any]) -> int | None:
    """How many layers the configuration says there are, if it says so credibly."""
    return _count(config, "num_hidden_layers")


def promised_experts(config: Mapping[str, Any]) -> int | None:
    """How many experts the configuration says a layer has, if it says so credibly."""
    return _count(config, "num_local_experts")


def _count(config: Mapping[str, Any], fact: str) -> int | None:
    value = facts(config).get(fact)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def parameters(tensors: Sequence[TensorInfo]) -> int:
    """Elements of all tensors that hold weights: those of real, complex and quantised types, or all if there are none.

    Integers of packed weights that are not decoded do not count: one may stand for several weights, or for a part of one.
    """
    known = [t for t in tensors if not t.part_of and not _uncounted(t)]
    weights = [t.elements for t in known if t.dtype.kind in WEIGHTS or t.dtype.is_quantised]
    return sum(weights or (t.elements for t in known))


def uncounted(tensors: Sequence[TensorInfo]) -> str:
    """What the number of parameters leaves out, in words; empty if nothing."""
    count = sum(map(_uncounted, tensors))
    return f"without {counted(count, 'packed weight')} not decoded" if count else ""


def _uncounted(info: TensorInfo) -> bool:
    return info.undecoded and info.dtype.kind not in WEIGHTS


def dtype_counts(tensors: Sequence[TensorInfo]) -> dict[str, int]:
    """Elements per dtype name, the most frequent first; parts of packed weights do not count."""
    counts: dict[str, int] = {}
    for tensor in (t for t in tensors if not t.part_of):
        counts[tensor.dtype.name] = counts.get(tensor.dtype.name, 0) + tensor.elements
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
