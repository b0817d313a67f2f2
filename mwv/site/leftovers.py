"""A folder with a site and what the new one names in, the paths of ours that nothing names any more out."""

from collections.abc import Mapping

from mwv.site.folder import Folder
from mwv.site.manifest import FileEntry, ModelEntry, TileList
from mwv.site.tiling import old_stored_tiles, old_tiles


def unnamed(
    folder: Folder,
    models: Mapping[str, ModelEntry],
    files: Mapping[str, FileEntry],
    tiles: Mapping[str, TileList],
    stored_tiles: Mapping[str, TileList],
) -> list[str]:
    """What may be deleted once the new site is there, in order.

    `models` and `files` are those of the new site; `tiles` and `stored_tiles` the lists, by slug, of what was made anew of its
    models and of the scenes of how they are stored. Other lists are read only when a tile may have lost its last name.
    """
    old = folder.manifest
    gone = {path for path in old.files.keys() | folder.strays if path not in files and path not in ("index.html", "site.json")}
    for slug, entry in old.models.items():
        if slug not in models or slug in tiles:
            gone.update(old_tiles(folder, slug).files)
        if slug not in models or models[slug].stored_tiles != entry.stored_tiles:
            gone.update(old_stored_tiles(folder, slug).files)
    for made in (*tiles.values(), *stored_tiles.values()):
        gone.difference_update(made.files)
    if any(map(_is_tile, gone)):
        folder.expect(f"{slug}/{entry.tile_list}" for slug, entry in models.items() if slug not in tiles)
    for slug, entry in models.items():
        if not any(map(_is_tile, gone)):
            break
        if slug not in tiles:
            gone.difference_update(old_tiles(folder, slug).files)
        if slug not in stored_tiles and entry.stored:
            gone.difference_update(old_stored_tiles(folder, slug).files)
    return sorted(gone)


def _is_tile(path: str) -> bool:
    """Whether a path is that of a tile or an archive, or of a picture."""
    return path.endswith((".png", ".avif", ".pmtiles"))
