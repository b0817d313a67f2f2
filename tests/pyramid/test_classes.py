"""Scenes of classes against numpy: the class of every element from its byte, of every overview pixel by counting."""

import dataclasses

import numpy as np
import pytest
import scenes
from safetensors.numpy import save_file
from torch import float32, save, zeros

from mwv.decode.tensor import BAND_ROWS
from mwv.layout.grid import Grid
from mwv.layout.transformer import arrange
from mwv.pyramid.classes import CLASSES, ClassContent, Lying, Runs
from mwv.pyramid.plan import make_plan
from mwv.pyramid.render import Renderer


def tensors(rng):
    width = 200
    found = {
        "model.embed_tokens.weight": rng.standard_normal((1500, width)),
        "patch_embed.weight": rng.standard_normal((10, 3, 5, 7)),
        "norm.weight": rng.standard_normal(width),
        "scale": np.array(0.5),
        "long_vector": rng.standard_normal(40_000),
    }
    for i in range(3):
        name = f"model.layers.{i}."
        found[name + "self_attn.q_proj.weight"] = rng.standard_normal((width, width))
        found[name + "mlp.up_proj.weight"] = rng.standard_normal((width * 3, width))
        found[name + "input_layernorm.weight"] = rng.standard_normal(width)
        found[name + "mlp.experts.down"] = rng.standard_normal((4, 96, 64))
    return {name: np.asarray(value) for name, value in found.items()}


def random_runs(rng, size, mean, classes):
    """(Runs, code of every byte) of a file; the last bytes are in no run."""
    lengths = rng.integers(1, 2 * mean, 3 * size // mean)
    lengths = lengths[np.cumsum(lengths) < size - 1000].astype(np.int64)
    codes = rng.integers(1, classes + 1, len(lengths)).astype(np.uint8)
    plain = np.full(size, 250, np.uint8)
    plain[: lengths.sum()] = codes.repeat(lengths)
    return Runs.of(lengths, codes), plain


def prevailing(leaf, levels):
    """The most frequent class under each pixel of each level, by counting; the lowest of several, missing only alone."""
    classes = [c for c in np.unique(leaf) if c not in (0, 251)]
    counts = np.stack([leaf == c for c in classes]).astype(np.uint16)
    missing = leaf == 251
    for level in range(levels):
        best = np.where(counts.any(0), np.array(classes)[counts.argmax(0)], 0)
        yield np.where((best == 0) & missing, 251, best)
        if level < levels - 1:
            rows = counts[:, ::2] + counts[:, 1::2]
            counts, missing = rows[:, :, ::2] + rows[:, :, 1::2], np.logical_or.reduce(scenes.oracle.quads(missing))


def painted(drawing, plain, shape):
    """Codes of the leaf; `plain` gives those of the bytes in the file of a tensor."""
    leaf = np.zeros(shape, np.uint8)
    for placement in drawing.canvas.placements:
        grid = placement.grid
        high, wide = grid.thick
        if placement.tensor is not None:
            info = drawing.shown[placement.tensor]
            at = np.arange(info.elements)
            if info.strides is not None:
                places = np.unravel_index(at, info.shape)
                starts = sum(i * s for i, s in zip(places, info.strides, strict=True)) * info.dtype.block_bytes
            else:
                starts = at * info.nbytes // info.elements
            codes, _ = scenes.grid_values(plain[info.offset + starts], grid, placement.panel)
        for piece in placement.pieces:
            rect = placement.rect(piece)
            target = leaf[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
            if placement.tensor is None:
                target[...] = 251
            else:
                window = codes[piece.row : piece.row + piece.rows, piece.col : piece.col + piece.cols]
                target[...] = window.repeat(high, 0).repeat(wide, 1)
    return leaf


def content_of(drawing, runs):
    def lying(placement):
        if placement.tensor is None:
            return None
        t, grid = drawing.shown[placement.tensor], placement.grid
        first = (placement.panel or 0) * grid.elements
        return Lying(grid, runs, t.offset, t.nbytes, t.elements, first, t.shape, t.strides)

    return ClassContent(tuple(map(lying, drawing.canvas.placements)))


def rendered(drawing, runs, blobs, jobs=1):
    renderer = Renderer(drawing.plan, content_of(drawing, runs), blobs, kind=CLASSES)
    return renderer.run(jobs), renderer


def check(drawing, runs, plain):
    """Compare all levels; the columns between the embeddings and the stack are empty and looked at no further."""
    blobs = scenes.DictBlobs()
    pyramid, _ = rendered(drawing, runs, blobs)
    side = 1 << (pyramid.levels - 1)
    height, width = (-(-n // side) * side for n in (drawing.canvas.height, drawing.canvas.width))
    leaf = painted(drawing, plain, (height, width))
    used = leaf.reshape(height, width // side, side).any((0, 2))
    for level, want in enumerate(prevailing(leaf[:, used.repeat(side)], pyramid.levels)):
        got = scenes.inner(scenes.level_codes(pyramid, blobs, level), (0, 0), (height, width), level)
        columns = used.repeat(side >> level)
        np.testing.assert_array_equal(got[:, columns], want, err_msg=f"level {level}")
        assert not got[:, ~columns].any()
        np.testing.assert_array_equal(np.bincount(got.ravel(), minlength=256)[1:], pyramid.counts[level][1:])
    return np.unique(leaf)


@pytest.mark.parametrize(("dtype", "mean"), [(np.float32, 700), (np.float16, 70_000), (np.float64, 3), (np.uint8, 5000)])
def test_every_pixel_of_every_level_is_what_counting_says(tmp_path, dtype, mean):
    rng = np.random.default_rng(1)
    save_file({name: value.astype(dtype) for name, value in tensors(rng).items()}, tmp_path / "model.safetensors")
    runs, plain = random_runs(rng, (tmp_path / "model.safetensors").stat().st_size, mean, 9)
    shown = check(scenes.draw(tmp_path / "model.safetensors"), runs, plain)
    assert {1, 9, 250} <= set(shown.tolist())


def test_blocks_and_packed_weights_lie_evenly(smollm2):
    rng = np.random.default_rng(2)
    runs, plain = random_runs(rng, smollm2.stat().st_size, 200_000, 3)
    drawing = scenes.draw(smollm2, only=("*blk.3.*", "*blk.4.attn*"))
    assert any(t.packing for t in drawing.shown)
    check(drawing, runs, plain)


def test_views_with_strides_show_the_bytes_of_their_elements(tmp_path):
    path = tmp_path / "model.pt"
    save({"a.weight": zeros(700, 300, dtype=float32).T, "b.weight": zeros(64, 64, dtype=float32)[:, ::2]}, path)
    drawing = scenes.draw(path)
    assert any(t.strides for t in drawing.shown)
    runs, plain = random_runs(np.random.default_rng(3), path.stat().st_size, 1000, 5)
    check(drawing, runs, plain)


def test_what_is_missing_counts_only_where_there_is_nothing_else(tmp_path):
    arrays = {name: value.astype(np.float32) for name, value in tensors(np.random.default_rng(4)).items()}
    path = tmp_path / "model.safetensors"
    save_file({name: value for name, value in arrays.items() if ".layers.1." not in name}, path)
    drawing = scenes.draw(path)
    canvas = arrange([(t.name, t.shape) for t in drawing.shown], layers=3, index_names=tuple(arrays))
    drawing = dataclasses.replace(drawing, canvas=canvas, plan=make_plan(canvas))
    assert any(p.tensor is None for p in canvas.placements)
    runs, plain = random_runs(np.random.default_rng(5), path.stat().st_size, 900, 4)
    assert 251 in check(drawing, runs, plain)


@pytest.fixture
def drawing(tmp_path):
    arrays = {name: value.astype(np.float32) for name, value in tensors(np.random.default_rng(6)).items()}
    save_file(arrays, tmp_path / "model.safetensors")
    return scenes.draw(tmp_path / "model.safetensors")


def size_of(drawing):
    return drawing.checkpoint.shards[0].size


def test_threads_leave_no_trace_and_a_second_time_nothing_is_drawn(drawing):
    runs, _ = random_runs(np.random.default_rng(7), size_of(drawing), 5000, 5)
    first, second = scenes.DictBlobs(), scenes.DictBlobs()
    one, _ = rendered(drawing, runs, first)
    two, _ = rendered(drawing, runs, second, jobs=3)
    assert one.tiles == two.tiles
    assert scenes.unpacked(first.bodies) == scenes.unpacked(second.bodies)
    first.puts.clear()
    _, renderer = rendered(drawing, runs, first)
    assert (renderer.tally.rendered, renderer.tally.reused, first.puts) == (0, len(one.tiles), [])


@pytest.mark.parametrize("lost", ["a leaf", "an overview", "all sums", "all tiles"])
def test_what_the_cache_has_lost_is_made_again_just_so(drawing, lost):
    runs, _ = random_runs(np.random.default_rng(8), size_of(drawing), 5000, 5)
    blobs = scenes.DictBlobs()
    pyramid, _ = rendered(drawing, runs, blobs)
    whole = dict(blobs.bodies)
    pick = {
        "a leaf": [next(key for (k, _, _), key in pyramid.tiles.items() if k == 0)],
        "an overview": [next(key for (k, _, _), key in pyramid.tiles.items() if k == 2)],
        "all sums": [key for key, body in whole.items() if not body.startswith(b"\x89PNG")],
        "all tiles": list(set(pyramid.tiles.values())),
    }[lost]
    for key in pick:
        del blobs.bodies[key]
    rendered(drawing, runs, blobs)
    assert scenes.unpacked(blobs.bodies) == scenes.unpacked(whole)


def test_another_class_of_some_bytes_draws_only_the_tiles_over_them(drawing):
    info = next(t for t in drawing.shown if t.name == "model.layers.1.self_attn.q_proj.weight")
    placement = next(p for p in drawing.canvas.placements if p.name == info.name)
    begin = info.offset + 100 * 200 * 4
    lengths = np.array([begin, 4 * 200, size_of(drawing) - begin - 800], np.int64)
    blobs = scenes.DictBlobs()
    before, _ = rendered(drawing, Runs.of(lengths, np.array([1, 1, 1], np.uint8)), blobs)
    after, renderer = rendered(drawing, Runs.of(lengths, np.array([1, 2, 1], np.uint8)), blobs)
    (piece,) = placement.pieces
    y = piece.y + 100
    over = {
        (k, x >> k, (y // 512) >> k) for k in range(after.levels) for x in range(piece.x // 512, (piece.x + 199) // 512 + 1)
    }
    assert {tile for tile in after.tiles if after.tiles[tile] != before.tiles[tile]} == over
    assert renderer.tally.rendered == len(over)


def test_tiles_that_look_alike_are_one_file(drawing):
    pyramid, _ = rendered(drawing, Runs.of(np.array([size_of(drawing)]), np.array([3], np.uint8)), scenes.DictBlobs())
    other, _ = rendered(drawing, Runs.of(np.array([500, size_of(drawing)]), np.array([5, 3], np.uint8)), scenes.DictBlobs())
    assert pyramid.tiles == other.tiles  # the header is no tensor's
    layers = [p.pieces[0] for p in drawing.canvas.placements if p.name.endswith("q_proj.weight")]
    keys = {pyramid.tiles[0, piece.x // 512, piece.y // 512] for piece in layers}
    assert len(layers) == 3
    assert len(keys) == 1


def test_runs_of_one_class_are_one():
    runs = Runs.of(np.array([5, 5, 5, 0, 5]), np.array([1, 1, 2, 3, 2], np.uint8))
    assert runs.codes.tolist()[:2] == [1, 2]
    assert runs.ends.tolist()[0] == 10


def test_numbers_beyond_64_bits_are_no_trouble():
    grid = Grid(BAND_ROWS, 7, 7, 448)
    elements = 10**12 + 39
    runs = Runs.of(np.array([10**11, 10**13]), np.array([1, 2], np.uint8))
    border = -(-(10**11) * elements // (7 * 10**11))
    lying = Lying(grid, runs, 0, 7 * 10**11, elements, border - 10)
    assert lying.codes(0).ravel().tolist() == [1] * 10 + [2] * 438
