"""A Plan and its content in, the tiles of every level out: rendered where the cache lacks them, by threads."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mwv.errors import LostError
from mwv.pyramid import png
from mwv.pyramid.deflate import count_bytes
from mwv.pyramid.draw import draw_block
from mwv.pyramid.kind import Content, Kind, Summary
from mwv.pyramid.plan import (
    BLOCK_LEVEL,
    BLOCK_TILES,
    TILE,
    Plan,
    TileId,
    Window,
    child_ids,
    leaf_key,
    leaf_windows,
    overview_key,
    sums_key,
)
from mwv.pyramid.survey import Blobs
from mwv.pyramid.values import VALUES

Progress = Callable[[int, int], None]
"""Called from any thread with (tiles, leaf elements) that were finished since the last call."""

GetBlob = Callable[[str], bytes | None]
"""Gives the body of a cached result by key, None for a miss."""

T = TypeVar("T")


def _unwatched(tiles: int, elements: int) -> None:
    del tiles, elements


@dataclass
class Tally:
    """How many tiles were rendered, how many were found in the cache, and the bytes written to it."""

    rendered: int = 0
    reused: int = 0
    written: int = 0

    def add(self, other: "Tally") -> None:
        """Count what another did, too."""
        self.rendered += other.rendered
        self.reused += other.reused
        self.written += other.written


@dataclass(frozen=True, eq=False)
class Pyramid:
    """All tiles of a scene by key, and how often each code occurs on each level."""

    levels: int
    tiles: Mapping[TileId, str]
    counts: NDArray[np.int64]
    """(levels, 256)"""


@dataclass(eq=False)
class Renderer:
    """Renders one plan. What is in `blobs` is not rendered; what is rendered is put there at once, so no work is lost."""

    plan: Plan
    shown: Content
    blobs: Blobs
    progress: Progress = _unwatched
    kind: Kind[Any, Any] = VALUES
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        """Nothing is rendered yet."""
        self._tiles: dict[TileId, str] = {}
        self._lock = Lock()
        self._to_draw = Counter(part for windows in self.plan.blocks.values() for part in self._bands(windows))

    def run(self, jobs: int) -> Pyramid:
        """Render every tile with `jobs` threads. The first error stops the rest and is raised."""
        for_all(jobs, self.block, self.plan.blocks)
        return self.finish(jobs, BLOCK_LEVEL)

    def finish(self, jobs: int, below: int) -> Pyramid:
        """Render the levels above one that is complete."""
        top = max(self.plan.levels - 1, BLOCK_LEVEL)
        for level in range(below + 1, top + 1):
            for_all(jobs, partial(self.overview, level), self.plan.tiles_at(level))
        tiles = {tile: key for tile, key in self._tiles.items() if tile[0] < self.plan.levels}
        counts = self._summary(top, 0, 0).counts if tiles else np.zeros((1, 256), np.int64)
        return Pyramid(self.plan.levels, dict(sorted(tiles.items())), counts[: self.plan.levels])

    def spooling(self, blobs: Blobs) -> Self:
        """The same renderer, for a part of its work whose results go elsewhere."""
        part = copy(self)
        part.blobs = blobs
        return part

    def block(self, at: tuple[int, int]) -> None:
        """Render what is lacking of a block."""
        tiles = self._block_tiles(at)
        with self._lock:
            self._tiles.update({_absolute(tile, at): key for tile, key in tiles.items()})
        missing = {tile for tile, key in tiles.items() if self._wanted(tile[0]) and not self.blobs.has(key)}
        if missing or not self.blobs.has(sums_key(tiles[BLOCK_LEVEL, 0, 0])):
            self._draw(at, tiles, missing)
        self._count(rendered=len(missing), reused=sum(self._wanted(tile[0]) for tile in tiles) - len(missing))
        self._done(at, tiles)

    def keys(self, at: tuple[int, int]) -> dict[TileId, str]:
        """Keys of all tiles of a block that show anything, without rendering them."""
        return {_absolute(tile, at): key for tile, key in self._block_tiles(at).items()}

    def skip(self, at: tuple[int, int], tiles: Mapping[TileId, str]) -> None:
        """Take a block, whose keys these are, for rendered."""
        with self._lock:
            self._tiles.update(tiles)
        self._count(reused=sum(self._wanted(tile[0]) for tile in tiles))
        self._done(at, tiles)

    def _done(self, at: tuple[int, int], tiles: Iterable[TileId]) -> None:
        windows, placements = self.plan.blocks[at], self.plan.placements
        self._release(windows)
        elements = sum(w.rows * w.cols for w in windows if placements[w.placement].tensor is not None)
        self.progress(sum(self._wanted(tile[0]) for tile in tiles), elements)

    def _bands(self, windows: Iterable[Window]) -> Iterator[tuple[int, int]]:
        """(placement, band) of all bands under some windows."""
        for w in windows:
            for band in range(*w.storage_bands(self.plan.placements[w.placement].grid)):
                yield w.placement, band

    def _release(self, windows: Iterable[Window]) -> None:
        """Let go of the bands that no other block needs."""
        with self._lock:
            self._to_draw.subtract(self._bands(windows))
        for index, band in self._bands(windows):
            if self._to_draw[index, band] <= 0:
                self.shown.release(index, band)

    def _wanted(self, level: int) -> bool:
        """Whether tiles of this level are shown; a small canvas has fewer levels than a block."""
        return level < self.plan.levels

    def _block_tiles(self, at: tuple[int, int]) -> dict[TileId, str]:
        """Keys of all tiles of a block that show anything, by tile within the block."""
        leaves = leaf_windows(self.plan, self.plan.blocks[at])
        tiles = {(0, x, y): leaf_key(self.plan, self.kind.name, windows, self.shown.content) for x, y, windows in leaves}
        for level in range(1, BLOCK_LEVEL + 1):
            for y in range(BLOCK_TILES >> level):
                for x in range(BLOCK_TILES >> level):
                    children = [tiles.get((level - 1, *child)) for child in child_ids(x, y)]
                    if any(children):
                        tiles[level, x, y] = overview_key(self.kind.name, children)
        return tiles

    def _draw(self, at: tuple[int, int], tiles: Mapping[TileId, str], missing: set[TileId]) -> Summary[Any]:
        """Draw a block, keep its missing tiles and its summary."""

        def emit(tile: TileId, lines: NDArray[np.uint8], found: NDArray[np.int64]) -> None:
            if tile in missing:
                self._put_png(tiles[tile], lines, found)

        self.shown.expect(set(self._bands(self.plan.blocks[at])))
        grids = [placement.grid for placement in self.plan.placements]
        summary = draw_block(self.kind, self.plan.blocks[at], grids, tiles, self.shown.samples, emit)
        self._put(sums_key(tiles[BLOCK_LEVEL, 0, 0]), self.kind.pack(summary))
        return summary

    def overview(self, level: int, at: tuple[int, int]) -> None:
        """Render a tile above the blocks, if it is lacking, from the summaries of its children."""
        x, y = at
        key = overview_key(self.kind.name, [self._tiles.get((level - 1, *child)) for child in child_ids(x, y)])
        with self._lock:
            self._tiles[level, x, y] = key
        there = self.blobs.has(key)
        if not there or not self.blobs.has(sums_key(key)):
            self._reduce(level, x, y)
        self._count(rendered=not there, reused=there)
        self.progress(1, 0)

    def _summary(self, level: int, x: int, y: int) -> Summary[Any]:
        """The summary of a tile that has been seen to; made anew if the cache has lost it since."""
        body = self.blobs.get(sums_key(self._tiles[level, x, y]))
        summary = None if body is None else self.kind.unpack(body)
        if summary is not None:
            return summary
        if level > BLOCK_LEVEL:
            return self._reduce(level, x, y)
        return self._draw((x, y), self._block_tiles((x, y)), set())

    def _reduce(self, level: int, x: int, y: int) -> Summary[Any]:
        """Make an overview tile above the blocks from the summaries of its children, and keep it."""
        half = TILE // 2
        sums = self.kind.empty(TILE, TILE)
        counts = np.zeros((level + 1, 256), np.int64)
        for i, child in enumerate(child_ids(x, y)):
            if (level - 1, *child) in self._tiles:
                below = self._summary(level - 1, *child)
                self.kind.reduce(below.sums, sums, i // 2 * half, i % 2 * half)
                counts[:level] += below.counts
        lines = np.zeros((TILE, TILE + 1), np.uint8)
        self.kind.codes(sums, lines[:, 1:])
        found = count_bytes(lines)
        counts[level] = found
        counts[level, 0] -= TILE  # the lines' filter bytes
        key = self._tiles[level, x, y]
        if not self.blobs.has(key):
            self._put_png(key, lines, found)
        summary = Summary(sums, counts)
        self._put(sums_key(key), self.kind.pack(summary))
        return summary

    def _put_png(self, key: str, lines: NDArray[np.uint8], found: NDArray[np.int64]) -> None:
        data = png.encode_scanlines(lines, found)
        self.blobs.put_png(key, data)
        self._count(written=len(data))

    def _put(self, key: str, body: bytes) -> None:
        self.blobs.put(key, body)
        self._count(written=len(body))

    def _count(self, *, rendered: int = 0, reused: int = 0, written: int = 0) -> None:
        with self._lock:
            self.tally.rendered += rendered
            self.tally.reused += reused
            self.tally.written += written


def _absolute(tile: TileId, at: tuple[int, int]) -> TileId:
    level, x, y = tile
    across = BLOCK_TILES >> level
    return level, at[0] * across + x, at[1] * across + y


def tile_bytes(key: str, get: GetBlob) -> bytes:
    """A tile that was rendered; raises LostError if the cache has lost it since."""
    data = get(key)
    if data is None:
        raise LostError(f"tile {key}: gone from the cache; build again")
    return data


def for_all(jobs: int, work: Callable[[T], Any], items: Iterable[T]) -> None:
    """Do the work for all items with `jobs` threads; on the first error (or Ctrl-C) drop what has not begun, and raise it."""
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
        finally:
            for future in futures:
                future.cancel()
