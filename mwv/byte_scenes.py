"""Streams of bytes in, their scenes out, drawn together block by block, so that every byte is read once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mwv.checkpoint.stream import Stream
from mwv.errors import SourceChangedError
from mwv.layout.canvas import Canvas
from mwv.layout.hilbert import Curve
from mwv.memory import Memory
from mwv.progress import progress
from mwv.pyramid.byte_content import VERSION, ByteContent, Learnt
from mwv.pyramid.byte_palette import Table
from mwv.pyramid.keys import key_of
from mwv.pyramid.kind import Content, Kind
from mwv.pyramid.picture import Look
from mwv.pyramid.plan import BLOCK_LEVEL
from mwv.pyramid.render import Pyramid, Renderer, Tally, for_all
from mwv.pyramid.survey import Traffic
from mwv.rendering import Means, archived, fetching
from mwv.site.byte_scene import byte_rows
from mwv.site.model import ByteFile, ByteScene, Label, Model, TileFiles

_ROOM: Final = 24 << 20
"""Bytes of files that are held for each thread: a block has 16 MiB."""

Shown = tuple[Content, Kind[Any, Any]]
"""What a scene shows, and how."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Scenes on one canvas."""

    canvas: Canvas
    learnt: tuple[Learnt, ...]
    """One for each stream."""
    pyramids: tuple[Pyramid, ...]
    """One for each scene."""
    tally: Tally
    traffic: Traffic


def draw(
    title: str,
    streams: Sequence[Stream],
    scenes: Callable[[Sequence[ByteContent]], Sequence[Shown]],
    means: Means,
    memory: Memory,
) -> Drawn:
    """Draw what `scenes` makes of the contents of streams of one length; if memory proves wrong, once more without it."""
    try:
        return _draw(title, streams, [_known(stream, memory) for stream in streams], scenes, means, memory)
    except SourceChangedError:
        for stream in streams:
            stream.check_unchanged()
        return _draw(title, streams, [None] * len(streams), scenes, means, memory)


def _known(stream: Stream, memory: Memory) -> Learnt | None:
    body = memory.stream(stream.sources, (VERSION, stream.form))
    try:
        return None if body is None else Learnt.from_bytes(body)
    except ValueError:
        return None


def _draw(
    title: str,
    streams: Sequence[Stream],
    known: Sequence[Learnt | None],
    scenes: Callable[[Sequence[ByteContent]], Sequence[Shown]],
    means: Means,
    memory: Memory,
) -> Drawn:
    jobs = means.settings.jobs
    contents = [ByteContent(stream, learnt, jobs * _ROOM) for stream, learnt in zip(streams, known, strict=True)]
    for content in contents:
        content.expect_all()
    shown, plan, tally = scenes(contents), contents[0].plan, Tally()
    with progress(title, plan.tile_count * len(shown), beside=fetching(means.opener)) as advance:

        def tiles_only(tiles: int, elements: int) -> None:  # a byte counts once, though several scenes show it
            del elements
            advance(tiles, 0)

        renderers = [
            Renderer(plan, content, means.store, tiles_only if i else advance, kind, tally)
            for i, (content, kind) in enumerate(shown)
        ]

        def block(at: tuple[int, int]) -> None:
            for renderer in renderers:
                renderer.block(at)
            for content in contents:
                content.done(at)

        for_all(jobs, block, contents[0].blocks())
        pyramids = tuple(renderer.finish(jobs, BLOCK_LEVEL) for renderer in renderers)
    traffic = Traffic()
    for stream, content in zip(streams, contents, strict=True):
        stream.check_unchanged()
        memory.remember_stream(stream.sources, (VERSION, stream.form), content.learnt().to_bytes())
        traffic.add(content.traffic)
    return Drawn(contents[0].canvas, tuple(content.learnt() for content in contents), pyramids, tally, traffic)


def byte_files(stream: Stream, learnt: Learnt) -> tuple[ByteFile, ...]:
    """What pages say of the files of a stream."""
    found = zip(stream.names, stream.sources, stream.lengths, learnt.files, learnt.counts.tolist(), strict=True)
    return tuple(
        ByteFile(name, length, source.size, digest.hex(), tuple(counts)) for name, source, length, digest, counts in found
    )


def byte_model(label: Label, scenes: Sequence[ByteScene], nbytes: int, left_out: Sequence[str]) -> Model:
    """A page of bytes: its tensors are the files of its first scene; `nbytes` are in all of them."""
    return Model(
        **vars(label),
        format="bytes",
        architecture="",
        parameters=0,
        nbytes=nbytes,
        dtypes={},
        facts={},
        metadata={},
        tensors=byte_rows(scenes[0].files),
        scenes=tuple(scenes),
        notes=tuple(f"Left out: {line}" for line in left_out),
    )


def with_tiles(scenes: Sequence[ByteScene], means: Means) -> tuple[list[ByteScene], TileFiles]:
    """Bring tiles into the form that was asked for: single files or archives."""
    settings, store = means.settings, means.store
    if settings.tiles == "pmtiles":
        scenes = [replace(scene, archives=archived(scene.tiles, scene.levels, True, means)) for scene in scenes]
    keys = [key for scene in scenes for key in (scene.archives if settings.tiles == "pmtiles" else scene.tiles).values()]
    paths: Mapping[str, Path] = {key: store.path(key) for key in keys}
    return list(scenes), TileFiles("png", paths, settings.tiles, fresh=frozenset(store.made & paths.keys()))


def layout_digest(what: str, stream: Stream) -> str:
    """Equal for scenes that show the same in which every file stands at the same place."""
    return key_of("layout", what, stream.lengths)


def look(table: Table, length: int) -> Look:
    """How pictures of so many bytes are coloured."""
    curve = Curve(length)
    rest = curve.squares(length, curve.width * curve.height)
    colours = table.array()
    colours[0] = colours[1]  # holes look like what is the same, or like zeros
    return Look(colours, tuple((square.x, square.y, square.side) for square in rest))
