"""Families whose depth, width or number of experts tests choose; all others are files of tests/families."""

from collections.abc import Callable
from functools import partial

import families
from families import Tensors


def linear(name: str, out: int, inner: int, *, bias: bool = True) -> Tensors:
    return [(f"{name}.weight", (out, inner)), *([(f"{name}.bias", (out,))] if bias else [])]


def norm(name: str, size: int, *, bias: bool = True) -> Tensors:
    return [(f"{name}.weight", (size,)), *([(f"{name}.bias", (size,))] if bias else [])]


def llama(layers: int = 32, hidden: int = 4096, kv: int = 1024, mlp: int = 14336, vocab: int = 128256) -> Tensors:
    tensors: Tensors = [
        ("model.embed_tokens.weight", (vocab, hidden)),
        ("model.norm.weight", (hidden,)),
        ("lm_head.weight", (vocab, hidden)),
    ]
    for i in range(layers):
        at = f"model.layers.{i}"
        tensors += [(f"{at}.input_layernorm.weight", (hidden,)), (f"{at}.post_attention_layernorm.weight", (hidden,))]
        for name, out, inner in (("q", hidden, hidden), ("k", kv, hidden), ("v", kv, hidden), ("o", hidden, hidden)):
            tensors += linear(f"{at}.self_attn.{name}_proj", out, inner, bias=False)
        for name, out, inner in (("gate", mlp, hidden), ("up", mlp, hidden), ("down", hidden, mlp)):
            tensors += linear(f"{at}.mlp.{name}_proj", out, inner, bias=False)
    return tensors


def bert(layers: int = 6, hidden: int = 384, mlp: int = 1536) -> Tensors:
    tensors: Tensors = [
        ("embeddings.word_embeddings.weight", (30522, hidden)),
        ("embeddings.position_embeddings.weight", (512, hidden)),
        ("embeddings.token_type_embeddings.weight", (2, hidden)),
        ("embeddings.position_ids", (1, 512)),
        *norm("embeddings.LayerNorm", hidden),
        *linear("pooler.dense", hidden, hidden),
    ]
    for i in range(layers):
        at = f"encoder.layer.{i}"
        for name in ("query", "key", "value"):
            tensors += linear(f"{at}.attention.self.{name}", hidden, hidden)
        tensors += linear(f"{at}.attention.output.dense", hidden, hidden) + norm(f"{at}.attention.output.LayerNorm", hidden)
        tensors += linear(f"{at}.intermediate.dense", mlp, hidden)
        tensors += linear(f"{at}.output.dense", hidden, mlp) + norm(f"{at}.output.LayerNorm", hidden)
    return tensors


def mixtral(layers: int = 4, experts: int = 8) -> Tensors:
    tensors = [t for t in llama(layers, vocab=32000) if ".mlp." not in t[0]]
    for i in range(layers):
        at = f"model.layers.{i}.block_sparse_moe"
        tensors += linear(f"{at}.gate", experts, 4096, bias=False)
        for e in range(experts):
            tensors += [
                (f"{at}.experts.{e}.w1.weight", (14336, 4096)),
                (f"{at}.experts.{e}.w2.weight", (4096, 14336)),
                (f"{at}.experts.{e}.w3.weight", (14336, 4096)),
            ]
    return tensors


def qwen3_moe_fused(layers: int = 3, experts: int = 128, hidden: int = 2048, inner: int = 768) -> Tensors:
    tensors: Tensors = [
        ("model.embed_tokens.weight", (151936, hidden)),
        ("model.norm.weight", (hidden,)),
        ("lm_head.weight", (151936, hidden)),
    ]
    for i in range(layers):
        at = f"model.layers.{i}"
        tensors += [(f"{at}.input_layernorm.weight", (hidden,)), (f"{at}.post_attention_layernorm.weight", (hidden,))]
        for name, out, into in (("q", 4096, hidden), ("k", 512, hidden), ("v", 512, hidden), ("o", hidden, 4096)):
            tensors += linear(f"{at}.self_attn.{name}_proj", out, into, bias=False)
        tensors += [
            (f"{at}.self_attn.q_norm.weight", (128,)),
            (f"{at}.self_attn.k_norm.weight", (128,)),
            (f"{at}.mlp.gate.weight", (experts, hidden)),
        ]
        tensors += [
            (f"{at}.mlp.experts.gate_up_proj", (experts, 2 * inner, hidden)),
            (f"{at}.mlp.experts.down_proj", (experts, hidden, inner)),
        ]
    return tensors


def gguf_moe(layers: int = 3, experts: int = 8, hidden: int = 2048) -> Tensors:
    tensors: Tensors = [
        ("token_embd.weight", (32000, hidden)),
        ("output_norm.weight", (hidden,)),
        ("output.weight", (32000, hidden)),
        ("rope_freqs.weight", (64,)),
    ]
    shapes = {
        "attn_norm": (hidden,),
        "attn_q": (hidden, hidden),
        "attn_k": (256, hidden),
        "attn_v": (256, hidden),
        "attn_output": (hidden, hidden),
        "ffn_gate_inp": (experts, hidden),
        "ffn_gate_exps": (experts, 5632, hidden),
        "ffn_up_exps": (experts, 5632, hidden),
        "ffn_down_exps": (experts, hidden, 5632),
        "ffn_norm": (hidden,),
    }
    return tensors + [(f"blk.{i}.{name}.weight", shape) for i in range(layers) for name, shape in shapes.items()]


def mlp() -> Tensors:
    return [*linear("fc1", 128, 784), *linear("fc2", 64, 128), *linear("fc3", 10, 64)]


def sequential() -> Tensors:
    return [*linear("0", 512, 784), *linear("2", 512, 512), *linear("4", 10, 512)]


EXPERTS = {"dbrx": 16}
"""What the configuration of a family says, where the layout needs it."""

FAMILIES: dict[str, Callable[[], Tensors]] = {
    "llama": lambda: llama(layers=4),
    "bert": lambda: bert(layers=3),
    "mixtral": lambda: mixtral(layers=2),
    "qwen3_moe_fused": lambda: qwen3_moe_fused(layers=2, experts=16),
    "gguf_moe": lambda: gguf_moe(layers=2),
    "mlp": mlp,
    "sequential": sequential,
} | {family: partial(families.read, family) for family in families.NAMES}
