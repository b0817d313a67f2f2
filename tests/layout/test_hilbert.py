"""In: lengths. Out: arbvis's canvas sizes and its test vectors, and a curve that visits each pixel once."""

from itertools import pairwise

import pytest

from mwv.layout.canvas import Rect
from mwv.layout.hilbert import Curve, anchor, box, outline


@pytest.mark.parametrize(
    ("length", "size"),
    [
        (0, (512, 512)),
        (1, (512, 512)),
        (262_144, (512, 512)),
        (262_145, (1024, 512)),
        (524_289, (1024, 1024)),
        (1 << 20, (1024, 1024)),
        ((1 << 20) + 1, (2048, 1024)),
        (10_000_000_000, (131_072, 131_072)),
    ],
)
def test_the_canvas_is_one_square_or_two(length, size):
    curve = Curve(length)
    assert (curve.width, curve.height) == size


def test_the_first_points_are_arbvis_s():
    odd = [(0, 0), (0, 1), (1, 1), (1, 0), (2, 0), (3, 0), (3, 1), (2, 1)]
    assert [Curve(1).point(i) for i in range(8)] == odd  # 512 = 2**9
    even = [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 3), (1, 3), (1, 2)]
    assert [Curve(1 << 20).point(i) for i in range(8)] == even  # 1024 = 2**10


@pytest.mark.parametrize("length", [100, 300_000])
def test_the_curve_goes_from_neighbour_to_neighbour_and_back_to_offsets(length):
    curve = Curve(length)
    area = curve.height**2
    points = [curve.point(i) for i in range(curve.width * curve.height)]
    assert len(set(points)) == len(points)
    steps = [abs(a - c) + abs(b - d) for (a, b), (c, d) in pairwise(points)]
    assert {step for i, step in enumerate(steps, 1) if i != area} == {1}
    assert points[area:] == [(x + curve.height, y) for x, y in points[: len(points) - area]]
    assert all(curve.offset(*points[i]) == i for i in range(0, len(points), 97))


def test_the_quadrants_come_in_one_order_whatever_the_size():
    for length in (1, 1 << 20):
        curve = Curve(length)
        half, quarter = curve.height // 2, curve.height**2 // 4
        corners = [(x // half, y // half) for x, y in (curve.point(i * quarter) for i in range(4))]
        assert corners == [(0, 0), (0, 1), (1, 1), (1, 0)]


def test_a_part_is_the_whole_curve_turned():
    curve, whole = Curve(3_000_000), Curve(1)
    seen = set()
    for x in range(0, curve.width, 512):
        for y in range(0, curve.height, 512):
            first, turn = curve.part(x, y, 512)
            assert first % 262_144 == 0
            seen.add(turn)
            for a, b in ((0, 0), (1, 0), (5, 300), (511, 17), (511, 511)):
                c, d = (511 - a, 511 - b) if turn.mirrored else (a, b)
                c, d = (d, c) if turn.swapped else (c, d)
                assert curve.offset(x + a, y + b) == first + whole.offset(c, d)
    assert len(seen) == 4


@pytest.mark.parametrize(("begin", "end"), [(0, 1), (0, 262_144), (3, 20), (1000, 70_001), (200_000, 300_000)])
def test_squares_and_outline_of_a_range_are_those_of_its_pixels(begin, end):
    curve = Curve(300_000)
    squares = list(curve.squares(begin, end))
    pixels = {curve.point(i) for i in range(begin, end)}
    covered = [(s.x + a, s.y + b) for s in squares for a in range(s.side) for b in range(s.side)]
    assert len(covered) == len(pixels)
    assert set(covered) == pixels
    assert [s.first for s in squares] == sorted(s.first for s in squares)
    assert all(curve.offset(s.x, s.y) // s.side**2 == s.first // s.side**2 for s in squares)
    across, down = outline(squares)
    edges = {(x + i, y) for x, y, n in across for i in range(n)}
    assert edges == {(x, y) for x in range(1025) for y in range(513) if ((x, y) in pixels) != ((x, y - 1) in pixels)}
    edges = {(x, y + i) for x, y, n in down for i in range(n)}
    assert edges == {(x, y) for x in range(1025) for y in range(513) if ((x, y) in pixels) != ((x - 1, y) in pixels)}
    xs, ys = [x for x, _ in pixels], [y for _, y in pixels]
    assert box(squares) == Rect(min(xs), min(ys), max(xs) + 1 - min(xs), max(ys) + 1 - min(ys))
    assert anchor(squares) == ((2 * sum(xs) + len(xs)) // (2 * len(xs)), (2 * sum(ys) + len(ys)) // (2 * len(ys)))
