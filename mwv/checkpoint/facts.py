"""The configuration of a checkpoint in, the few facts that pages and tables show out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mwv.checkpoint.dtypes import WEIGHTS
from mwv.checkpoint.info import TensorInfo

_FACTS: Final[dict[str, tuple[str, ...]]] = {
    "model_type": (),
    "num_hidden_layers": ("n_layer", "num_layers", "n_layers", "encoder_layers"),
    "hidden_size": ("n_embd", "d_model", "dim", "n_embed"),
    "intermediate_size": ("n_inner", "d_ff", "ffn_dim", "encoder_ffn_dim"),
    "num_attention_heads": ("n_head", "num_heads", "n_heads", "encoder_attention_heads"),
    "decoder_attention_heads": (),
    "num_key_value_heads": ("n_head_kv", "n_kv_heads"),
    "head_dim": ("d_kv",),
    "num_local_experts": ("num_experts", "n_routed_experts"),
    "num_experts_per_tok": (),
    "vocab_size": (),
    "max_position_embeddings": ("n_positions", "n_ctx"),
    "tie_word_embeddings": (),
    "torch_dtype": ("dtype",),
}
"""Names as Hugging Face's configurations use them, each with the other names under which models give the same fact."""


def facts(config: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers, texts and switches worth showing, under Hugging Face's names; a nested `text_config` counts too."""
    nested = config.get("text_config")
    places = [config, nested] if isinstance(nested, Mapping) else [config]
    found: dict[str, Any] = {}
    for name, others in _FACTS.items():
        for place in places:
            value = next((place[key] for key in (name, *others) if place.get(key) is not None), None)
            if name not in found and isinstance(value, str | int | float):
                found[name] = value
    return found


def promised_layers(config: Mapping[str, Any]) -> int | None:
    """How many layers the configuration says there are, if it says so credibly."""
    layers = facts(config).get("num_hidden_layers")
    return layers if isinstance(layers, int) and not isinstance(layers, bool) and layers > 0 else None


def parameters(tensors: Sequence[TensorInfo]) -> int:
    """Elements of all tensors that hold weights: those of real, complex and quantised types, or all if there are none."""
    weights = [t.elements for t in tensors if t.dtype.kind in WEIGHTS and not t.part_of]
    return sum(weights or (t.elements for t in tensors if not t.part_of))


def dtype_counts(tensors: Sequence[TensorInfo]) -> dict[str, int]:
    """Elements per dtype name, the most frequent first; parts of packed weights do not count."""
    counts: dict[str, int] = {}
    for tensor in (t for t in tensors if not t.part_of):
        counts[tensor.dtype.name] = counts.get(tensor.dtype.name, 0) + tensor.elements
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
