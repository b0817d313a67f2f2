"""Names of tensors in, Roles out: which stack, layer, slot and expert each one is."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final, Literal

from mwv.layout.canvas import Role

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_LAYER_WORD: Final = re.compile(r"(?:.*_)?(?:(?:layer|block|stage)s?[0-9]*|h|blk|resblocks|resnets|attentions)")
"""Lists of these are stacks even with one member."""
_LEAST_MEMBERS: Final = 3
"""Other lists are stacks from so many members on: two layers of an MLP are none."""
_INNER_WORDS: Final = frozenset({"layers", "layer", "blocks", "block"})
"""A list of these inside a stage may be the real stack: `stages.0.blocks.1`."""
_EXPERT_WORD: Final = re.compile(r"experts?|ffn_(?:gate|up|down)")
"""The word before an expert's number; old GGUF files say `ffn_gate.3`."""
_EMBEDDING: Final = re.compile(
    r"embed|embd|(?:^|[._])(?:emb|wte|wpe|shared|stem|cls_token|class_token|dist_token|reg_token|mask_token)(?:$|[._])"
    r"|(?:^|\.)[a-z]+_in\."
)
_TABLE: Final = re.compile(r"(?:^|\.)(?:embed_tokens|shared_head[._]head)\.[a-z_]+$")
"""A vocabulary that a layer has for itself (one that predicts a further token), beside which all others would look empty."""
_HEAD: Final = re.compile(
    r"(?:^|\.)(?:lm_head|lm_heads|shared_head_head|embed_out|classifier|score|heads?|fc|output|proj_out|qa_outputs|logits|predictions|"
    r"seq_relationship|conv_out|norm_out|conv_norm_out|final_layer)(?:$|\.)"
)
_DIGITS: Final = re.compile(r"([0-9]+)")
_WORD_NUMBER: Final = re.compile(r"_([0-9]+)(?=_)")

Side = Literal["embedding", "head", "rest"]
NaturalKey = tuple[tuple[int, int, str], ...]
ModuleKey = tuple[NaturalKey, bool, NaturalKey]


def natural(name: str) -> NaturalKey:
    """A sort key under which 2 comes before 10."""
    return tuple((0, int(part[:4000]), part) if i % 2 else (1, 0, part) for i, part in enumerate(_DIGITS.split(name)))


def module_order(name: str) -> ModuleKey:
    """Sort key of a module's tensors: by module, its weight before its bias and the others."""
    module, _, leaf = name.rpartition(".")
    return natural(module), leaf != "weight", natural(leaf)


def side_of(name: str) -> Side:
    """Where a tensor outside all stacks stands: embeddings left of them, heads right, the rest below."""
    lower = name.lower()
    if _HEAD.search(lower):
        return "head"
    return "embedding" if _EMBEDDING.search(lower) else "rest"


def roles_of(names: Iterable[str]) -> dict[str, Role]:
    """The role of every name; those outside all stacks have stack "" and layer None. The order of names means nothing.

    The layer is the first number of a name, or a later one where that is a list of like modules inside a stage
    (`stages.0.blocks.1`, `blocks.0.1`), or a list of layers in one that is no stack or has no name (`backbone.0.body.layer1.2`,
    `0.auto_model.encoder.layer.3`). Any number after it belongs to the slot, or is an expert's.
    """
    split = {name: _components(name) for name in sorted(set(names))}
    numbers = {
        name: [i for i, part in enumerate(parts[:-1]) if part.isdecimal() and _NUMBER.fullmatch(part)]
        for name, parts in split.items()
    }
    nested = [(split[name], at) for name, at in numbers.items() if len(at) > 1]
    inner = _inner_lists(nested)
    first = _members(split, {name: found[0] if found else None for name, found in numbers.items()})
    outer = {prefix for prefix, indices in first.items() if prefix and _is_stack(prefix, indices)}
    at = {name: _layer_at(split[name], found, inner, outer) for name, found in numbers.items()}
    members = _members(split, at)
    roles: dict[str, Role] = {}
    for name, parts in split.items():
        i = at[name]
        prefix = ".".join(parts[:i]) if i is not None else ""
        if i is None or _TABLE.search(name) or not _is_stack(prefix, members[prefix]):
            roles[name] = Role("", None, name)
        else:
            slot, expert = _expert(parts[i + 1 :])
            roles[name] = Role(prefix, int(parts[i]), slot, expert)
    return roles


def _members(split: Mapping[str, Sequence[str]], at: Mapping[str, int | None]) -> Mapping[str, set[str]]:
    """The numbers in each list, by what comes before them."""
    members: defaultdict[str, set[str]] = defaultdict(set)
    for name, i in at.items():
        if i is not None:
            members[".".join(split[name][:i])].add(split[name][i])
    return members


def _layer_at(parts: Sequence[str], numbers: Sequence[int], inner: Set[tuple[str, ...]], outer: Set[str]) -> int | None:
    """Which component of a name is its layer, if any: `inner` are lists inside stages, `outer` stacks of first numbers."""
    if not numbers:
        return None
    whole = ".".join(parts[: numbers[0]]) in outer
    return next(
        (i for i in numbers[1:] if tuple(parts[:i]) in inner or (not whole and _LAYER_WORD.fullmatch(parts[i - 1]))), numbers[0]
    )


def _components(name: str) -> list[str]:
    """The parts of a name between dots; where an adapter has its path as one word (`lora_unet_mid_0_…`), around numbers."""
    head, dot, rest = name.partition(".")
    if not head.startswith("lora_"):
        return name.split(".")
    path = [part.strip("_") for part in _WORD_NUMBER.split(head)]
    return [*(part for part in path if part), *(rest.split(".") if dot else ())]


def _is_stack(prefix: str, indices: set[str]) -> bool:
    """Whether a numbered list is a stack: well-known words always, others with a few members; tables and heads never."""
    word = prefix.rpartition(".")[2]
    if _LAYER_WORD.fullmatch(word):
        return True
    least = _LEAST_MEMBERS if word and not word.isdecimal() else 2
    return len(indices) >= least and side_of(word) == "rest"


def _inner_lists(names: Iterable[tuple[Sequence[str], Sequence[int]]]) -> frozenset[tuple[str, ...]]:
    """Prefixes of numbered lists inside a numbered module, whose members are alike: most of their paths are the same.

    `names` are components and the positions of the numbers among them.
    """
    paths: defaultdict[tuple[str, ...], defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for parts, numbers in names:
        for i in numbers[1:]:
            gap, word = i - numbers[0], parts[i - 1]
            if gap == 1 or word == "transformer_blocks" or (gap == 2 and word in _INNER_WORDS):
                paths[tuple(parts[:i])][parts[i]].add(".".join(parts[i + 1 :]))
                break
    return frozenset(prefix for prefix, members in paths.items() if _alike(list(members.values())))


def _alike(members: Sequence[set[str]]) -> bool:
    """Whether two or more modules share most of their paths, and three at least (two layers of an MLP are no stack)."""
    shared = len(set.intersection(*members))
    return len(members) > 1 and shared > 2 and 2 * shared > min(len(member) for member in members)


def _expert(parts: Sequence[str]) -> tuple[str, int | None]:
    """A slot's path without its expert's number, and that number."""
    for i in range(1, len(parts)):
        if parts[i].isdecimal() and _NUMBER.fullmatch(parts[i]) and _EXPERT_WORD.fullmatch(parts[i - 1].lower()):
            return ".".join([*parts[:i], *parts[i + 1 :]]), int(parts[i])
    return ".".join(parts), None


_ATTENTION: Final = re.compile(r"attn|attention|self_?att|mixer|mamba|ssm|time_mix")
_NORM: Final = re.compile(r"norm|(?:^|_)ln_?[0-9a-z]*(?:$|_)")
_CROSS: Final = re.compile(r"cross|encoder_attn|encdec|attn2|add_[qkv]_proj|to_add_out|txt_attn|context_block\.attn")
"""Attention to something else than the layer's own stream, or of a second stream."""
_MLP: Final = re.compile(
    r"mlp|ffn|feed_?forward|expert|exp_probs|moe|intermediate|channel_mix"
    r"|(?:^|\.)(?:output|fc[0-9]?|ff|ff_context|c_fc|lin[0-9]|w[123]|densereludense)(?:$|\.)"
)
_RANKS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:^|[._])(?:q|wq|query|to_q|q_proj|q_a_proj|q_b_proj|attn_q|attn_q_[ab]|receptance)(?:$|[._])",
        r"(?:^|[._])(?:k|wk|key|to_k|k_proj|kv_a_proj_with_mqa|kv_a_proj|attn_k|attn_kv_a_mqa)(?:$|[._])",
        r"(?:^|[._])(?:v|wv|value|to_v|v_proj|kv_b_proj|attn_v|attn_kv_b|attn_[kv]_b)(?:$|[._])",
        r"qkv|c_attn|query_key_value|in_proj|ssm_in",
        r"(?:^|[._])(?:o|o_proj|out_proj|to_out|to_add_out|attn_output|ssm_out|time_mix_output|attention\.output"
        r"|(?:attn|attention)\.(?:dense|out|proj|c_proj|wo))(?:$|[._])",
        r"router|gate_inp|exp_probs|shared_expert_gate|(?:mlp|moe|feed_forward)\.gate\.",
        r"gate_up|gate_proj|ffn_gate|(?:^|[._])(?:w1|wi_0|input_linear)(?:$|[._])",
        r"up_proj|ffn_up|(?:^|[._])(?:w3|v1|wi|wi_1|fc1|fc_in|c_fc|lin1|dense_h_to_4h|intermediate)(?:$|[._])",
        r"down_proj|ffn_down|(?:^|[._])(?:w2|wo|fc2|fc_out|lin2|dense_4h_to_h|c_proj|output|output_linear)(?:$|[._])",
        r"input_layernorm|(?:^|\.)(?:attn|attention)_norm\.",
        r"post_attention_(?:layer)?norm",
        r"pre_feedforward_layernorm|pre_ff_layernorm|(?:^|\.)ffn_norm\.",
        r"post_feedforward_layernorm|post_ffw_norm",
    )
)
ROUTER: Final = 5
"""The rank of what chooses experts."""


def family(slot: str) -> int:
    """0 attention, 1 cross-attention, 2 MLP, 3 norms and anything else.

    The last word that tells norms from attention decides: `norm_attn_norm.attn.Wqkv` is no norm, `self_attn_layer_norm` is one.
    """
    lower = slot.lower()
    for part in reversed(lower.split(".")):
        if _NORM.search(part):
            return 3
        if _ATTENTION.search(part):
            break
    if _CROSS.search(lower):
        return 1
    if _ATTENTION.search(lower):
        return 0
    return 2 if _MLP.search(lower) else 3


def rank(slot: str) -> int:
    """Where a slot stands in its family: q, k, v, all of them, o; router, gate, up, down; norms as they are applied; others."""
    lower = slot.lower()
    return next((i for i, pattern in enumerate(_RANKS) if pattern.search(lower)), len(_RANKS))


def slot_order(slot: str) -> tuple[int, int, ModuleKey]:
    """Sort key of slots: attention (q, k, v, o), cross-attention, MLP (router, gate, up, down), then norms and the rest."""
    return family(slot), rank(slot), module_order(slot)


_FIRST: Final = re.compile(r"vision|visual|image|audio|feature_extractor|(?:^|[._])(?:vit|vae|v)(?:$|[._])")

_EARLY: Final = re.compile(r"encoder|^enc\.")
_LATE: Final = re.compile(r"decoder|^dec\.|single")


def stack_order(stack: str) -> tuple[int, NaturalKey]:
    """Sort key of stacks from left to right: perception, encoders, others, decoders, extra prediction layers, heads."""
    lower = stack.lower()
    if "mtp" in lower or side_of(lower) == "head":
        return 4, natural(stack)
    if _FIRST.search(lower):
        return 0, natural(stack)
    return (3 if _LATE.search(lower) else 1 if _EARLY.search(lower) else 2), natural(stack)
