"""A checkpoint in, a table of its tensors for people or programs out: headers alone, or with statistics of every tensor."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

from mwv.checkpoint.config import architecture
from mwv.checkpoint.facts import dtype_counts, facts, parameters
from mwv.checkpoint.info import Checkpoint, TensorInfo
from mwv.checkpoint.open import open_checkpoint
from mwv.decode.open import open_tensor
from mwv.layout.grid import grid_of, panels_of
from mwv.measure.stats import TensorStats
from mwv.pyramid.render import for_all
from mwv.pyramid.survey import Subject, Survey
from mwv.site.text import amount, number, shape, size, thousands, visible

_BUFFER: Final = 64 << 20
_WIDEST: Final = 200
"""Characters of a column of the table; one long name must not fill all other rows with spaces."""


@dataclass(frozen=True)
class Inspection:
    """A checkpoint, and the statistics of each of its tensors where they were asked for (None for one without elements)."""

    checkpoint: Checkpoint
    stats: tuple[TensorStats | None, ...] | None

    def record(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        checkpoint = self.checkpoint
        return {
            "name": checkpoint.name,
            "format": checkpoint.format,
            "architecture": architecture(checkpoint),
            "parameters": parameters(checkpoint.tensors),
            "bytes": sum(t.nbytes for t in checkpoint.tensors),
            "dtypes": dtype_counts(checkpoint.tensors),
            "facts": facts(checkpoint.config),
            "metadata": dict(checkpoint.metadata),
            "shards": [{"name": shard.name, "bytes": shard.size} for shard in checkpoint.shards],
            "left_out": list(checkpoint.left_out),
            "tensors": [self._tensor(i, info) for i, info in enumerate(checkpoint.tensors)],
        }

    def lines(self) -> Iterator[str]:
        """A summary and a table for people."""
        checkpoint = self.checkpoint
        total = sum(t.nbytes for t in checkpoint.tensors)
        kind = architecture(checkpoint) or "unknown architecture"
        count = thousands(parameters(checkpoint.tensors))
        yield f"{visible(checkpoint.name)}: {kind}, {checkpoint.format}, {count} parameters, {size(total)}"
        yield "types: " + ", ".join(f"{name} {amount(count)}" for name, count in dtype_counts(checkpoint.tensors).items())
        yield from (f"left out: {line}" for line in checkpoint.left_out)
        yield ""
        head = ("tensor", "type", "shape", "size") + (("RMS", "min", "max", "zeros", "NaN", "Inf") if self.stats else ())
        yield from _aligned([head, *(self._cells(i, info) for i, info in enumerate(checkpoint.tensors))])

    def _tensor(self, index: int, info: TensorInfo) -> dict[str, Any]:
        record: dict[str, Any] = {
            "name": info.name,
            "dtype": info.dtype.name,
            "shape": list(info.shape),
            "elements": info.elements,
            "shard": self.checkpoint.shards[info.shard].name,
            "offset": info.offset,
            "bytes": info.nbytes,
        }
        stats = self.stats[index] if self.stats else None
        return record if stats is None else {**record, "stats": stats.to_json()}

    def _cells(self, index: int, info: TensorInfo) -> tuple[str, ...]:
        cells = (visible(info.name), info.dtype.name, shape(info.shape), size(info.nbytes))
        stats = self.stats[index] if self.stats else None
        if stats is None:
            return cells
        zeros = f"{100 * stats.zeros / stats.elements:.3g} %"
        return (*cells, number(stats.rms), number(stats.minimum), number(stats.maximum), zeros, str(stats.nan), str(stats.inf))


class _Nothing:
    """A cache that keeps nothing."""

    def has(self, key: str) -> bool:  # noqa: ARG002
        return False

    def get(self, key: str) -> bytes | None:  # noqa: ARG002
        return None

    def put(self, key: str, body: bytes) -> None:
        pass

    put_png = put


def inspect(path: Path, *, stats: bool, jobs: int) -> Inspection:
    """Open a checkpoint, and measure every tensor if `stats`."""
    checkpoint = open_checkpoint(path)
    return Inspection(checkpoint, _measured(checkpoint, jobs) if stats else None)


def _measured(checkpoint: Checkpoint, jobs: int) -> tuple[TensorStats | None, ...]:
    survey = Survey([_subject(checkpoint, info) for info in checkpoint.tensors], _Nothing(), _BUFFER)
    found: list[TensorStats | None] = [None] * len(checkpoint.tensors)

    def measure(index: int) -> None:
        found[index] = survey.result(index)[1]

    for_all(jobs, measure, [i for i, info in enumerate(checkpoint.tensors) if info.elements])
    return tuple(found)


def _subject(checkpoint: Checkpoint, info: TensorInfo) -> Subject | None:
    if not info.elements:
        return None
    # The rows of fused experts rather than one row an expert: a band of whole experts may take gigabytes.
    fused = panels_of(info.name, info.shape) is not None
    grid = grid_of((prod(info.shape[:-1]), info.shape[-1]) if fused else info.shape)
    return Subject(info.name, open_tensor(checkpoint.shards, info, grid.row_elements, grid.patch), grid)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as text, columns aligned: the first three to the left, numbers to the right."""
    widths = [min(max(len(row[i]) for row in rows if i < len(row)), _WIDEST) for i in range(max(map(len, rows)))]
    for row in rows:
        cells = (
            cell.ljust(width) if i < 3 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        yield "  ".join(cells).rstrip()


def as_json(inspection: Inspection) -> str:
    """The record as JSON: a line for each fact and for each tensor."""
    record = inspection.record()
    lines = [f"    {json.dumps(tensor)}" for tensor in record["tensors"]]
    head = json.dumps({**record, "tensors": []}, indent=2)
    return head.removesuffix("[]\n}") + "[\n" + ",\n".join(lines) + "\n  ]\n}"
