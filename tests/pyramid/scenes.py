"""Scenes for tests: checkpoints written by safetensors, drawn by mwv, and the same canvases painted by numpy in float64."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from mwv import build
from mwv.pyramid.render import Renderer
from mwv.pyramid.survey import Subject, Survey
from mwv.settings import Settings


class DictBlobs:
    """Blobs in memory, that count what is put."""

    def __init__(self):
        self.bodies = {}
        self.puts = []

    def has(self, key):
        return key in self.bodies

    def get(self, key):
        return self.bodies.get(key)

    def put(self, key, body):
        self.puts.append(key)
        self.bodies[key] = body

    put_png = put


def settings(path, **options):
    return Settings((path,), Path("unused"), None, **options)


def survey_of(drawing, blobs, budget=64 << 20):
    subjects = [
        None if t is None else Subject(p.name, t, p.grid)
        for p, t in zip(drawing.canvas.placements, drawing.stored, strict=True)
    ]
    return Survey(subjects, blobs, budget)


def rendered(drawing, blobs, jobs=1, budget=64 << 20):
    """(pyramid, renderer, survey) of a drawing."""
    survey = survey_of(drawing, blobs, budget)
    renderer = Renderer(drawing.plan, survey, blobs)
    return renderer.run(jobs), renderer, survey


def draw(path, **options):
    return build.draw(path, settings(path, **options))


def level_codes(pyramid, blobs, level):
    """All codes of a level as one array."""
    at = [(x, y) for k, x, y in pyramid.tiles if k == level]
    out = np.zeros(((max(y for _, y in at) + 1) * 512, (max(x for x, _ in at) + 1) * 512), np.uint8)
    for (k, x, y), key in pyramid.tiles.items():
        if k == level:
            with Image.open(io.BytesIO(blobs.get(key))) as image:
                assert (image.mode, image.size) == ("L", (512, 512))
                out[y * 512 : y * 512 + 512, x * 512 : x * 512 + 512] = np.asarray(image)
    return out


def grid_values(array, grid, panel):
    """The elements of a tensor as its grid, NaN-free padding as None-mask: (values float64, real mask)."""
    flat = np.asarray(array, np.float64).reshape(-1)
    if panel is not None:
        flat = flat[panel * grid.elements : (panel + 1) * grid.elements]
    height, width = grid.patch
    if (height, width) != (1, 1):
        blocks = flat.reshape(grid.rows // height, grid.cols // width, height, width)
        return blocks.transpose(0, 2, 1, 3).reshape(grid.rows, grid.cols), np.ones((grid.rows, grid.cols), bool)
    values = np.zeros(grid.rows * grid.cols)
    values[: flat.size] = flat
    real = np.arange(values.size) < flat.size
    return values.reshape(grid.rows, grid.cols), real.reshape(grid.rows, grid.cols)


def painted(drawing, arrays, units, levels):
    """(values, real, missing) of what is drawn, float64 value × unit, from a corner that is a multiple of 2^(levels - 1)."""
    side = 1 << (levels - 1)
    bounds = drawing.canvas.bounds
    left, top = bounds.x // side * side, bounds.y // side * side
    shape = (-(-(drawing.canvas.height - top) // side) * side, -(-(drawing.canvas.width - left) // side) * side)
    values, real, missing = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool)
    for placement in drawing.canvas.placements:
        high, wide = placement.grid.thick
        if placement.tensor is not None:
            name = drawing.shown[placement.tensor].name
            grid, mask = grid_values(arrays[name], placement.grid, placement.panel)
            grid = grid * units.get(name, 1.0)
        for piece in placement.pieces:
            rect = placement.rect(piece)
            target = (slice(rect.y - top, rect.y - top + rect.height), slice(rect.x - left, rect.x - left + rect.width))
            assert not (real[target] | missing[target]).any(), "placements overlap"
            if placement.tensor is None:
                missing[target] = True
                continue
            window = (slice(piece.row, piece.row + piece.rows), slice(piece.col, piece.col + piece.cols))
            values[target] = grid[window].repeat(high, 0).repeat(wide, 1)
            real[target] = mask[window].repeat(high, 0).repeat(wide, 1)
    return (left, top), values, real, missing
