"""Two checkpoints in, how far they differ out, for people or programs: tensor by tensor and in all."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from mwv.aliases import Copies, Heads
from mwv.checkpoint.matching import Match, Side
from mwv.checkpoint.opener import Opener
from mwv.checkpoint.wording import counted, listed
from mwv.comparing import Compared, Comparer, Opposed, oppose, whole
from mwv.files.pairing import pair
from mwv.files.record import Record, files_record
from mwv.hub.address import Origin
from mwv.measure.pairs import Difference
from mwv.memory import Memory
from mwv.places import opened_store
from mwv.progress import progress, say
from mwv.pyramid.survey import Traffic
from mwv.site.files_text import file_lines
from mwv.site.text import aligned, number, shape, thousands, visible

Measure = Callable[[Difference], float | None]

OVER: Final[dict[str, Measure]] = {
    "relative": lambda d: math.inf if d.relative is None else d.relative,
    "rms": lambda d: d.rms,
    "max": lambda d: d.largest,
    "changed": lambda d: d.share,
    "odd": lambda d: d.odd,
    "snr": lambda d: None if d.snr is None else -d.snr,
    "cosine": lambda d: None if d.cosine is None else -d.cosine,
}
"""What differences are sorted by: the more, the further apart, so that SNR and cosine count downward."""
UNMATCHED: Final = "unmatched"
"""A limit for the number of tensors without a counterpart."""
_SIGN: Final = {name: -1 if name in ("snr", "cosine") else 1 for name in OVER}


@dataclass(frozen=True, eq=False)
class Differences:
    """Two checkpoints, and what was learnt about what stands at each placement of their common layout."""

    opposed: Opposed
    compared: tuple[Compared, ...]
    traffic: Traffic
    files: Record | None = None
    """What sets their other files apart, if both are folders."""

    @cached_property
    def pairs(self) -> tuple[tuple[Compared, Difference], ...]:
        """What both have."""
        return tuple((one, one.difference) for one in self.compared if one.difference is not None)

    @cached_property
    def alone(self) -> tuple[tuple[Match, ...], tuple[Match, ...]]:
        """What only the first has, and only the second; a tensor of all experts of a layer once, though each is laid out."""
        single = {one.match.name: one.match for one in self.compared if one.difference is None}.values()
        return tuple(m for m in single if m.b is None), tuple(m for m in single if m.a is None)

    @cached_property
    def whole(self) -> Difference:
        """Of all weights that both have together."""
        return whole(self.compared)

    def ordered(self, by: str) -> list[tuple[Compared, Difference]]:
        """What both have, the furthest apart first; by `name` in the order of the layout."""
        if by == "name":
            return list(self.pairs)
        return sorted(self.pairs, key=lambda pair: -_or(OVER[by](pair[1]), -math.inf))

    def beyond(self, over: dict[str, float], under: dict[str, float]) -> list[str]:
        """A line for each thing that is further apart than was asked for."""
        lines = []
        for name, limit in over.items():
            if name == UNMATCHED:
                unmatched = sum(map(len, self.alone))
                if unmatched > limit:
                    lines.append(f"{counted(unmatched, 'tensor')} without a counterpart, more than {limit:g}")
        limits = {**over, **under}
        for one, found in self.pairs:
            for name, limit in limits.items():
                value = None if name == UNMATCHED else OVER[name](found)
                if value is None or value <= _SIGN[name] * limit:
                    continue
                relation = "under" if name in under else "over"
                lines.append(f"{visible(one.placement.name)}: {name} {_SIGN[name] * value:.6g} is {relation} {limit:g}")
        return lines

    def record(self, by: str) -> dict[str, Any]:
        """Everything, ready for JSON."""
        a, b = self.opposed.checkpoints
        return {
            "a": {"name": a.name, "format": a.format},
            "b": {"name": b.name, "format": b.format},
            "identical": sum(one.identical for one, _ in self.pairs),
            "total": _numbers(self.whole),
            "only_a": [_alone(m) for m in self.alone[0]],
            "only_b": [_alone(m) for m in self.alone[1]],
            "ambiguous": list(self.opposed.matching.ambiguous),
            "files": self.files,
            "read_bytes": self.traffic.read + self.traffic.hashed,
            "tensors": [{**_about(one), **_numbers(found)} for one, found in self.ordered(by)],
        }

    def lines(self, by: str, most: int | None) -> Iterator[str]:
        """A summary and a table for people, and lists, each of at most so many tensors."""
        a, b = (visible(checkpoint.name) for checkpoint in self.opposed.checkpoints)
        same = sum(one.identical for one, _ in self.pairs)
        yield f"{a} → {b}: {counted(len(self.pairs), 'tensor')} compared, {same:,} identical"
        if self.whole.changed:
            yield "in all: " + ", ".join(f"{name} {text}" for name, text in zip(_HEAD, _cells(self.whole), strict=True))
        hows = Counter(one.match.how for one, _ in self.pairs)
        if set(hows) != {"same name"}:
            yield "matched: " + listed([f"{visible(how)} ({count:,})" for how, count in hows.most_common()], _REASONS)
        if self.whole.odd:
            yield f"odd: {counted(self.whole.odd, 'value')} NaN or infinite on one side alone"
        differing = [(one, found) for one, found in self.ordered(by) if not one.identical]
        if differing:
            yield ""
            rows = [(visible(one.placement.name), _types(one), *_cells(found)) for one, found in differing[:most]]
            yield from aligned([("tensor", "type", *_HEAD), *rows], left=(0, 1))
            yield from _more(differing, most)
        for which, found in zip((a, b), self.alone, strict=True):
            if found:
                yield ""
                yield f"only in {which}:"
                yield from (f"  {visible(m.name)} {shape(_only(m).shape)}" for m in found[:most])
                yield from _more(found, most)
        if ambiguous := self.opposed.matching.ambiguous:
            yield ""
            yield "not compared, since nothing says which belongs to which:"
            yield from (f"  {visible(line)}" for line in ambiguous[:most])
            yield from _more(ambiguous, most)
        if self.files is not None:
            yield ""
            yield from file_lines(self.files, (a, b), most)


_REASONS: Final = 6
"""Reasons why tensors belong together that are told."""
_HEAD: Final = ("changed", "RMS Δ", "relative", "max |Δ|", "cosine", "SNR dB", "odd")


def _more(things: Sequence[object], most: int | None) -> Iterator[str]:
    """A line about what is not shown."""
    if most is not None and len(things) > most:
        yield f"and {len(things) - most:,} more; --all shows them"


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def _cells(found: Difference) -> tuple[str, ...]:
    """Cells under _HEAD."""
    cosine = "" if found.cosine is None else f"{found.cosine:.6f}"
    share = f"{100 * found.share:.3g} %"
    snr = "" if found.snr is None else f"{found.snr:.1f}"
    return share, number(found.rms), _relative(found), number(found.largest), cosine, snr, thousands(found.odd)


def _relative(found: Difference) -> str:
    return "∞" if found.relative is None else f"{100 * found.relative:.3g} %"


def _types(one: Compared) -> str:
    types = [side.info.dtype.name for side in (one.match.a, one.match.b) if side is not None]
    return types[0] if len(set(types)) == 1 else " → ".join(types)


def _only(found: Match) -> Side:
    """The side of what only one has."""
    side = found.a or found.b
    assert side is not None
    return side


def _about(one: Compared) -> dict[str, Any]:
    a, b = one.match.a, one.match.b
    assert a is not None and b is not None
    role = one.placement.role
    return {
        "name": one.placement.name,
        "a": {"name": a.name, "dtype": a.info.dtype.name, "shape": list(a.shape)},
        "b": {"name": b.name, "dtype": b.info.dtype.name, "shape": list(b.shape)},
        "match": one.match.how,
        "stack": role.stack,
        "layer": role.layer,
        "slot": role.slot,
        "expert": role.expert,
        "identical": one.identical,
    }


def _alone(found: Match) -> dict[str, Any]:
    side = _only(found)
    return {"name": side.name, "dtype": side.info.dtype.name, "shape": list(side.shape)}


def _numbers(found: Difference) -> dict[str, Any]:
    """What a program wants of a difference."""
    return {"elements": found.elements, **found.numbers()}


def diff(
    a: Origin, b: Origin, *, jobs: int, cache: Path | None, download: bool = False, only: Sequence[str] = ()
) -> Differences:
    """Open two checkpoints and compare all that belongs together, or what matches; what the cache knows is not read."""
    with (
        opened_store(cache, Path("diff")) as store,
        closing(Opener(say, Heads(store), Copies(store).find, download)) as opener,
    ):
        opposed = oppose(opener.open(a), opener.open(b), only=only)
        memory = Memory(store)
        title = " → ".join(visible(checkpoint.name) for checkpoint in opposed.checkpoints)
        with progress(title, len(opposed.canvas.placements), "tensor") as advance:
            comparer = Comparer(opposed, store, memory, jobs, advance=advance)
            compared = comparer.run()
        Copies(store).note([*opposed.checkpoints[0].shards, *opposed.checkpoints[1].shards])
        for warning in store.warnings:
            say(f"warning: {warning}")
        of_a, of_b = opener.whole_folder(a), opener.whole_folder(b)
        files = files_record(pair(of_a, of_b)) if of_a and of_b else None
        return Differences(opposed, compared, comparer.traffic, files)


def as_json(found: Differences, by: str) -> str:
    """The record as JSON: a line for each fact and for each tensor."""
    record = found.record(by)
    lines = [f"    {json.dumps(tensor)}" for tensor in record["tensors"]]
    head = json.dumps({**record, "tensors": []}, indent=2)
    return head.removesuffix("[]\n}") + "[\n" + ",\n".join(lines) + "\n  ]\n}"
