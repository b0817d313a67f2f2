"""A scene of bytes in, its data files out: which file lies where on the curve, how it is outlined, what its bytes are like."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

from mwv.layout.canvas import Canvas, Grid, Placement, Role
from mwv.layout.hilbert import Curve, Square, anchor, box, outline
from mwv.pyramid.byte_kernels import CLASSES, LOCAL, classes
from mwv.site.data import DATA_VERSION, DataFile, placement_columns, script, tensor_columns, tile_map
from mwv.site.model import Beside, ByteFile, ByteScene, TensorRow, TileFiles
from mwv.site.text import canonical

_RUN: Final = 64
"""Files in a script of details."""


def byte_files(scene: ByteScene, index: int, files: TileFiles) -> Iterator[DataFile]:
    """All data files of the scene; the last is `scene-<index>-<hash>.js`, which names the others."""
    tensors = byte_rows(scene.files)
    tiles, pieces = tile_map(scene, index, files)
    details = [_details(scene, index, first) for first in range(0, len(scene.files), _RUN)]
    yield from (*pieces, *details)
    ends = list(accumulate(file.length for file in scene.files))
    curve = Curve(ends[-1])
    rest = [[*square[:3]] for square in curve.squares(ends[-1], curve.width * curve.height)]
    if curve.width > curve.height:
        rest.append([0, curve.height, curve.width])  # a tile far out is square, the canvas is not
    bounds = scene.canvas.bounds
    facts = {
        "version": DATA_VERSION,
        "index": index,
        "kind": scene.kind,
        "title": scene.title,
        "layout": scene.layout_digest,
        "bounds": [bounds.x, bounds.y, bounds.width, bounds.height],
        "levels": scene.levels,
        "tiles": tiles,
        "regions": [],
        "tensors": tensor_columns(tensors),
        "placements": placement_columns(_placed(scene.files), tensors),
        "details": {"first": list(range(0, len(scene.files), _RUN)), "files": [file.name for file in details]},
        "curve": [curve.width, curve.height],
        "ends": ends,
        "rest": rest,
        "areas": [_area(list(curve.squares(end - file.length, end))) for file, end in zip(scene.files, ends, strict=True)],
        "classes": [class_counts(file) for file in scene.files],
        "entropy": [round(entropy(file.counts), 4) for file in scene.files],
        **({"local": LOCAL} if scene.kind == "entropy" else {}),
        **({} if scene.beside is None else {"beside": _beside(scene.beside, index)}),
    }
    yield script(f"scene-{index}", "scene", canonical(facts))


def byte_rows(files: Sequence[ByteFile]) -> tuple[TensorRow, ...]:
    """Files as rows of a table of tensors."""
    return tuple(TensorRow(file.name, "bytes", (file.size,), file.name, 0, file.size, file.digest, ()) for file in files)


def _beside(beside: Beside, index: int) -> dict[str, Any]:
    """How the files lie beside others; the scene of changes has the stretches, the sides name it."""
    changes = index - ("both", "a", "b").index(beside.side)
    told = {"side": beside.side, "scene": changes, "titles": beside.titles, "sizes": beside.sizes, "changes": beside.changes}
    return told | ({"stretches": beside.stretches} if beside.side == "both" else {})


def class_counts(file: ByteFile) -> list[int]:
    """Bytes of each class, in the order of `byte_kernels.RANGES`."""
    counts = [0] * CLASSES
    for kind, count in zip(classes().tolist(), file.counts, strict=True):
        counts[kind] += count
    return counts


def entropy(counts: Sequence[int]) -> float:
    """Shannon's entropy of bytes that occur so often, in bits a byte."""
    n = sum(counts)
    return math.fsum(c / n * math.log2(n / c) for c in counts if c)


def _area(squares: list[Square]) -> list[Any]:
    """Box, anchor, lines across and lines down, as (x, y, length) one after the other."""
    around = box(squares)
    across, down = ([number for line in lines for number in line] for lines in outline(squares))
    return [[around.x, around.y, around.width, around.height], list(anchor(squares)), across, down]


def _placed(files: Sequence[ByteFile]) -> Canvas:
    """Files as placements without pieces: the curve tells where their bytes lie."""
    role = Role("", None, "")
    placements = tuple(
        Placement(file.name, i, None, Grid(1, file.length, file.length, file.length), role, ()) for i, file in enumerate(files)
    )
    return Canvas(box([Square(0, 0, 1, 0)]), placements, ())


def _details(scene: ByteScene, index: int, first: int) -> DataFile:
    run = scene.files[first : first + _RUN]
    body = {"scene": index, "first": first, "tensors": [{"digest": file.digest, "counts": file.counts} for file in run]}
    return script(f"details-{index}-{first // _RUN}", "details", canonical(body))
