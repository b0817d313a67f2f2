import dataclasses

import ml_dtypes
import numpy as np
import pytest
import scenes
from safetensors.numpy import save_file

from mwv.decode.stored import StoredTensor
from mwv.drawing import subjects_of
from mwv.errors import SourceChangedError
from mwv.layout.transformer import arrange
from mwv.pyramid.plan import make_plan
from mwv.pyramid.survey import Survey


def transformer(rng, dtype=np.float32, layers=2, width=192, special=True):
    """A small model with everything that a scene can hold: matrices, vectors, scalars, convolutions, folds, odd values."""
    tensors = {
        "model.embed_tokens.weight": rng.standard_normal((1500, width)) * 0.05,
        "model.norm.weight": np.abs(rng.standard_normal(width)) * 300,
        "patch_embed.weight": rng.standard_normal((70, 3, 5, 5)),
        "scale": np.array(-0.5),
        "long_vector": rng.standard_normal(40_000) * 1e-4,
        "conv1d.weight": rng.standard_normal((48, 16, 3)),
    }
    for i in range(layers):
        name = f"model.layers.{i}."
        tensors[name + "self_attn.q_proj.weight"] = rng.standard_normal((width, width)) * 0.02 * 4**i
        tensors[name + "mlp.up_proj.weight"] = np.exp2(rng.uniform(-60, 40, (width * 3, width))) * rng.choice(
            [-1, 1], (width * 3, width)
        )
        tensors[name + "input_layernorm.weight"] = rng.standard_normal(width) + 1
        tensors[name + "mlp.experts.down"] = rng.choice([-0.125, 0.0, 0.125], (4, 96, 64))
        # Equal bytes in other places and other forms are other tiles.
        tensors[name + "self_attn.k_proj.weight"] = tensors[name + "self_attn.q_proj.weight"]
    tensors["lm_head.weight"] = tensors["patch_embed.weight"].reshape(70, 75)
    tensors = {name: np.asarray(value).astype(dtype) for name, value in tensors.items()}
    if special:
        q = tensors["model.layers.1.self_attn.q_proj.weight"]
        q[3, 5], q[100, 7], q[101, 8], q[64:96] = np.nan, np.inf, -np.inf, 0
        tensors["model.embed_tokens.weight"][1499, width - 1] = np.nan
    return tensors


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16, np.float64])
def test_every_pixel_of_every_level_is_what_float64_says(tmp_path, dtype):
    with np.errstate(over="ignore", invalid="ignore"):
        arrays = transformer(np.random.default_rng(7), dtype)
    save_file(arrays, tmp_path / "model.safetensors")
    blobs, drawing = scenes.DictBlobs(), scenes.draw(tmp_path / "model.safetensors")
    pyramid, _, _ = scenes.rendered(drawing, blobs)
    scenes.check_levels(drawing, arrays, {}, pyramid, blobs)


def test_integers_are_drawn_in_their_unit(tmp_path):
    rng = np.random.default_rng(8)
    units = {}
    arrays = {}
    for dtype, unit in (
        (np.int8, 2.0**-8),
        (np.uint8, 2.0**-8),
        (np.int16, 2.0**-16),
        (np.int32, 2.0**-32),
        (np.int64, 2.0**-32),
        (np.bool_, 1.0),
    ):
        name = np.dtype(dtype).name
        low, high = (0, 2) if dtype is np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        arrays[name] = rng.integers(low, high, (200, 130), np.uint8 if dtype is np.bool_ else dtype).astype(dtype)
        units[name] = unit
    save_file(arrays, tmp_path / "model.safetensors")
    blobs, drawing = scenes.DictBlobs(), scenes.draw(tmp_path / "model.safetensors")
    pyramid, _, _ = scenes.rendered(drawing, blobs)
    scenes.check_levels(drawing, arrays, units, pyramid, blobs)


def test_what_unpacking_makes_larger_is_unpacked_once_if_there_is_room(tmp_path, monkeypatch):
    save_file({"a": np.arange(500 * 130, dtype=np.int32).reshape(500, 130)}, tmp_path / "model.safetensors")
    drawing, unpacked = scenes.draw(tmp_path / "model.safetensors"), []
    samples = StoredTensor.samples

    def counted(self, band, *rest):
        unpacked.append(band)
        return samples(self, band, *rest)

    monkeypatch.setattr(StoredTensor, "samples", counted)
    roomy, tight = scenes.DictBlobs(), scenes.DictBlobs()
    scenes.rendered(drawing, roomy)
    assert unpacked == list(range(8))
    scenes.rendered(drawing, tight, budget=1)
    assert len(unpacked) > 16
    assert scenes.unpacked(roomy.bodies) == scenes.unpacked(tight.bodies)


@pytest.mark.parametrize("budget", [1, 300_000, 64 << 20])
def test_keys_and_tiles_do_not_depend_on_threads_order_or_memory(tmp_path, budget):
    save_file(transformer(np.random.default_rng(9)), tmp_path / "model.safetensors")
    drawing = scenes.draw(tmp_path / "model.safetensors")
    first, second = scenes.DictBlobs(), scenes.DictBlobs()
    one, _, _ = scenes.rendered(drawing, first, jobs=1)
    two, _, _ = scenes.rendered(drawing, second, jobs=3, budget=budget)
    assert one.tiles == two.tiles
    assert scenes.unpacked(first.bodies) == scenes.unpacked(second.bodies)
    np.testing.assert_array_equal(one.counts, two.counts)


def test_what_is_in_the_cache_is_not_rendered(tmp_path):
    save_file(transformer(np.random.default_rng(10)), tmp_path / "model.safetensors")
    drawing, blobs = scenes.draw(tmp_path / "model.safetensors"), scenes.DictBlobs()
    _, renderer, survey = scenes.rendered(drawing, blobs)
    assert renderer.tally.rendered > 0
    assert survey.traffic.read > 0
    blobs.puts.clear()
    again, renderer, survey = scenes.rendered(drawing, blobs)
    assert (renderer.tally.rendered, renderer.tally.reused) == (0, len(again.tiles))
    assert survey.traffic.read == 0
    assert blobs.puts == []


def test_a_changed_matrix_renders_only_the_tiles_over_it(tmp_path):
    arrays = transformer(np.random.default_rng(11), special=False)
    save_file(arrays, tmp_path / "a.safetensors")
    changed = "model.layers.1.self_attn.q_proj.weight"
    arrays[changed] = arrays[changed].copy()
    arrays[changed][50, 60] += 1
    save_file(arrays, tmp_path / "b.safetensors")
    blobs = scenes.DictBlobs()
    before, _, _ = scenes.rendered(scenes.draw(tmp_path / "a.safetensors"), blobs)
    drawing = scenes.draw(tmp_path / "b.safetensors")
    after, renderer, _ = scenes.rendered(drawing, blobs)
    placement = next(p for p in drawing.canvas.placements if p.name == changed)
    x, y = placement.pieces[0].x + 60, placement.pieces[0].y + 50
    over = {(k, (x // 512) >> k, (y // 512) >> k) for k in range(after.levels)}
    differ = {tile for tile in after.tiles if after.tiles[tile] != before.tiles[tile]}
    assert differ == over
    assert renderer.tally.rendered == len(over)


@pytest.mark.parametrize("lost", ["leaf", "overview", "top", "all sums", "all tiles"])
def test_what_the_cache_has_lost_is_made_again_just_so(tmp_path, lost):
    save_file(transformer(np.random.default_rng(12)), tmp_path / "model.safetensors")
    drawing, blobs = scenes.draw(tmp_path / "model.safetensors"), scenes.DictBlobs()
    pyramid, _, _ = scenes.rendered(drawing, blobs)
    whole = dict(blobs.bodies)
    pick = {
        "leaf": [next(key for (k, _, _), key in pyramid.tiles.items() if k == 0)],
        "overview": [next(key for (k, _, _), key in pyramid.tiles.items() if k == 2)],
        "top": [pyramid.tiles[pyramid.levels - 1, 0, 0]],
        "all sums": [key for key, body in whole.items() if not body.startswith(b"\x89PNG")],
        "all tiles": list(pyramid.tiles.values()),
    }[lost]
    for key in pick:
        del blobs.bodies[key]
    scenes.rendered(drawing, blobs)
    assert scenes.unpacked(blobs.bodies) == scenes.unpacked(whole)


def test_a_missing_layer_keeps_its_place(tmp_path):
    arrays = transformer(np.random.default_rng(13), layers=3)
    part = {name: value for name, value in arrays.items() if ".layers.1." not in name}
    save_file(part, tmp_path / "model.safetensors")
    drawing = scenes.draw(tmp_path / "model.safetensors")
    canvas = arrange([(t.name, t.shape) for t in drawing.shown], layers=3, index_names=tuple(arrays))
    subjects = subjects_of(drawing.checkpoint, drawing.shown, canvas)
    drawing = dataclasses.replace(drawing, canvas=canvas, plan=make_plan(canvas), subjects=subjects)
    assert any(p.tensor is None for p in canvas.placements)
    blobs = scenes.DictBlobs()
    pyramid, _, _ = scenes.rendered(drawing, blobs)
    scenes.check_levels(drawing, part, {}, pyramid, blobs)


def test_a_file_that_changes_between_hashing_and_drawing_is_an_error(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"a.weight": np.random.default_rng(0).standard_normal((4096, 300)).astype(np.float32)}, path)
    drawing, blobs = scenes.draw(path), scenes.DictBlobs()
    survey = Survey(drawing.subjects, blobs, 1)
    survey.digests(0, 0, 1)
    with path.open("r+b") as file:
        file.seek(2000)
        file.write(b"\x7f" * 64)
    with pytest.raises(SourceChangedError, match=r"a\.weight"):
        survey.samples(0, 0, 0, 300)
