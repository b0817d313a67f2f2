"""Pairs of files and how they lie beside each other in, each side as a Stream out that has holes where it has nothing."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mwv.checkpoint.source import Content, Range, Source
from mwv.checkpoint.stream import Found, Part, Stream, open_or_note
from mwv.checkpoint.wording import printable
from mwv.files.stretches import Stretches
from mwv.hub.terms import Reconstruction


class _Absent:
    """A file that a side has not: a Source without bytes."""

    name = place = ""
    size = 0
    identity = Content("nothing")

    def read(self, offset: int, length: int) -> bytes:  # noqa: ARG002
        """Nothing."""
        return b""

    def expect(self, ranges: Iterable[Range]) -> None:
        """Nothing is read."""

    def reconstruction(self, begin: int, end: int) -> Reconstruction | None:  # noqa: ARG002
        """None: it lies nowhere."""
        return None

    def check_unchanged(self) -> None:
        """It never changes."""

    def close(self) -> None:
        """It holds nothing."""


ABSENT: Final = _Absent()
"""The side of a pair that is not there."""


class OpenPair(NamedTuple):
    """Two files, not both `ABSENT`."""

    name: str
    """What pages call them."""
    a: Source
    b: Source

    @property
    def present(self) -> tuple[Source, ...]:
        """Those that are there."""
        return tuple(source for source in (self.a, self.b) if source is not ABSENT)

    @property
    def known_equal(self) -> bool:
        """Whether they are equal without a look at their bytes."""
        return self.a.identity is not None and self.a.identity == self.b.identity


def open_pair(path: str, a: Found | None, b: Found | None, called: tuple[str, str], notes: list[str]) -> OpenPair | None:
    """Open files of one path; one that cannot be opened or is empty is absent, with a note under its name among `called`.

    None if nothing is left.
    """
    first, second = (
        ABSENT if found is None else open_or_note(found, name, notes) or ABSENT
        for found, name in zip((a, b), called, strict=True)
    )
    return None if first is ABSENT and second is ABSENT else OpenPair(printable(path), first, second)


class _Pieces(NamedTuple):
    """The stretches of a file of one side, one for each in each column."""

    ends: list[int]
    """Where they end, beside the other side's."""
    starts: NDArray[np.int64]
    """Where they begin in the file."""
    there: NDArray[np.bool_]


@dataclass(frozen=True)
class Side(Stream):
    """The files of side 0 or 1, one after the other, with holes where only the other side has bytes."""

    which: int = 0
    laid: Sequence[Stretches] = ()
    """How each of its files lies beside the other side's."""

    @property
    def form(self) -> str:
        """Digest of how the files lie."""
        hashed = blake3(bytes([self.which]))
        for one in self.laid:
            hashed.update(one.to_bytes())
        return hashed.hexdigest()

    @property
    def lengths(self) -> list[int]:
        """What each pair of files takes up."""
        return [one.length for one in self.laid]

    @cached_property
    def _pieces(self) -> list[_Pieces]:
        return [_Pieces(np.cumsum(one.lengths).tolist(), one.starts(self.which), one.there(self.which)) for one in self.laid]

    def parts(self, begin: int, end: int) -> Iterator[Part]:
        """What a range is made of, holes included; neighbouring bytes of a file are one part."""
        held: Part | None = None
        for file, first, last, _ in super().parts(begin, end):
            for part in self._within(file, first, last):
                if held is not None and (held.file, held.end, held.there) == (part.file, part.begin, part.there):
                    held = held._replace(end=part.end)
                    continue
                if held is not None:
                    yield held
                held = part
        if held is not None:
            yield held

    def _within(self, file: int, begin: int, end: int) -> Iterator[Part]:
        """The same of places of one file, a part for each stretch; a hole lies before the byte that comes next."""
        ends, starts, there = self._pieces[file]
        at = bisect_right(ends, begin)
        while begin < end:
            first = ends[at - 1] if at else 0
            last = min(end, ends[at])
            from_ = int(starts[at]) + (begin - first if there[at] else 0)
            yield Part(file, from_, from_ + last - begin, bool(there[at]))
            begin, at = last, at + 1
