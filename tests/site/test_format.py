"""In: FORMAT.md and a real site. Out: proof that each says what the other does."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
from safetensors.numpy import save_file
from synthetic import Built

from mwv.build import build
from mwv.pyramid.code import leaf_codes, magnitude, sign
from mwv.settings import ModelSettings, Settings
from mwv.site.data import parse
from mwv.site.writer import SiteWriter

FORMAT = (Path(__file__).parents[2] / "FORMAT.md").read_text("utf-8")


def tables() -> dict[str, list[list[str]]]:
    """Rows of each table by "heading / first cell of the table's head"."""
    found: dict[str, list[list[str]]] = {}
    heading = name = ""
    previous = ""
    for line in FORMAT.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").strip("`")
        elif line.startswith("|---"):
            first, second = (cell.strip() for cell in previous.split("|")[1:3])
            name = f"{heading} / {first}" if second in ("meaning", "what it is") else f"{heading} / {first}, {second}"
            found[name] = []
        elif line.startswith("|") and name:
            found[name].append([cell.strip() for cell in line.strip("|").split("|")])
        else:
            name = ""
        previous = line
    return found


def fields(table: str) -> set[str]:
    return {name for row in tables()[table] for name in re.findall(r"`([^`]+)`", row[0])}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, tiny: Built) -> Path:
    where = tmp_path_factory.mktemp("format") / "site"
    large = synthetic.many_tiles(tiny)
    with SiteWriter(where) as writer:
        writer.add_model(tiny.model, tiny.files, tiny.overview)
        writer.add_model(large.model, large.files, large.overview)
        writer.finish()
    return where


def script(site: Path, pattern: str, function: str) -> Any:
    return parse(next(iter(sorted(site.glob(pattern)))).read_bytes(), function)


def check(table: str, value: dict[str, Any], optional: set[str] | None = None) -> None:
    assert set(value) <= fields(table), f"{table}: not specified"
    assert fields(table) - (optional or set()) <= set(value), f"{table}: not written"


def test_every_field_of_every_file_is_specified(site: Path) -> None:
    index = json.loads((site / "site.json").read_bytes())
    check("site.json / field", index)
    check("site.json / field of a model", index["models"][0])
    check("site.json / field of a file", index["files"]["index.html"])
    entry = index["models"][-1]
    check("The list of tiles / field", json.loads((site / entry["slug"] / entry["tile_list"]).read_bytes()), {"keys"})
    check("The content of a model / field", json.loads((site / entry["slug"] / entry["content"]).read_bytes()))
    told = parse((site / "site.js").read_bytes(), "site")
    check("mwv.site / field", told)
    check("mwv.site / field of a model of `site.js`", told["models"][0])
    check("mwv.model / field", script(site, "tiny/model-*.js", "model"), {"page"})  # of models from the Hub
    scene = script(site, "tiny/scene-0-*.js", "scene")
    check("mwv.scene / field", scene)
    check("mwv.scene / field of `tiles`", scene["tiles"], {"archives", "windows"})
    check("mwv.scene / column of `tensors`", scene["tensors"])
    check("mwv.scene / column of `placements`", scene["placements"])
    check("mwv.tileMap / field", script(site, "large/tiles-0-*.js", "tileMap"))
    details = script(site, "tiny/details-0-0-*.js", "details")
    check("mwv.details / field", details)
    check("mwv.details / field of a tensor", details["tensors"][0])
    check("mwv.details / field of a panel", details["tensors"][0]["panels"][0])
    palettes = script(site, "assets/palettes-*.js", "palettes")
    check("Colour / field", palettes)
    check("Colour / field of a palette", palettes["palettes"][0])


def test_every_field_of_scenes_of_classes_is_specified(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in "ab":
        save_file({f"{name}.weight": rng.standard_normal((300, 200)).astype(np.float32)}, tmp_path / f"{name}.safetensors")
    models = tuple(ModelSettings(tmp_path / f"{name}.safetensors") for name in "ab")
    site = tmp_path / "site"
    build(Settings(models, site, None, xorbs=True))
    kept = json.loads(next((site / "a").glob("chunks-*.json")).read_bytes())
    check("The chunks of a model / field", kept)
    check("The chunks of a model / field of a file of chunks", kept["files"][0])
    xorbs, sharing = (script(site, f"a/scene-{i}-*.js", "scene") for i in (1, 2))
    check("mwv.scene` of kind `classes / field", xorbs)
    check("mwv.scene` of kind `classes / field", sharing, {"xorbs"})
    table = "mwv.scene` of kind `classes / field of a file of a scene"
    check(table, xorbs["files"][0] | sharing["files"][0])
    check("mwv.chunks / field", script(site, "a/chunks-1-0-0-*.js", "chunks"))
    check_listed(site)


def test_kinds_of_files_are_those_that_are_listed(site: Path) -> None:
    kinds = {entry["kind"] for entry in json.loads((site / "site.json").read_bytes())["files"].values()}
    row = next(row for row in tables()["site.json / field of a file"] if "kind" in row[0])
    assert kinds == set(re.findall(r'"(\w+)"', row[1]))


def test_every_file_of_a_site_is_in_the_list_of_files(site: Path) -> None:
    check_listed(site)


def check_listed(site: Path) -> None:
    listed = [row[0].strip("`") for row in tables()["The folder / file"]]
    patterns = []
    for name in listed:
        text = re.escape(name).replace(re.escape("<js,css,svg>"), "(js|css|svg)")
        text = re.sub(r"<(slug)>", r"[a-z0-9][a-z0-9._-]*", text)
        text = re.sub(r"<hash>", "[0-9a-f]{16}", text)
        patterns.append(re.compile(re.sub(r"<\w+>|\\\{\w\\\}", r"[A-Za-z0-9_]+", text)))
    files = [path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()]
    assert [name for name in files if not any(pattern.fullmatch(name) for pattern in patterns)] == []


def test_samples_have_the_fields_that_are_specified() -> None:
    for heading in ("The list of tiles", "The content of a model", "The chunks of a model", "mwv.model", "mwv.tileMap"):
        section = re.split(r"^#+ ", FORMAT, flags=re.MULTILINE)
        text = next(part for part in section if part.strip("`").startswith(heading))
        sample = re.search(r"```json\n(.*?)\n```", text, re.DOTALL)
        assert sample is not None
        check(f"{heading} / field", json.loads(sample[1]), {"keys", "page"})


def codes(cell: str) -> range:
    first, _, last = cell.partition("–")
    return range(int(first), int(last or first) + 1)


def test_classes_of_the_tile_code() -> None:
    covered = []
    for cell, meaning in tables()["The tile code / code"]:
        for code in codes(cell):
            covered.append(code)
            expected = next(
                (s for word, s in (("negative", -1), ("balanced", 0), ("positive", 1)) if meaning.startswith(word)), None
            )
            assert (magnitude(code) > 0) == (expected is not None)
            if expected is not None:
                assert sign(code) == expected
    assert covered == list(range(256))


def test_bins_of_the_tile_code() -> None:
    rows = tables()["The tile code / code, class"]
    assert len(rows) == 11
    for row in rows:
        code, (low, high, centre) = int(row[0]), (float(cell.replace("−", "-")) for cell in row[2:])
        assert math.isclose(math.log2(magnitude(code)), centre, abs_tol=1e-5)
        factor = sign(code)
        if factor:
            inside = [2 ** (low + 1e-5), 2 ** (high - 1e-5)]
            assert list(leaf_codes(factor * np.array(inside))) == [code, code]
