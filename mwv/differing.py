"""Two models that the user compares in, the page that shows how they differ out: scenes of the difference and of both sides."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from math import prod
from typing import Any, Final

from mwv.adding import Added, Adding
from mwv.aliases import Copies
from mwv.changed_bytes import OtherFiles, draw_changes, other_files, sides
from mwv.checkpoint.facts import dtype_counts, facts
from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.opener import Opener
from mwv.checkpoint.wording import counted, listed, shown
from mwv.comparing import Compared, Comparer, Opposed, oppose, shape_of, side_canvas, whole
from mwv.drawing import Drawing, room_for
from mwv.errors import SourceError
from mwv.files.card import is_finetune_of, read_card
from mwv.files.pairing import pair
from mwv.hub.address import Address, Origin
from mwv.layout.canvas import Canvas
from mwv.memory import remember_source
from mwv.places import check_room
from mwv.progress import progress, say
from mwv.pyramid.keys import key_of
from mwv.pyramid.palette import DIFFERENCE
from mwv.pyramid.picture import overview, write_picture
from mwv.pyramid.plan import make_plan
from mwv.pyramid.render import Tally
from mwv.pyramid.survey import Subject, Traffic
from mwv.rendering import Means, Rendering, render, tile_files
from mwv.report import ModelReport
from mwv.settings import ModelSettings, Settings
from mwv.site.collect import difference_scene, tensor_row
from mwv.site.difference import Line, difference_facts
from mwv.site.identity import difference_identity, identity_of, side_of
from mwv.site.model import ByteScene, Label, Model, Place, Scene, TensorRow, TileFiles
from mwv.site.text import size, slugify, visible
from mwv.site.writer import SiteWriter
from mwv.wanted import label_of, last_name, open_model

_LISTED: Final = 20
"""Names that a refusal gives at most."""


def build_difference(wanted: ModelSettings, place: Place, site: SiteWriter, means: Means) -> ModelReport:
    """Compare a model with the one that it is held against, and add the page to the site, unless it is there already."""
    settings = means.settings
    adding = Adding(place, site, means)
    assert wanted.against is not None
    origins = wanted.against, wanted.source
    base, other = (open_model(origin, means.opener) for origin in origins)
    finetune = settings.finetune
    if finetune is None:
        finetune = _is_finetune(wanted.source, wanted.against, means.opener)
        if not finetune and _is_finetune(wanted.against, wanted.source, means.opener):
            names = visible(base.name), visible(other.name)
            turned = f"name the original first: --diff {names[1]} {names[0]}"
            say(f"{names[0]}: its model card says that it is a finetune of {names[1]}; {turned}")
    label = _label(wanted, base, other, place, settings, finetune)
    with ExitStack() as stack:
        others = _other_files(wanted, means.opener, stack)
        joint = _joint(base, other, others, label.title)
        inputs = adding.memory.inputs(joint, asdict(replace(label, place=Place())), others.record)

        def add() -> Added:
            opposed = oppose(base, other, wanted.columns, wanted.only)
            if finetune and not settings.allow_new:
                _refuse_new(opposed, other)
            added = _added(opposed, joint, label, finetune, others, adding)
            for scene, (side, origin) in enumerate(zip((base, other), origins, strict=True), start=1):
                remember_source(means.store, side_of(label.identity, scene), side.pinned.address if side.pinned else origin)
            Copies(means.store).note((*base.shards, *other.shards))
            return added

        return adding.run(label, inputs, add)


def estimate_difference(wanted: ModelSettings, opener: Opener) -> str:
    """What building a page would take at most, from headers alone, in lines for a person."""
    assert wanted.against is not None
    base, other = (open_model(origin, opener) for origin in (wanted.against, wanted.source))
    opposed = oppose(base, other, wanted.columns, wanted.only)
    both = sum(m.a is not None and m.b is not None for m in opposed.matching.matches)
    lonely = len(opposed.matching.matches) - both
    canvas, plan = opposed.canvas, make_plan(opposed.canvas)
    elements = sum(placement.grid.elements for placement in canvas.placements)
    return "\n".join(
        (
            f"{base.name} → {other.name}: {counted(both, 'tensor')} of both compared, {lonely:,} in one alone",
            f"  canvas  {canvas.bounds.width:,} × {canvas.bounds.height:,} pixels, {counted(plan.levels, 'level')}",
            f"  tiles   at most {3 * plan.tile_count:,} in 3 scenes",
            f"  site    at most about {size(room_for(3 * elements))}, with what is kept in the cache",
        )
    )


def _label(
    wanted: ModelSettings, base: Checkpoint, other: Checkpoint, place: Place, settings: Settings, finetune: bool
) -> Label:
    """What the user says about a comparison."""
    assert wanted.against is not None
    label = label_of(wanted, other, place, settings)
    title = wanted.title or f"{base.name} → {other.name}"
    how = label.options, settings.metric, finetune, settings.allow_new
    return replace(
        label,
        slug=wanted.slug or slugify(f"{base.name}-to-{other.name}"),
        title=title,
        source=f"{last_name(wanted.against)} → {last_name(wanted.source)}",
        identity=difference_identity(identity_of(base, wanted.against), label.identity),
        url="",
        page="",
        options=key_of("difference", *how),
    )


def _joint(base: Checkpoint, other: Checkpoint, others: OtherFiles, title: str) -> Checkpoint:
    """Both as one, as far as files and notes go."""
    notes = [f"{one.name}: {line}" for one in (base, other) for line in one.left_out]
    return Checkpoint(
        name=visible(title),
        format=base.format if base.format == other.format else f"{base.format} → {other.format}",
        shards=(*base.shards, *other.shards, *others.sources),
        tensors=(),
        config={"a": base.config, "b": other.config},
        left_out=tuple(notes),
    )


def _is_finetune(tuned: Origin, base: Origin, opener: Opener) -> bool:
    """Whether the card of a model says that it is a finetune of the other."""
    called = base.repo if isinstance(base, Address) else opener.folder(base).name
    return is_finetune_of(read_card(opener.folder(tuned)), called)


def _other_files(wanted: ModelSettings, opener: Opener, stack: ExitStack) -> OtherFiles:
    """What sets the files apart that hold no weights, if two folders are compared; open until `stack` ends."""
    assert wanted.against is not None
    a, b = (opener.whole_folder(origin) for origin in (wanted.against, wanted.source))
    return OtherFiles() if a is None or b is None else other_files(pair(a, b), stack)


def _refuse_new(opposed: Opposed, other: Checkpoint) -> None:
    """Raise SourceError if a finetune has what its base lacks, or has reshaped it."""
    new = [m.b.name for m in opposed.matching.matches if m.b is not None and m.kind not in ("same shape", "only a")]
    if new:
        names = listed(list(map(shown, new)), _LISTED)
        raise SourceError(
            f"{other.name}: is a finetune with {counted(len(new), 'tensor')} new or of another shape: {names};"
            " give --allow-new to compare it all the same"
        )


def _added(opposed: Opposed, joint: Checkpoint, label: Label, finetune: bool, others: OtherFiles, adding: Adding) -> Added:
    """The page of a comparison, in the site."""
    means, memory = adding.means, adding.memory
    settings, store = means.settings, means.store
    elements = sum(placement.grid.elements for placement in opposed.canvas.placements)
    check_room(joint.name, room_for(3 * elements), settings)
    # Both sides come first: what is read to draw them is hashed and measured on the way.
    halves = [_side(opposed, which) for which in (0, 1)]
    drawn_sides = [render(drawing, means, memory) for drawing in halves]
    with progress(joint.name, len(opposed.canvas.placements), "tensor") as advance:
        learnt = opposed.with_learnt(drawn_sides[0].learnt, drawn_sides[1].learnt)
        comparer = Comparer(learnt, store, memory, settings.jobs, advance=advance)
        compared = comparer.run()
    subjects = tuple(_difference(one, settings) for one in compared)
    between = Drawing(joint, (), opposed.canvas, make_plan(opposed.canvas), subjects)
    drawings, drawn = [between, *halves], [render(between, means, memory), *drawn_sides]
    drawn[0].traffic.add(comparer.traffic)
    titles = (opposed.checkpoints[0].name, opposed.checkpoints[1].name)
    lines = [_line(one) for one in compared]
    told = difference_facts(titles, settings.metric, finetune, lines, whole(compared), opposed.matching.ambiguous)
    tables = [
        _delta_rows(opposed, drawings[0], drawn[0]),
        *(_rows(opposed, which, drawings[1 + which].canvas, drawn[1 + which]) for which in (0, 1)),
    ]
    names = ("Difference", *titles)
    scenes: list[Scene | ByteScene] = []
    files: list[TileFiles] = []
    for index, (title, drawing, done, rows) in enumerate(zip(names, drawings, drawn, tables, strict=True)):
        scene = difference_scene(title, drawing.canvas, done.pyramid, rows, told if index == 0 else None)
        scene, tiles = tile_files(scene, done.pyramid, means)
        scenes.append(scene)
        files.append(tiles)
    pyramid, canvas = drawn[0].pyramid, opposed.canvas
    if settings.png is not None:
        write_picture(pyramid, canvas, store.get, settings.png, settings.png_size, DIFFERENCE)
    tally, traffic = Tally(), Traffic()
    for done in drawn:
        tally.add(done.tally)
        traffic.add(done.traffic)
    if others.pairs:
        both = sides(joint.name, others.pairs, memory)
        changes = draw_changes(joint.name, titles, both, means, memory, "Files: ")
        scenes += changes.scenes
        files.append(changes.tiles)
        tally.add(changes.drawn.tally)
        traffic.add(changes.drawn.traffic)
    model = replace(_model(opposed, label, scenes, tables[0], told), others=others.record)
    slug = adding.site.add_model(model, _together(files), overview(pyramid, canvas, store, "png", DIFFERENCE))
    return Added(model, slug, model.parameters, tally, traffic, told=_told(compared))


def _told(compared: Sequence[Compared]) -> str:
    """How far two models differ, for the line that tells what was built."""
    found, odd = whole(compared), sum(1 for one in compared if one.difference is not None and one.difference.odd)
    snr = "" if found.snr is None else f", SNR {found.snr:.1f} dB"
    told = f"{100 * found.share:.3g} % changed{snr}" if found.changed else "no weight changed"
    return f"{told}; NaN or Inf on one side in {counted(odd, 'tensor')}" if odd else told


def _difference(one: Compared, settings: Settings) -> Subject | None:
    """What is drawn at a placement: the difference, or what only one side has."""
    a, b = one.sides
    if a is None or b is None:
        return b if a is None else a
    delta = one.delta(settings.metric)
    return Subject(one.placement.name, delta, one.placement.grid, delta.known)


def _side(opposed: Opposed, which: int) -> Drawing:
    """One of the two on the canvas of the comparison."""
    canvas = side_canvas(opposed, which)
    return Drawing(opposed.checkpoints[which], (), canvas, make_plan(canvas), opposed.subjects[which])


def _line(one: Compared) -> Line:
    a, b = one.match.a, one.match.b
    rows = (a.shape[0], b.shape[0]) if a is not None and b is not None and one.match.kind == "other rows" else None
    return Line(
        ("" if a is None else a.name, "" if b is None else b.name),
        one.match.how,
        "both" if a is not None and b is not None else "b" if a is None else "a",
        rows,
        one.difference,
    )


def _delta_rows(opposed: Opposed, drawing: Drawing, drawn: Rendering) -> list[TensorRow]:
    """The table of the scene of differences: a row for each tensor that is laid out."""
    learnt = _by_tensor(drawing.canvas, drawn)
    placed = zip(drawing.canvas.placements, drawing.subjects, strict=True)
    exponents = {placement.tensor: subject.tensor.exponent for placement, subject in placed if subject is not None}
    rows = []
    for index, found in enumerate(opposed.drawn):
        side = found.a or found.b
        assert side is not None
        checkpoint = opposed.checkpoints[0 if found.a is not None else 1]
        row = tensor_row(checkpoint, side.info, learnt.get(index, ()), found.name)
        if found.a is not None and found.b is not None:
            types = found.a.info.dtype.name, found.b.info.dtype.name
            row = replace(
                row,
                dtype=types[0] if types[0] == types[1] else " → ".join(types),
                shard="",
                offset=0,
                nbytes=0,
                exponent=exponents[index],
                packed=True,
                strides=None,
                note="",
            )
        rows.append(replace(row, shape=shape_of(found)))
    return rows


def _rows(opposed: Opposed, which: int, canvas: Canvas, drawn: Rendering) -> list[TensorRow]:
    """The table of one side; what it lacks has a row without a place."""
    learnt = _by_tensor(canvas, drawn)
    rows = []
    for index, found in enumerate(opposed.drawn):
        sides = (found.a, found.b)
        own, side = sides[which], sides[which] or sides[1 - which]
        assert side is not None
        row = tensor_row(opposed.checkpoints[which if own else 1 - which], side.info, learnt.get(index, ()), found.name)
        rows.append(replace(row, shape=side.shape, note=row.note if own else "only in the other of the two"))
    return rows


def _by_tensor(canvas: Canvas, drawn: Rendering) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for placement, learnt in zip(canvas.placements, drawn.learnt, strict=True):
        if placement.tensor is not None and learnt is not None:
            found.setdefault(placement.tensor, []).append(learnt)
    return found


def _model(opposed: Opposed, label: Label, scenes: Sequence[Scene | ByteScene], rows: Sequence[TensorRow], told: Any) -> Model:
    a, b = opposed.checkpoints
    notes = [f"{one.name}: left out {line}" for one in (a, b) for line in one.left_out]
    if told["ambiguous"]:
        notes.append(f"Not compared, since nothing says what belongs together: {'; '.join(told['ambiguous'][:3])}.")
    if opposed.hidden:
        notes.append(f"{counted(opposed.hidden, 'tensor')} not compared, as asked for.")
    compared = [m for m in opposed.drawn if m.a is not None and m.b is not None]
    return Model(
        **vars(label),
        format=a.format if a.format == b.format else f"{a.format} → {b.format}",
        architecture="",
        parameters=sum(prod(m.a.shape) for m in compared if m.a),
        nbytes=sum(t.nbytes for one in (a, b) for t in one.tensors),
        dtypes=dtype_counts([m.b.info for m in compared if m.b]),
        facts=facts(b.config),
        metadata={},
        tensors=tuple(rows),
        scenes=tuple(scenes),
        notes=tuple(notes),
        compares=(a.name, b.name),
    )


def _together(files: Sequence[TileFiles]) -> TileFiles:
    """The tiles of all scenes of a page."""
    first = files[0]
    paths = {key: path for one in files for key, path in one.paths.items()}
    return replace(first, paths=paths, fresh=frozenset().union(*(one.fresh for one in files)))
