"""Files of any kind in, a page of their bytes along a Hilbert curve in the site out: `--layout hilbert`."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final, Literal

import click

from mwv.checkpoint.opener import Opener
from mwv.checkpoint.stream import STDIN, Stream
from mwv.checkpoint.wording import counted
from mwv.errors import LostError, SourceChangedError, UsageError
from mwv.hub.address import Address, Origin
from mwv.layout.hilbert import MOST_BYTES, Curve
from mwv.memory import Memory
from mwv.places import check_room, spare_place
from mwv.progress import progress, say
from mwv.pyramid.byte_content import VERSION, ByteContent, Learnt
from mwv.pyramid.byte_palette import byte_tables
from mwv.pyramid.bytes import BYTES, ENTROPY
from mwv.pyramid.keys import key_of
from mwv.pyramid.picture import Look, overview, write_picture
from mwv.pyramid.plan import BLOCK_LEVEL
from mwv.pyramid.render import Pyramid, Renderer, Tally, for_all
from mwv.pyramid.survey import Traffic
from mwv.rendering import Means, archived, fetching
from mwv.report import HubTraffic, ModelFacts, ModelReport
from mwv.settings import ModelSettings, Settings
from mwv.site.model import ByteFile, ByteScene, Label, Model, Place, TensorRow, TileFiles
from mwv.site.text import size, slugify
from mwv.site.writer import SiteWriter
from mwv.store.scratch import scratch_folder
from mwv.store.store import prepare
from mwv.wanted import last_name, source_date

_ROOM: Final = 24 << 20
"""Bytes of files that are held for each thread: a block has 16 MiB."""
_SITE_BYTES: Final = 1.6
"""Bytes of a site, and of sums in the cache, for each byte of noise; text takes less."""
_KINDS: Final = (BYTES, ENTROPY)
_TITLES: Final = {"bytes": "Bytes", "entropy": "Entropy"}


def build_bytes(wanted: ModelSettings, place: Place, site: SiteWriter, means: Means) -> ModelReport:
    """Render files and add their page to the site, unless the site has it already as it would become."""
    begin, fetched = time.monotonic(), means.opener.fetched
    memory = Memory(means.store)
    with ExitStack() as stack:
        stream = _opened(wanted, means.opener, _spool(means.settings, stack))
        label = _label(wanted, stream, place, means.settings)
        inputs = memory.inputs(stream.checkpoint(label.title), stream.names, asdict(replace(label, place=Place())))
        known = memory.outcome(inputs) if inputs is not None and means.settings.png is None else None
        slug = None if known is None else site.keep(label.identity, label.slug, known["seal"], place)
        if slug is not None and known is not None:
            facts = ModelFacts(**known["facts"])
            tally, traffic = Tally(reused=facts.tiles), Traffic()
        else:
            check_room(label.title, int(stream.length * _SITE_BYTES), means.settings)
            try:
                model, slug, tally, traffic = _added(stream, label, site, means, memory)
            except LostError:  # a damaged result came to light, and there may be more
                means.store.distrust()
                model, slug, tally, traffic = _added(stream, label, site, means, memory)
            facts = ModelFacts.of(model, model.nbytes)
            if inputs is not None:
                memory.remember_outcome(inputs, {"seal": site.seal(slug), "facts": asdict(facts)})
    hub = HubTraffic.since(fetched, means.opener.fetched)
    return ModelReport(facts, slug, site.change(slug), tally, traffic, hub, time.monotonic() - begin)


def dry_run_bytes(wanted: ModelSettings, settings: Settings, opener: Opener) -> None:
    """Print what a build would do."""
    with ExitStack() as stack:
        stream = _opened(wanted, opener, _spool(settings, stack))
        content = ByteContent(stream)
        bounds, plan = content.canvas.bounds, content.plan
        click.echo(f"{_title(wanted, stream)}: {counted(len(stream.sources), 'file')}, {size(stream.length)}")
        click.echo(f"  canvas  {bounds.width:,} × {bounds.height:,} pixels, {counted(plan.levels, 'level')}")
        click.echo(f"  tiles   {plan.tile_count * len(_KINDS):,} in {counted(len(_KINDS), 'scene')}")
        click.echo(f"  site    at most about {size(int(stream.length * _SITE_BYTES))}, with what is kept in the cache")


def _spool(settings: Settings, stack: ExitStack) -> Callable[[], Path]:
    """Makes a folder for what comes through a pipe, when it is called, until `stack` ends: in the cache, or beside the site."""

    def folder() -> Path:
        places = [spare_place(settings.destination)]
        if settings.cache is not None:
            with suppress(OSError):
                prepare(settings.cache)
                places.insert(0, settings.cache)
        return stack.enter_context(scratch_folder(*places))

    return folder


def _opened(wanted: ModelSettings, opener: Opener, folder: Callable[[], Path]) -> Stream:
    stream = opener.stream((wanted.source, *wanted.more), folder)
    if stream.length > MOST_BYTES:
        most = f"{size(stream.length)} are more than the {size(MOST_BYTES)} that can be shown"
        raise UsageError(f"{_title(wanted, stream)}: {most}")
    for line in stream.left_out:
        say(f"left out {line}")
    return stream


def _title(wanted: ModelSettings, stream: Stream) -> str:
    if wanted.title:
        return wanted.title
    name = "stdin" if wanted.source == STDIN else last_name(wanted.source)
    if not wanted.more:
        return name
    return ", ".join(stream.names) if len(stream.names) <= 3 else f"{name} and {counted(len(stream.names) - 1, 'more file')}"


def _place(origin: Origin) -> str:
    return str(origin) if isinstance(origin, Address) else os.path.normpath(origin.absolute())


def _label(wanted: ModelSettings, stream: Stream, place: Place, settings: Settings) -> Label:
    """What is said about a page of bytes; the places of all that was named tell it from others, and from a model's page."""
    title, pinned = _title(wanted, stream), stream.pinned
    chosen = () if wanted.slug is None else (wanted.slug,)
    how = (wanted.title, wanted.tags, wanted.group, wanted.url, settings.tiles)
    return Label(
        slug=wanted.slug or slugify(title),
        title=title,
        source=title if wanted.more or wanted.source == STDIN else last_name(wanted.source),
        identity=key_of("bytes of", [_place(origin) for origin in (wanted.source, *wanted.more)], *chosen),
        url=wanted.url or (pinned.files if pinned else ""),
        page=pinned.page if pinned else "",
        date=source_date() or (pinned.date if pinned else None),
        tags=wanted.tags,
        group=wanted.group,
        options=key_of("options", "hilbert", how),
        place=place,
    )


def _added(stream: Stream, label: Label, site: SiteWriter, means: Means, memory: Memory) -> tuple[Model, str, Tally, Traffic]:
    """The model of a page, its slug, and what rendering it took; raises LostError if the cache loses a result on the way."""
    settings, store = means.settings, means.store
    content, pyramids, tally = _render(stream, label, means, memory)
    files = _files(stream, content.learnt())
    scenes: list[ByteScene] = []
    paths: dict[str, Path] = {}
    for kind, pyramid in zip(_KINDS, pyramids, strict=True):
        layout = key_of("layout", kind.name, [file.size for file in files])
        scene = ByteScene(_kind(kind.name), _TITLES[kind.name], content.canvas, layout, pyramid.levels, pyramid.tiles, files)
        if settings.tiles == "pmtiles":
            scene = replace(scene, archives=archived(scene.tiles, scene.levels, True, means))
        shown = (scene.archives if settings.tiles == "pmtiles" else scene.tiles).values()
        paths.update((key, store.path(key)) for key in shown)
        scenes.append(scene)
    tiles = TileFiles("png", paths, settings.tiles, fresh=frozenset(store.made & paths.keys()))
    look = _look(stream)
    if settings.png is not None:
        write_picture(pyramids[0], content.canvas, store.get, settings.png, settings.png_size, look)
    model = _model(stream, label, files, tuple(scenes))
    picture = overview(pyramids[0], content.canvas, store, "png", look)
    return model, site.add_model(model, tiles, picture), tally, content.traffic


def _look(stream: Stream) -> Look:
    curve = Curve(stream.length)
    rest = curve.squares(stream.length, curve.width * curve.height)
    return Look(byte_tables()[0].array(), tuple((square.x, square.y, square.side) for square in rest))


def _kind(name: str) -> Literal["bytes", "entropy"]:
    return "bytes" if name == "bytes" else "entropy"


def _render(stream: Stream, label: Label, means: Means, memory: Memory) -> tuple[ByteContent, list[Pyramid], Tally]:
    """Both scenes, block by block, so that every byte is read once; again without memory if that proves wrong."""
    body = memory.stream(stream.sources, VERSION)
    try:
        known = None if body is None else Learnt.from_bytes(body)
    except ValueError:
        known = None
    try:
        return _drawn(stream, known, label, means, memory)
    except SourceChangedError:
        for source in stream.sources:
            source.check_unchanged()
        return _drawn(stream, None, label, means, memory)


def _drawn(
    stream: Stream, known: Learnt | None, label: Label, means: Means, memory: Memory
) -> tuple[ByteContent, list[Pyramid], Tally]:
    jobs = means.settings.jobs
    content = ByteContent(stream, known, jobs * _ROOM)
    content.expect_all()
    tally = Tally()
    with progress(label.title, content.plan.tile_count * len(_KINDS), beside=fetching(means.opener)) as advance:

        def tiles_only(tiles: int, elements: int) -> None:  # a byte counts once, though two scenes show it
            del elements
            advance(tiles, 0)

        told = (advance, tiles_only)
        renderers = [
            Renderer(content.plan, content, means.store, tell, kind, tally) for tell, kind in zip(told, _KINDS, strict=True)
        ]

        def block(at: tuple[int, int]) -> None:
            for renderer in renderers:
                renderer.block(at)
            content.done(at)

        for_all(jobs, block, content.blocks())
        pyramids = [renderer.finish(jobs, BLOCK_LEVEL) for renderer in renderers]
    for source in stream.sources:
        source.check_unchanged()
    memory.remember_stream(stream.sources, VERSION, content.learnt().to_bytes())
    return content, pyramids, tally


def _files(stream: Stream, learnt: Learnt) -> tuple[ByteFile, ...]:
    found = zip(stream.names, stream.sources, learnt.files, learnt.counts.tolist(), strict=True)
    return tuple(ByteFile(name, source.size, digest.hex(), tuple(counts)) for name, source, digest, counts in found)


def _model(stream: Stream, label: Label, files: tuple[ByteFile, ...], scenes: tuple[ByteScene, ...]) -> Model:
    rows = tuple(TensorRow(file.name, "bytes", (file.size,), file.name, 0, file.size, file.digest, ()) for file in files)
    return Model(
        **vars(label),
        format="bytes",
        architecture="",
        parameters=0,
        nbytes=stream.length,
        dtypes={},
        facts={},
        metadata={},
        tensors=rows,
        scenes=scenes,
        notes=tuple(f"Left out: {line}" for line in stream.left_out),
    )
