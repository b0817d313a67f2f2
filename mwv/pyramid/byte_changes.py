"""The kind of scene that shows how bytes changed: both sides of files beside each other in, what became of each byte out."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from mwv.pyramid import change_kernels as kernels
from mwv.pyramid.byte_content import ByteContent
from mwv.pyramid.byte_kernels import halve
from mwv.pyramid.bytes import Codes, OfPlanes, Planes, Unrolled
from mwv.pyramid.kind import Kind, Target
from mwv.pyramid.plan import BLOCK_LEVEL, STRIP, Window


@dataclass(frozen=True, eq=False)
class Beside:
    """Some rows of pixels in both."""

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
        return ["same", *a[2:]] if a == b else ["both", a, b]

    def samples(self, index: int, band: int, col: int, cols: int) -> Beside:
        """The pixels of 64 rows in both."""
        return Beside(self.a.samples(index, band, col, cols), self.b.samples(index, band, col, cols))

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
        shapes = [(STRIP >> level, width >> level) for level in range(BLOCK_LEVEL + 1)]
        codes = tuple(np.zeros(shape, np.uint8) for shape in shapes)
        sums = tuple(np.zeros((planes, *shape), np.uint32) for shape in shapes[1:])
        return cls(np.full(shapes[0], kernels.NOTHING, np.int16), codes, sums)

    def clear(self) -> None:
        self.deltas.fill(kernels.NOTHING)

    def draw(self, samples: Beside, rows: slice, thick: tuple[int, int], target: Target) -> None:  # noqa: ARG002
        a, b = samples.a, samples.b
        kernels.subtract(a.codes[rows], a.real[rows], b.codes[rows], b.real[rows], self.deltas[target])

    def reduce(self) -> Planes:
        kernels.leaf_codes(self.deltas, self.codes[0])
        kernels.sum_changes(self.deltas, self.planes[0])
        for below, planes in pairwise(self.planes):
            halve(below, planes)
        for planes, codes in zip(self.planes, self.codes[1:], strict=True):
            kernels.change_codes(planes, codes)
        return self.planes[-1]


class _Changes(OfPlanes):
    name = "byte-changes"
    _planes = kernels.PLANES
    _strip = _Strip
    _type = np.uint64  # squares reach 2**16 a byte

    def codes(self, sums: Planes, out: Codes) -> None:
        kernels.change_codes(sums, out)


CHANGES: Final[Kind[Beside, Planes]] = _Changes()
