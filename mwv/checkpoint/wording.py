"""Names as files and users give them, and numbers of things, in; text for one line of a message out."""

from collections.abc import Sequence


def printable(text: str, longest: int = 1000) -> str:
    """`text` on one line: control characters escaped, cut in the middle beyond `longest` characters."""
    if len(text) > longest:
        text = f"{text[: longest // 2]} … {text[-longest // 2 :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)


def shown(name: str) -> str:
    """A tensor's name as messages quote it."""
    return f"'{printable(name, 200)}'"


def plural(count: int) -> str:
    """What a noun ends in after a number of things."""
    return "" if count == 1 else "s"


def counted(count: int, noun: str) -> str:
    """A number of things, such as 1 tensor or 2,000 tensors."""
    return f"{count:,} {noun}{plural(count)}"


def listed(names: Sequence[str], most: int) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
