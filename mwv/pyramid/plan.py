"""A Canvas in, what has to be drawn out: levels, blocks, the windows of tensors under every leaf tile, and their keys."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mwv.layout import pack
from mwv.layout.canvas import Canvas, Placement
from mwv.layout.grid import Grid
from mwv.pyramid.keys import key_of

TILE: Final = pack.TILE
"""Pixels along the side of a tile, and what the layout begins layers on multiples of."""
BLOCK_LEVEL: Final = 3
BLOCK_TILES: Final = 1 << BLOCK_LEVEL
"""Leaf tiles along the side of a block, the unit of work; its own overviews go up to `BLOCK_LEVEL`."""
BLOCK: Final = TILE * BLOCK_TILES
SUPER_LEVEL: Final = 4
"""Levels 0 to 4 of 16 × 16 leaf tiles are a super-block: what lies in one archive, and is streamed at once."""
STRIP: Final = 64
"""Pixel rows of a block drawn at a time, so that values, sums and codes stay in the processor's cache."""
VERSION: Final = 2
"""Part of every key; to be raised whenever pixels, sums or the file format change."""

TileId = tuple[int, int, int]
"""(level, x, y): level 0 is the leaf, x and y count tiles of 512 px at that level."""


@dataclass(frozen=True)
class Window:
    """Elements `rows` × `cols` from (`row`, `col`) of a placement's grid, drawn at (`x`, `y`) of some rectangle."""

    placement: int
    x: int
    y: int
    row: int
    col: int
    rows: int
    cols: int

    def storage_bands(self, grid: Grid) -> tuple[int, int]:
        """The first band that the window needs, and the one after the last."""
        height = grid.band_rows
        return self.row // height, -(-(self.row + self.rows) // height)


@dataclass(frozen=True)
class Plan:
    """Everything that has to be drawn, from the canvas alone."""

    placements: tuple[Placement, ...]
    levels: int
    blocks: Mapping[tuple[int, int], tuple[Window, ...]]
    """(x, y) in blocks → the windows under that block, relative to its corner."""

    @property
    def tile_count(self) -> int:
        """How many tiles there are on all levels."""
        inside = 0
        for windows in self.blocks.values():
            leaves = {at for w in windows for at in _leaves_under(w, self.placements[w.placement].grid)}
            inside += sum(len({(x >> k, y >> k) for x, y in leaves}) for k in range(BLOCK_LEVEL + 1) if k < self.levels)
        return inside + sum(len(self.tiles_at(level)) for level in range(BLOCK_LEVEL + 1, self.levels))

    def tiles_at(self, level: int) -> list[tuple[int, int]]:
        """(x, y) of the tiles of a level ≥ `BLOCK_LEVEL` that show anything, row by row."""
        shift = level - BLOCK_LEVEL
        return sorted({(x >> shift, y >> shift) for x, y in self.blocks}, key=lambda at: (at[1], at[0]))


def make_plan(canvas: Canvas) -> Plan:
    """Cut the placements of a canvas at the borders of blocks."""
    blocks: defaultdict[tuple[int, int], list[Window]] = defaultdict(list)
    for index, placement in enumerate(canvas.placements):
        for piece in placement.pieces:
            whole = Window(index, piece.x, piece.y, piece.row, piece.col, piece.rows, piece.cols)
            rect = placement.rect(piece)
            for y in range(rect.y // BLOCK, -(-(rect.y + rect.height) // BLOCK)):
                for x in range(rect.x // BLOCK, -(-(rect.x + rect.width) // BLOCK)):
                    part = clip(whole, placement.grid, x * BLOCK, y * BLOCK, BLOCK, BLOCK)
                    if part is not None:
                        blocks[x, y].append(part)
    ordered = {at: tuple(blocks[at]) for at in sorted(blocks, key=lambda at: (at[1], at[0]))}
    return Plan(canvas.placements, level_count(canvas), ordered)


def level_count(canvas: Canvas) -> int:
    """Levels of a pyramid whose last level is one tile."""
    return max(-(-max(canvas.width, canvas.height, 1) // TILE) - 1, 0).bit_length() + 1


def clip(window: Window, grid: Grid, x: int, y: int, width: int, height: int) -> Window | None:
    """The part of a window within a rectangle at (`x`, `y`), relative to its corner; None where there is none.

    Elements are never cut: thick ones start at multiples of their thickness, as borders of tiles do.
    """
    high, wide = grid.thick
    left, right = max(window.x, x), min(window.x + window.cols * wide, x + width)
    top, bottom = max(window.y, y), min(window.y + window.rows * high, y + height)
    if left >= right or top >= bottom:
        return None
    return Window(
        window.placement,
        left - x,
        top - y,
        window.row + (top - window.y) // high,
        window.col + (left - window.x) // wide,
        -(-(bottom - top) // high),
        -(-(right - left) // wide),
    )


def _leaves_under(window: Window, grid: Grid) -> Iterator[tuple[int, int]]:
    """(x, y) of the leaf tiles of a block that a window of it touches."""
    high, wide = grid.thick
    for y in range(window.y // TILE, -(-(window.y + window.rows * high) // TILE)):
        for x in range(window.x // TILE, -(-(window.x + window.cols * wide) // TILE)):
            yield x, y


def leaf_windows(plan: Plan, windows: Sequence[Window]) -> Iterator[tuple[int, int, tuple[Window, ...]]]:
    """(x, y, windows) of each leaf tile of a block that shows anything, row by row; x and y count tiles in the block."""
    for y in range(BLOCK_TILES):
        row = [w for w in windows if w.y < (y + 1) * TILE and w.y + w.rows * _high(plan, w) > y * TILE]
        for x in range(BLOCK_TILES) if row else ():
            parts = (clip(w, plan.placements[w.placement].grid, x * TILE, y * TILE, TILE, TILE) for w in row)
            found = tuple(part for part in parts if part is not None)
            if found:
                yield x, y, found


def _high(plan: Plan, window: Window) -> int:
    return plan.placements[window.placement].grid.thick[0]


def leaf_key(plan: Plan, kind: str, windows: Sequence[Window], content: Callable[[Window], list[object]]) -> str:
    """Key of a leaf tile of a kind of scene: what the windows under it show, and where."""
    entries: list[list[object]] = []
    for w in windows:
        placement = plan.placements[w.placement]
        if placement.tensor is None:
            high, wide = placement.grid.thick
            entries.append(["missing", w.x, w.y, w.rows * high, w.cols * wide])
        else:
            entries.append(content(w))
    return key_of("leaf", VERSION, kind, entries, "png")


def window_entry(window: Window, grid: Grid, digests: bytes) -> list[object]:
    """What the key of a leaf says of a window: the joined digests of its bands, and how their elements lie in the tile."""
    w, first = window, window.storage_bands(grid)[0]
    return [digests.hex(), [grid.patch, grid.thick, w.row - first * grid.band_rows, w.col, w.rows, w.cols, w.x, w.y]]


def overview_key(kind: str, children: Sequence[str | None]) -> str:
    """Key of an overview: the keys of its four children, row by row, None for those that do not exist."""
    return key_of("overview", VERSION, kind, list(children), "png")


def sums_key(tile: str) -> str:
    """Key of the sums under an overview tile, from the tile's key."""
    return key_of("sums", VERSION, tile)


def child_ids(x: int, y: int) -> tuple[tuple[int, int], ...]:
    """(x, y) of the four tiles under a tile, row by row."""
    return ((2 * x, 2 * y), (2 * x + 1, 2 * y), (2 * x, 2 * y + 1), (2 * x + 1, 2 * y + 1))
