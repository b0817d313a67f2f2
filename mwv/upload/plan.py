"""What a site is to hold and what lies at its target in, an UploadPlan out, and the steps in which to carry it out.

Nothing is sent or read here. Only files of our manifests, or those that a publication which was cut had announced, are ever
deleted or replaced.
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Final

from mwv.errors import SiteError
from mwv.site.journal import encode_journal
from mwv.site.manifest import Manifest, TileList

SITE: Final = "site.json"
_LASTING: Final = re.compile(r"(?:^|[/.-])[0-9a-f]{12,64}\.[a-z0-9]+$")
_NO_DATA: Final = ("page", "picture", "text")


@dataclass(frozen=True)
class SiteFile:
    """A file that a site names."""

    size: int
    mark: str
    """Tells its content from any other at the same path; empty where the path alone does."""
    rank: int
    """Files of a lower rank are there before any of a higher one: 0 tiles, 1 data, 2 pages, 3 `site.json`."""


@dataclass(frozen=True)
class UploadPlan:
    """What makes a target hold a site."""

    add: dict[str, SiteFile]
    """What the target lacks or has differently; tiles first, `site.json` last."""
    delete: tuple[str, ...]
    """What is ours there and the site does not name."""
    announced: frozenset[str]
    """What the journal there lists: a publication was cut."""

    @property
    def size(self) -> int:
        """Bytes to be added."""
        return sum(file.size for file in self.add.values())


@dataclass(frozen=True)
class Step:
    """A part of a plan that a target carries out at once."""

    add: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    journal: bytes | None = None
    """What the journal is to say from now on; empty to remove it, None to leave it as it is."""


@dataclass(frozen=True)
class Limits:
    """How much one step of a target takes."""

    files: int
    """Added or deleted."""
    nbytes: int
    """Of all tiles added, unless it is one alone."""
    texts: int
    """Bytes of all other files added, unless it is one alone: a commit carries texts in itself."""
    atomic: bool
    """Whether a step is seen whole or not at all; so a plan that fits into one step needs no order and no journal."""


def files_of(manifest: Manifest, site: bytes, tiles: Mapping[str, TileList]) -> dict[str, SiteFile]:
    """The files that a site names: those of its manifest (whose text is `site`), and those of some lists of tiles."""
    found = {
        path: SiteFile(size, lists.keys.get(path, ""), 0) for lists in tiles.values() for path, size in lists.files.items()
    }
    for path, entry in manifest.files.items():
        found[path] = SiteFile(entry.size, entry.hash, 2 if entry.kind in _NO_DATA or path == "site.js" else 1)
    if site:
        found[SITE] = SiteFile(len(site), site.decode("ascii", errors="replace"), 3)
    return found


def is_lasting(path: str) -> bool:
    """Whether a path carries a hash, so that a file that is there with the right size has the right content."""
    return _LASTING.search(path) is not None


def make_plan(
    new: Mapping[str, SiteFile],
    old: Mapping[str, SiteFile],
    there: Mapping[str, int],
    announced: Set[str] = frozenset(),
    doubted: Set[str] = frozenset(),
) -> UploadPlan:
    """What is to be done at a target that holds the files `there` (path → size), where its present site names `old`.

    `announced` are the paths of a publication that was cut; those that it may have replaced already are `doubted`, and added
    whatever `old` says. Raises SiteError if a foreign file is in the way.
    """
    add: dict[str, SiteFile] = {}
    for path, file in new.items():
        lasting = is_lasting(path)
        if path in there and path not in old and path not in announced and not lasting and path != SITE:
            raise SiteError(f"{path}: is in the way and was not made by mwv; move it away, or publish under a path of its own")
        known = lasting or (path in old and old[path].mark == file.mark and path not in doubted)
        if there.get(path) != file.size or not known:
            add[path] = file
    gone = (old.keys() | announced) & there.keys() - new.keys()
    ordered = dict(sorted(add.items(), key=lambda item: (item[1].rank, item[0])))
    return UploadPlan(ordered, tuple(sorted(gone)), frozenset(announced))


def with_more(plan: UploadPlan, files: Mapping[str, bytes]) -> UploadPlan:
    """A plan that also adds files which are no site's, with its pages."""
    more = {path: SiteFile(len(content), "", 2) for path, content in files.items()}
    add = dict(sorted((plan.add | more).items(), key=lambda item: (item[1].rank, item[0])))
    return replace(plan, add=add)


def steps(plan: UploadPlan, limits: Limits) -> Iterator[Step]:
    """The steps of a plan, such that what a visitor sees after any of them is the old site or the new one, whole.

    One step if the target is atomic and it fits. Otherwise the journal comes first, then tiles, data, and pages with
    `site.json`, each before the next; deletions come last, with the pages if the target is atomic and they fit.
    """
    if not (plan.add or plan.delete or plan.announced):
        return
    whole = Step(tuple(plan.add), plan.delete, b"" if plan.announced else None)
    if (limits.atomic and _fits(whole.add, plan, limits, len(plan.delete))) or not (plan.add or plan.delete):
        yield whole
        return
    if (names := plan.announced | plan.add.keys() | set(plan.delete)) != plan.announced:
        yield Step(journal=encode_journal(names))
    parts = [part for rank in ((0,), (1,), (2, 3)) for part in _parts(plan, rank, limits)]
    final = parts.pop() if parts else ()
    for part in parts:
        yield Step(part)
    if limits.atomic and len(final) + len(plan.delete) < limits.files:
        yield Step(final, plan.delete, b"")
        return
    if final:
        yield Step(final)
    *rest, end = _runs(plan.delete, limits.files - 1) or [()]
    for part in rest:
        yield Step(delete=part)
    yield Step(delete=end, journal=b"")


def _fits(add: tuple[str, ...], plan: UploadPlan, limits: Limits, deletions: int) -> bool:
    tiles = sum(plan.add[path].size for path in add if plan.add[path].rank == 0)
    texts = sum(plan.add[path].size for path in add if plan.add[path].rank > 0)
    return len(add) + deletions < limits.files and tiles <= limits.nbytes and texts <= limits.texts


def _parts(plan: UploadPlan, ranks: tuple[int, ...], limits: Limits) -> Iterator[tuple[str, ...]]:
    """The files of some ranks in groups that fit into a step."""
    most = limits.nbytes if ranks == (0,) else limits.texts
    part: list[str] = []
    size = 0
    for path, file in plan.add.items():
        if file.rank not in ranks:
            continue
        if part and (len(part) + 1 >= limits.files or size + file.size > most):
            yield tuple(part)
            part, size = [], 0
        part.append(path)
        size += file.size
    if part:
        yield tuple(part)


def _runs(paths: tuple[str, ...], length: int) -> list[tuple[str, ...]]:
    return [paths[i : i + length] for i in range(0, len(paths), length)]


def tile_lists(manifest: Manifest) -> Set[str]:
    """Paths of all lists of tiles of a site: of its models, and of the scenes of how they are stored.

    None for a site whose tiles lie elsewhere.
    """
    models = {} if manifest.tiles else manifest.models
    return {f"{slug}/{name}" for slug, m in models.items() for name in (m.tile_list, m.stored_tiles) if name}


def tile_lists_needed(new: Manifest, old: Manifest) -> tuple[Set[str], Set[str]]:
    """The lists of tiles that a plan must know, of the new site and of the old one.

    Those that differ; and all new ones if a list disappears, since tiles are shared between models.
    """
    mine, theirs = tile_lists(new), tile_lists(old)
    return (mine - theirs if theirs <= mine else mine), theirs - mine
