"""Tiles of a pyramid in, PMTiles archives out: one per super-block of 16 × 16 leaf tiles, one for the levels above.

An archive's name is the key of what is in it, so an unchanged super-block is recognised without making it. Zoom 0 of a
super-block's archive is its one tile of level 4; zoom 0 of the archive of the levels above is the pyramid's top.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final, Protocol

from blake3 import blake3
from pmtiles.tile import Compression, Entry, TileType, zxy_to_tileid
from pmtiles.writer import finalize_header

from mwv.pyramid.keys import key_of
from mwv.pyramid.plan import SUPER_LEVEL, TileId
from mwv.pyramid.render import GetBlob, for_all, tile_bytes
from mwv.pyramid.survey import Blobs

VERSION: Final = 1

ArchivePlace = tuple[int, int] | None
"""(x, y) of a super-block, counted in super-blocks; None for the levels above."""


class ArchiveBlobs(Blobs, Protocol):
    """Cached results, some of which are too large to be held."""

    def put_parts(self, key: str, parts: Iterable[bytes]) -> object:
        """Keep a result that comes in parts, which may be gone through more than once."""


def archives(tiles: Mapping[TileId, str], levels: int, png: bool, blobs: ArchiveBlobs, jobs: int) -> dict[ArchivePlace, str]:
    """Make what archives are lacking; the key of each by place. `png` tells the type of the tiles."""
    groups: dict[ArchivePlace, dict[TileId, str]] = {}
    for (level, x, y), key in tiles.items():
        shift = SUPER_LEVEL - level
        place = (x >> shift, y >> shift) if shift >= 0 else None
        groups.setdefault(place, {})[level, x, y] = key
    names = {place: archive_name(group) for place, group in groups.items()}

    def make(place: ArchivePlace) -> None:
        if not blobs.has(names[place]):
            top = levels - 1 if place is None else min(SUPER_LEVEL, levels - 1)
            blobs.put_parts(names[place], Archive(groups[place], top, png, blobs.get))

    for_all(jobs, make, groups)
    return names


def archive_name(tiles: Mapping[TileId, str]) -> str:
    """The key of the archive of some tiles."""
    return key_of("archive", VERSION, [[*tile, key] for tile, key in sorted(tiles.items())])


@dataclass(frozen=True, eq=False)
class Archive:
    """The bytes of one archive, in parts; zooms count from `top`, x and y from the corner of the first tile of zoom 0.

    Tiles are read twice, first for their lengths, so that no more than one is held; equal ones are written once.
    """

    tiles: Mapping[TileId, str]
    top: int
    png: bool
    get: GetBlob

    def __iter__(self) -> Iterator[bytes]:
        """Header, directory and metadata, then each tile; raises LostError if one is gone."""
        entries: list[Entry] = []
        known: dict[bytes, Entry] = {}
        written: list[str] = []
        end = 0
        for number, key in sorted((_number(tile, self.top), key) for tile, key in self.tiles.items()):
            data = tile_bytes(key, self.get)
            content = blake3(data).digest()
            first = known.get(content)
            last = entries[-1] if entries else None
            if first is None:
                known[content] = Entry(number, end, len(data), 1)
                entries.append(Entry(number, end, len(data), 1))
                written.append(key)
                end += len(data)
            elif last is not None and last.offset == first.offset and number == last.tile_id + last.run_length:
                last.run_length += 1
            else:
                entries.append(Entry(number, first.offset, len(data), 1))
        head = finalize_header(
            _HEADER | {"tile_type": TileType.PNG if self.png else TileType.AVIF},
            len(self.tiles),
            entries,
            len(known),
            {"generator": "mwv"},
            True,
            end,
        )
        return chain(head, (tile_bytes(key, self.get) for key in written))


_HEADER: Final = {
    "tile_compression": Compression.NONE,
    "min_lon_e7": -1_800_000_000,
    "min_lat_e7": -850_000_000,
    "max_lon_e7": 1_800_000_000,
    "max_lat_e7": 850_000_000,
    "center_zoom": 0,
    "center_lon_e7": 0,
    "center_lat_e7": 0,
}


def _number(tile: TileId, top: int) -> int:
    """PMTiles number of a tile within its archive."""
    level, x, y = tile
    across = (1 << (top - level)) - 1
    return int(zxy_to_tileid(top - level, x & across, y & across))
