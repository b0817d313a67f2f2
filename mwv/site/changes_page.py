"""The differences of a site in, the page that shows them beside each other out: by layer and slot, and SNR by layer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mwv.layout.roles import slot_order
from mwv.site.manifest import ModelEntry
from mwv.site.templates import Templates
from mwv.site.text import number

HEAT: Final = ("1d3b2f", "1f6b4a", "3c9a5f", "8fbf4d", "e3c63f", "f08c2e", "d8432f")
"""From little to much; the page of one difference has the same."""
LINES: Final = ("#5b8def", "#e8833a", "#3fae6b", "#c65bcf", "#d9b12b", "#e0566b", "#37b0b8", "#8c7ae6")
MOST: Final = 48
"""Differences from one original that are shown."""
_WIDTH: Final = 640.0
_HEIGHT: Final = 220.0
"""Of the chart, in units of its own."""


@dataclass(frozen=True)
class Change:
    """One tensor of a difference."""

    stack: str
    layer: int
    slot: str
    relative: float | None
    odd: int
    noise: float
    """Σ(b - a)²"""
    signal: float
    """Σa²"""


@dataclass(frozen=True)
class Cell:
    """A square of a chart."""

    x: int
    y: int
    colour: str
    title: str


@dataclass(frozen=True)
class Point:
    """SNR of a layer, in units of its chart."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Row:
    """One difference."""

    slug: str
    title: str
    to: str
    total: Mapping[str, Any]
    compared: int
    """Tensors that both have."""
    differing: int
    cells: Sequence[Cell]
    points: Sequence[Point]
    """Its SNR by layer; none where a layer is identical."""
    line: str
    """The path through them, with gaps at layers that are identical."""
    colour: str


@dataclass(frozen=True)
class Group:
    """All differences from one original."""

    base: str
    rows: Sequence[Row]
    slots: Sequence[str]
    layers: Sequence[int]
    marks: Sequence[tuple[float, int]]
    """Places along the chart of SNR, and which layers stand there."""
    low: str
    high: str
    """Ends of the scale of colours: relative change."""
    ticks: Sequence[tuple[float, str]]
    """Heights in the chart of SNR, and what they mean, in dB."""
    odd: bool
    """Whether anything is NaN or infinite on one side alone."""


def changes_page(templates: Templates, title: str, found: Sequence[tuple[ModelEntry, Mapping[str, Any]]]) -> bytes:
    """`changes.html`, from entries of differences and what their first scenes say; ValueError if that is not what we write."""
    bases: dict[str, list[tuple[ModelEntry, Mapping[str, Any]]]] = {}
    for entry, scene in found:
        bases.setdefault(entry.compares[0], []).append((entry, scene))
    try:
        groups = [_group(base, bases[base][:MOST]) for base in sorted(bases)]
        context = {"title": title, "groups": groups, "heat": HEAT, "width": _WIDTH, "height": _HEIGHT}
        return templates.render("changes.html", "", context)
    except (LookupError, TypeError, AttributeError, ArithmeticError):
        raise ValueError("no differences as we write them") from None


def _group(base: str, found: Sequence[tuple[ModelEntry, Mapping[str, Any]]]) -> Group:
    changes = [_changes(scene) for _, scene in found]
    stack = _main_stack(changes)
    own = [[one for one in of if one.stack == stack] for of in changes]
    slots = sorted({one.slot for of in own for one in of}, key=slot_order)
    layers = sorted({one.layer for of in own for one in of})
    sizes = [math.log(one.relative) for of in own for one in of if one.relative]
    low, high = min(sizes, default=0.0), max(sizes, default=0.0)
    series = [[_snr([one for one in of if one.layer == layer]) for layer in layers] for of in own]
    shown = [snr for of in series for snr in of if snr is not None]
    floor, top = math.floor(min(shown, default=0.0) / 10) * 10, math.ceil(max(shown, default=1.0) / 10) * 10
    rows = []
    for place, ((entry, scene), of, snrs) in enumerate(zip(found, own, series, strict=True)):
        told = scene["difference"]
        points = [
            None if snr is None else Point(_across(i, layers), _height(snr, floor, top), f"layer {layer}: {snr:.1f} dB")
            for i, (layer, snr) in enumerate(zip(layers, snrs, strict=True))
        ]
        row = Row(
            entry.slug,
            entry.title,
            entry.compares[1],
            told["total"],
            told["compared"],
            told["compared"] - told["identical"],
            _cells(of, slots, layers, low, high),
            [point for point in points if point is not None],
            _line(points),
            LINES[place % len(LINES)],
        )
        rows.append(row)
    steps = range(floor, top + 1, 10 if top - floor <= 60 else 20)
    ticks = [(_height(value, floor, top), f"{value}") for value in steps] if shown else []
    ends = f"{100 * math.exp(low):.3g} %", f"{100 * math.exp(high):.3g} %"
    return Group(base, rows, slots, layers, _marks(layers), *ends, ticks, any(row.total["odd"] for row in rows))


def _changes(scene: Mapping[str, Any]) -> list[Change]:
    """What a scene says of the tensors in its layers that both have."""
    placed, told = scene["placements"], scene["difference"]["columns"]
    made = []
    for i, layer in enumerate(placed["layer"]):
        if layer < 0 or told["rms"][i] is None or told["norm"][i] is None:
            continue
        count = placed["grids"][placed["grid"][i]][3]
        rms, norm = float(told["rms"][i]), float(told["norm"][i])
        noise, signal = rms * rms * count, norm * norm
        stack, slot = placed["stacks"][placed["stack"][i]], placed["slots"][placed["slot"][i]]
        made.append(Change(stack, layer, slot, told["relative"][i], told["odd"][i], noise, signal))
    return made


def _main_stack(changes: Sequence[Sequence[Change]]) -> str:
    """The stack of most tensors."""
    counts: dict[str, int] = {}
    for one in (one for of in changes for one in of):
        counts[one.stack] = counts.get(one.stack, 0) + 1
    return max(sorted(counts), key=lambda name: counts[name], default="")


def _snr(changes: Sequence[Change]) -> float | None:
    """Signal to noise of a layer in dB; None where nothing differs, or squares are too large."""
    noise, signal = sum(one.noise for one in changes), sum(one.signal for one in changes)
    known = noise and signal and math.isfinite(noise) and math.isfinite(signal)
    return 10 * (math.log10(signal) - math.log10(noise)) if known else None


def _cells(changes: Sequence[Change], slots: Sequence[str], layers: Sequence[int], low: float, high: float) -> list[Cell]:
    """A square for each layer and slot; of experts the one that changed most."""
    most: dict[tuple[int, str], Change] = {}
    for one in changes:
        known = most.get((one.layer, one.slot))
        if known is None or _rank(one) > _rank(known):
            most[one.layer, one.slot] = one
    across, down = {slot: x for x, slot in enumerate(slots)}, {layer: y for y, layer in enumerate(layers)}
    return [
        Cell(across[slot], down[layer], _colour(one, low, high), f"layer {layer}, {slot}: {_told(one)}")
        for (layer, slot), one in most.items()
    ]


def _rank(one: Change) -> float:
    return math.inf if one.relative is None else one.relative


def _told(one: Change) -> str:
    if one.relative is None:
        return "not finite" if one.odd else "from zero"
    return f"relative change {number(100 * one.relative)} %" if one.relative else "identical"


def _colour(one: Change, low: float, high: float) -> str:
    if not one.relative:
        return "#000000" if one.relative == 0 else f"#{HEAT[-1]}"
    part = (math.log(one.relative) - low) / (high - low) if high > low else 1.0
    at = min(max(part, 0.0), 1.0) * (len(HEAT) - 1)
    left, right = HEAT[math.floor(at)], HEAT[math.ceil(at)]
    mixed = (round(a + (b - a) * (at - math.floor(at))) for a, b in zip(bytes.fromhex(left), bytes.fromhex(right), strict=True))
    return "#" + bytes(mixed).hex()


def _height(value: float, floor: int, top: int) -> float:
    return round(_HEIGHT * (1 - (value - floor) / max(top - floor, 1)), 2)


def _across(place: int, layers: Sequence[int]) -> float:
    return round(_WIDTH * (place + 0.5) / len(layers), 2)


def _marks(layers: Sequence[int]) -> list[tuple[float, int]]:
    """Every so many layers, about sixteen in all, and the last one if there is room for its number."""
    step = 1 + len(layers) // 16
    shown = set(range(0, len(layers), step))
    if (len(layers) - 1) % step > step / 2:
        shown.add(len(layers) - 1)
    return [(_across(place, layers), layers[place]) for place in sorted(shown)]


def _line(points: Sequence[Point | None]) -> str:
    """An SVG path through the layers that differ, with gaps at those that do not."""
    parts, joined = [], False
    for point in points:
        if point is not None:
            parts.append(f"{'L' if joined else 'M'}{point.x} {point.y}")
        joined = point is not None
    return "".join(parts)
