"""In: small models with structure. Out: the picture of the whole canvas, and the window that lets the structure be seen."""

import io
from dataclasses import replace

import numpy as np
import pytest
import scenes
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save_file

from mwv.errors import LostError
from mwv.layout.canvas import Rect
from mwv.pyramid.code import BALANCED, INF, MISSING, NAN, PADDING, POSITIVE, ZERO, magnitude
from mwv.pyramid.palette import fitted, table
from mwv.pyramid.picture import level_within, magnitude_range, overview, whole_level


def tiny(path):
    """Two layers with heads, an outlier channel, dead rows, a NaN and an Inf; in exact arithmetic, so equal on any machine."""
    place = np.arange(192 * 128).reshape(192, 128)
    noise = (place * 2654435761 % 2**32 / 2**32 + place * 40503 % 2**16 / 2**16 - 1).astype(np.float64)
    tensors = {"model.embed_tokens.weight": (0.1 * noise + 0.1 * ((place % 64 < 32) - 0.5)).astype(np.float32)}
    for layer in range(2):
        query = 0.02 * noise[:128] * np.repeat([1, 4, 0.5, 2], 32)[:, None]
        query[:, 40] *= 20
        query[64:96] *= layer
        mlp = 0.05 * noise * (1 + layer)
        mlp[10, 10] = [np.nan, np.inf][layer]
        tensors[f"model.layers.{layer}.self_attn.q_proj.weight"] = query.astype(np.float32)
        tensors[f"model.layers.{layer}.mlp.up_proj.weight"] = mlp.astype(np.float32)
        tensors[f"model.layers.{layer}.input_layernorm.weight"] = np.full(128, 1.5, np.float32)
    save_file(tensors, path)
    return path


@pytest.fixture
def drawn(tmp_path):
    """(drawing, pyramid, blobs) of the tiny model."""
    drawing, blobs = scenes.draw(tiny(tmp_path / "model.safetensors")), scenes.DictBlobs()
    pyramid, _, _ = scenes.rendered(drawing, blobs)
    return drawing, pyramid, blobs


def test_overviews_of_a_tiny_model_are_the_golden_ones(drawn, golden):
    drawing, pyramid, blobs = drawn
    for level in (1, 2, 3):
        golden(f"tiny-level-{level}", whole_level(pyramid, drawing.canvas.bounds, level, blobs.get))


def test_the_picture_of_a_card_is_a_level_with_its_own_window(drawn):
    drawing, pyramid, blobs = drawn
    data = overview(pyramid, drawing.canvas, blobs, "png")
    with Image.open(io.BytesIO(data)) as image:
        codes, colours = np.asarray(image), np.array(image.getpalette()).reshape(256, 3)
    level = next(
        k for k in range(pyramid.levels) if max(drawing.canvas.bounds.width, drawing.canvas.bounds.height) <= 2048 << k
    )
    assert (codes == whole_level(pyramid, drawing.canvas.bounds, level, blobs.get)).all()
    assert max(codes.shape) <= 2048
    assert (colours == table("signed", *fitted(*magnitude_range(np.bincount(codes.ravel(), minlength=256))))).all()


def test_the_picture_of_a_card_is_made_once_for_the_same_tiles(drawn):
    drawing, pyramid, blobs = drawn
    first = {form: overview(pyramid, drawing.canvas, blobs, form) for form in ("png", "avif")}
    for key in pyramid.tiles.values():
        del blobs.bodies[key]
    assert {form: overview(pyramid, drawing.canvas, blobs, form) for form in ("png", "avif")} == first
    changed = replace(pyramid, tiles=dict.fromkeys(pyramid.tiles, "0" * 32))
    with pytest.raises(LostError):
        overview(changed, drawing.canvas, blobs, "png")


@given(st.integers(0, 5000), st.integers(1, 5000), st.integers(1, 2500))
def test_a_picture_keeps_to_its_limit_wherever_the_canvas_begins(at, size, side):
    """A pixel of an overview may lie half outside, so that a picture has one more than its size over the level's step."""
    bounds = Rect(at, 0, size, 1)
    level = level_within(bounds, 14, lambda width, height: max(width, height) <= side)
    widths = [len({x >> k for x in range(at, at + size)}) for k in range(14)]
    assert level == next((k for k, width in enumerate(widths) if width <= side), None)


def test_the_range_is_that_of_the_middle_nine_tenths():
    magnitudes = 2.0 ** np.linspace(-8, -3, 10_000)
    codes = np.array([np.searchsorted([magnitude(c) for c in range(BALANCED, POSITIVE)], m) + BALANCED for m in magnitudes])
    counts = np.bincount(codes, minlength=256)
    counts[[PADDING, ZERO, MISSING, INF, NAN]] = 10**9
    low, high = np.log2(magnitude_range(counts))
    assert low == pytest.approx(-7.75, abs=0.1)
    assert high == pytest.approx(-3.25, abs=0.1)


def test_the_range_of_nothing_is_the_default():
    counts = np.zeros(256, np.int64)
    counts[[PADDING, ZERO, NAN]] = 100
    assert magnitude_range(counts) == (2**-10, 2.0)


def test_tensors_brighter_than_most_are_not_all_white():
    """Heads two and three times as strong as most tensors keep tones of their own, and so do faint ones."""
    counts = np.zeros(256, np.int64)
    usual, strong, stronger, faint = (
        int(np.argmin([abs(magnitude(c) - m) if c in range(BALANCED, POSITIVE) else 9 for c in range(256)]))
        for m in (0.04, 0.08, 0.12, 0.02)
    )
    counts[[usual, strong, stronger, faint]] = [800, 80, 60, 60]
    colours = table("signed", *fitted(*magnitude_range(counts))).astype(int)
    tones = [colours[c].sum() for c in (faint, usual, strong, stronger)]
    assert tones == sorted(tones)
    assert min(np.diff(tones)) > 20
    assert fitted(0.25, 0.5) == (pytest.approx(0.25 / 2 ** (1 / 3)), pytest.approx(0.5 * 2 ** (2 / 3)))
