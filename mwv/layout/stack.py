"""The tensors of one stack in, a Block of placements and regions out: its layers one under the other."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import lcm, log2
from typing import Final

from mwv.layout.canvas import Placement, Rect, Region, Role
from mwv.layout.grid import WIDEST, Grid, footprint, pieces, up
from mwv.layout.pack import TILE, Arrangement, Slot, pack

MAX_STACK: Final = 131_072
"""Pixels that the stacks may take side by side."""

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
class Block:
    """Placements and regions relative to their own origin, and the pixels that they need with the gap after them."""

    width: int
    height: int
    placements: tuple[Placement, ...]
    regions: tuple[Region, ...] = ()


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
    return [level for run in runs for level in _run({layer: members[layer] for layer in run})]


def _run(members: Mapping[int, Layer]) -> Iterator[_Level]:
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


def stack_block(name: str, members: Mapping[int, Layer], columns: int | None) -> Block:
    """Layers one under the other, in `columns` columns of consecutive ones, None for as many as make it nearly square."""
    levels = _levels(members)
    width = max(up(level.arrangement.width, TILE) for level in levels)
    most = max(1, min(len(levels), MAX_STACK // width))
    if columns is None:
        columns = min(range(1, most + 1), key=lambda n: (_ribbon(levels, n, width), n))
    size = -(-len(levels) // min(columns, most))
    placements: list[Placement] = []
    regions: list[Region] = []
    x = bottom = 0
    for start in range(0, len(levels), size):
        column = levels[start : start + size]
        y = 0
        for level in column:
            box = Rect(x, y, level.arrangement.width, level.arrangement.height)
            regions.append(Region("layer", f"layer {level.layer}", name, level.layer, box))
            placements += _layer(level, x, y)
            y += up(box.height, TILE)
        wide = max(level.arrangement.width for level in column)
        if size < len(levels):
            label = f"layers {column[0].layer} to {column[-1].layer}"
            regions.append(Region("column", label, name, None, Rect(x, 0, wide, y)))
        x, bottom = x + up(wide, TILE), max(bottom, y)
    right = max(region.rect.x + region.rect.width for region in regions)
    lower = max(region.rect.y + region.rect.height for region in regions)
    regions.insert(0, Region("stack", name or "layers", name, None, Rect(0, 0, right, lower)))
    return Block(x, bottom, tuple(placements), tuple(regions))


def _ribbon(levels: Sequence[_Level], columns: int, width: int) -> float:
    """How far from a square a stack is in so many columns."""
    size = -(-len(levels) // columns)
    height = max(
        sum(up(level.arrangement.height, TILE) for level in levels[start : start + size])
        for start in range(0, len(levels), size)
    )
    return abs(log2(-(-len(levels) // size) * width / height))


def _layer(level: _Level, x: int, y: int) -> Iterator[Placement]:
    """What a layer holds, its corner at (x, y)."""
    for part in level.parts:
        spot = level.arrangement.spots[part.place]
        dx, dy = spot.expert(level.ranks[part.place].get(part.role.expert, 0) if part.role.expert is not None else 0)
        yield part.placed(x + dx, y + dy, spot.panel)
