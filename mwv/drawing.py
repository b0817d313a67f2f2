"""A checkpoint and what the user wants of it in, a Drawing out: what is drawn where, and about what that will take."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from mwv.checkpoint.facts import promised_experts, promised_layers
from mwv.checkpoint.info import Checkpoint, TensorInfo
from mwv.checkpoint.wording import counted, plural
from mwv.checkpoint.wording import shown as quoted
from mwv.decode.open import open_tensor
from mwv.errors import SourceError
from mwv.layout.canvas import Canvas, Placement
from mwv.layout.transformer import arrange
from mwv.pyramid.plan import Plan, make_plan
from mwv.pyramid.survey import Subject
from mwv.settings import ModelSettings, Settings
from mwv.site.text import amount, size

_SPEED: Final = 100e6
_SITE_BYTES: Final = 1.0
_CACHE_BYTES: Final = 0.25
"""Measured with scripts/bench: elements per second and thread, bytes of site and of sums per element."""
_STREAM_CACHE_BYTES: Final = 0.04
_STREAM_SPOOL_BYTES: Final = 100_000_000
"""Of a streamed site: bytes in the cache per element, and of the spool per super-block on its way."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A checkpoint laid out: what is to be drawn, known from headers alone."""

    checkpoint: Checkpoint
    shown: tuple[TensorInfo, ...]
    """What is drawn, then the parts of packed weights among it."""
    canvas: Canvas
    plan: Plan
    subjects: tuple[Subject | None, ...]
    """One per placement; None for a missing tensor."""

    @property
    def elements(self) -> int:
        """Elements to be drawn."""
        return sum(t.elements for t in self.shown if not t.part_of)


def draw(checkpoint: Checkpoint, wanted: ModelSettings) -> Drawing:
    """Lay the tensors of a checkpoint out."""
    chosen = [t for t in checkpoint.tensors if not wanted.only or any(fnmatchcase(t.part_of or t.name, p) for p in wanted.only)]
    drawn = [t for t in chosen if not t.part_of]
    shown = (*drawn, *(t for t in chosen if t.part_of))
    if not any(t.elements for t in drawn):
        raise SourceError(f"{wanted.source}: {_why_nothing(checkpoint, wanted.only)}")
    canvas = arrange(
        [(t.name, t.shape) for t in drawn],
        layers=promised_layers(checkpoint.config) if not wanted.only else None,
        experts=promised_experts(checkpoint.config),
        index_names=checkpoint.index_names,
        columns=wanted.columns,
    )
    return Drawing(checkpoint, shown, canvas, make_plan(canvas), subjects_of(checkpoint, shown, canvas))


def _why_nothing(checkpoint: Checkpoint, only: Sequence[str]) -> str:
    """Why there is nothing to show, and which name to give for parts of packed weights, which lie with them."""
    if not only:
        return "holds no tensor with elements; there is nothing to show"
    packed = ((t.name, part.name) for t in checkpoint.tensors if t.packing for part in t.packing.parts.values())
    owner = next((name for name, part in packed if any(fnmatchcase(part, pattern) for pattern in only)), None)
    if owner is not None:
        return f"{' or '.join(only)}: parts of packed weights, which lie with them; name the weight, such as {quoted(owner)}"
    return f"no tensor's whole name matches {' or '.join(only)}; there is nothing to show"


def subjects_of(checkpoint: Checkpoint, shown: Sequence[TensorInfo], canvas: Canvas) -> tuple[Subject | None, ...]:
    """What stands at each placement, ready to be read; None for a missing tensor."""
    return tuple(_subject(checkpoint, shown, placement) for placement in canvas.placements)


def _subject(checkpoint: Checkpoint, shown: Sequence[TensorInfo], placement: Placement) -> Subject | None:
    if placement.tensor is None:
        return None
    info, grid = shown[placement.tensor], placement.grid
    first = (placement.panel or 0) * grid.elements
    tensor = open_tensor(checkpoint.shards, info, grid.row_elements, grid.patch, first, grid.elements)
    return Subject(placement.name, tensor, grid)


def estimate(drawing: Drawing, settings: Settings) -> str:
    """What building a drawing with an empty cache would take, in lines for a person."""
    checkpoint, canvas, elements = drawing.checkpoint, drawing.canvas, drawing.elements
    nbytes = sum(t.nbytes for t in drawing.shown)
    weights = f"{amount(elements)} element{plural(elements)}"
    seconds = elements / (_SPEED * settings.jobs)
    return "\n".join(
        (
            f"{checkpoint.name}: {counted(len(drawing.shown), 'tensor')}, {weights}, {size(nbytes)}",
            f"  canvas  {canvas.bounds.width:,} × {canvas.bounds.height:,} pixels, {counted(drawing.plan.levels, 'level')}",
            f"  tiles   {drawing.plan.tile_count:,}",
            f"  site    about {size(int(elements * _SITE_BYTES))}, and {size(int(elements * _CACHE_BYTES))} more in the cache",
            f"  time    about {seconds:.0f} s with {counted(settings.jobs, 'thread')}, if nothing is cached",
        )
    )


def room_needed(drawing: Drawing, settings: Settings) -> int:
    """Bytes on disk that building a drawing with an empty cache would take."""
    if settings.stream:
        return int(drawing.elements * _STREAM_CACHE_BYTES) + (settings.jobs + 2) * _STREAM_SPOOL_BYTES
    return room_for(drawing.elements)


def room_for(elements: int) -> int:
    """Bytes on disk that drawing so many elements into a site takes, if none is cached."""
    return int(elements * (_SITE_BYTES + _CACHE_BYTES))
