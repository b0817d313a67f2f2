"""Code tiles in, picture tiles out: colours baked in, for those who want plain pictures rather than live colour.

Leaves become palette PNGs by giving the code tile a palette, so they stay exact. Overviews become lossy AVIF, but stay PNG
where they mark NaN or Inf, which a lossy picture might hide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mwv.pyramid import code
from mwv.pyramid.avif import QUALITY, encode_avif
from mwv.pyramid.keys import key_of
from mwv.pyramid.palette import DEFAULT, table
from mwv.pyramid.plan import TileId
from mwv.pyramid.png import decode_gray, with_palette
from mwv.pyramid.render import Pyramid, for_all, tile_bytes
from mwv.pyramid.survey import Blobs

VERSION: Final = 3
OVERVIEW_WINDOW: Final = (2.0**-7, 2.0**-2)
"""Magnitudes that overviews show: root mean squares lie within a few octaves, in all models much the same."""


@dataclass(frozen=True)
class Pictures:
    """Picture tiles by tile, and which of them are PNG."""

    tiles: Mapping[TileId, str]
    png: frozenset[str]


def paint(pyramid: Pyramid, window: tuple[float, float], blobs: Blobs, jobs: int) -> Pictures:
    """Paint every tile of a pyramid: leaves with `window`, overviews with `OVERVIEW_WINDOW`, so that all can be compared."""
    windows = window, OVERVIEW_WINDOW
    colours = [table(DEFAULT, *ends) for ends in windows]
    made: dict[TileId, tuple[str, bool]] = {}

    def one(item: tuple[TileId, str]) -> None:
        (level, x, y), key = item
        made[level, x, y] = _paint_tile(key, level, windows[level > 0], colours[level > 0], blobs)

    for_all(jobs, one, pyramid.tiles.items())
    return Pictures({tile: made[tile][0] for tile in pyramid.tiles}, frozenset(key for key, is_png in made.values() if is_png))


def _paint_tile(
    key: str, level: int, window: tuple[float, float], colours: NDArray[np.uint8], blobs: Blobs
) -> tuple[str, bool]:
    """Key of the picture of a tile, and whether it is a PNG."""
    names = [key_of("picture", VERSION, key, DEFAULT, [w.hex() for w in window], form) for form in ("png", f"avif{QUALITY}")]
    if level > 0 and blobs.has(names[1]):
        return names[1], False
    if blobs.has(names[0]):
        return names[0], True
    data = tile_bytes(key, blobs.get)
    codes = decode_gray(data)
    if level == 0 or (codes >= code.INF).any():
        blobs.put_png(names[0], with_palette(data, colours))
        return names[0], True
    blobs.put(names[1], encode_avif(colours[codes]))
    return names[1], False
