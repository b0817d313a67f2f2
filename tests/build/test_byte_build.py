"""In: files of any kind. Out: sites that show their bytes, and the invariants of a build on this kind of scene."""

import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from buildkit import check_whole, mwv, script, settled, tree
from PIL import Image

from mwv.build import build
from mwv.checkpoint.stream import told_apart
from mwv.layout.hilbert import Curve
from mwv.pyramid.byte_palette import byte_tables
from mwv.settings import ModelSettings, Settings


def write(path, size, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes())
    return settled(path)


def bytes_of(*sources, **options):
    return ModelSettings(sources[0], layout="hilbert", more=tuple(sources[1:]), **options)


def run(wanted, site, cache, **options):
    report = site.parent / f"{site.name}.json"
    build(Settings((wanted,), site, cache, report=report, **options))
    return json.loads(report.read_text())["models"][0]


def leaf(site, slug, x, y, scene=0):
    """A leaf tile's codes."""
    (path,) = (site / slug).glob(f"scene-{scene}-*.js")
    keys = script(path)["tiles"]["map"]["0"]["0,0"]
    key = keys[y * 16 + x]
    with Image.open(io.BytesIO((site / "tiles" / key[:2] / f"{key}.png").read_bytes())) as image:
        return np.asarray(image)


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / "in" / "a.bin", 300_001, 1), write(tmp_path / "in" / "b" / "a.bin", 400_000, 2)]


def test_every_byte_of_several_files_stands_where_the_curve_says(tmp_path, files):
    run(bytes_of(*files, title="both"), tmp_path / "site", tmp_path / "cache")
    data = b"".join(path.read_bytes() for path in files)
    curve = Curve(len(data))
    tiles = {(x, y): leaf(tmp_path / "site", "both", x, y) for x in range(2) for y in range(2) if (x, y) != (1, 0)}
    for offset in range(0, len(data), 911):
        x, y = curve.point(offset)
        assert tiles[x // 512, y // 512][y % 512, x % 512] == data[offset]
    (scene,) = (tmp_path / "site" / "both").glob("scene-0-*.js")
    facts = script(scene)
    assert facts["ends"] == [300_001, 700_001]
    assert facts["tensors"]["name"] == ["in/a.bin", "b/a.bin"]
    assert facts["curve"] == [1024, 1024]
    assert [sum(counts) for counts in facts["classes"]] == [300_001, 400_000]
    (details,) = (tmp_path / "site" / "both").glob("details-0-*.js")
    counts = script(details)["tensors"][1]["counts"]
    assert counts == np.bincount(np.frombuffer(files[1].read_bytes(), np.uint8), minlength=256).tolist()


def test_a_second_build_renders_and_reads_nothing_whatever_the_cache_holds(tmp_path, files):
    first = run(bytes_of(*files), tmp_path / "site", tmp_path / "cache", jobs=1)
    assert first["tiles"]["rendered"] == first["tiles"]["total"]
    assert first["bytes"]["read"] + first["bytes"]["hashed"] == first["bytes"]["source"]
    want = tree(tmp_path / "site")
    again = run(bytes_of(*files), tmp_path / "site", tmp_path / "cache", jobs=2)
    other = run(bytes_of(*files), tmp_path / "other", tmp_path / "cache", jobs=2)
    for model in (again, other):
        assert model["tiles"]["rendered"] == model["bytes"]["read"] == model["bytes"]["hashed"] == 0
    assert tree(tmp_path / "site") == tree(tmp_path / "other") == want
    for lost in ("index", "blobs"):
        shutil.rmtree(tmp_path / "cache" / lost)
        run(bytes_of(*files), tmp_path / f"no-{lost}", tmp_path / "cache", jobs=2)
        assert tree(tmp_path / f"no-{lost}") == want
    run(bytes_of(*files), tmp_path / "none", None, jobs=2)
    assert tree(tmp_path / "none") == want


def test_a_changed_byte_renders_only_what_lies_over_it(tmp_path):
    path = write(tmp_path / "large.bin", 6_000_000)
    first = run(bytes_of(path), tmp_path / "site", tmp_path / "cache")
    data = bytearray(path.read_bytes())
    data[3_000_000] ^= 255
    path.write_bytes(data)
    changed = run(bytes_of(settled(path)), tmp_path / "site", tmp_path / "cache")
    assert 0 < changed["tiles"]["rendered"] <= 2 * first["canvas"]["levels"]
    path.write_bytes(bytes(data) + b"more")
    longer = run(bytes_of(settled(path)), tmp_path / "site", tmp_path / "cache")
    assert 0 < longer["tiles"]["rendered"] <= 2 * first["canvas"]["levels"]


def test_a_build_killed_at_any_step_leaves_the_old_site_whole(tmp_path, files):
    import multiprocessing

    from buildkit import Steps

    run(bytes_of(files[0], title="page"), tmp_path / "site", tmp_path / "cache", jobs=1)
    old = tree(tmp_path / "site")
    want_site, want_cache = tmp_path / "want", tmp_path / "want-cache"
    shutil.copytree(tmp_path / "site", want_site)
    write(files[0], 400_000, 3)
    wanted = bytes_of(files[0], title="page")
    with Steps([want_site, want_cache], lambda: None, 0) as steps:
        build(Settings((wanted,), want_site, want_cache, jobs=1))
    new = tree(want_site)
    context = multiprocessing.get_context("fork")
    for at in range(1, len(steps.seen), 7):
        site, cache = tmp_path / f"site{at}", tmp_path / f"cache{at}"
        shutil.copytree(tmp_path / "site", site)
        process = context.Process(target=die, args=(wanted, site, cache, at))
        process.start()
        process.join()
        assert process.exitcode == -9
        check_whole(site, old, new)
        build(Settings((wanted,), site, cache, jobs=1))
        assert tree(site) == new
        shutil.rmtree(site)
        shutil.rmtree(cache)


def die(wanted, site, cache, at):
    import signal

    from buildkit import Steps

    with Steps([site, cache], lambda: os.kill(os.getpid(), signal.SIGKILL), at):
        build(Settings((wanted,), site, cache, jobs=1))


def test_standard_input_is_a_source_and_is_known_again_by_its_content(tmp_path, files):
    data = files[0].read_bytes()
    command = ("build", "--layout", "hilbert", "-", "-o", "site", "--cache", "cache", "--report", "report.json")
    for tiles in (2, 0):
        done = mwv(*command, cwd=tmp_path, stdin=data)
        assert done.code == 0, done.err
        assert (json.loads((tmp_path / "report.json").read_text())["models"][0]["tiles"]["rendered"] > 0) == (tiles > 0)
    assert leaf(tmp_path / "site", "stdin", 0, 0)[0, 0] == data[0]
    assert list((tmp_path / "cache").glob(".mwv-*")) == []


def test_what_comes_through_a_pipe_is_kept_while_it_is_drawn(tmp_path, files):
    data = files[0].read_bytes()
    command = [sys.executable, "-m", "mwv", "build", "--layout", "hilbert", "-", "-o", "site", "--cache", "cache"]
    for tiles in ("6 tiles rendered", "0 tiles rendered"):
        done = subprocess.run(command, cwd=tmp_path, input=data, capture_output=True, check=True)
        assert tiles in done.stderr.decode()
    assert leaf(tmp_path / "site", "stdin", 0, 0)[0, 0] == data[0]
    assert list((tmp_path / "cache").glob(".mwv-*")) == []


def test_empty_files_are_left_out_with_a_note_and_nothing_at_all_is_an_error(tmp_path, files):
    (tmp_path / "empty").touch()
    done = mwv("build", "--layout", "hilbert", "empty", files[0], "-o", "site", "--no-cache", cwd=tmp_path)
    assert done.code == 0
    assert "empty: is empty" in done.err
    done = mwv("build", "--layout", "hilbert", "empty", "-o", "none", "--no-cache", cwd=tmp_path)
    assert done.code == 1
    assert "holds no bytes" in done.err
    done = mwv("build", "--layout", "hilbert", "-", "-o", "none", "--no-cache", cwd=tmp_path)
    assert done.code == 1
    done = mwv("build", "--layout", "hilbert", "nowhere", "-o", "none", "--no-cache", cwd=tmp_path)
    assert done.code == 1
    assert "nowhere" in done.err
    assert not (tmp_path / "none" / "index.html").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ("--layout", "hilbert", "x", "--columns", "2"),
        ("--layout", "hilbert", "x", "--only", "a*"),
        ("--layout", "hilbert", "x", "--demo"),
        ("--layout", "hilbert", "x", "--show-xet-xorbs"),
        ("--layout", "hilbert", "x", "--tile-format", "avif"),
        ("--layout", "hilbert", "x", "--stream", "-o", "hf://datasets/a/b"),
        ("--layout", "hilbert", "-", "-"),
        ("-",),
    ],
)
def test_contradictions_are_told_before_any_work(tmp_path, flags):
    done = mwv("build", *flags, cwd=tmp_path)
    assert done.code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_read_by_name_links_once_and_a_page_of_bytes_stands_beside_a_model(tmp_path, files):
    folder = tmp_path / "in"
    (folder / "loop").symlink_to(folder)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    done = mwv("build", "--layout", "hilbert", folder, "-o", "site", "--cache", "cache", cwd=tmp_path)
    assert done.code == 0
    assert "gone" in done.err
    (scene,) = (tmp_path / "site" / "in").glob("scene-0-*.js")
    assert script(scene)["tensors"]["name"] == ["in/a.bin", "b/a.bin"]
    from buildkit import write_tiny

    tiny = write_tiny(tmp_path / "in.safetensors")
    assert mwv("build", tiny, "-o", "site", "--cache", "cache", cwd=tmp_path).code == 0
    assert mwv("build", "--layout", "hilbert", tiny, "-o", "site", "--cache", "cache", cwd=tmp_path).code == 0
    models = json.loads((tmp_path / "site" / "site.json").read_text())["models"]
    assert sorted((model["format"], model["tensors"]) for model in models) == [("bytes", 1), ("bytes", 2), ("safetensors", 1)]


@pytest.mark.parametrize("tiles", ["xyz", "pmtiles"])
def test_tiles_lie_as_is_asked_for(tmp_path, files, tiles):
    run(bytes_of(files[0], title="page"), tmp_path / "site", tmp_path / "cache", tiles=tiles)
    if tiles == "xyz":
        assert (tmp_path / "site" / "page" / "tiles" / "1" / "0" / "0.png").is_file()
        assert (tmp_path / "site" / "page" / "tiles" / "1" / "1" / "0" / "0.png").is_file()
    else:
        assert len(list((tmp_path / "site" / "tiles").rglob("*.pmtiles"))) == 2


def test_names_are_as_short_as_they_can_be():
    assert told_apart(["/x/a/config.json", "/x/b/config.json", "/x/c"]) == ("a/config.json", "b/config.json", "c")
    assert told_apart(["/x/c", "/x/c"]) == ("x/c", "x/c (2)")


def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for size in (64 << 20, 512 << 20):
        path = tmp_path / f"sparse{size}"
        with path.open("wb") as file:
            file.truncate(size)
        done = mwv("build", "--layout", "hilbert", path, "-o", f"site{size}", "--no-cache", "-j", 2, cwd=tmp_path)
        assert done.code == 0, done.err
        peaks.append(done.rss)
    assert peaks[1] - peaks[0] < 64 << 20, peaks


def test_the_picture_of_a_page_has_the_colours_of_its_bytes_and_the_ground_beyond_them(tmp_path, files):
    run(bytes_of(files[0], title="page"), tmp_path / "site", tmp_path / "cache", png=tmp_path / "page.png")
    data = files[0].read_bytes()
    curve = Curve(len(data))
    with Image.open(tmp_path / "page.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    colours = byte_tables()[0].array()
    shown = np.full((curve.height, curve.width, 3), (0x23, 0x26, 0x2E), np.uint8)
    for offset, byte in enumerate(data):
        x, y = curve.point(offset)
        shown[y, x] = colours[byte]
    assert np.array_equal(pixels, shown[: pixels.shape[0], : pixels.shape[1]])


def test_no_page_tells_where_the_files_lay(tmp_path, files):
    (tmp_path / "in" / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "in" / "empty").touch()
    shutil.copytree(tmp_path / "in", tmp_path / "other", symlinks=True)
    for sources in ((tmp_path / "in",), ("--diff", tmp_path / "in", tmp_path / "other")):
        done = mwv("build", "--layout", "hilbert", *sources, "-o", "site", "--cache", "cache", cwd=tmp_path)
        assert done.code == 0 and "gone" in done.err, done.err
    texts = [path for path in (tmp_path / "site").rglob("*") if path.suffix in (".js", ".html", ".json")]
    assert any("Left out" in path.read_text() for path in texts)
    assert [path for path in texts if str(tmp_path) in path.read_text()] == []
