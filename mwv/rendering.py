"""A drawing in; its tiles in the form that was asked for, and what was learnt on the way about its tensors, out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mwv.checkpoint.opener import Opener
from mwv.decode.open import expect
from mwv.drawing import Drawing
from mwv.errors import SourceChangedError
from mwv.memory import Memory
from mwv.progress import progress
from mwv.pyramid.paint import OVERVIEW_WINDOW, paint
from mwv.pyramid.picture import overview_level
from mwv.pyramid.plan import TileId
from mwv.pyramid.render import Pyramid, Renderer, Tally
from mwv.pyramid.survey import Subject, Survey, Traffic
from mwv.settings import Settings
from mwv.site.collect import Learnt
from mwv.site.model import Scene, TileFiles
from mwv.site.text import size
from mwv.store.store import Store

if TYPE_CHECKING:
    from mwv.pyramid.archive import ArchivePlace
    from mwv.pyramid.stream import Haul
    from mwv.upload.stream import Stream

_BUFFER: Final = 96 << 20
_BUFFER_PER_JOB: Final = 80 << 20
"""Bytes of tensors kept between hashing and drawing; a job needs about 60 MiB beside its share."""

_STREAM_BUFFER_PER_JOB: Final = 160 << 20
"""A super-block of 8,192 rows is hashed before it is drawn: here are 8,192 columns of it in 16 bits, and more."""


@dataclass(frozen=True)
class Streamed:
    """What was streamed of a rendering."""

    archives: "Mapping[ArchivePlace, str]"
    haul: "Haul"


@dataclass(frozen=True, eq=False)
class Rendering:
    """The tiles of a drawing, and what was learnt about its tensors."""

    pyramid: Pyramid
    learnt: tuple[Learnt | None, ...]
    """One per placement."""
    tally: Tally
    traffic: Traffic
    streamed: Streamed | None = None


@dataclass(frozen=True, eq=False)
class Means:
    """What the models of a build are rendered with."""

    settings: Settings
    store: Store
    opener: Opener
    stream: "Stream | None"


def render(drawing: Drawing, means: Means, memory: Memory) -> Rendering:
    """Render what the cache lacks, or the target of a stream.

    If a file proves not to be what was remembered about it, once more without memory.
    """
    try:
        return _render(drawing, memory.recall(drawing.subjects), means, memory)
    except SourceChangedError:
        for shard in drawing.checkpoint.shards:
            shard.check_unchanged()
        return _render(drawing, drawing.subjects, means, memory)


def _render(drawing: Drawing, subjects: Sequence[Subject | None], means: Means, memory: Memory) -> Rendering:
    store, stream, jobs = means.store, means.stream, means.settings.jobs
    unknown = (subject for subject in subjects if subject is not None and subject.digests is None)
    expect(extent for subject in unknown for extent in subject.tensor.extents)
    survey = Survey(subjects, store, _BUFFER + jobs * (_BUFFER_PER_JOB if stream is None else _STREAM_BUFFER_PER_JOB))

    def learn(index: int) -> None:
        if (subject := subjects[index]) is not None:
            memory.note(subject, *survey.result(index))

    survey.learnt = learn
    streamed: Streamed | None = None
    with progress(drawing.checkpoint.name, drawing.plan.tile_count, beside=fetching(means.opener)) as advance:
        renderer = Renderer(drawing.plan, survey, store, advance)
        if stream is None:
            pyramid = renderer.run(jobs)
        else:
            from mwv.pyramid.stream import Streamer  # late: loads pmtiles

            streamer = Streamer(renderer, stream, overview_level(drawing.canvas, drawing.plan.levels))
            pyramid, archives = streamer.run(jobs)
            streamed = Streamed(archives, streamer.haul)
    learnt = tuple(None if subject is None else survey.result(i) for i, subject in enumerate(subjects))
    for shard in drawing.checkpoint.shards:
        shard.check_unchanged()
    memory.settle()
    return Rendering(pyramid, learnt, renderer.tally, survey.traffic, streamed)


def tile_files(scene: Scene, pyramid: Pyramid, means: Means) -> tuple[Scene, TileFiles]:
    """Bring tiles into the form that was asked for: codes or pictures, single files or archives."""
    settings, store = means.settings, means.store
    png = frozenset(scene.tiles.values())
    if settings.tile_format == "avif":
        pictures = paint(pyramid, scene.window, store, settings.jobs)
        scene, png = replace(scene, tiles=pictures.tiles), pictures.png
    if settings.tiles == "pmtiles":
        all_png = len(png) == len(set(scene.tiles.values()))
        scene = replace(scene, archives=archived(scene.tiles, scene.levels, all_png, means))
    files = (scene.archives if settings.tiles == "pmtiles" else scene.tiles).values()
    paths = {key: store.path(key) for key in files}
    picture = settings.tile_format == "avif"
    return scene, TileFiles(
        settings.tile_format,
        paths,
        settings.tiles,
        png if picture else frozenset(),
        (scene.window, OVERVIEW_WINDOW) if picture else (),
        store.made & paths.keys(),
    )


def archived(tiles: Mapping[TileId, str], levels: int, png: bool, means: Means) -> "dict[ArchivePlace, str]":
    """Put tiles into archives; the key of each by place."""
    from mwv.pyramid.archive import archives  # late: loads pmtiles

    return archives(tiles, levels, png, means.store, means.settings.jobs)


def fetching(opener: Opener) -> Callable[[], str]:
    """What progress says of the Hub: nothing as long as it is not asked."""
    return lambda: f", {size(opener.fetched[1])} fetched" if opener.fetched[0] else ""
