"""The tensors (or chunks) of all models of a site in, how many bytes of each model others have, too, out.

A model's content is a small file of its own, so that adding a model needs no scene of any other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mwv.errors import SiteError
from mwv.site.model import TensorRow
from mwv.site.text import canonical

_HEX: Final = 16
"""Hex digits of a digest that tell one tensor from another: of 2^22 tensors, two meet by chance with probability 2^-21."""


@dataclass(frozen=True, eq=False)
class Content:
    """What a model consists of: distinct digests (uint64, ascending) and the bytes (int64) under each."""

    digests: NDArray[np.uint64]
    sizes: NDArray[np.int64]


@dataclass(frozen=True)
class Shares:
    """What a model has in common with the other models of its site."""

    shared: int = 0
    """Bytes of tensors that some other model has, too."""
    nearest: str = ""
    """Slug of the model that has most of them; of several the first."""
    nearest_shared: int = 0
    """Bytes of tensors that this one has."""


NO_CHUNKS: Final = Shares(-1)
"""Of a model whose chunks are not known, or those of no other."""


def encode_content(tensors: Sequence[TensorRow]) -> bytes:
    """The text of `content-<hash>.json`; tensors without elements are left out."""
    sizes: dict[str, int] = {}
    for tensor in tensors:
        if tensor.digest:
            digest = tensor.digest[:_HEX]
            sizes[digest] = sizes.get(digest, 0) + tensor.nbytes
    ordered = sorted(sizes)
    value = {"format": "mwv-content", "version": 1, "digests": "".join(ordered), "bytes": [sizes[d] for d in ordered]}
    return (canonical(value) + "\n").encode("ascii")


def decode_content(content: bytes, where: Path | str) -> Content:
    """The content in such a file; raises SiteError if it is damaged."""
    try:
        value = json.loads(content)
        digests = np.frombuffer(bytes.fromhex(value["digests"]), ">u8").astype(np.uint64)
        sizes = np.array(value["bytes"], np.int64).reshape(len(digests))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise SiteError(f"{where}: damaged; build its model again") from None
    return Content(digests, sizes)


@dataclass(frozen=True, eq=False)
class Common:
    """What some models have in common, in bytes."""

    slugs: tuple[str, ...]
    shared: NDArray[np.int64]
    """Of each, what some other has, too."""
    between: NDArray[np.int64]
    """Of each (row), what another (column) has, too; zeros along the diagonal."""
    stored: int
    """Of all together, each thing counted once."""


def common(contents: Mapping[str, Content]) -> Common:
    """What models (by slug) have in common.

    Things are taken together by the set of models that have them: there are few such sets, however many things.
    """
    slugs = sorted(contents)
    n = len(slugs)
    total, between = np.zeros(n, np.int64), np.zeros((n, n), np.int64)
    if not slugs:
        return Common((), total, between, 0)
    model = np.repeat(np.arange(n), [len(contents[slug].digests) for slug in slugs])
    sizes = np.concatenate([contents[slug].sizes for slug in slugs])
    digests = np.concatenate([contents[slug].digests for slug in slugs])
    distinct, first, tensor = np.unique(digests, return_index=True, return_inverse=True)
    # The sum of random numbers of the models that have a tensor stands for their set.
    tickets = np.random.default_rng(0).integers(0, 1 << 62, n, np.uint64)
    marks = np.zeros(len(distinct), np.uint64)
    np.add.at(marks, tensor, tickets[model])
    owners = np.bincount(tensor, minlength=len(distinct))
    kind = np.unique(marks, return_inverse=True)[1]
    several = owners[tensor] > 1
    which = kind[tensor][several] * n + model[several]
    pairs, index = np.unique(which, return_inverse=True)
    weights = np.zeros(len(pairs), np.int64)
    np.add.at(weights, index, sizes[several])
    for members in np.split(np.arange(len(pairs)), np.flatnonzero(np.diff(pairs // n)) + 1):
        models = pairs[members] % n
        total[models] += weights[members]
        between[np.ix_(models, models)] += weights[members][:, None]
    np.fill_diagonal(between, 0)
    return Common(tuple(slugs), total, between, int(sizes[first].sum()))


def shares(contents: Mapping[str, Content]) -> dict[str, Shares]:
    """What each model (by slug) shares."""
    found = common(contents)
    return {slug: _shares(found.slugs, int(found.shared[i]), found.between[i]) for i, slug in enumerate(found.slugs)}


def _shares(slugs: Sequence[str], shared: int, between: NDArray[Any]) -> Shares:
    nearest = int(between.argmax())
    most = int(between[nearest])
    return Shares(shared, slugs[nearest] if most else "", most)
