"""A changed file of known meaning in, the facts that matter out, before and after: configuration, tokenizer, model card."""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

from mwv.checkpoint.wording import counted
from mwv.files.compare import CardDiff, FileDiff
from mwv.files.lines import TextDiff, compare_texts
from mwv.files.structure import Change, JsonDiff, Path, spelt

TITLES: Final = {
    "config.json": "Configuration",
    "model_index.json": "Pipeline",
    "adapter_config.json": "Adapter",
    "generation_config.json": "Generation",
    "tokenizer.json": "Tokenizer",
    "tokenizer_config.json": "Tokenizer’s settings",
    "README.md": "Model card",
}
"""What a file of this name is about, in the order in which a reader wants it."""
_FIRST: Final = (
    *("architectures", "model_type", "base_model", "license", "num_hidden_layers", "hidden_size", "intermediate_size"),
    *("num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size", "max_position_embeddings", "rope_theta"),
    *("rope_scaling", "rope_parameters", "sliding_window", "num_local_experts", "num_experts", "num_experts_per_tok"),
    *("quantization_config", "tie_word_embeddings", "dtype", "torch_dtype", "tokenizer_class", "chat_template"),
    *("model_max_length", "bos_token", "eos_token", "pad_token", "bos_token_id", "eos_token_id", "pad_token_id"),
    *("base_model_relation", "pipeline_tag", "library_name", "language", "datasets", "tags"),
)
"""Keys whose values matter most, in this order."""
_RANK: Final = {key: rank for rank, key in enumerate(_FIRST)}
_PARTS: Final = {
    "normalizer": "Normalizer",
    "pre_tokenizer": "Pre-tokenizer",
    "post_processor": "Post-processor",
    "decoder": "Decoder",
}
_NAMED: Final = 5
"""Tokens that are named, of many."""
_PROSE: Final = 1_000_000
"""Characters of a text whose lines are compared."""
_LONGEST: Final = 120
"""Characters of a value."""


class Fact(NamedTuple):
    """What changed, in words; empty where there is nothing."""

    label: str
    before: str
    after: str


def facts(diff: FileDiff) -> list[Fact]:
    """What sets two files apart, what matters most first; nothing for files of unknown meaning, or that are no JSON."""
    name = PurePosixPath(diff.path).name
    if isinstance(diff.detail, CardDiff):
        text = [Fact("Text", *_counted(diff.detail.text))] if diff.detail.text.gaps else []
        return [*_changes(diff.detail.front), *text]
    if name not in TITLES or not isinstance(diff.detail, JsonDiff):
        return []
    return _tokenizer(diff.detail) if name == "tokenizer.json" else _changes(diff.detail)


def brief(value: Any, longest: int = _LONGEST) -> str:
    """JSON of a value, cut after so many characters; of an object or array that does not fit, also how many entries it has."""
    text = ""
    # Piece by piece, so that of a large value no more is written than is shown.
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
        text += piece[: longest + 1]
        if len(text) > longest:
            size = f" ({len(value):,} entries)" if isinstance(value, dict | list) else f" ({len(str(value)):,} characters)"
            return text[:longest] + "…" + size
    return text


def _changes(diff: JsonDiff) -> list[Fact]:
    ranked = sorted(diff.changes, key=lambda change: min(_RANK.get(str(key), len(_RANK)) for key in _path(change) or ("",)))
    return [Fact(_label(change), *_plainly(change)) for change in ranked]


def _plainly(change: Change) -> tuple[str, str]:
    """What was and what is, strings without quotes unless the other side is no string; of long texts how many lines differ."""
    texts = [value for path, value in ((change.a, change.before), (change.b, change.after)) if path is not None]
    if not all(isinstance(text, str) and len(text) <= _PROSE for text in texts):
        return sides(change)
    if len(texts) == 2 and change.kind == "changed" and any("\n" in text for text in texts):
        return _counted(compare_texts(*texts))
    before, after = ("" if text is None else _short(text) or '""' for text in (change.before, change.after))
    return before, after


def _counted(text: TextDiff) -> tuple[str, str]:
    """How many lines came and went; it is told of both sides together."""
    told = [f"{counted(n, 'line')} {how}" for n, how in ((text.removed, "removed"), (text.added, "added")) if n]
    return ", ".join(told), ", ".join(told)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"


def sides(change: Change, longest: int = _LONGEST) -> tuple[str, str]:
    """What was and what is; empty where there was nothing."""
    before = "" if change.a is None else brief(change.before, longest)
    return before, "" if change.b is None else brief(change.after, longest)


def _path(change: Change) -> Path:
    path = change.a if change.b is None else change.b
    assert path is not None
    return path


def _label(change: Change) -> str:
    if change.kind in ("moved", "renamed") and change.a is not None and change.b is not None:
        return f"{spelt(change.a)} → {spelt(change.b)}"
    return spelt(_path(change)) or "all"


def _tokenizer(diff: JsonDiff) -> list[Fact]:
    before, after = _told(diff.a), _told(diff.b)
    found = [Fact(label, before[label], after[label]) for label in before if before[label] != after[label]]
    old, new = _tokens(diff.a), _tokens(diff.b)
    lost, gained = [t for t in old if t not in new], [t for t in new if t not in old]
    moved = sum(new[token] != number for token, number in old.items() if token in new)
    if lost or gained:
        found.append(Fact("Tokens on one side alone", _listed(lost), _listed(gained)))
    if moved:
        found.append(Fact("Tokens with another number", f"{moved:,}", f"{moved:,}"))
    if not found:
        found = _changes(diff)
    return found


def _told(value: Any) -> dict[str, str]:
    """Facts about a tokenizer; all labels are there, whatever the file holds."""
    top = value if isinstance(value, dict) else {}
    model = top["model"] if isinstance(top.get("model"), dict) else {}
    return {
        "Type": str(model.get("type", "")),
        "Vocabulary": _count(model.get("vocab")),
        "Merges": _count(model.get("merges")),
        "Added tokens": _count(top.get("added_tokens")),
        **{label: _kind(top.get(part)) for part, label in _PARTS.items()},
    }


def _count(value: Any) -> str:
    return f"{len(value):,}" if isinstance(value, dict | list) else ""


def _kind(value: Any) -> str:
    """The type of a part of a tokenizer, of a sequence those of its members."""
    if not isinstance(value, dict):
        return ""
    kind = str(value.get("type", ""))
    members = next((value[k] for k in ("normalizers", "pretokenizers", "processors", "decoders") if k in value), None)
    if kind == "Sequence" and isinstance(members, list):
        return ", ".join(str(member.get("type", "")) for member in members if isinstance(member, dict))[:_LONGEST]
    return kind[:_LONGEST]


def _tokens(value: Any) -> Mapping[str, Any]:
    """The number of each token, added ones included."""
    top = value if isinstance(value, dict) else {}
    model = top["model"] if isinstance(top.get("model"), dict) else {}
    vocab, added = model.get("vocab"), top.get("added_tokens")
    tokens: dict[str, Any] = {}
    if isinstance(vocab, dict):
        tokens.update(vocab)
    elif isinstance(vocab, list):
        tokens.update((pair[0], i) for i, pair in enumerate(vocab) if isinstance(pair, list) and pair and type(pair[0]) is str)
    for one in added if isinstance(added, list) else ():
        if isinstance(one, dict) and isinstance(one.get("content"), str):
            tokens[one["content"]] = one.get("id")
    return tokens


def _listed(tokens: Sequence[str]) -> str:
    if not tokens:
        return "none"
    named = ", ".join(token[:40] for token in tokens[:_NAMED])
    return f"{len(tokens):,}: {named}{', …' if len(tokens) > _NAMED else ''}"
