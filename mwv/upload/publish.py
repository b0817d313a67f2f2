"""A folder with a site, or with what has changed in one, and a Target in; the site at that target out."""

from collections.abc import Callable, Mapping, Set
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from mwv.errors import HubError
from mwv.site.data import digest
from mwv.site.folder import content_of
from mwv.site.journal import JOURNAL
from mwv.site.manifest import Manifest, TileList, decode, decode_tiles
from mwv.upload.plan import (
    SITE,
    SiteFile,
    UploadPlan,
    files_of,
    is_lasting,
    make_plan,
    steps,
    tile_lists,
    tile_lists_needed,
    with_more,
)
from mwv.upload.target import Advance, Target, announced_at

_OWN: Final = (".gitattributes", "README.md", "LICENSE")
"""Files of a repository that are no site's, and hinder none."""
Progress = Callable[[UploadPlan], AbstractContextManager[Advance]]
"""Shows how far the upload of a plan is."""


def check_target(target: Target) -> None:
    """Raise HubError if a target holds files and no site of ours, and SiteError if its `site.json` is not ours or damaged."""
    there = target.sizes
    if SITE in there:
        decode(target.read(SITE), f"{target.name}/{SITE}")
    elif JOURNAL not in there and (foreign := sorted(there.keys() - set(_OWN))):
        raise HubError(
            f"{target.name}: holds files ({foreign[0]}, …) but no site of mwv; name a folder in it: {target.name}/site"
        )


def plan_of(folder: Path, target: Target) -> UploadPlan:
    """What makes `target` hold the site in `folder`, of which only what the target lacks must be there.

    Raises SiteError for a damaged site, or if a foreign file is in the way, and HubError.
    """
    there = target.sizes
    text = content_of(folder / SITE)
    new = decode(text, folder / SITE)
    before = target.read(SITE) if SITE in there else b""
    old = decode(before, f"{target.name}/{SITE}") if before else Manifest()
    of_new, of_old = tile_lists_needed(new, old)
    of_new |= {path for path in tile_lists(new) if (folder / path).exists()}
    target.expect([path for path in of_new | of_old if not (folder / path).is_file()])
    new_tiles = {path: _tiles(path, folder, target) for path in of_new}
    old_tiles = {path: _tiles(path, folder, target) for path in of_old}
    old_tiles |= {path: new_tiles[path] for path in of_new & tile_lists(old)}
    wanted = files_of(new, text, new_tiles)
    announced = announced_at(target)
    doubted = frozenset() if target.limits.atomic else _doubted(announced, wanted, folder, target)
    plan = make_plan(wanted, files_of(old, before, old_tiles), there, announced, doubted)
    if lost := [path for path in plan.add if not (folder / path).is_file()]:
        raise HubError(f"{target.name}/{lost[0]}: is gone there and not at hand here; build its model again")
    return plan


def publish(folder: Path, target: Target, progress: Progress, extra: Mapping[str, bytes]) -> None:
    """Make `target` hold the site in `folder`; see `plan_of`. If it fails, the target holds the old site or the new one.

    `extra` are files beside the site, such as a Space's README; they are replaced where they differ, and never deleted.
    """
    plan = plan_of(folder, target)
    more = {path: content for path, content in extra.items() if path not in target.sizes or target.read(path) != content}
    plan = with_more(plan, more)
    with progress(plan) as advance:
        for step in steps(plan, target.limits):
            target.apply(step, lambda path: more.get(path, folder / path), advance)


def _tiles(path: str, folder: Path, target: Target) -> TileList:
    """A list of tiles, from here or from the target; its name carries a hash."""
    if (folder / path).is_file():
        return decode_tiles(content_of(folder / path), folder / path)
    return decode_tiles(target.read(path), f"{target.name}/{path}") if path in target.sizes else TileList({})


def _doubted(announced: Set[str], wanted: Mapping[str, SiteFile], folder: Path, target: Target) -> frozenset[str]:
    """Paths that a publication which was cut may have replaced; those that are not at hand here are looked at there."""
    doubted = {path for path in announced & wanted.keys() if not is_lasting(path)}
    for path in sorted(path for path in doubted & target.sizes.keys() if not (folder / path).is_file()):
        if digest(target.read(path)) != wanted[path].mark:
            place = f"{target.name}/{path}"
            raise HubError(f"{place}: a publication that was cut has replaced it; build its model again, or --remove it")
        doubted.discard(path)
    return frozenset(doubted)
