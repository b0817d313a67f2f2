"""Files of a checkpoint in, their chunks out; and the models of a site in, the scenes out that show how they are stored.

Those scenes follow from lists of chunks and from layouts, which the site has: no source is opened, whichever models are built.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from mwv.checkpoint.info import Checkpoint
from mwv.errors import SiteError
from mwv.meeting import Meeting
from mwv.memory import Memory
from mwv.pyramid.classes import CLASSES, ClassContent
from mwv.pyramid.keys import key_of
from mwv.pyramid.plan import make_plan
from mwv.pyramid.render import Renderer, Tally, for_all
from mwv.pyramid.survey import Traffic
from mwv.settings import TileStore
from mwv.site.class_scene import ClassTiles, canvas_of, class_files, lying_in
from mwv.site.data import DataFile
from mwv.site.model import TileFiles
from mwv.site.storing import ChunkedModel, Classified, classified
from mwv.site.writer import SiteWriter
from mwv.store.store import Store
from mwv.xet.chunks import chunks_of
from mwv.xet.stored import StoredFile, local_file

VERSION: Final = 1
"""Of what the scenes say; what a site has of an older one is made again."""

_DAMAGE: Final = (ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError)
"""What comes of data that is not as we write it."""


def stored_files(checkpoint: Checkpoint, memory: Memory, jobs: int, traffic: Traffic) -> tuple[StoredFile, ...]:
    """How the files of a checkpoint are stored: one on the Hub by its reconstruction, a local one by its chunks.

    Local files are read in full unless their chunks are remembered, and counted as hashed.
    """
    found: dict[int, StoredFile] = {}
    hashed: list[int] = []

    def look(number: int) -> None:
        shard = checkpoint.shards[number]
        made = shard.reconstruction(0, shard.size) if shard.size else None
        if made is not None:
            found[number] = StoredFile(shard.name, made.file, np.zeros(0, np.uint32), np.zeros(0, np.uint64), made.terms)
            return
        known = memory.chunks(shard)
        if known is None:
            known = chunks_of(shard)
            shard.check_unchanged()
            memory.remember_chunks(shard, known)
            hashed.append(shard.size)
        found[number] = local_file(shard.name, known)

    for_all(jobs, look, range(len(checkpoint.shards)))
    traffic.hashed += sum(hashed)
    return tuple(found[number] for number in range(len(checkpoint.shards)))


def show_stored(site: SiteWriter, store: Store, jobs: int, meeting: Meeting) -> Tally:
    """Bring the scenes that show how models are stored up to date, wherever chunks are known: what has changed is drawn."""
    tally = Tally()
    site.drop_stored()
    models = meeting.of(site)
    for model, scenes in zip(models, classified(models), strict=True):
        entry = site.models[model.slug]
        chunks = entry.met or entry.chunks
        source = key_of("stored", VERSION, entry.scenes[0], entry.tile_mode, chunks, [_spelt(scene) for scene in scenes])
        if not site.has_stored(model.slug, source):
            _draw(site, store, jobs, model, scenes, source, tally)
    return tally


def _spelt(scene: Classified) -> list[Any]:
    """All that a scene says."""
    runs = [[name, found.ends.tolist(), found.codes.tolist()] for name, found in sorted(scene.runs.items())]
    return [scene.title, runs, [vars(found) for found in scene.classes], scene.facts]


def _draw(
    site: SiteWriter, store: Store, jobs: int, model: ChunkedModel, scenes: Sequence[Classified], source: str, tally: Tally
) -> None:
    record, mode = site.record(model.slug), site.models[model.slug].tile_mode
    tiles: dict[int, ClassTiles] = {}
    paths: dict[str, Path] = {}
    for index, scene in enumerate(scenes, 1):
        try:
            canvas = canvas_of(record, sum(file.size for file in model.files))
            plan, content = make_plan(canvas), ClassContent(lying_in(record, canvas, scene.runs))
        except _DAMAGE:
            raise SiteError(f"{model.slug}: its data in the site is damaged; build the model again") from None
        renderer = Renderer(plan, content, store, kind=CLASSES)
        pyramid = renderer.run(jobs)
        tiles[index] = ClassTiles(pyramid.levels, pyramid.tiles)
        if mode == "pmtiles":
            from mwv.pyramid.archive import archives  # late: loads pmtiles

            tiles[index] = replace(tiles[index], archives=archives(pyramid.tiles, pyramid.levels, True, store, jobs))
        found = tiles[index].archives.values() if mode == "pmtiles" else pyramid.tiles.values()
        paths.update((key, store.path(key)) for key in found)
        tally.add(renderer.tally)
    files = TileFiles("png", paths, _mode(mode), fresh=store.made & paths.keys())
    data: dict[int, list[DataFile]] = {
        index: class_files(scene, tiles[index], files, index, model.files) for index, scene in enumerate(scenes, 1)
    }
    site.add_stored(model.slug, tiles, data, files, source)


def _mode(text: str) -> TileStore:
    return "xyz" if text == "xyz" else "pmtiles" if text == "pmtiles" else "files"
