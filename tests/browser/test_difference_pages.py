"""In: pages that compare two models. Out: what a person sees, reads and reaches there, held against the models themselves."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import save_file
from serving import served
from viewing import hover, look, screen, settle

from mwv.build import build
from mwv.pyramid.palette import table
from mwv.settings import ModelSettings, Settings
from mwv.site.exact import Values
from mwv.site.serve import open_server

CHANGED = "model.layers.1.mlp.up_proj.weight"
EMBED = "model.embed_tokens.weight"


def weights(changed: bool) -> dict[str, Any]:
    random = np.random.default_rng(1)
    made = {
        f"model.layers.{n}.{name}": random.standard_normal(shape).astype(np.float32)
        for n in range(4)
        for name, shape in (("self_attn.q_proj.weight", (200, 300)), ("mlp.up_proj.weight", (500, 300)))
    }
    made[EMBED] = random.standard_normal((600, 300)).astype(np.float32)
    if changed:
        made[CHANGED] = made[CHANGED].copy()
        made[CHANGED][::2] += np.float32(0.25)
        made[CHANGED][1::2, :100] -= np.float32(0.5)
        made[CHANGED][5, 5] = np.nan
        made[EMBED] = np.concatenate((made[EMBED], random.standard_normal((40, 300)).astype(np.float32)))
        made["score.weight"] = np.ones((8, 300), np.float32)
    return made


@pytest.fixture(scope="module")
def difference_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("difference")
    for name in ("before", "after"):
        save_file(weights(name == "after"), folder / f"{name}.safetensors")
    wanted = ModelSettings(folder / "after.safetensors", against=folder / "before.safetensors")
    build(Settings((wanted,), folder / "site", folder / "cache", jobs=2))
    return folder / "site"


@pytest.fixture(scope="module")
def http_difference(difference_site: Path) -> Iterator[str]:
    with served(difference_site) as address:
        yield address


@pytest.fixture(params=["http", "file"])
def anywhere(request: pytest.FixtureRequest, difference_site: Path) -> str:
    return str(request.getfixturevalue("http_difference")) if request.param == "http" else difference_site.as_uri()


def go(page: Page, root: str) -> None:
    page.goto(f"{root}/before-to-after/index.html")
    settle(page)


def place_of(page: Page, name: str) -> tuple[int, int, int]:
    """A placement, and the canvas pixel of its corner."""
    found: list[int] = page.evaluate(
        """(name) => {
            const { scene } = mwv.view;
            const i = Array.from({ length: scene.count }, (_, n) => n).find((n) => scene.name(n) === name);
            const [piece] = scene.pieces(i);
            return [i, piece.x, piece.y];
        }""",
        name,
    )
    return found[0], found[1], found[2]


def test_what_changed_is_green_and_red_and_the_rest_is_black(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    _, x, y = place_of(page, CHANGED)
    look(page, x + 150, y + 150, 0)
    shown = screen(page)
    corner = page.evaluate("() => { const c = mwv.view.map.containerPointToLatLng([0, 0]); return [c.lng, c.lat]; }")
    left, top = x - round(corner[0]), y - round(corner[1])
    before, after = weights(False)[CHANGED], weights(True)[CHANGED]
    window = shown[top : top + 200, left : left + 300].astype(int)
    with np.errstate(invalid="ignore"):
        d = (after - before)[:200]
    grew, shrank, same = d > 0, d < 0, d == 0
    assert np.all(window[grew][:, 1] > window[grew][:, 0]), "green"
    assert np.all(window[shrank][:, 0] > window[shrank][:, 1]), "red"
    assert np.all(window[same] == 0), "black"
    assert tuple(window[5, 5]) == tuple(table("difference", 0.1, 1)[255]) == (255, 255, 255)


def test_the_panel_tells_how_far_both_differ_and_leads_there(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    changes = page.locator("#changes")
    expect(changes).to_contain_text("Of 9 tensors that both have, 2 differ.")
    a, b = weights(False), weights(True)
    d = (b[CHANGED].astype(np.float64) - a[CHANGED]).ravel()
    finite = d[np.isfinite(d)]
    share = 100 * np.count_nonzero(d) / sum(t.size for name, t in a.items())
    expect(changes.locator(".numbers")).to_contain_text(f"{share:.3g} %")
    expect(changes.locator(".numbers")).to_contain_text(f"{np.abs(finite).max():.4g}")
    odd = changes.locator("h3.odd + ol")
    expect(odd.locator("li")).to_have_text(re.compile(f"{CHANGED}\\s*1"))
    changes.locator("ol").last.locator("button").first.click()
    settle(page)
    panel = page.locator("#tensor")
    expect(panel.locator("h2")).to_have_text(CHANGED)
    expect(panel.locator(".facts")).to_contain_text("Matched bysame name")
    relative = np.sqrt(np.sum(finite**2) / (np.sum(a[CHANGED].astype(np.float64) ** 2) - float(a[CHANGED][5, 5]) ** 2))
    expect(panel.locator(".facts")).to_contain_text(f"Relative change{100 * relative:.3g} %")
    expect(panel.locator(".facts")).to_contain_text("NaN or Inf on one side1")


def test_the_chart_has_a_cell_for_each_layer_and_slot(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    cells = page.locator(".heat button")
    assert cells.count() == 8
    assert page.locator(".heat button.same").count() == 7
    cell = page.locator(".heat button:not(.same)")
    cell.hover()
    expect(page.locator("#changes .told")).to_contain_text(f"{CHANGED}: relative change")
    page.get_by_label("What the chart shows").select_option("snr")
    cell.hover()
    expect(page.locator("#changes .told")).to_contain_text("snr in db")
    cell.click()
    expect(page.locator("#tensor h2")).to_have_text(CHANGED)


def test_of_experts_the_chart_has_the_one_that_is_furthest_apart(page: Page, tmp_path: Path) -> None:
    """By every metric: also where more is nearer, and where there is no number, since nothing finite is left."""
    names = [f"model.layers.{n}.mlp.experts.{e}.up_proj.weight" for n in (0, 1) for e in range(3)]
    tensors = {name: np.ones((64, 64), np.float32) for name in names}
    save_file(tensors, tmp_path / "before.safetensors")
    for place, change in ((1, 1.5), (2, 0.001), (3, 5), (4, np.nan)):
        tensors[names[place]] = tensors[names[place]] + np.float32(change)
    save_file(tensors, tmp_path / "after.safetensors")
    wanted = ModelSettings(tmp_path / "after.safetensors", against=tmp_path / "before.safetensors")
    build(Settings((wanted,), tmp_path / "site", None, jobs=2))
    go(page, (tmp_path / "site").as_uri())
    for metric, last in (("relative", 1), ("snr", 1), ("share", 0)):
        page.get_by_label("What the chart shows").select_option(metric)
        cells = page.locator(".heat button")
        expect(cells).to_have_count(2)
        for cell, expert in ((cells.first, 1), (cells.last, last)):
            assert f"experts.{expert}.up_proj" in str(cell.get_attribute("aria-label")), metric
    expect(page.locator("#changes ol").last.locator("button").first).to_contain_text("not finite")


def test_what_one_side_has_is_listed_and_hatched(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    alone = page.locator("#changes .alone")
    expect(alone).to_contain_text("rows 600 → 640")
    expect(alone).to_contain_text("only in after")
    alone.get_by_role("button").last.click()
    settle(page)
    expect(page.locator("#tensor .facts")).to_contain_text("Only inafter")
    boxes = page.evaluate("mwv.alone(mwv.view.scene).map(({ box }) => box)")
    _, x, y = place_of(page, EMBED)
    assert [x, y + 600, 300, 40] in boxes and len(boxes) == 2
    assert page.evaluate(
        """() => {
            const { outlines } = mwv.view, { width, height } = outlines.canvas ?? outlines._canvas ?? outlines.context.canvas;
            return new Set(outlines.context.getImageData(0, 0, width, height).data).size > 2;
        }"""
    )


def test_read_out_is_the_difference_in_stored_values(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    _, x, y = place_of(page, CHANGED)
    look(page, x + 150, y + 150, 2)
    hover(page, x + 150, y + 150)
    text = page.locator("#readout").inner_text()
    assert CHANGED in text and "row 150, column 150" in text
    if anywhere.startswith("file:"):
        return  # from disk a page cannot read pixels
    figure = page.locator("#readout .figure")
    expect(figure).to_have_text(re.compile(r"^Δ ≈ \+0\.2[2-8]"))
    hover(page, x + 50, y + 151)
    expect(figure).to_have_text(re.compile(r"^Δ ≈ −0\.(4[5-9]|5)"))
    hover(page, x + 250, y + 151)
    expect(figure).to_have_text("identical")
    look(page, x + 5, y + 5, 3)
    hover(page, x + 5, y + 5)
    expect(figure).to_have_text("NaN on one side")
    _, x, y = place_of(page, EMBED)
    look(page, x + 50, y + 605, 3)
    hover(page, x + 50, y + 605)
    expect(page.locator("#readout")).to_contain_text("only in after: its own value")
    expect(figure).not_to_contain_text("Δ")


def test_read_out_tells_the_values_of_both_sides_where_the_server_has_them(page: Page, difference_site: Path) -> None:
    sources = [difference_site.parent / f"{name}.safetensors" for name in ("before", "after")]
    server = open_server(difference_site, values=Values(difference_site, lambda _: None, sources))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    go(page, server.url.rstrip("/"))
    readout, before, after = page.locator("#readout"), weights(False), weights(True)
    _, x, y = place_of(page, CHANGED)
    for row, col in ((150, 150), (5, 5), (151, 250)):
        look(page, x + col, y + row, 3)
        hover(page, x + col, y + row)
        told = [str(of[CHANGED][row, col]).replace("-", "−").replace("nan", "NaN") for of in (before, after)]
        expect(readout).to_contain_text(f"before {told[0]} → after {told[1]}")
    _, x, y = place_of(page, EMBED)
    look(page, x + 50, y + 605, 3)
    hover(page, x + 50, y + 605)
    expect(readout.locator(".figure")).to_have_text(f"= {after[EMBED][605, 50]!s}".replace("-", "−"))
    server.shutdown()
    server.server_close()


def test_the_legend_says_what_colours_mean_of_a_difference(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    legend = page.locator("#legend")
    assert legend.locator(".strips .class").all_text_contents() == ["fell", "both ways", "rose"]
    legend.locator("summary").click()
    expect(legend.locator(".unit")).to_contain_text("RMS of the tensor in before")
    told = ["identical", "NaN on one side", "infinite on one side", "only in after"]
    assert legend.locator(".swatches li").all_inner_texts() == told
    page.get_by_role("button", name="before", exact=True).click()
    settle(page)
    assert legend.locator(".strips .class").all_text_contents() == ["negative", "balanced", "positive"]
    expect(legend.locator(".unit")).to_be_hidden()


@pytest.mark.parametrize("mode", ["Swipe", "Side by side"])
def test_a_difference_and_a_side_have_colours_of_their_own(page: Page, http_difference: str, mode: str) -> None:
    go(page, http_difference)
    page.locator("#compare").click()
    page.get_by_role("dialog").get_by_role("button", name="before before-to-after").click()
    comparison = page.locator("#comparison")
    expect(comparison).to_contain_text("each has colours and a scale of its own")
    assert comparison.locator(".differences li").count() == 0
    page.get_by_role("button", name=mode).click()
    _, x, y = place_of(page, "model.layers.0.mlp.up_proj.weight")
    look(page, x + 150, y + 150, 0)
    if mode == "Swipe":
        page.locator(".handle").press("Home")
    shown = screen(page, "#map" if mode == "Swipe" else "#other-map").astype(int)
    corner = page.evaluate("() => { const c = mwv.view.map.containerPointToLatLng([0, 0]); return [c.lng, c.lat]; }")
    left, top = x - round(corner[0]), y - round(corner[1])
    window = shown[top + 50 : top + 250, left + 50 : left + 250]
    values = weights(False)["model.layers.0.mlp.up_proj.weight"][50:250, 50:250]
    blue, red = window[..., 2], window[..., 0]
    assert np.mean(blue > red) > 0.4 and np.all((blue > red) <= (values < 0)), "negative is blue, as on a page of its own"
    assert np.mean(red > blue) > 0.4 and np.all((red > blue) <= (values > 0)), "positive is orange"
    assert page.locator("#legend .strips .class").all_text_contents() == ["fell", "both ways", "rose"], (
        "the difference keeps its own"
    )


def test_scenes_of_other_comparisons_are_called_by_what_they_show(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    page.locator("#compare").click()
    page.get_by_role("dialog").wait_for()
    names = page.evaluate(
        "async () => { const [one] = await mwv.compareList(); return [0, 1, 2].map((n) => mwv.sceneTitle(one, n)); }"
    )
    assert names == ["before → after", "before, beside after", "after, beside before"]


def test_both_sides_are_scenes_and_can_be_swiped(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    page.get_by_role("button", name="after", exact=True).click()
    settle(page)
    _, x, y = place_of(page, CHANGED)
    expect(page.locator("#tabs [aria-pressed=true]")).to_have_text("after")
    page.locator("#compare").click()
    page.get_by_role("dialog").get_by_role("button", name="before before-to-after").click()
    expect(page.locator("#comparison")).to_contain_text("differ")
    look(page, x + 150, y + 150, 0)
    page.get_by_role("button", name="Blink").click()
    settle(page)


def test_the_table_has_the_numbers_and_sorts_by_them(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    page.locator("#toggle-table").click()
    page.get_by_role("columnheader", name="Relative %").get_by_role("button").click()
    first = page.locator("#table .body .line").first
    expect(first).to_contain_text(CHANGED)
    expect(first).to_contain_text("same name")
    with page.expect_download() as download:
        page.locator("#table .save").get_by_role("button", name="CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert "relative" in lines[0].split(",") and {"snr", "match"} <= set(lines[0].split(",")) and lines[1].startswith(CHANGED)


def test_the_table_without_scripts_has_them_too(page: Page, anywhere: str) -> None:
    page.goto(f"{anywhere}/before-to-after/tensors.html")
    cells = page.get_by_role("row").filter(has_text=CHANGED).get_by_role("cell").all_inner_texts()
    a, b = weights(False)[CHANGED].astype(np.float64), weights(True)[CHANGED]
    finite = np.isfinite(b)
    d = (b - a)[finite]
    noise, signal = np.sum(d**2), np.sum(a[finite] ** 2)
    share, relative = 100 * np.mean(a != b), 100 * np.sqrt(noise / signal)
    assert cells[2:5] == [f"{share:.4g}", f"{relative:.4g}", f"{10 * np.log10(signal / noise):.1f}"]
    assert page.get_by_role("row").filter(has_text="score.weight").get_by_role("cell").all_inner_texts()[2:] == [
        "on one side only",
        "0",
        "",
    ]
    assert cells[-1] == "same name"


def test_the_gallery_says_that_it_is_a_difference(page: Page, anywhere: str) -> None:
    page.goto(f"{anywhere}/index.html")
    expect(page.locator(".card")).to_contain_text("Difference of")
    expect(page.locator(".card h3")).to_have_text("before → after")
    expect(page.locator("body")).to_contain_text("1 difference")
