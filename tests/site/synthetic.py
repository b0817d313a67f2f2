"""In: nothing. Out: small models with codes drawn by Pillow, for tests of the site that need no checkpoint and no renderer."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mwv.layout.canvas import Canvas, Piece, Placement, Rect, Region, Role
from mwv.layout.grid import Grid
from mwv.measure.stats import TensorStats, profile
from mwv.pyramid.code import leaf_codes
from mwv.pyramid.palette import table
from mwv.pyramid.png import encode_coloured
from mwv.site.model import Model, Scene, TensorRow, TileFiles

SIDE = 512
ODD_NAMES = (
    "quote\"and'apostrophe",
    "<script>document.title='owned'</script>",
    "../../etc/passwd",
    "line\u2028separator and \u202eturned",
    "control\x00\x07\x1b and newline\n",
    "</script><img src=x onerror=alert(1)>",
    "lone \ud800 surrogate",
    "{{ 7 * 7 }} {% raw %}",
)


@dataclass(frozen=True)
class Built:
    """A model, where its tiles lie, its overview, and all codes by level for comparison."""

    model: Model
    files: TileFiles
    overview: bytes
    codes: list[NDArray[np.uint8]] = field(repr=False)


def rms_by_run(squares: NDArray[np.float64]) -> "array[float]":
    """RMS of at most 1,024 nearly equal runs of rows of equal length, from the mean square of each row."""
    edges = np.linspace(0, len(squares), min(len(squares), 1024) + 1).astype(int)
    return profile([np.sqrt(squares[a:b].mean()) for a, b in pairwise(edges)])


def stats(values: NDArray[Any]) -> TensorStats:
    flat = values.astype(np.float64).ravel()
    ok = flat[np.isfinite(flat)]
    counts = np.histogram(ok, 64)[0] if ok.size else np.zeros(64, int)
    percents = (0.1, 1, 5, 25, 50, 75, 95, 99, 99.9)
    clean = np.where(np.isfinite(values), values, 0).astype(np.float64)
    return TensorStats(
        elements=flat.size,
        nan=int(np.isnan(flat).sum()),
        inf=int(np.isinf(flat).sum()),
        zeros=int((flat == 0).sum()),
        minimum=float(ok.min()),
        maximum=float(ok.max()),
        mean=float(ok.mean()),
        rms=float(np.sqrt((ok**2).mean())),
        std=float(ok.std()),
        kurtosis=3.0,
        percentiles=tuple((p, float(np.percentile(ok, p))) for p in percents),
        histogram=tuple(int(n) for n in counts),
        row_rms=rms_by_run((clean**2).mean(1)),
        col_rms=rms_by_run((clean**2).mean(0)),
        row_outliers=(),
        col_outliers=(),
        below_f32=0,
        below_f16=int((abs(ok[ok != 0]) < 2**-14).sum()),
    )


def pyramid(leaf: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Levels made by taking every other pixel: not what mwv draws, but every pixel is a code with a known place."""
    levels = [leaf]
    while max(levels[-1].shape) > SIDE:
        levels.append(levels[-1][::2, ::2])
    return levels


def png(codes: NDArray[np.uint8]) -> bytes:
    out = BytesIO()
    Image.fromarray(codes, "L").save(out, "PNG")
    return out.getvalue()


def build(
    folder: Path,
    slug: str = "tiny",
    seed: int = 1,
    layers: int = 4,
    names: Sequence[str] = ODD_NAMES,
    suffix: str = "png",
    mode: str = "files",
) -> Built:
    """A model of `layers` layers of two matrices and a vector, an embedding, an empty tensor and a missing one."""
    rng = np.random.default_rng(seed)
    slots = [("attn.q_proj.weight", 0, 0, 256, 384), ("mlp.up_proj.weight", 448, 0, 300, 700), ("norm.weight", 0, 320, 1, 384)]
    width, top, pitch = 1536 + 1200, 512, 512
    height = top + max(pitch * layers, 1024)
    leaf = np.zeros((height, width), np.uint8)
    rows: list[TensorRow] = []
    placements: list[Placement] = []
    regions = [Region("stack", "model.layers", "model.layers", None, Rect(1536, top, 1148, pitch * layers))]

    def add(name: str, role: Role, x: int, y: int, values: NDArray[Any]) -> None:
        high, wide = values.shape
        vector = high == 1
        codes = leaf_codes(values)
        drawn = np.repeat(codes, 8, 0) if vector else codes
        leaf[y : y + drawn.shape[0], x : x + wide] = drawn
        grid = Grid(high, wide, wide, values.size, thick=(8, 1) if vector else (1, 1))
        placements.append(Placement(name, len(rows), None, grid, role, (Piece(x, y, 0, 0, high, wide),)))
        shape = (wide,) if vector else (high, wide)
        digest = sha256(values.tobytes()).hexdigest()
        offset = 4096 * len(rows)
        rows.append(TensorRow(name, "F32", shape, "tiny.safetensors", offset, values.size * 4, digest, (stats(values),)))

    embedding = rng.normal(0, 0.05, (700, 1400)).astype(np.float32)
    embedding[100] *= 40
    embedding[200:240] = 0
    embedding[300, 300] = np.nan
    embedding[310, 310] = np.inf
    add("model.embed_tokens.weight", Role("", None, "embed_tokens"), 0, 512, embedding)
    for layer in range(layers):
        y = top + layer * pitch
        regions.append(Region("layer", f"layer {layer}", "model.layers", layer, Rect(1536, y, 1148, 512)))
        for index, (slot, dx, dy, high, wide) in enumerate(slots):
            scale = 0.02 * 2 ** (layer / 2) * (1 + index)
            values = rng.normal(0, scale, (high, wide)).astype(np.float32)
            values[:, ::64] *= 6
            if layer == 1 and index == 0:
                values[64:128] = 0
            name = names[layer] if index == 1 and layer < len(names) else f"model.layers.{layer}.{slot}"
            add(name, Role("model.layers", layer, slot), 1536 + dx, y + dy, values)
    missing = Grid(200, 300, 300, 60000)
    placements.append(
        Placement("lm_head.weight", None, None, missing, Role("", None, "lm_head"), (Piece(900, 1300, 0, 0, 200, 300),))
    )
    leaf[1300:1500, 900:1200] = 251
    rows.append(TensorRow("model.empty <b>", "F32", (0, 3), "tiny.safetensors", 0, 0, "", (), "no elements"))
    levels = pyramid(leaf)
    tiles: dict[tuple[int, int, int], str] = {}
    paths: dict[str, Path] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for level, codes in enumerate(levels):
        for y in range(-(-codes.shape[0] // SIDE)):
            for x in range(-(-codes.shape[1] // SIDE)):
                tile = np.zeros((SIDE, SIDE), np.uint8)
                part = codes[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE]
                tile[: part.shape[0], : part.shape[1]] = part
                if not tile.any():
                    continue
                key = sha256(tile.tobytes()).hexdigest()
                tiles[level, x, y] = key
                paths[key] = folder / key
                if not paths[key].exists():
                    paths[key].write_bytes(png(tile))
    canvas = Canvas(Rect(0, 512, width, height - 512), tuple(placements), tuple(regions))
    magnitudes = tuple((0.004 * 1.5**level, 0.4 / 1.2**level) for level in range(len(levels)))
    scene = Scene("values", "Weights", canvas, "0" * 64, len(levels), tiles, magnitudes, (2**-10, 2.0))
    count = sum(int(np.prod(row.shape)) for row in rows)
    model = Model(
        slug=slug,
        title=f"Tiny & <i>{slug}</i>",
        source="tiny.safetensors",
        format="safetensors",
        architecture="LlamaForCausalLM",
        parameters=count,
        nbytes=4 * count,
        dtypes={"F32": count},
        facts={"num_hidden_layers": layers, "hidden_size": 384, "odd": float("nan")},
        metadata={"description": "first line\nsecond <line> \u202e", "format": "pt"},
        tensors=tuple(rows),
        scenes=(scene,),
        notes=("Left out: <optimizer>.pt",),
        identity=f"{slug}-{seed}",
    )
    files = TileFiles(suffix=suffix, paths=paths, mode=mode)  # type: ignore[arg-type]
    return Built(model, files, encode_coloured(levels[-1], table("signed", 2**-10, 2.0)), levels)


def renamed(built: Built, **changes: Any) -> Built:
    """The same with other fields of the model."""
    return replace(built, model=replace(built.model, **changes))


def many_tiles(built: Built, across: int = 20, slug: str = "large") -> Built:
    """The same on a canvas so wide that level 0 needs several pieces of tile map; its tiles repeat those of `built`."""
    scene = built.model.scenes[0]
    keys = sorted(set(scene.tiles.values()))
    tiles = {(0, x, y): keys[(x + 3 * y) % len(keys)] for x in range(across) for y in range(2)}
    bounds = Rect(0, 0, across * SIDE, 2 * SIDE)
    wide = replace(scene, tiles=tiles, levels=1, magnitudes=scene.magnitudes[:1], canvas=replace(scene.canvas, bounds=bounds))
    return renamed(built, slug=slug, title=slug, identity=slug, scenes=(wide,))


def many_tensors(count: int, slug: str = "many") -> Built:
    """`count` small tensors in layers of ten, without tiles; RMS falls from tensor to tensor, every 1,000th has a NaN."""
    grid = Grid(8, 16, 16, 128)
    template = stats(np.arange(128.0).reshape(8, 16))
    rows, placements = [], []
    for i in range(count):
        layer, slot = divmod(i, 10)
        name = f"model.layers.{layer}.block.{slot}.weight"
        measured = replace(template, rms=float(count - i), nan=int(i % 1000 == 0))
        rows.append(TensorRow(name, "F16", (8, 16), "many.safetensors", 256 * i, 256, f"{i:064x}", (measured,)))
        role = Role("model.layers", layer, f"block.{slot}.weight")
        place = Piece(64 * (i % 250), 64 * (i // 250), 0, 0, 8, 16)
        placements.append(Placement(name, i, None, grid, role, (place,)))
    bounds = Rect(0, 0, 64 * 250, 64 * -(-count // 250))
    canvas = Canvas(bounds, tuple(placements), ())
    scene = Scene("values", "Weights", canvas, "1" * 64, 6, {}, ((0.01, 1.0),) * 6, (2**-10, 2.0))
    model = Model(
        slug=slug,
        title=slug,
        source="many.safetensors",
        format="safetensors",
        architecture="",
        parameters=128 * count,
        nbytes=256 * count,
        dtypes={"F16": 128 * count},
        facts={},
        metadata={},
        tensors=tuple(rows),
        scenes=(scene,),
        identity=slug,
    )
    empty = np.zeros((SIDE, SIDE), np.uint8)
    return Built(model, TileFiles(suffix="png", paths={}), encode_coloured(empty, table("signed", 2**-10, 2.0)), [empty])
