"""The windows of a block and their samples in, its tiles of levels 0 to 3 and the sums above them out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from mwv.decode.tensor import Coded, Samples, Table
from mwv.layout.grid import Grid
from mwv.pyramid import code
from mwv.pyramid.deflate import count_bytes
from mwv.pyramid.plan import BLOCK, BLOCK_LEVEL, BLOCK_TILES, TILE, TileId, Window, clip
from mwv.pyramid.reduce import Sums, leaf_coded, leaf_float, overview_codes, reduce_leaf, reduce_sums

STRIP: Final = 64
"""Pixel rows drawn at a time, so that values, sums and codes stay in the processor's cache."""

ReadSamples = Callable[[int, int, int, int], Samples | None]
"""(placement, band, first column, columns) → samples of all grid rows of the band; None for a missing tensor."""
Emit = Callable[[TileId, NDArray[np.uint8], NDArray[np.int64]], None]
"""Called with each finished tile: its id, x and y within the block, its PNG scan lines (512 × 513), counts of their bytes."""


@dataclass(frozen=True, eq=False)
class Summary:
    """What a tile of level ≥ 3 leaves for the levels above: sums of its pixels, and how often each code occurs below."""

    sums: Sums
    counts: NDArray[np.int64]
    """(levels, 256): codes of the tiles of level 0, 1, … up to its own."""


@dataclass(frozen=True, eq=False)
class _Strip:
    """Arrays of one strip of a block, which the next one of the same width uses again: getting memory takes its time."""

    codes: tuple[NDArray[np.uint8], ...]
    """By level."""
    summands: NDArray[np.float32]
    sums: tuple[Sums, ...]
    """By level from 1 on."""

    @classmethod
    def of_width(cls, width: int) -> Self:
        """For strips of `width` leaf pixels."""
        shapes = [(STRIP >> level, width >> level) for level in range(BLOCK_LEVEL + 1)]
        codes = tuple(np.zeros(shape, np.uint8) for shape in shapes)
        return cls(codes, np.zeros(shapes[0], np.float32), tuple(Sums.empty(*shape) for shape in shapes[1:]))


def draw_block(
    windows: Sequence[Window], grids: Sequence[Grid], tiles: Mapping[TileId, Any], read: ReadSamples, emit: Emit
) -> Summary:
    """Draw a block; `tiles` holds the ids (x, y within the block) that show anything, `grids` the grid of each placement."""
    sums = Sums.empty(TILE, TILE)
    counts = np.zeros((BLOCK_LEVEL + 1, 256), np.int64)
    lines = {level: _blank(BLOCK_TILES >> level) for level in range(BLOCK_LEVEL + 1)}
    strip_of = lru_cache(maxsize=1)(_Strip.of_width)
    for y in range(0, BLOCK, STRIP):
        parts = [part for w in windows if (part := clip(w, grids[w.placement], 0, y, BLOCK, STRIP)) is not None]
        if parts:
            top = sums.window(y >> BLOCK_LEVEL, 0, STRIP >> BLOCK_LEVEL, TILE)
            _draw_strip(parts, grids, read, strip_of, lines, y, top)
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
    read: ReadSamples,
    strip_of: Callable[[int], _Strip],
    lines: Mapping[int, NDArray[np.uint8]],
    y: int,
    top: Sums,
) -> None:
    """Draw 64 pixel rows of a block: codes into the scan lines of all levels, sums of level 3 into `top` (8 × 512).

    Only the columns that are occupied are worked on; they begin and end at whole pixels of level 3.
    """
    left = min(part.x for part in parts) >> BLOCK_LEVEL
    right = max(-(-(part.x + part.cols * grids[part.placement].thick[1]) // (1 << BLOCK_LEVEL)) for part in parts)
    x, width = left << BLOCK_LEVEL, (right - left) << BLOCK_LEVEL
    strip = strip_of(width)
    strip.codes[0].fill(0)
    strip.summands.fill(0)
    for part in parts:
        _draw_part(replace(part, x=part.x - x), grids[part.placement], read, strip.codes[0], strip.summands)
    reduce_leaf(strip.codes[0], strip.summands, strip.sums[0])
    for below, sums in pairwise(strip.sums):
        reduce_sums(below, sums)
    for sums, codes in zip(strip.sums, strip.codes[1:], strict=True):
        overview_codes(sums, codes)
    for level, codes in enumerate(strip.codes):
        _scatter(codes, lines[level], x >> level, y >> level)
    for plane, whole in zip(strip.sums[-1].planes, top.planes, strict=True):
        whole[:, left:right] = plane


def _scatter(codes: NDArray[np.uint8], lines: NDArray[np.uint8], x: int, y: int) -> None:
    """Copy codes, whose corner is pixel (x, y) of the block's level, behind the filter bytes of a row of tiles."""
    rows, width = codes.shape
    for tile in range(x // TILE, -(-(x + width) // TILE)):
        first, last = max(x, tile * TILE), min(x + width, (tile + 1) * TILE)
        target = lines[tile, y % TILE : y % TILE + rows, 1 + first - tile * TILE : 1 + last - tile * TILE]
        target[...] = codes[:, first - x : last - x]


def _draw_part(part: Window, grid: Grid, read: ReadSamples, codes: NDArray[np.uint8], summands: NDArray[np.float32]) -> None:
    high, wide = grid.thick
    height = grid.band_rows
    for band in range(*part.storage_bands(grid)):
        first = max(part.row, band * height)
        last = min(part.row + part.rows, (band + 1) * height)
        samples = read(part.placement, band, part.col, part.cols)
        y = part.y + (first - part.row) * high
        target = (slice(y, y + (last - first) * high), slice(part.x, part.x + part.cols * wide))
        if samples is None:
            codes[target] = code.MISSING
        else:
            rows = slice(first - band * height, last - band * height)
            _draw_samples(samples, rows, grid.thick, codes[target], summands[target])


def _draw_samples(
    samples: Samples, rows: slice, thick: tuple[int, int], codes: NDArray[np.uint8], summands: NDArray[np.float32]
) -> None:
    if thick != (1, 1):
        thin = (slice(None, None, thick[0]), slice(None, None, thick[1]))
        thin_codes, thin_summands = np.empty(codes[thin].shape, np.uint8), np.empty(codes[thin].shape, np.float32)
        _draw_samples(samples, rows, (1, 1), thin_codes, thin_summands)
        codes[...] = thin_codes.repeat(thick[0], 0).repeat(thick[1], 1)
        summands[...] = thin_summands.repeat(thick[0], 0).repeat(thick[1], 1)
    elif isinstance(samples, Coded):
        leaf_coded(samples.bits[rows], *_coded_tables(samples.table), codes, summands)
    else:
        leaf_float(samples.values[rows], codes, summands)


@lru_cache(maxsize=64)
def _coded_tables(table: Table) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    return code.leaf_codes(table.values), code.summands(table.values)
