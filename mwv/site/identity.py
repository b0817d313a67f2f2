"""A checkpoint and the path that names it in, the identity of its model in sites out: a digest of its place, no path."""

import os
from pathlib import Path

from mwv.checkpoint.info import Checkpoint
from mwv.pyramid.keys import key_of


def identity_of(checkpoint: Checkpoint, path: Path) -> str:
    """What tells a model that is built again from another of the same name: a digest of where it lies.

    A model of several files, or of one with a general name such as model.safetensors, lies in its folder, whichever of
    its files was named.
    """
    place = path.absolute()
    if not path.is_dir() and (len(checkpoint.shards) > 1 or checkpoint.name == place.parent.name):
        place = place.parent
    return key_of("place", os.path.normpath(place))
