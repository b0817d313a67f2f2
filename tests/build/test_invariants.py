"""The invariants of a build on real checkpoints: same bytes whatever the cache holds, and nothing done twice."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mwv.build import build
from mwv.checkpoint.open import open_checkpoint
from mwv.drawing import draw
from mwv.settings import ModelSettings, Settings

LONG_AGO = 1_600_000_000


def run(sources, site, cache, **options):
    """The models' entries in the report of a build."""
    report = site.parent / f"{site.name}.json"
    build(Settings(tuple(map(ModelSettings, sources)), site, cache, report=report, **options))
    return json.loads(report.read_text())["models"]


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def tiles(site):
    return {p.stem for p in (site / "tiles").rglob("*.png")}


def settled(path):
    """A file that was written long ago, so that its digests are remembered."""
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@pytest.fixture(scope="module")
def cold(tmp_path_factory, bert, smollm2):
    """(site, cache) of both models, built with an empty cache and one thread."""
    folder = tmp_path_factory.mktemp("cold")
    models = run([bert, smollm2], folder / "site", folder / "cache", jobs=1)
    assert all(m["tiles"]["rendered"] == m["tiles"]["total"] for m in models)
    assert all(m["bytes"]["read"] + m["bytes"]["hashed"] >= m["bytes"]["source"] for m in models)
    return folder / "site", folder / "cache"


def test_a_second_build_renders_nothing_and_reads_no_tensor(cold, bert, smollm2):
    site, cache = cold
    before = tree(site)
    for model in run([bert, smollm2], site, cache, jobs=2):
        assert model["tiles"]["rendered"] == 0
        assert model["tiles"]["reused"] == model["tiles"]["total"]
        assert model["bytes"]["read"] == model["bytes"]["hashed"] == 0
    assert tree(site) == before


def test_threads_and_caches_leave_no_trace_in_the_site(cold, tmp_path, bert, smollm2):
    site, cache = cold
    want = tree(site)
    run([bert, smollm2], tmp_path / "two", tmp_path / "cache", jobs=2)
    assert tree(tmp_path / "two") == want
    run([bert, smollm2], tmp_path / "warm", cache, jobs=2)
    assert tree(tmp_path / "warm") == want
    shutil.rmtree(tmp_path / "cache" / "index")
    run([bert, smollm2], tmp_path / "no-index", tmp_path / "cache", jobs=1)
    assert tree(tmp_path / "no-index") == want
    shutil.rmtree(tmp_path / "cache" / "blobs")
    run([bert, smollm2], tmp_path / "no-blobs", tmp_path / "cache", jobs=2)
    assert tree(tmp_path / "no-blobs") == want
    run([bert, smollm2], tmp_path / "none", None, jobs=2)
    assert tree(tmp_path / "none") == want


def test_models_in_successive_calls_make_the_same_site(cold, tmp_path, bert, smollm2):
    site, cache = cold
    run([smollm2], tmp_path / "site", cache, jobs=2)
    run([bert], tmp_path / "site", cache, jobs=2)
    assert tree(tmp_path / "site") == tree(site)


def test_a_second_build_loads_nothing_that_draws(cold, tmp_path, bert):
    code = (
        "import sys; from mwv.cli import main; main(sys.argv[1:]); "
        "print(*{'numba', 'PIL', 'gguf', 'pmtiles', 'rich'} & sys.modules.keys())"
    )
    _, cache = cold
    command = [sys.executable, "-c", code, "build", bert, "-o", tmp_path / "site", "--cache", cache]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "\n"


def test_one_changed_matrix_renders_only_what_lies_over_it(cold, tmp_path, bert):
    _, cache = cold
    first = run([bert], tmp_path / "site", cache, jobs=2)[0]
    arrays = load_file(bert)
    name = "encoder.layer.3.attention.self.query.weight"
    arrays[name] = arrays[name] * np.float32(1.5)
    (tmp_path / "tuned").mkdir()
    save_file(arrays, tmp_path / "tuned" / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(bert.parent / "config.json", tmp_path / "tuned")
    before = tiles(tmp_path / "site")
    model = run([tmp_path / "tuned"], tmp_path / "site", cache, jobs=2)[0]
    # A matrix of 384 × 384 lies under at most 2 × 2 leaves, and so does its part of every overview.
    assert 0 < model["tiles"]["rendered"] <= 4 * first["canvas"]["levels"]
    assert model["tiles"]["rendered"] == len(tiles(tmp_path / "site") - before)
    # The new file is hashed; drawn is only the block (4096 × 4096 pixels) that the matrix lies in.
    assert model["bytes"]["read"] <= 4096 * 4096 * 4
    assert model["bytes"]["read"] + model["bytes"]["hashed"] <= model["bytes"]["source"]


@pytest.mark.parametrize("rows", [1, 64, 70_000])
def test_a_grown_vocabulary_leaves_the_layers_alone(cold, tmp_path, bert, rows):
    _, cache = cold
    arrays = load_file(bert)
    name = "embeddings.word_embeddings.weight"
    more = np.random.default_rng(rows).standard_normal((rows, arrays[name].shape[1])).astype(np.float32)
    arrays[name] = np.concatenate([arrays[name], more])
    folder = tmp_path / "grown"
    folder.mkdir()
    save_file(arrays, folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(bert.parent / "config.json", folder)
    old, new = (draw(open_checkpoint(path), ModelSettings(path)) for path in (bert, folder))
    model = run([folder], tmp_path / "site", cache, jobs=2)[0]
    spots = {p.name: p.pieces for p in new.canvas.placements}
    for placement in old.canvas.placements:
        if placement.name != name:
            assert spots[placement.name] == placement.pieces, f"{placement.name} moved"
    # Rendered are at most the tiles that show the tables left of the stack, on any level.
    stack = min(piece.x for p in new.canvas.placements if p.role.layer is not None for piece in p.pieces)
    rects = [p.rect(piece) for p in new.canvas.placements for piece in p.pieces if piece.x < stack]
    left = {
        (level, x, y)
        for r in rects
        for level in range(model["canvas"]["levels"])
        for x in range((r.x // 512) >> level, ((r.x + r.width - 1) // 512 >> level) + 1)
        for y in range((r.y // 512) >> level, ((r.y + r.height - 1) // 512 >> level) + 1)
    }
    assert 0 < model["tiles"]["rendered"] <= len(left)
    assert model["tiles"]["rendered"] + model["tiles"]["reused"] == model["tiles"]["total"]


def test_the_same_bytes_under_headers_that_swap_f16_and_bf16_are_two_models(tmp_path):
    bits = np.random.default_rng(0).integers(0, 0x7800, (200, 300), np.uint16)
    header = {"w": {"dtype": "F16", "shape": [200, 300], "data_offsets": [0, bits.nbytes]}}
    for dtype in ("F16", "BF16"):
        header["w"]["dtype"] = dtype
        head = json.dumps(header).encode().ljust(128)
        path = tmp_path / f"{dtype}.safetensors"
        path.write_bytes(len(head).to_bytes(8, "little") + head + bits.tobytes())
        settled(path)
    sites = []
    for dtype in ("F16", "BF16", "F16", "BF16"):
        site = tmp_path / f"site{len(sites)}"
        run([tmp_path / f"{dtype}.safetensors"], site, tmp_path / "cache", jobs=1)
        sites.append(tiles(site))
    assert sites[0] == sites[2]
    assert sites[1] == sites[3]
    assert not sites[0] & sites[1]
