"""A model's own data files in, its pages out. Pages come from nothing else, so they can be made again without sources."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import TemplateError

from mwv.checkpoint.checks import MAX_ELEMENTS
from mwv.errors import SiteError
from mwv.site.data import parse
from mwv.site.files_page import files_page
from mwv.site.manifest import ModelEntry
from mwv.site.templates import Templates

FIRST_ROWS: Final = 200
"""Rows of the tensor table that the model's page itself holds, for readers without JavaScript."""
_FACT_LABELS: Final = {
    "model_type": "Type",
    "num_hidden_layers": "Layers",
    "hidden_size": "Hidden size",
    "intermediate_size": "MLP size",
    "num_attention_heads": "Attention heads",
    "decoder_attention_heads": "Decoder’s attention heads",
    "num_key_value_heads": "Key/value heads",
    "head_dim": "Head size",
    "vocab_size": "Vocabulary",
    "max_position_embeddings": "Context length",
    "num_local_experts": "Experts",
    "num_experts_per_tok": "Experts per token",
    "tie_word_embeddings": "Tied embeddings",
    "torch_dtype": "Trained as",
    "base_model": "Base model",
    "lora_rank": "LoRA rank",
    "lora_alpha": "LoRA alpha",
}
_TEXTS: Final = ("title", "architecture", "format", "source")
_COUNTS: Final = ("parameters", "tensors", "bytes")
"""Fields of a model's record that its pages show as text, and as numbers."""


@dataclass(frozen=True)
class Change:
    """How far a tensor differs; of one of several panels that which differs most. None for what there is not."""

    share: float | None
    """Of the elements; None where only one side has it."""
    relative: float | None
    snr: float | None
    match: str
    """Why the two belong together, and what each side calls it where that differs; empty where only one has it."""


@dataclass(frozen=True)
class TableRow:
    """One tensor in a plain table."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    rms: float | None
    minimum: float | None
    maximum: float | None
    odd: int
    """NaN and infinite elements."""
    note: str
    change: Change | None
    """In a difference, of which the numbers above are, too."""


@dataclass(frozen=True)
class ModelPage:
    """The context of `model.html`."""

    entry: ModelEntry
    record: Mapping[str, Any]
    facts: Sequence[tuple[str, str]]
    metadata: Sequence[tuple[str, str]]
    rows: Sequence[TableRow]
    archives: bool
    """Whether tiles come from PMTiles archives, which need http."""
    tiles: str
    """Where they are, if elsewhere than in the site."""
    others: Mapping[str, Any] | None
    """How other files of two folders differ, where they are compared."""


@dataclass(frozen=True)
class TensorsPage:
    """The context of `tensors.html`."""

    record: Mapping[str, Any]
    rows: Sequence[TableRow]


def _table(scenes: Sequence[Mapping[str, Any]]) -> list[TableRow]:
    """The tensor table of a model; all its scenes carry the same one. A tensor of several panels shows their extremes."""
    if not scenes:
        return []
    tensors, placed = scenes[0]["tensors"], scenes[0]["placements"]
    difference = scenes[0].get("difference")
    of_tensor: dict[int, list[int]] = {}
    for index, tensor in enumerate(placed["tensor"]):
        of_tensor.setdefault(tensor, []).append(index)
    rows = []
    for index, name in enumerate(tensors["name"]):
        panels = of_tensor.get(index, [])
        rms, low, high = (
            [float(placed[name][p]) for p in panels if placed[name][p] is not None] for name in ("rms", "minimum", "maximum")
        )
        rows.append(
            TableRow(
                name=name,
                dtype=tensors["dtypes"][tensors["dtype"][index]],
                shape=tuple(tensors["shapes"][tensors["shape"][index]]),
                nbytes=_count(tensors["bytes"][index]),
                # Panels are of equal size, so the whole has the root of the mean of their squares.
                rms=(sum(x * x for x in rms) / len(rms)) ** 0.5 if rms else None,
                minimum=min(low, default=None),
                maximum=max(high, default=None),
                odd=sum(_count(placed[kind].get(str(p), 0)) for p in panels for kind in ("nan", "inf")),
                note=tensors["notes"].get(str(index), ""),
                change=None if difference is None else _change(difference, panels),
            )
        )
    return rows


def _change(difference: Mapping[str, Any], panels: Sequence[int]) -> Change:
    columns = difference["columns"]
    share, relative, snr = (
        [float(columns[name][p]) for p in panels if columns[name][p] is not None] for name in ("share", "relative", "snr")
    )
    how, names = next(((difference["how"][p], difference["names"].get(str(p), ())) for p in panels), ("", ()))
    match = ": ".join(filter(None, (how, " → ".join(names))))
    return Change(max(share, default=None), max(relative, default=None), min(snr, default=None), match)


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Configuration with readable labels, in the order of the labels, then the rest by name."""
    order = {name: place for place, name in enumerate(_FACT_LABELS)}
    names = sorted(facts, key=lambda name: (order.get(name, len(order)), name))
    return [(_FACT_LABELS.get(name, name), _fact(facts[name])) for name in names if facts[name] is not None]


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_fact, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _context(page: ModelPage | TensorsPage) -> dict[str, Any]:
    """The fields of a page by name, its records left as they are."""
    return {name: getattr(page, name) for name in page.__dataclass_fields__}


def pages_of(
    templates: Templates, entry: ModelEntry, folder: str, read: Callable[[str], bytes], tiles: str = ""
) -> tuple[bytes, ...]:
    """A model's page, its table, and the page of other files if there is one, from the files of its folder.

    Raises SiteError if they are not what we wrote.

    `tiles` is the address of the folder that tiles lie in, where they are not in the site.
    """
    try:
        record = _checked(parse(read(entry.model), "model"))
        scenes = [parse(read(name), "scene") for name in entry.scenes]
        others = json.loads(read(entry.others)) if entry.others else None
        pages = model_page(templates, entry, record, scenes, tiles, others), tensors_page(templates, record, scenes)
        if others is None:
            return pages
        return *pages, files_page(templates, record["title"], (entry.compares[0], entry.compares[1]), others)
    except (TemplateError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise SiteError(f"{folder}: its data is damaged; build the model again") from None


def _checked(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """`record` if templates can take it: one that fails while it is filled would say so in its own words."""
    texts = (*(record[name] for name in _TEXTS), *record["notes"], record["date"] or "")
    if not all(type(text) is str for text in texts):
        raise TypeError
    if not record.get("page", "https://").startswith(("https://", "http://")):
        raise ValueError
    list(map(_count, (*(record[name] for name in _COUNTS), *record["dtypes"].values())))
    return record


def _count(value: Any) -> int:
    """`value` if it is a count of something that there can be."""
    if type(value) is not int or not 0 <= value <= MAX_ELEMENTS:
        raise TypeError
    return value


def model_page(
    templates: Templates,
    entry: ModelEntry,
    record: Mapping[str, Any],
    scenes: Sequence[Mapping[str, Any]],
    tiles: str = "",
    others: Mapping[str, Any] | None = None,
) -> bytes:
    """`<slug>/index.html`; `tiles` as for `pages_of`."""
    page = ModelPage(
        entry=entry,
        record=record,
        facts=_facts(record["facts"]),
        metadata=sorted((key, str(value)) for key, value in record["metadata"].items()),
        rows=_table(scenes)[:FIRST_ROWS],
        archives=entry.tile_mode == "pmtiles",
        tiles=tiles,
        others=others,
    )
    return templates.render("model.html", "../", _context(page))


def tensors_page(templates: Templates, record: Mapping[str, Any], scenes: Sequence[Mapping[str, Any]]) -> bytes:
    """`<slug>/tensors.html`: the whole table, readable without JavaScript."""
    return templates.render("tensors.html", "../", _context(TensorsPage(record, _table(scenes))))
