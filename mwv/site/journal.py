"""Paths that a build or a publication is about to make or delete in, the text of a journal out, and back.

Who is killed on the way leaves it, and so what no manifest names is known to be ours.
"""

from collections.abc import Iterable
from typing import Final

from mwv.site.manifest import is_ours

JOURNAL: Final = ".mwv-build/journal"
"""Its path in a site."""
_HEAD: Final = "mwv-journal 1"


def encode_journal(paths: Iterable[str]) -> bytes:
    """The text of a journal; paths may be added at its end, a line each."""
    return "".join(f"{line}\n" for line in (_HEAD, *sorted(paths))).encode("ascii")


def decode_journal(content: bytes) -> frozenset[str] | None:
    """The paths in a journal, none that cannot be ours; None for what is no journal."""
    # What follows the last line end was cut off by a kill: no name that can be trusted, and nothing made yet.
    *lines, _ = content.decode("utf-8", errors="replace").split("\n")
    return frozenset(filter(is_ours, lines[1:])) if lines[:1] == [_HEAD] else None
