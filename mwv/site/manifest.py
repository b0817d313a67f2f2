"""`site.json` in, a Manifest out, and back: what a site holds, and which files are ours.

A manifest is read from a folder that anyone may have written to, so no path in it is believed before `is_ours`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any, Final

from mwv.checkpoint.checks import MAX_ELEMENTS
from mwv.checkpoint.wording import printable
from mwv.errors import SiteError
from mwv.site.text import canonical, is_slug

FORMAT: Final = "mwv-site"
VERSION: Final = 1
LONGEST: Final = 16 << 20
"""Bytes of a `site.json`; a model takes about two thousand."""
_FOLDER: Final = re.compile(r"https?://[!-~]{1,2000}/")
_PATH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class FileEntry:
    """A file of the site that is not a tile."""

    size: int
    kind: str
    """page, asset, data, picture, tiles (a list of tiles) or text."""
    hash: str


@dataclass(frozen=True)
class ModelEntry:
    """One model of the site: what its card says and which files it consists of."""

    slug: str
    identity: str
    title: str
    source: str
    format: str
    architecture: str
    parameters: int
    bytes: int
    tensors: int
    dtypes: Mapping[str, int]
    date: str | None
    tags: tuple[str, ...]
    group: str
    zoo: str
    """What tells the zoo that named the model from others, or empty."""
    rank: int
    """How many models that zoo names before this one, or -1."""
    options: str
    """Digest of the options that the model was built with."""
    compares: tuple[str, ...]
    """Of a difference: what the two are called that it compares; else empty."""
    others: str
    """Name of the record of how other files of two folders differ, in its folder, or empty."""
    shared: int
    """Bytes that other models of the site have, too."""
    nearest: str
    """Slug of the model that has most of them, or empty."""
    nearest_shared: int
    chunk_shared: int
    """Bytes of its chunks that other models of the site have, too; -1 where its chunks or those of all others are not known."""
    chunk_nearest: str
    """Slug of the model that has most of them, or empty."""
    chunk_nearest_shared: int
    digest: str
    """Over names and digests of all tensors: equal for equal weights."""
    layout: tuple[str, ...]
    """Layout digest of each scene."""
    model: str
    """Name of the model's own data script, in its folder."""
    scenes: tuple[str, ...]
    """Names of the scene scripts, in its folder."""
    overview: str
    """Name of the picture of the first scene, in its folder."""
    overview_size: tuple[int, int]
    """Its width and height in pixels."""
    content: str
    """Name of the list of what its tensors hold, in its folder."""
    chunks: str
    """Name of the list of the chunks of its files, in its folder, or empty."""
    order: int
    """How many models with chunks are stored before this one, or -1."""
    met: str
    """The same list with what is known of chunks on the Hub, in its folder, or empty: see `add_met` of the writer."""
    stored: tuple[str, ...]
    """Names of the scripts of the scenes that show how it is stored, in its folder."""
    stored_tiles: str
    """Name of the list of their tiles, in its folder, or empty."""
    stored_from: str
    """Digest of all that they follow from, or empty."""
    tile_mode: str
    tile_list: str
    """Name of the list of the model's tiles, in its folder."""
    tile_count: int
    tile_bytes: int

    @property
    def compares_weights(self) -> bool:
        """Whether it is a difference of models rather than of bytes."""
        return bool(self.compares) and self.format != "bytes"


_LISTS: Final = {"compares": str, "layout": str, "scenes": str, "stored": str, "tags": str, "overview_size": int}


@dataclass(frozen=True)
class Manifest:
    """What is in a site. Models are in the order of their slugs."""

    title: str = "mwv"
    templates: str = ""
    models: Mapping[str, ModelEntry] = field(default_factory=dict)
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    tiles: str = ""
    """Address below which the site's tiles lie, with a slash at its end, if they do not lie in the site."""


def is_ours(path: str) -> bool:
    """Whether `path` can be that of a file that mwv writes: relative, plain, without a step upward."""
    return len(path) < 400 and _PATH.fullmatch(path) is not None


def encode(manifest: Manifest, generator: str) -> bytes:
    """The text of `site.json`."""
    value = {
        "format": FORMAT,
        "version": VERSION,
        "generator": generator,
        "title": manifest.title,
        "tiles": manifest.tiles,
        "templates": manifest.templates,
        "models": [asdict(manifest.models[slug]) for slug in sorted(manifest.models)],
        "files": {path: asdict(entry) for path, entry in manifest.files.items()},
    }
    return (canonical(value) + "\n").encode("ascii")


def decode(content: bytes, where: Path | str) -> Manifest:
    """The manifest in a `site.json`; raises SiteError if it is not ours, of another version, or damaged."""
    if len(content) > LONGEST:
        raise SiteError(f"{where}: {len(content):,} bytes are more than the largest site has; choose an empty or new folder")
    try:
        value = json.loads(content)
        if value["format"] != FORMAT:
            raise SiteError(f"{where}: not a site of mwv; choose an empty or new folder")
        if value["version"] != VERSION:
            generator = printable(str(value["generator"]), 100)
            raise SiteError(f"{where}: written by another version of mwv ({generator}); build into a new folder")
        models = {m["slug"]: _model(m) for m in value["models"]}
        files = {path: FileEntry(**_typed(FileEntry, entry)) for path, entry in value["files"].items()}
        manifest = Manifest(_text(value["title"]), _text(value["templates"]), models, files, _address(value.get("tiles", "")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise SiteError(f"{where}: damaged; remove the folder, or restore the file, and build again") from None
    if not all(map(is_slug, models)) or not all(map(is_ours, [*files, *_paths(models.values())])):
        raise SiteError(f"{where}: names files outside the site; it was not written by mwv")
    return manifest


def _model(value: dict[str, Any]) -> ModelEntry:
    """Raises TypeError or KeyError for what has other fields or types."""
    for name, kind in _LISTS.items():
        if type(value[name]) is not list or not all(_is(item, kind) for item in value[name]):
            raise TypeError(name)
    entry = ModelEntry(**{**_typed(ModelEntry, value), **{name: tuple(value[name]) for name in _LISTS}})
    if len(entry.overview_size) != 2 or min(entry.overview_size) < 1 or not all(_is(n, int) for n in entry.dtypes.values()):
        raise TypeError(entry.slug)
    if entry.date is not None:
        _text(entry.date)
    if entry.shared and not entry.bytes:
        raise TypeError(entry.slug)
    return entry


def _typed(kind: type, value: dict[str, Any]) -> dict[str, Any]:
    """`value` if its texts and numbers are such, by the fields of a dataclass."""
    for item in fields(kind):
        if item.type in (str, int) and not _is(value[item.name], item.type):
            raise TypeError(item.name)
    return value


def _is(value: object, kind: object) -> bool:
    """Whether a value is a text, or a number as we write them: a count of something, or -1."""
    return type(value) is kind and (type(value) is not int or -1 <= value <= MAX_ELEMENTS)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _address(value: object) -> str:
    text = _text(value)
    if text and not _FOLDER.fullmatch(text):
        raise TypeError
    return text


def _paths(models: Iterable[ModelEntry]) -> list[str]:
    """Of all that the models name, in their folders; names that are empty name nothing."""
    names = (
        (m.slug, name)
        for m in models
        for name in (
            m.model,
            m.overview,
            m.tile_list,
            m.content,
            *m.scenes,
            m.chunks,
            m.others,
            m.met,
            *m.stored,
            m.stored_tiles,
        )
    )
    return [f"{slug}/{name}" for slug, name in names if name]


@dataclass(frozen=True)
class TileList:
    """The tiles of one model: path relative to the site's root → size. For `xyz`, `keys` tells what lies at a path."""

    files: Mapping[str, int]
    keys: Mapping[str, str] = field(default_factory=dict)


def encode_tiles(tiles: TileList, slug: str) -> bytes:
    """The text of a model's list of tiles; paths relative to `tiles/`, or to the model's own tiles where it has them."""
    own = f"{slug}/tiles/"
    base = own if tiles.keys else "tiles/"
    value: dict[str, Any] = {
        "format": "mwv-tiles",
        "version": VERSION,
        "base": base,
        "files": {path.removeprefix(base): size for path, size in tiles.files.items()},
    }
    if tiles.keys:
        value["keys"] = {path.removeprefix(base): key for path, key in tiles.keys.items()}
    return (canonical(value) + "\n").encode("ascii")


def decode_tiles(content: bytes, where: Path | str) -> TileList:
    """The list in a file of tiles; raises SiteError if it is damaged."""
    try:
        value = json.loads(content)
        base = PurePosixPath(value["base"]).as_posix() + "/"
        files = {base + path: int(size) for path, size in value["files"].items()}
        keys = {base + path: str(key) for path, key in value.get("keys", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise SiteError(f"{where}: damaged; build its model again") from None
    if not all(map(is_ours, files)):
        raise SiteError(f"{where}: names files outside the site; it was not written by mwv")
    return TileList(files, keys)
