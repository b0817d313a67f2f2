"""A model's folder in, what its model card says at its head out, and whether that makes it a finetune of another."""

from collections.abc import Mapping
from typing import Any, Final

from mwv.checkpoint.folder import Folder
from mwv.errors import UNUSABLE
from mwv.files.parse import front_matter

_NAME: Final = "README.md"
_LONGEST: Final = 64 << 10
"""Bytes of a card that are read; its head is short."""


def read_card(folder: Folder) -> Mapping[str, Any]:
    """The fields of the card's head; none if there is no card, or none that can be read."""
    if not folder.has(_NAME):
        return {}
    try:
        source = folder.open(_NAME)
        try:
            text = source.read(0, min(source.size, _LONGEST)).decode("utf-8", "replace")
        finally:
            source.close()
    except UNUSABLE:
        return {}
    return front_matter(text)[0]


def is_finetune_of(card: Mapping[str, Any], base: str) -> bool:
    """Whether a card says that its model is a finetune of `base`, a repository or the name of a folder."""
    named = card.get("base_model")
    names = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    relation = card.get("base_model_relation") or "finetune"
    wanted = base.casefold()
    told = {name.casefold() for name in names if isinstance(name, str)}
    return relation == "finetune" and any(wanted in (name, name.rpartition("/")[2]) for name in told)
