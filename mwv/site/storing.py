"""The files of all models of a site as xet stores them in, out: the scenes that show it, and what models have in common.

Two scenes for each model. *Xorbs*: which xorb a byte lies in. *Sharing*: which other models have its chunk, too; that is there
only if the site has a second model whose chunks are known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mwv.hub.terms import Term
from mwv.pyramid.classes import UNKNOWN, Runs
from mwv.site.shared import Content
from mwv.xet.stored import StoredFile, store, units

COLOURS: Final = (
    *("5fa8ff", "ff9d4d", "63d17c", "ff6b78", "b58cff", "ffd84d", "46d3d9", "ff8ad1", "b7c95a", "c98f63"),
    *("8fb6d9", "ffb8a0", "9ee6b8", "d9a3e8", "e0c48a", "7fe0ff", "f0f07a", "ff7a4d", "8a9cff", "a8d15f"),
)
"""Of xorbs in turn, the first with code 1; of models, from `MODELS` on."""
UNKNOWN_COLOUR: Final = "6b7078"
UNIQUE: Final = 1
SEVERAL: Final = 2
MODELS: Final = 3
"""Codes of bytes that no other model has, that several have, that one has: its number in the order of storing is added."""
_MODEL_COLOURS: Final = tuple(c for c in COLOURS if c not in ("ffd84d", "f0f07a"))
_SPECIAL: Final = {UNIQUE: "9aa1ad", SEVERAL: "ffd84d"}


@dataclass(frozen=True, eq=False)
class ChunkedModel:
    """A model whose chunks are known."""

    slug: str
    title: str
    files: tuple[StoredFile, ...]


@dataclass(frozen=True)
class Class:
    """A class of a scene, and how many bytes of the model's files are of it."""

    code: int
    colour: str
    label: str
    nbytes: int


@dataclass(frozen=True, eq=False)
class Classified:
    """A scene of classes before it is drawn."""

    title: str
    runs: Mapping[str, Runs]
    """By the file's name."""
    classes: tuple[Class, ...]
    facts: Mapping[str, Any]
    """What its data says beside: see FORMAT.md."""


def classified(models: Sequence[ChunkedModel]) -> list[list[Classified]]:
    """The scenes of each model, which are stored in this order."""
    stored = store([model.files for model in models])
    numbers: dict[str, int] = {}
    owners: dict[str, int] = {}
    for place, files in enumerate(stored):
        for xorb in (term.xorb for file in files for term in file.terms):
            numbers.setdefault(xorb, len(numbers))
            owners.setdefault(xorb, place)
    scenes = [[_xorbs(files, models, numbers, owners)] for files in stored]
    if len(models) > 1:
        for own, sharing in zip(scenes, _sharing(models, stored), strict=True):
            own.append(sharing)
    return scenes


def content_of(files: Sequence[StoredFile]) -> Content:
    """The distinct chunks of a model, and the bytes of each."""
    pairs = [units(file) for file in files]
    ids = np.concatenate([np.zeros(0, np.uint64), *(found for found, _ in pairs)])
    sizes = np.concatenate([np.zeros(0, np.int64), *(lengths for _, lengths in pairs)])
    distinct, first = np.unique(ids, return_index=True)
    return Content(distinct, sizes[first])


def _xorbs(
    files: Sequence[StoredFile], models: Sequence[ChunkedModel], numbers: Mapping[str, int], owners: Mapping[str, int]
) -> Classified:
    found: dict[str, list[Term]] = {}
    for file in files:
        for term in file.terms:
            found.setdefault(term.xorb, []).append(term)
    names = sorted(found, key=lambda xorb: numbers[xorb])
    places = {name: place for place, name in enumerate(names)}
    runs, classes = {}, []
    for file in files:
        codes = np.array([1 + numbers[term.xorb] % len(COLOURS) for term in file.terms], np.uint8)
        runs[file.name] = Runs.of(np.array([term.length for term in file.terms], np.int64), codes)
    for name in names:
        code = 1 + numbers[name] % len(COLOURS)
        classes.append(Class(code, COLOURS[code - 1], f"xorb {numbers[name]}", sum(term.length for term in found[name])))
    xorbs = [
        {
            "number": numbers[name],
            "hash": "" if name.startswith("#") else name,
            "bytes": sum(term.length for term in found[name]),
            "chunks": len({i for term in found[name] for i in range(term.first, term.last)}),
            "model": models[owners[name]].slug,
        }
        for name in names
    ]
    facts = {
        "xorbs": xorbs,
        "files": [
            {
                "name": file.name,
                "hash": file.hash,
                "local": not file.terms or any(term.xorb.startswith("#") for term in file.terms),
                "terms": [n for t in file.terms for n in (places[t.xorb], t.first, t.last, t.length)],
            }
            for file in files
        ],
    }
    return Classified("Xorbs", runs, tuple(classes), facts)


def _sharing(models: Sequence[ChunkedModel], stored: Sequence[Sequence[StoredFile]]) -> list[Classified]:
    pairs = [[units(file) for file in files] for files in stored]
    own = [np.unique(np.concatenate([np.zeros(0, np.uint64), *(ids for ids, _ in files)])) for files in pairs]
    distinct, place = np.unique(np.concatenate(own), return_inverse=True)
    count, total = np.zeros(len(distinct), np.int64), np.zeros(len(distinct), np.int64)
    which = np.repeat(np.arange(len(models)), [len(ids) for ids in own])
    np.add.at(count, place, 1)
    np.add.at(total, place, which)  # of two models that have a chunk, the sum less one is the other
    return [
        _shared_scene(number, models, [_codes(number, ids, distinct, count, total) for ids, _ in files], files)
        for number, files in enumerate(pairs)
    ]


def _codes(number: int, ids: NDArray[np.uint64], distinct: Any, count: Any, total: Any) -> NDArray[np.uint8]:
    at = np.searchsorted(distinct, ids)
    one = MODELS + (total[at] - number) % len(_MODEL_COLOURS)
    return np.where(count[at] == 1, UNIQUE, np.where(count[at] == 2, one, SEVERAL)).astype(np.uint8)


def _shared_scene(
    number: int,
    models: Sequence[ChunkedModel],
    codes: Sequence[NDArray[np.uint8]],
    pairs: Sequence[tuple[Any, NDArray[np.int64]]],
) -> Classified:
    names = [file.name for file in models[number].files]
    runs = {name: Runs.of(sizes, found) for name, found, (_, sizes) in zip(names, codes, pairs, strict=True)}
    nbytes = np.zeros(256, np.int64)
    for found, (_, sizes) in zip(codes, pairs, strict=True):
        np.add.at(nbytes, found, sizes)
    classes = []
    for code in np.flatnonzero(nbytes).tolist():
        others = [m.title for i, m in enumerate(models) if i != number and code == MODELS + i % len(_MODEL_COLOURS)]
        label = {UNIQUE: "only here", SEVERAL: "with several models"}.get(code) or "with " + " or ".join(others)
        colour = _SPECIAL.get(code) or _MODEL_COLOURS[code - MODELS]
        classes.append(Class(code, colour, label, int(nbytes[code])))
    files = [{"name": name, "runs": _pairs(runs[name])} for name in names]
    return Classified("Sharing", runs, tuple(classes), {"files": files})


def _pairs(runs: Runs) -> list[int]:
    """Code and bytes of each run, one after the other."""
    lengths = np.diff(runs.ends, prepend=0).tolist()
    codes = runs.codes.tolist()
    return [n for code, length in zip(codes, lengths, strict=True) if code != UNKNOWN for n in (code, length)]
