"""In: two files or folders of any kind. Out: sites that show how their bytes differ, and the invariants of a build on them."""

import json

import numpy as np
import pytest
from buildkit import mwv, script, settled, tree
from PIL import Image
from test_byte_build import leaf, run

from mwv import changed_bytes
from mwv.layout.hilbert import Curve
from mwv.pyramid.byte_palette import change_tables
from mwv.settings import ModelSettings

NOISE = np.random.default_rng(4).integers(0, 256, 700_000, np.uint8).tobytes()
OTHER = NOISE[:100_000] + bytes([NOISE[100_000] ^ 1]) + NOISE[100_001:300_000] + b"inserted" * 500 + NOISE[350_000:]


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return settled(path)


def difference(a, b, **options):
    return ModelSettings(b, layout="hilbert", against=a, **options)


def facts(site, slug, index=0):
    (path,) = (site / slug).glob(f"scene-{index}-*.js")
    return script(path)


@pytest.fixture
def two(tmp_path):
    return write(tmp_path / "in" / "a.bin", NOISE), write(tmp_path / "in" / "b.bin", OTHER)


def test_bytes_of_both_stand_at_each_other_and_what_is_inserted_moves_nothing(tmp_path, two):
    run(difference(*two), tmp_path / "site", tmp_path / "cache")
    found = facts(tmp_path / "site", "a.bin-to-b.bin")
    assert found["beside"]["changes"] == [[649_999, 1, 50_000, 4000]] or sum(found["beside"]["changes"][0][1:]) < 54_100
    assert found["beside"]["titles"] == ["a.bin", "b.bin"]
    assert found["layout"] == facts(tmp_path / "site", "a.bin-to-b.bin", 1)["layout"]
    assert found["ends"] == [sum(found["beside"]["stretches"][0][1::2])]
    curve = Curve(found["ends"][0])
    scenes = [
        {(x, y): leaf(tmp_path / "site", "a.bin-to-b.bin", x, y, index) for x in range(2) for y in range(2) if (x, y) != (1, 0)}
        for index in range(3)
    ]
    place = at_a = at_b = 0
    kinds, lengths = found["beside"]["stretches"][0][::2], found["beside"]["stretches"][0][1::2]
    for kind, length in zip(kinds, lengths, strict=True):
        for step in range(0, length, 997):
            x, y = curve.point(place + step)
            delta, a, b = (int(scene[x // 512, y // 512][y % 512, x % 512]) for scene in scenes)
            assert a == (0 if kind == 3 else NOISE[at_a + step])
            assert b == (0 if kind == 2 else OTHER[at_b + step])
            assert (delta == 1) == (kind < 2 and a == b)
            assert (128 <= delta < 192, delta >= 192) == (kind == 2, kind == 3)
        place, at_a, at_b = place + length, at_a + length * (kind != 3), at_b + length * (kind != 2)
    assert (at_a, at_b) == (len(NOISE), len(OTHER))


def test_a_second_build_reads_and_renders_nothing_whatever_the_cache_holds(tmp_path, two, monkeypatch):
    first = run(difference(*two), tmp_path / "site", tmp_path / "cache", jobs=1)
    assert first["tiles"]["rendered"] > 0
    want = tree(tmp_path / "site")
    for place, jobs in (("site", 2), ("other", 2)):
        with monkeypatch.context() as changed:
            changed.setattr(changed_bytes, "compare_bytes", None)  # how they lie is remembered
            again = run(difference(*two), tmp_path / place, tmp_path / "cache", jobs=jobs)
        assert again["tiles"]["rendered"] == again["bytes"]["read"] == again["bytes"]["hashed"] == 0
        assert tree(tmp_path / place) == want
    run(difference(*two), tmp_path / "none", None, jobs=2)
    assert tree(tmp_path / "none") == want


def test_the_same_file_twice_is_black_and_is_not_read_to_see_that(tmp_path, two, monkeypatch):
    monkeypatch.setattr(changed_bytes, "compare_bytes", None)
    run(difference(two[0], two[0]), tmp_path / "site", tmp_path / "cache")
    assert facts(tmp_path / "site", "a.bin-to-a.bin")["beside"]["changes"] == [[700_000, 0, 0, 0]]
    assert set(np.unique(leaf(tmp_path / "site", "a.bin-to-a.bin", 0, 0))) == {1}


def test_folders_are_compared_by_path_and_what_one_lacks_is_shown_alone(tmp_path):
    for side, own, number in (("x", {"gone": b"old" * 99}, 1), ("y", {"new": b"n"}, 2)):
        for name, data in {**own, "same": NOISE, "sub/c.json": b'{"a": %d}' % number}.items():
            write(tmp_path / side / name, data)
    run(difference(tmp_path / "x", tmp_path / "y"), tmp_path / "site", tmp_path / "cache")
    found = facts(tmp_path / "site", "x-to-y")
    assert found["tensors"]["name"] == ["gone", "new", "same", "sub/c.json"]
    assert found["beside"]["sizes"] == [[297, None], [None, 1], [700_000, 700_000], [8, 8]]
    assert found["beside"]["changes"] == [[0, 0, 297, 0], [0, 0, 0, 1], [700_000, 0, 0, 0], [7, 1, 0, 0]]
    page = (tmp_path / "site" / "x-to-y" / "files.html").read_text()
    assert "sub/c.json" in page and "changed" in page


def test_a_pair_of_json_files_has_its_page_of_keys_and_values(tmp_path):
    a, b = write(tmp_path / "old.json", b'{"a": 1, "b": [1, 2]}'), write(tmp_path / "new.json", b'{"a": 1, "b": [1, 2, 3]}')
    done = mwv("build", "--layout", "hilbert", "--diff", a, b, "-o", "site", "--no-cache", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "index.html: 1 difference; open it" in done.err
    page = (tmp_path / "site" / "old.json-to-new-json" / "files.html").read_text()
    assert "b[2]" in page


def test_standard_input_may_be_one_of_the_two(tmp_path, two):
    done = mwv("build", "--layout", "hilbert", "--diff", two[0], "-", "-o", "site", "--cache", "c", cwd=tmp_path, stdin=OTHER)
    assert done.code == 0, done.err
    assert facts(tmp_path / "site", "a.bin-to-stdin")["beside"]["titles"] == ["a.bin", "stdin"]


def test_what_cannot_be_compared_is_one_line(tmp_path, two):
    (tmp_path / "empty").touch()
    (tmp_path / "none").mkdir()
    for a, b, words in (
        (two[0], tmp_path / "in", "one is a file and one a folder"),
        (tmp_path / "empty", tmp_path / "empty", "hold no bytes"),
        (tmp_path / "none", tmp_path / "none", "hold no bytes"),
        (two[0], tmp_path / "nowhere", "nowhere"),
    ):
        done = mwv("build", "--layout", "hilbert", "--diff", a, b, "-o", "site", "--no-cache", cwd=tmp_path)
        assert done.code in (1, 2) and words in done.err, done.err
        assert "Traceback" not in done.err
        assert not (tmp_path / "site" / "index.html").exists()
    done = mwv("build", "--layout", "hilbert", "--diff", tmp_path / "empty", two[0], "-o", "site", "--no-cache", cwd=tmp_path)
    assert done.code == 0 and "left out empty: is empty" in done.err.splitlines()


def test_what_is_left_out_of_a_folder_on_both_sides_is_told_once(tmp_path, two):
    (two[0].parent / "empty").touch()
    done = mwv("build", "--layout", "hilbert", "--diff", "in", "in", "-o", "site", "--no-cache", cwd=tmp_path)
    assert done.code == 0 and done.err.count("is empty") == 1, done.err
    assert done.err.splitlines().count("left out in: empty: is empty") == 1


@pytest.mark.parametrize("tiles", ["xyz", "pmtiles"])
def test_tiles_lie_as_is_asked_for(tmp_path, two, tiles):
    run(difference(*two), tmp_path / "site", tmp_path / "cache", tiles=tiles)
    if tiles == "xyz":
        assert all((tmp_path / "site" / "a.bin-to-b.bin" / "tiles" / str(i) / "0" / "0" / "0.png").is_file() for i in (1, 2))
    else:
        assert len(list((tmp_path / "site" / "tiles").rglob("*.pmtiles"))) == 3


def test_the_picture_has_the_colours_of_what_changed(tmp_path, two):
    run(difference(*two), tmp_path / "site", tmp_path / "cache", png=tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    codes = leaf(tmp_path / "site", "a.bin-to-b.bin", 0, 0)
    colours = change_tables()[0].array()
    assert np.array_equal(pixels[:512, :512], colours[codes])


def test_a_difference_of_models_shows_their_other_files_too(tmp_path):
    from buildkit import write_tiny

    for side, config in (("base", {"hidden_size": 8}), ("tuned", {"hidden_size": 8, "new": True})):
        (tmp_path / side).mkdir()
        write_tiny(tmp_path / side / "model.safetensors")
        write(tmp_path / side / "config.json", json.dumps(config).encode())
        write(tmp_path / side / "same.txt", b"the same")
    wanted = ModelSettings(tmp_path / "tuned", against=tmp_path / "base")
    run(wanted, tmp_path / "site", tmp_path / "cache")
    found = facts(tmp_path / "site", "base-to-tuned", 3)
    assert (found["kind"], found["title"]) == ("byte-changes", "Files: Difference")
    assert found["tensors"]["name"] == ["config.json"]
    assert found["beside"]["scene"] == 3 and found["beside"]["changes"][0][3] > 0
    assert facts(tmp_path / "site", "base-to-tuned", 5)["title"] == "Files: tuned"
    again = run(wanted, tmp_path / "site", tmp_path / "cache")
    assert again["tiles"]["rendered"] == again["bytes"]["read"] == again["bytes"]["hashed"] == 0
    write(tmp_path / "tuned" / "config.json", json.dumps({"hidden_size": 8}).encode())
    run(wanted, tmp_path / "site", tmp_path / "cache")
    assert not list((tmp_path / "site" / "base-to-tuned").glob("scene-3-*.js"))


def test_memory_does_not_grow_with_the_files(tmp_path):
    peaks = []
    for size in (64 << 20, 512 << 20):
        paths = []
        for side in "ab":
            paths.append(tmp_path / f"{side}{size}")
            with paths[-1].open("wb") as file:
                file.truncate(size)
                file.seek(size // 2)
                file.write(side.encode())
        done = mwv("build", "--layout", "hilbert", "--diff", *paths, "-o", f"site{size}", "--no-cache", "-j", 2, cwd=tmp_path)
        assert done.code == 0, done.err
        peaks.append(done.rss)

    assert peaks[1] - peaks[0] < 128 << 20, peaks


def test_one_file_of_many_changes_takes_little_from_the_others(tmp_path, monkeypatch):
    """A tokenizer that was written anew has as many stretches as it has words; a page of ten files has room for them."""
    monkeypatch.setattr("mwv.changed_bytes._MOST", 4000)
    words = [f"word{n:05}" for n in range(400)]
    for side, between in (("x", " "), ("y", "\n")):
        for n in range(9):
            write(tmp_path / side / f"{n}.txt", b"a" * (n + 1) + side.encode())
        write(tmp_path / side / "words.txt", between.join(words).encode())
    run(difference(tmp_path / "x", tmp_path / "y"), tmp_path / "site", tmp_path / "cache")
    found = facts(tmp_path / "site", "x-to-y")["beside"]
    assert found["changes"][-1] == [9 * 400, 399, 0, 0]
    assert sum(len(one) for one in found["stretches"]) / 2 <= 4000
