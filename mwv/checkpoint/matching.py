"""Two checkpoints in, which tensor of one is which of the other out, and why; by names and shapes alone, without a guess.

Tensors of one name belong together; then those of one canonical name (`names.py`); an expert on its own and its part of a
tensor that holds all experts of the layer; then those whose names are alike but for one beginning, the same for all of a part
of the model, most of whose tensors have one shape, too.
"""

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, product
from math import inf, prod
from typing import Final, Literal

from mwv.checkpoint.info import Checkpoint, TensorInfo
from mwv.checkpoint.names import canonical_names
from mwv.checkpoint.wording import listed, shown

_MOST_STRIPPED: Final = 5
"""Leading components that are taken off at most."""
_MOST_BEGINNINGS: Final = 16
"""Beginnings by which names may differ in one model: parts of it that were renamed each on its own."""
_COMMON: Final = 256
"""Pairs of names with one end beyond which that end says nothing, such as the `conv.weight` of a hundred blocks."""
_EXPERT: Final = re.compile(r"(.*(?:^|\.)experts)\.([0-9]+)\.(.+)")
_NAMED: Final = 4
"""Names that a line about an ambiguity gives at most."""

Kind = Literal["same shape", "other rows", "other shape", "only a", "only b"]


@dataclass(frozen=True)
class Side:
    """A tensor of one of the two checkpoints, or one expert of a tensor that holds all experts of a layer."""

    info: TensorInfo
    panel: int | None = None
    """The expert's number."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor, or of the expert."""
        return self.info.shape if self.panel is None else self.info.shape[1:]

    @property
    def name(self) -> str:
        """What its file calls it."""
        return self.info.name if self.panel is None else f"{self.info.name}[{self.panel}]"


@dataclass(frozen=True)
class Match:
    """A tensor of one checkpoint and its counterpart in the other; or one that has none."""

    name: str
    """What the comparison calls it: the canonical name that the first checkpoint has for it. No two are equal."""
    a: Side | None
    b: Side | None
    how: str
    """Why the two belong together; empty for one alone."""

    @property
    def kind(self) -> Kind:
        """Whether, and how far, the two can be compared element by element."""
        if self.a is None or self.b is None:
            return "only b" if self.a is None else "only a"
        a, b = self.a.shape, self.b.shape
        if _squeezed(a) == _squeezed(b):
            return "same shape"
        return "other rows" if a[1:] == b[1:] and prod(a[1:]) > 1 else "other shape"


@dataclass(frozen=True)
class Matching:
    """All tensors with elements of two checkpoints, in the order of the first, then what only the second has."""

    matches: tuple[Match, ...]
    ambiguous: tuple[str, ...]
    """A line for each name that could belong to several, and was left alone."""


def match(a: Checkpoint, b: Checkpoint) -> Matching:
    """Find the counterpart of each tensor; parts of packed weights lie with them, and tensors without elements do not count."""
    sides = _canonical(a), _canonical(b)
    left = dict(sides[0]), dict(sides[1])
    pairs: list[tuple[str, Side, Side, str]] = []

    def take(key_a: str, key_b: str, how: str) -> None:
        pairs.append((key_a, left[0].pop(key_a), left[1].pop(key_b), how))

    by_name = {side.info.name: key for key, side in left[1].items()}
    for key, side in sides[0].items():
        if side.info.name in by_name:
            take(key, by_name[side.info.name], "same name")
    for key in sides[0]:
        if key in left[0] and key in left[1]:
            take(key, key, "same canonical name")
    _part_experts(left)
    for key in list(left[0]):
        if key in left[1]:
            take(key, key, "an expert and its part of all experts")
    beginnings = ("", "")
    for _ in range(_MOST_BEGINNINGS):
        found = _renamed(*left, not pairs)
        if found is None:
            break
        of_a, of_b, ends = found
        beginnings = beginnings if any(beginnings) else (of_a, of_b)
        for end in ends:
            take(of_a + end, of_b + end, _told(of_a, of_b))
    ambiguous = tuple(_ambiguous(*left))
    order = {name: place for place, name in enumerate(sides[0])}
    taken = {name for name, *_ in pairs} | left[0].keys()
    matches = [Match(name, x, y, how) for name, x, y, how in pairs]
    matches += [Match(name, side, None, "") for name, side in left[0].items()]
    matches.sort(key=lambda m: order.get(m.name, len(order)))
    for name, side in left[1].items():
        renamed = beginnings[0] + name.removeprefix(beginnings[1]) if name.startswith(beginnings[1]) else name
        free = next(n for n in chain((renamed, name), (f"{name} ({i})" for i in count(2))) if n not in taken)
        taken.add(free)
        matches.append(Match(free, None, side, ""))
    return Matching(tuple(matches), ambiguous)


def apart(found: Match, taken: Container[str]) -> tuple[Match, Match]:
    """Two tensors that cannot be compared, each on its own; the second under a name that is not taken."""
    names = (f"{found.name} (other shape{f' {i}' if i > 1 else ''})" for i in count(1))
    return replace(found, b=None, how=""), replace(found, name=next(n for n in names if n not in taken), a=None, how="")


def _canonical(checkpoint: Checkpoint) -> dict[str, Side]:
    """The tensors that can be compared, by canonical name."""
    names = canonical_names((t.name for t in checkpoint.tensors), checkpoint.config)
    return {names[t.name]: Side(t) for t in checkpoint.tensors if t.elements and not t.part_of}


def _squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without axes of length 1, which formats add and drop."""
    return tuple(n for n in shape if n != 1)


def _part_experts(left: tuple[dict[str, Side], dict[str, Side]]) -> None:
    """Part each tensor that holds all experts of a layer into theirs, if the other side has them one by one."""
    for whole, single in (left, left[::-1]):
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for name in single:
            if found := _EXPERT.fullmatch(name):
                groups[f"{found[1]}.{found[3]}"].append(name)
        for fused, names in groups.items():
            side = whole.get(fused)
            if side is None or len(side.info.shape) != 3 or side.info.shape[0] != len(names):
                continue
            numbers = {int(found[2]): name for name in names if (found := _EXPERT.fullmatch(name))}
            if numbers.keys() == set(range(len(names))):
                del whole[fused]
                whole.update({numbers[n]: Side(side.info, n) for n in sorted(numbers)})


def _fits(a: Side, b: Side) -> bool:
    """Whether two tensors have one number of elements in rows of one length, or rows more."""
    x, y = _squeezed(a.shape), _squeezed(b.shape)
    return x == y or (len(x) > 1 and x[1:] == y[1:]) or (len(x) == len(y) == 1) or prod(x) == prod(y)


def _renamed(a: Mapping[str, Side], b: Mapping[str, Side], alone: bool) -> tuple[str, str, list[str]] | None:
    """What names of each side begin with before they are alike, and their ends: the beginnings that bring most together.

    What counts are ends of two components at least, with tensors of one shape; names of one component, and tensors with more
    rows, follow them. None if others would bring half as many together, and not the same ones: that would be a guess.
    """
    if not a or not b:
        return None
    ends = _ends(a, alone), _ends(b, alone)
    half = min(len(a), len(b)) / 2
    alike: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for end in ends[0].keys() & ends[1].keys():
        if len(ends[0][end]) * len(ends[1][end]) <= _COMMON:
            for of in product(ends[0][end], ends[1][end]):
                if _squeezed(a[of[0] + end].shape) == _squeezed(b[of[1] + end].shape):
                    alike[of].append(end)
    known = [of for of, found in alike.items() if len(found) >= _wanted(*of, alone, half)]
    if not known:
        return None
    first, *others = sorted(known, key=lambda of: (-len(alike[of]), len(of[0]) + len(of[1]), of))
    best = _pairs(first, alike[first])
    back = {y: x for x, y in best.items()}
    for other in others:
        if 2 * len(alike[other]) < len(best):
            break
        if any(best.get(x, y) != y or back.get(y, x) != x for x, y in _pairs(other, alike[other]).items()):
            return None
    of_a, of_b = first
    rest = (name.removeprefix(of_a) for name in a if name.startswith(of_a))
    return of_a, of_b, sorted(end for end in rest if of_b + end in b and _fits(a[of_a + end], b[of_b + end]))


def _wanted(a: str, b: str, alone: bool, half: float) -> float:
    """How many tensors two beginnings must bring together, before it is no guess that they mean the same.

    One that only one side has needs no more; components within need half of one side. So do a number, which may be a
    layer's, and others, which may name another part of a model; and only where nothing else connects the two (`alone`).
    """
    of_a, of_b = a.split(".")[:-1], b.split(".")[:-1]
    short, long = sorted((of_a, of_b), key=len)
    numbers = any(map(str.isdecimal, of_a)) + any(map(str.isdecimal, of_b))
    if numbers or not _within(short, long):
        return half if alone and numbers < 2 else inf
    return half if short else 1


def _within(short: Iterable[str], long: Iterable[str]) -> bool:
    """Whether a sequence has all of another, in order."""
    rest = iter(long)
    return all(part in rest for part in short)


def _pairs(beginnings: tuple[str, str], ends: Iterable[str]) -> dict[str, str]:
    return {beginnings[0] + end: beginnings[1] + end for end in ends}


def _ends(names: Iterable[str], numbers: bool = False) -> dict[str, list[str]]:
    """Ends of names of two components at least, and what is before each; that may have a layer's number only if asked."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        parts = name.split(".")
        for stripped in range(min(_MOST_STRIPPED, max(len(parts) - 2, 0)) + 1):
            if stripped and parts[stripped - 1].isdecimal() and not numbers:
                break
            found[".".join(parts[stripped:])].append("".join(f"{part}." for part in parts[:stripped]))
    return found


def _told(a: str, b: str) -> str:
    """How a name of the second became that of the first."""
    if a and b:
        return f"{a} for {b}"
    return f"with {a}" if a else f"without {b}"


def _ambiguous(a: Mapping[str, Side], b: Mapping[str, Side]) -> Iterator[str]:
    """Lines about names left on both sides that end alike, longest ends first."""
    ends = _ends(a), _ends(b)
    told: set[str] = set()
    for end in sorted(ends[0].keys() & ends[1].keys(), key=lambda end: (-end.count("."), end)):
        first, second = ([before + end for before in of[end]] for of in ends)
        if end.count(".") and not told.issuperset((*first, *second)) and _fits(a[first[0]], b[second[0]]):
            told.update((*first, *second))
            yield f"{shown(end)}: {_quoted(first)} and {_quoted(second)} may or may not belong together"


def _quoted(names: Sequence[str]) -> str:
    return listed([shown(name) for name in names], _NAMED)
