"""A scene of classes in, its data files out; and the data of a model's first scene in, what such a scene is drawn from out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from mwv.layout.canvas import Canvas, Placement, Rect, Role
from mwv.layout.grid import Grid, Piece
from mwv.pyramid.classes import UNKNOWN, Lying, Runs
from mwv.pyramid.plan import TileId
from mwv.site.data import DATA_VERSION, DataFile, script, tile_map
from mwv.site.model import TileFiles
from mwv.site.storing import UNKNOWN_COLOUR, Classified
from mwv.site.text import canonical
from mwv.xet.stored import StoredFile

_PER_BYTE: Final = 16
"""More elements than any type packs into a byte."""
CHUNKS: Final = 8192
"""Chunks in a script of their lengths: half a gigabyte of a file."""


@dataclass(frozen=True, eq=False)
class ClassTiles:
    """The tiles of a scene of classes; fields as in `Scene`."""

    levels: int
    tiles: Mapping[TileId, str]
    archives: Mapping[tuple[int, int] | None, str] = field(default_factory=dict)


def canvas_of(record: Mapping[str, Any], size: int) -> Canvas:
    """The canvas of a scene, but for its regions and roles, from its data script; `size` bytes are in the model's files.

    Raises ValueError for one that shows more than files of that size can hold: drawing it could take for ever.
    """
    placed = record["placements"]
    shown = sum(
        numbers[i + 4] * numbers[i + 5]
        for tensor, numbers in zip(placed["tensor"], placed["pieces"], strict=True)
        for i in range(0, len(numbers), 6)
        if tensor >= 0
    )
    if shown > _PER_BYTE * size:
        raise ValueError("more elements than there are bytes")
    return Canvas(Rect(*record["bounds"]), tuple(_placement(record, i) for i in range(len(record["placements"]["tensor"]))), ())


def _placement(record: Mapping[str, Any], index: int) -> Placement:
    placed = record["placements"]
    rows, cols, row_elements, elements, high, wide, down, across = placed["grids"][placed["grid"][index]]
    numbers = placed["pieces"][index]
    pieces = tuple(Piece(*numbers[i : i + 6]) for i in range(0, len(numbers), 6))
    tensor, panel = placed["tensor"][index], placed["panel"][index]
    grid = Grid(rows, cols, row_elements, elements, (high, wide), (down, across))
    name = placed["names"].get(str(index)) or record["tensors"]["name"][tensor]
    role = Role("", None, "")
    return Placement(name, None if tensor < 0 else tensor, None if panel < 0 else panel, grid, role, pieces)


def lying_in(record: Mapping[str, Any], canvas: Canvas, runs: Mapping[str, Runs]) -> tuple[Lying | None, ...]:
    """Where the elements of each placement lie, by the table of tensors; `runs` are the classes of the bytes of each file."""
    tensors = record["tensors"]
    nothing = Runs.of(np.zeros(0, np.int64), np.zeros(0, np.uint8))

    def lying(placement: Placement) -> Lying | None:
        if placement.tensor is None:
            return None
        at, grid = placement.tensor, placement.grid
        shape = tuple(tensors["shapes"][tensors["shape"][at]])
        strides = tensors["strides"].get(str(at))
        return Lying(
            grid,
            runs.get(tensors["shards"][tensors["shard"][at]], nothing),
            tensors["offset"][at],
            tensors["bytes"][at],
            int(np.prod(shape, dtype=object)),
            (placement.panel or 0) * grid.elements,
            shape,
            None if strides is None else tuple(strides),
        )

    return tuple(map(lying, canvas.placements))


def class_files(
    scene: Classified, tiles: ClassTiles, files: TileFiles, index: int, stored: Sequence[StoredFile]
) -> list[DataFile]:
    """All data files of a scene of classes; the last is `scene-<index>-<hash>.js`, which names the others."""
    found, pieces = tile_map(tiles, index, files)
    facts = {name: value for name, value in scene.facts.items() if name != "files"}
    told = []
    for number, (entry, file) in enumerate(zip(scene.facts["files"], stored, strict=True)):
        scripts = _lengths(file, number, index) if "terms" in entry else []
        pieces += scripts
        told.append({**entry, "chunks": [script.name for script in scripts]} if "terms" in entry else entry)
    body = {
        "version": DATA_VERSION,
        "index": index,
        "kind": "classes",
        "title": scene.title,
        "base": 0,
        "tiles": found,
        "classes": [[c.code, c.colour, c.label, c.nbytes] for c in scene.classes],
        "unknown": [UNKNOWN, UNKNOWN_COLOUR],
        "files": told,
        **facts,
    }
    return [*pieces, script(f"scene-{index}", "scene", canonical(body))]


def _lengths(file: StoredFile, number: int, index: int) -> list[DataFile]:
    """Scripts with the lengths of the chunks of a file, as far as they are known."""
    scripts: list[DataFile] = []
    for first, last in ((i, min(i + CHUNKS, end)) for begin, end in file.known_runs() for i in range(begin, end, CHUNKS)):
        body = {
            "scene": index,
            "file": number,
            "first": first,
            "offset": int(file.lengths[:first].sum(dtype=np.int64)),
            "lengths": file.lengths[first:last].tolist(),
        }
        scripts.append(script(f"chunks-{index}-{number}-{len(scripts)}", "chunks", canonical(body)))
    return scripts
