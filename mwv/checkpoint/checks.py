"""What a header claims in, the same claims proven or a FormatError out: names, shapes, JSON; shared by the readers."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

from mwv.checkpoint.source import Range
from mwv.checkpoint.wording import printable, shown
from mwv.errors import FormatError

MAX_DIMENSIONS: Final = 64
MAX_NAME: Final = 65_536
MAX_ELEMENTS: Final = 2**63 - 1
MAX_TENSORS: Final = 200_000
"""Of one model; the largest known mixtures of experts have about 150,000."""
# Bytes of memory: the text lies there as bytes, as text and as values; each of these costs up to a hundred bytes beside its
# text, which may be but two. MAX_TENSORS tensors of common names stay below this.
MAX_JSON_MEMORY: Final = 420_000_000
_JSON_VALUE: Final = 100
# One character beyond Latin-1 makes Python keep four bytes for each of the others.
MAX_WIDE_JSON: Final = 32_000_000
_LONE_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def check_name(place: str, name: str) -> str:
    """`name` if pages and digests can carry it; any text is legal, but not of any length and not broken Unicode."""
    if len(name) > MAX_NAME:
        raise FormatError(f"{place}: tensor {shown(name)}: its name is longer than {MAX_NAME} characters; the file is damaged")
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise FormatError(f"{place}: tensor {shown(name)}: its name is not valid Unicode; the file is damaged") from None
    return name


def check_shape(place: str, name: str, shape: tuple[int, ...]) -> int:
    """Number of elements of `shape`, whose sizes are proven to be neither negative nor to overflow, nor too many."""
    if len(shape) > MAX_DIMENSIONS:
        raise FormatError(f"{place}: tensor {shown(name)}: {len(shape)} dimensions, at most {MAX_DIMENSIONS} are possible")
    product = 1
    for n in shape:
        if not 0 <= n <= MAX_ELEMENTS:
            raise FormatError(f"{place}: tensor {shown(name)}: a dimension of {printable(str(n), 40)} elements is impossible")
        product *= n
        if product > MAX_ELEMENTS:
            raise FormatError(f"{place}: tensor {shown(name)}: its shape has more elements than 63 bits can count")
    return product


def check_count(place: str, tensors: int) -> None:
    """Raise FormatError for more tensors than any model has, before much is made of each."""
    if tensors > MAX_TENSORS:
        raise FormatError(f"{place}: {tensors} tensors, at most {MAX_TENSORS} can be shown; the file is damaged or no model")


def check_unique(names: Iterable[tuple[str, str]]) -> None:
    """Raise FormatError if a tensor name occurs twice in pairs of (place, tensor name)."""
    seen: dict[str, str] = {}
    for place, name in names:
        if name in seen:
            files = place if seen[name] == place else f"{seen[name]} and {place}"
            raise FormatError(f"{files}: tensor {shown(name)} occurs twice; a model has one tensor of a name")
        seen[name] = place


def check_overlaps(place: str, ranges: Iterable[Range]) -> None:
    """Raise FormatError if two of the ranges share bytes."""
    position, before = 0, ""
    for begin, end, name in sorted(ranges):
        if begin < position:
            raise FormatError(f"{place}: {shown(before)} and {shown(name)} overlap; the file is damaged")
        position, before = end, name


def parse_json(place: str, what: str, raw: bytes) -> Any:
    """The value of JSON text; FormatError for what is not JSON, names a key twice, or would need memory out of proportion."""
    values = sum(raw.count(c) for c in b"[{,:")
    if 3 * len(raw) + _JSON_VALUE * values > MAX_JSON_MEMORY or (len(raw) > MAX_WIDE_JSON and not raw.isascii()):
        raise FormatError(f"{place}: {what} has too many parts ({len(raw)} bytes); the file is damaged or no checkpoint")
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_unique_pairs, parse_float=_finite, parse_constant=str)
        if _LONE_SURROGATE.search(raw):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise FormatError(f"{place}: {what} is nested too deeply; the file is damaged") from None
    except ValueError as error:  # JSONDecodeError, UnicodeError, integers of thousands of digits, a key given twice
        raise FormatError(f"{place}: {what} is not valid JSON ({printable(str(error), 200)}); fetch the file again") from None
    return value


def _finite(text: str) -> float | str:
    """A number; infinite ones stay text, as no JSON could be written of them again."""
    number = float(text)
    return number if math.isfinite(number) else text


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {shown(twice)} occurs twice")
    return result
