"""Shapes of tensors in, two-dimensional Grids out: how elements lie in rows and columns of pixels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Final

THICK: Final = 8
"""Pixels that a vector is drawn thick, and a scalar in both axes."""
FOLD_LONG: Final = 32_768
FOLD_SHORT: Final = 8
FOLD_ROW: Final = 4096
"""A grid longer than FOLD_LONG and thinner than FOLD_SHORT is folded into rows of FOLD_ROW elements."""
MAX_KERNEL: Final = 64
"""Four axes with a larger last two are no convolution."""
MAX_PANELS: Final = 4096
"""More panels than that are no experts."""
_ALL_EXPERTS: Final = re.compile(r"(?:^|\.)experts\.(?![0-9])")
BAND: Final = 64
"""Storage rows in a band; panels hold whole bands."""
WIDEST: Final = 65_536
"""A wider grid is cut into parts, one under the other. Of three axes and more, the last one makes the columns where all but the
first would make such a grid, or one to fold."""
LONGEST_ROW: Final = 1 << 20
"""A grid with longer rows is folded like a vector, so that a band of 64 rows stays small."""
CELL: Final = 64
"""Slots start on multiples of this, and bands therefore at rows of pixels that are such."""
GAP: Final = 8
"""Least distance between two pieces. Panels of one tensor stand just so far apart, so that they are seen to belong together."""


def up(size: int, unit: int = CELL) -> int:
    """The next multiple of `unit` that leaves a gap after `size` pixels."""
    return -(-(size + GAP) // unit) * unit


@dataclass(frozen=True)
class Piece:
    """A window of a grid, `rows` × `cols` elements from element (`row`, `col`), drawn with its corner at pixel (`x`, `y`)."""

    x: int
    y: int
    row: int
    col: int
    rows: int
    cols: int


@dataclass(frozen=True)
class Grid:
    """The rectangle of elements that a tensor (or one panel of fused experts) is drawn as.

    A storage row holds `row_elements` consecutive elements and makes `patch[0]` grid rows: a convolution kernel of
    kh × kw becomes a patch of that size, any other tensor has patches of 1 × 1. Only the last storage row of a folded
    grid may be short, so `elements` can be less than rows × cols. An element is `thick` = (height, width) pixels.
    """

    rows: int
    cols: int
    row_elements: int
    elements: int
    patch: tuple[int, int] = (1, 1)
    thick: tuple[int, int] = (1, 1)

    @property
    def height(self) -> int:
        """Pixels from top to bottom, unfolded."""
        return self.rows * self.thick[0]

    @property
    def width(self) -> int:
        """Pixels from left to right, unfolded."""
        return self.cols * self.thick[1]

    @property
    def band_rows(self) -> int:
        """Grid rows that one band makes."""
        return BAND * self.patch[0]


def stacked_experts(name: str, shape: tuple[int, ...], experts: int | None) -> tuple[int, ...]:
    """The shape of a tensor in whose rows the experts of a layer stand one under the other, with them as an axis of its own.

    Any other shape is given back as it is, and all are if the number of experts is not known.
    """
    if experts and len(shape) == 2 and shape[0] > experts and shape[0] % experts == 0 and _ALL_EXPERTS.search(name):
        return experts, shape[0] // experts, shape[1]
    return shape


def panels_of(name: str, shape: tuple[int, ...]) -> int | None:
    """How many experts a fused tensor holds along its first axis; None for any other tensor."""
    if len(shape) < 3 or not 0 < shape[0] <= MAX_PANELS:
        return None
    lower = name.lower()
    return shape[0] if "experts" in lower or "_exps" in lower or "_moe" in lower else None


@lru_cache(maxsize=4096)
def grid_of(shape: tuple[int, ...], *, panel: bool = False) -> Grid:
    """The grid of a tensor with at least one element; `panel` says that it is one expert, never a convolution.

    Leading axes of length 1 say nothing about a tensor of three axes or more (a position table stored as 1 × n × d)
    and are dropped, except in a convolution with one output.
    """
    elements = prod(shape)
    if len(shape) == 4 and not panel and max(shape[2:]) <= MAX_KERNEL and shape[:2] != (1, 1):
        out, inner, kh, kw = shape
        rows, cols, row_elements, patch = out * kh, inner * kw, inner * kh * kw, (kh, kw)
    else:
        while len(shape) > 2 and shape[0] == 1:
            shape = shape[1:]
        rows = shape[0] if len(shape) > 1 else 1
        if len(shape) > 2 and elements // rows > (FOLD_LONG if rows < FOLD_SHORT else WIDEST):
            rows = elements // shape[-1]
        cols = row_elements = elements // rows
        patch = (1, 1)
    if (max(rows, cols) > FOLD_LONG and min(rows, cols) < FOLD_SHORT) or cols > LONGEST_ROW:
        return Grid(-(-elements // FOLD_ROW), FOLD_ROW, FOLD_ROW, elements)
    thick = (THICK if rows == 1 else 1, THICK if cols == 1 else 1)
    return Grid(rows, cols, row_elements, elements, patch, thick)


def panel_count(grid: Grid, panel: int | None) -> int:
    """Number of panels side by side when a grid is folded to `panel` pixels of height; None is unfolded."""
    return 1 if panel is None or grid.width > WIDEST else -(-grid.height // panel)


def footprint(grid: Grid, panel: int | None = None) -> tuple[int, int]:
    """Width and height in pixels of a grid, folded into panels of `panel` pixels of height if given.

    A grid wider than WIDEST is cut into parts of that width, one under the other, and not folded otherwise.
    """
    if grid.width > WIDEST:
        parts = -(-grid.width // WIDEST)
        return WIDEST, (parts - 1) * up(grid.height) + grid.height
    panels = panel_count(grid, panel)
    return (panels - 1) * up(grid.width, GAP) + grid.width, grid.height if panel is None else min(panel, grid.height)


def pieces(grid: Grid, x: int, y: int, panel: int | None = None) -> Iterator[Piece]:
    """The windows of a grid drawn with its corner at (x, y), as `footprint` measures it; real elements only."""
    if grid.width <= WIDEST and grid.height <= (panel or grid.height) and grid.elements == grid.rows * grid.cols:
        yield Piece(x, y, 0, 0, grid.rows, grid.cols)
        return
    high, wide = grid.thick
    tall = (panel or grid.height) // high if panel_count(grid, panel) > 1 else grid.rows
    broad = min(grid.cols, WIDEST // wide)
    whole = grid.elements // grid.cols
    for row in range(0, whole, tall):
        for part, col in enumerate(range(0, grid.cols, broad)):
            at = x + row // tall * up(grid.width, GAP), y + part * up(grid.height)
            yield Piece(*at, row, col, min(tall, whole - row), min(broad, grid.cols - col))
    if rest := grid.elements - whole * grid.cols:
        yield Piece(x + whole // tall * up(grid.width, GAP), y + whole % tall * high, whole, 0, 1, rest)
