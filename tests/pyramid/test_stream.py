"""Streamed archives: the same as those of a build, little on disk at a time, nothing done twice."""

import contextlib
import dataclasses
import io
import threading

import numpy as np
import pytest
import scenes
from PIL import Image
from pmtiles.reader import MemorySource, Reader
from pmtiles.tile import zxy_to_tileid
from safetensors.numpy import save_file

from mwv.pyramid.archive import archives
from mwv.pyramid.picture import overview_level
from mwv.pyramid.plan import make_plan, sums_key
from mwv.pyramid.render import Renderer
from mwv.pyramid.stream import Streamer
from mwv.pyramid.survey import Survey
from mwv.store.spool import Spools


class Sink:
    """Takes archives into memory, at once."""

    def __init__(self, folder, room=100):
        self.spools, self.archives, self.flushed = Spools(folder), {}, False
        self.room, self.held, self.sent = threading.BoundedSemaphore(room), set(), []

    def has(self, name):
        return name in self.held or name in self.archives

    @contextlib.contextmanager
    def spool(self):
        with self.room:
            spool = self.spools.open()
            try:
                yield spool
            finally:
                spool.close()

    def send(self, name, archive, spool):
        spool.put_parts(name, archive)
        spool.keep_only(name)
        self.sent.append(name)
        self.archives[name] = spool.path(name).read_bytes()

    def flush(self):
        self.flushed = True


def write(path, changed=False):
    """A canvas of several super-blocks, and few elements: a tall stack, right of it nothing, left of it the embeddings."""
    rng = np.random.default_rng(3)
    arrays = {"model.embed_tokens.weight": rng.standard_normal((300, 200)).astype(np.float16)}
    for i in range(20):
        arrays[f"model.layers.{i}.mlp.up_proj.weight"] = rng.standard_normal((900, 200)).astype(np.float16)
    if changed:
        arrays["model.layers.19.mlp.up_proj.weight"][800, 100] += 1
    save_file(arrays, path)
    return scenes.draw(path)


@pytest.fixture(scope="module")
def drawing(tmp_path_factory):
    return write(tmp_path_factory.mktemp("stream") / "model.safetensors")


def streamed(drawing, sink, blobs, jobs=1, budget=64 << 20):
    """(pyramid, names, streamer, survey) of a drawing."""
    survey = Survey(drawing.subjects, blobs, budget)
    streamer = Streamer(Renderer(drawing.plan, survey, blobs), sink, overview_level(drawing.canvas, drawing.plan.levels))
    pyramid, names = streamer.run(jobs)
    assert sink.flushed
    return pyramid, names, streamer, survey


@pytest.mark.parametrize("jobs", [1, 3])
def test_streamed_archives_are_those_of_a_build(tmp_path, drawing, jobs):
    whole, blobs, sink = scenes.DictBlobs(), scenes.DictBlobs(), Sink(tmp_path / "spool")
    built, _, _ = scenes.rendered(drawing, whole, jobs=2)
    wanted = archives(built.tiles, built.levels, True, whole, 2)
    pyramid, names, streamer, _ = streamed(drawing, sink, blobs, jobs)
    assert (pyramid.tiles, names) == (built.tiles, wanted)
    np.testing.assert_array_equal(pyramid.counts, built.counts)
    assert len(names) > 4 and None in names
    assert {name: body[:-40] for name, body in sink.archives.items()} == {name: whole.bodies[name] for name in names.values()}
    assert (streamer.haul.rendered, streamer.haul.sent, streamer.haul.reused) == (len(names), len(names), 0)


def test_every_tile_is_read_from_its_archive_by_another_reader(tmp_path, drawing):
    sink, blobs = Sink(tmp_path / "spool"), scenes.DictBlobs()
    pyramid, names, _, _ = streamed(drawing, sink, blobs)
    whole = scenes.DictBlobs()
    scenes.rendered(drawing, whole, jobs=2)
    readers = {place: Reader(MemorySource(sink.archives[name])) for place, name in names.items()}
    for (level, x, y), key in pyramid.tiles.items():
        up = 4 - level
        place = (x >> up, y >> up) if up >= 0 else None
        zxy = (up, x - (place[0] << up), y - (place[1] << up)) if place else (pyramid.levels - 1 - level, x, y)
        assert readers[place].get(*zxy) == whole.bodies[key]
    assert zxy_to_tileid(4, 0, 0) == 85


def test_disk_holds_a_super_block_and_its_archive_at_most(tmp_path, drawing):
    """One of the archives at a time, twice: as tiles and, when it is made, as a file."""
    sink, blobs = Sink(tmp_path / "spool", room=1), scenes.DictBlobs()
    streamed(drawing, sink, blobs, jobs=2)
    largest = max(map(len, sink.archives.values()))
    assert largest < sink.spools.peak < 2.2 * largest  # and the sums of its blocks
    assert sum(map(len, sink.archives.values())) > 2.5 * largest
    assert list((tmp_path / "spool").iterdir()) == []
    assert sum(map(len, blobs.bodies.values())) < sum(map(len, sink.archives.values()))


def test_archives_that_are_there_are_neither_rendered_nor_made_nor_read_for(tmp_path, drawing):
    sink, blobs = Sink(tmp_path / "one"), scenes.DictBlobs()
    first, names, _, _ = streamed(drawing, sink, blobs)
    again = Sink(tmp_path / "two")
    again.held = set(names.values())
    blobs.puts.clear()
    pyramid, found, streamer, survey = streamed(drawing, again, blobs, jobs=2)
    assert (pyramid.tiles, found, again.sent, blobs.puts) == (first.tiles, names, [], [])
    np.testing.assert_array_equal(pyramid.counts, first.counts)
    assert survey.traffic.read == 0 and not (tmp_path / "two").exists()
    assert (streamer.renderer.tally.rendered, streamer.renderer.tally.reused) == (0, len(first.tiles))
    assert (streamer.haul.rendered, streamer.haul.sent, streamer.haul.reused) == (0, 0, len(names))


def test_a_changed_value_sends_its_super_block_and_the_levels_above(tmp_path, drawing):
    sink, blobs = Sink(tmp_path / "one"), scenes.DictBlobs()
    _, before, _, _ = streamed(drawing, sink, blobs)
    sink.sent.clear()
    _, after, streamer, _ = streamed(write(tmp_path / "changed.safetensors", changed=True), sink, blobs)
    other = {place for place in after if after[place] != before[place]}
    assert len(other) == 2 and None in other
    assert set(sink.sent) == {after[place] for place in other}
    assert streamer.haul.sent == 2


@pytest.mark.parametrize("lost", ["sums", "all"])
def test_what_the_cache_has_lost_is_drawn_again_and_not_sent(tmp_path, drawing, lost):
    sink, blobs = Sink(tmp_path / "one"), scenes.DictBlobs()
    first, names, _, _ = streamed(drawing, sink, blobs)
    whole = dict(blobs.bodies)
    if lost == "all":
        blobs.bodies.clear()
    else:
        del blobs.bodies[sums_key(next(key for tile, key in first.tiles.items() if tile[0] == 4))]
    sink.sent.clear()
    pyramid, found, streamer, _ = streamed(drawing, sink, blobs)
    assert (pyramid.tiles, found, sink.sent) == (first.tiles, names, [])
    assert scenes.unpacked(blobs.bodies) == scenes.unpacked(whole)
    assert streamer.haul.sent == 0 < streamer.haul.rendered


def test_tiles_of_an_earlier_build_are_packed_and_not_rendered(tmp_path, drawing):
    blobs, sink = scenes.DictBlobs(), Sink(tmp_path / "spool")
    built, _, _ = scenes.rendered(drawing, blobs, jobs=2)
    pyramid, _, streamer, _ = streamed(drawing, sink, blobs)
    assert streamer.renderer.tally.rendered == 0
    assert pyramid.tiles == built.tiles and len(sink.sent) > 4


def test_a_canvas_smaller_than_a_super_block_is_one_archive(tmp_path):
    """Levels then end before the one that a super-block's own tile is on."""
    save_file({"a": np.random.default_rng(0).standard_normal((700, 900)).astype(np.float32)}, tmp_path / "m.safetensors")
    drawing, blobs, sink = scenes.draw(tmp_path / "m.safetensors"), scenes.DictBlobs(), Sink(tmp_path / "spool")
    (placement,) = drawing.canvas.placements
    pieces = tuple(dataclasses.replace(piece, x=piece.x - drawing.canvas.bounds.x) for piece in placement.pieces)
    placed = dataclasses.replace(placement, pieces=pieces)
    bounds = dataclasses.replace(drawing.canvas.bounds, x=0)
    canvas = dataclasses.replace(drawing.canvas, bounds=bounds, placements=(placed,))
    drawing = dataclasses.replace(drawing, canvas=canvas, plan=make_plan(canvas))
    pyramid, names, _, _ = streamed(drawing, sink, blobs)
    assert list(names) == [(0, 0)] and pyramid.levels == 2
    reader = Reader(MemorySource(sink.archives[names[0, 0]]))
    with Image.open(io.BytesIO(reader.get(0, 0, 0))) as image:
        assert image.size == (512, 512)
    pyramid, _, streamer, _ = streamed(drawing, sink, blobs)
    assert (streamer.renderer.tally.rendered, streamer.haul.reused) == (0, 1)


def test_a_sink_that_fails_stops_the_rest(tmp_path, drawing):
    class Broken(Sink):
        def send(self, name, archive, spool):
            if len(self.sent) == 2:
                raise OSError("no")
            super().send(name, archive, spool)

    sink = Broken(tmp_path / "spool")
    with pytest.raises(OSError, match="no"):
        streamed(drawing, sink, scenes.DictBlobs())
    assert len(sink.sent) == 2
    assert list((tmp_path / "spool").iterdir()) == []
