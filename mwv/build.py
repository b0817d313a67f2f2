"""Settings in, a site out: the pipeline from checkpoint to pages, readable from top to bottom."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

import click

from mwv.aliases import Copies, Heads
from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.opener import Opener
from mwv.checkpoint.wording import counted
from mwv.decode.open import expect
from mwv.drawing import Drawing, draw, estimate, room_needed
from mwv.errors import (
    LostError,
    ModelsFailedError,
    MwvError,
    SiteError,
    SourceChangedError,
    StoreError,
    UsageError,
)
from mwv.hub.address import Address, Origin
from mwv.layout.canvas import Canvas
from mwv.memory import Memory, remember_source
from mwv.progress import progress, say
from mwv.pyramid.keys import key_of
from mwv.pyramid.paint import OVERVIEW_WINDOW, paint
from mwv.pyramid.picture import overview, overview_level, write_picture
from mwv.pyramid.render import Pyramid, Renderer, Tally
from mwv.pyramid.survey import Subject, Survey, Traffic
from mwv.report import REPORT_HEAD, HubTraffic, ModelFacts, ModelReport, Outcome
from mwv.settings import ModelSettings, Settings
from mwv.site.collect import Learnt, make_model, make_scene
from mwv.site.folder import Base
from mwv.site.identity import identities, identity_of
from mwv.site.model import Label, Model, Place, Scene, TileFiles
from mwv.site.text import size, slugify
from mwv.site.writer import SiteWriter
from mwv.store.blob import PNG_SIGNATURE
from mwv.store.scratch import Scratch, sweep
from mwv.store.store import Store
from mwv.storing import show_stored, stored_files

if TYPE_CHECKING:
    from mwv.pyramid.archive import Place as ArchivePlace
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
    """What the models of a build have in common."""

    settings: Settings
    site: SiteWriter
    store: Store
    opener: Opener
    stream: "Stream | None"


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
    _source_date()  # an impossible one is an error before any work
    _check_targets(settings)
    with (
        SiteWriter(settings.destination, base=base) as site,
        _store(settings) as store,
        closing(_opener(settings, store)) as opener,
    ):
        means = Means(settings, site, store, opener, stream)
        for slug in settings.remove:
            site.remove(slug)
        zoo = "" if settings.zoo is None else key_of("zoo", os.path.normpath(settings.zoo.path.absolute()))
        chosen = _expanded(settings.models, opener, outcome.failures)
        unmatched = settings.zoo is not None and bool(settings.zoo.unmatched or outcome.failures)
        for rank, wanted in enumerate(chosen):
            place = Place(zoo, rank) if zoo else Place()
            try:
                outcome.models.append(build_model(wanted, place, means))
            except MwvError as error:
                if stream is not None:
                    stream.check()
                outcome.failures.append(str(error))
                failed.append((wanted, place))
            else:
                say(outcome.models[-1].line())
        if settings.zoo is not None:
            for wanted, place in failed:
                name = wanted.title or PurePath(_last(wanted.source)).stem
                site.hold(identities(wanted.source, wanted.slug), wanted.slug or slugify(name), place)
            outcome.failures += settings.zoo.unmatched
            if not unmatched:  # else what is not there now may come back
                outcome.taken_out += site.take_out(zoo)
        drawn = show_stored(site, store, settings.jobs)
        if drawn.rendered or drawn.reused:
            outcome.stored = drawn
            say(f"xorbs and sharing: {drawn.rendered:,} tiles rendered, {drawn.reused:,} reused")
        done = site.finish(None if settings.zoo is None else settings.zoo.title)
        for warning in store.warnings:
            say(f"warning: {warning}")
    outcome.hub = HubTraffic(*opener.fetched)
    if outcome.taken_out or len(chosen) > 1:
        say(outcome.line(time.monotonic() - begin))
    if base is None and done.models and not outcome.failures:
        models = counted(len(done.models), "model")
        say(f"{settings.destination / 'index.html'}: {models}; open it, or: mwv serve {settings.destination}")
    if reporting and settings.report is not None:
        outcome.write(settings.report, time.monotonic() - begin)
    if outcome.failures:
        raise ModelsFailedError(outcome.failures, len(outcome.models) + len(outcome.failures))


def dry_run(settings: Settings) -> None:
    """Print what a build would do, from headers alone."""
    failures: list[str] = []
    with closing(Opener(say, download=settings.download)) as opener:
        for wanted in _expanded(settings.models, opener, failures):
            click.echo(estimate(draw(open_model(wanted, opener), wanted), settings))
    if failures:
        raise ModelsFailedError(failures, len(settings.models))


def _opener(settings: Settings, store: Store) -> Opener:
    """What opens the models; it knows of the Hub what the cache remembers."""
    return Opener(say, Heads(store), Copies(store).find, settings.download)


def _expanded(models: Sequence[ModelSettings], opener: Opener, failures: list[str]) -> list[ModelSettings]:
    """The models, for each address on the Hub with a pattern those that it names and no other does; notes what fails."""
    taken = {model.source for model in models}
    found: list[ModelSettings] = []
    for model in models:
        if not isinstance(model.source, Address):
            found.append(model)
            continue
        try:
            matches = opener.expand(model.source)
        except MwvError as error:
            failures.append(str(error))
            continue
        named = [key for key in ("title", "slug", "url") if getattr(model, key)]
        if len(matches) > 1 and named:
            raise UsageError(f"{model.source}: {named[0]} is for one model, and {len(matches)} match")
        found += [replace(model, source=place) for place in matches if place == model.source or place not in taken]
        taken.update(matches)
    return found


def build_model(wanted: ModelSettings, place: Place, means: Means) -> ModelReport:
    """Render one checkpoint and add it to the site, unless the site has it already as it would become."""
    settings, site, store, opener = means.settings, means.site, means.store, means.opener
    begin, fetched = time.monotonic(), opener.fetched
    memory = Memory(store)
    checkpoint = open_model(wanted, opener)

    def report(facts: ModelFacts, slug: str, tally: Tally, traffic: Traffic, haul: "Haul | None" = None) -> ModelReport:
        requests, nbytes = (after - before for after, before in zip(opener.fetched, fetched, strict=True))
        hub = HubTraffic(requests, nbytes)
        return ModelReport(facts, slug, site.change(slug), tally, traffic, hub, time.monotonic() - begin, haul)

    label = _label(wanted, checkpoint, place, settings)
    inputs = memory.inputs(checkpoint, asdict(replace(label, place=Place())))
    known = memory.outcome(inputs) if inputs is not None and settings.png is None else None
    if known is not None and (slug := site.keep(label.identity, label.slug, known["seal"], place)) is not None:
        facts = ModelFacts(**known["facts"])
        return report(facts, slug, Tally(reused=facts.tiles), Traffic())
    drawing = draw(checkpoint, wanted)
    _check_space(drawing, settings)
    try:
        model, slug, rendering = _added(drawing, label, means, memory)
    except LostError:  # a damaged result came to light, and there may be more
        store.distrust()
        model, slug, rendering = _added(drawing, label, means, memory)
    remember_source(store, label.identity, checkpoint.pinned.address if checkpoint.pinned else wanted.source)
    Copies(store).note(checkpoint.shards)
    facts = _facts(model, drawing.canvas)
    if inputs is not None:
        memory.remember_outcome(inputs, {"seal": site.seal(slug), "facts": asdict(facts)})
    haul = None if rendering.streamed is None else rendering.streamed.haul
    return report(facts, slug, rendering.tally, rendering.traffic, haul)


def _added(drawing: Drawing, label: Label, means: Means, memory: Memory) -> tuple[Model, str, Rendering]:
    """The model of a drawing, its slug, and its tiles in the site; raises LostError if the cache loses a result on the way."""
    settings, site, store = means.settings, means.site, means.store
    rendering = render(drawing, means, memory)
    canvas, pyramid = drawing.canvas, rendering.pyramid
    scene = make_scene(drawing.shown, canvas, pyramid)
    if rendering.streamed is not None:
        scene, tiles = replace(scene, archives=rendering.streamed.archives), TileFiles("png", mode="pmtiles")
    else:
        scene, tiles = tile_files(scene, pyramid, settings, store)
    if settings.png is not None:
        write_picture(pyramid, canvas, store.get, settings.png, settings.png_size)
    files = stored_files(drawing.checkpoint, memory, settings.jobs, rendering.traffic) if settings.xorbs else ()
    model = make_model(drawing.checkpoint, drawing.shown, scene, rendering.learnt, label, files)
    return model, site.add_model(model, tiles, overview(pyramid, canvas, store, settings.tile_format)), rendering


def _label(wanted: ModelSettings, checkpoint: Checkpoint, place: Place, settings: Settings) -> Label:
    """What the user says about a model; its options are all that its data depends on beside its files."""
    title = wanted.title or checkpoint.name
    pinned = checkpoint.pinned
    how = (
        wanted.title,
        wanted.tags,
        wanted.group,
        wanted.url,
        wanted.only,
        wanted.columns,
        settings.tile_format,
        settings.tiles,
        *(("xorbs",) if settings.xorbs else ()),
    )
    return Label(
        slug=wanted.slug or slugify(title),
        title=title,
        source=_last(wanted.source),
        identity=identity_of(checkpoint, wanted.source, wanted.slug),
        url=wanted.url or (pinned.files if pinned else ""),
        page=pinned.page if pinned else "",
        date=_source_date() or (pinned.date if pinned else None),
        tags=wanted.tags,
        group=wanted.group,
        options=key_of("options", how),
        place=place,
    )


def _last(origin: Origin) -> str:
    """What pages call the source: the name of its file or folder, without the folders above; on the Hub its repository, too."""
    if isinstance(origin, Address):
        return f"{origin.repo}/{origin.path}".rstrip("/")
    return origin.name or origin.resolve().name


def _facts(model: Model, canvas: Canvas) -> ModelFacts:
    scene = model.scenes[0]
    return ModelFacts(
        name=model.title,
        source=model.source,
        parameters=model.parameters,
        tensors=len(model.tensors),
        elements=sum(model.dtypes.values()),
        nbytes=model.nbytes,
        width=canvas.bounds.width,
        height=canvas.bounds.height,
        levels=scene.levels,
        tiles=len(scene.tiles),
        damaged=sum(any(stats.nan or stats.inf for stats in row.stats) for row in model.tensors),
    )


def open_model(wanted: ModelSettings, opener: Opener) -> Checkpoint:
    """Read the headers of a checkpoint, and tell the user what is left out of it."""
    checkpoint = opener.open(wanted.source)
    for line in checkpoint.left_out:
        say(f"{checkpoint.name}: left out {line}")
    return checkpoint


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
    with progress(drawing.checkpoint.name, drawing.plan.tile_count, beside=_fetching(means.opener)) as advance:
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


def _fetching(opener: Opener) -> Callable[[], str]:
    """What progress says of the Hub: nothing as long as it is not asked."""
    return lambda: f", {size(opener.fetched[1])} fetched" if opener.fetched[0] else ""


def _check_targets(settings: Settings) -> None:
    """Raise SiteError if the picture or the report would destroy what mwv did not write, such as a checkpoint.

    A report may go to a pipe or a device, which is written to; a picture is renamed into place and would replace it.
    """
    for path, head in ((settings.png, PNG_SIGNATURE), (settings.report, REPORT_HEAD)):
        if path is None or not path.exists() or (path == settings.report and not (path.is_file() or path.is_dir())):
            continue
        if not path.is_file():
            raise SiteError(f"{path}: not a regular file; name another")
        try:
            with path.open("rb") as file:
                found = file.read(len(head))
        except OSError as error:
            raise SiteError(f"{path}: cannot be written: {error.strerror}") from None
        if found and found != head:
            raise SiteError(f"{path}: is in the way and was not made by mwv; name another file or move it away")


def _check_space(drawing: Drawing, settings: Settings) -> None:
    """Warn before a large build that may not fit; it is no error, since what is cached needs no space."""
    needed, free = room_needed(drawing, settings), shutil.disk_usage(_spare_place(settings.destination)).free
    if needed > free:
        say(f"warning: {drawing.checkpoint.name}: may need {size(needed)}, and {size(free)} are free at {settings.destination}")


def tile_files(scene: Scene, pyramid: Pyramid, settings: Settings, store: Store) -> tuple[Scene, TileFiles]:
    """Bring tiles into the form that was asked for: codes or pictures, single files or archives."""
    png = frozenset(scene.tiles.values())
    if settings.tile_format == "avif":
        pictures = paint(pyramid, scene.window, store, settings.jobs)
        scene, png = replace(scene, tiles=pictures.tiles), pictures.png
    if settings.tiles == "pmtiles":
        from mwv.pyramid.archive import archives  # late: loads pmtiles

        all_png = len(png) == len(set(scene.tiles.values()))
        scene = replace(scene, archives=archives(scene.tiles, scene.levels, all_png, store, settings.jobs))
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


@contextmanager
def _store(settings: Settings) -> Iterator[Store]:
    """The cache that was asked for; without one, a folder beside the site that is deleted at the end."""
    spare = _spare_place(settings.destination)
    sweep(spare)
    if settings.cache is not None:
        with Store.open(settings.cache, spare) as store:
            yield store
        return
    try:
        scratch = Scratch(spare)
    except OSError as error:
        raise StoreError(f"{spare}: cannot be written, and without a cache tiles are made there: {error.strerror}") from None
    try:
        with Store.open(scratch.folder, None) as store:
            yield store
    finally:
        scratch.close()


def _spare_place(destination: Path) -> Path:
    """The folder beside the site, or the nearest one above it that is there already."""
    return next(place for place in Path(os.path.realpath(destination)).parents if place.is_dir())


def _source_date() -> str | None:
    """The date of SOURCE_DATE_EPOCH, if that is set: a build has no date of its own."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return datetime.fromtimestamp(int(epoch), UTC).date().isoformat() if epoch else None
    except (ValueError, OverflowError, OSError):  # beyond the year 9999, or what the machine can count
        raise UsageError(f"SOURCE_DATE_EPOCH must be seconds since 1970 of a real date, not {epoch[:40]}") from None
