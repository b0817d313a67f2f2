"""In: two files beside each other. Out: every pixel of every level of their changes, as float64 makes it."""

import numpy as np
import pytest
from test_bytes import Blobs, mixed

from mwv.checkpoint.source import FileSource
from mwv.files.beside import ABSENT, Side
from mwv.files.runs import compare_bytes
from mwv.files.stretches import Stretches
from mwv.layout.hilbert import Curve
from mwv.pyramid import change_kernels as kernels
from mwv.pyramid.byte_changes import CHANGES, BothContent
from mwv.pyramid.byte_content import ByteContent
from mwv.pyramid.byte_palette import change_tables
from mwv.pyramid.bytes import BYTES
from mwv.pyramid.picture import whole_level
from mwv.pyramid.png import decode_gray
from mwv.pyramid.render import Renderer


def level_of(mean_square):
    """Three levels an octave of the root, 18 at a root of 1; FORMAT.md."""
    return int(np.clip(np.floor(3 * np.log2(mean_square) / 2 + 1e-12), -18, 23)) + 18


def wanted(found):
    """The code of a pixel over rows (a or -1, b or -1)."""
    found = found[(found >= 0).any(axis=1)]
    if not len(found):
        return 0
    both = found[(found >= 0).all(axis=1)].astype(np.float64)
    only_a, only_b = found[found[:, 1] < 0, 0], found[found[:, 0] < 0, 1]
    delta = both[:, 1] - both[:, 0] if len(both) else np.zeros(0)
    changed = int((delta != 0).sum())
    if not changed and not len(only_a) and not len(only_b):
        return 1
    if changed >= max(len(only_a), len(only_b)):
        square = (delta**2).sum()
        signed = delta.sum() ** 2 > 0.3 * changed * square
        return (86 if not signed else 2 if delta.sum() > 0 else 44) + level_of(square / len(delta))
    alone, first = (only_b, 192) if len(only_b) >= len(only_a) else (only_a, 128)
    return first + int(alone.mean() * np.sqrt(len(alone) / len(found)) + 1e-9) // 4


def drawn(folder, a, b, blobs, jobs=1):
    for name, data in (("a", a), ("b", b)):
        (folder / name).write_bytes(data.tobytes())
    sources = [FileSource(folder / name) for name in "ab"]
    laid = (Stretches.of(compare_bytes(*sources).runs),)
    sides = [Side((source,), ("x",), which=which, laid=laid) for which, source in enumerate(sources)]
    contents = [ByteContent(side) for side in sides]
    shown = [(BothContent(*contents), CHANGES), (contents[0], BYTES), (contents[1], BYTES)]
    renderers = [Renderer(contents[0].plan, content, blobs, kind=kind) for content, kind in shown]
    return sides, contents, [renderer.run(jobs) for renderer in renderers], renderers


def rows_of(sides):
    columns = []
    for side in sides:
        column = []
        for part in side.parts(0, side.length):
            n = part.end - part.begin
            column.append(
                np.frombuffer(side.sources[0].read(part.begin, n), np.uint8).astype(int) if part.there else np.full(n, -1)
            )
        columns.append(np.concatenate(column))
    return np.stack(columns, axis=1)


@pytest.fixture(scope="module")
def two():
    a = mixed(400_000, 1)
    b = a.copy()
    rng = np.random.default_rng(3)
    at = rng.choice(60_000, 900, replace=False) + 100_000
    b[at] += rng.integers(1, 4, 900, np.uint8)  # small changes, some of which wrap around
    b[200_000:215_000] = np.maximum(b[200_000:215_000], 250)
    return a, np.concatenate([b[:70_000], mixed(9_000, 5), b[70_000:300_000], b[320_000:]])


def test_every_pixel_of_every_level_tells_what_became_of_the_bytes_under_it(tmp_path, two):
    blobs = Blobs()
    sides, contents, pyramids, _ = drawn(tmp_path, *two, blobs, 2)
    _, _, alone, _ = drawn(tmp_path, *two, Blobs(), 1)
    assert [dict(one.tiles) for one in alone] == [dict(one.tiles) for one in pyramids]
    rows = rows_of(sides)
    assert {int((rows[:, side] < 0).any()) for side in (0, 1)} == {1}
    curve, bounds = Curve(len(rows)), contents[0].canvas.bounds
    canvas = np.full((curve.height, curve.width, 2), -1)
    for i, row in enumerate(rows):
        x, y = curve.point(i)
        canvas[y, x] = row
    canvas = canvas[: bounds.height, : bounds.width]
    for level in range(pyramids[0].levels):
        codes, side = whole_level(pyramids[0], bounds, level, blobs.get), 1 << level
        for y, x in np.ndindex(codes.shape):
            found = canvas[y * side : (y + 1) * side, x * side : (x + 1) * side].reshape(-1, 2)
            assert codes[y, x] == wanted(found), (level, x, y)
    for which in (0, 1):
        codes = whole_level(pyramids[1 + which], bounds, 0, blobs.get)
        assert np.array_equal(codes, np.maximum(canvas[:, :, which], 0))


def test_every_mixture_of_four_bytes_has_its_code():
    """Squares of 2 × 2 in all ways of being there, with bytes at both ends and in the middle: ties and extremes, too."""
    rng = np.random.default_rng(6)
    rows = rng.choice([-1, 0, 1, 7, 128, 254, 255], (64, 1024, 2))
    (a, b), (a_real, b_real) = (np.moveaxis(part, -1, 0) for part in (np.maximum(rows, 0).astype(np.uint8), rows >= 0))
    deltas, leaf = np.zeros((64, 1024), np.int16), np.zeros((64, 1024), np.uint8)
    planes, codes = np.zeros((kernels.PLANES, 32, 512), np.uint32), np.zeros((32, 512), np.uint8)
    kernels.subtract(a, a_real.astype(np.uint8), b, b_real.astype(np.uint8), deltas)
    kernels.leaf_codes(deltas, leaf)
    kernels.sum_changes(deltas, planes)
    kernels.change_codes(planes, codes)
    assert {leaf[0, x] for x in range(1024)} >= {0, 1, 2 + 18, 44 + 18, 2 + 41, 44 + 41, 128, 191, 192, 255}
    for y, x in np.ndindex(leaf.shape):
        assert leaf[y, x] == wanted(rows[y, x][None]), rows[y, x]
    for y, x in np.ndindex(codes.shape):
        found = rows[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].reshape(-1, 2)
        assert codes[y, x] == wanted(found), found


def test_one_byte_that_changed_by_one_is_seen_from_the_very_top(tmp_path):
    a = np.tile(mixed(1 << 20, 7), 20)
    b = a.copy()
    b[11_111_111] ^= 1
    blobs = Blobs()
    _, _, (pyramid, _, _), _ = drawn(tmp_path, a, b, blobs)
    for level in range(pyramid.levels):
        seen = 0
        for (at, _, _), key in pyramid.tiles.items():
            if at == level:
                codes = decode_gray(blobs.get(key))
                seen += int(((codes > 1) & (codes < 86)).sum())
        assert seen == 1, level


def test_equal_bytes_are_one_tile_for_each_way_in_which_a_part_lies(tmp_path):
    a = mixed(32 << 18, 9)
    blobs = Blobs()
    _, _, (pyramid, own, other), renderers = drawn(tmp_path, a, a, blobs)
    leaves = {key for (level, _, _), key in pyramid.tiles.items() if level == 0}
    assert len(leaves) <= 4
    assert all(set(np.unique(decode_gray(blobs.get(key)))) == {1} for key in leaves)
    assert dict(own.tiles) == dict(other.tiles)
    assert renderers[2].tally.rendered == 0


def test_a_side_without_holes_has_the_tiles_of_the_file_alone(tmp_path):
    a, blobs = mixed(900_000, 2), Blobs()
    changed = a.copy()
    changed[5000:6000] ^= 255
    _, _, (_, own, _), _ = drawn(tmp_path, a, changed, blobs)
    content = ByteContent(Side((FileSource(tmp_path / "a"),), ("x",), which=0, laid=(Stretches.equal(a.size),)))
    alone = Renderer(content.plan, content, blobs, kind=BYTES)
    assert dict(alone.run(1).tiles) == dict(own.tiles) and alone.tally.rendered == 0


def test_zeros_that_one_side_alone_has_are_not_taken_for_the_same(tmp_path):
    """A hole has the code of zero, too; the tile of equal zeros lies in the same store."""
    (tmp_path / "zeros").write_bytes(bytes(300_000))
    zeros, blobs = FileSource(tmp_path / "zeros"), Blobs()

    def codes(other, laid):
        contents = [ByteContent(Side((source,), ("x",), which=i, laid=(laid,))) for i, source in enumerate((zeros, other))]
        pyramid = Renderer(contents[0].plan, BothContent(*contents), blobs, kind=CHANGES).run(1)
        found = whole_level(pyramid, contents[0].canvas.bounds, 0, blobs.get)
        assert np.count_nonzero(found) == 300_000
        return np.unique(found).tolist()

    assert codes(zeros, Stretches.equal(300_000)) == [0, 1]
    assert codes(ABSENT, Stretches.alone(0, 300_000)) == [0, 128]


def test_palettes_of_changes_are_dark_where_nothing_changed_and_bright_where_much_did():
    for table in change_tables():
        colours = table.array().astype(int)
        assert colours.shape == (256, 3)
        assert colours[1].tolist() == [0, 0, 0]
        light = colours.sum(axis=1)
        for first, last in ((2, 43), (44, 85), (86, 127), (128, 191), (192, 255)):
            assert (np.diff(light[first : last + 1]) >= 0).all()
            assert light[first] >= 60  # never taken for black
        assert light[[2 + 18, 44 + 18]].min() > 150  # a change by one
