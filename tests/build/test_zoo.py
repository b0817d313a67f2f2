"""In: zoos and what happens to their models. Out: sites that follow them, and what was told about it."""

import glob
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from buildkit import settled, tree, weights, write_model, write_tiny
from safetensors.numpy import save_file

from mwv import build as builder
from mwv.build import build
from mwv.cli import main
from mwv.errors import ModelsFailedError, UsageError
from mwv.settings import ModelSettings, Settings
from mwv.site import writer
from mwv.site.templates import find_templates
from mwv.zoo import MOST_BYTES, read_zoo


def zoo(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def run(path: Path, **options: Any) -> dict[str, Any]:
    """Build a zoo; the report."""
    read = read_zoo(path)
    report = path.parent / "report.json"
    build(Settings(read.models, read.out, path.parent / "cache", zoo=read, report=report, **options))
    return json.loads(report.read_text())


def changes(report: dict[str, Any]) -> dict[str, str]:
    return {model["slug"]: model["change"] for model in report["models"]}


def entries(site: Path) -> dict[str, Any]:
    return {model["slug"]: model for model in json.loads((site / "site.json").read_bytes())["models"]}


def card_titles(site: Path) -> list[str]:
    return re.findall(r"<h3><a [^>]*>(.*?)</a>", (site / "index.html").read_text())


THREE = """
title = "Three"
[[model]]
source = "models/c.safetensors"
title = "First"
tags = ["chat", "small", "chat"]
group = "Text"
[[model]]
source = "models/a.safetensors"
slug = "own-name"
only = ["*.up_proj.weight"]
columns = 2
[[model]]
source = "models/b.safetensors"
"""


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A zoo of three models, two of which differ in one tensor."""
    write_tiny(tmp_path / "models" / "c.safetensors")
    write_model(tmp_path / "models" / "a.safetensors")
    write_model(tmp_path / "models" / "b.safetensors", seed=1)
    return zoo(tmp_path / "zoo.toml", THREE)


def test_models_stand_in_the_order_and_the_way_of_the_zoo(three: Path) -> None:
    report = run(three)
    site = three.parent / "site"
    assert changes(report) == {"first": "new", "own-name": "new", "b": "new"}
    found = entries(site)
    assert {slug: entry["rank"] for slug, entry in found.items()} == {"first": 0, "own-name": 1, "b": 2}
    assert found["first"]["title"] == "First" and found["first"]["tags"] == ["chat", "small"]
    assert found["first"]["group"] == "Text" and found["b"]["group"] == ""
    assert found["own-name"]["tensors"] == 2 and found["b"]["tensors"] == len(weights())
    assert found["own-name"]["layout"] != found["b"]["layout"]
    assert card_titles(site) == ["First", "a", "b"]
    assert json.loads((site / "site.json").read_bytes())["title"] == "Three"


def test_what_did_not_change_is_left_alone(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(three)
    before = tree(three.parent / "site")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("an unchanged model is neither laid out nor written")

    monkeypatch.setattr(builder, "draw", never)
    monkeypatch.setattr(writer.SiteWriter, "add_model", never)
    report = run(three)
    assert set(changes(report).values()) == {"unchanged"}
    for model in report["models"]:
        assert model["tiles"]["reused"] == model["tiles"]["total"] > 0 and model["tiles"]["rendered"] == 0
        assert model["bytes"]["read"] == model["bytes"]["hashed"] == 0
    assert tree(three.parent / "site") == before


def test_what_changed_is_told_and_nothing_else_is_done(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(three)
    write_model(three.parent / "models" / "b.safetensors", seed=2)
    capsys.readouterr()
    report = run(three)
    assert changes(report) == {"first": "unchanged", "own-name": "unchanged", "b": "changed: weights of 1 tensor"}
    rendered = {model["slug"]: model["tiles"]["rendered"] for model in report["models"]}
    assert rendered["first"] == rendered["own-name"] == 0 < rendered["b"]
    told = capsys.readouterr().err.splitlines()
    assert any(line.startswith("b: changed: weights of 1 tensor; ") for line in told)
    assert any(line.startswith(f"models: 1 changed, 2 unchanged; {rendered['b']} tiles rendered, ") for line in told)
    clean = zoo(three.parent / "clean" / "zoo.toml", THREE.replace('"models/', '"../models/'))
    run(clean)
    assert without_zoo(three.parent / "site") == without_zoo(clean.parent / "site")


def without_zoo(site: Path) -> dict[str, bytes]:
    """A site but for what tells which zoo made it, and where the models lay."""
    files = tree(site)
    value = json.loads(files.pop("site.json"))
    for entry in value["models"]:
        del entry["zoo"], entry["identity"]
    files["site.json"] = json.dumps(value).encode()
    return files


def test_tensors_that_come_and_go_count(three: Path) -> None:
    run(three)
    arrays = weights(1)
    del arrays["lm_head.weight"]
    arrays["extra.weight"] = np.ones((3, 5), np.float32)
    place = three.parent / "models" / "b.safetensors"
    save_file(arrays, place)
    settled(place)
    assert changes(run(three))["b"] == "changed: weights of 2 tensors"


def test_other_options_are_told_and_draw_nothing(three: Path) -> None:
    run(three)
    three.write_text(THREE.replace('title = "First"', 'title = "Number one"').replace("columns = 2", "columns = 1"))
    report = run(three)
    assert changes(report) == {"first": "changed: options", "own-name": "changed: options", "b": "unchanged"}
    assert card_titles(three.parent / "site") == ["Number one", "a", "b"]
    three.write_text(three.read_text().replace('only = ["*.up_proj.weight"]\n', ""))
    assert changes(run(three))["own-name"] == "changed: options"


def test_an_order_that_changed_is_no_change_of_models(three: Path) -> None:
    run(three)
    head, *models = THREE.split("[[model]]")
    three.write_text("[[model]]".join([head, *reversed(models)]))
    assert set(changes(run(three)).values()) == {"unchanged"}
    assert card_titles(three.parent / "site") == ["First", "b", "a"]  # groups first
    assert [entries(three.parent / "site")[slug]["rank"] for slug in ("b", "own-name", "first")] == [0, 1, 2]


def test_new_templates_are_told_and_make_new_pages(three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(three)
    templates = tmp_path / "templates"
    shutil.copytree(find_templates(), templates)
    page = templates / "pages" / "model.html"
    page.write_text(page.read_text().replace("<main>", "<main><!-- new -->"))
    monkeypatch.setattr(writer, "find_templates", lambda: templates)
    assert set(changes(run(three)).values()) == {"changed: templates"}
    assert all("<!-- new -->" in (tmp_path / "site" / slug / "index.html").read_text() for slug in ("first", "own-name", "b"))


def test_what_the_zoo_names_no_longer_is_taken_out_and_nothing_else(three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = three.parent
    run(three)
    other = zoo(folder / "other" / "zoo.toml", '[[model]]\nsource = "../models/a.safetensors"\nslug = "other"\n')
    read = read_zoo(other)
    build(Settings(read.models, folder / "site", folder / "cache", zoo=read))
    by_hand = write_tiny(folder / "models" / "hand.safetensors", seed=5)
    build(Settings((ModelSettings(by_hand),), folder / "site", folder / "cache"))
    three.write_text(THREE.partition('[[model]]\nsource = "models/a')[0])
    capsys.readouterr()
    assert run(three)["taken_out"] == ["b", "own-name"]
    assert "2 taken out" in capsys.readouterr().err
    assert set(entries(folder / "site")) == {"first", "hand", "other"}
    assert not (folder / "site" / "own-name").exists()


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_a_model_that_fails_keeps_its_page_and_stops_no_other(three: Path, harm: str) -> None:
    run(three)
    site, place = three.parent / "site", three.parent / "models" / "a.safetensors"
    before = tree(site / "own-name")
    if harm == "gone":
        place.unlink()
    else:
        place.write_bytes(b"\xff" * 100)
    write_model(three.parent / "models" / "b.safetensors", seed=3)
    with pytest.raises(ModelsFailedError) as failure:
        run(three)
    assert len(failure.value.lines) == 2 and "1 of 3 models failed" in failure.value.lines[0]
    assert "a.safetensors" in failure.value.lines[1]
    report = json.loads((three.parent / "report.json").read_text())
    assert changes(report) == {"first": "unchanged", "b": "changed: weights of 1 tensor"}
    assert tree(site / "own-name") == before and set(entries(site)) == {"first", "own-name", "b"}
    # Once it is back, it is what it was.
    write_model(place)
    assert changes(run(three))["own-name"] == "unchanged"


def test_a_file_that_is_gone_from_the_site_is_put_back(three: Path) -> None:
    run(three)
    site = three.parent / "site"
    whole = tree(site)
    for path in (next((site / "tiles").rglob("*.png")), site / "first" / "overview.png", site / "b" / "index.html"):
        path.unlink()
    run(three)
    assert tree(site) == whole


def test_a_zoo_built_in_steps_is_the_same_as_at_once(three: Path) -> None:
    run(three)
    want = tree(three.parent / "site")
    shutil.rmtree(three.parent / "site")
    three.write_text(THREE.rpartition("[[model]]")[0])
    run(three)
    three.write_text(THREE)
    run(three)
    assert tree(three.parent / "site") == want


def test_two_views_of_one_file_stay_two(three: Path) -> None:
    model = '[[model]]\nsource = "models/a.safetensors"\n'
    three.write_text(model + model + 'title = "Ups"\nonly = ["*up*"]\n')
    for change in ("new", "unchanged"):
        assert changes(run(three)) == {"a": change, "ups": change}
    assert entries(three.parent / "site")["ups"]["tensors"] == 2


def test_patterns_name_many_but_nothing_twice(tmp_path: Path) -> None:
    for name in ("b", "a", "model-00001-of-00002", "model-00002-of-00002", ".hidden"):
        write_tiny(tmp_path / "models" / f"{name}.safetensors")
    text = """
[[model]]
source = "models/*.safetensors"
tags = ["rest"]
[[model]]
source = "models/b.safetensors"
title = "Bee"
"""
    read = read_zoo(zoo(tmp_path / "zoo.toml", text))
    assert [model.source.name for model in read.models] == [
        "a.safetensors",
        "model-00001-of-00002.safetensors",
        "b.safetensors",
    ]
    assert [model.tags for model in read.models] == [("rest",), ("rest",), ()]


COMPARED = """
[[model]]
source = "models/a.safetensors"
[[model]]
source = "models/*.safetensors"
against = "models/a.safetensors"
group = "Differences"
[[model]]
source = "models/b.safetensors"
against = "models/a.safetensors"
layout = "hilbert"
[[model]]
source = "models/b.safetensors"
layout = "hilbert"
title = "Bytes of b"
"""


def test_a_zoo_shows_differences_and_bytes_beside_models(three: Path) -> None:
    (three.parent / "models" / "c.safetensors").unlink()
    three.write_text(COMPARED)
    slugs = {"a", "a-to-b", "a.safetensors-to-b.safetensors", "bytes-of-b"}
    assert changes(run(three)) == dict.fromkeys(slugs, "new")
    assert changes(run(three)) == dict.fromkeys(slugs, "unchanged")
    found = entries(three.parent / "site")
    assert found["a-to-b"]["compares"] == ["a", "b"] and found["a-to-b"]["group"] == "Differences"
    assert [found[slug]["format"] for slug in sorted(slugs)] == ["safetensors", "safetensors", "bytes", "bytes"]
    again = changes(run(three, metric="exact"))
    assert again.pop("a-to-b").startswith("changed") and set(again.values()) == {"unchanged"}


def test_a_comparison_whose_files_are_gone_keeps_its_page(three: Path) -> None:
    (three.parent / "models" / "c.safetensors").unlink()
    three.write_text(COMPARED.replace("models/*", "models/b"))
    run(three)
    before = tree(three.parent / "site")
    for name in "ab":
        place = three.parent / "models" / f"{name}.safetensors"
        place.rename(place.with_suffix(".away"))
        with pytest.raises(ModelsFailedError):
            run(three)
        place.with_suffix(".away").rename(place)
        assert tree(three.parent / "site") == before
    three.write_text(THREE.rpartition("[[model]]")[2].join(("[[model]]", "")))
    assert sorted(run(three)["taken_out"]) == ["a", "a-to-b", "a.safetensors-to-b.safetensors", "bytes-of-b"]


@pytest.mark.parametrize("flag", [["--stream", "-o", "hf://datasets/a/b"], ["--show-xet-xorbs"], ["--tile-format", "avif"]])
def test_what_does_not_go_with_differences_in_a_zoo_is_told(
    three: Path, flag: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    three.write_text(COMPARED)
    with pytest.raises(SystemExit) as stop:
        main(["build", str(three), *flag])
    assert stop.value.code == 2 and flag[0] in capsys.readouterr().err


def test_a_pattern_names_what_glob_does_and_looks_at_so_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/x/1.gguf", "a/.h/2.gguf", "a/[b]/3.gguf", ".c/x/4.gguf", "d/x/5.bin", "e.gguf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for pattern in ("*/*/*.gguf", "*/x/*", "a/*/../x/?.gguf", "[!d]/*", ".*/*/*", "*/.h/*", "a/[[]b]/*", "*", "no/*"):
        (tmp_path / "zoo.toml").write_text(f"[[model]]\nsource = '{pattern}'\n")
        found = [str(model.source) for model in read_zoo(tmp_path / "zoo.toml").models]
        assert found == sorted(glob.glob(str(tmp_path / pattern))), pattern  # noqa: PTH207
    (tmp_path / "zoo.toml").write_text("[[model]]\nsource = '*/*/*'\n")
    monkeypatch.setattr("mwv.zoo.MOST_ENTRIES", 9)  # zoo.toml, .c, a, d, e.gguf; in a and d four; one more
    with pytest.raises(UsageError, match=r"line 2: source leads through more than 9 files and folders: name more of it"):
        read_zoo(tmp_path / "zoo.toml")


def test_a_pattern_that_matches_nothing_fails_and_takes_nothing_out(three: Path) -> None:
    three.write_text('[[model]]\nsource = "models/*.safetensors"\n')
    assert len(run(three)["models"]) == 3
    (three.parent / "models").rename(three.parent / "unmounted")
    with pytest.raises(ModelsFailedError, match=r"zoo\.toml, line 2: nothing \(more\) matches models/\*\.safetensors"):
        run(three)
    assert set(entries(three.parent / "site")) == {"a", "b", "c"}


MODEL = '[[model]]\nsource = "x"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1: model is missing: begin each model with \[\[model\]\]"),
        ("model = []", "line 1: model is missing"),
        ("\nmodel = 5", "line 2: model is missing"),
        ("model = [1]", "line 1: model is missing"),
        ("[model]\nsource = 'x'", "line 1: model is missing"),
        ("[[model]]\n\n[[model]]\nsource = 'x'", "line 1: source is missing"),
        (MODEL + "diff = 'base'", r"line 3: unknown key 'diff'; a model has source, title, slug, tags, group, only, columns"),
        (MODEL + MODEL + "\n\"diff\" = 'base'", "line 6: unknown key 'diff'"),
        ("titel = 'x'\n" + MODEL, "line 1: unknown key 'titel'; a zoo has title, out, model"),
        (MODEL + "[[diff]]\na = 1", "line 3: unknown key 'diff'; a zoo has"),
        ("title = 5\n" + MODEL, "line 1: title takes text"),
        ("title = ''\n" + MODEL, "line 1: title takes text"),
        (MODEL + "title = '" + "x" * 201 + "'", "line 3: title takes text of 1 to 200"),
        (MODEL + "tags = 'one'", "line 3: tags takes a list"),
        (MODEL + "tags = [1]", "line 3: tags takes a list"),
        (MODEL + "tags = [" + "'x'," * 101 + "]", "line 3: tags takes a list"),
        (MODEL + "only = {a = 1}", "line 3: only takes a list"),
        (MODEL + "slug = '../up'", "line 3: slug names a folder"),
        (MODEL + "slug = 'tiles'", "line 3: slug names a folder"),
        (MODEL + "slug = 'a'\n" + MODEL + "slug = 'a'", "line 6: slug a is another model's"),
        (MODEL + "columns = 0", "line 3: columns takes"),
        (MODEL + "columns = true", "line 3: columns takes"),
        (MODEL + "columns = 2.0", "line 3: columns takes"),
        (MODEL + "layout = 'spiral'", 'line 3: layout is "arch" or "hilbert"'),
        (MODEL + "layout = 'hilbert'\nonly = ['a']", "line 4: only means nothing for bytes"),
        (MODEL + "against = 5", "line 3: against takes text"),
        (MODEL + "against = 'y'\nurl = 'https://a.example/'", "line 4: url means nothing"),
        ("[[model]]\nsource = 'a\\u0000'", "line 2: nothing"),
        ('[[model]]\nsource = "a\\u0000"', "line 2: source takes text"),
        ("x = [\n]]", r"is no TOML: .*line 2"),
        ("x = 1\nx = 2\n", r"is no TOML: .*line 2"),
        ("x = " + "[" * 1_900, "is nested too deeply"),
        ("x = [\n" * 30_000, "is nested too deeply|is no TOML"),
        ("\nx = " + "9" * 100_000, "line 2: is longer than 2,000 characters"),
        (" " * 200_000, "line 1: is longer than"),
        (("a." * 900 + "b = 1\n") * 100, "unknown key 'a'|is no TOML"),
        (MODEL + "source = 1", "is no TOML"),
        ("[[model]]\nsource = '" + "*/" * 600 + "'", "line 2: source takes text of 1 to 1,024"),
        ("\ufeffx", "is no TOML"),
    ],
)
def test_what_is_no_zoo_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = zoo(tmp_path / "zoo.toml", text)
    if "u0000'" in text:  # a literal string: backslashes are backslashes, and no such file is there
        assert read_zoo(path).models
        return
    with pytest.raises(UsageError, match=message) as error:
        read_zoo(path)
    assert str(error.value).startswith(f"{path}") and "\n" not in str(error.value)
    assert len(str(error.value)) < 600 + len(str(path))


def test_files_that_cannot_be_a_zoo(tmp_path: Path) -> None:
    path = tmp_path / "zoo.toml"
    with pytest.raises(UsageError, match="No such file"):
        read_zoo(path)
    path.write_bytes(MODEL.encode() + b"title = '\xff'")
    with pytest.raises(UsageError, match=f"is no UTF-8 at byte {len(MODEL) + 9}"):
        read_zoo(path)
    path.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(UsageError, match="larger than"):
        read_zoo(path)


def command(*arguments: object) -> int:
    try:
        main(["build", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_command_builds_a_zoo_beside_it_or_elsewhere(
    three: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(three.parent / "models")
    cache = ("--cache", three.parent / "cache")
    assert command("../zoo.toml", *cache) == 0
    assert set(entries(three.parent / "site")) == {"first", "own-name", "b"}
    three.write_text('out = "public/models"\n' + THREE)
    assert command("../zoo.toml", *cache) == 0
    assert (three.parent / "public" / "models" / "index.html").is_file()
    assert command("../zoo.toml", "-o", "here", *cache) == 0
    assert (three.parent / "models" / "here" / "index.html").is_file()
    capsys.readouterr()
    assert command("../zoo.toml", "--dry-run", *cache) == 0
    assert capsys.readouterr().out.count("tiles") == 3


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["models/a.safetensors"], "is built alone"),
        (["--demo"], "--demo"),
        (["--columns", "2"], "--columns"),
        *[([flag, "x"], flag) for flag in ("--title", "--only", "--png", "--remove")],
    ],
)
def test_a_zoo_says_itself_what_is_shown(three: Path, more: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(three, *more) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line and str(three) in line
    assert not (three.parent / "site").exists()
