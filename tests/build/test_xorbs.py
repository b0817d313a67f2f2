"""Builds with --show-xet-xorbs: the invariants hold for its scenes, and models that come and go are told at once."""

import json
import os
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from mwv import storing
from mwv.build import build
from mwv.checkpoint.source import FileSource
from mwv.cli import cli
from mwv.errors import UsageError
from mwv.hub.terms import Reconstruction, Term
from mwv.settings import ModelSettings, Settings
from mwv.site.data import parse

LONG_AGO = 1_600_000_000


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A model, a finetune of it with one matrix changed, and a stranger."""
    folder = tmp_path_factory.mktemp("xorbs")
    rng = np.random.default_rng(0)
    arrays = {f"model.layers.{i}.mlp.up_proj.weight": rng.standard_normal((600, 400)).astype(np.float32) for i in range(4)}
    arrays["lm_head.weight"] = rng.standard_normal((500, 400)).astype(np.float32)
    tuned = {**arrays, "model.layers.2.mlp.up_proj.weight": arrays["model.layers.2.mlp.up_proj.weight"] * np.float32(1.25)}
    stranger = {"w.weight": rng.standard_normal((700, 300)).astype(np.float16)}
    paths = []
    for name, tensors in (("base", arrays), ("tuned", tuned), ("stranger", stranger)):
        paths.append(folder / f"{name}.safetensors")
        save_file(tensors, paths[-1])
        os.utime(paths[-1], (LONG_AGO, LONG_AGO))
    return paths


def run(paths, site, cache, **options):
    report = site.parent / f"{site.name}.json"
    build(Settings(tuple(map(ModelSettings, paths)), site, cache, report=report, xorbs=True, **options))
    return json.loads(report.read_text())


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def scene(site, slug, index):
    (path,) = (site / slug).glob(f"scene-{index}-*.js")
    return parse(path.read_bytes(), "scene")


@pytest.fixture(scope="module")
def cold(tmp_path_factory, sources):
    folder = tmp_path_factory.mktemp("cold")
    return folder / "site", folder / "cache", run(sources, folder / "site", folder / "cache")


def test_a_file_is_read_once_more_and_the_report_says_so(cold, sources):
    for model, path in zip(cold[2]["models"], sources, strict=True):
        assert model["bytes"]["read"] + model["bytes"]["hashed"] == model["bytes"]["source"] + path.stat().st_size
    assert cold[2]["xorbs"]["rendered"] > 0


def test_a_second_build_draws_nothing_and_reads_nothing(cold, sources):
    site, cache, _ = cold
    before = tree(site)
    report = run(sources, site, cache, jobs=2)
    assert report["xorbs"] == {"rendered": 0, "reused": 0}
    assert all(model["bytes"]["read"] == model["bytes"]["hashed"] == 0 for model in report["models"])
    assert tree(site) == before


def test_threads_and_caches_leave_no_trace(cold, sources, tmp_path):
    site, cache, _ = cold
    want = tree(site)
    run(sources, tmp_path / "two", tmp_path / "cache", jobs=3)
    assert tree(tmp_path / "two") == want
    run(sources, tmp_path / "warm", cache)
    assert tree(tmp_path / "warm") == want
    shutil.rmtree(tmp_path / "cache" / "index")
    run(sources, tmp_path / "none", None, jobs=2)
    assert tree(tmp_path / "none") == want
    run(sources, tmp_path / "no-index", tmp_path / "cache")
    assert tree(tmp_path / "no-index") == want


def test_models_in_successive_calls_make_the_same_site(cold, sources, tmp_path):
    for path in sources:
        run([path], tmp_path / "site", cold[1])
    assert tree(tmp_path / "site") == tree(cold[0])


def test_a_model_that_comes_or_goes_changes_what_the_others_share_and_no_more(cold, sources, tmp_path):
    base, tuned, _ = sources
    site, cache = tmp_path / "site", cold[1]
    run([base], site, cache)
    alone = tree(site)
    assert not list((site / "base").glob("scene-2-*"))
    assert not (site / "sharing.html").exists()
    run([tuned], site, cache)
    shared = scene(site, "base", 2)
    assert [label for _, _, label, _ in shared["classes"]] == ["only here", "with tuned"]
    assert shared["classes"][1][3] > shared["classes"][0][3] > 0
    weights = [name for name in alone if name.startswith(("base/scene-0", "base/scene-1", "base/tiles-0", "base/details"))]
    assert {name: tree(site)[name] for name in weights} == {name: alone[name] for name in weights}
    entries = {m["slug"]: m for m in json.loads((site / "site.json").read_text())["models"]}
    assert entries["base"]["chunk_shared"] == entries["tuned"]["chunk_shared"] == shared["classes"][1][3]
    assert "with tuned" in (site / "index.html").read_text()
    build(Settings((), site, cache, remove=("tuned",)))
    assert tree(site) == alone


def test_what_a_killed_build_left_is_taken_up(sources, tmp_path, monkeypatch):
    site, cache = tmp_path / "site", tmp_path / "cache"
    run(sources[:1], site, cache)
    before = tree(site)
    calls = []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return drawn(*arguments)

    drawn = storing._draw
    monkeypatch.setattr(storing, "_draw", killed)
    with pytest.raises(KeyboardInterrupt):
        run(sources[:2], site, cache)
    there = tree(site)
    assert {name: there[name] for name in before} == before
    monkeypatch.undo()
    run(sources[:2], site, cache)
    run(sources[:2], tmp_path / "fresh", cache)
    assert tree(site) == tree(tmp_path / "fresh")


@pytest.mark.parametrize("tiles", ["xyz", "pmtiles"])
def test_tiles_lie_as_they_are_asked_for(sources, tmp_path, tiles):
    run(sources[:2], tmp_path / "site", tmp_path / "cache", tiles=tiles)
    first = tree(tmp_path / "site")
    names = [name for name in first if name.endswith(".pmtiles" if tiles == "pmtiles" else ".png")]
    assert any("/tiles/1/" in name for name in names) or tiles == "pmtiles"
    assert run(sources[:2], tmp_path / "site", tmp_path / "cache", tiles=tiles)["xorbs"]["rendered"] == 0
    run(sources[2:], tmp_path / "site", tmp_path / "cache", tiles=tiles)
    build(Settings((), tmp_path / "site", tmp_path / "cache", tiles=tiles, remove=("stranger",)))
    assert tree(tmp_path / "site") == first


def test_without_the_flag_the_scenes_go(cold, sources, tmp_path):
    site, cache = tmp_path / "site", cold[1]
    run(sources[:2], site, cache)
    build(Settings(tuple(map(ModelSettings, sources[:2])), site, cache))
    build(Settings(tuple(map(ModelSettings, sources[:2])), tmp_path / "plain", cache))
    assert tree(site) == tree(tmp_path / "plain")


def test_colours_that_are_baked_in_are_a_contradiction(sources):
    result = CliRunner().invoke(cli, ["build", str(sources[0]), "--show-xet-xorbs", "--tile-format", "avif"])
    assert isinstance(result.exception, UsageError)
    assert "contradict" in str(result.exception)


def test_a_file_on_the_hub_is_shown_by_its_reconstruction_and_not_read_for_it(sources, tmp_path, monkeypatch):
    base, tuned, _ = sources
    sizes = {path.name: path.stat().st_size for path in (base, tuned)}

    def reconstruction(source, begin, end):
        """Half of both files is one and the same run of chunks; what ranges of tensors are asked for are told apart."""
        if (begin, end) != (0, sizes[source.name]):
            return Reconstruction("cas", 0, end - begin, (Term(f"{source.name}{begin}", 0, 1, end - begin),))
        terms = (Term("ab" * 32, 2, 12, 1000), Term(source.name.encode().hex(), 0, 9, end - 1000))
        return Reconstruction("cas", 0, end, terms)

    monkeypatch.setattr(FileSource, "reconstruction", reconstruction, raising=False)
    report = run([base, tuned], tmp_path / "site", tmp_path / "cache")
    for model in report["models"]:
        assert model["bytes"]["read"] + model["bytes"]["hashed"] == model["bytes"]["source"]
    xorbs, sharing = (scene(tmp_path / "site", "tuned", index) for index in (1, 2))
    assert [(x["hash"], x["bytes"], x["chunks"], x["model"]) for x in xorbs["xorbs"]] == [
        ("ab" * 32, 1000, 10, "base"),
        (tuned.name.encode().hex(), sizes[tuned.name] - 1000, 9, "tuned"),
    ]
    assert sharing["files"][0]["runs"] == [3, 1000, 1, sizes[tuned.name] - 1000]
    assert xorbs["files"][0]["local"] is False and xorbs["files"][0]["chunks"] == []
