"""Paths of tiles, the files that make them, and a folder in; tiles at their places out, with the list of them."""

from collections.abc import Mapping

from mwv.site.folder import Folder, linked, size_of
from mwv.site.manifest import TileList, decode_tiles
from mwv.site.model import TileFiles


def place_tiles(folder: Folder, paths: Mapping[str, str], files: TileFiles, old: TileList) -> TileList:
    """Bring in tiles by path (path → key); `old` lists what may be there. Raises LostError if a file is gone.

    Those named by key never change; those named by place are compared by key.
    """
    wanted = {path: files.paths[key] for path, key in paths.items() if key in files.paths}
    fresh = {path for path, key in paths.items() if key in files.fresh}
    if files.mode != "xyz":
        sizes = linked(folder, wanted, old.files, fresh)
        return TileList(dict(sorted((sizes | folder.based(paths.keys() - wanted.keys())).items())))
    same = {path: s for path, s in old.files.items() if old.keys.get(path) == paths.get(path) and path not in fresh}
    stale = {path: wanted[path] for path in wanted if path in old.files and path not in same}
    sizes = linked(folder, {path: source for path, source in wanted.items() if path not in stale}, same)
    for path, source in stale.items():
        folder.link(path, source)
        sizes[path] = size_of(source)
    return TileList(dict(sorted(sizes.items())), paths)


def old_tiles(folder: Folder, slug: str) -> TileList:
    """The tiles of a model as the site had it, none if it had not; raises SiteError if their list is damaged."""
    entry = folder.manifest.models.get(slug)
    return TileList({}) if entry is None else decode_tiles(*folder.found(f"{slug}/{entry.tile_list}"))


def old_stored_tiles(folder: Folder, slug: str) -> TileList:
    """Likewise those of the scenes that show how it is stored."""
    entry = folder.manifest.models.get(slug)
    return TileList({}) if entry is None or not entry.stored else decode_tiles(*folder.found(f"{slug}/{entry.stored_tiles}"))
