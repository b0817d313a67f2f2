"""In: synthetic and real sites in Chromium. Out: what the tensor panel says, its charts, and the profiles on the map."""

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from sheets import click_on, figure, point_at, told
from synthetic import Built
from viewing import OVER, look, open_model, screen, settle

PageFactory = Callable[..., Page]
SLOT = "mlp.up_proj.weight"
BAR, AMBER = (0xA9, 0xCB, 0xFF), (0xFF, 0xC4, 0x7A)
"""Colours of bars of strips, and of what is pointed out: rows that are asked for, and those that are zero."""


def with_strips(page: Page) -> NDArray[np.uint8]:
    """What the map shows with the strips and marks at the edges of the chosen tensor."""
    settle(page)
    return screen(page, over=OVER.replace(" .edges,", ""))


def centre_of(built: Built, name: str) -> tuple[float, float]:
    placement = next(p for p in built.model.scenes[0].canvas.placements if p.name == name)
    box = placement.rect(placement.pieces[0])
    return box.x + box.width / 2, box.y + box.height / 2


def test_the_sheet_says_what_numpy_says(new_page: PageFactory, http: str, models: dict[str, Built]) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    open_model(page, http, "odd")
    built = models["odd"]
    click_on(page, *centre_of(built, "model.embed_tokens.weight"))
    row = built.model.tensors[0]
    stats = row.stats[0]
    pairs = page.locator("#tensor dl div")
    expect(pairs.filter(has_text="NaN")).to_be_visible()
    said = {text.split("\n")[0]: text.split("\n")[1] for text in pairs.all_inner_texts()}
    for label, value in (
        ("RMS", stats.rms),
        ("Mean", stats.mean),
        ("Std. dev.", stats.std),
        ("Min", stats.minimum),
        ("Max", stats.maximum),
    ):
        assert value is not None
        assert float(said[label].replace("−", "-")) == pytest.approx(value, rel=6e-4)
    assert float(said["Zeros"].removesuffix(" %")) == pytest.approx(100 * stats.zeros / stats.elements, rel=6e-3)
    assert (said["NaN"], said["Infinite"]) == ("1", "1")
    assert float(said["Kurtosis"]) == stats.kurtosis
    assert page.locator("#tensor h2").inner_text() == "model.embed_tokens.weight" and said["Type"] == "F32"
    assert said["Shape"] == "700 × 1400" and said["Elements"] == "980\u202f000"
    assert said["Size"] == "3.74 MiB (3\u202f920\u202f000 bytes)" and said["File"] == "tiny.safetensors"
    assert said["Bytes in the file"] == "0 – 3\u202f919\u202f999"
    expect(page.locator("#tensor .digest")).to_contain_text(row.digest)
    percents = page.locator("#tensor .percentiles th").all_inner_texts()
    assert percents == [f"{percent:g} %" for percent, _ in stats.percentiles]
    percentiles = page.locator("#tensor .percentiles td").all_inner_texts()
    for text, (_, value) in zip(percentiles, stats.percentiles, strict=True):
        assert float(text.replace("−", "-")) == pytest.approx(value, rel=0.06, abs=1e-9)
    page.evaluate("navigator.clipboard.writeText('')")  # it may hold what another test copied
    page.get_by_role("button", name="Copy the name").click()
    expect(page.locator("#tensor .copy")).to_have_class(re.compile("done"))
    assert page.evaluate("navigator.clipboard.readText()") == "model.embed_tokens.weight"


def test_a_missing_tensor_has_no_numbers(page: Page, http: str, models: dict[str, Built]) -> None:
    open_model(page, http, "odd")
    click_on(page, 1050, 1400)
    panel = page.locator("#tensor")
    expect(panel).to_contain_text("This tensor is missing")
    expect(panel).to_contain_text("200 × 300")
    expect(panel.get_by_text("RMS")).to_have_count(0)
    expect(panel.get_by_text("–", exact=True)).to_have_count(0)


def test_the_histogram_is_read_by_mouse_keys_and_ear(page: Page, root: str, models: dict[str, Built]) -> None:
    open_model(page, root, "odd")
    click_on(page, *centre_of(models["odd"], f"model.layers.7.{'attn.q_proj.weight'}"))
    stats = next(t for t in models["odd"].model.tensors if t.name == "model.layers.7.attn.q_proj.weight").stats[0]
    chart = figure(page, "histogram")
    for place in (20, 32, 40):
        point_at(chart, place, 64)
        expect(told(page, "histogram")).to_contain_text(f": {stats.histogram[place]:,} (".replace(",", "\u202f"))
    page.mouse.move(10, 300)
    expect(told(page, "histogram")).to_have_text("heights by √")
    chart.focus()
    peak = stats.histogram.index(max(stats.histogram))
    page.keyboard.press("ArrowRight")
    expect(chart).to_have_attribute("aria-valuenow", str(peak + 1))
    expect(chart).to_have_attribute("aria-valuetext", re.compile(f": {stats.histogram[peak + 1]:,} ".replace(",", "\u202f")))
    sentence = chart.get_attribute("aria-description") or ""
    assert sentence.startswith("98\u202f304 values from −") and "90 % of them lie between" in sentence


def heights(page: Page, kind: str) -> NDArray[np.float64]:
    """How high a chart's bars are in each column of its pixels, as a part of its height: what is gone without them."""
    chart = figure(page, kind).locator("svg")
    chart.scroll_into_view_if_needed()
    page.mouse.move(10, 300)
    pictures = []
    for visibility in ("visible", "hidden"):
        chart.locator(".bars").evaluate_all("(all, v) => all.forEach((bars) => { bars.style.visibility = v; })", visibility)
        with Image.open(io.BytesIO(chart.screenshot())) as image:
            pictures.append(np.asarray(image.convert("RGB")).astype(int))
    chart.locator(".bars").evaluate_all("all => all.forEach((bars) => { bars.style.visibility = ''; })")
    return np.asarray((abs(pictures[0] - pictures[1]).max(2) > 20).mean(0))


def test_bars_are_as_high_as_the_numbers(page: Page, root: str, models: dict[str, Built]) -> None:
    tensors = [t for t in models["odd"].model.tensors if t.shape == (256, 384)]
    stats = tensors[1].stats[0]
    open_model(page, root, "odd")
    click_on(page, *centre_of(models["odd"], tensors[1].name))
    expect(figure(page, "row")).to_be_visible()
    columns = np.array(stats.col_rms)
    assert columns[64] > 4 * columns[63]
    wanted = {
        "histogram": np.sqrt(np.array(stats.histogram) / max(stats.histogram)),
        "row": np.array(stats.row_rms) / max(stats.row_rms),
        "column": np.sqrt(columns / columns.max()),  # with outliers heights are by root
        "layer": 0.84 * np.array([t.stats[0].rms or 0 for t in tensors]) / max(t.stats[0].rms or 0 for t in tensors),
    }
    for kind, bars in wanted.items():
        found = heights(page, kind)
        # The columns of pixels under the middles of bars, and their neighbours where bars are as thin as pixels.
        some = np.argmax(bars), np.argmin(bars), len(bars) // 3, 0, len(bars) - 1
        for place in range(len(bars)) if len(bars) < 10 else some:
            at = int((place + 0.5) * len(found) / len(bars))
            near = slice(max(at - 1, 0), at + 2)
            reach = len(bars) // len(found) + 2 if len(bars) > 100 else 0
            allowed = bars[max(place - reach, 0) : place + reach + 1]
            assert allowed.min() - 0.05 <= found[near].max() <= allowed.max() + 0.05, (kind, place)
        assert found.max() == pytest.approx(bars.max(), abs=0.05), kind


def test_from_layer_to_layer_by_click_and_by_keys(page: Page, root: str, models: dict[str, Built]) -> None:
    built = models["odd"]
    rms = [t.stats[0].rms or 0 for t in built.model.tensors if t.shape == (256, 384)]
    open_model(page, root, "odd")
    click_on(page, *centre_of(built, "model.layers.2.attn.q_proj.weight"))
    heading = page.locator("#tensor h2")
    chart = figure(page, "layer")
    expect(told(page, "layer")).to_have_text(f"layer 2: {rms[2]:.3g}")
    point_at(chart, 6, 8)
    expect(told(page, "layer")).to_have_text(f"layer 6: {rms[6]:.3g}")
    point_at(chart, 6, 8, click=True)
    expect(heading).to_have_text("model.layers.6.attn.q_proj.weight")
    expect(chart).to_have_attribute("aria-valuetext", f"layer 6: {rms[6]:.3g}")
    page.wait_for_function(
        """([x, y]) => { const c = mwv.view.map.getCenter(); return Math.abs(c.lng - x) < 2 && Math.abs(c.lat - y) < 2; }""",
        arg=list(centre_of(built, "model.layers.6.attn.q_proj.weight")),
    )
    chart.focus()
    for layer in (5, 4):
        page.keyboard.press("ArrowLeft")
        expect(heading).to_have_text(f"model.layers.{layer}.attn.q_proj.weight")
        expect(chart).to_be_focused()
    page.keyboard.press("End")
    expect(heading).to_have_text("model.layers.7.attn.q_proj.weight")
    expect(page.locator("#tensor .digest")).to_contain_text(
        next(t.digest for t in built.model.tensors if t.name == "model.layers.7.attn.q_proj.weight")
    )


def test_a_layer_with_nan_has_a_dot(page: Page, http: str, models: dict[str, Built]) -> None:
    open_model(page, http, "odd")
    page.evaluate("mwv.view.scene.facts.placements.nan[7] = 12")
    click_on(page, *centre_of(models["odd"], "model.layers.1.attn.q_proj.weight"))
    chart = figure(page, "layer")
    name = models["odd"].model.scenes[0].canvas.placements[7].name
    assert name == "model.layers.2.attn.q_proj.weight"
    expect(chart.locator(".dot")).to_have_count(1)
    point_at(chart, 2, 8)
    expect(told(page, "layer")).to_contain_text("12 NaN")


def test_experts_have_a_chart_of_their_own(page: Page, experts: tuple[str, NDArray[np.float32]]) -> None:
    address, values = experts
    page.goto(f"{address}/experts/index.html")
    place = page.evaluate(
        """() => { const { placements } = mwv.view.scene.facts;
            const i = placements.panel.findIndex((p, i) => p === 2 && placements.layer[i] === 1);
            const [x, y] = placements.pieces[i]; return [x + 60, y + 40]; }"""
    )
    click_on(page, *place)
    heading = page.locator("#tensor h2")
    expect(heading).to_have_text("model.layers.1.mlp.experts.up_proj[2]")
    panel = page.locator("#tensor")
    expect(panel).to_contain_text("96 × 128 of 4 × 96 × 128")
    rms = np.sqrt((values.astype(np.float64) ** 2).mean((1, 2)))
    expect(panel).to_contain_text(f"RMS{rms[2]:.4g}")
    chart = figure(page, "expert")
    for expert in range(4):
        point_at(chart, expert, 4)
        expect(told(page, "expert")).to_have_text(f"expert {expert}: {rms[expert]:.3g}")
    expect(figure(page, "layer")).to_have_attribute("aria-valuemax", "2")
    point_at(chart, 3, 4, click=True)
    expect(heading).to_have_text("model.layers.1.mlp.experts.up_proj[3]")


def test_details_that_failed_can_be_asked_for_again(page: Page, http: str, models: dict[str, Built]) -> None:
    open_model(page, http, "odd")
    page.evaluate(
        """() => {  // a browser that cannot load the first two times
            const load = mwv.load; let failures = 2;
            mwv.load = (...file) => failures-- > 0 ? Promise.reject(new Error("no")) : load(...file);
        }"""
    )
    place = centre_of(models["odd"], "model.embed_tokens.weight")
    click_on(page, *place)
    panel = page.locator("#tensor")
    expect(panel).to_contain_text("could not be loaded")
    panel.get_by_role("button", name="Try again").click()
    expect(panel).to_contain_text("could not be loaded")
    click_on(page, *place)
    expect(panel).to_contain_text("Kurtosis")
    expect(panel).not_to_contain_text("could not be loaded")


def test_outliers_are_named_and_lead_there(new_page: PageFactory, root: str, models: dict[str, Built]) -> None:
    """Row 100 of the embedding is forty times the rest, rows 200 to 239 are zero."""
    page = new_page(reduced_motion="reduce")
    open_model(page, root, "odd")
    click_on(page, *centre_of(models["odd"], "model.embed_tokens.weight"))
    panel = page.locator("#tensor")
    expect(panel.get_by_role("button", name="Show rows 200–239, 0")).to_be_visible()
    page.locator("#tensor").get_by_role("button", name="Show row 100,").click()
    page.wait_for_function("() => Math.abs(mwv.view.map.getCenter().lat - 612.5) < 1 && mwv.view.map.getZoom() >= 0")
    amber = (with_strips(page) == AMBER).all(2)
    lines = np.flatnonzero(amber.sum(1) > 300)
    middle = amber.shape[0] / 2
    assert len(lines) and abs((lines[0] + lines[-1]) / 2 - middle) < 3
    point_at(figure(page, "row"), 0, 700, click=True)
    page.wait_for_function("() => Math.abs(mwv.view.map.getCenter().lat - 512.5) < 30")


def strip(page: Page, x: float, y: float, width: float, height: float) -> NDArray[np.uint8]:
    """The colours just beside the right edge of a box of the canvas, as a column of the view's pixels."""
    left, top, scale = page.evaluate(
        "() => { const c = mwv.view.map.containerPointToLatLng([0, 0]); return [c.lng, c.lat, 2 ** mwv.view.map.getZoom()]; }"
    )
    right, first = (x + width - left) * scale + 3, (y - top) * scale
    picture = with_strips(page)
    return picture[round(first) : round(first + height * scale), round(right) : round(right) + 30]


@pytest.mark.parametrize("zoom", [0, -1, 1])
def test_profiles_stand_beside_the_rows_they_tell_of(page: Page, http: str, models: dict[str, Built], zoom: float) -> None:
    built = models["odd"]
    open_model(page, http, "odd")
    click_on(page, *centre_of(built, "model.layers.1.attn.q_proj.weight"))
    expect(figure(page, "row")).to_be_attached()
    stats = next(t for t in built.model.tensors if t.name == "model.layers.1.attn.q_proj.weight").stats[0]
    rms = np.array(stats.row_rms)
    assert (rms[64:128] == 0).all() and (rms[:64] > 0).all()
    look(page, 1728, 1152, zoom)
    bars = strip(page, 1536, 1024, 384, 256)
    reach = (bars.astype(int).sum(2) > 150).sum(1)
    scale = 2**zoom
    assert len(bars) == 256 * scale
    for i, length in enumerate(reach):
        rows = rms[int(i / scale) : max(int(np.ceil((i + 1) / scale)), int(i / scale) + 1)]
        assert abs(length - 30 * rows.max() / rms.max()) <= 2, i
    assert (bars[int(65 * scale) : int(127 * scale), 0] == AMBER).all()
    # Below it the columns, by root because of the outliers among them.
    columns = np.array(stats.col_rms)
    left, bottom = page.evaluate("(p => [p.x, p.y])(mwv.view.map.latLngToContainerPoint([1280, 1536]))")
    below = with_strips(page)[round(bottom) + 3 : round(bottom) + 33, round(left) : round(left) + round(384 * scale)]
    for i, length in enumerate((below.astype(int).sum(2) > 150).sum(0)):
        some = columns[int(i / scale) : max(int(np.ceil((i + 1) / scale)), int(i / scale) + 1)]
        assert abs(length - 30 * np.sqrt(some.max() / columns.max())) <= 2, i
    page.get_by_label("on the map").uncheck()
    assert (strip(page, 1536, 1024, 384, 256) != BAR).any(2).all()
    page.get_by_label("on the map").check()
    assert (strip(page, 1536, 1024, 384, 256) == BAR).all(2).any()


@pytest.mark.parametrize("place", ["above", "within"])
def test_a_strip_leaves_the_name_of_its_tensor_free(page: Page, http: str, models: dict[str, Built], place: str) -> None:
    name = "model.layers.1.attn.q_proj.weight"
    open_model(page, http, "odd")
    click_on(page, *centre_of(models["odd"], name))
    expect(figure(page, "column")).to_be_attached()
    x, y, width, height = page.evaluate("mwv.view.scene.shapes[mwv.view.selected].box")
    high = page.evaluate("mwv.view.map.getSize().y")
    # The lower edge is out of sight, so the strip of columns is at the upper edge, which may be out of sight too.
    look(page, x + width / 2, *((y + height - high / 2 + 4, 0) if place == "above" else (y + height / 2, 2)))
    strips = page.evaluate("mwv.panel.edges.covered()")
    names = [box for box in page.evaluate("mwv.view.outlines.labels.taken") if box[4].endswith(name.split("attn.")[1])]
    assert [strip for strip in strips if strip[2] > strip[3]] and names
    for a, b, w, h, _ in names:
        assert all(a + w <= x or x + wide <= a or b + h <= y or y + high <= b for x, y, wide, high in strips)


def test_a_click_on_a_strip_of_a_folded_tensor_points_out_its_row(page: Page, real_http: str) -> None:
    open_model(page, real_http, "bert")
    pieces = page.evaluate(
        """() => { const { tensors, placements } = mwv.view.scene.facts;
            const i = placements.tensor.indexOf(tensors.name.indexOf("embeddings.word_embeddings.weight"));
            mwv.view.select(i);
            const n = placements.pieces[i];
            return n.flatMap((_, k) => k % 6 ? [] : [n.slice(k, k + 6)]); }"""
    )
    expect(figure(page, "row")).to_be_attached()
    assert len(pieces) > 2
    for x, y, row, _, _, cols in pieces[1:3]:
        click_at = 1000
        look(page, x + cols + 6, y + click_at, 0)
        box = page.locator("#map").bounding_box()
        assert box is not None
        page.locator("#map").click(position={"x": box["width"] / 2, "y": box["height"] / 2})
        expect(page.locator("#tensor h2")).to_have_text("embeddings.word_embeddings.weight")
        first, last = page.evaluate("mwv.panel.edges.mark.range")
        assert first <= row + click_at <= last and last - first < 30
