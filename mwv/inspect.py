"""A checkpoint in, a table of its tensors for people or programs out: headers alone, or what was measured and is odd, too."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import Any, Final

from blake3 import blake3

from mwv.checkpoint.config import architecture
from mwv.checkpoint.facts import adapter_facts, dtype_counts, facts, parameters, uncounted
from mwv.checkpoint.info import Checkpoint, TensorInfo
from mwv.checkpoint.names import canonical_names
from mwv.checkpoint.opener import Opener
from mwv.checkpoint.wording import plural
from mwv.decode.open import expect, open_tensor
from mwv.decode.wording import how_decoded
from mwv.hub.address import Origin
from mwv.layout.grid import grid_of, panels_of
from mwv.measure.odd import Finding, Measured, findings, tied
from mwv.measure.stats import TensorStats
from mwv.progress import progress, say
from mwv.pyramid.render import for_all
from mwv.pyramid.survey import Subject, Survey
from mwv.site.text import aligned, amount, number, shape, size, thousands, visible

_BUFFER: Final = 64 << 20
_STATISTICS: Final = ("RMS", "min", "max", "zeros", "NaN", "Inf")


@dataclass(frozen=True)
class Inspection:
    """A checkpoint, and what was measured of each of its tensors, if that was asked for (None for one without elements)."""

    checkpoint: Checkpoint
    measured: tuple[Measured | None, ...] | None
    stats: bool
    """Whether statistics are told, or findings alone."""

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is odd; nothing if nothing was measured."""
        return findings([tensor for tensor in self.measured or () if tensor is not None])

    def record(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        checkpoint = self.checkpoint
        odd = {} if self.measured is None else {"findings": [asdict(finding) for finding in self.findings]}
        canonical = canonical_names((t.name for t in checkpoint.tensors), checkpoint.config)
        return {
            "name": checkpoint.name,
            "format": checkpoint.format,
            "architecture": architecture(checkpoint),
            "parameters": parameters(checkpoint.tensors),
            "undecoded": sum(t.undecoded for t in checkpoint.tensors),
            "bytes": sum(t.nbytes for t in checkpoint.tensors),
            "dtypes": dtype_counts(checkpoint.tensors),
            "facts": facts(checkpoint.config),
            "metadata": dict(checkpoint.metadata),
            "shards": [{"name": shard.name, "bytes": shard.size} for shard in checkpoint.shards],
            "left_out": list(checkpoint.left_out),
            **odd,
            "tensors": [self._tensor(i, info, canonical[info.name]) for i, info in enumerate(checkpoint.tensors)],
        }

    def lines(self) -> Iterator[str]:
        """A summary and a table for people; with statistics come the findings, too."""
        checkpoint = self.checkpoint
        total = sum(t.nbytes for t in checkpoint.tensors)
        kind = architecture(checkpoint) or "unknown architecture"
        count, lacking = parameters(checkpoint.tensors), uncounted(checkpoint.tensors)
        weights = f"{thousands(count)} parameter{plural(count)}" + (f" ({lacking})" if lacking else "")
        yield f"{visible(checkpoint.name)}: {kind}, {checkpoint.format}, {weights}, {size(total)}"
        if adapter := adapter_facts(checkpoint.config):
            yield "adapter: " + ", ".join(f"{name.replace('_', ' ')} {visible(str(value))}" for name, value in adapter.items())
        yield "types: " + ", ".join(f"{name} {amount(count)}" for name, count in dtype_counts(checkpoint.tensors).items())
        yield from (f"left out: {line}" for line in checkpoint.left_out)
        yield ""
        head = ("tensor", "type", "shape", "size", *(_STATISTICS if self.stats else ()), "notes")
        rows = [self._cells(i, info) for i, info in enumerate(checkpoint.tensors)]
        yield from aligned([head, *rows], left=(0, 1, 2, len(head) - 1))
        if self.stats:
            yield ""
            yield from finding_lines(self.findings) if self.findings else ("nothing odd was found",)

    @cached_property
    def _tied(self) -> dict[int, int]:
        return tied(self.checkpoint.tensors)

    def _stats_of(self, index: int) -> TensorStats | None:
        tensor = self.measured[index] if self.measured else None
        return None if tensor is None else tensor.stats

    def _tensor(self, index: int, info: TensorInfo, canonical: str) -> dict[str, Any]:
        record: dict[str, Any] = {
            "name": info.name,
            **({"canonical": canonical} if canonical != info.name else {}),
            "dtype": info.dtype.name,
            "shape": list(info.shape),
            "elements": info.elements,
            "shard": self.checkpoint.shards[info.shard].name,
            "offset": info.offset,
            "bytes": info.nbytes,
        }
        if decode := how_decoded(info):
            record["decode"] = decode
        if index in self._tied:
            record["tied"] = self.checkpoint.tensors[self._tied[index]].name
        if self.stats and (measured := self._stats_of(index)):
            record["stats"] = measured.to_json()
        return record

    def _cells(self, index: int, info: TensorInfo) -> tuple[str, ...]:
        cells: tuple[str, ...] = (visible(info.name), info.dtype.name, shape(info.shape), size(info.nbytes))
        if self.stats:
            cells += _numbers(self._stats_of(index))
        tie = f"tied to {visible(self.checkpoint.tensors[self._tied[index]].name)}" if index in self._tied else ""
        return (*cells, ", ".join(filter(None, (how_decoded(info), tie))))


class _Nothing:
    """A cache that keeps nothing."""

    def has(self, key: str) -> bool:  # noqa: ARG002
        return False

    def get(self, key: str) -> bytes | None:  # noqa: ARG002
        return None

    def put(self, key: str, body: bytes) -> None:
        pass

    put_png = put


def inspect(origin: Origin, *, stats: bool, odd: bool, jobs: int, download: bool = False) -> Inspection:
    """Open a checkpoint, and measure every tensor if `stats` are wanted, or what is `odd`."""
    with closing(Opener(say, download=download)) as opener:
        checkpoint = opener.open(origin)
        return Inspection(checkpoint, _measured(checkpoint, jobs) if stats or odd else None, stats)


def _measured(checkpoint: Checkpoint, jobs: int) -> tuple[Measured | None, ...]:
    subjects = [_subject(checkpoint, info) for info in checkpoint.tensors]
    expect(extent for subject in subjects if subject is not None for extent in subject.tensor.extents)
    survey = Survey(subjects, _Nothing(), _BUFFER)
    found: list[Measured | None] = [None] * len(subjects)
    held = [i for i, subject in enumerate(subjects) if subject is not None]
    with progress(visible(checkpoint.name), len(held), "tensor") as advance:

        def measure(index: int) -> None:
            subject, info = subjects[index], checkpoint.tensors[index]
            assert subject is not None
            digests, stats = survey.result(index)
            digest = blake3(b"".join(digests)).digest()
            found[index] = Measured(info, stats, digest, subject.grid.rows, subject.grid.patch)
            advance(1, info.elements)

        for_all(jobs, measure, held)
    return tuple(found)


def _subject(checkpoint: Checkpoint, info: TensorInfo) -> Subject | None:
    if not info.elements:
        return None
    # The rows of fused experts rather than one row an expert: a band of whole experts may take gigabytes.
    fused = panels_of(info.name, info.shape) is not None
    grid = grid_of((prod(info.shape[:-1]), info.shape[-1]) if fused else info.shape)
    return Subject(info.name, open_tensor(checkpoint.shards, info, grid.row_elements, grid.patch), grid)


def _numbers(stats: TensorStats | None) -> tuple[str, ...]:
    """Cells under _STATISTICS; empty for a tensor without elements."""
    if stats is None:
        return ("",) * len(_STATISTICS)
    zeros = f"{100 * stats.zeros / stats.elements:.3g} %"
    return (number(stats.rms), number(stats.minimum), number(stats.maximum), zeros, str(stats.nan), str(stats.inf))


def finding_lines(found: Sequence[Finding]) -> Iterator[str]:
    """A line for each finding, aligned by kind."""
    width = max(len(finding.kind) for finding in found)
    for finding in found:
        yield f"{finding.kind.ljust(width)}  {visible(finding.tensor)}: {visible(finding.text)}"


def as_json(inspection: Inspection) -> str:
    """The record as JSON: a line for each fact and for each tensor."""
    record = inspection.record()
    lines = [f"    {json.dumps(tensor)}" for tensor in record["tensors"]]
    head = json.dumps({**record, "tensors": []}, indent=2)
    return head.removesuffix("[]\n}") + "[\n" + ",\n".join(lines) + "\n  ]\n}"
