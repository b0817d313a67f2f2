"""A Renderer in, the archives of its plan handed to a Sink out, super-block by super-block, so that little lies on disk.

The tiles of a super-block, and the sums of its blocks, live in a spool until its archive is made. What the levels above are
made of lasts: it goes into the cache. A super-block whose archive the sink has is not even drawn.
"""

from collections.abc import Iterable, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Protocol

from mwv.pyramid.archive import Archive, ArchiveBlobs, ArchivePlace, archive_name
from mwv.pyramid.plan import BLOCK_LEVEL, SUPER_LEVEL, child_ids, overview_key, sums_key
from mwv.pyramid.render import Pyramid, Renderer, for_all
from mwv.pyramid.survey import Blobs


class Spool(ArchiveBlobs, Protocol):
    """A folder for what one archive is made of."""

    def path(self, key: str) -> Path:
        """Where something that was put lies."""

    def keep_only(self, key: str) -> None:
        """Delete all others."""

    def close(self) -> None:
        """Delete all of it."""


class Sink(Protocol):
    """Takes archives while others are drawn. Safe from several threads; raises MwvError once it has failed."""

    def has(self, name: str) -> bool:
        """Whether an archive is there, or on its way."""

    def spool(self) -> AbstractContextManager[Spool]:
        """Room for what belongs to one archive, for as long as the context lasts or `send` needs it; waits until there is."""

    def send(self, name: str, archive: Iterable[bytes], spool: Spool) -> None:
        """Write an archive into the spool of what it is made of, which is deleted, and see that it gets to its place."""

    def flush(self) -> None:
        """Wait until all archives are at their place for good."""


@dataclass
class Haul:
    """How many archives were drawn, handed to the sink, and found there."""

    rendered: int = 0
    sent: int = 0
    reused: int = 0


@dataclass(eq=False)
class Streamer:
    """Renders one plan into archives."""

    renderer: Renderer
    sink: Sink
    lasting: int
    """Tiles from this level on go into the cache, as do those above super-blocks."""
    haul: Haul = field(default_factory=Haul)

    def __post_init__(self) -> None:
        """Nothing is rendered yet."""
        plan = self.renderer.plan
        self._names: dict[ArchivePlace, str] = {}
        self._blocks: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for x, y in plan.blocks:
            self._blocks.setdefault((x >> 1, y >> 1), []).append((x, y))
        self._top = min(SUPER_LEVEL, max(plan.levels - 1, BLOCK_LEVEL))
        self._lock = Lock()

    def run(self, jobs: int) -> tuple[Pyramid, dict[ArchivePlace, str]]:
        """Render with `jobs` threads; the pyramid, and the name of each archive, all of which are then at their place.

        Neighbours in a row come one after the other: they lie over the same rows of the same tensors.
        """
        for_all(jobs, self._super_block, sorted(self._blocks, key=lambda at: (at[1], at[0])))
        pyramid = self.renderer.finish(jobs, SUPER_LEVEL)
        above = {tile: key for tile, key in pyramid.tiles.items() if tile[0] > SUPER_LEVEL}
        if above:
            name = self._names[None] = archive_name(above)
            held = self.sink.has(name)
            if not held:
                with self.sink.spool() as spool:
                    self.sink.send(name, Archive(above, pyramid.levels - 1, True, self.renderer.blobs.get), spool)
            self._count(rendered=not held, sent=not held, reused=held)
        self.sink.flush()
        return pyramid, self._names

    def _super_block(self, at: tuple[int, int]) -> None:
        levels, blobs = self.renderer.plan.levels, self.renderer.blobs
        blocks = {block: self.renderer.keys(block) for block in self._blocks[at]}
        tiles = {tile: key for keys in blocks.values() for tile, key in keys.items()}
        if self._top == SUPER_LEVEL:
            tiles[SUPER_LEVEL, *at] = overview_key("values", [tiles.get((BLOCK_LEVEL, *child)) for child in child_ids(*at)])
        shown = {tile: key for tile, key in tiles.items() if tile[0] < levels}
        name = archive_name(shown)
        with self._lock:
            self._names[at] = name
        lasting = {key for tile, key in shown.items() if tile[0] >= self.lasting} | {sums_key(tiles[self._top, *at])}
        held = self.sink.has(name)
        if held and all(map(blobs.has, lasting)):
            for block, keys in blocks.items():
                self.renderer.skip(block, keys)
            self._overview(self.renderer, at)
            self._count(reused=True)
            return
        with self.sink.spool() as spool:
            part = self.renderer.spooling(_Beside(blobs, spool, lasting))
            for block in blocks:
                part.block(block)
            self._overview(part, at)
            if not held:
                self.sink.send(name, Archive(shown, min(SUPER_LEVEL, levels - 1), True, part.blobs.get), spool)
        self._count(rendered=True, sent=not held)

    def _overview(self, renderer: Renderer, at: tuple[int, int]) -> None:
        if self._top == SUPER_LEVEL:
            renderer.overview(SUPER_LEVEL, at)

    def _count(self, *, rendered: bool = False, sent: bool = False, reused: bool = False) -> None:
        with self._lock:
            self.haul.rendered += rendered
            self.haul.sent += sent
            self.haul.reused += reused


@dataclass(frozen=True, eq=False)
class _Beside:
    """The results of a super-block: those that last go into the cache, all others into its spool."""

    blobs: Blobs
    passing: Blobs
    lasting: Set[str]

    def has(self, key: str) -> bool:
        return self.blobs.has(key) or (key not in self.lasting and self.passing.has(key))

    def get(self, key: str) -> bytes | None:
        body = None if key in self.lasting else self.passing.get(key)
        return self.blobs.get(key) if body is None else body

    def put(self, key: str, body: bytes) -> object:
        return self._home(key).put(key, body)

    def put_png(self, key: str, data: bytes) -> object:
        return self._home(key).put_png(key, data)

    def _home(self, key: str) -> Blobs:
        return self.blobs if key in self.lasting else self.passing
