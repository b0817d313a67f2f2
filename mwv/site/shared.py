"""The tensors of all models of a site in, how many bytes of each model others have, too, out.

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


def decode_content(content: bytes, where: Path) -> Content:
    """The content in such a file; raises SiteError if it is damaged."""
    try:
        value = json.loads(content)
        digests = np.frombuffer(bytes.fromhex(value["digests"]), ">u8").astype(np.uint64)
        sizes = np.array(value["bytes"], np.int64).reshape(len(digests))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise SiteError(f"{where}: damaged; build its model again") from None
    return Content(digests, sizes)


def shares(contents: Mapping[str, Content]) -> dict[str, Shares]:
    """What each model (by slug) shares.

    Tensors are taken together by the set of models that have them: there are few such sets, however many tensors.
    """
    slugs = sorted(contents)
    if not slugs:
        return {}
    model = np.repeat(np.arange(len(slugs)), [len(contents[slug].digests) for slug in slugs])
    sizes = np.concatenate([contents[slug].sizes for slug in slugs])
    distinct, tensor = np.unique(np.concatenate([contents[slug].digests for slug in slugs]), return_inverse=True)
    # The sum of random numbers of the models that have a tensor stands for their set.
    tickets = np.random.default_rng(0).integers(0, 1 << 62, len(slugs), np.uint64)
    marks = np.zeros(len(distinct), np.uint64)
    np.add.at(marks, tensor, tickets[model])
    owners = np.bincount(tensor, minlength=len(distinct))
    kind = np.unique(marks, return_inverse=True)[1]
    common = owners[tensor] > 1
    which = kind[tensor][common] * len(slugs) + model[common]
    pairs, index = np.unique(which, return_inverse=True)
    weights = np.zeros(len(pairs), np.int64)
    np.add.at(weights, index, sizes[common])
    total = np.zeros(len(slugs), np.int64)
    between = np.zeros((len(slugs), len(slugs)), np.int64)
    for members in np.split(np.arange(len(pairs)), np.flatnonzero(np.diff(pairs // len(slugs))) + 1):
        models = pairs[members] % len(slugs)
        total[models] += weights[members]
        between[np.ix_(models, models)] += weights[members][:, None]
    np.fill_diagonal(between, 0)
    return {slug: _shares(slugs, int(total[i]), between[i]) for i, slug in enumerate(slugs)}


def _shares(slugs: Sequence[str], shared: int, between: NDArray[Any]) -> Shares:
    nearest = int(between.argmax())
    most = int(between[nearest])
    return Shares(shared, slugs[nearest] if most else "", most)
