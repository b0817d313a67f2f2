"""What stands at each placement of a comparison, and how far it differs, in; what the page says of it out, ready for JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from mwv.measure.pairs import Difference


@dataclass(frozen=True)
class Line:
    """A placement of a comparison."""

    names: tuple[str, str]
    """What the files call the tensor; empty on the side that lacks it."""
    how: str
    """Why the two belong together."""
    side: Literal["both", "a", "b"]
    rows: tuple[int, int] | None
    """Rows of both, where one has more."""
    difference: Difference | None


def difference_facts(
    titles: tuple[str, str], metric: str, finetune: bool, lines: Sequence[Line], whole: Difference, ambiguous: Sequence[str]
) -> dict[str, Any]:
    """The field `difference` of a scene, as FORMAT.md has it: columns over its placements, null where only one side has it."""
    found = [line.difference for line in lines]
    total = numbers(whole)
    told = [None if one is None else numbers(one) for one in found]
    columns = {name: [None if one is None else one[name] for one in told] for name in total}
    return {
        "a": titles[0],
        "b": titles[1],
        "metric": metric,
        "finetune": finetune,
        "ambiguous": list(ambiguous),
        "total": total,
        "identical": sum(line.difference is not None and not line.difference.changed and line.rows is None for line in lines),
        "compared": sum(one is not None for one in found),
        "columns": columns,
        "alone": {str(i): line.side for i, line in enumerate(lines) if line.side != "both"},
        "rows": {str(i): list(line.rows) for i, line in enumerate(lines) if line.rows is not None},
        "how": [line.how for line in lines],
        "names": {str(i): list(line.names) for i, line in enumerate(lines) if line.side == "both" and len({*line.names}) > 1},
    }


def numbers(found: Difference) -> Mapping[str, Any]:
    """What is told of a difference, to six digits; None for what there is not, or what float64 does not hold."""
    told = {"share": found.share, **found.numbers(), "norm": found.signal**0.5}
    return {name: _rounded(value) if name != "cosine" else value for name, value in told.items()}


def _rounded(value: float | None) -> float | None:
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if isfinite(value) else None
