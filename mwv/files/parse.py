"""Bytes of a JSON or JSONL file, or of a model card's front matter, in; plain values out, of bounded number and depth."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from mwv.errors import FormatError

DEEPEST: Final = 200
"""Objects and arrays in one another."""
MOST_VALUES: Final = 4_000_000
LONGEST_CARD: Final = 128 << 10
"""Characters of front matter; real ones have a few thousand, and YAML is read slowly."""
_FRONT: Final = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)(?:^|\n)---[ \t]*(?:\r?\n|$)", re.DOTALL)


def parse_json(data: bytes) -> Any:
    """A JSON text as Python values; NaN and infinities are taken, of equal keys all are kept. FormatError if it is none."""
    # An upper bound for the number of values, before there is anything in memory for each.
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise FormatError(f"more than {MOST_VALUES:,} values")
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_object)
    except RecursionError:
        raise FormatError("nested too deeply") from None
    except ValueError as error:
        raise FormatError(f"not JSON: {error}") from None
    if _depth_exceeds(value):
        raise FormatError("nested too deeply")
    return value


def parse_lines(data: bytes) -> list[Any]:
    """A value for each line of a JSONL text; empty lines do not count."""
    return [parse_json(line) for line in data.splitlines() if line.strip()]


def front_matter(text: str) -> tuple[dict[str, Any], str]:
    """What a model card says in YAML at its beginning, each value as it is written, and the text after it.

    YAML that is broken, very long, nested deeply, or repeats itself by aliases, counts as text.
    """
    match = _FRONT.match(text)
    if match is None or match.end() > LONGEST_CARD:
        return {}, text
    import yaml

    try:
        depth = 0
        # Event by event, since the time that the scanner takes grows with the square of the depth.
        for event in yaml.parse(match[1], Loader=yaml.BaseLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                return {}, text
        # Only strings, lists and mappings: nothing is constructed, and `no` stays what it is.
        value = yaml.load(match[1], Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError):
        return {}, text
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return {}, text
    return value, text[match.end() :]


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which a key that occurs again is told by a number."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    # Names that the file gives itself are left alone.
    taken, counts, result = set(found), Counter[str](), {}
    for key, value in pairs:
        counts[key] += 1
        name = key
        while counts[key] > 1 and (name := f"{key} ({counts[key]})") in taken:
            counts[key] += 1
        taken.add(name)
        result[name] = value
    return result


def _depth_exceeds(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [
            item
            for node in level
            if isinstance(node, dict | list)
            for item in (node.values() if isinstance(node, dict) else node)
            if isinstance(item, dict | list)
        ]
        if not level:
            return False
    return True
