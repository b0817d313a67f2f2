"""In: names that want to break out. Out: pages and scripts in which they are nothing but text."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
import synthetic
from synthetic import Built

from mwv.site.data import parse
from mwv.site.text import visible
from mwv.site.writer import SiteWriter


class Reader(HTMLParser):
    """Elements with their attributes, and all text outside of scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text("utf-8"))
    return reader


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, odd: Built) -> Path:
    where = tmp_path_factory.mktemp("pages") / "site"
    hostile = synthetic.renamed(
        odd,
        title="</title><script>alert(1)</script>",
        source="<img src=x onerror=alert(2)>.safetensors",
        architecture='"><svg onload=alert(3)>',
        dtypes={"<b>F32": 5},
        facts={"hidden_size": "<i>", "list": [1, {"a": "</script>"}], "<key>": float("inf")},
        metadata={"<k>": "</dd><script>alert(4)</script>\nsecond\u2028line"},
        notes=("<script>alert(5)</script>",),
        date="<u>2024",
    )
    with SiteWriter(where) as writer:
        writer.add_model(hostile.model, hostile.files, hostile.overview)
        writer.finish()
    return where


def test_names_of_tensors_are_text(site: Path) -> None:
    for page in ("odd/index.html", "odd/tensors.html"):
        text = read(site / page).text
        for name in synthetic.ODD_NAMES:
            assert visible(name) in text, name


def test_nothing_that_a_model_says_becomes_an_element(site: Path) -> None:
    for page in sorted(site.rglob("*.html")):
        for tag, attributes in read(page).elements:
            assert tag not in ("b", "i", "u", "iframe")
            if tag == "svg":  # a picture on a button of ours
                assert attributes == {"viewbox": "0 0 16 16", "aria-hidden": "true"}
            assert not any(name.startswith("on") for name in attributes)
            if tag == "script":
                assert "src" in attributes
            if tag in ("script", "img", "link", "a"):
                target = attributes.get("src") or attributes.get("href") or ""
                assert (page.parent / target).is_file(), target


def test_everything_that_a_model_says_is_shown(site: Path) -> None:
    text = read(site / "odd/index.html").text
    for words in ("</title><script>alert(1)", "<img src=x onerror=alert(2)>", "<svg onload=alert(3)>", "<b>F32", "<u>2024"):
        assert words in text
    assert "second⟨U+2028⟩line" in text or "second\nline" in text
    assert "<script>alert(5)" in text
    assert "Left out" not in text
    gallery = read(site / "index.html").text
    assert "</title><script>alert(1)" in gallery
    assert "<b>F32" in gallery


def test_scripts_hold_names_exactly_and_nothing_that_ends_a_line(site: Path) -> None:
    for path in site.rglob("odd/*.js"):
        content = path.read_bytes()
        assert content.isascii() and content.count(b"\n") == 1
    scene = parse(next(site.glob("odd/scene-0-*.js")).read_bytes(), "scene")
    assert set(synthetic.ODD_NAMES) <= set(scene["tensors"]["name"])


def test_infinite_facts_are_null(site: Path) -> None:
    assert parse(next(site.glob("odd/model-*.js")).read_bytes(), "model")["facts"]["<key>"] is None


def test_no_path_of_the_machine_is_in_the_site(site: Path, tile_folder: Path) -> None:
    for path in site.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert str(site).encode() not in content and str(tile_folder).encode() not in content


def test_licences_of_vendored_libraries_come_along(site: Path) -> None:
    text = (site / "THIRD_PARTY.txt").read_text("utf-8")
    assert "leaflet 1.9.4 (BSD-2-Clause)" in text
    assert "Redistributions of source code must retain" in text


def test_a_page_without_script_shows_picture_and_table(site: Path) -> None:
    page = (site / "odd/index.html").read_text("utf-8")
    plain = page[page.rindex("<noscript>") :]
    reader = Reader()
    reader.feed(plain)
    picture = next(attributes for tag, attributes in reader.elements if tag == "img")
    assert picture["src"] == "overview.png" and "Overview of all weights" in (picture["alt"] or "")
    assert "model.embed_tokens.weight" in reader.text
    assert "no elements" in reader.text


def test_site_json_is_valid_whatever_the_names(site: Path) -> None:
    assert json.loads((site / "site.json").read_bytes())["models"][0]["title"] == "</title><script>alert(1)</script>"
