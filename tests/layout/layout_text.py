"""A canvas as text that a person can read and a diff can show. `PYTHONPATH=tests/families python tests/layout/layout_text.py`
rewrites the snapshots."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from layout_families import EXPERTS, FAMILIES

from mwv.layout.canvas import Canvas, Placement, Rect, Region
from mwv.layout.transformer import arrange

SNAPSHOTS = Path(__file__).parent / "snapshots"


def family_text(family: str) -> str:
    """The layout of a family."""
    return text(arrange(FAMILIES[family](), experts=EXPERTS.get(family)))


def text(canvas: Canvas) -> str:
    """Bounds; every stack with its layers and what one of them holds; everything outside stacks."""
    return "\n".join(_lines(canvas)) + "\n"


def update() -> list[Path]:
    """Write all snapshots anew; the paths written."""
    SNAPSHOTS.mkdir(exist_ok=True)
    paths = []
    for name in FAMILIES:
        path = SNAPSHOTS / f"{name}.txt"
        path.write_text(family_text(name), encoding="utf-8")
        paths.append(path)
    return paths


def _lines(canvas: Canvas) -> Iterator[str]:
    yield f"canvas {_box(canvas.bounds)}"
    members: defaultdict[tuple[str, int | None], list[Placement]] = defaultdict(list)
    for placement in canvas.placements:
        members[placement.role.stack if placement.role.layer is not None else "", placement.role.layer].append(placement)
    for stack in (region for region in canvas.regions if region.kind == "stack"):
        yield f"\nstack {stack.label}: {_box(stack.rect)}"
        layers = [region for region in canvas.regions if region.kind == "layer" and region.stack == stack.stack]
        for same, inside in _alike((layer, tuple(_inside(members[layer.stack, layer.layer], layer.rect))) for layer in layers):
            used = sum(p.grid.height * p.grid.width for p in members[same[0].stack, same[0].layer])
            share = used / (same[0].rect.width * same[0].rect.height)
            yield f"  {', '.join(layer.label for layer in same)}: {_size(same[0].rect)}, {share:.0%} filled"
            yield f"    at {' '.join(f'{layer.rect.x},{layer.rect.y}' for layer in same)}"
            yield from (f"    {line}" for line in inside)
    outside = list(_inside(members["", None], Rect(0, 0, 0, 0)))
    if outside:
        yield "\noutside stacks"
        yield from (f"    {line}" for line in outside)


def _alike(layers: Iterable[tuple[Region, tuple[str, ...]]]) -> Iterator[tuple[list[Region], tuple[str, ...]]]:
    """Consecutive layers that look the same, together."""
    same: list[Region] = []
    last: tuple[str, ...] | None = None
    for layer, inside in layers:
        if inside != last and same and last is not None:
            yield same, last
            same = []
        same.append(layer)
        last = inside
    if same and last is not None:
        yield same, last


def _inside(placements: list[Placement], origin: Rect) -> Iterator[str]:
    """A line for each slot, relative to `origin`, top to bottom; many experts are one line with the first and the last."""
    slots: defaultdict[tuple[str, bool], list[Placement]] = defaultdict(list)
    for placement in placements:
        slots[placement.role.slot, placement.role.expert is not None].append(placement)
    found = []
    for (slot, many), parts in slots.items():
        parts.sort(key=lambda part: part.role.expert or 0)
        first = parts[0].rect(parts[0].pieces[0])
        line = f"{_cuts(parts[0], origin)}  {slot}"
        if many:
            across = sum(part.pieces[0].y == parts[0].pieces[0].y for part in parts)
            line += f" × {len(parts)} experts, {across} abreast, last {_cuts(parts[-1], origin)}"
        found.append(((first.y, first.x), line))
    yield from (line for _, line in sorted(found))


def _cuts(placement: Placement, origin: Rect) -> str:
    first = placement.rect(placement.pieces[0])
    folded = f" in {len(placement.pieces)} pieces" if len(placement.pieces) > 1 else ""
    missing = " (missing)" if placement.tensor is None else ""
    return f"{first.x - origin.x},{first.y - origin.y} {placement.grid.rows}×{placement.grid.cols}{folded}{missing}"


def _box(rect: Rect) -> str:
    return f"{_size(rect)} at {rect.x},{rect.y}"


def _size(rect: Rect) -> str:
    return f"{rect.width} wide × {rect.height} high"


if __name__ == "__main__":
    for written in update():
        print(written)
