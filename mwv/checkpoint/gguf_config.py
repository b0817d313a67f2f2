"""Key/values of a GGUF file in, configuration and metadata under Hugging Face's names out."""

import math
from collections.abc import Mapping
from typing import Any, Final

from mwv.checkpoint.gguf import Array, Scalar, Value

# Key below the architecture's name → name in config.json.
_CONFIG: Final = {
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.layer_norm_epsilon": "layer_norm_eps",
    "attention.sliding_window": "sliding_window",
    "context_length": "max_position_embeddings",
    "rope.freq_base": "rope_theta",
    "vocab_size": "vocab_size",
    "expert_count": "num_local_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_shared_count": "n_shared_experts",
    "expert_feed_forward_length": "moe_intermediate_size",
    "nextn_predict_layers": "num_nextn_predict_layers",
    "ssm.state_size": "state_size",
    "ssm.conv_kernel": "conv_kernel",
    "image_size": "image_size",
    "patch_size": "patch_size",
    "projector_type": "projector_type",
}

# Architectures that Hugging Face writes otherwise than by the same letters.
_MODEL_TYPES: Final = {
    "command-r": "cohere",
    "deepseek2": "deepseek_v2",
    "ernie4_5-moe": "ernie4_5_moe",
    "falcon-h1": "falcon_h1",
    "glm4moe": "glm4_moe",
    "gpt-oss": "gpt_oss",
    "gptneox": "gpt_neox",
    "modern-bert": "modernbert",
    "nomic-bert": "nomic_bert",
    "phi2": "phi",
    "qwen2moe": "qwen2_moe",
    "qwen2vl": "qwen2_vl",
    "qwen3moe": "qwen3_moe",
    "qwen3next": "qwen3_next",
    "qwen3vl": "qwen3_vl",
}

_MOST_TEXT: Final = 1000


def gguf_config(values: Mapping[str, Value]) -> dict[str, Any]:
    """What `config.json` would say; a vision tower's part under `vision_config`, as there."""
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        return {}
    config: dict[str, Any] = {"model_type": _MODEL_TYPES.get(architecture, architecture)}
    config |= _section(values, architecture)
    for part in ("vision", "audio"):
        if section := _section(values, f"{architecture}.{part}"):
            config[f"{part}_config"] = section
    tokens = values.get("tokenizer.ggml.tokens")
    if "vocab_size" not in config and isinstance(tokens, Array):
        config["vocab_size"] = tokens.length
    return config


def gguf_architecture(config: Mapping[str, Any]) -> str:
    """What GGUF calls the architecture of a configuration, such as `gguf_config` makes or `config.json` holds."""
    kind = str(config.get("model_type", ""))
    return next((name for name, model_type in _MODEL_TYPES.items() if model_type == kind), kind)


def _section(values: Mapping[str, Value], prefix: str) -> dict[str, Any]:
    found = {name: values[f"{prefix}.{key}"] for key, name in _CONFIG.items() if f"{prefix}.{key}" in values}
    # One number per layer stays a list, unless all are the same.
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: Value) -> Scalar | list[Scalar]:
    if isinstance(value, Array):
        items = [_finite(item) for item in value.items]
        return items[0] if len(set(items)) == 1 else items
    return _finite(value)


def _finite(value: Scalar) -> Scalar:
    """As `config.json` would have it, which knows no NaN and no infinity."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def gguf_metadata(values: Mapping[str, Value]) -> dict[str, str]:
    """What the file says about itself in words: the `general.` keys, the tokenizer's kind, how it was quantised."""
    metadata: dict[str, str] = {}
    for key, value in values.items():
        if key.startswith(("general.", "quantize.")) or key in ("tokenizer.ggml.model", "tokenizer.ggml.pre"):
            text = ", ".join(map(str, value.items)) if isinstance(value, Array) else str(value)
            metadata[key] = text[:_MOST_TEXT]
    if isinstance(number := values.get("general.file_type"), int):
        metadata["general.file_type"] = _file_type(number)
    return metadata


def _file_type(number: int) -> str:
    import gguf  # late, as in gguf.py

    try:
        return gguf.LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    except ValueError:
        return str(number)
