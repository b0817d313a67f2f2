"""Differences and pages of bytes on the Hub: whole, equal to the site in a folder, and sent once."""

import json
import re
from collections.abc import Callable
from os.path import normpath
from pathlib import Path

import pytest
from buildkit import tree
from loophub import Hub
from publishkit import Run, published

EVERYWHERE = pytest.mark.parametrize("where", ["hf://datasets/ann/d@web/sites/x", "hf://buckets/ann/b/x"])
Folders = Callable[[str], Path]


@pytest.fixture
def folders(tmp_path: Path, model: Path, finetune: Path) -> Folders:
    """Two folders, a model and its finetune, with other files beside the weights."""

    def make(name: str) -> Path:
        folder = tmp_path / "pair" / name
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes((finetune if name == "tuned" else model).read_bytes())
        (folder / "config.json").write_text(f'{{"model_type": "{name}", "size": 8}}')
        (folder / "notes.txt").write_text(f"about {name}\n")
        return folder

    return make


def assert_whole(hub: Hub, where: str, here: Path) -> None:
    """What lies on the Hub is the folder, byte by byte, and holds all that its pages and its manifest name."""
    there = published(hub, where)
    assert there == tree(here)
    for path, entry in json.loads(there["site.json"])["files"].items():
        assert len(there[path]) == entry["size"], path
    for path in [path for path in there if path.endswith(".html")]:
        for link in re.findall(r'(?:href|src)="([^"#?:]+)"', there[path].decode()):
            assert normpath(f"{path}/../{link}") in there, (path, link)


@EVERYWHERE
@pytest.mark.parametrize("tiles", ["files", "xyz", "pmtiles"])
def test_a_difference_is_published_whole_and_once(
    ann: Hub, mwv_build: Run, folders: Folders, tmp_path: Path, where: str, tiles: str
) -> None:
    a, b = folders("base"), folders("tuned")
    arguments = ["--diff", a, b, "--tiles", tiles]
    assert mwv_build(*arguments, "-o", tmp_path / "here").code == 0
    assert mwv_build(*arguments, "-o", where).code == 0
    assert_whole(ann, where, tmp_path / "here")
    assert "base-to-tuned/files.html" in published(ann, where)
    ann.log.clear()
    again = mwv_build(*arguments, "-o", where)
    assert again.code == 0 and f"{where}: unchanged" in again.err and "0 tiles rendered" in again.err
    assert not ann.log.of(method="POST", path="*/commit/*") and not ann.log.of(path="*/batch")


@EVERYWHERE
def test_differences_that_come_and_go_leave_a_whole_site(
    ann: Hub, mwv_build: Run, folders: Folders, other: Path, tmp_path: Path, where: str
) -> None:
    """A second difference brings a page of all, a change of files another list, and what is removed is gone."""
    here = tmp_path / "here"
    a, b, c = folders("base"), folders("tuned"), folders("third")

    def both(*arguments: str | Path) -> None:
        for place in (here, where):
            assert mwv_build(*arguments, "-o", place).code == 0
        assert_whole(ann, where, here)

    both(other)
    both("--diff", a, b, c)
    assert "changes.html" in published(ann, where)
    (b / "config.json").write_text('{"model_type": "other"}')
    both("--diff", a, b, "--finetune", "--diff-metric", "exact")
    both("--remove", "base-to-third")
    assert "changes.html" not in published(ann, where)


@EVERYWHERE
@pytest.mark.parametrize("tiles", ["files", "pmtiles"])
def test_a_page_of_bytes_is_published_whole_and_once(
    ann: Hub, mwv_build: Run, folders: Folders, tmp_path: Path, where: str, tiles: str
) -> None:
    folder, here = folders("base"), tmp_path / "here"
    arguments = ["--layout", "hilbert", folder, "--tiles", tiles]
    for place in (here, where):
        assert mwv_build(*arguments, "-o", place).code == 0
    assert_whole(ann, where, here)
    ann.log.clear()
    again = mwv_build(*arguments, "-o", where)
    assert again.code == 0 and f"{where}: unchanged" in again.err
    assert not ann.log.of(method="POST", path="*/commit/*") and not ann.log.of(path="*/batch")
    (folder / "notes.txt").write_text("changed\n")
    for place in (here, where):
        assert mwv_build(*arguments, "-o", place).code == 0
    assert_whole(ann, where, here)


def test_a_difference_in_a_space_comes_with_what_shows_it(ann: Hub, mwv_build: Run, folders: Folders, tmp_path: Path) -> None:
    here = tmp_path / "here"
    assert mwv_build("--diff", folders("base"), folders("tuned"), "--space", "ann/difference", "-o", here).code == 0
    assert_whole(ann, "hf://spaces/ann/difference", here)
    assert "sdk: static" in ann.read("ann/difference", "README.md", "space").decode()
