"""The contract of a kind of scene: samples of windows in, leaf codes, and what overview pixels are made of, out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mwv.pyramid.plan import Window

S = TypeVar("S")
R = TypeVar("R", contravariant=True)
P = TypeVar("P", covariant=True)
Target = tuple[slice, slice]
"""Rows and columns of pixels."""


@dataclass(frozen=True, eq=False)
class Summary(Generic[S]):
    """What a tile of level ≥ 3 leaves for the levels above: sums of its pixels, and how often each code occurs below."""

    sums: S
    counts: NDArray[np.int64]
    """(levels, 256): codes of the tiles of level 0, 1, … up to its own."""


class Strip(Protocol[R, P]):
    """Some pixel rows of a block at a time, on the levels of a block."""

    @property
    def codes(self) -> tuple[NDArray[np.uint8], ...]:
        """By level."""

    def clear(self) -> None:
        """Show nothing."""

    def draw(self, samples: R, rows: slice, thick: tuple[int, int], target: Target) -> None:
        """Draw some rows of samples, each element `thick` pixels high and wide, at these pixels of the leaf."""

    def reduce(self) -> P:
        """Make the overviews' codes from what was drawn; gives the sums of the last level."""


class Kind(Protocol[R, S]):
    """How a kind of scene is drawn (from samples `R`) and reduced (by sums `S`, over a rectangle of pixels)."""

    @property
    def name(self) -> str:
        """What scenes and keys call it."""

    def strip(self, width: int) -> Strip[R, S]:
        """An empty strip of this many leaf pixels across."""

    def empty(self, height: int, width: int) -> S:
        """Sums over nothing."""

    def put(self, part: S, whole: S, y: int, x: int) -> None:
        """Let sums take the place of a part of larger ones, whose corner is pixel (`x`, `y`)."""

    def reduce(self, below: S, whole: S, y: int, x: int) -> None:
        """The same with sums over 2 × 2 pixels of those `below`."""

    def codes(self, sums: S, out: NDArray[np.uint8]) -> None:
        """Codes of overview pixels."""

    def pack(self, summary: Summary[S]) -> bytes:
        """The body of a cached blob."""

    def unpack(self, body: bytes) -> Summary[S] | None:
        """The summary that was packed, or None if the body is not one."""


class Content(Protocol):
    """What a scene shows, window by window. Safe from several threads."""

    def content(self, window: Window) -> list[object]:
        """All that the pixels of a window with a tensor depend on, and where they lie; for keys."""

    def samples(self, index: int, band: int, col: int, cols: int) -> Any:
        """Samples of all grid rows of a band of a placement, from a column on; None for a missing tensor."""

    def expect(self, bands: Iterable[tuple[int, int]]) -> None:
        """Take note of which (placement, band) samples are going to be asked for."""

    def release(self, index: int, band: int) -> None:
        """Let go of a band that nobody is going to draw again."""


Read = Callable[[int, int, int, int], Any]
"""`Content.samples`."""
