"""Two JSON values in, the changes that make one of the other out: by key, elements of arrays aligned by value."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final, Literal

from mwv.files.align import Gap, align, gaps

Path = tuple[str | int, ...]
Kind = Literal["changed", "added", "removed", "renamed", "moved"]

_LABELS: Final = ("id", "name", "content", "key")
"""What tells an object in an array from its neighbours, the first of these that it has."""
_TELLING: Final = 16
"""Characters of a string that is hardly equal to another by chance."""
_OPENED: Final = 1_000
"""Entries of an object that is on one side alone and may still hold what has moved."""
_TRIVIAL: Final = (None, True, False, 0, 1, "")


@dataclass(frozen=True)
class Change:
    """One thing that sets two values apart. Equal values that lie elsewhere are renamed (same object) or moved."""

    kind: Kind
    a: Path | None
    b: Path | None
    """Where it is in each; None where it is not. What is below a changed array counts its elements by its own side."""
    before: Any
    after: Any


@dataclass(frozen=True)
class JsonDiff:
    """Two values, and all changes, in the order of the first, what was added where it is met."""

    a: Any
    b: Any
    changes: Sequence[Change]

    @property
    def counts(self) -> dict[Kind, int]:
        """How many there are of each kind that occurs."""
        return dict(Counter(change.kind for change in self.changes))


def compare_values(a: Any, b: Any) -> JsonDiff:
    """The changes from `a` to `b`, which nest no deeper than `parse.DEEPEST`. Time and memory are linear but for `align`.

    1 and 1.0 differ as they do in the file, NaN equals NaN, and the order of keys does not count.
    """
    differ = _Differ()
    differ.compare(a, b, (), ())
    return JsonDiff(a, b, differ.settled())


@dataclass(frozen=True, eq=False)
class _Single:
    """A value on one side that has no counterpart yet, and when it was met."""

    order: int
    path: Path
    value: Any

    @property
    def key(self) -> str | int | None:
        return self.path[-1] if self.path else None


@dataclass(eq=False)
class _Differ:
    """Gives equal values equal numbers, so that to compare two costs nothing; and gathers changes."""

    numbers: dict[Any, int] = field(default_factory=dict)
    known: dict[int, int] = field(default_factory=dict)
    """Numbers of objects and arrays by where Python keeps them: all live as long as this does."""
    found: list[tuple[int, Change]] = field(default_factory=list)
    removed: list[_Single] = field(default_factory=list)
    added: list[_Single] = field(default_factory=list)
    met: int = 0

    def number(self, value: Any) -> int:
        """What equal values have in common, and no others."""
        if type(value) is str:  # most are
            return self.numbers.setdefault(value, len(self.numbers))
        key: Any
        if isinstance(value, dict | list):
            number = self.known.get(id(value))
            if number is not None:
                return number
            if isinstance(value, list):
                key = ("[", *map(self.number, value))
            else:
                key = ("{", *(part for name in sorted(value) for part in (name, self.number(value[name]))))
            number = self.known[id(value)] = self.numbers.setdefault(key, len(self.numbers))
            return number
        # To Python 1, 1.0 and True are equal, 0.0 and -0.0 too, and a NaN not even to itself.
        key = (type(value), repr(value)) if isinstance(value, bool | float) else value
        return self.numbers.setdefault(key, len(self.numbers))

    def compare(self, a: Any, b: Any, at: Path, to: Path) -> None:
        """Note what differs between a value at one path and one at another that belong together."""
        if self.number(a) == self.number(b):
            return
        if isinstance(a, dict) and isinstance(b, dict):
            self._objects(a, b, at, to)
        elif isinstance(a, list) and isinstance(b, list):
            self._arrays(a, b, at, to)
        else:
            self._note("changed", at, to, a, b)

    def settled(self) -> list[Change]:
        """All changes in order, after what is on one side alone has been sought on the other."""
        removed, added = self._opened(self.removed, self.added), self._opened(self.added, self.removed)
        waiting: defaultdict[tuple[int, str | int | None], deque[_Single]] = defaultdict(deque)
        for one in removed:
            for key in self._kept(one):
                waiting[key].append(one)
        gone: set[int] = set()
        new = []
        for one in added:
            other = next((found for key in self._kept(one) if (found := _next(waiting.get(key), gone))), None)
            if other is None:
                new.append(one)
                continue
            gone.add(id(other))
            self.found.append((other.order, Change("moved", other.path, one.path, other.value, one.value)))
        old = [one for one in removed if id(one) not in gone]
        self.found += [(one.order, Change("removed", one.path, None, one.value, None)) for one in old]
        self.found += [(one.order, Change("added", None, one.path, None, one.value)) for one in new]
        return [change for _, change in sorted(self.found, key=itemgetter(0))]

    def _kept(self, one: _Single) -> Iterator[tuple[int, str | int | None]]:
        """What two singles have in common that are more than equal by chance: value and key; else a value that tells."""
        value = one.value
        if _trivial(value):
            return
        if isinstance(one.key, str):
            yield self.number(value), one.key
        if isinstance(value, dict | list) or (isinstance(value, str) and len(value) >= _TELLING):
            yield self.number(value), None

    def label(self, value: Any) -> int | None:
        """What an element of an array is known by, if it says so; of the vocabulary of a Unigram model the token."""
        if isinstance(value, dict):
            said = next(((k, value[k]) for k in _LABELS if isinstance(value.get(k), str | int)), None)
        elif isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int | float):
            said = ("", value[0])
        else:
            said = None
        return None if said is None else self.numbers.setdefault((said[0], self.number(said[1])), len(self.numbers))

    def _note(self, kind: Kind, at: Path, to: Path, before: Any, after: Any) -> None:
        self.met += 1
        self.found.append((self.met, Change(kind, at, to, before, after)))

    def _single(self, singles: list[_Single], path: Path, value: Any) -> None:
        self.met += 1
        singles.append(_Single(self.met, path, value))

    def _objects(self, a: dict[str, Any], b: dict[str, Any], at: Path, to: Path) -> None:
        new: defaultdict[int, list[str]] = defaultdict(list)
        for key, value in b.items():
            if key not in a:
                new[self.number(value)].append(key)
        old = Counter(self.number(value) for key, value in a.items() if key not in b)
        taken = set()
        for key, value in a.items():
            if key in b:
                self.compare(value, b[key], (*at, key), (*to, key))
                continue
            number = self.number(value)
            names = new.get(number, ())
            # By chance many things are true, or 1; what is equal to several may be any of them.
            if len(names) == 1 and old[number] == 1 and not _trivial(value):
                taken.add(names[0])
                self._note("renamed", (*at, key), (*to, names[0]), value, value)
            else:
                self._single(self.removed, (*at, key), value)
        for key, value in b.items():
            if key not in a and key not in taken:
                self._single(self.added, (*to, key), value)

    def _arrays(self, a: list[Any], b: list[Any], at: Path, to: Path) -> None:
        of_a, of_b = [self.number(x) for x in a], [self.number(x) for x in b]
        left = list(gaps(align(of_a, of_b), Gap(0, len(a), 0, len(b))))
        # Elements that have a counterpart in another gap have moved there.
        places: defaultdict[int, deque[int]] = defaultdict(deque)
        for gap in left:
            for j in range(gap.b, gap.b_end):
                places[of_b[j]].append(j)
        moved: dict[int, int] = {}
        for gap in left:
            for i in range(gap.a, gap.a_end):
                if places.get(of_a[i]):
                    moved[i] = places[of_a[i]].popleft()
        arrived = set(moved.values())
        for gap in left:
            for i in range(gap.a, gap.a_end):
                if i in moved:
                    self._note("moved", (*at, i), (*to, moved[i]), a[i], a[i])
            rest_a = [i for i in range(gap.a, gap.a_end) if i not in moved]
            rest_b = [j for j in range(gap.b, gap.b_end) if j not in arrived]
            pairs = list(_pairs(self, [a[i] for i in rest_a], [b[j] for j in rest_b]))
            self._paired(a, b, rest_a, rest_b, pairs, at, to)

    def _paired(
        self,
        a: list[Any],
        b: list[Any],
        of_a: Sequence[int],
        of_b: Sequence[int],
        pairs: Sequence[tuple[int, int]],
        at: Path,
        to: Path,
    ) -> None:
        """Compare elements that belong together; the others are on one side alone."""
        partner = {of_a[i]: of_b[j] for i, j in pairs}
        for i in of_a:
            if i in partner:
                self.compare(a[i], b[partner[i]], (*at, i), (*to, partner[i]))
            else:
                self._single(self.removed, (*at, i), a[i])
        arrived = set(partner.values())
        for j in of_b:
            if j not in arrived:
                self._single(self.added, (*to, j), b[j])

    def _opened(self, singles: Iterable[_Single], others: Sequence[_Single]) -> list[_Single]:
        """Objects of one side alone that hold what the other has under the same key elsewhere, taken apart into entries."""
        known = {(one.key, self.number(one.value)) for one in others if isinstance(one.key, str) and not _trivial(one.value)}
        result = []
        for one in singles:
            value = one.value
            entries = value.items() if isinstance(value, dict) and len(value) <= _OPENED else ()
            if any((key, self.number(item)) in known for key, item in entries):
                result.append(_Single(one.order, one.path, {}))
                result += [_Single(one.order, (*one.path, key), item) for key, item in entries]
            else:
                result.append(one)
        return result


def _pairs(differ: _Differ, a: Sequence[Any], b: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Which elements of a gap belong together: what has one label; between these, if there are as many, those of one kind."""
    if not a or not b:
        return
    # What has no label is like nothing else.
    names = [-2 - i if (label := differ.label(x)) is None else label for i, x in enumerate(a)]
    others = [-2 - len(a) - j if (label := differ.label(x)) is None else label for j, x in enumerate(b)]
    blocks = align(names, others)
    for block in blocks:
        yield from ((block.a + k, block.b + k) for k in range(block.length))
    for gap in gaps(blocks, Gap(0, len(a), 0, len(b))):
        if gap.a_end - gap.a == gap.b_end - gap.b:
            pairs = zip(range(gap.a, gap.a_end), range(gap.b, gap.b_end), strict=True)
            yield from ((i, j) for i, j in pairs if type(a[i]) is type(b[j]))


def _trivial(value: Any) -> bool:
    return value in _TRIVIAL or value == [] or value == {}


def _next(waiting: deque[_Single] | None, gone: set[int]) -> _Single | None:
    """The first that has not gone."""
    while waiting:
        if id(one := waiting.popleft()) not in gone:
            return one
    return None


_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def spelt(path: Path) -> str:
    """A path as people write it: `model.vocab["the end"]`, `layers[3].size`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part and _PLAIN.issuperset(part):
            text += f".{part}" if text else part
        else:
            quoted = part.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{quoted}"]'
    return text
