"""A checkpoint and the path that names it in, the identity of its model in sites out: a digest of its place, no path."""

import os
from pathlib import Path

from mwv.checkpoint.info import Checkpoint
from mwv.pyramid.keys import key_of


def identity_of(checkpoint: Checkpoint, path: Path, slug: str | None = None) -> str:
    """What tells a model that is built again from another of the same name: a digest of where it lies.

    A model of several files, or of one with a general name such as model.safetensors, lies in its folder, whichever of
    its files was named. A slug of the user's choice makes it a model of its own.
    """
    itself, folder = identities(path, slug)
    in_folder = len(checkpoint.shards) > 1 or checkpoint.name == path.absolute().parent.name
    return folder if in_folder and not path.is_dir() else itself


def identities(path: Path, slug: str | None = None) -> tuple[str, str]:
    """What may tell a model whose files cannot be read: the place that was named, and the folder that this is in."""
    place = path.absolute()
    chosen = () if slug is None else (slug,)
    return key_of("place", os.path.normpath(place), *chosen), key_of("place", os.path.normpath(place.parent), *chosen)
