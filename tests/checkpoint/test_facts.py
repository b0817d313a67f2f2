"""Facts from configurations as Hugging Face and others write them."""

import pytest

from mwv.checkpoint.dtypes import PLAIN
from mwv.checkpoint.facts import dtype_counts, facts, parameters, promised_layers
from mwv.checkpoint.info import Checkpoint, TensorInfo


def test_names_of_other_families_mean_the_same() -> None:
    assert facts({"n_layer": 12, "n_embd": 768, "n_head": 12, "n_positions": 1024}) == {
        "num_hidden_layers": 12,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "max_position_embeddings": 1024,
    }


def test_heads_of_encoders_and_decoders() -> None:
    assert facts({"encoder_attention_heads": 8, "decoder_attention_heads": 4, "d_model": 512, "d_kv": 64}) == {
        "num_attention_heads": 8,
        "decoder_attention_heads": 4,
        "hidden_size": 512,
        "head_dim": 64,
    }


def test_a_nested_text_model_counts_but_not_before_the_outer() -> None:
    config = {"hidden_size": 1, "text_config": {"hidden_size": 2, "num_hidden_layers": 3}}
    assert facts(config) == {"hidden_size": 1, "num_hidden_layers": 3}


def test_values_that_are_no_facts_are_passed_over() -> None:
    assert facts({"hidden_size": [1, 2], "vocab_size": None, "text_config": 7}) == {}


def test_an_adapter_tells_its_base_and_not_the_layers_of_its_prompt() -> None:
    said = {"base_model_name_or_path": "org/base", "r": 8, "lora_alpha": 16.5, "num_layers": 24, "peft_type": "LORA"}
    assert facts({"adapter_config": said}) == {"base_model": "org/base", "lora_rank": 8, "lora_alpha": 16.5}
    assert facts({"adapter_config": {"base_model_name_or_path": "/home/me/base", "r": [1]}}) == {"base_model": "base"}
    assert facts({"adapter_config": 3}) == {}


@pytest.mark.parametrize(
    ("value", "expected"), [(12, 12), (0, None), (-1, None), (True, None), ("12", None), (1.5, None), (None, None)]
)
def test_promised_layers(value: object, expected: int | None) -> None:
    assert promised_layers({"num_hidden_layers": value}) == expected


def checkpoint(**dtypes: tuple[str, int]) -> Checkpoint:
    tensors = tuple(TensorInfo(name, PLAIN[dtype], (n,), 0, 0, n) for name, (dtype, n) in dtypes.items())
    return Checkpoint("x", "safetensors", (), tensors)


def test_parameters_are_weights_and_not_indices() -> None:
    assert parameters(checkpoint(w=("BF16", 10), b=("F32", 2), ids=("I64", 512)).tensors) == 12
    assert parameters(checkpoint(q=("I8", 5), ids=("I64", 3)).tensors) == 8


def test_dtypes_by_elements() -> None:
    counts = dtype_counts(checkpoint(a=("F32", 1), b=("BF16", 10), c=("F32", 2)).tensors)
    assert list(counts.items()) == [("BF16", 10), ("F32", 3)]
