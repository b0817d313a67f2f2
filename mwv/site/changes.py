"""A model of a site as it was and as it is in, why it changed out, in words for the user."""

from collections.abc import Callable
from typing import Any

from mwv.checkpoint.wording import counted
from mwv.errors import SiteError
from mwv.site.data import parse
from mwv.site.manifest import ModelEntry


def reasons(old: ModelEntry, new: ModelEntry, read: Callable[[str], bytes]) -> list[str]:
    """Why a model is not what it was; `read` gives the files of the site, old and new."""
    found = []
    same_options = old.options == new.options
    if old.digest != new.digest and (count := _weights(old, new, read, same_options)):
        found.append(f"weights of {counted(count, 'tensor')}")
    if not same_options:
        found.append("options")
    return found or ["configuration, or the version of mwv"]


def _weights(old: ModelEntry, new: ModelEntry, read: Callable[[str], bytes], all_shown: bool) -> int:
    """How many tensors hold something else, came or went; options may show fewer, so then only those in both count."""
    before, after = _tensors(old, read), _tensors(new, read)
    changed = sum(before[name] != after[name] for name in before.keys() & after.keys())
    return changed + (len(before.keys() ^ after.keys()) if all_shown else 0)


def _tensors(entry: ModelEntry, read: Callable[[str], bytes]) -> dict[str, tuple[Any, ...]]:
    """What tells the content of each tensor, by name; nothing if the model's data is damaged."""
    try:
        table = parse(read(f"{entry.slug}/{entry.scenes[0]}"), "scene")["tensors"]
        return {name: (table["digest"][i], table["shapes"][table["shape"][i]]) for i, name in enumerate(table["name"])}
    except (SiteError, ValueError, LookupError, TypeError):
        return {}
