"""Scenes for tests: checkpoints written by safetensors, drawn by mwv, and the same canvases painted by numpy in float64."""

import contextlib
import io
import zlib

import numpy as np
import oracle
from PIL import Image

from mwv import build
from mwv.checkpoint.open import open_checkpoint
from mwv.pyramid.render import Renderer
from mwv.pyramid.survey import Survey
from mwv.settings import ModelSettings


def unpacked(bodies):
    """Bodies with what is compressed in them as it was: ISA-L gives another stream for equal bytes once in some thousand."""

    def plain(body):
        for at in range(0 if body.startswith(b"\x89PNG") else min(len(body), 512)):
            if body[at] == 0x78:
                with contextlib.suppress(zlib.error):
                    return body[:at], zlib.decompress(body[at:])
        return body

    return {key: plain(body) for key, body in bodies.items()}


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

    def put_parts(self, key, parts):
        self.put(key, b"".join(parts))


def rendered(drawing, blobs, jobs=1, budget=64 << 20):
    """(pyramid, renderer, survey) of a drawing."""
    survey = Survey(drawing.subjects, blobs, budget)
    renderer = Renderer(drawing.plan, survey, blobs)
    return renderer.run(jobs), renderer, survey


def draw(path, **options):
    return build.draw(open_checkpoint(path), ModelSettings(path, **options))


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
    """The elements of a tensor as its grid, and which of them are real; the rest are zeros."""
    flat = np.asarray(array).reshape(-1)
    if panel is not None:
        flat = flat[panel * grid.elements : (panel + 1) * grid.elements]
    (height, width), shape = grid.patch, (grid.rows, grid.cols)
    if (height, width) != (1, 1):
        blocks = flat.reshape(grid.rows // height, grid.cols // width, height, width)
        return blocks.transpose(0, 2, 1, 3).reshape(shape), np.broadcast_to(True, shape)
    if flat.size == grid.rows * grid.cols:
        return flat.reshape(shape), np.broadcast_to(True, shape)
    values = np.zeros(grid.rows * grid.cols, flat.dtype)
    values[: flat.size] = flat
    return values.reshape(shape), (np.arange(values.size) < flat.size).reshape(shape)


def corner(drawing, levels):
    """(left, top) of what is drawn, and its (height, width), in multiples of 2^(levels - 1)."""
    side = 1 << (levels - 1)
    bounds = drawing.canvas.bounds
    left, top = bounds.x // side * side, bounds.y // side * side
    return (left, top), (-(-(drawing.canvas.height - top) // side) * side, -(-(drawing.canvas.width - left) // side) * side)


def painted(drawing, arrays, units, at, shape):
    """(values, real, missing) of a rectangle of the canvas in float64, value × unit; `arrays` is asked by tensor name."""
    left, top = at
    values, real, missing = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool)
    for placement in drawing.canvas.placements:
        high, wide = placement.grid.thick
        rects = [(piece, placement.rect(piece)) for piece in placement.pieces]
        inside = [(p, r) for p, r in rects if r.y < top + shape[0] and r.y + r.height > top]
        if not inside:
            continue
        if placement.tensor is not None:
            name = drawing.shown[placement.tensor].name
            grid, mask = grid_values(arrays[name], placement.grid, placement.panel)
        for piece, rect in inside:
            first, last = max(rect.y, top), min(rect.y + rect.height, top + shape[0])
            target = (slice(first - top, last - top), slice(rect.x - left, rect.x - left + rect.width))
            assert not (real[target] | missing[target]).any(), "placements overlap"
            if placement.tensor is None:
                missing[target] = True
                continue
            rows = slice(piece.row + (first - rect.y) // high, piece.row + -(-(last - rect.y) // high))
            window = (rows, slice(piece.col, piece.col + piece.cols))
            values[target] = (grid[window].astype(np.float64) * units.get(name, 1.0)).repeat(high, 0).repeat(wide, 1)
            real[target] = mask[window].repeat(high, 0).repeat(wide, 1)
    return values, real, missing


def inner(codes, at, shape, level):
    """The part of a level that covers a rectangle, padded where there are no tiles."""
    x, y = (n >> level for n in at)
    part = codes[y : y + (shape[0] >> level), x : x + (shape[1] >> level)]
    full = np.zeros((shape[0] >> level, shape[1] >> level), np.uint8)
    full[: part.shape[0], : part.shape[1]] = part
    return full


def check_levels(drawing, arrays, units, pyramid, blobs, strip=None):
    """Every pixel of every level against float64 (invariant I4), in strips of `strip` rows if given."""
    at, (height, width) = corner(drawing, pyramid.levels)
    levels = [level_codes(pyramid, blobs, level) for level in range(pyramid.levels)]
    for level, codes in enumerate(levels):
        whole = inner(codes, at, (height, width), level)
        assert np.count_nonzero(whole) == np.count_nonzero(codes), "something is drawn outside the bounds"
        np.testing.assert_array_equal(np.bincount(codes.ravel(), minlength=256)[1:], pyramid.counts[level][1:])
    differing = pixels = 0
    for y in range(0, height, strip or height):
        place, shape = (at[0], at[1] + y), (min(strip or height, height - y), width)
        values, real, missing = painted(drawing, arrays, units, place, shape)
        leaf = np.where(missing, 251, np.where(real, oracle.leaf(values), 0))
        np.testing.assert_array_equal(inner(levels[0], place, shape, 0), leaf)
        for level, (want, mean, share) in enumerate(oracle.overviews(values, real, missing, pyramid.levels - 1), 1):
            differ, unexcused = oracle.disagreement(inner(levels[level], place, shape, level), want, mean, share)
            assert unexcused == 0, f"{unexcused} pixels of level {level} differ from float64 away from any border"
            differing += differ
            pixels += int((want != 0).sum())
    assert differing <= pixels * 1e-4, f"{differing} of {pixels} overview pixels differ from float64"
    return pixels
