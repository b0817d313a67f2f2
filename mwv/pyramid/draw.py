"""The windows of a block and their samples in, its tiles of levels 0 to 3 and the sums above them out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwv.layout.grid import Grid
from mwv.pyramid import code
from mwv.pyramid.deflate import count_bytes
from mwv.pyramid.kind import Kind, Read, S, Strip, Summary
from mwv.pyramid.plan import BLOCK, BLOCK_LEVEL, BLOCK_TILES, STRIP, TILE, TileId, Window, clip

Emit = Callable[[TileId, NDArray[np.uint8], NDArray[np.int64]], None]
"""Called with each finished tile: its id, x and y within the block, its PNG scan lines (512 × 513), counts of their bytes."""


def draw_block(
    kind: Kind[Any, S],
    windows: Sequence[Window],
    grids: Sequence[Grid],
    tiles: Mapping[TileId, Any],
    read: Read,
    emit: Emit,
) -> Summary[S]:
    """Draw a block; `tiles` holds the ids (x, y within the block) that show anything, `grids` the grid of each placement."""
    sums = kind.empty(TILE, TILE)
    counts = np.zeros((BLOCK_LEVEL + 1, 256), np.int64)
    lines = {level: _blank(BLOCK_TILES >> level) for level in range(BLOCK_LEVEL + 1)}
    strip_of = lru_cache(maxsize=1)(kind.strip)  # getting memory takes its time
    for y in range(0, BLOCK, STRIP):
        parts = [part for w in windows if (part := clip(w, grids[w.placement], 0, y, BLOCK, STRIP)) is not None]
        if parts:
            left, drawn = _draw_strip(parts, grids, read, strip_of, lines, y)
            kind.put(drawn, sums, y >> BLOCK_LEVEL, left)
        for level in range(BLOCK_LEVEL + 1):
            if (y + STRIP) % (TILE << level) == 0:
                _finish_row(lines[level], level, y // (TILE << level), tiles, counts[level], emit)
    return Summary(sums, counts)


def _blank(tiles: int) -> NDArray[np.uint8]:
    """Scan lines of one row of tiles: (tiles, 512, 1 + 512)."""
    return np.zeros((tiles, TILE, TILE + 1), np.uint8)


def _finish_row(
    lines: NDArray[np.uint8], level: int, y: int, tiles: Mapping[TileId, Any], counts: NDArray[np.int64], emit: Emit
) -> None:
    for x, tile in enumerate(lines):
        if (level, x, y) in tiles:
            found = count_bytes(tile)
            emit((level, x, y), tile, found)
            counts += found
            counts[0] -= TILE  # the lines' filter bytes
    lines.fill(0)


def _draw_strip(
    parts: Sequence[Window],
    grids: Sequence[Grid],
    read: Read,
    strip_of: Callable[[int], Strip[Any, S]],
    lines: Mapping[int, NDArray[np.uint8]],
    y: int,
) -> tuple[int, S]:
    """Draw 64 pixel rows of a block: codes into the scan lines of all levels; the sums of level 3, and where they begin.

    Only the columns that are occupied are worked on; they begin and end at whole pixels of level 3.
    """
    left = min(part.x for part in parts) >> BLOCK_LEVEL
    right = max(-(-(part.x + part.cols * grids[part.placement].thick[1]) // (1 << BLOCK_LEVEL)) for part in parts)
    x, width = left << BLOCK_LEVEL, (right - left) << BLOCK_LEVEL
    strip = strip_of(width)
    strip.clear()
    for part in parts:
        _draw_part(replace(part, x=part.x - x), grids[part.placement], read, strip)
    sums = strip.reduce()
    for level, codes in enumerate(strip.codes):
        _scatter(codes, lines[level], x >> level, y >> level)
    return left, sums


def _scatter(codes: NDArray[np.uint8], lines: NDArray[np.uint8], x: int, y: int) -> None:
    """Copy codes, whose corner is pixel (x, y) of the block's level, behind the filter bytes of a row of tiles."""
    rows, width = codes.shape
    for tile in range(x // TILE, -(-(x + width) // TILE)):
        first, last = max(x, tile * TILE), min(x + width, (tile + 1) * TILE)
        target = lines[tile, y % TILE : y % TILE + rows, 1 + first - tile * TILE : 1 + last - tile * TILE]
        target[...] = codes[:, first - x : last - x]


def _draw_part(part: Window, grid: Grid, read: Read, strip: Strip[Any, Any]) -> None:
    high, wide = grid.thick
    height = grid.band_rows
    for band in range(*part.storage_bands(grid)):
        first = max(part.row, band * height)
        last = min(part.row + part.rows, (band + 1) * height)
        samples = read(part.placement, band, part.col, part.cols)
        y = part.y + (first - part.row) * high
        target = (slice(y, y + (last - first) * high), slice(part.x, part.x + part.cols * wide))
        if samples is None:
            strip.codes[0][target] = code.MISSING
        else:
            strip.draw(samples, slice(first - band * height, last - band * height), grid.thick, target)
