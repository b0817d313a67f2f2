"""Settings in, a site out: the pipeline from checkpoint to pages, readable from top to bottom."""

import os
import time
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

import click

from mwv.adding import Added, Adding
from mwv.aliases import Copies, Heads
from mwv.byte_difference import build_byte_difference
from mwv.byte_page import build_bytes, dry_run_bytes
from mwv.checkpoint.opener import Opener
from mwv.checkpoint.wording import counted
from mwv.differing import build_difference, estimate_difference
from mwv.drawing import Drawing, draw, estimate, room_needed
from mwv.errors import ModelsFailedError, MwvError
from mwv.meeting import Meeting
from mwv.memory import remember_source
from mwv.places import check_room, check_targets, opened_store
from mwv.progress import say
from mwv.pyramid.keys import key_of
from mwv.pyramid.picture import overview, write_picture
from mwv.rendering import Means, render, tile_files
from mwv.report import HubTraffic, ModelReport, Outcome
from mwv.settings import ModelSettings, Settings
from mwv.site.collect import make_model, make_scene
from mwv.site.folder import Base
from mwv.site.model import Label, Model, Place, TileFiles
from mwv.site.text import slugify
from mwv.site.writer import SiteWriter
from mwv.store.store import Store
from mwv.storing import show_stored, stored_files
from mwv.wanted import chosen, known_as, label_of, last_name, open_model, source_date

if TYPE_CHECKING:
    from mwv.upload.stream import Stream


def build(settings: Settings, base: Base | None = None, stream: "Stream | None" = None, outcome: Outcome | None = None) -> None:
    """Build or extend a site. A model that fails does not stop the others; the failures are raised at the end.

    With a `base` that site is extended: what changes in it comes to lie in `settings.destination`, which must be new. With a
    `stream` that leads to the base, tiles go there while they are rendered, and what puts an end to it is raised at once.
    Who gives an `outcome` finds in it what was done, and has to write the report.
    """
    begin = time.monotonic()
    reporting = outcome is None and settings.report is not None
    outcome = Outcome() if outcome is None else outcome
    failed: list[tuple[ModelSettings, Place]] = []
    source_date()  # an impossible one is an error before any work
    check_targets(settings)
    with (
        SiteWriter(settings.destination, base=base) as site,
        opened_store(settings.cache, settings.destination) as store,
        closing(_opener(settings, store)) as opener,
    ):
        means = Means(settings, store, opener, stream)
        for slug in settings.remove:
            site.remove(slug)
        zoo = "" if settings.zoo is None else key_of("zoo", os.path.normpath(settings.zoo.path.absolute()))
        models = chosen(settings.models, opener, outcome.failures)
        unmatched = settings.zoo is not None and bool(settings.zoo.unmatched or outcome.failures)
        for rank, wanted in enumerate(models):
            place = Place(zoo, rank) if zoo else Place()
            try:
                page = _PAGES[wanted.layout == "hilbert", wanted.against is not None]
                outcome.models.append(page(wanted, place, site, means))
            except MwvError as error:
                if stream is not None:
                    stream.check()
                outcome.failures.append(str(error))
                failed.append((wanted, place))
            else:
                say(outcome.models[-1].line())
        if settings.zoo is not None:
            for wanted, place in failed:
                name = wanted.title or PurePath(last_name(wanted.source)).stem
                site.hold(known_as(wanted), wanted.slug or slugify(name), place)
            outcome.failures += settings.zoo.unmatched
            if not unmatched:  # else what is not there now may come back
                outcome.taken_out += site.take_out(zoo)
        meeting = Meeting(store, opener if settings.xorbs else None)
        drawn = show_stored(site, store, settings.jobs, meeting)
        if meeting.sent:
            say(
                f"xorbs: {counted(meeting.sent, 'chunk hash')} of files of this machine sent to the Hub, to find where they lie"
            )
        if drawn.rendered or drawn.reused:
            outcome.stored = drawn
            say(f"xorbs and sharing: {drawn.rendered:,} tiles rendered, {drawn.reused:,} reused")
        done = site.finish(None if settings.zoo is None else settings.zoo.title)
        for warning in store.warnings:
            say(f"warning: {warning}")
    outcome.hub = HubTraffic(*opener.fetched)
    if outcome.taken_out or len(models) > 1:
        say(outcome.line(time.monotonic() - begin))
    if base is None and done.models and not outcome.failures:
        counts = (len(done.models) - done.differences, "model"), (done.differences, "difference")
        there = " and ".join(counted(count, noun) for count, noun in counts if count)
        say(f"{settings.destination / 'index.html'}: {there}; open it, or: mwv serve {settings.destination}")
    if reporting and settings.report is not None:
        outcome.write(settings.report, time.monotonic() - begin)
    if outcome.failures:
        raise ModelsFailedError(outcome.failures, len(outcome.models) + len(outcome.failures))


def dry_run(settings: Settings) -> None:
    """Print what a build would do, from headers alone."""
    failures: list[str] = []
    with closing(Opener(say, download=settings.download)) as opener:
        for wanted in chosen(settings.models, opener, failures):
            if wanted.layout == "hilbert" and wanted.against is not None:
                names = last_name(wanted.against), last_name(wanted.source)
                click.echo(f"{names[0]} → {names[1]}: what the page of bytes takes is known when both are read")
            elif wanted.layout == "hilbert":
                dry_run_bytes(wanted, settings, opener)
            elif wanted.against is not None:
                click.echo(estimate_difference(wanted, opener))
            else:
                click.echo(estimate(draw(open_model(wanted.source, opener), wanted), settings))
    if failures:
        raise ModelsFailedError(failures, len(settings.models))


def _opener(settings: Settings, store: Store) -> Opener:
    """What opens the models; it knows of the Hub what the cache remembers."""
    return Opener(say, Heads(store), Copies(store).find, settings.download)


def build_model(wanted: ModelSettings, place: Place, site: SiteWriter, means: Means) -> ModelReport:
    """Render one checkpoint and add it to the site, unless the site has it already as it would become."""
    adding = Adding(place, site, means)
    checkpoint = open_model(wanted.source, means.opener)
    label = label_of(wanted, checkpoint, place, means.settings)
    inputs = adding.memory.inputs(checkpoint, asdict(replace(label, place=Place())))

    def add() -> Added:
        drawing = draw(checkpoint, wanted)
        check_room(checkpoint.name, room_needed(drawing, means.settings), means.settings)
        added = _added(drawing, label, adding)
        remember_source(means.store, label.identity, checkpoint.pinned.address if checkpoint.pinned else wanted.source)
        Copies(means.store).note(checkpoint.shards)
        return added

    return adding.run(label, inputs, add)


def _added(drawing: Drawing, label: Label, adding: Adding) -> Added:
    """The page of a drawing, in the site."""
    means, memory = adding.means, adding.memory
    settings, store = means.settings, means.store
    rendering = render(drawing, means, memory)
    canvas, pyramid = drawing.canvas, rendering.pyramid
    scene = make_scene(drawing.shown, canvas, pyramid)
    if rendering.streamed is not None:
        scene, tiles = replace(scene, archives=rendering.streamed.archives), TileFiles("png", mode="pmtiles")
    else:
        scene, tiles = tile_files(scene, pyramid, means)
    if settings.png is not None:
        write_picture(pyramid, canvas, store.get, settings.png, settings.png_size)
    files = stored_files(drawing.checkpoint, memory, settings.jobs, rendering.traffic) if settings.xorbs else ()
    model = make_model(drawing.checkpoint, drawing.shown, scene, rendering.learnt, label, files)
    slug = adding.site.add_model(model, tiles, overview(pyramid, canvas, store, settings.tile_format))
    haul = None if rendering.streamed is None else rendering.streamed.haul
    elements = sum(model.dtypes.values())
    return Added(model, slug, elements, rendering.tally, rendering.traffic, _damaged(model), haul)


def _damaged(model: Model) -> int:
    """Tensors with NaN or infinite elements."""
    return sum(any(stats.nan or stats.inf for stats in row.stats) for row in model.tensors)


_PAGES: Final = {
    (False, False): build_model,
    (False, True): build_difference,
    (True, False): build_bytes,
    (True, True): build_byte_difference,
}
"""What makes a page: of bytes or not, a comparison or not."""
