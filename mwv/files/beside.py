"""Files of two sides and how they lie beside each other in, each side as a Stream out that has holes where it has nothing."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mwv.checkpoint.source import Content, Range
from mwv.checkpoint.stream import Part, Stream
from mwv.files.stretches import ONLY_A, ONLY_B, Stretches
from mwv.hub.terms import Reconstruction


class Absent:
    """A file that a side has not: no bytes."""

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
    def _pieces(self) -> list[tuple[list[int], NDArray[np.int64], NDArray[np.bool_]]]:
        """Of each file where its stretches end, beside the other's; where they begin in it; and whether it has them."""
        alone = (ONLY_B, ONLY_A)[self.which]
        return [(np.cumsum(one.lengths).tolist(), one.starts(self.which), one.kinds != alone) for one in self.laid]

    def parts(self, begin: int, end: int) -> Iterator[Part]:
        """What a range is made of, holes included; neighbouring bytes of a file are one part."""
        held: Part | None = None
        for file, first, last, _ in super().parts(begin, end):
            for part in self._within(file, first, last):
                if held is not None and held.file == part.file and held.there == part.there and held.end == part.begin:
                    held = held._replace(end=part.end)
                    continue
                if held is not None:
                    yield held
                held = part
        if held is not None:
            yield held

    def _within(self, file: int, begin: int, end: int) -> Iterator[Part]:
        ends, starts, there = self._pieces[file]
        at = bisect_right(ends, begin)
        while begin < end:
            first = ends[at - 1] if at else 0
            last = min(end, ends[at])
            from_ = int(starts[at]) + (begin - first if there[at] else 0)
            yield Part(file, from_, from_ + last - begin, bool(there[at]))
            begin, at = last, at + 1
