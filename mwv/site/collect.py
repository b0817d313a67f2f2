"""What all stages found about a checkpoint in, the Model that its page is made from out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from blake3 import blake3

from mwv.checkpoint.config import architecture
from mwv.checkpoint.dtypes import WEIGHTS
from mwv.checkpoint.facts import dtype_counts, facts, parameters, uncounted
from mwv.checkpoint.info import Checkpoint, TensorInfo
from mwv.checkpoint.names import canonical_names
from mwv.checkpoint.wording import counted, listed
from mwv.decode.wording import remark
from mwv.layout.canvas import Canvas
from mwv.layout.transformer import layout_digest_input
from mwv.measure.stats import TensorStats
from mwv.pyramid.keys import key_of
from mwv.pyramid.picture import magnitude_range
from mwv.pyramid.render import Pyramid
from mwv.site.model import Label, Model, Scene, TensorRow
from mwv.xet.stored import StoredFile

_FLOAT_WINDOW: Final = (2.0**-10, 2.0)
_NAMED: Final = 3
"""Tensors that a note names before it only counts."""

Learnt = tuple[Sequence[bytes], TensorStats]
"""Value digests of all bands of a placement, and its statistics."""


def make_model(
    checkpoint: Checkpoint,
    shown: Sequence[TensorInfo],
    scene: Scene,
    learnt: Sequence[Learnt | None],
    label: Label,
    files: Sequence[StoredFile] = (),
) -> Model:
    """Everything a page says; `learnt` has one entry per placement of the scene, None for missing tensors."""
    panels: dict[int, list[Learnt]] = {}
    for placement, found in zip(scene.canvas.placements, learnt, strict=True):
        if placement.tensor is not None and found is not None:
            panels.setdefault(placement.tensor, []).append(found)
    canonical = canonical_names((t.name for t in checkpoint.tensors), checkpoint.config)
    rows = tuple(_row(checkpoint, info, panels.get(i, ()), canonical[info.name]) for i, info in enumerate(shown))
    return Model(
        **vars(label),
        format=checkpoint.format,
        architecture=architecture(checkpoint),
        parameters=parameters(shown),
        nbytes=sum(t.nbytes for t in shown),
        dtypes=dtype_counts(shown),
        facts=facts(checkpoint.config),
        metadata=checkpoint.metadata,
        tensors=rows,
        scenes=(scene,),
        notes=_notes(checkpoint, shown, rows, scene.canvas),
        files=tuple(files),
    )


def _row(checkpoint: Checkpoint, info: TensorInfo, panels: Sequence[Learnt], canonical: str) -> TensorRow:
    bands = b"".join(digest for digests, _ in panels for digest in digests)
    return TensorRow(
        name=info.name,
        dtype=info.dtype.name,
        shape=info.shape,
        shard=checkpoint.shards[info.shard].name,
        offset=info.offset,
        nbytes=info.nbytes,
        digest=blake3(bands).hexdigest() if bands else "",
        stats=tuple(stats for _, stats in panels),
        strides=info.strides,
        big_endian=info.byteorder == "big" and info.dtype.block_bytes > 1,
        canonical=canonical if canonical != info.name else "",
        exponent=info.dtype.exponent,
        note=remark(info),
        packed=info.packing is not None,
        part_of=info.part_of,
    )


def make_scene(shown: Sequence[TensorInfo], canvas: Canvas, pyramid: Pyramid) -> Scene:
    """The scene that shows a checkpoint's weights."""
    return Scene(
        kind="values",
        title="Weights",
        canvas=canvas,
        layout_digest=key_of("layout", layout_digest_input(canvas)),
        levels=pyramid.levels,
        tiles=pyramid.tiles,
        magnitudes=tuple(magnitude_range(counts) for counts in pyramid.counts),
        window=_window(shown),
    )


def difference_scene(title: str, canvas: Canvas, pyramid: Pyramid, rows: Sequence[TensorRow], difference: Any = None) -> Scene:
    """A scene of a page that compares: differences, or one of the two sides on their canvas."""
    return Scene(
        kind="values",
        title=title,
        canvas=canvas,
        layout_digest=key_of("layout", layout_digest_input(canvas)),
        levels=pyramid.levels,
        tiles=pyramid.tiles,
        magnitudes=tuple(magnitude_range(counts) for counts in pyramid.counts),
        window=_FLOAT_WINDOW,
        tensors=tuple(rows),
        difference=difference,
    )


def tensor_row(checkpoint: Checkpoint, info: TensorInfo, panels: Sequence[Learnt], name: str) -> TensorRow:
    """The row of a tensor under the name that a comparison gives it."""
    return replace(_row(checkpoint, info, panels, info.name), name=name)


def _window(shown: Sequence[TensorInfo]) -> tuple[float, float]:
    """Floats are shown from 2^-10 to 2; a model of integers alone in their full range."""
    dtypes = {t.dtype for t in shown if t.elements and not t.part_of}
    if any(d.kind in WEIGHTS for d in dtypes):
        return _FLOAT_WINDOW
    return 2.0 ** min(d.exponent for d in dtypes), 1.0


def _notes(checkpoint: Checkpoint, shown: Sequence[TensorInfo], rows: Sequence[TensorRow], canvas: Canvas) -> tuple[str, ...]:
    notes = [f"Left out: {line}" for line in checkpoint.left_out]
    hidden = len(checkpoint.tensors) - len(rows)
    if hidden:
        notes.append(f"{counted(hidden, 'tensor')} not shown, as asked for.")
    reserved = {placement.name for placement in canvas.placements if placement.tensor is None}
    if reserved:
        notes.append(f"Missing from these files, their places are kept: {listed(sorted(reserved), _NAMED)}.")
    unknown = set(checkpoint.index_names) - reserved - {t.name for t in checkpoint.tensors}
    if unknown and not hidden:
        notes.append(f"Missing from these files, and of unknown shape: {listed(sorted(unknown), _NAMED)}.")
    if lacking := uncounted(shown):
        notes.append(f"Parameters are counted {lacking}: their stored numbers are shown.")
    bad = [row.name for row in rows if any(stats.nan or stats.inf for stats in row.stats)]
    if bad:
        notes.append(f"NaN or Inf in {listed(bad, _NAMED)}.")
    return tuple(notes)
