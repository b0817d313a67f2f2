from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwv.layout.grid import Grid, footprint, grid_of, panels_of, pieces


@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        ((), Grid(1, 1, 1, 1, thick=(8, 8))),
        ((768,), Grid(1, 768, 768, 768, thick=(8, 1))),
        ((32768,), Grid(1, 32768, 32768, 32768, thick=(8, 1))),
        ((32769,), Grid(9, 4096, 4096, 32769)),
        ((576, 1536), Grid(576, 1536, 1536, 576 * 1536)),
        ((1, 512), Grid(1, 512, 512, 512, thick=(8, 1))),
        ((512, 1), Grid(512, 1, 1, 512, thick=(1, 8))),
        ((100_000, 3), Grid(74, 4096, 4096, 300_000)),
        ((100_000, 8), Grid(100_000, 8, 8, 800_000)),
        ((64, 3, 7, 7), Grid(448, 21, 147, 9408, patch=(7, 7))),
        ((1, 64, 3, 3), Grid(3, 192, 576, 576, patch=(3, 3))),
        ((96, 1, 7, 7), Grid(672, 7, 49, 4704, patch=(7, 7))),
        ((1, 1, 1024, 1024), Grid(1024, 1024, 1024, 1 << 20)),
        ((1, 197, 768), Grid(197, 768, 768, 197 * 768)),
        ((1, 1, 768), Grid(1, 768, 768, 768, thick=(8, 1))),
        ((384, 80, 3), Grid(384, 240, 240, 384 * 240)),
        ((1280, 3, 2, 14, 14), Grid(1280, 1176, 1176, 1280 * 1176)),
    ],
)
def test_grid_of_a_shape(shape: tuple[int, ...], grid: Grid) -> None:
    assert grid_of(shape) == grid


def test_an_expert_with_two_more_axes_is_no_convolution() -> None:
    assert grid_of((5760, 90, 16), panel=True) == Grid(5760, 1440, 1440, 5760 * 1440)
    assert grid_of((128, 64, 3, 3), panel=True) == Grid(128, 576, 576, 128 * 576)


@pytest.mark.parametrize(
    ("name", "shape", "panels"),
    [
        ("model.layers.0.mlp.experts.gate_up_proj", (128, 1536, 2048), 128),
        ("blk.0.ffn_down_exps.weight", (8, 2048, 5632), 8),
        ("model.layers.0.mlp.experts.gate_up_proj_blocks", (32, 5760, 90, 16), 32),
        ("model.layers.0.mlp.experts.gate_up_proj_bias", (32, 5760), None),
        ("model.encoder.conv1.weight", (384, 80, 3), None),
        ("experts.w", (1_000_000, 1, 1), None),
        ("experts.w", (0, 4, 4), None),
    ],
)
def test_fused_experts(name: str, shape: tuple[int, ...], panels: int | None) -> None:
    assert panels_of(name, shape) == panels


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 70), min_size=0, max_size=4).map(tuple)
    | st.tuples(st.integers(1, 90_000))
    | st.tuples(st.integers(1, 90_000), st.integers(1, 9))
    | st.tuples(st.integers(1, 9), st.integers(1, 200_000)),
    st.none() | st.integers(1, 30),
)
def test_pieces_cover_every_element_once_inside_the_footprint(shape: tuple[int, ...], bands: int | None) -> None:
    grid = grid_of(shape)
    panel = None if bands is None else bands * grid.band_rows * grid.thick[0]
    found = list(pieces(grid, 1000, 2000, panel))
    assert grid.elements == prod(shape)
    assert sum(piece.rows * piece.cols for piece in found) == grid.elements
    cells: set[tuple[int, int, int, int]] = {(p.row, p.col, p.rows, p.cols) for p in found}
    assert len(cells) == len(found)
    width, height = footprint(grid, panel)
    spans = []
    for piece in found:
        assert piece.row >= 0 and piece.row + piece.rows <= grid.rows
        assert piece.col >= 0 and piece.col + piece.cols <= grid.cols
        right, lower = piece.x + piece.cols * grid.thick[1], piece.y + piece.rows * grid.thick[0]
        assert piece.x >= 1000 and right <= 1000 + width
        assert piece.y >= 2000 and lower <= 2000 + height
        spans.append((piece.x, right, piece.y, lower, piece.row, piece.row + piece.rows, piece.col, piece.col + piece.cols))
    for i, a in enumerate(spans):
        for b in spans[:i]:
            assert a[0] >= b[1] or b[0] >= a[1] or a[2] >= b[3] or b[2] >= a[3], "pieces overlap on the canvas"
            assert a[4] >= b[5] or b[4] >= a[5] or a[6] >= b[7] or b[6] >= a[7], "pieces overlap in the grid"


def test_panels_stand_side_by_side_with_a_gap_of_8() -> None:
    found = list(pieces(grid_of((14336, 4096)), 0, 0, 4096))
    assert [(p.x, p.y, p.row, p.rows) for p in found] == [
        (0, 0, 0, 4096),
        (4104, 0, 4096, 4096),
        (8208, 0, 8192, 4096),
        (12312, 0, 12288, 2048),
    ]


def test_a_short_last_row_is_a_piece_of_its_own() -> None:
    found = list(pieces(grid_of((40_000,)), 64, 128))
    assert [(p.x, p.y, p.row, p.rows, p.cols) for p in found] == [(64, 128, 0, 9, 4096), (64, 137, 9, 1, 3136)]


def test_a_very_wide_grid_is_cut() -> None:
    grid = grid_of((16, 150_000))
    found = list(pieces(grid, 0, 0))
    assert [(p.x, p.y, p.col, p.cols) for p in found] == [(0, 0, 0, 65_536), (0, 64, 65_536, 65_536), (0, 128, 131_072, 18_928)]
    assert footprint(grid) == (65_536, 144)


def test_rows_stay_short_whatever_the_shape() -> None:
    assert grid_of((72, 1536, 4096)) == Grid(72 * 1536, 4096, 4096, 72 * 1536 * 4096)
    assert grid_of((5, 32, 2048)) == Grid(5 * 32, 2048, 2048, 5 * 65_536)
    assert grid_of((72, 16, 4096)) == Grid(72, 65_536, 65_536, 72 * 65_536)
    assert grid_of((64, 10_000_000)) == Grid(156_250, 4096, 4096, 640_000_000)
    assert panels_of("block_sparse_moe.input_linear.weight", (72, 1536, 4096)) == 72
