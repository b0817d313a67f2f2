"""In: synthetic sites in Chromium. Out: the right colours on the screen, names, panel and legend, over http and from disk."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, Route, expect
from synthetic import ODD_NAMES, Built
from viewing import OVER, expected, look, open_model, screen, settle

from mwv.pyramid.palette import table
from mwv.site.text import visible

PageFactory = Callable[..., Page]


@pytest.mark.parametrize("zoom", [0, -1, -2])
def test_colours_on_the_screen_are_those_of_the_table(page: Page, root: str, models: dict[str, Built], zoom: int) -> None:
    open_model(page, root, "odd")
    look(page, 1500, 1100, zoom)
    shown, wanted = screen(page), expected(page, models["odd"].codes[-zoom], -zoom)
    assert len(np.unique(wanted.reshape(-1, 3), axis=0)) > 30
    assert (shown == wanted).all(2).mean() == 1


def test_pixels_stay_crisp_beyond_the_deepest_zoom(page: Page, http: str, models: dict[str, Built]) -> None:
    open_model(page, http, "odd")
    look(page, 1700, 600, 4)
    assert (screen(page) == expected(page, models["odd"].codes[0], 0)).all()
    look(page, 1700, 600, 6)
    assert page.evaluate("mwv.view.map.getZoom()") == 6
    assert (screen(page) == expected(page, models["odd"].codes[0], 0)).all()


def test_no_seams_and_no_foreign_colours_between_levels(page: Page, http: str, models: dict[str, Built]) -> None:
    """At a zoom between levels every pixel has a colour of the table: nothing is blended, no gap shows between tiles."""
    open_model(page, http, "odd")
    look(page, 700, 900, -0.25)
    colours = table("signed", *page.evaluate("[mwv.fromSteps(mwv.view.colours.low), mwv.fromSteps(mwv.view.colours.high)]"))
    shown = screen(page)
    known = {tuple(colour) for colour in colours.tolist()}
    assert {tuple(colour) for colour in np.unique(shown.reshape(-1, 3), axis=0).tolist()} <= known
    assert (shown[300:500, 300:800] == colours[0]).all(2).sum() == 0


def test_pixels_are_never_shrunk_so_a_lone_nan_is_seen_between_levels(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    nan = table("signed", 1, 2)[255]
    for zoom in (-0.25, -0.5, -1.25, -1.5, -1.75):
        look(page, 300, 812, zoom)
        widths = page.locator("#map img.leaflet-tile-loaded[src]").evaluate_all(
            "all => all.map((i) => i.getBoundingClientRect().width)"
        )
        assert widths and min(widths) > 511
        assert (screen(page) == nan).all(2).any()


@pytest.mark.parametrize("slug", ["grid", "archived"])
def test_tiles_addressed_otherwise_show_the_same(page: Page, http: str, models: dict[str, Built], slug: str) -> None:
    open_model(page, http, slug)
    for zoom in (0, -2):
        look(page, 1500, 1100, zoom)
        assert (screen(page) == expected(page, models["odd"].codes[-zoom], -zoom)).all()


def test_archives_from_disk_are_replaced_by_the_overview_and_the_page_says_so(page: Page, site: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.as_uri()}/archived/index.html")
    expect(page.locator("#notice")).to_contain_text("mwv serve")
    expect(page.locator(".leaflet-image-layer")).to_be_visible()
    assert not [url for url in asked if url.endswith(".pmtiles")]


def test_only_tiles_that_exist_are_asked_for(page: Page, root: str, models: dict[str, Built]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_model(page, root, "large")
    for x in (500, 9000, 200):
        look(page, x, 500, 0)
    tiles = [url for url in asked if "/tiles/" in url and url.endswith(".png")]
    assert tiles and len(set(tiles)) <= len(models["odd"].files.paths)
    assert any("/tiles-0-0-0-0-" in url for url in asked) and any("/tiles-0-0-1-0-" in url for url in asked)
    open_model(page, root, "odd")
    look(page, 500, 3000, 0)  # where nothing stands; a request in vain would fail the test


def is_light(page: Page, element: str) -> bool:
    """Whether more of an element's pixels are light than dark."""
    with Image.open(io.BytesIO(page.locator(element).first.screenshot())) as image:
        return bool(np.median(np.asarray(image.convert("L"))) > 128)


def test_the_theme_follows_the_system_until_the_reader_chooses(new_page: PageFactory, root: str) -> None:
    page = new_page(color_scheme="dark")
    open_model(page, root, "odd")
    assert not is_light(page, "#panel")
    page.emulate_media(color_scheme="light")
    expect(page.get_by_role("button", name="Dark theme")).to_be_visible()
    assert is_light(page, "#panel") and is_light(page, ".bar") and not is_light(page, "#map")
    page.get_by_role("button", name="Dark theme").click()
    assert not is_light(page, "#panel")
    # The choice holds for the next visit and on all pages.
    open_model(page, root, "odd")
    assert not is_light(page, "#panel")
    page.goto(f"{root}/index.html")
    assert not is_light(page, "body")
    page.get_by_role("button", name="Light theme").click()
    assert is_light(page, "body")


def test_what_was_seen_stays_until_the_next_tiles_can_be_seen(page: Page, http: str, models: dict[str, Built]) -> None:
    open_model(page, http, "odd")
    look(page, 700, 950, -1)
    held: list[Route] = []
    page.route("**/tiles/**", lambda route: held.append(route))
    with page.expect_request("**/tiles/**"):
        page.keyboard.press("+")
    page.wait_for_function("() => mwv.view.map.getZoom() === 0 && !mwv.view.map._animatingZoom && !mwv.view.outlines.frame")
    assert held
    ground = table("signed", 1, 2)[0]
    middle = (slice(250, 450), slice(300, 700))
    assert not (screen(page)[middle] == ground).all(2).any()
    for route in held:
        route.continue_()
    page.unroute("**/tiles/**")
    settle(page)
    assert (screen(page) == expected(page, models["odd"].codes[0], 0)).all()


def test_what_was_measured_is_loaded_when_someone_asks(page: Page, root: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/details-" in request.url else None)
    open_model(page, root, "odd")
    look(page, 700, 900, 0)
    assert not asked
    page.locator("#map").click(position={"x": 600, "y": 200})
    expect(page.locator("#tensor .digest")).to_be_visible()
    assert len(asked) == 1


def test_a_click_shows_the_tensor(page: Page, root: str, models: dict[str, Built]) -> None:
    open_model(page, root, "odd")
    look(page, 700, 900, 0)
    page.locator("#map").click(position={"x": 600, "y": 200})
    panel = page.locator("#tensor")
    expect(panel.locator("h2")).to_have_text("model.embed_tokens.weight")
    row = models["odd"].model.tensors[0]
    expect(panel).to_contain_text("700 × 1400")
    expect(panel).to_contain_text(row.digest)
    stats = row.stats[0]
    assert stats.rms is not None
    expect(panel).to_contain_text(f"{stats.rms:.4g}")
    expect(panel.get_by_label("Histogram of values")).to_be_visible()
    expect(panel.get_by_label("RMS by row")).to_be_visible()
    panel.get_by_title("Close").click()
    expect(panel).to_be_hidden()


def test_every_odd_name_is_shown_as_text(page: Page, http: str, models: dict[str, Built]) -> None:
    open_model(page, http, "odd")
    title = page.title()
    placements = models["odd"].model.scenes[0].canvas.placements
    for name in ODD_NAMES:
        piece = next(p for p in placements if p.name == name).pieces[0]
        look(page, piece.x + 100, piece.y + 100, 0)
        box = page.locator("#map").bounding_box()
        assert box is not None
        page.locator("#map").click(position={"x": box["width"] / 2, "y": box["height"] / 2})
        expect(page.locator("#tensor h2")).to_have_text(visible(name).strip())
        expect(page.locator("#tensor .digest")).to_be_visible()
    assert page.title() == title
    assert page.locator("#tensor script, #tensor img").count() == 0


def test_a_missing_tensor_says_so(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    look(page, 1000, 1400, 0)
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.locator("#map").click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    expect(page.locator("#tensor h2")).to_have_text("lm_head.weight")
    expect(page.locator("#tensor")).to_contain_text("missing")


def test_names_never_overlap(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    for zoom in (-3, -2, -1, 0, 1, 3):
        look(page, 1500, 1300, zoom)
        boxes = page.evaluate("mwv.view.outlines.labels.taken")
        assert boxes
        for i, (x, y, w, h, _) in enumerate(boxes):
            for a, b, c, d, _ in boxes[:i]:
                assert x >= a + c or a >= x + w or y >= b + d or b >= y + h


def test_names_appear_by_size(page: Page, http: str) -> None:
    """From afar the slots of a column are named once; close up every tensor has its whole name."""
    open_model(page, http, "odd")
    layers = [f"model.layers.{layer}.attn.q_proj.weight" for layer in (4, 5)]
    look(page, 1900, 3000, -2)
    afar = names(page)
    assert sum("q_proj" in name for name in afar) == 1 and not set(layers) & set(afar)
    look(page, 1900, 2900, 0)
    assert set(layers) <= set(names(page))
    # They are not only planned: letters are seen where they stand.
    x, y, w, h = next(box[:4] for box in page.evaluate("mwv.view.outlines.labels.taken") if box[4] == layers[1])
    x, y, w, h = (round(n) for n in (x, y, w, h))
    letters = screen(page, over=OVER.replace(".outlines, ", ""))[y : y + h, x : x + w].min(2)
    assert (letters > 200).mean() > 0.03


def names(page: Page) -> list[str]:
    """What is written over the map."""
    return [box[4] for box in page.evaluate("mwv.view.outlines.labels.taken")]


def test_tensors_are_outlined(page: Page, root: str) -> None:
    """Faintly; the chosen one in white, one that is missing and one with NaN in colours of their own."""
    open_model(page, root, "odd")

    def left_of(x: int, y: int, height: int, depth: int = 1) -> NDArray[Any]:
        """The pixels left of an edge of the canvas, at one pixel per element."""
        look(page, x, y + height / 2, 0)
        left, top = page.evaluate("at => (p => [p.x, p.y])(mwv.view.map.latLngToContainerPoint(at))", [y, x])
        shown = screen(page, over=OVER.replace(".outlines, ", ""))
        return shown[round(top) + 20 : round(top) + height - 20, round(left) - depth : round(left)].astype(int)

    query = (1536, 1024, 256)
    ground = table("signed", 1, 2)[0].astype(int)
    plain = left_of(*query)
    assert (plain.sum(2) > ground.sum() + 60).all() and (plain.max(2) < 200).all()
    assert (left_of(*query, depth=3)[:, 0] == ground).all()
    page.locator("#map").click(position={"x": 500, "y": 375})
    expect(page.locator("#tensor h2")).to_have_text("model.layers.1.attn.q_proj.weight")
    assert (left_of(*query) == 255).all()
    nan = left_of(0, 512, 700)
    assert (nan[..., 2] > 200).all() and (nan[..., 1] < 160).all()
    missing = left_of(900, 1300, 200).max(2)
    assert (missing > 120).any() and (missing < 60).any()  # dashes


def test_a_tile_that_fails_is_tried_again(new_page: PageFactory, http: str) -> None:
    page = new_page()
    tries: dict[str, int] = {}

    def flaky(route: Any) -> None:
        tries[route.request.url] = tries.get(route.request.url, 0) + 1
        if tries[route.request.url] == 1:
            route.fulfill(status=200, content_type="image/png", body=b"no picture")
        else:
            route.continue_()

    page.route("**/tiles/**/*.png", flaky)
    page.goto(f"{http}/odd/index.html")
    settle(page)
    assert tries and set(tries.values()) == {2}
    assert page.locator(".broken").count() == 0


@pytest.mark.parametrize("fault", ["damaged", "no network"])
def test_a_tile_that_cannot_be_had_is_marked(new_page: PageFactory, http: str, fault: str) -> None:
    def fail(route: Route) -> None:
        if fault == "damaged":
            route.fulfill(status=200, content_type="image/png", body=b"no picture")
        else:
            route.abort("aborted")  # of all errors the one that is none on the console

    page = new_page()
    open_model(page, http, "odd")
    page.route("**/tiles/**/*.png", fail)
    page.reload()
    expect(page.locator(".broken").first).to_be_attached()
    page.wait_for_function("() => !mwv.view.layer.isLoading()")
    settle(page)
    shown = screen(page)
    assert 0.1 < (shown != shown[0, 0]).any(2).mean() < 0.9  # stripes, where there would be nothing but ground


def test_without_javascript_there_are_picture_and_table(new_page: PageFactory, root: str) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{root}/odd/index.html")
    expect(page.locator("img.overview")).to_be_visible()
    expect(page.locator("table.tensors tbody tr")).to_have_count(26)
    expect(page.locator("#map")).to_be_hidden()
    page.get_by_role("link", name="Tensor table").first.click()
    expect(page.get_by_role("heading", name="Tensors")).to_be_visible()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1366, 768), (3840, 2160)])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_cut_at_any_size(new_page: PageFactory, http: str, width: int, height: int, theme: str) -> None:
    page = new_page(width, height, color_scheme=theme)
    for address in ("index.html", "odd/index.html"):
        page.goto(f"{http}/{address}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for box in page.locator("button:visible, select:visible, a:visible").evaluate_all(
            "items => items.map((i) => i.getBoundingClientRect()).map((r) => [r.left, r.right])"
        ):
            assert box[0] >= -1 and box[1] <= width + 1


def test_every_control_of_the_bar_is_reached_on_a_narrow_screen(new_page: PageFactory, root: str) -> None:
    """Three of them in a menu, the others as pictures that keep their names."""
    page = new_page(390, 844)
    open_model(page, root, "odd")
    for name in ("Compare", "Tensors", "Whole", "More", "Info"):
        box = page.locator(".bar").get_by_role("button", name=name, exact=True).bounding_box()
        assert box and box["width"] >= 24 and box["height"] >= 24
    menu, more = page.locator("#more-tools"), page.get_by_role("button", name="More", exact=True)
    for key in ("Escape", ""):
        expect(menu).to_be_hidden()
        more.focus()
        page.keyboard.press("Enter")
        expect(menu.get_by_role("button")).to_have_count(3)
        for item in menu.get_by_role("button").all():
            box = item.bounding_box()
            assert box and box["width"] >= 24 and box["height"] >= 24 and 0 <= box["x"] <= box["x"] + box["width"] <= 390
        if key:
            page.keyboard.press(key)
    menu.get_by_role("button", name="1:1").click()
    page.wait_for_function("() => mwv.view.map.getZoom() === 0")
    before = page.evaluate("mwv.theme.dark")
    menu.get_by_role("button", name="theme").click()
    assert page.evaluate("mwv.theme.dark") != before
    menu.get_by_role("button", name="Keys").click()
    expect(page.get_by_role("dialog")).to_contain_text("Move the map")


def test_the_gallery_leads_to_the_models(page: Page, root: str) -> None:
    page.goto(f"{root}/index.html")
    expect(page.locator(".card")).to_have_count(4)
    page.wait_for_function("() => document.querySelector('.card img').naturalWidth > 0")  # a lazy one may come after the page
    page.get_by_role("link", name="Tiny & <i>odd</i>").click()
    settle(page)
    page.get_by_role("link", name="All models").first.click()
    expect(page.locator(".card")).to_have_count(4)
