"""Names and numbers as they are found in, text that is safe and pleasant to show out."""

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

# Control characters, line separators, marks that change the direction of text, lone surrogates, invisible joiners.
_INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
_RESERVED: Final = {"assets", "tiles"}
_WIDEST: Final = 200
"""Characters of a column of a table; one long name must not fill all other rows with spaces."""
SLUG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def visible(text: str) -> str:
    """`text` with every character that cannot be seen, or that rearranges others, written as ⟨U+…⟩."""
    return _INVISIBLE.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def slugify(text: str) -> str:
    """A folder name of lower-case letters, digits, dots, dashes and underscores made from any text."""
    slug = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:80].rstrip("-._") or "model"
    if slug in _RESERVED:
        return f"{slug}-model"
    return slug if is_slug(slug) else "-".join(slug.rsplit(".", 1))  # of a page of bytes: "config.json"


def is_slug(text: str) -> bool:
    """Whether `text` can be the name of a model's folder."""
    return SLUG.fullmatch(text) is not None and text not in _RESERVED and not text.endswith((".html", ".json", ".txt"))


def size(count: int) -> str:
    """Bytes in binary units, three digits."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if value < 999.5 or unit == "PiB":
            break
        value /= 1024
    return f"{count} B" if unit == "B" else f"{value:.3g} {unit}"


def amount(count: int) -> str:
    """A number of things in short: 135 M, 1.24 B."""
    value, unit = float(count), ""
    for unit in ("", "K", "M", "B", "T"):
        if value < 999.5 or unit == "T":
            break
        value /= 1000
    return str(count) if not unit else f"{value:.3g} {unit}"


def thousands(count: int) -> str:
    """A whole number with thin spaces between groups of three digits."""
    return f"{count:,}".replace(",", "\u202f")


def shape(sizes: tuple[int, ...]) -> str:
    """A tensor's shape: 768 × 3072, or scalar."""
    return " × ".join(map(str, sizes)) if sizes else "scalar"


def number(value: float | None) -> str:
    """A measured number to four digits."""
    return "–" if value is None else f"{value:.4g}"


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: numbers finite, keys text, anything unknown as its text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def canonical(value: Any) -> str:
    """JSON of one form: keys sorted, no spaces, ASCII alone (so U+2028 and lone surrogates are escapes), null for NaN."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except ValueError:  # rare, and looking at every number first takes longer than writing them
        return canonical(plain(value))


def aligned(rows: Sequence[Sequence[str]], left: Collection[int]) -> Iterator[str]:
    """Rows as text, columns aligned: those of the numbers `left` to the left; a last one without cells loses its head."""
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    if not any(row[last] for row in rows[1:]):
        rows = [(*row[:last], "") for row in rows]
    for row in rows:
        cells = (
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
