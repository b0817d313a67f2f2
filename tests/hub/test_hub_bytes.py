"""Bytes of what lies on the Hub: the same tiles as of the files themselves, fetched once."""

import json
from pathlib import Path

import numpy as np
import pytest
from loophub import Hub

from mwv.cli import main

FILES = {
    "a/data.bin": np.random.default_rng(1).integers(0, 256, 3_000_000, np.uint8).tobytes(),
    "a/b/notes.txt": b"plain text\n" * 20_000,
    "a/empty": b"",
}


def run(tmp_path: Path, *arguments: str, out: str) -> dict[str, object]:
    report = tmp_path / "report.json"
    main_arguments = ["build", "--layout", "hilbert", *arguments, "-o", str(tmp_path / out)]
    main([*main_arguments, "--cache", str(tmp_path / "cache"), "--report", str(report), "-j", "2"])
    return json.loads(report.read_text())["models"][0]


def tiles(site: Path) -> set[str]:
    return {path.name for path in (site / "tiles").rglob("*.png")}


@pytest.mark.parametrize("place", ["hf://ann/files/a", "hf://ann/files/a/data.bin"])
def test_a_folder_or_a_file_is_shown_and_fetched_once(hub: Hub, tmp_path: Path, place: str) -> None:
    hub.put("ann/files", FILES)
    local = tmp_path / "files"
    for name, content in FILES.items():
        path = local / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    first = run(tmp_path, place, out="site")
    shown = sum(map(len, FILES.values())) if place.endswith("/a") else len(FILES["a/data.bin"])
    assert first["bytes"]["source"] == shown  # type: ignore[index]
    assert shown <= first["hub"]["bytes"] <= 1.1 * shown + 100_000  # type: ignore[index]
    again = run(tmp_path, place, out="other")
    assert again["tiles"]["rendered"] == again["bytes"]["read"] == 0  # type: ignore[index]
    assert again["hub"]["bytes"] < 100_000  # type: ignore[index]
    names = ("a/b/notes.txt", "a/data.bin") if place.endswith("/a") else ("a/data.bin",)
    here = run(tmp_path, *(str(local / name) for name in names), out="here")
    assert here["tiles"]["rendered"] == 0  # type: ignore[index]
    assert tiles(tmp_path / "here") == tiles(tmp_path / "site")


def test_two_folders_there_are_compared_and_read_at_most_twice(hub: Hub, tmp_path: Path) -> None:
    new = {**FILES, "a/data.bin": FILES["a/data.bin"][:1000] + b"inserted" + FILES["a/data.bin"][1000:]}
    hub.put("ann/files", FILES)
    hub.put("ben/files", new)
    first = run(tmp_path, "--diff", "hf://ann/files/a", "hf://ben/files/a", out="site")
    (scene,) = (tmp_path / "site").glob("*/scene-0-*.js")
    told = json.loads(scene.read_text().removeprefix("mwv.scene(").removesuffix(");\n"))
    assert told["tensors"]["name"] == ["b/notes.txt", "data.bin"]
    assert told["beside"]["changes"][1] == [len(FILES["a/data.bin"]), 0, 0, 8]
    both = 2 * len(FILES["a/data.bin"]) + len(FILES["a/b/notes.txt"])
    assert first["hub"]["bytes"] <= 2 * both + 200_000  # type: ignore[index]
    again = run(tmp_path, "--diff", "hf://ann/files/a", "hf://ben/files/a", out="other")
    assert again["tiles"]["rendered"] == again["bytes"]["read"] == 0  # type: ignore[index]
    assert again["hub"]["bytes"] < 200_000  # type: ignore[index]
    here = tmp_path / "here" / "a"
    for name, content in FILES.items():
        if name.startswith("a/"):
            path = here / name.removeprefix("a/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    mixed = run(tmp_path, "--diff", str(here), "hf://ben/files/a", out="mixed")
    assert mixed["tiles"]["rendered"] == 0  # type: ignore[index]
