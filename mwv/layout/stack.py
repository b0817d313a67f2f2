"""The tensors of one stack in, a Stack out: its layers one under the other, ready to be placed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import lcm, log2
from typing import Final

from mwv.layout.canvas import Placement, Rect, Region, Role
from mwv.layout.grid import WIDEST, Grid, footprint, pieces, up
from mwv.layout.pack import TILE, Arrangement, Slot, pack

MAX_STACK: Final = 131_072
"""Pixels that the stacks may take side by side."""

_MOST_KINDS: Final = 8
"""Arrangements in a run of layers."""

Place = tuple[str, int]
"""A slot's path and kind: 0 one tensor, 1 the experts of a fused tensor, 2 a list of experts."""
Layer = dict[tuple[str, int, int | None], "Part"]
"""What a layer holds, by path, kind and expert."""


@dataclass(frozen=True)
class Part:
    """One thing to place: a tensor, one panel of it, or (`tensor` None) something that the index promises."""

    name: str
    tensor: int | None
    panel: int | None
    grid: Grid
    role: Role

    @property
    def place(self) -> Place:
        """Which slot of the layer it takes."""
        return self.role.slot, 1 if self.panel is not None else 0 if self.role.expert is None else 2

    def placed(self, x: int, y: int, panel: int | None = None) -> Placement:
        """The placement with its corner at (x, y)."""
        return Placement(self.name, self.tensor, self.panel, self.grid, self.role, tuple(pieces(self.grid, x, y, panel)))


@dataclass(frozen=True)
class _Level:
    """One layer of a stack, with the arrangement that it shares with the layers of its run."""

    layer: int
    parts: tuple[Part, ...]
    arrangement: Arrangement
    ranks: Mapping[Place, Mapping[int, int]]


@dataclass(frozen=True)
class Stack:
    """Layers in columns of consecutive ones, and the pixels that they need with the gap after them."""

    name: str
    columns: tuple[tuple[_Level, ...], ...]

    @property
    def width(self) -> int:
        """Pixels to where the next stack may start."""
        return sum(_wide(column) for column in self.columns)

    @property
    def height(self) -> int:
        """Pixels to where something may start below."""
        return max(map(_high, self.columns))

    def placements(self, x: int, y: int) -> Iterator[Placement]:
        """Everything in the stack, its corner at (x, y)."""
        for level, left, top in self._corners(x, y):
            for part in level.parts:
                spot = level.arrangement.spots[part.place]
                expert = part.role.expert
                dx, dy = spot.expert(0 if expert is None else level.ranks[part.place][expert])
                yield part.placed(left + dx, top + dy, spot.panel)

    def regions(self, x: int, y: int) -> Iterator[Region]:
        """The stack, its columns if there are several, and its layers, its corner at (x, y)."""
        layers = []
        for level, left, top in self._corners(x, y):
            rect = Rect(left, top, level.arrangement.width, level.arrangement.height)
            layers.append(Region("layer", f"layer {level.layer}", self.name, level.layer, rect))
        yield Region("stack", self.name or "layers", self.name, None, _around(region.rect for region in layers))
        if len(self.columns) > 1:
            rest = iter(layers)
            for column in self.columns:
                label = f"layers {column[0].layer} to {column[-1].layer}"
                rect = _around(region.rect for region in islice(rest, len(column)))
                yield Region("column", label, self.name, None, rect)
        yield from layers

    def _corners(self, x: int, y: int) -> Iterator[tuple[_Level, int, int]]:
        """Every layer with its corner."""
        for column in self.columns:
            top = y
            for level in column:
                yield level, x, top
                top += up(level.arrangement.height, TILE)
            x += _wide(column)


def _wide(column: Iterable[_Level]) -> int:
    """Pixels of width that a column needs."""
    return max(up(level.arrangement.width, TILE) for level in column)


def _high(column: Iterable[_Level]) -> int:
    """Pixels of height that a column needs."""
    return sum(up(level.arrangement.height, TILE) for level in column)


def _around(rects: Iterable[Rect]) -> Rect:
    """The smallest rectangle around others."""
    rects = list(rects)
    x, y = min(rect.x for rect in rects), min(rect.y for rect in rects)
    return Rect(x, y, max(rect.x + rect.width for rect in rects) - x, max(rect.y + rect.height for rect in rects) - y)


def stack_of(name: str, members: Mapping[int, Layer], columns: int | None) -> Stack:
    """Layers one under the other, in `columns` columns of consecutive ones, None for as many as make it nearly square."""
    levels = _levels(members)
    most = max(1, min(len(levels), MAX_STACK // _wide(levels)))
    if columns is not None:
        return _folded(name, levels, min(columns, most))
    folded = (_folded(name, levels, n) for n in range(1, most + 1))
    return min(folded, key=lambda stack: abs(log2(stack.width / stack.height)))


def _folded(name: str, levels: Sequence[_Level], columns: int) -> Stack:
    """A stack in no more than so many columns of equal numbers of layers."""
    size = -(-len(levels) // columns)
    return Stack(name, tuple(tuple(levels[i : i + size]) for i in range(0, len(levels), size)))


def _levels(members: Mapping[int, Layer]) -> list[_Level]:
    """The layers in order; those between which a matrix grows or shrinks more than twofold do not share an arrangement."""
    runs: list[list[int]] = []
    spans: dict[Place, tuple[int, int]] = {}
    for layer in sorted(members):
        sizes: dict[Place, int] = {}
        for part in members[layer].values():
            if part.grid.thick == (1, 1):
                sizes[part.place] = max(part.grid.elements, sizes.get(part.place, 0))
        grown = {
            place: (min(size, spans.get(place, (size,))[0]), max(size, spans.get(place, (size,))[-1]))
            for place, size in sizes.items()
        }
        if not runs or any(most > 2 * least for least, most in grown.values()):
            runs.append([])
            spans = {place: (size, size) for place, size in sizes.items()}
        else:
            spans |= grown
        runs[-1].append(layer)
    kinds = [kind for run in runs for kind in _kinds({layer: members[layer] for layer in run})]
    return sorted((level for kind in kinds for level in _alike(kind)), key=lambda level: level.layer)


def _kinds(members: Mapping[int, Layer]) -> Iterator[dict[int, Layer]]:
    """Layers that would fill half of what they shared; then, of the others, again such ones, and in the end all others.

    So dense layers between layers with a mixture of experts are not as large as those.
    """
    rest = {layer: _sizes(parts) for layer, parts in members.items()}
    for more in reversed(range(_MOST_KINDS)):
        if not rest:
            return
        room: dict[Place, int] = {}
        for sizes in rest.values():
            room.update((place, size) for place, size in sizes.items() if size > room.get(place, 0))
        filled = {layer: sizes.total() for layer, sizes in rest.items()}
        least = min(sum(room.values()) / 2, max(filled.values())) if more else 0
        yield {layer: members[layer] for layer in rest if filled[layer] >= least}
        rest = {layer: sizes for layer, sizes in rest.items() if filled[layer] < least}


def _sizes(layer: Layer) -> Counter[Place]:
    """Elements in each slot of a layer."""
    sizes: Counter[Place] = Counter()
    for part in layer.values():
        sizes[part.place] += part.grid.elements
    return sizes


def _alike(members: Mapping[int, Layer]) -> Iterator[_Level]:
    """Layers with the arrangement that holds the largest of each slot."""
    parts: defaultdict[Place, list[Part]] = defaultdict(list)
    for layer in members.values():
        for part in layer.values():
            parts[part.place].append(part)
    ranks = {
        place: {n: i for i, n in enumerate(sorted({part.role.expert for part in same if part.role.expert is not None}))}
        for place, same in parts.items()
    }
    arrangement = pack(tuple(_slot(place, same, max(1, len(ranks[place]))) for place, same in sorted(parts.items())))
    for number, layer in members.items():
        yield _Level(number, tuple(layer.values()), arrangement, ranks)


def _slot(place: Place, parts: Iterable[Part], experts: int) -> Slot:
    """The slot that holds every one of `parts`."""
    grids = {part.grid for part in parts}
    sizes = [footprint(grid) for grid in grids]
    width, height = max(size[0] for size in sizes), max(size[1] for size in sizes)
    step = lcm(*(grid.band_rows * grid.thick[0] for grid in grids)) if width < WIDEST else height
    vector = experts == 1 and all(grid.rows == 1 for grid in grids)
    return Slot(place[0], height, width, step, experts, vector, place[1])
