"""Models and their tiles in, a site in its folder out, so that a build killed at any step leaves the old one whole.

Tiles come first, then scene data under names that carry hashes, then each page by one rename, `site.json` and
`index.html` last. What nothing names any more is deleted at the end.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from mwv import __version__
from mwv.errors import SiteError
from mwv.site.changes import reasons
from mwv.site.changes_page import changes_page
from mwv.site.chunks import decode_chunks, encode_chunks
from mwv.site.data import DataFile, File, Tiled, model_file, parse, scene_files, tile_paths
from mwv.site.entry import file_entry, identity_in, listing_of, model_digest, model_entry, picture_suffix, seal_of
from mwv.site.folder import Base, Folder
from mwv.site.gallery import gallery_page, site_script
from mwv.site.leftovers import unnamed
from mwv.site.manifest import Manifest, ModelEntry, TileList, decode, encode, encode_tiles
from mwv.site.model import Model, Place, TileFiles
from mwv.site.pages import pages_of
from mwv.site.shared import encode_content
from mwv.site.sharing import stored_files, with_shares
from mwv.site.sharing_page import sharing_page
from mwv.site.storing import ChunkedModel
from mwv.site.templates import Templates, find_templates
from mwv.site.text import canonical, is_slug
from mwv.site.tiling import old_stored_tiles, old_tiles, place_tiles
from mwv.xet.stored import StoredFile

GENERATOR: Final = f"mwv {__version__}"


@dataclass(frozen=True)
class SiteReport:
    """What finishing a site did."""

    models: tuple[str, ...]
    deleted: int
    differences: int = 0
    """How many of the models are comparisons of two."""


@dataclass(frozen=True)
class _Added:
    """What this call brought of a model beside its data files."""

    tiles: TileList
    picture: DataFile


class SiteWriter:
    """A site being built; a context manager that holds the destination against other builds.

    `add_model` and `remove` prepare, `finish` makes it visible. Without `finish` the site stays as it was, and what was
    written beside it is taken up or deleted by the next build.
    """

    def __init__(self, destination: Path, templates: Path | None = None, base: Base | None = None) -> None:
        """Open a new or empty folder, or a site of ours; raises SiteError for anything else.

        With a `base`, a new folder for what changes in that site.
        """
        self._templates = Templates(templates or find_templates())
        self._folder = Folder(destination, base)
        old = self._folder.manifest
        self._title = old.title
        self._elsewhere = old.tiles
        self._models = dict(old.models)
        self._files = {path: entry for path, entry in old.files.items() if path.partition("/")[0] in old.models}
        self._added: dict[str, _Added] = {}
        self._restored: dict[str, TileList] = {}
        """Tiles of the scenes of how models are stored, where they were added."""
        self._named: set[str] = set()
        """Slugs of the models that this call was about."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._folder.close()

    @property
    def models(self) -> Mapping[str, ModelEntry]:
        """The models that the site will hold, by slug."""
        return dict(self._models)

    def keep(self, identity: str, slug: str, seal: str, place: Place) -> str | None:
        """Leave a model whose `seal` this was as it is, but for its place; its slug, or None if it is not there whole."""
        known = self._known(identity, slug)
        if known is None or self.seal(known) != seal or not self._is_whole(known):
            return None
        self._put_at(known, place)
        return known

    def hold(self, identities: Collection[str], slug: str, place: Place) -> None:
        """Leave a model of one of these identities as it is, if there is one: its source cannot be read now."""
        for identity in identities:
            known = self._known(identity, slug)
            if known is not None:
                self._put_at(known, place)
                return

    def take_out(self, zoo: str) -> list[str]:
        """Remove the models that a zoo named before and this call did not; their slugs."""
        gone = [slug for slug, entry in self._models.items() if entry.zoo == zoo and slug not in self._named]
        for slug in gone:
            self._forget(slug)
        return sorted(gone)

    def seal(self, slug: str) -> str:
        """A digest of all that a model's folder will hold but its pages, which follow from it and the templates."""
        return seal_of(self._models[slug], self._files)

    def change(self, slug: str) -> str:
        """What has become of a model that was added or kept: "new", "unchanged", or "changed: " and why."""
        old = self._folder.manifest
        if slug not in old.models:
            return "new"
        if seal_of(old.models[slug], old.files) != self.seal(slug):
            return f"changed: {', '.join(reasons(old.models[slug], self._models[slug], self._folder.read))}"
        return "unchanged" if old.templates == self._templates.digest else "changed: templates"

    def add_model(self, model: Model, tile_files: TileFiles, overview: bytes) -> str:
        """Write a model's tiles and data, and plan its pages; the slug that it got.

        A model built again (equal `identity`, or `source` where that is empty) replaces itself and keeps its slug; another
        model of an equal slug, or of the same call, gets the first digits of its digest behind its slug. `overview` is a
        complete PNG or AVIF.
        """
        if self._elsewhere:
            raise SiteError(f"{self._folder.place()}: has pages alone, of tiles at {self._elsewhere}; build where they are")
        model = replace(model, slug=self._slug(model))
        self._named.add(model.slug)
        paths = tile_paths(model.slug, dict(enumerate(model.scenes)), tile_files)
        tiles = place_tiles(self._folder, paths, tile_files, old_tiles(self._folder, model.slug))
        data: list[File] = [model_file(model)]
        for index in range(len(model.scenes)):
            data += scene_files(model, index, tile_files)
        if model.files:
            data.append(listing_of("chunks", encode_chunks(model.files)))
        if model.others is not None:
            data.append(listing_of("files", canonical(model.others).encode("ascii")))
        data.append(listing_of("content", encode_content(model.tensors)))
        data.append(listing_of("tiles", encode_tiles(tiles, model.slug)))
        picture = DataFile(f"overview.{picture_suffix(overview)}", overview)
        order = self._models[model.slug].order if model.slug in self._models else -1
        self._forget(model.slug)
        self._added[model.slug] = _Added(tiles, picture)
        for file in data:
            path = f"{model.slug}/{file.name}"
            if not self._take_over([path]):  # its name tells all that it says
                self._put(path, file.content, "tiles" if file is data[-1] else "data")
        self._files[f"{model.slug}/{picture.name}"] = file_entry(overview, "picture")
        entry = model_entry(model, [file.name for file in data], picture, tile_files, tiles)
        self._models[model.slug] = replace(entry, order=self._order(order) if model.files else -1)
        return model.slug

    def mirror(self, there: Base, tiles: str) -> None:
        """Become the pages of a site that lies elsewhere, and whose tiles stay there, below the address `tiles`."""
        site = decode(there.read("site.json"), there.name)
        data = {path: f for path, f in site.files.items() if path.partition("/")[0] in site.models and f.kind != "page"}
        if other := [slug for slug, entry in site.models.items() if entry.tile_mode != "pmtiles"]:
            raise SiteError(f"{there.name}: the tiles of {other[0]} lie in no archives; stream it there again with --stream")
        for slug in list(self._models):
            self._forget(slug)
        self._title, self._elsewhere, self._models = site.title, tiles, dict(site.models)
        lacking = [path for path in data if not self._take_over([path])]
        there.expect(lacking)
        for path in lacking:
            self._put(path, there.read(path), data[path].kind)

    def _order(self, known: int) -> int:
        """The place of a model in the order of storing: the one it had, or the last."""
        return known if known >= 0 else 1 + max((entry.order for entry in self._models.values()), default=-1)

    def chunked(self) -> list[ChunkedModel]:
        """The models whose chunks are known, in the order of storing; from now on they are numbered without gaps."""
        known = sorted((entry.order, slug) for slug, entry in self._models.items() if entry.chunks)
        for order, (_, slug) in enumerate(known):
            self._models[slug] = replace(self._models[slug], order=order)
        entries = [self._models[slug] for _, slug in known]
        self._folder.expect(f"{entry.slug}/{entry.chunks}" for entry in entries)
        return [ChunkedModel(m.slug, m.title, decode_chunks(*self._folder.found(f"{m.slug}/{m.chunks}"))) for m in entries]

    def met(self, slug: str) -> tuple[StoredFile, ...]:
        """The files of a model with what was last known of their chunks on the Hub; none if that was nothing."""
        entry = self._models[slug]
        return decode_chunks(*self._folder.found(f"{slug}/{entry.met}")) if entry.met else ()

    def add_met(self, slug: str, files: Sequence[StoredFile]) -> None:
        """Say of a model's files what is known of their chunks on the Hub, in place of what was known; no files for nothing.

        Its own list stays: it follows from the model alone, this from all models of the site.
        """
        entry = self._models[slug]
        file = listing_of("met", encode_chunks(files)) if files else None
        name = "" if file is None else file.name
        if file is not None and not self._take_over([f"{slug}/{name}"]):
            self._put(f"{slug}/{name}", file.content, "data")
        if entry.met != name:
            self._files.pop(f"{slug}/{entry.met}", None)
        self._models[slug] = replace(entry, met=name)

    def record(self, slug: str) -> Any:
        """What the first scene of a model says; raises SiteError if it is damaged."""
        content, path = self._folder.found(f"{slug}/{self._models[slug].scenes[0]}")
        try:
            return parse(content, "scene")
        except ValueError:
            raise SiteError(f"{path}: damaged; build its model again") from None

    def has_stored(self, slug: str, source: str) -> bool:
        """Whether the scenes of how a model is stored are there, and follow from this; if not, they are let go."""
        if self._models[slug].stored_from == source:
            there = {path: entry.size for path, entry in self._files.items() if path.startswith(_stored_stems(slug))}
            there.update(old_stored_tiles(self._folder, slug).files)
            if all(self._folder.has(path, size) for path, size in there.items()):
                return True
        self._drop_stored(slug)
        return False

    def add_stored(
        self,
        slug: str,
        scenes: Mapping[int, Tiled],
        data: Mapping[int, Sequence[DataFile]],
        files: TileFiles,
        source: str,
    ) -> None:
        """Add the scenes, by index, that show how a model is stored, and follow from `source`."""
        tiles = place_tiles(self._folder, tile_paths(slug, scenes, files), files, old_stored_tiles(self._folder, slug))
        listing = listing_of("stored", encode_tiles(tiles, slug))
        for file in (*(file for found in data.values() for file in found), listing):
            self._put(f"{slug}/{file.name}", file.content, "tiles" if file is listing else "data")
        names = tuple(found[-1].name for found in data.values())
        self._models[slug] = replace(self._models[slug], stored=names, stored_tiles=listing.name, stored_from=source)
        self._restored[slug] = tiles

    def drop_stored(self) -> None:
        """Take out what shows how models are stored where their chunks are not known."""
        for slug, entry in self._models.items():
            if not entry.chunks and entry.stored:
                self._drop_stored(slug)

    def _drop_stored(self, slug: str) -> None:
        entry = self._models[slug]
        gone = {path for path in self._files if path.startswith(_stored_stems(slug))} | {f"{slug}/{entry.stored_tiles}"}
        self._files = {path: found for path, found in self._files.items() if path not in gone}
        self._models[slug] = replace(entry, stored=(), stored_tiles="", stored_from="")

    def remove(self, slug: str) -> None:
        """Take a model out; raises SiteError if there is none of that name."""
        if slug not in self._models:
            known = ", ".join(sorted(self._models)) or "none"
            raise SiteError(f"{self._folder.place()}: has no model {slug!r}; it has {known}")
        self._forget(slug)

    def finish(self, title: str | None = None, regenerate: bool = False) -> SiteReport:
        """Put pages, `site.json` and `index.html` in place, delete what nothing names; the site is then whole.

        Pages of models that were not added are written again when the templates have changed, or if `regenerate`.
        """
        old = self._folder.manifest
        if not self._models and not old.files:
            self._folder.close()  # nothing came and nothing was: make no empty site
            return SiteReport((), 0)
        self._title = old.title if title is None else title
        self._models = with_shares(self._folder, self._models)
        again = regenerate or old.templates != self._templates.digest or old.tiles != self._elsewhere
        for path, content in self._templates.assets.values():
            self._put(path, content, "asset")
        for slug in sorted(self._models):
            if again or not self._has_pages(slug):
                self._write_pages(slug)
            if slug in self._added:
                picture = self._added[slug].picture
                self._folder.write(f"{slug}/{picture.name}", picture.content)
        self._put("THIRD_PARTY.txt", self._templates.third_party().encode("utf-8"), "text")
        self._put("site.js", site_script(self._title, [self._models[slug] for slug in sorted(self._models)]), "data")
        gallery = None
        if again or (self._title, self._models) != (old.title, old.models) or not self._take_over(["index.html"]):
            gallery = gallery_page(self._templates, self._title, list(self._models.values()))
            self._files["index.html"] = file_entry(gallery, "page")
        if not again and (self._title, self._models) == (old.title, old.models):
            self._take_over(["changes.html", "sharing.html"])
        if "changes.html" not in self._files:
            self._write_changes()
        if "sharing.html" not in self._files:
            self._write_sharing()
        files = dict(sorted(self._files.items()))
        manifest = Manifest(self._title, self._templates.digest, self._models, files, self._elsewhere)
        tiles = {slug: added.tiles for slug, added in self._added.items()}
        gone = unnamed(self._folder, self._models, self._files, tiles, self._restored)
        self._folder.doom(gone)
        self._folder.write("site.json", encode(manifest, GENERATOR))
        if gallery is not None:
            self._folder.write("index.html", gallery)
        deleted = self._folder.delete(gone)
        self._folder.clear_journal()
        self._folder.close()
        return SiteReport(tuple(sorted(self._models)), deleted, sum(bool(model.compares) for model in self._models.values()))

    def _slug(self, model: Model) -> str:
        if not is_slug(model.slug):
            raise SiteError(f"{model.slug!r}: cannot be the name of a folder; use lower-case letters, digits, '.', '-', '_'")
        known = self._known(identity_in(model), model.slug)
        if known is not None:
            return known
        if model.slug not in self._models:
            return model.slug
        return f"{model.slug}-{model_digest(model)[:8]}"

    def _known(self, identity: str, slug: str) -> str | None:
        """The model of this identity that this call was not about yet; of several preferably the one with this slug."""
        known = [name for name, entry in self._models.items() if entry.identity == identity and name not in self._named]
        return slug if slug in known else next(iter(known), None)

    def _put_at(self, slug: str, place: Place) -> None:
        self._named.add(slug)
        self._models[slug] = replace(self._models[slug], zoo=place.zoo, rank=place.rank)

    def _is_whole(self, slug: str) -> bool:
        """Whether all files of a model are there, by their sizes."""
        files = {path: entry.size for path, entry in self._files.items() if path.startswith(f"{slug}/")}
        files.update(old_tiles(self._folder, slug).files)
        files.update(old_stored_tiles(self._folder, slug).files)
        return all(self._folder.has(path, size) for path, size in files.items())

    def _write_changes(self) -> None:
        """The page of how models differ, if the site has two differences."""
        entries = [entry for _, entry in sorted(self._models.items()) if entry.compares_weights]
        if len(entries) > 1:
            self._folder.expect(f"{entry.slug}/{entry.scenes[0]}" for entry in entries)
            found = [(entry, self.record(entry.slug)) for entry in entries]
            try:
                page = changes_page(self._templates, self._title, found)
            except ValueError:
                raise SiteError(f"{self._folder.place()}: data of a difference is damaged; build it again") from None
            self._put("changes.html", page, "page")

    def _write_sharing(self) -> None:
        """The page of what models share by chunks, if there are two whose chunks are known."""
        files = stored_files(self._folder, self._models)
        if len(files) > 1:
            self._put("sharing.html", sharing_page(self._templates, self._title, self._models, files), "page")

    def _forget(self, slug: str) -> None:
        self._models.pop(slug, None)
        self._added.pop(slug, None)
        self._files = {path: entry for path, entry in self._files.items() if not path.startswith(f"{slug}/")}

    def _put(self, path: str, content: bytes, kind: str) -> None:
        self._folder.write(path, content)
        self._files[path] = file_entry(content, kind)

    def _has_pages(self, slug: str) -> bool:
        """Whether the site has the pages of a model: they follow from the templates and its entry, which names its data."""
        old = self._folder.manifest.models.get(slug)
        if slug not in self._added and old is not None and self._models[slug].stored == old.stored:
            return True
        return self._models[slug] == old and self._take_over(_pages(self._models[slug]))

    def _take_over(self, paths: Sequence[str]) -> bool:
        """Take files over from the old manifest, if all are there and whole."""
        old = self._folder.manifest.files
        entries = {path: old[path] for path in paths if path in old and self._folder.holds(path, old[path])}
        self._files.update(entries)
        return len(entries) == len(paths)

    def _write_pages(self, slug: str) -> None:
        """The page of a model and its table, made from the model's own data files."""
        folder = self._folder
        entry, here = self._models[slug], folder.place(slug)
        made = pages_of(self._templates, entry, here, lambda name: folder.read(f"{slug}/{name}"), self._elsewhere)
        for path, content in zip(_pages(entry), made, strict=True):
            self._put(path, content, "page")


def regenerate(destination: Path, templates: Path | None = None, title: str | None = None) -> SiteReport:
    """Write all pages and assets of a site again from its own data, with the templates of today."""
    if not (destination / "site.json").is_file():
        raise SiteError(f"{destination}: no site of mwv here (site.json is missing); give the folder that a build wrote")
    with SiteWriter(destination, templates) as writer:
        return writer.finish(title, regenerate=True)


def _stored_stems(slug: str) -> tuple[str, ...]:
    """How the paths of the data of the scenes of how a model is stored begin."""
    return tuple(f"{slug}/{kind}-{index}-" for index in (1, 2) for kind in ("scene", "tiles", "chunks"))


def _pages(entry: ModelEntry) -> list[str]:
    """Paths of a model's page, of its table, and of the page of other files if there is one."""
    names = ("index.html", "tensors.html", *(("files.html",) if entry.others else ()))
    return [f"{entry.slug}/{name}" for name in names]
