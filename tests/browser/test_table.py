"""In: sites in Chromium, one of 50,000 tensors. Out: the table of tensors, searched, sorted, filtered, saved."""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import synthetic
from playwright.sync_api import Locator, Page, expect
from safetensors.numpy import save_file
from serving import served
from sheets import click_on
from synthetic import ODD_NAMES, Built
from viewing import open_model, settle

from mwv.build import build
from mwv.settings import ModelSettings, Settings
from mwv.site.text import visible
from mwv.site.writer import SiteWriter

PageFactory = Callable[..., Page]
MANY = 50_000


@pytest.fixture(scope="session")
def many_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("many") / "site"
    built = synthetic.many_tensors(MANY)
    with SiteWriter(where) as writer:
        writer.add_model(built.model, built.files, built.overview)
        writer.finish()
    return where


@pytest.fixture(scope="session")
def many_http(many_site: Path) -> Iterator[str]:
    with served(many_site) as address:
        yield address


def open_table(page: Page) -> Locator:
    page.get_by_role("button", name="Tensors", exact=True).click()
    grid = page.get_by_role("grid", name="Tensors")
    expect(grid).to_be_visible()
    return grid


def names(page: Page) -> list[str]:
    """The names in the page, from the top."""
    rows = page.locator("#table .body [role=row]").evaluate_all(
        "rows => rows.map((row) => [Number(row.ariaRowIndex ?? row.getAttribute('aria-rowindex')), row.firstChild.textContent])"
    )
    return [name for _, name in sorted(rows)]


def row(page: Page, name: str) -> Locator:
    header = page.get_by_role("rowheader", name=name, exact=True)
    return page.locator("#table .body [role=row]").filter(has=header)


def column(page: Page, title: str) -> Locator:
    return page.get_by_role("columnheader", name=title, exact=True)


def test_one_of_a_thing_is_not_told_as_many(page: Page, tmp_path: Path) -> None:
    save_file({"w": np.array([0.5], np.float32)}, tmp_path / "one.safetensors")
    build(Settings((ModelSettings(tmp_path / "one.safetensors"),), tmp_path / "site", tmp_path / "cache", jobs=1))
    root = (tmp_path / "site").as_uri()
    open_model(page, root, "one")
    expect(page.locator(".summary span").first).to_have_text("1 parameter")
    open_table(page)
    expect(page.locator("#table .count")).to_have_text("1 tensor · 1 element · 4 B")
    page.goto(f"{root}/one/tensors.html")
    expect(page.locator(".masthead")).to_contain_text("1 tensor · 1 parameter · 4 B")
    page.goto(f"{root}/index.html")
    expect(page.locator(".masthead")).to_contain_text("1 model · 1 parameter · 4 B")
    expect(page.locator(".card .lead")).to_have_text("1 parameter")


def test_every_tensor_is_listed_with_its_numbers(page: Page, root: str, models: dict[str, Built]) -> None:
    open_model(page, root, "odd")
    grid = open_table(page)
    model = models["odd"].model
    placements = model.scenes[0].canvas.placements
    expect(grid).to_have_attribute("aria-rowcount", str(len(placements) + 2))  # the heads, and the tensor without elements
    total = sum(t.nbytes // 4 for t in model.tensors)
    counted = f"{len(placements) + 1} tensors · {total:,} elements · ".replace(",", "\u202f")
    expect(page.locator("#table .count")).to_contain_text(counted)
    tensor = model.tensors[0]
    stats = tensor.stats[0]
    cells = row(page, tensor.name).get_by_role("gridcell").all_inner_texts()
    assert cells[:4] == ["F32", "700 × 1400", "980\u202f000", "3\u202f920\u202f000"]
    for cell, value in zip(cells[4:7], (stats.rms, stats.minimum, stats.maximum), strict=True):
        assert value is not None and float(cell.replace("−", "-")) == pytest.approx(value, rel=6e-4)
    assert float(cells[7]) == pytest.approx(100 * stats.zeros / stats.elements, rel=6e-3)
    assert cells[8:] == ["2", "", "embed_tokens"]
    page.get_by_label("Search tensors by name").fill("lm_head")
    assert row(page, "lm_head.weight").get_by_role("gridcell").all_inner_texts()[:4] == ["missing", "200 × 300", "", ""]
    for name in ODD_NAMES:
        page.get_by_label("Search tensors by name").fill(visible(name).strip())
        assert visible(name) in names(page)
    assert page.locator("#table script, #table img").count() == 0


@pytest.mark.parametrize(("title", "field"), [("RMS", "rms"), ("Min", "minimum"), ("Max", "maximum")])
def test_columns_sort_both_ways(page: Page, http: str, models: dict[str, Built], title: str, field: str) -> None:
    open_model(page, http, "odd")
    open_table(page)
    before = names(page)
    measured = [(getattr(t.stats[0], field), visible(t.name)) for t in models["odd"].model.tensors if t.stats]
    head = column(page, title)
    expect(head).to_have_attribute("aria-sort", "none")
    for state, down in (("descending", True), ("ascending", False)):
        head.get_by_role("button").click()
        expect(head).to_have_attribute("aria-sort", state)
        wanted = [name for _, name in sorted(measured, key=lambda item: item[0], reverse=down)]
        page.locator("#table .grid").evaluate("grid => grid.scrollTo(0, 0)")
        shown = names(page)
        assert shown == wanted[: len(shown)] and len(shown) > 10
        page.get_by_role("grid").focus()
        page.keyboard.press("End")
        expect(row(page, "lm_head.weight")).to_be_visible()  # what has no number comes last, either way
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "none")
    assert names(page) == before


def test_names_sort_as_people_count(page: Page, many_http: str) -> None:
    open_model(page, many_http, "many")
    open_table(page)
    column(page, "Name").get_by_role("button").click()
    expect(column(page, "Name")).to_have_attribute("aria-sort", "ascending")
    shown = names(page)
    assert shown == [f"model.layers.{i // 10}.block.{i % 10}.weight" for i in range(len(shown))]
    page.get_by_role("grid").focus()
    page.keyboard.press("End")
    expect(row(page, f"model.layers.{MANY // 10 - 1}.block.9.weight")).to_be_in_viewport()


def test_filters_and_what_they_leave(page: Page, http: str, models: dict[str, Built]) -> None:
    open_model(page, http, "odd")
    open_table(page)
    count = page.locator("#table .count")
    table = page.locator("#table")
    table.get_by_label("only with NaN/Inf").check()
    assert names(page) == ["model.embed_tokens.weight"]
    expect(count).to_have_text("1 of 27 tensors · 980\u202f000 elements · 3.74 MiB")
    table.get_by_label("only with NaN/Inf").uncheck()
    table.get_by_label("Stack").select_option("model.layers")
    expect(count).to_contain_text("24 of 27 tensors")
    table.get_by_label("Layer").select_option("layer 3")
    layer = [t for p in models["odd"].model.scenes[0].canvas.placements if p.role.layer == 3 for t in [p.name]]
    assert sorted(names(page)) == sorted(map(visible, layer))
    table.get_by_label("Stack").select_option("in no stack")
    expect(count).to_contain_text("3 of 27 tensors")
    table.get_by_label("Stack").select_option("all stacks")
    table.get_by_label("Search").fill("zzz")
    expect(table).to_contain_text("No tensor fits")
    expect(count).to_contain_text("0 of 27 tensors")


def test_types_are_filtered(page: Page, real_http: str, smollm2: Path) -> None:
    open_model(page, real_http, "smollm2-135m-instruct.q4_1")
    open_table(page)
    counts = Counter(tensor.tensor_type.name for tensor in gguf.GGUFReader(smollm2).tensors)
    assert len(counts) == 3
    for name, count in counts.items():
        page.locator("#table").get_by_label("Type", exact=True).select_option(name)
        expect(page.locator("#table .count")).to_contain_text(f"{count} of {counts.total()} tensors")
        types = page.locator("#table .body [role=row] :nth-child(2)").all_inner_texts()
        assert types and set(types) == {name}


def test_search_as_in_an_editor(page: Page, root: str) -> None:
    open_model(page, root, "odd")
    page.keyboard.press("/")
    search = page.get_by_label("Search tensors by name")
    expect(search).to_be_focused()
    page.keyboard.type("embtok")
    assert names(page) == ["model.embed_tokens.weight"]
    assert page.locator("#table mark").all_inner_texts() == ["emb", "tok"]
    search.fill("norm 5")
    assert names(page) == ["model.layers.5.norm.weight"]
    assert sorted(page.locator("#table mark").all_inner_texts()) == ["5", "norm"]
    search.fill("L6 QP")
    assert names(page) == ["model.layers.6.attn.q_proj.weight"]
    page.keyboard.press("Enter")
    expect(page.locator("#tensor h2")).to_have_text("model.layers.6.attn.q_proj.weight")
    search.fill("")
    search.press("Escape")
    expect(page.locator("#table")).to_be_hidden()


def best(word: str, text: str) -> int | None:
    """The score of the best way to find a word, by trying all of them."""

    def kind(c: str) -> int:
        return 1 if c.isdigit() else 2 if c.isalpha() else 0

    def bonus(i: int) -> int:
        if not kind(text[i]):
            return 0
        return 10 if i == 0 or text[i - 1] == "." else 8 if kind(text[i - 1]) != kind(text[i]) else 0

    @cache
    def rest(letter: int, after: int) -> float:
        """Of the letters from `letter` on, when the one before stands at `after`."""
        if letter == len(word):
            return 0
        ways = [float("-inf")]
        for i in range(after + 1, len(text)):
            if text[i] == word[letter]:
                ways.append(16 + (10 if i == after + 1 else bonus(i) - 3 - (i - after - 2)) + rest(letter + 1, i))
        return max(ways)

    starts = [16 + 2 * bonus(i) + rest(1, i) for i in range(len(text)) if text[i] == word[0]]
    score = max(starts, default=float("-inf"))
    return None if score == float("-inf") else int(score)


def test_the_best_of_all_ways_to_find_a_word_counts(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    rng = random.Random(3)
    cases = [
        ("".join(rng.choices("ab1.", k=rng.randint(1, 5))), "".join(rng.choices("ab1._", k=rng.randint(1, 18))))
        for _ in range(800)
    ]
    cases += [("qproj", "model.layers.11.self_attn.q_proj.weight"), ("l1qw", "model.layers.11.self_attn.q_proj.weight")]
    found: list[list[Any]] = page.evaluate(
        """cases => cases.map(([word, text]) => {
            const score = mwv.fuzzy.score([word], text);
            return [score, score === null ? "" : mwv.fuzzy.places([word], text).map((i) => text[i]).join("")];
        })""",
        cases,
    )
    for (word, text), (score, letters) in zip(cases, found, strict=True):
        assert score == best(word, text), (word, text)
        assert letters == ("" if score is None else word)
    assert sum(score is not None for score, _ in found) > 200


def test_after_a_sorted_column_a_search_lists_the_best_first(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    open_table(page)
    column(page, "RMS").get_by_role("button").click()
    page.get_by_label("Search tensors by name").fill("q_proj 6")
    best = names(page)
    assert best[0] == "model.layers.6.attn.q_proj.weight"


def test_a_link_lists_the_same_tensors(new_page: PageFactory, root: str) -> None:
    page = new_page()
    open_model(page, root, "odd")
    table = open_table(page).locator("xpath=..")
    table.get_by_label("Stack").select_option("model.layers")
    table.get_by_label("Layer").select_option("layer 3")
    table.get_by_label("Search").fill("%2C, w")
    expect(page.locator("#table .empty")).to_be_visible()
    table.get_by_label("Search").fill("weight")
    column(page, "RMS").get_by_role("button").click()
    page.wait_for_function("() => location.hash === '#l=open,q:weight,stack:.model.layers,layer:3,sort:-rms'")
    other = new_page()
    other.goto(page.url)
    settle(other)
    assert names(other) == names(page) and len(names(page)) == 2
    assert column(other, "RMS").get_attribute("aria-sort") == "descending"
    assert other.get_by_label("Search tensors by name").input_value() == "weight"
    other.get_by_role("button", name="Close the table").click()
    other.wait_for_function("() => location.hash === ''")


@pytest.mark.parametrize(
    ("fragment", "query", "count"),
    [
        ("l=open", "", 27),
        ("l=open,q:%252C%2525%25,type:F99,stack:.no,layer:77,sort:-nothing,odd", "%2C%%".replace("%2C", ","), 0),
        ("l=open,,:,q,layer:-1", "", 27),
        ("l=shut,q:zzz", None, 0),
    ],
)
def test_a_damaged_link_lists_what_it_can(page: Page, http: str, fragment: str, query: str | None, count: int) -> None:
    page.goto(f"{http}/odd/index.html#{fragment}")
    settle(page)
    expect(page.locator("#table")).to_be_visible(visible=query is not None)
    if query is not None:
        assert page.get_by_label("Search tensors by name").input_value() == query
        assert page.locator("#table .grid").get_attribute("aria-rowcount") == str(count + 1)
        assert page.locator("#table [aria-sort=none]").count() == 12


def test_a_click_flies_there_and_rows_follow_the_selection(new_page: PageFactory, root: str, models: dict[str, Built]) -> None:
    page = new_page(reduced_motion="reduce")
    open_model(page, root, "odd")
    open_table(page)
    page.get_by_label("Search tensors by name").fill("layers.7")
    name = "model.layers.7.attn.q_proj.weight"
    row(page, name).click()
    expect(page.locator("#tensor h2")).to_have_text(name)
    expect(row(page, name)).to_have_attribute("aria-selected", "true")
    placement = next(p for p in models["odd"].model.scenes[0].canvas.placements if p.name == name)
    box = placement.rect(placement.pieces[0])
    centre = page.evaluate("(c => [c.lng, c.lat])(mwv.view.map.getCenter())")
    assert centre == pytest.approx([box.x + box.width / 2, box.y + box.height / 2], abs=2)
    page.get_by_label("Search tensors by name").fill("")
    page.get_by_role("grid").focus()
    page.keyboard.press("Home")
    expect(row(page, name)).to_have_count(0)
    click_on(page, 1536 + 100, 512 + 6 * 512 + 325, 1)  # the vector of layer 6
    expect(row(page, "model.layers.6.norm.weight")).to_be_in_viewport()
    expect(row(page, "model.layers.6.norm.weight")).to_have_attribute("aria-selected", "true")
    row(page, "model.empty <b>").or_(page.get_by_role("grid")).first.focus()
    page.keyboard.press("End")
    row(page, "model.empty <b>").click()  # it stands nowhere
    expect(page.locator("#tensor h2")).to_have_text("model.layers.6.norm.weight")


def in_page(page: Page) -> int:
    return page.locator("#table .body [role=row]").count()


def test_fifty_thousand_rows_by_keys(page: Page, many_http: str) -> None:
    open_model(page, many_http, "many")
    grid = open_table(page)
    expect(grid).to_have_attribute("aria-rowcount", str(MANY + 1))
    expect(page.locator("#table .count")).to_have_text("50\u202f000 tensors · 6\u202f400\u202f000 elements · 12.2 MiB")
    grid.focus()

    def active() -> str:
        return str(page.locator(f"#{grid.get_attribute('aria-activedescendant')}").get_attribute("aria-rowindex"))

    for key, at in (("ArrowDown", 3), ("End", MANY + 1), ("ArrowUp", MANY), ("Home", 2), ("ArrowUp", 2)):
        page.keyboard.press(key)
        assert active() == str(at)
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    assert 12 < int(active()) < 40
    page.keyboard.press("PageUp")
    page.keyboard.press("PageUp")
    assert active() == "2"
    page.keyboard.press("End")
    last = row(page, f"model.layers.{MANY // 10 - 1}.block.9.weight")
    expect(last).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    expect(page.locator("#tensor h2")).to_have_text(f"model.layers.{MANY // 10 - 1}.block.9.weight")
    assert in_page(page) < 60


def test_fifty_thousand_rows_by_the_wheel(page: Page, many_http: str) -> None:
    open_model(page, many_http, "many")
    grid = open_table(page)
    box = grid.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    for distance in (300, 5000, 200_000, 2_000_000):
        before = grid.evaluate("grid => grid.scrollTop")
        page.mouse.wheel(0, distance)
        page.wait_for_function("before => document.querySelector('#table .grid').scrollTop > before", arg=before)
        page.wait_for_function(  # every pixel of the body in sight belongs to a row
            """() => { const grid = document.querySelector("#table .grid").getBoundingClientRect();
                const at = (y) => document.elementFromPoint(grid.left + 200, y)?.closest("[role=row]");
                return at(grid.top + 40) && at(grid.top + grid.height / 2) && at(grid.bottom - 20); }"""
        )
        assert in_page(page) < 60
    expect(row(page, f"model.layers.{MANY // 10 - 1}.block.9.weight")).to_be_in_viewport()
    page.get_by_label("Search tensors by name").fill("4321 block7")
    assert names(page) == ["model.layers.4321.block.7.weight"]


def saved(page: Page, kind: str) -> str:
    with page.expect_download() as download:
        page.locator("#table").get_by_role("button", name=kind).click()
    assert download.value.suggested_filename == f"odd-tensors.{kind.lower()}"
    return Path(download.value.path()).read_bytes().decode()


def test_what_is_listed_is_saved(page: Page, root: str, models: dict[str, Built]) -> None:
    open_model(page, root, "odd")
    open_table(page)
    column(page, "RMS").get_by_role("button").click()
    model = models["odd"].model
    rows = list(csv.DictReader(io.StringIO(saved(page, "CSV"), newline="")))
    records: list[dict[str, Any]] = json.loads(saved(page, "JSON"))
    measured = sorted((t for t in model.tensors if t.stats), key=lambda t: -(t.stats[0].rms or 0))
    assert [record["name"] for record in records[: len(measured)]] == [t.name for t in measured]
    assert len(rows) == len(records) == len(model.tensors) + 1
    for tensor, record, line in zip(measured, records, rows, strict=False):
        stats = tensor.stats[0]
        assert (record["dtype"], record["shape"], record["elements"], record["bytes"]) == (
            tensor.dtype,
            list(tensor.shape),
            stats.elements,
            tensor.nbytes,
        )
        assert (record["zeros"], record["nan"], record["inf"]) == (stats.zeros, stats.nan, stats.inf)
        assert record["rms"] == pytest.approx(stats.rms, rel=1e-5) and float(line["rms"]) == record["rms"]
        assert record["digest"] == tensor.digest[:16] and record["file"] == "tiny.safetensors"
        assert line["shape"] == "x".join(map(str, tensor.shape)) and int(line["bytes"]) == tensor.nbytes
        assert line["name"] == tensor.name.encode("utf-8", "replace").decode().replace("?", "\ufffd")
    missing = next(record for record in records if record["name"] == "lm_head.weight")
    assert missing["missing"] is True and missing["bytes"] is None and missing["rms"] is None
    page.get_by_label("Search tensors by name").fill("embtok")
    assert [record["name"] for record in json.loads(saved(page, "JSON"))] == ["model.embed_tokens.weight"]


def test_no_formula_gets_into_a_spreadsheet(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    records = [{"name": name, "rms": -1.5} for name in ("=1+1", "+x", "-x", "@x", 'a"b,c', "two\nlines")]
    lines = list(csv.DictReader(io.StringIO(page.evaluate("records => mwv.csv(records)", records), newline="")))
    assert [line["name"] for line in lines] == ["'=1+1", "'+x", "'-x", "'@x", 'a"b,c', "two\nlines"]
    assert {line["rms"] for line in lines} == {"-1.5"}


def test_experts_are_rows_of_their_own(page: Page, experts: tuple[str, Any]) -> None:
    address, values = experts
    page.goto(f"{address}/experts/index.html")
    open_table(page)
    page.get_by_label("Search tensors by name").fill("1.mlp up_proj")
    assert sorted(names(page)) == [f"model.layers.1.mlp.experts.up_proj[{i}]" for i in range(4)]
    cells = row(page, "model.layers.1.mlp.experts.up_proj[2]").get_by_role("gridcell").all_inner_texts()
    assert cells[:4] == ["F32", "96 × 128", "12\u202f288", "49\u202f152"]
    expect(page.locator("#table .count")).to_contain_text(f"4 of 27 tensors · {values.size:,} elements".replace(",", "\u202f"))


def test_the_drawer_is_as_high_as_the_reader_wants(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    open_table(page)
    drawer, grip, stage = (
        page.locator("#table"),
        page.get_by_role("separator", name="Height of the table"),
        page.locator("#map"),
    )

    def heights() -> tuple[float, float]:
        boxes = drawer.bounding_box(), stage.bounding_box()
        assert boxes[0] is not None and boxes[1] is not None
        return boxes[0]["height"], boxes[1]["height"]

    before = heights()
    box = grip.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 6)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 6 - 100, steps=4)
    page.mouse.up()
    page.mouse.move(300, 300)
    after = heights()
    assert after[0] - before[0] == pytest.approx(100, abs=8) and after[1] - before[1] == pytest.approx(-100, abs=8)
    grip.focus()
    page.keyboard.press("ArrowDown")
    assert heights()[0] == after[0] - 32
    assert page.evaluate("mwv.view.map.getSize().y") == heights()[1]
    for _ in range(40):
        page.keyboard.press("ArrowUp")
    assert heights()[1] >= 100
    drawer.get_by_role("button", name="Close the table").click()
    expect(drawer).to_be_hidden()
    assert heights_of_map(page) == before[0] + before[1]


def heights_of_map(page: Page) -> float:
    return float(page.evaluate("mwv.view.map.getSize().y"))


def test_on_a_phone_names_stay_beside_the_numbers(new_page: PageFactory, http: str) -> None:
    page = new_page(390, 844, has_touch=True)
    open_model(page, http, "odd")
    grid = open_table(page)
    for far in (0, 300, 700):
        grid.evaluate("(grid, far) => (grid.scrollLeft = far)", far)
        cells = page.locator("#table .line > :first-child")
        assert {
            round(left) for left in cells.evaluate_all("cells => cells.map((cell) => cell.getBoundingClientRect().left)")
        } == {0}
        heads, line = (page.locator(f"#table .{of} .line").first.locator("> *") for of in ("heads", "body"))
        lefts = [
            of.evaluate_all("cells => cells.map((cell) => Math.round(cell.getBoundingClientRect().left))")
            for of in (heads, line)
        ]
        assert lefts[0] == lefts[1]


def test_on_a_phone_the_table_has_the_whole_page(new_page: PageFactory, http: str) -> None:
    page = new_page(390, 844, has_touch=True)
    open_model(page, http, "odd")
    open_table(page)
    box = page.locator("#table").bounding_box()
    assert box is not None and box["width"] == 390 and box["height"] > 780
    row(page, "model.embed_tokens.weight").tap()
    expect(page.locator("#table")).to_be_hidden()
    expect(page.locator("#tensor h2")).to_have_text("model.embed_tokens.weight")
