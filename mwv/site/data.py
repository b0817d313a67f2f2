"""A model and its tiles in, the data files of its folder out: facts, tile maps and details as classic scripts.

FORMAT.md specifies every field. A data script is one call of a function of the page's `mwv` object with one JSON value,
so that it loads from disk and that `parse` can read it back. Names of data files carry a hash of their content.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

from blake3 import blake3

from mwv.layout.canvas import Canvas, Placement
from mwv.measure.slabs import VERSION as MEASURED
from mwv.measure.stats import TensorStats
from mwv.pyramid.plan import TileId
from mwv.site.model import ByteScene, Model, TensorRow, TileFiles
from mwv.site.text import canonical, plain

DATA_VERSION: Final = 1
PIECE: Final = 16
"""Tiles on each side of a piece of the tile map."""
DETAIL_NUMBERS: Final = 16_384
"""A file of details is closed when it holds this many numbers, which take about 128 KiB."""


class File(Protocol):
    """One file of a model's folder."""

    @property
    def name(self) -> str:
        """Its name, which carries a hash: of the content, or of all that the content follows from."""

    @property
    def content(self) -> bytes:
        """All of it."""


@dataclass(frozen=True)
class DataFile:
    """A file that is complete."""

    name: str
    content: bytes


@dataclass(frozen=True)
class DetailFile:
    """Everything measured about a run of tensors; written out only when asked for, since a site may have it already."""

    scene: int
    number: int
    first: int
    """The first tensor of the run."""
    tensors: tuple[TensorRow, ...]

    @cached_property
    def name(self) -> str:
        """`details-<scene>-<number>-<hash>.js`; statistics follow from the elements, their type and their shape."""
        source = [(t.dtype, t.shape, t.exponent, t.digest) for t in self.tensors]
        made = canonical([DATA_VERSION, MEASURED, self.first, source]).encode()
        return f"details-{self.scene}-{self.number}-{digest(made)}.js"

    @property
    def content(self) -> bytes:
        """The script."""
        entries = (
            f'{{"digest":{canonical(tensor.digest)},"panels":[{",".join(map(_panel, tensor.stats))}]}}'
            for tensor in self.tensors
        )
        body = f'{{"scene":{self.scene},"first":{self.first},"tensors":[{",".join(entries)}]}}'
        return _call("details", body)


def digest(content: bytes) -> str:
    """The hash that names and manifests carry: the first 16 hex digits of BLAKE3."""
    return blake3(content).hexdigest(length=8)


def script(stem: str, function: str, body: str) -> DataFile:
    """A data script that calls `mwv.<function>` with the JSON text `body`."""
    content = _call(function, body)
    return DataFile(f"{stem}-{digest(content)}.js", content)


def _call(function: str, body: str) -> bytes:
    return f"mwv.{function}({body});\n".encode("ascii")


def parse(content: bytes, function: str) -> Any:
    """The value that a data script hands to `mwv.<function>`; raises ValueError if it is no such script."""
    head, tail = f"mwv.{function}(".encode(), b");\n"
    if not content.startswith(head) or not content.endswith(tail):
        raise ValueError(f"not a call of mwv.{function}")
    try:
        return json.loads(content[len(head) : -len(tail)])
    except RecursionError:
        raise ValueError("nested too deeply") from None


def model_record(model: Model) -> dict[str, Any]:
    """What the page says about the model as a whole; the argument of `mwv.model`."""
    return {
        "version": DATA_VERSION,
        "slug": model.slug,
        "title": model.title,
        "source": model.source,
        "url": model.url,
        **({"page": model.page} if model.page else {}),
        "format": model.format,
        "architecture": model.architecture,
        "parameters": model.parameters,
        "bytes": model.nbytes,
        "tensors": len(model.tensors),
        "dtypes": plain(model.dtypes),
        "facts": plain(model.facts),
        "metadata": plain(model.metadata),
        "date": model.date,
        "tags": list(model.tags),
        "group": model.group,
        "notes": list(model.notes),
    }


def model_file(model: Model) -> DataFile:
    """`model-<hash>.js`."""
    return script("model", "model", canonical(model_record(model)))


def scene_files(model: Model, index: int, files: TileFiles) -> list[File]:
    """All data files of one scene; the last is `scene-<index>-<hash>.js`, which names the others."""
    scene = model.scenes[index]
    if isinstance(scene, ByteScene):
        from mwv.site.byte_scene import byte_files  # late: it is made of what is here

        return list(byte_files(scene, index, files))
    tensors = model.tensors if scene.tensors is None else scene.tensors
    details = detail_files(index, tensors)
    tiles, pieces = tile_map(scene, index, files)
    facts = {
        "version": DATA_VERSION,
        "index": index,
        "kind": scene.kind,
        "title": scene.title,
        "layout": scene.layout_digest,
        "bounds": _rect(scene.canvas.bounds),
        "levels": scene.levels,
        "window": scene.window,
        "magnitudes": scene.magnitudes,
        "tiles": tiles,
        "regions": [[r.kind, r.label, r.stack, r.layer, *_rect(r.rect)] for r in scene.canvas.regions],
        "tensors": tensor_columns(tensors),
        "placements": placement_columns(scene.canvas, tensors),
        "details": {"first": [file.first for file in details], "files": [file.name for file in details]},
        **({} if scene.difference is None else {"difference": scene.difference}),
    }
    return [*details, *pieces, script(f"scene-{index}", "scene", canonical(facts))]


def _rect(rect: Any) -> list[int]:
    return [rect.x, rect.y, rect.width, rect.height]


def _intern(values: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """Distinct values in order of first appearance, and for each value its index among them."""
    order: dict[Any, int] = {}
    indices = [order.setdefault(value, len(order)) for value in values]
    return list(order), indices


def tensor_columns(tensors: Sequence[TensorRow]) -> dict[str, Any]:
    """The table of tensors."""
    dtypes, dtype = _intern([t.dtype for t in tensors])
    shapes, shape = _intern([t.shape for t in tensors])
    shards, shard = _intern([t.shard for t in tensors])
    index = {t.name: i for i, t in enumerate(tensors)}
    return {
        "dtypes": dtypes,
        "shapes": shapes,
        "shards": shards,
        "name": [t.name for t in tensors],
        "dtype": dtype,
        "shape": shape,
        "shard": shard,
        "offset": [t.offset for t in tensors],
        "bytes": [t.nbytes for t in tensors],
        "digest": [t.digest[:16] for t in tensors],
        "canonical": {str(i): t.canonical for i, t in enumerate(tensors) if t.canonical},
        "exponents": {str(i): t.exponent for i, t in enumerate(tensors) if t.exponent},
        "strides": {str(i): t.strides for i, t in enumerate(tensors) if t.strides is not None},
        "bigEndian": [i for i, t in enumerate(tensors) if t.big_endian],
        "notes": {str(i): t.note for i, t in enumerate(tensors) if t.note},
        "packed": [i for i, t in enumerate(tensors) if t.packed],
        "parts": {str(i): index[t.part_of] for i, t in enumerate(tensors) if t.part_of in index},
    }


def placement_columns(canvas: Canvas, tensors: Sequence[TensorRow]) -> dict[str, Any]:
    """What stands where."""
    placed = canvas.placements
    grids, grid = _intern([_grid(p) for p in placed])
    stacks, stack = _intern([p.role.stack for p in placed])
    slots, slot = _intern([p.role.slot for p in placed])
    stats = [_stats_of(p, tensors) for p in placed]
    return {
        "grids": grids,
        "stacks": stacks,
        "slots": slots,
        "tensor": [-1 if p.tensor is None else p.tensor for p in placed],
        "panel": [-1 if p.panel is None else p.panel for p in placed],
        "grid": grid,
        "stack": stack,
        "layer": [-1 if p.role.layer is None else p.role.layer for p in placed],
        "slot": slot,
        "expert": [-1 if p.role.expert is None else p.role.expert for p in placed],
        "pieces": [[n for q in p.pieces for n in (q.x, q.y, q.row, q.col, q.rows, q.cols)] for p in placed],
        "names": {str(i): p.name for i, p in enumerate(placed) if p.tensor is None or p.name != tensors[p.tensor].name},
        "rms": [_short(s.rms if s else None) for s in stats],
        "minimum": [_short(s.minimum if s else None) for s in stats],
        "maximum": [_short(s.maximum if s else None) for s in stats],
        "zeros": [s.zeros if s else 0 for s in stats],
        "nan": {str(i): s.nan for i, s in enumerate(stats) if s and s.nan},
        "inf": {str(i): s.inf for i, s in enumerate(stats) if s and s.inf},
    }


def _grid(placement: Placement) -> tuple[int, ...]:
    g = placement.grid
    return (g.rows, g.cols, g.row_elements, g.elements, *g.patch, *g.thick)


def _stats_of(placement: Placement, tensors: Sequence[TensorRow]) -> TensorStats | None:
    if placement.tensor is None:
        return None
    stats = tensors[placement.tensor].stats
    panel = placement.panel or 0
    return stats[panel] if panel < len(stats) else None


def _short(value: float | None) -> float | None:
    """Six digits are enough for tables and charts; details hold the whole number."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _profile(values: Sequence[float]) -> str:
    """A JSON list of numbers to four digits; what is not finite becomes null."""
    text = ("%.4g," * len(values) % tuple(values))[:-1]
    if "n" in text:
        text = ",".join("null" if "n" in item else item for item in text.split(","))
    return f"[{text}]"


def _panel(stats: TensorStats) -> str:
    scalars = dict(vars(stats))
    profiles = {name: _profile(scalars.pop(name)) for name in ("row_rms", "col_rms")}
    inner = "".join(f',"{name}":{text}' for name, text in profiles.items())
    return canonical(scalars)[:-1] + inner + "}"


def detail_files(index: int, tensors: Sequence[TensorRow]) -> list[DetailFile]:
    """Files of consecutive tensors with everything measured about them."""
    files: list[DetailFile] = []
    first = numbers = 0
    for position, tensor in enumerate(tensors):
        numbers += sum(len(s.row_rms) + len(s.col_rms) + len(s.histogram) for s in tensor.stats)
        if numbers >= DETAIL_NUMBERS or position == len(tensors) - 1:
            files.append(DetailFile(index, len(files), first, tuple(tensors[first : position + 1])))
            first, numbers = position + 1, 0
    return files


def tile_name(key: str, files: TileFiles) -> str:
    """A tile's name in maps: its key, with a suffix only where it differs from that of the scene."""
    return f"{key}.png" if files.suffix != "png" and key in files.png else key


class Tiled(Protocol):
    """A scene as far as its tiles go; see `Scene`."""

    @property
    def levels(self) -> int:
        """Number of levels."""

    @property
    def tiles(self) -> Mapping[TileId, str]:
        """Key of every tile."""

    @property
    def archives(self) -> Mapping[tuple[int, int] | None, str]:
        """Digests of archives."""


def _pieces(scene: Tiled, entry: Callable[[str], str]) -> Iterator[tuple[int, int, int, list[str]]]:
    """(level, column, row, entries) of the pieces of a tile map in order; entries run along rows, "" where no tile is."""
    pieces: dict[tuple[int, int, int], list[str]] = {}
    for (level, x, y), key in sorted(scene.tiles.items()):
        entries = pieces.setdefault((level, x // PIECE, y // PIECE), [""] * PIECE * PIECE)
        entries[y % PIECE * PIECE + x % PIECE] = entry(key)
    for (level, column, row), entries in sorted(pieces.items()):
        while not entries[-1]:
            entries.pop()
        yield level, column, row, entries


def tile_map(scene: Tiled, index: int, files: TileFiles) -> tuple[dict[str, Any], list[DataFile]]:
    """The `tiles` field of the facts, which carries levels of one piece, and the pieces of larger levels as scripts."""
    tiles: dict[str, Any] = {
        "mode": files.mode,
        "base": xyz_folder(index) if files.mode == "xyz" else "../tiles/",
        "suffix": files.suffix,
        "picture": files.suffix == "avif",
        "count": len(scene.tiles),
    }
    if files.windows:
        tiles["windows"] = files.windows
    if files.mode == "pmtiles":
        tiles["archives"] = {"top" if place is None else "{},{}".format(*place): name for place, name in scene.archives.items()}
        return tiles, []  # the directory of an archive tells which tiles it has
    tiles["map"], tiles["pieces"] = {}, {}
    scripts: list[DataFile] = []
    pieces = list(_pieces(scene, lambda key: tile_name(key, files)))
    in_level = Counter(level for level, *_ in pieces)
    for level, column, row, entries in pieces:
        if in_level[level] == 1:
            tiles["map"][str(level)] = {f"{column},{row}": entries}
            continue
        body = {"scene": index, "level": level, "x": column, "y": row, "keys": entries}
        file = script(f"tiles-{index}-{level}-{column}-{row}", "tileMap", canonical(body))
        scripts.append(file)
        hashed = file.name.rpartition("-")[2].removesuffix(".js")
        tiles["pieces"].setdefault(str(level), {})[f"{column},{row}"] = hashed
    return tiles, scripts


def xyz_folder(index: int) -> str:
    """Where a scene's tiles lie, relative to the model's folder, when they are named by level and place."""
    return f"tiles/{index}/" if index else "tiles/"


def tile_paths(slug: str, scenes: Mapping[int, Tiled], files: TileFiles) -> Mapping[str, str]:
    """Path in the site → key, for every tile or archive of some scenes (by index) of a model."""
    paths: dict[str, str] = {}
    for index, scene in scenes.items():
        if files.mode == "pmtiles":
            paths.update({f"tiles/{name[:2]}/{name}.pmtiles": name for name in scene.archives.values()})
        elif files.mode == "files":
            paths.update({f"tiles/{key[:2]}/{key}.{_suffix(key, files)}": key for key in scene.tiles.values()})
        else:
            base, top = f"{slug}/{xyz_folder(index)}", scene.levels - 1
            for (level, x, y), key in scene.tiles.items():
                paths[f"{base}{top - level}/{x}/{y}.{_suffix(key, files)}"] = key
    return dict(sorted(paths.items()))


def _suffix(key: str, files: TileFiles) -> str:
    return "png" if key in files.png else files.suffix
