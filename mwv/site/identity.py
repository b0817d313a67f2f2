"""A checkpoint and what names it in, the identity of its model in sites out: a digest of its place, no path."""

import os
from dataclasses import replace
from pathlib import PurePosixPath

from mwv.checkpoint.formats import by_name
from mwv.checkpoint.info import Checkpoint
from mwv.hub.address import Address, Origin
from mwv.pyramid.keys import key_of


def identity_of(checkpoint: Checkpoint, origin: Origin, slug: str | None = None) -> str:
    """What tells a model that is built again from another of the same name: a digest of where it lies.

    A model of several files, or of one with a general name such as model.safetensors, lies in its folder, whichever of
    its files was named. A slug of the user's choice makes it a model of its own.
    """
    itself, folder = identities(origin, slug)
    if isinstance(origin, Address):
        names, whole = PurePosixPath(origin.repo, origin.path), not by_name(origin.path)
        above = names.parent.name
    else:
        above, whole = origin.absolute().parent.name, origin.is_dir()
    in_folder = len(checkpoint.shards) > 1 or checkpoint.name == above
    return folder if in_folder and not whole else itself


def difference_identity(base: str, other: str) -> str:
    """The identity of a comparison, from those of both models."""
    return key_of("difference", base, other)


def side_of(identity: str, scene: int) -> str:
    """Under what is remembered where a side of a comparison lies, by the scene that shows it: 1 or 2."""
    return key_of("side", identity, scene)


def identities(origin: Origin, slug: str | None = None) -> tuple[str, str]:
    """What may tell a model whose files cannot be read: the place that was named, and the folder that this is in."""
    chosen = () if slug is None else (slug,)
    if isinstance(origin, Address):
        folder = replace(origin, path=origin.path.rpartition("/")[0])
        return key_of("place", str(origin), *chosen), key_of("place", str(folder), *chosen)
    place = origin.absolute()
    return key_of("place", os.path.normpath(place), *chosen), key_of("place", os.path.normpath(place.parent), *chosen)
