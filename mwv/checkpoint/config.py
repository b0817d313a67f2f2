"""A model's folder in, its configuration out; a Checkpoint in, the name of its architecture out."""

from typing import Any, Final

from mwv.checkpoint.checks import parse_json
from mwv.checkpoint.folder import Folder
from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.source import Source, why
from mwv.checkpoint.wording import printable
from mwv.errors import UNUSABLE, FormatError

MAX_CONFIG: Final = 4 * 2**20


_QUANTISATION: Final = ("quantize_config.json", "quant_config.json", "hf_quant_config.json")
"""What tools of quantisation write beside a `config.json` that knows nothing of it."""


def read_config(folder: Folder, file: str) -> tuple[dict[str, Any], list[str]]:
    """The object in the `config.json` beside a model's file, and a note for each file that cannot be used.

    A broken one is not worth refusing the weights for: it only tells of layers that are missing and of facts beside.
    What another file says about quantisation counts as `quantization_config`, unless that is there. What is said about an
    adapter counts as `adapter_config`, unless a model of its own lies beside it.
    """
    notes: list[str] = []
    config = _usable(folder, "config.json", notes)
    if (not config or file.startswith("adapter_")) and (said := _usable(folder, "adapter_config.json", notes)):
        config["adapter_config"] = said
    for name in _QUANTISATION:
        if "quantization_config" not in config and (said := _usable(folder, name, notes)):
            config["quantization_config"] = said.get("quantization", said)
    return config, notes


def _usable(folder: Folder, name: str, notes: list[str]) -> dict[str, Any]:
    if not folder.has(name):
        return {}
    try:
        return _parse(folder.open(name))
    except UNUSABLE as error:
        notes.append(f"{name}: ignored: {why(error, folder.place(name))}")
        return {}


def _parse(source: Source) -> dict[str, Any]:
    try:
        if source.size > MAX_CONFIG:
            raise FormatError(f"{source.place}: longer than {MAX_CONFIG} bytes")
        config = parse_json(source.place, "the configuration", source.read(0, source.size))
    finally:
        source.close()
    if not isinstance(config, dict):
        raise FormatError(f"{source.place}: must be a JSON object")
    return config


def architecture(checkpoint: Checkpoint) -> str:
    """What the files call the model's architecture, such as LlamaForCausalLM or llama; empty if they do not say."""
    config = checkpoint.config
    classes = config.get("architectures")
    adapter = config.get("adapter_config")
    candidates = (
        f"{kind} adapter" if isinstance(adapter, dict) and isinstance(kind := adapter.get("peft_type"), str) and kind else "",
        *(classes[:1] if isinstance(classes, list) else ()),
        config.get("_class_name"),
        config.get("model_type"),
        config.get("architecture"),
        checkpoint.metadata.get("general.architecture"),
    )
    return next((printable(name, 100) for name in candidates if isinstance(name, str) and name), "")
