"""Two checkpoints in, a Comparison out: what belongs together, laid out as one canvas, and how far it differs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from math import prod
from typing import Final

import numpy as np

from mwv.checkpoint.dtypes import WEIGHTS
from mwv.checkpoint.facts import promised_experts
from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.matching import Match, Matching, Side, apart, match
from mwv.checkpoint.wording import shown
from mwv.decode.delta import VERSION as DELTA_VERSION
from mwv.decode.delta import Delta, Metric, exponent_of
from mwv.decode.open import FileTensor, expect, open_tensor
from mwv.decode.packed import PackedTensor
from mwv.decode.stored import StoredTensor
from mwv.errors import SourceError
from mwv.layout.canvas import Canvas, Placement
from mwv.layout.grid import Grid, grid_of, panels_of, stacked_experts
from mwv.layout.transformer import arrange
from mwv.measure import pairs
from mwv.measure.pairs import Difference, PairSums, combine, difference, pair_sums, squares_known
from mwv.memory import Memory
from mwv.pyramid.keys import key_of
from mwv.pyramid.render import for_all
from mwv.pyramid.survey import SLAB_BANDS, Blobs, Subject, Survey, Traffic
from mwv.site.collect import Learnt

_BUFFER: Final = 64 << 20
"""Bytes of tensors kept between hashing and measuring."""


@dataclass(frozen=True, eq=False)
class Opposed:
    """Two checkpoints laid out as one: what stands at a placement of the canvas, in each of them."""

    checkpoints: tuple[Checkpoint, Checkpoint]
    matching: Matching
    drawn: tuple[Match, ...]
    """What a placement's `tensor` counts in: tensors of other shapes stand here twice, each on its own."""
    canvas: Canvas
    subjects: tuple[tuple[Subject | None, ...], tuple[Subject | None, ...]]
    """One per placement for each side; None where it has no such tensor."""
    hidden: int = 0
    """Tensors, of both counted once, that were not to be compared."""

    def with_learnt(self, a: Sequence[Learnt | None], b: Sequence[Learnt | None]) -> "Opposed":
        """The same with what is known of each placement of both: digests of bands, and statistics."""
        sides = (tuple(map(_known, subjects, learnt)) for subjects, learnt in zip(self.subjects, (a, b), strict=True))
        first, second = sides
        return replace(self, subjects=(first, second))

    def named(self, placement: Placement) -> Match:
        """What stands at a placement."""
        assert placement.tensor is not None
        return self.drawn[placement.tensor]


@dataclass(frozen=True, eq=False)
class Compared:
    """What was learnt about the two sides of a placement."""

    placement: Placement
    match: Match
    sides: tuple[Subject | None, Subject | None]
    """With digests and statistics."""
    difference: Difference | None
    """None where only one side has it."""

    @property
    def identical(self) -> bool:
        """Whether nothing differs: all values are equal, whatever they are stored as."""
        return self.difference is not None and not self.difference.changed and self.match.kind == "same shape"

    @property
    def of_weights(self) -> bool:
        """Whether both are weights, not counters or masks such as `position_ids`."""
        types = [side.info.dtype for side in (self.match.a, self.match.b) if side is not None]
        return all(one.kind in WEIGHTS or one.is_quantised for one in types)

    def delta(self, metric: Metric) -> Delta:
        """The difference as a tensor, for what both sides have."""
        a, b = self.sides
        assert a is not None and b is not None and a.digests is not None and b.digests is not None and a.stats is not None
        return Delta(_files(a), _files(b), (a.digests, b.digests), metric, exponent_of(metric, a.stats.rms))


def oppose(a: Checkpoint, b: Checkpoint, columns: int | None = 1, only: Sequence[str] = ()) -> Opposed:
    """Lay two checkpoints out as one, from their headers alone; SourceError if they have no tensor in common.

    With patterns, what one of both names of matches.
    """
    matching = match(a, b)
    everything = len(matching.matches)
    if only:
        chosen = tuple(m for m in matching.matches if any(fnmatchcase(name, p) for name in _names(m) for p in only))
        if not chosen:
            raise SourceError(f"{a.name} and {b.name}: no tensor's whole name matches {' or '.join(only)}; nothing to compare")
        matching = replace(matching, matches=chosen)
    experts, names = promised_experts(a.config), {m.name for m in matching.matches}
    drawn = tuple(one for m in matching.matches for one in ((m,) if _comparable(m, experts) else apart(m, names)))
    for which, checkpoint in (("a", a), ("b", b)):
        if all(getattr(m, which) is None for m in matching.matches):
            raise SourceError(f"{checkpoint.name}: holds no tensor with elements; there is nothing to compare")
    if not any(m.a and m.b for m in matching.matches):
        raise SourceError(f"{a.name} and {b.name} have no tensor in common: {_examples(matching)}; nothing can be compared")
    shapes = [(m.name, shape_of(m)) for m in drawn]
    canvas = arrange(shapes, experts=experts, columns=columns)
    sides = tuple(
        tuple(_subject(checkpoint, _side(drawn, placement, which), placement) for placement in canvas.placements)
        for which, checkpoint in enumerate((a, b))
    )
    return Opposed((a, b), matching, drawn, canvas, (sides[0], sides[1]), everything - len(matching.matches))


def whole(compared: Sequence[Compared]) -> Difference:
    """How far all weights that both have differ, or integers where there are none: beside weights they are all of a norm."""
    pairs = [(one.of_weights, one.difference) for one in compared if one.difference is not None]
    found = [difference for weights, difference in pairs if weights] or [difference for _, difference in pairs]
    return sum(found, start=Difference())


def _names(found: Match) -> set[str]:
    """What either side calls it."""
    return {found.name, *(side.name for side in (found.a, found.b) if side is not None)}


def _known(subject: Subject | None, learnt: Learnt | None) -> Subject | None:
    if subject is None or learnt is None:
        return subject
    return replace(subject, digests=tuple(learnt[0]), stats=learnt[1])


def _examples(matching: Matching) -> str:
    of_a, of_b = (next(s.name for m in matching.matches if (s := getattr(m, side))) for side in "ab")
    return f"one has {shown(of_a)}, the other {shown(of_b)}"


def _comparable(found: Match, experts: int | None) -> bool:
    """Whether two can be laid on each other; rows that are folded, or parted into experts, cannot: others begin elsewhere."""
    if found.kind != "other rows":
        return found.kind != "other shape"
    shape = shape_of(found)
    if panels_of(found.name, stacked_experts(found.name, shape, experts)) is not None:
        return False
    return grid_of(shape).row_elements * shape[0] == prod(shape) and grid_of(shape).rows % shape[0] == 0


def shape_of(found: Match) -> tuple[int, ...]:
    """What is laid out: of two with other numbers of rows the longer."""
    sides = [side.shape for side in (found.a, found.b) if side is not None]
    return max(sides, key=lambda shape: shape[:1])


def side_canvas(opposed: Opposed, which: int) -> Canvas:
    """The same canvas with what one of the two has: shorter tensors end where they end, others are missing."""
    canvas = opposed.canvas
    placements = zip(canvas.placements, opposed.subjects[which], strict=True)
    return replace(canvas, placements=tuple(_cut(placement, subject) for placement, subject in placements))


def _cut(placement: Placement, subject: Subject | None) -> Placement:
    if subject is None:
        return replace(placement, tensor=None)
    rows = subject.grid.rows
    if rows == placement.grid.rows:
        return placement
    kept = [replace(p, rows=min(p.rows, rows - p.row)) for p in placement.pieces if p.row < rows]
    return replace(placement, grid=subject.grid, pieces=tuple(kept))


def _side(drawn: Sequence[Match], placement: Placement, which: int) -> Side | None:
    assert placement.tensor is not None
    found = drawn[placement.tensor]
    return found.b if which else found.a


def _subject(checkpoint: Checkpoint, side: Side | None, placement: Placement) -> Subject | None:
    """A side's tensor on the grid of a placement, of which it may have fewer rows."""
    if side is None:
        return None
    info, grid = side.info, placement.grid
    if placement.panel is not None:
        first, elements = placement.panel * grid.elements, grid.elements
    elif side.panel is not None:
        elements = prod(side.shape)
        first = side.panel * elements
    else:
        first, elements = 0, info.elements
    tensor = open_tensor(checkpoint.shards, info, grid.row_elements, grid.patch, first, elements)
    return Subject(placement.name, tensor, shortened(grid, elements))


def shortened(grid: Grid, elements: int) -> Grid:
    """The first rows of a grid, so many that they hold `elements`."""
    if elements == grid.elements:
        return grid
    return replace(grid, rows=-(-elements // grid.row_elements) * grid.patch[0], elements=elements)


def _unwatched(tensors: int, elements: int) -> None:
    del tensors, elements


@dataclass(eq=False)
class Comparer:
    """Learns how far two checkpoints differ; what is known by digests is not read, and what was measured is kept."""

    opposed: Opposed
    blobs: Blobs
    memory: Memory
    jobs: int
    traffic: Traffic = field(default_factory=Traffic)
    advance: Callable[[int, int], None] = _unwatched

    def run(self) -> tuple[Compared, ...]:
        """What was learnt about each placement, in their order."""
        flat = self.memory.recall([*self.opposed.subjects[0], *self.opposed.subjects[1]])
        expect(e for s in flat if s is not None and s.digests is None for e in s.tensor.extents)
        survey = Survey(flat, self.blobs, self.jobs * _BUFFER, self.traffic)
        known: list[Subject | None] = [None] * len(flat)

        def learn(index: int) -> None:
            subject = flat[index]
            if subject is None:
                return
            digests, stats = survey.result(index)
            if subject.stats is None:
                self.memory.note(subject, digests, stats)
            for band in range(subject.tensor.bands):
                survey.release(index, band)
            known[index] = replace(subject, digests=tuple(digests), stats=stats)

        for_all(self.jobs, learn, range(len(flat)))
        self._settle()
        half = len(flat) // 2
        found: list[Compared | None] = [None] * half

        def compare(index: int) -> None:
            found[index] = self._compared(index, known[index], known[half + index])

        for_all(self.jobs, compare, range(half))
        self._settle()
        return tuple(one for one in found if one is not None)

    def _settle(self) -> None:
        for checkpoint in self.opposed.checkpoints:
            for shard in checkpoint.shards:
                shard.check_unchanged()
        self.memory.settle()

    def _compared(self, index: int, a: Subject | None, b: Subject | None) -> Compared:
        placement = self.opposed.canvas.placements[index]
        found = self.opposed.named(placement)
        make = partial(Compared, placement, found, (a, b))
        if a is None or b is None or a.stats is None or b.stats is None:
            return make(None)
        delta = make(None).delta("exact")
        sums = combine(self._sums(delta, slab) for slab in range(-(-delta.bands // SLAB_BANDS)))
        squares = None if squares_known(sums, a.stats, b.stats) else self._squares(delta)
        self.advance(1, placement.grid.elements)
        return make(difference(sums, a.stats, b.stats, squares))

    def _sums(self, delta: Delta, slab: int) -> PairSums:
        """What sets a slab apart: nothing where digests are equal, else what is kept, or measured now."""
        first = slab * SLAB_BANDS
        bands = range(first, min(first + SLAB_BANDS, delta.bands))
        of_a, of_b = (b"".join(side[bands.start : bands.stop]) for side in delta.digests)
        if of_a == of_b:
            return PairSums()
        key = key_of("pair", pairs.VERSION, DELTA_VERSION, of_a.hex(), of_b.hex())
        body = self.blobs.get(key)
        try:
            sums = None if body is None else PairSums.from_bytes(body)
        except ValueError:
            sums = None
        if sums is None:
            sums = combine(self._measured(delta, band) for band in bands)
            self.blobs.put(key, sums.to_bytes())
        return sums

    def _squares(self, delta: Delta) -> tuple[float, float]:
        """Σa² and Σb² over what is finite in both, from the values: some are beyond float32, or lost beside small ones."""
        a = b = 0.0
        with np.errstate(over="ignore"):
            for band in range(delta.bands):
                x, y = delta.magnitudes(band)
                a, b = a + float(x @ x), b + float(y @ y)
        return a, b

    def _measured(self, delta: Delta, band: int) -> PairSums:
        values = delta.values(band)
        return PairSums() if values is None else pair_sums(*values)


def _files(subject: Subject) -> FileTensor:
    assert isinstance(subject.tensor, StoredTensor | PackedTensor)
    return subject.tensor
