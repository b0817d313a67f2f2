"""The kind of scene that shows how bytes changed: both sides of files beside each other in, what became of each byte out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from mwv.pyramid import change_kernels as kernels
from mwv.pyramid.byte_content import ByteContent
from mwv.pyramid.bytes import Codes, OfPlanes, Planes, Unrolled, reduce_strip, strip_of
from mwv.pyramid.kind import Kind, Target
from mwv.pyramid.plan import STRIP, Window


@dataclass(frozen=True, eq=False)
class BothUnrolled:
    """Some rows of pixels on both sides."""

    a: Unrolled
    b: Unrolled


@dataclass(frozen=True, eq=False)
class BothContent:
    """The content of a scene of changes, from that of both sides."""

    a: ByteContent
    b: ByteContent

    def content(self, window: Window) -> list[object]:
        """What both sides say of a window; of equal bytes only where they lie, whichever they are."""
        a, b = self.a.content(window), self.b.content(window)
        _, _, *where = a
        return ["same", *where] if a == b else ["both", a, b]

    def samples(self, index: int, band: int, col: int, cols: int) -> BothUnrolled:
        """The pixels of 64 rows in both."""
        return BothUnrolled(self.a.samples(index, band, col, cols), self.b.samples(index, band, col, cols))

    def expect(self, bands: Iterable[tuple[int, int]]) -> None:
        """Tell the files of both."""
        bands = list(bands)
        self.a.expect(bands)
        self.b.expect(bands)

    def release(self, index: int, band: int) -> None:
        """Nothing: the sides let go of what they hold by themselves."""


@dataclass(frozen=True, eq=False)
class _Strip:
    deltas: kernels.Deltas
    codes: tuple[Codes, ...]
    """By level."""
    planes: tuple[Planes, ...]
    """By level from 1 on."""

    @classmethod
    def of_width(cls, width: int, planes: int) -> "_Strip":
        return cls(np.full((STRIP, width), kernels.NOTHING, np.int16), *strip_of(width, planes))

    def clear(self) -> None:
        self.deltas.fill(kernels.NOTHING)

    def draw(self, samples: BothUnrolled, rows: slice, thick: tuple[int, int], target: Target) -> None:  # noqa: ARG002
        a, b = samples.a, samples.b
        kernels.subtract(a.codes[rows], a.real[rows], b.codes[rows], b.real[rows], self.deltas[target])

    def reduce(self) -> Planes:
        kernels.leaf_codes(self.deltas, self.codes[0])
        kernels.sum_changes(self.deltas, self.planes[0])
        return reduce_strip(self.planes, self.codes[1:], kernels.change_codes)


class _Changes(OfPlanes):
    name = "byte-changes"
    _planes = kernels.PLANES
    _strip = _Strip
    _type = np.uint64  # squares reach 2**16 a byte

    def codes(self, sums: Planes, out: Codes) -> None:
        kernels.change_codes(sums, out)


CHANGES: Final[Kind[BothUnrolled, Planes]] = _Changes()
