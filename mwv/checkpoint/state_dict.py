"""The inert object of a PyTorch pickle in, its tensors by name out, and notes on what was left out.

Nested dictionaries, lists and module objects become dotted names. Scales and zero points of a quantised tensor are
tensors beside it. A wrapper (`state_dict`, `model`, …) that alone
holds the tensors gives no part of the names, nor does what DataParallel and torch.compile put before all of them.
States of training are left out, unless there is nothing else.
"""

import re
from collections.abc import Iterator
from math import prod
from typing import Any, Final, NamedTuple

from mwv.checkpoint.pickle_machine import Global, Inert, Pairs
from mwv.checkpoint.torch_objects import MAPPING, Unreadable, View
from mwv.checkpoint.wording import shown
from mwv.errors import FormatError

MAX_DEPTH: Final = 64
# Things met on all paths, and characters of all names: references to the memo make paths out of nothing.
MAX_VISITS: Final = 600_000
FREE_VISITS: Final = 10_000
MOST_PATHS: Final = 8
"""Beyond the free visits all parts are visited so often on average; tied modules do so a few times."""
MAX_CHARACTERS: Final = 64_000_000
PATH_COST: Final = 256
"""What a tensor costs beside its name, in characters."""
MAX_NOTES: Final = 10
_WRAPPERS: Final = frozenset(
    (
        *("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network"),
        *("params", "params_ema", "weights", "ema", "ema_state_dict", "model_weights"),
    )
)
_TRAINING: Final = re.compile(
    r"(.*_)?optim(izers?)?(_.*)?|opt(_states?)?|(lr_)?schedulers?(_.*)?|(grad_)?scaler(_.*)?|callbacks|loops", re.IGNORECASE
)
_RANDOM: Final = re.compile(r"(.*_)?(rng|random)_states?(_.*)?", re.IGNORECASE)
_TRAINER_PREFIXES: Final = ("module.", "_orig_mod.")
# Where a pickled torch.nn.Module keeps its tensors and its parts; their own names follow directly.
_MODULE_PARTS: Final = ("_parameters", "_buffers", "_modules")
# What such a module has from C++, packed weights for example: its state is (the state, the name of the class).
_SCRIPT_OBJECT: Final = Global("torch", "ScriptObject")

_WALKED: Final = (View, Unreadable, Pairs, Inert, list, tuple)

Path = tuple[str, ...]


class Named(NamedTuple):
    """The tensors of a pickle, names unique, and a line for each thing left out."""

    tensors: tuple[tuple[str, View], ...]
    notes: tuple[str, ...]


def named_tensors(place: str, root: Any) -> Named:
    """All tensors below `root`."""
    walk = _Walk(place)
    walk.visit(root, ())
    return named(walk.found)


def named(found: list[tuple[Path, View | Unreadable]]) -> Named:
    """What of the tensors that were found, each with the names that lead to it, is shown under which name."""
    kept = [(path, leaf) for path, leaf in found if not _is_training(path)]
    notes = []
    if any(isinstance(leaf, View) for _, leaf in kept):
        notes += _training_notes(path for path, _ in found if _is_training(path))
    else:
        kept = found
    unreadable = [f"{shown('.'.join(path))}: left out, {leaf.what}" for path, leaf in kept if isinstance(leaf, Unreadable)]
    notes += unreadable[:MAX_NOTES]
    if len(unreadable) > MAX_NOTES:
        notes.append(f"{len(unreadable) - MAX_NOTES} more things of such kinds are left out")
    views = _unwrap([(path, leaf) for path, leaf in kept if isinstance(leaf, View)])
    names = _without_prefixes([".".join(path) or "tensor" for path, _ in views])
    return Named(tuple(zip(_unique(names), (view for _, view in views), strict=True)), tuple(notes))


class _Walk:
    """Goes through an object that may refer to itself, or to parts of it very often; what that costs is bounded."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.found: list[tuple[Path, View | Unreadable]] = []
        self._above: set[int] = set()
        self._met: set[int] = set()
        self._parts = 0
        self._visits = 0
        self._characters = 0

    def visit(self, value: Any, path: Path) -> None:
        """Note every tensor at or below `value`, with the names of the containers that lead to it."""
        if isinstance(value, View | Unreadable):
            self._characters += sum(map(len, path)) + PATH_COST
            self._spend(value, 1)
            self.found.append((path, value))
            if isinstance(value, View) and value.quantizer:
                for name, part in (("scale", value.quantizer.scale), ("zero_point", value.quantizer.zero_point)):
                    if isinstance(part, View):
                        self.visit(part, (*path, name))
        elif id(value) not in self._above:
            if len(self._above) > MAX_DEPTH:
                raise FormatError(f"{self._place}: the pickle is nested more than {MAX_DEPTH} deep; no checkpoint")
            self._above.add(id(value))
            for name, child in self._children(value):
                if isinstance(child, _WALKED):
                    self.visit(child, (*path, name) if name else path)
            self._above.discard(id(value))

    def _spend(self, thing: object, parts: int) -> None:
        self._visits += parts
        if id(thing) not in self._met:
            self._met.add(id(thing))
            self._parts += parts
        most = min(MAX_VISITS, FREE_VISITS + MOST_PATHS * self._parts)
        if self._visits > most or self._characters > MAX_CHARACTERS:
            raise FormatError(f"{self._place}: the pickle refers to its parts too often; no checkpoint")

    def _children(self, value: Any) -> Iterator[tuple[str, Any]]:
        """What lies in a container, with names; an empty name adds nothing to a path."""
        if isinstance(value, list | tuple):
            self._spend(value, 1 + len(value))
            yield from ((str(i), child) for i, child in enumerate(value))
        elif isinstance(value, Pairs):
            yield from self._items(value.pairs).items()
        elif isinstance(value, Inert):
            yield from self._object(value)

    def _object(self, value: Inert) -> Iterator[tuple[str, Any]]:
        if isinstance(value.state, Pairs):
            attributes = self._items(value.state.pairs)
            parts = [("", child) for name, child in attributes.items() if name in _MODULE_PARTS]
            parts += [(name, child) for name, child in attributes.items() if _is_script_object(child)] if parts else []
            yield from parts or attributes.items()
        elif isinstance(value.state, tuple) and all(isinstance(part, Pairs | None) for part in value.state):
            # An object with slots: attributes of its dictionary, and those of its slots.
            yield from (("", part) for part in value.state)
        elif _is_script_object(value) and isinstance(value.state, tuple):
            yield "", value.state[0]
        else:
            yield "", value.state
        # Subclasses of dict and list, named tuples.
        yield from self._items(value.pairs).items()
        yield from self._children(value.items)
        if value.called == MAPPING and isinstance(value.arguments, tuple):
            self._spend(value.arguments, len(value.arguments))
            yield from (("", self._mapping(given)) for given in value.arguments)
        else:
            yield from self._children(value.arguments)

    def _mapping(self, given: Any) -> Any:
        """What a dictionary is made of, as one itself."""
        if not isinstance(given, list):
            return given
        self._spend(given, len(given))
        return Pairs([(item[0], item[1]) for item in given if isinstance(item, list | tuple) and len(item) == 2])

    def _items(self, pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        """Of equal keys the last; numbers as keys become text, keys of other types name no tensor."""
        self._spend(pairs, 1 + len(pairs))
        return {str(key): child for key, child in pairs if isinstance(key, str) or (type(key) is int and abs(key) < 2**63)}


def _is_script_object(value: Any) -> bool:
    return isinstance(value, Inert) and value.called == _SCRIPT_OBJECT


def _is_training(path: Path) -> bool:
    """Whether a tensor is the state of an optimizer or the like; only the first two containers' names tell."""
    return any(_TRAINING.fullmatch(name) for name in path[:-1][:2]) or any(_RANDOM.fullmatch(name) for name in path[:2])


def _training_notes(paths: Iterator[Path]) -> list[str]:
    counts: dict[str, int] = {}
    for path in paths:
        key = next(name for name in path[:2] if _TRAINING.fullmatch(name) or _RANDOM.fullmatch(name))
        counts[key] = counts.get(key, 0) + 1
    return [f"{shown(key)}: left out, state of training (tensors: {count})" for key, count in counts.items()]


def _unwrap(views: list[tuple[Path, View]]) -> list[tuple[Path, View]]:
    """Without the wrapper's name, if all tensors but single numbers lie in one wrapper; repeatedly."""
    while True:
        outer = {path[:1] for path, view in views if len(path) > 1 or prod(view.shape) > 1}
        wrapper = next(iter(outer), ())
        if len(outer) != 1 or not _WRAPPERS.issuperset(wrapper) or any(path == wrapper for path, _ in views):
            return views
        views = [(path[1:] if path[:1] == wrapper else path, view) for path, view in views]


def _without_prefixes(names: list[str]) -> list[str]:
    for prefix in _TRAINER_PREFIXES:
        if names and all(name.startswith(prefix) and len(name) > len(prefix) for name in names):
            return _without_prefixes([name.removeprefix(prefix) for name in names])
    return names


def _unique(names: list[str]) -> list[str]:
    """Different keys may give one name ("a.b" and "b" in "a"); later ones get a number."""
    taken = set(names)
    times: dict[str, int] = {}
    result = []
    for name in names:
        unique = name
        if name in times:
            while unique in taken:
                times[name] += 1
                unique = f"{name}#{times[name]}"
            taken.add(unique)
        else:
            times[name] = 1
        result.append(unique)
    return result
