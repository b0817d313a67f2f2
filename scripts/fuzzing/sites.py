"""The readers of sites and zoos, each as a function of bytes, as in checkpoints.py: what lies in a folder that is served."""

import contextlib
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from fuzzing.checkpoints import Given, framed
from mwv.checkpoint.open import open_checkpoint
from mwv.decode.open import open_tensor
from mwv.site.exact import Values, ValuesError, Window
from mwv.site.gallery import gallery_page, site_script
from mwv.site.manifest import Manifest, ModelEntry, decode, decode_tiles, encode
from mwv.site.pages import pages_of
from mwv.site.serve import cache_control, content_type, is_loopback, locate, not_modified, parse_range
from mwv.site.shared import decode_content, shares
from mwv.site.templates import Templates, find_templates
from mwv.site.text import canonical
from mwv.xet.shard import XorbList, parse_shard
from mwv.zoo import read_zoo

FILE: Final = Path("file")
WINDOWS: Final = tuple(
    Window(scene, placement, row, col, 64, 64) for scene, placement, row, col in product((0, 1), (0, 1, 5), (0, 70), (0, 3))
)


def zoo(folder: Path) -> Given:
    """A zoo.toml beside two files that it may name."""
    for name in ("a.safetensors", "b-00001-of-00002.gguf"):
        (folder / name).touch()

    def given(data: bytes) -> Callable[[], None]:
        (folder / "zoo.toml").write_bytes(data)
        return lambda: _names_models(folder / "zoo.toml")

    return given


def _names_models(path: Path) -> None:
    found = read_zoo(path)
    assert all(len(f"{line}.".splitlines()) == 1 for line in found.unmatched), f"a line of several: {found.unmatched}"


def manifest(_: Path) -> Given:
    """A site.json, and the front page made from it again."""
    templates = Templates(find_templates())
    gallery_page(templates, "", [])

    def read(data: bytes) -> None:
        found = decode(data, FILE)
        assert decode(encode(found, "fuzz"), FILE) == found, "a site.json changes when it is written again"
        site_script(found.title, list(found.models.values()))
        gallery_page(templates, found.title, list(found.models.values()))

    return lambda data: lambda: read(data)


def tile_list(_: Path) -> Given:
    """A model's list of tiles."""
    return lambda data: lambda: str(decode_tiles(data, FILE)) and None


def content(_: Path) -> Given:
    """What a model of a site consists of, compared with itself and another."""
    other = decode_content(b'{"digests":"00000000000000010000000000000002","bytes":[10,20]}', FILE)
    shares({"a": other, "b": other})

    def read(data: bytes) -> None:
        found = decode_content(data, FILE)
        shares({"a": found, "b": found, "c": other})

    return lambda data: lambda: read(data)


def shard(_: Path) -> Given:
    """What a CAS answers for a chunk, and what is kept of it; it has one error of its own."""

    def read(data: bytes) -> None:
        with contextlib.suppress(ValueError):
            for told in parse_shard(data):
                assert XorbList.from_bytes(told.xorb, told.to_bytes()).chunks.lengths.tolist() == told.chunks.lengths.tolist()

    return lambda data: lambda: read(data)


def scene(folder: Path) -> Given:
    """The data of a scene, in a site whose source is at hand: stored values are read out by it."""
    source = folder / "m.safetensors"
    source.write_bytes(framed(SOURCE))
    path = folder / "site" / "m" / "scene-0.js"
    path.parent.mkdir(parents=True)
    (folder / "site" / "site.json").write_bytes(encode(Manifest(models={"m": entry()}), "fuzz"))
    path.write_bytes(data_script("scene", canonical(scene_of(source)).encode()))
    values = Values(folder / "site", lambda _: None, [source])
    assert values.read("m", WINDOWS[0])["values"], "the scene of the reader's own is not read"

    def read() -> None:
        values = Values(folder / "site", lambda _: None, [source])
        if values.offers("m"):
            for window in WINDOWS:
                with contextlib.suppress(ValuesError):
                    canonical(values.read("m", window))

    def given(data: bytes) -> Callable[[], None]:
        path.write_bytes(data_script("scene", data))
        return read

    return given


def pages(_: Path) -> Given:
    """The data of a model and of its scene, and the pages made from it again."""
    templates = Templates(find_templates())

    def read(data: bytes) -> None:
        record, _, table = data.partition(b"\n")
        files = {"model-0.js": data_script("model", record), "scene-0.js": data_script("scene", table)}
        pages_of(templates, entry(), FILE, files.__getitem__)

    numbers, texts = ("parameters", "tensors", "bytes"), ("title", "architecture", "format", "source", "url", "date", "group")
    empty = {**dict.fromkeys(numbers, 0), **dict.fromkeys(texts, ""), "facts": {}, "metadata": {}, "dtypes": {}, "notes": []}
    read(canonical(empty).encode() + b'\n{"tensors":{"name":[]},"placements":{"tensor":[]}}')  # this loads the templates
    return lambda data: lambda: read(data)


def request(folder: Path) -> Given:
    """What a browser asks of the server: target, range, tags, date and host, a line for each."""
    (folder / "index.html").touch()
    root = folder.resolve()

    def read(data: bytes) -> None:
        target, asked, tags, date, host, *_ = [*data.decode("latin-1").split("\n"), "", "", "", "", ""]
        found = locate(root, target)
        if found:
            assert found[0].is_relative_to(root), "the server leaves its folder"
            content_type(found[0].name), cache_control(found[0].name)
        with contextlib.suppress(ValueError):
            start, stop = parse_range(asked, 1000) or (0, 1000)
            assert 0 <= start < stop <= 1000, "a range that the file has not"
        not_modified('"tag"', 1e9, tags or None, date or None)
        is_loopback(host)

    return lambda data: lambda: read(data)


SOURCE: Final = (
    b'{"a":{"dtype":"F32","shape":[9,7],"data_offsets":[0,252]},'
    b'"h":{"dtype":"F16","shape":[100,5],"data_offsets":[252,1252]},'
    b'"k":{"dtype":"F32","shape":[3,2,3,3],"data_offsets":[1252,1468]}}'
)


def data_script(function: str, value: bytes) -> bytes:
    """A data script as a site has it."""
    return f"mwv.{function}(".encode() + value + b");\n"


def entry() -> ModelEntry:
    """A model of one scene."""
    return ModelEntry(
        **dict.fromkeys(("slug", "title", "source", "format", "architecture", "group", "zoo", "options"), "m"),
        compares=(),
        **dict.fromkeys(("identity", "digest", "nearest"), "0123456789abcdef"),
        **dict.fromkeys(("parameters", "bytes", "tensors", "rank", "shared", "nearest_shared", "tile_count", "tile_bytes"), 3),
        **dict.fromkeys(("chunk_shared", "chunk_nearest_shared", "order"), -1),
        **dict.fromkeys(("chunk_nearest", "chunks", "met", "others", "stored_tiles", "stored_from"), ""),
        stored=(),
        dtypes={"F32": 3},
        date="2026-01-02",
        tags=("tag",),
        layout=("0123456789abcdef",),
        model="model-0.js",
        scenes=("scene-0.js",),
        overview="overview.png",
        overview_size=(512, 2048),
        content="content-0.json",
        tile_mode="files",
        tile_list="tiles-0.json",
    )


def scene_of(source: Path) -> dict[str, Any]:
    """The parts of a scene that reading out values looks at, for the tensors of SOURCE."""
    checkpoint = open_checkpoint(source)
    tensors = checkpoint.tensors
    grids = [[9, 7, 7, 63, 1, 1, 1, 1], [100, 5, 5, 500, 1, 1, 1, 1], [9, 6, 18, 54, 3, 3, 1, 1]]
    stored = [
        open_tensor(checkpoint.shards, info, grid[2], (grid[4], grid[5])) for info, grid in zip(tensors, grids, strict=True)
    ]
    digests = [blake3(b"".join(t.digest(band, t.read(band)) for band in range(t.bands))).hexdigest()[:16] for t in stored]
    return {
        "kind": "values",
        "tensors": {
            "dtypes": ["F32", "F16"],
            "shapes": [list(info.shape) for info in tensors],
            "shards": [source.name],
            "name": [info.name for info in tensors],
            "dtype": [0, 1, 0],
            "shape": [0, 1, 2],
            "shard": [0, 0, 0],
            "offset": [info.offset for info in tensors],
            "bytes": [info.nbytes for info in tensors],
            "digest": digests,
            "notes": {"1": "a note"},
        },
        "placements": {
            "grids": grids,
            "tensor": [0, 1, 2],
            "panel": [-1, -1, -1],
            "grid": [0, 1, 2],
            "rms": [0.5, None, 1],
            "minimum": [-1, None, 0],
            "maximum": [1, None, 2],
            "nan": {"1": 3},
            "inf": {},
        },
    }
