"""Files of any kind in, a page of their bytes along a Hilbert curve in the site out: `--layout hilbert`."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import click

from mwv.adding import Added, Adding
from mwv.byte_scenes import byte_files, byte_model, draw, layout_digest, look, with_tiles
from mwv.checkpoint.opener import Opener
from mwv.checkpoint.stream import STDIN, Stream
from mwv.checkpoint.wording import counted
from mwv.errors import UsageError
from mwv.hub.address import Origin, Pinned
from mwv.layout.hilbert import MOST_BYTES
from mwv.places import check_room, spare_place
from mwv.progress import say
from mwv.pyramid.byte_content import ByteContent
from mwv.pyramid.byte_palette import byte_tables
from mwv.pyramid.bytes import BYTES, ENTROPY
from mwv.pyramid.keys import key_of
from mwv.pyramid.picture import overview, write_picture
from mwv.rendering import Means
from mwv.report import ModelReport
from mwv.settings import ModelSettings, Settings
from mwv.site.model import ByteScene, Label, Place
from mwv.site.text import size, slugify
from mwv.site.writer import SiteWriter
from mwv.store.scratch import scratch_folder
from mwv.store.store import prepare
from mwv.wanted import byte_identity, last_name, source_date

_SITE_BYTES: Final = 1.6
"""Bytes of a site, and of sums in the cache, for each byte of noise; text takes less."""
_SCENES: Final = {"Bytes": BYTES, "Entropy": ENTROPY}
"""What a page shows, by titles."""


def build_bytes(wanted: ModelSettings, place: Place, site: SiteWriter, means: Means) -> ModelReport:
    """Render files and add their page to the site, unless the site has it already as it would become."""
    adding = Adding(place, site, means)
    with ExitStack() as stack:
        stream = _opened(wanted, means.opener, spool(means.settings, stack))
        label = byte_label(wanted, _title(wanted, stream), stream.pinned, place, means.settings)
        inputs = adding.memory.inputs(stream.checkpoint(label.title), stream.names, asdict(replace(label, place=Place())))

        def add() -> Added:
            check_room(label.title, int(stream.length * _SITE_BYTES), means.settings)
            return _added(stream, label, adding)

        return adding.run(label, inputs, add)


def dry_run_bytes(wanted: ModelSettings, settings: Settings, opener: Opener) -> None:
    """Print what a build would do."""
    with ExitStack() as stack:
        stream = _opened(wanted, opener, spool(settings, stack))
        content = ByteContent(stream)
        bounds, plan = content.canvas.bounds, content.plan
        click.echo(f"{_title(wanted, stream)}: {counted(len(stream.sources), 'file')}, {size(stream.length)}")
        click.echo(f"  canvas  {bounds.width:,} × {bounds.height:,} pixels, {counted(plan.levels, 'level')}")
        click.echo(f"  tiles   {plan.tile_count * len(_SCENES):,} in {counted(len(_SCENES), 'scene')}")
        click.echo(f"  site    at most about {size(int(stream.length * _SITE_BYTES))}, with what is kept in the cache")


def spool(settings: Settings, stack: ExitStack) -> Callable[[], Path]:
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
    check_length(_title(wanted, stream), stream.length)
    for line in stream.left_out:
        say(f"left out {line}")
    return stream


def check_length(title: str, length: int) -> None:
    """Raise UsageError for more bytes than can be shown."""
    if length > MOST_BYTES:
        raise UsageError(f"{title}: {size(length)} are more than the {size(MOST_BYTES)} that can be shown")


def called(origin: Origin) -> str:
    """What pages call what was named."""
    return "stdin" if origin == STDIN else last_name(origin)


def _title(wanted: ModelSettings, stream: Stream) -> str:
    if wanted.title:
        return wanted.title
    name = called(wanted.source)
    if not wanted.more:
        return name
    return ", ".join(stream.names) if len(stream.names) <= 3 else f"{name} and {counted(len(stream.names) - 1, 'more file')}"


def byte_label(wanted: ModelSettings, title: str, pinned: Pinned | None, place: Place, settings: Settings) -> Label:
    """What is said about a page of bytes; `pinned` is where all of it lies on the Hub, if in one place."""
    how = (wanted.title, wanted.tags, wanted.group, wanted.url, settings.tiles)
    return Label(
        slug=wanted.slug or slugify(title),
        title=title,
        source=title if wanted.more or wanted.source == STDIN else last_name(wanted.source),
        identity=byte_identity(wanted),
        url=wanted.url or (pinned.files if pinned else ""),
        page=pinned.page if pinned else "",
        date=source_date() or (pinned.date if pinned else None),
        tags=wanted.tags,
        group=wanted.group,
        options=key_of("options", "hilbert", how),
        place=place,
    )


def _added(stream: Stream, label: Label, adding: Adding) -> Added:
    """The page, in the site; raises LostError if the cache loses a result on the way."""
    means = adding.means
    settings, store = means.settings, means.store
    drawn = draw(label.title, (stream,), lambda own: [(own[0], kind) for kind in _SCENES.values()], means, adding.memory)
    files = byte_files(stream, drawn.learnt[0])
    scenes, tiles = with_tiles(
        [
            ByteScene(kind.name, title, drawn.canvas, layout_digest(kind.name, stream), pyramid.levels, pyramid.tiles, files)
            for (title, kind), pyramid in zip(_SCENES.items(), drawn.pyramids, strict=True)
        ],
        means,
    )
    seen = look(byte_tables()[0], stream.length)
    if settings.png is not None:
        write_picture(drawn.pyramids[0], drawn.canvas, store.get, settings.png, settings.png_size, seen)
    model = byte_model(label, scenes, stream.length, stream.left_out)
    slug = adding.site.add_model(model, tiles, overview(drawn.pyramids[0], drawn.canvas, store, "png", seen))
    return Added(model, slug, model.nbytes, drawn.tally, drawn.traffic)
