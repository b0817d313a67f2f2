"""Names and shapes of a model's tensors in, its Canvas out: stacks of layers, tables left, heads right, the rest below."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import log2, prod, sqrt
from typing import Any, Final

from mwv.errors import LayoutError
from mwv.layout.canvas import Canvas, Placement, Rect, Region, Role
from mwv.layout.grid import footprint, grid_of, panels_of, stacked_experts, up
from mwv.layout.pack import TILE
from mwv.layout.roles import module_order, roles_of, side_of, stack_order
from mwv.layout.stack import MAX_STACK, Layer, Part, Stack, stack_of

MAX_WIDTH: Final = 262_144
"""Pixels; what would be wider is folded."""
SIDE: Final = 65_536
"""Pixels of width for the tables left of the stacks, and for the heads right of them."""
LEAST_ORIGIN: Final = 32_768
"""The first stack stands at a power of two, at least this, so that what grows left of it moves no tile of it on any level
that shows the stack alone. Empty columns cost nothing: viewers begin at the bounds of what is drawn."""
LEAST_PANEL: Final = 4096

_Spot = tuple[Part, int | None, int, int]
"""A tensor outside stacks, the height of its panels, its distance from the inner edge, and its y."""


def arrange(
    tensors: Sequence[tuple[str, tuple[int, ...]]],
    *,
    layers: Mapping[str, int] | int | None = None,
    experts: int | None = None,
    index_names: Sequence[str] = (),
    columns: int | None = 1,
) -> Canvas:
    """Lay out a model (layout `arch`). The order of `tensors` means nothing but for `Placement.tensor`.

    `layers` is the number of layers that the configuration promises, for the longest stack or per stack; `experts` the
    number of experts in a layer, which tells how to part tensors that hold all of them one under the other.
    `index_names` are the names that a shard index lists. What both promise and `tensors` lacks gets its place,
    if its shape is known from other layers. `columns` folds every stack into so many columns, None chooses.
    Tensors without elements get no place. LayoutError if the canvas would be too wide whatever is folded.
    """
    roles = roles_of([*(name for name, _ in tensors), *index_names])
    stacks: dict[str, dict[int, Layer]] = {}
    loose: list[Part] = []
    for i, (name, shape) in sorted(enumerate(tensors), key=lambda item: item[1][0]):
        for part in _parts(name, i, stacked_experts(name, shape, experts), roles[name]):
            role = part.role
            if role.layer is None:
                loose.append(part)
                continue
            members = stacks.setdefault(role.stack, {}).setdefault(role.layer, {})
            if members.setdefault((*part.place, role.expert), part) is not part:
                # Two names may lead to one place (experts.3.experts.w, experts.experts.3.w): the later one stays outside.
                loose.append(replace(part, role=Role("", None, name, role.expert)))
    _reserve(stacks, {name: roles[name] for name in sorted({*index_names} - {name for name, _ in tensors})}, layers)
    return _canvas([stack_of(name, stacks[name], columns) for name in sorted(stacks, key=stack_order)], loose)


def layout_digest_input(canvas: Canvas) -> list[Any]:
    """What a canvas shows where, as plain JSON: equal for two canvases whose placements coincide."""
    return sorted(
        [
            p.name,
            -1 if p.panel is None else p.panel,
            [p.grid.rows, p.grid.cols, p.grid.row_elements, p.grid.elements, *p.grid.patch, *p.grid.thick],
            [[piece.x, piece.y, piece.row, piece.col, piece.rows, piece.cols] for piece in p.pieces],
        ]
        for p in canvas.placements
    )


def _parts(name: str, tensor: int, shape: tuple[int, ...], role: Role) -> Iterator[Part]:
    """A tensor as one part, fused experts as one each, a tensor without elements as none."""
    if not prod(shape):
        return
    experts = panels_of(name, shape)
    if experts is None:
        yield Part(name, tensor, None, grid_of(shape), role)
        return
    grid = grid_of(shape[1:], panel=True)
    for i in range(experts):
        yield Part(f"{name}[{i}]", tensor, i, grid, replace(role, expert=i))


def _reserve(stacks: dict[str, dict[int, Layer]], missing: Mapping[str, Role], layers: Mapping[str, int] | int | None) -> None:
    """Give every promised tensor that is missing the grid that its slot has in the nearest layer."""
    absent: defaultdict[str, list[tuple[str, Role, int]]] = defaultdict(list)
    for name, role in missing.items():
        if role.layer is not None and role.stack in stacks:
            absent[role.stack].append((name, role, role.layer))
    sizes = {stack: len(members.keys() | {layer for *_, layer in absent[stack]}) for stack, members in stacks.items()}
    longest = max(sorted(stacks), key=lambda stack: sizes[stack], default="")
    limits = {longest: layers} if isinstance(layers, int) else dict(layers or {})
    for stack, promised in absent.items():
        members = stacks[stack]
        known: defaultdict[tuple[str, bool], dict[int, list[Part]]] = defaultdict(dict)
        for layer in sorted(members):
            for part in members[layer].values():
                slot = part.role.slot, part.panel is not None
                known[slot].setdefault(layer, []).append(part)
        layers_of = {slot: list(models) for slot, models in known.items()}
        for name, role, layer in promised:
            for slot in ((role.slot, False), (role.slot, True)):
                if slot in known and layer < limits.get(stack, layer + 1):
                    for part in _reserved(name, role, known[slot][_nearest(layers_of[slot], layer)]):
                        members.setdefault(layer, {}).setdefault((*part.place, part.role.expert), part)


def _nearest(layers: Sequence[int], layer: int) -> int:
    """The member of a sorted list that is nearest to `layer`, the lower one of two."""
    i = bisect_left(layers, layer)
    return min(layers[max(0, i - 1) : i + 1], key=lambda other: (abs(other - layer), other))


def _reserved(name: str, role: Role, models: Sequence[Part]) -> Iterator[Part]:
    """Stand-ins for a missing tensor after the same slot of another layer; all panels of fused experts."""
    for part in models if models[0].panel is not None else models[:1]:
        panel = part.panel
        yield Part(
            name if panel is None else f"{name}[{panel}]",
            None,
            panel,
            part.grid,
            replace(role, expert=panel if panel is not None else role.expert),
        )


def _canvas(stacks: Sequence[Stack], loose: Sequence[Part]) -> Canvas:
    """Stacks side by side, tables left of them, heads right, the rest below; nothing above."""
    sides: dict[str, list[Part]] = {"embedding": [], "head": [], "rest": []}
    for part in loose:
        sides[side_of(part.name)].append(part)
    area = sum(up(width, TILE) * up(height, TILE) for width, height in (footprint(part.grid) for part in loose))
    spread, wide, tall = _side_by_side(stacks)
    tall = tall or 1 << round(log2(sqrt(area) + 1))
    left_width, left = _beside(sides["embedding"], tall)
    _, right = _beside(sides["head"], tall)
    rest_width, below = _below(sides["rest"], tall, wide or min(2 * tall, MAX_STACK))
    x0 = LEAST_ORIGIN
    while x0 < left_width:
        x0 *= 2
    placements = [part.placed(x0 - dx - up(footprint(part.grid, panel)[0], TILE), y, panel) for part, panel, dx, y in left]
    for stack, x, y in spread:
        placements += stack.placements(x0 + x, y)
    bottom = tall if stacks else 0
    placements += [part.placed(x0 + dx, bottom + y, panel) for part, panel, dx, y in below]
    edge = x0 + max(wide, rest_width)
    placements += [part.placed(edge + dx, y, panel) for part, panel, dx, y in right]
    return _bounded(placements, [region for stack, x, y in spread for region in stack.regions(x0 + x, y)])


def _bounded(placements: Sequence[Placement], regions: Sequence[Region]) -> Canvas:
    """The canvas with the bounding box of what is drawn."""
    rects = [(placement.name, placement.rect(piece)) for placement in placements for piece in placement.pieces]
    if not rects:
        return Canvas(Rect(0, 0, 0, 0), (), ())
    name, last = max(rects, key=lambda item: item[1].x + item[1].width)
    right = last.x + last.width
    if right > MAX_WIDTH:
        raise LayoutError(f"{name}: the layout needs {right:,} pixels of width, more than {MAX_WIDTH:,}")
    x, y = min(rect.x for _, rect in rects), min(rect.y for _, rect in rects)
    return Canvas(Rect(x, y, right - x, max(rect.y + rect.height for _, rect in rects) - y), tuple(placements), tuple(regions))


def _side_by_side(stacks: Sequence[Stack]) -> tuple[list[tuple[Stack, int, int]], int, int]:
    """Stacks with their corners, in one row while it is no wider than MAX_STACK; width and height of all of them."""
    placed: list[tuple[Stack, int, int]] = []
    x = y = wide = bottom = 0
    for stack in stacks:
        if x and x + stack.width > MAX_STACK:
            x, y = 0, bottom
        placed.append((stack, x, y))
        x += stack.width
        wide, bottom = max(wide, x), max(bottom, y + stack.height)
    return placed, wide, bottom


def _panel(part: Part, tall: int, least: int) -> int | None:
    """Height of the panels of a tensor beside stacks `tall` pixels high, None if it is not folded."""
    panel = max(least, 1 << round(log2(tall)))
    if part.grid.height <= max(tall, panel):
        return None
    step = part.grid.band_rows * part.grid.thick[0]
    return max(step, panel - panel % step)


def _beside(parts: Sequence[Part], tall: int) -> tuple[int, list[_Spot]]:
    """Tensors in columns away from the stacks, the low ones nearest; the width that they take."""
    least = LEAST_PANEL
    while True:
        width, spots = _columns(parts, tall, least)
        if width <= SIDE or all(panel is None for _, panel, _, _ in spots):
            return width, spots
        least *= 2


def _columns(parts: Sequence[Part], tall: int, least: int) -> tuple[int, list[_Spot]]:
    """Tensors in columns for one height of panels."""
    sized = []
    for part in parts:
        panel = _panel(part, tall, least)
        sized.append((*footprint(part.grid, panel), part, panel))
    spots: list[_Spot] = []
    x = y = wide = 0
    for width, height, part, panel in sorted(sized, key=lambda item: (item[1], module_order(item[2].name))):
        if y and (panel is not None or y + height > max(tall, least)):
            x, y, wide = x + wide, 0, 0
        spots.append((part, panel, x, y))
        y += up(height, TILE)
        wide = max(wide, up(width, TILE))
    return x + wide, spots


def _below(parts: Sequence[Part], tall: int, limit: int) -> tuple[int, list[_Spot]]:
    """Tensors in rows no wider than `limit` if possible, matrices before vectors; the width that they take."""
    spots: list[_Spot] = []
    x = y = high = wide = 0
    kind = False
    for part in sorted(parts, key=lambda part: (part.grid.rows == 1, module_order(part.name))):
        panel = _panel(part, tall, LEAST_PANEL)
        width, height = footprint(part.grid, panel)
        vector = part.grid.rows == 1
        if x and (x + width > limit or vector != kind):
            x, y, high = 0, y + high, 0
        kind = vector
        spots.append((part, panel, x, y))
        x += up(width, TILE)
        high, wide = max(high, up(height, TILE)), max(wide, x)
    return wide, spots
