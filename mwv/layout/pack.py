"""Slots of a layer in, their Arrangement out: where each one stands inside the layer's box.

Matrices and blocks of vectors are put together by a slicing floor plan: the slots stay in reading order, every run of
them has a few best outlines, and two neighbouring runs are set side by side or one under the other.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product, takewhile
from math import log, log2, sqrt
from typing import Any, Final

from mwv.layout.grid import CELL, GAP, up
from mwv.layout.roles import ROUTER, family, rank, slot_order

TILE: Final = 512
"""Layers, columns, stacks and tensors outside stacks start on multiples of this."""

_OUTLINES: Final = 8
"""Outlines kept of each run of parts."""
_PARTS_AT_ONCE: Final = 10
"""Parts among which all slicings are tried; of more, runs are put together first."""
_MANY: Final = 100
"""More matrices than these are laid in plain rows, without their vectors: to search takes too long."""
_MOST_PANELS: Final = 256
_DEAREST_PANELS: Final = 8
"""More cuts cost no more: what is cut so often is a narrow strip, such as one half of an adapter."""
_MAX_WIDTH: Final = 130_000
"""Pixels; a wider layer is taken only if there is no other, since stacks have 131,072 for all."""
_ASPECT: Final = 9.0
"""A layer this many times as wide as tall is best: thirty of them make a page, and like matrices come close together."""
_ASPECT_COST: Final = 0.16
_PANEL_COST: Final = 0.02
_APART_COST: Final = 0.03
_ORDER_COST: Final = 0.03
"""What an octave of aspect, a cut through the tallest matrix, vectors away from their matrices, and an unusual reading
order cost, against the logarithm of the area."""


@dataclass(frozen=True)
class Slot:
    """The place that a sub-tensor needs in every layer of a stack, in pixels: largest over the layers.

    `step` is what a panel's height must be a multiple of when the slot is folded; `experts` > 1 asks for a cell of
    that size for each expert. `path` and `kind` together name the slot: one path may be a tensor, the experts of a
    fused one, and a list of experts.
    """

    path: str
    height: int
    width: int
    step: int = CELL
    experts: int = 1
    vector: bool = False
    kind: int = 0


@dataclass(frozen=True)
class Spot:
    """Where a slot stands in its layer, how high its panels are, and where expert `i` stands relative to the first."""

    x: int
    y: int
    panel: int
    across: int = 1
    cell: tuple[int, int] = (0, 0)

    def expert(self, i: int) -> tuple[int, int]:
        """Corner of the `i`-th expert's cell."""
        return self.x + i % self.across * self.cell[0], self.y + i // self.across * self.cell[1]


@dataclass(frozen=True)
class Arrangement:
    """The box that a layer needs and the spot of every slot in it, by path and kind."""

    width: int
    height: int
    spots: Mapping[tuple[str, int], Spot]


_Outline = tuple[int, int, Any]
"""Width, height and what it is made of: (Slot, Spot), or a list of (part, x, y)."""


@lru_cache(maxsize=1024)
def pack(slots: tuple[Slot, ...]) -> Arrangement:
    """The best arrangement found: little empty space, wide rather than tall, tall matrices folded where it pays."""
    used = sum(slot.width * slot.height * slot.experts for slot in slots)
    ordered = sorted(slots, key=lambda slot: slot_order(slot.path))
    _, width, height, made = min(
        (
            (_cost(outline, used) + extra, *outline)
            for parts, extra in _candidates(
                [slot for slot in ordered if not slot.vector], [slot for slot in ordered if slot.vector]
            )
            for outline in _front(parts)
        ),
        key=lambda candidate: candidate[:3],
    )
    return Arrangement(width, height, dict(_unfold((width, height, made), 0, 0)))


def _cost(outline: _Outline, used: int) -> float:
    """The logarithm of an outline's area over the area used, and what its aspect costs."""
    width, height = outline[:2]
    tall = up(height, TILE)
    too_wide = 10.0 * (width > _MAX_WIDTH)
    return log(width * tall / used) + _ASPECT_COST * abs(log2(width / tall / _ASPECT)) + too_wide


def _candidates(matrices: Sequence[Slot], vectors: Sequence[Slot]) -> Iterator[tuple[list[list[_Outline]], float]]:
    """Sequences of parts that make up a layer, each part with a few outlines, and what the sequence costs beforehand."""
    owned, loose = _owners(matrices, vectors)
    for cap, across, order in product(_caps(matrices), _expert_shapes(matrices), _orders(matrices)):
        leaves = [_leaf(slot, cap, across) for slot in order]
        extra = _ORDER_COST * (order is not matrices) + _PANEL_COST * (
            min(
                max((slot.height // leaf[2][1].panel for slot, leaf in zip(order, leaves, strict=True)), default=1) - 1,
                _DEAREST_PANELS,
            )
        )
        attention = sum(family(slot.path) < 2 for slot in matrices)
        if len(loose) < len(vectors):
            for block in _with_block([[leaf] for leaf in leaves], _rows([_leaf(slot) for slot in vectors]), attention):
                yield block, extra + _APART_COST
        beside = [_attached(leaf, owned[slot.path]) for slot, leaf in zip(order, leaves, strict=True)]
        for block in _with_block(beside, _rows([_leaf(slot) for slot in loose]), attention):
            yield block, extra


def _owners(matrices: Sequence[Slot], vectors: Sequence[Slot]) -> tuple[dict[str, list[Slot]], list[Slot]]:
    """Vectors by the matrix they belong to, of whose module they share the path, and those that belong to none."""
    owned: dict[str, list[Slot]] = {slot.path: [] for slot in matrices}
    if len(matrices) > _MANY:
        return owned, list(vectors)
    loose: list[Slot] = []
    for vector in vectors:
        owner = max(owned, key=lambda path: len(_shared(path, vector.path)), default="")
        if _belongs(vector.path, owner):
            owned[owner].append(vector)
        else:
            loose.append(vector)
    return owned, loose


def _belongs(vector: str, matrix: str) -> bool:
    """Whether two paths share a module; where neither is in another one (GGUF's `attn_q_norm.weight`), two words are enough."""
    if "." in _shared(vector, matrix):
        return True
    flat = vector.count(".") == matrix.count(".") == 1
    words = (re.split(r"[._]", path) for path in (vector, matrix))
    return flat and len(list(takewhile(lambda pair: pair[0] == pair[1], zip(*words, strict=False)))) > 1


def _shared(a: str, b: str) -> str:
    """The beginning that two paths have in common."""
    return "".join(x for x, _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


def _attached(leaf: _Outline, vectors: Sequence[Slot]) -> list[_Outline]:
    """A matrix with its vectors in rows below it, as wide as it is."""
    if not vectors:
        return [leaf]
    rows = _row((_leaf(slot) for slot in vectors), leaf[0])
    return [(max(leaf[0], rows[0]), up(leaf[1]) + rows[1], [(leaf, 0, 0), (rows, 0, up(leaf[1]))])]


def _orders(matrices: Sequence[Slot]) -> list[Sequence[Slot]]:
    """Reading orders worth trying: as given, and with the last of the MLP (the way down) before its other slots but routers."""
    ranks = {i: rank(slot.path) for i, slot in enumerate(matrices) if family(slot.path) == 2}
    mlp = [i for i in ranks if ranks[i] != ROUTER]
    if len(mlp) < 2:
        return [matrices]
    first, last = mlp[0], mlp[-1] + 1
    alike = next(i for i in mlp if ranks[i] == ranks[last - 1])
    down = alike if alike > first else last - 1
    return [matrices, [*matrices[:first], *matrices[down:last], *matrices[first:down], *matrices[last:]]]


def _with_block(parts: list[list[_Outline]], block: list[_Outline], attention: int) -> Iterator[list[list[_Outline]]]:
    """The block of vectors at the end, or as the last part of the attention; so it is never above a matrix."""
    if not block:
        yield parts
        return
    yield [*parts, block]
    if 0 < attention < len(parts):
        yield [_front([*parts[:attention], block]), *parts[attention:]]


def _caps(matrices: Sequence[Slot]) -> list[int | None]:
    """Heights to which tall matrices may be folded, None for not at all; never much wider than tall."""
    tallest = max(matrices, key=lambda slot: slot.height, default=None)
    if tallest is None:
        return [None]
    parts = range(2, min(tallest.height * 4 // max(3 * tallest.width, CELL), _MOST_PANELS) + 1)
    even = [n for n in parts if tallest.height % (n * tallest.step) == 0] or [n for n in parts if n < 5 or n & (n - 1) == 0]
    return [None, *(-(-tallest.height // n) for n in (even if len(even) < 5 else even[:4] + even[-1:]))]


def _expert_shapes(matrices: Sequence[Slot]) -> list[int]:
    """Numbers of experts abreast worth trying: near a square, few empty cells; the same for all slots of the layer."""
    count = max((slot.experts for slot in matrices), default=1)
    near = range(max(1, round(sqrt(count) / 2)), round(sqrt(count) * 3) + 1)
    least = min(-(-count // n) * n for n in near)
    exact = [n for n in near if -(-count // n) * n == least]
    return exact if len(exact) < 4 else [exact[0], exact[len(exact) // 2], exact[-1]]


def _leaf(slot: Slot, cap: int | None = None, across: int = 1) -> _Outline:
    """One slot, a tall one folded into panels no higher than `cap` but not much wider than high; experts `across` abreast."""
    panel = slot.height
    if cap is not None and 2 * slot.height > 3 * slot.width and slot.height > (cap := max(cap, slot.width * 3 // 4)):
        panels = -(-slot.height // cap)
        panel = min(slot.height, -(-slot.height // (panels * slot.step)) * slot.step)
    width = (-(-slot.height // panel) - 1) * up(slot.width, GAP) + slot.width
    across = min(across, slot.experts)
    down = -(-slot.experts // across)
    cell = up(width), up(panel)
    return (across - 1) * cell[0] + width, (down - 1) * cell[1] + panel, (slot, Spot(0, 0, panel, across, cell))


def _rows(leaves: Sequence[_Outline]) -> list[_Outline]:
    """Leaves in rows, in reading order, for a few widths."""
    widest = max((leaf[0] for leaf in leaves), default=0)
    total = sum(up(leaf[0]) for leaf in leaves)
    return _prune(_row(leaves, max(widest, -(-total // n))) for n in sorted({1, 2, 3, 4, 6, 8, 16, len(leaves)}) if leaves)


def _row(leaves: Iterable[_Outline], limit: int) -> _Outline:
    """Leaves from left to right, a new row wherever one would go beyond `limit`."""
    placed: list[tuple[_Outline, int, int]] = []
    x = y = high = wide = 0
    for leaf in leaves:
        if x and x + leaf[0] > limit:
            x, y, high = 0, y + up(high), 0
        placed.append((leaf, x, y))
        wide, high = max(wide, x + leaf[0]), max(high, leaf[1])
        x += up(leaf[0])
    return wide, y + high, placed


def _front(fronts: list[list[_Outline]]) -> list[_Outline]:
    """The best outlines of a sequence of parts; a long one is cut into runs first, a very long one into rows."""
    if len(fronts) > _MANY:
        size = -(-len(fronts) // _PARTS_AT_ONCE)
        fronts = [_rows([front[0] for front in fronts[i : i + size]]) for i in range(0, len(fronts), size)]
    while len(fronts) > _PARTS_AT_ONCE:
        size = max(2, -(-len(fronts) // _PARTS_AT_ONCE))
        fronts = [_front(fronts[i : i + size]) for i in range(0, len(fronts), size)]
    n = len(fronts)
    table = {(i, i + 1): front for i, front in enumerate(fronts)}
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length
            table[i, j] = _prune(
                outline for k in range(i + 1, j) for a in table[i, k] for b in table[k, j] for outline in _joined(a, b)
            )
    return table[0, n]


def _joined(a: _Outline, b: _Outline) -> Iterator[_Outline]:
    """`b` right of `a`, and `b` below `a`."""
    right, below = up(a[0]), up(a[1])
    yield right + b[0], max(a[1], b[1]), [(a, 0, 0), (b, right, 0)]
    yield max(a[0], b[0]), below + b[1], [(a, 0, 0), (b, 0, below)]


def _prune(outlines: Iterable[_Outline]) -> list[_Outline]:
    """Outlines that no other one fits into, the least areas if they are many; earlier ones win ties."""
    front: list[_Outline] = []
    for outline in sorted(outlines, key=lambda o: o[:2]):
        if not front or outline[1] < front[-1][1]:
            front.append(outline)
    if len(front) > _OUTLINES:
        front = sorted(sorted(front, key=lambda o: o[0] * o[1])[:_OUTLINES], key=lambda o: o[:2])
    return front


def _unfold(outline: _Outline, x: int, y: int) -> Iterator[tuple[tuple[str, int], Spot]]:
    """The spots of every slot of an outline whose corner is at (x, y)."""
    made = outline[2]
    if isinstance(made, tuple):
        slot, spot = made
        yield (slot.path, slot.kind), replace(spot, x=x, y=y)
    else:
        for part, dx, dy in made:
            yield from _unfold(part, x + dx, y + dy)
