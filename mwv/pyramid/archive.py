"""Tiles of a pyramid in, PMTiles archives out: one per super-block of 16 × 16 leaf tiles, one for the levels above.

An archive's name is the key of what is in it, so an unchanged super-block is recognised without making it. Zoom 0 of a
super-block's archive is its one tile of level 4; zoom 0 of the archive of the levels above is the pyramid's top.
"""

import io
from collections.abc import Mapping
from typing import Final

from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

from mwv.pyramid.keys import key_of
from mwv.pyramid.plan import TileId
from mwv.pyramid.render import for_all, tile_bytes
from mwv.pyramid.survey import Blobs

VERSION: Final = 1
SUPER_LEVEL: Final = 4
"""Levels 0 to 4 of 16 × 16 leaf tiles lie in one archive."""

Place = tuple[int, int] | None
"""(x, y) of a super-block, counted in super-blocks; None for the levels above."""


def archives(tiles: Mapping[TileId, str], levels: int, png: bool, blobs: Blobs, jobs: int) -> dict[Place, str]:
    """Make what archives are lacking; the key of each by place. `png` tells the type of the tiles."""
    groups: dict[Place, dict[TileId, str]] = {}
    for (level, x, y), key in tiles.items():
        shift = SUPER_LEVEL - level
        place = (x >> shift, y >> shift) if shift >= 0 else None
        groups.setdefault(place, {})[level, x, y] = key
    names = {
        place: key_of("archive", VERSION, [[*tile, key] for tile, key in sorted(group.items())])
        for place, group in groups.items()
    }

    def make(place: Place) -> None:
        if not blobs.has(names[place]):
            top = levels - 1 if place is None else min(SUPER_LEVEL, levels - 1)
            blobs.put(names[place], _archive(groups[place], top, png, blobs))

    for_all(jobs, make, groups)
    return names


def _archive(tiles: Mapping[TileId, str], top: int, png: bool, blobs: Blobs) -> bytes:
    """One archive; zooms count from `top`, x and y from the corner of the first tile of its lowest zoom."""
    out = io.BytesIO()
    writer = Writer(out)
    numbered = sorted((_number(tile, top), key) for tile, key in tiles.items())
    try:
        for number, key in numbered:
            writer.write_tile(number, tile_bytes(key, blobs.get))
    except BaseException:
        writer.tile_f.close()  # only a finished archive gives its temporary file back
        raise
    header = {
        "tile_type": TileType.PNG if png else TileType.AVIF,
        "tile_compression": Compression.NONE,
        "min_zoom": top - max(tile[0] for tile in tiles),
        "max_zoom": top - min(tile[0] for tile in tiles),
        "min_lon_e7": -1_800_000_000,
        "min_lat_e7": -850_000_000,
        "max_lon_e7": 1_800_000_000,
        "max_lat_e7": 850_000_000,
        "center_zoom": 0,
        "center_lon_e7": 0,
        "center_lat_e7": 0,
    }
    writer.finalize(header, {"generator": "mwv"})
    return out.getvalue()


def _number(tile: TileId, top: int) -> int:
    """PMTiles number of a tile within its archive."""
    level, x, y = tile
    across = (1 << (top - level)) - 1
    return int(zxy_to_tileid(top - level, x & across, y & across))
