"""A number of bytes in, the canvas of their Hilbert curve out: its size, where each byte lies, outlines of ranges.

The curve is the textbook one, y downward, its quadrants visited in the order (0, 0), (0, 1), (1, 1), (1, 0). A canvas is one
square, or two side by side of which the left one comes first; so size and place of every byte are those of arbvis.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from mwv.layout.canvas import Rect

LEAST: Final = 18
"""log2 of the pixels of the smallest canvas: one tile."""
MOST_BYTES: Final = 1 << 40
"""More bytes than that make no canvas that a browser could show."""


class Square(NamedTuple):
    """A square of pixels whose bytes are consecutive, from `first` on."""

    x: int
    y: int
    side: int
    first: int


class Turn(NamedTuple):
    """How the curve of a part lies against the curve of a whole canvas of that size: mirrored in both axes, axes swapped."""

    mirrored: bool
    swapped: bool


@dataclass(frozen=True)
class Curve:
    """The canvas of `length` bytes."""

    length: int

    @property
    def _bits(self) -> int:
        """log2 of the pixels of the canvas: the least from `LEAST` on that has room."""
        return max(LEAST, (self.length - 1).bit_length())

    @property
    def height(self) -> int:
        """Pixels from top to bottom, and the side of a square."""
        return 1 << self._bits // 2

    @property
    def width(self) -> int:
        """Pixels from left to right: the height, or twice that."""
        return 1 << -(-self._bits // 2)

    def point(self, offset: int) -> tuple[int, int]:
        """The pixel (x, y) of a byte."""
        square, rest = divmod(offset, self.height**2)
        x = y = 0
        side = 1
        while side < self.height:
            across = rest >> 1 & 1
            down = (rest ^ across) & 1
            if not down:
                if across:
                    x, y = side - 1 - x, side - 1 - y
                x, y = y, x
            x, y = x + side * across, y + side * down
            rest >>= 2
            side <<= 1
        return x + square * self.height, y

    def offset(self, x: int, y: int) -> int:
        """The byte of a pixel."""
        return self.part(x, y, 1)[0]

    def part(self, x: int, y: int, side: int) -> tuple[int, Turn]:
        """The first byte of the square of a power of two at a multiple of it, and how the curve lies in it."""
        square, x = divmod(x, self.height)
        found = square * self.height**2
        mirrored = swapped = False
        half = self.height >> 1
        while half >= side:
            across, down = x // half & 1, y // half & 1
            found += half * half * ((3 * across) ^ down)
            x, y = x % half, y % half
            if not down:
                if across:
                    x, y = half - side - x, half - side - y
                    mirrored = not mirrored
                x, y = y, x
                swapped = not swapped
            half >>= 1
        return found, Turn(mirrored, swapped)

    def squares(self, begin: int, end: int) -> Iterator[Square]:
        """The largest squares that together are a range of bytes, in order; a side is a power of two."""
        while begin < end:
            size = 1
            while begin % (4 * size) == 0 and begin + 4 * size <= end and 4 * size <= self.height**2:
                size *= 4
            side = 1 << size.bit_length() // 2
            x, y = self.point(begin)
            yield Square(x - x % side, y - y % side, side, begin)
            begin += size


def box(squares: list[Square]) -> Rect:
    """The rectangle around squares."""
    left, top = min(s.x for s in squares), min(s.y for s in squares)
    return Rect(left, top, max(s.x + s.side for s in squares) - left, max(s.y + s.side for s in squares) - top)


def anchor(squares: list[Square]) -> tuple[int, int]:
    """The centre of gravity of squares, in whole pixels."""
    area = sum(s.side**2 for s in squares)
    across, down = (sum((2 * at + s.side) * s.side**2 for at, s in zip(axis, squares, strict=True)) for axis in _axes(squares))
    return across // (2 * area), down // (2 * area)


def _axes(squares: list[Square]) -> tuple[list[int], list[int]]:
    return [s.x for s in squares], [s.y for s in squares]


def outline(squares: list[Square]) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """The border of squares that do not overlap: lines across and lines down, each (x, y, length), in order.

    An edge that two squares have in common is no border: what an odd number of edges cover is.
    """
    across: dict[int, list[int]] = {}
    down: dict[int, list[int]] = {}
    for x, y, side, _ in squares:
        for at, line, from_ in ((y, across, x), (y + side, across, x), (x, down, y), (x + side, down, y)):
            line.setdefault(at, []).extend((from_, from_ + side))
    lines = [(start, y, end - start) for y in sorted(across) for start, end in _odd(across[y])]
    return lines, [(x, start, end - start) for x in sorted(down) for start, end in _odd(down[x])]


def _odd(ends: list[int]) -> Iterator[tuple[int, int]]:
    """What an odd number of intervals cover, given all their ends; those that meet are one."""
    left: list[int] = []
    for end in sorted(ends):
        if left and left[-1] == end:
            left.pop()
        else:
            left.append(end)
    return zip(left[::2], left[1::2], strict=True)
