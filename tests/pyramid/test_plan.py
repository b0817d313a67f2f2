import dataclasses
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwv.decode.tensor import BAND_ROWS
from mwv.layout.canvas import Canvas, Placement, Rect, Role
from mwv.layout.grid import BAND, Grid, grid_of
from mwv.layout.transformer import arrange
from mwv.pyramid.keys import key_of
from mwv.pyramid.plan import (
    Plan,
    Window,
    child_ids,
    clip,
    leaf_key,
    leaf_windows,
    level_count,
    make_plan,
    overview_key,
    sums_key,
    window_entry,
)

ROLE = Role("", None, "w")


def plan_of(grid, missing=False):
    return Plan((Placement("w", None if missing else 0, None, grid, ROLE, ()),), 1, {})


def key_for(grid, *windows, kind="values", missing=False, digests=b"bands"):
    return leaf_key(plan_of(grid, missing), kind, windows, lambda window: window_entry(window, grid, digests))


def test_a_key_changes_with_everything_that_changes_the_pixels():
    grid = Grid(1000, 500, 500, 500_000)
    window = Window(0, 8, 16, 70, 3, 100, 200)
    keys = {key_for(grid, window), key_for(grid, window, kind="classes")}
    for name in ("x", "y", "row", "col", "rows", "cols"):
        keys.add(key_for(grid, dataclasses.replace(window, **{name: getattr(window, name) + 1})))
    # Another shape of the same bytes: patches, thickness.
    keys.add(key_for(dataclasses.replace(grid, patch=(2, 1)), window))
    keys.add(key_for(dataclasses.replace(grid, patch=(1, 2)), window))
    keys.add(key_for(dataclasses.replace(grid, thick=(8, 1)), window))
    keys.add(key_for(grid, window, digests=b"other"))
    keys.add(key_for(grid, window, missing=True))
    keys.add(key_for(grid, window, window))
    assert len(keys) == 14


def test_a_key_does_not_depend_on_where_the_bands_lie():
    grid = Grid(1000, 500, 500, 500_000)
    here, there = Window(0, 0, 0, 64, 0, 64, 64), Window(0, 0, 0, 640, 0, 64, 64)
    same = [key_for(grid, w) for w in (here, there)]
    assert same[0] == same[1]


def test_overviews_and_sums_have_keys_of_their_own():
    leaves = [key_of("a"), None, key_of("b"), None]
    keys = {
        overview_key("values", leaves),
        overview_key("values", leaves[::-1]),
        overview_key("values", [*leaves[:3], key_of("c")]),
        sums_key(overview_key("values", leaves)),
    }
    assert len(keys) == 4


@given(
    st.integers(0, 3000),
    st.integers(0, 3000),
    st.integers(1, 1500),
    st.integers(1, 1500),
    st.sampled_from([(1, 1), (8, 1), (1, 8), (8, 8)]),
)
@settings(deadline=None)
def test_clipping_to_tiles_covers_every_pixel_once(x, y, rows, cols, thick):
    rows, cols = (-(-n // t) for n, t in zip((rows, cols), thick, strict=True))
    grid = Grid(rows, cols, cols, rows * cols, thick=thick)
    window = Window(0, x * 8, y * 8, 0, 0, rows, cols)
    pixels = elements = 0
    for ty in range(window.y // 512, (window.y + rows * thick[0]) // 512 + 1):
        for tx in range(window.x // 512, (window.x + cols * thick[1]) // 512 + 1):
            part = clip(window, grid, tx * 512, ty * 512, 512, 512)
            if part is None:
                continue
            assert 0 <= part.x < 512
            assert 0 <= part.y < 512
            assert part.x + part.cols * thick[1] <= 512
            assert part.y + part.rows * thick[0] <= 512
            # Where it stands tells which elements it shows.
            assert (tx * 512 + part.x - window.x, ty * 512 + part.y - window.y) == (part.col * thick[1], part.row * thick[0])
            pixels += part.rows * part.cols * thick[0] * thick[1]
            elements += part.rows * part.cols
    assert elements == rows * cols
    assert pixels == rows * cols * thick[0] * thick[1]


def test_blocks_and_tiles_of_a_model_hold_each_element_once():
    tensors = [
        (f"model.layers.{i}.{name}", shape)
        for i in range(3)
        for name, shape in (("q.weight", (5000, 700)), ("n.weight", (700,)))
    ]
    canvas = arrange([*tensors, ("embed.weight", (9000, 100)), ("conv.weight", (9, 5, 3, 3))])
    plan = make_plan(canvas)
    seen = Counter()
    for windows in plan.blocks.values():
        for _, _, parts in leaf_windows(plan, windows):
            for part in parts:
                seen[plan.placements[part.placement].name] += part.rows * part.cols
    assert seen == {p.name: p.grid.elements for p in canvas.placements}


@pytest.mark.parametrize(("side", "levels"), [(1, 1), (512, 1), (513, 2), (1024, 2), (1025, 3), (4096, 4), (4097, 5)])
def test_the_last_level_is_one_tile(side, levels):
    assert level_count(Canvas(Rect(0, 0, side, 1), (), ())) == levels
    assert level_count(Canvas(Rect(0, 0, 1, side), (), ())) == levels


def test_children_lie_row_by_row():
    assert child_ids(3, 5) == ((6, 10), (7, 10), (6, 11), (7, 11))


def test_a_window_names_the_bands_it_needs():
    grid = grid_of((300, 3, 5, 5))
    assert grid.patch == (5, 5)
    assert Window(0, 0, 0, 0, 0, 1, 1).storage_bands(grid) == (0, 1)
    assert Window(0, 0, 0, 319, 0, 1, 1).storage_bands(grid) == (0, 1)
    assert Window(0, 0, 0, 319, 0, 2, 1).storage_bands(grid) == (0, 2)
    assert Window(0, 0, 0, 320, 0, 400, 1).storage_bands(grid) == (1, 3)


def test_layout_and_decoding_mean_the_same_bands():
    assert BAND == BAND_ROWS
