"""In: sites in Chromium. Out: colours that are those of Python, a window that fits what it should, a legend that is true."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from synthetic import Built
from viewing import expected, hover, look, open_model, screen, settle

from mwv.pyramid.code import magnitude, sign
from mwv.pyramid.palette import PALETTES, STEPS, fitted, steps, table

PageFactory = Callable[..., Page]


def test_the_page_computes_the_tables_of_python(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    windows = ((2**-10, 2.0), (0.0123, 0.0456), (2**-14, 2**12), (0.5, 0.5), (3e-5, 1700.0))
    for palette, (low, high) in product(PALETTES, windows):
        theirs = page.evaluate(
            "([name, low, high]) => mwv.colourTable(name, mwv.steps(low), mwv.steps(high))", [palette, low, high]
        )
        assert (np.array(theirs) == table(palette, low, high)).all()


def test_palette_and_window_change_the_picture_at_once(page: Page, root: str, models: dict[str, Built]) -> None:
    """And no tile is asked for."""
    open_model(page, root, "odd")
    look(page, 1500, 1100, 0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/tiles/" in request.url else None)
    page.locator("#legend summary").click()
    before = screen(page)
    page.locator("#palette").select_option("viridis")
    shown = screen(page)
    assert (shown != before).any() and (shown == expected(page, models["odd"].codes[0], 0)).all()
    low = page.get_by_label("Smallest magnitude of the scale")
    low.focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    settle(page)
    assert page.locator("#fit-window").get_attribute("aria-pressed") == "false"
    assert page.evaluate("mwv.view.colours.palette") == "viridis"
    before = page.evaluate("mwv.view.colours.low")
    assert (screen(page) == expected(page, models["odd"].codes[0], 0)).all()
    assert not asked
    look(page, 1500, 1100, -1)
    assert page.evaluate("mwv.view.colours.low") == before
    page.evaluate("document.querySelector('#fit-window').click()")
    settle(page)
    assert page.evaluate("mwv.view.colours.low") != before


def test_the_window_follows_the_level_in_view(page: Page, http: str, models: dict[str, Built]) -> None:
    open_model(page, http, "odd")
    for zoom in (0, -1, -2):
        look(page, 1500, 1100, zoom)
        window = page.evaluate("[mwv.fromSteps(mwv.view.colours.low), mwv.fromSteps(mwv.view.colours.high)]")
        low, high = models["odd"].model.scenes[0].magnitudes[-zoom]
        assert window == pytest.approx([low / 2 ** (1 / 3), high * 2 ** (2 / 3)], rel=0.006)


def test_the_legend_shows_the_colours_of_the_table(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    look(page, 1500, 1100, 0)
    swatches = page.locator(".swatches i").evaluate_all("items => items.map((i) => getComputedStyle(i).backgroundColor)")
    low, high = page.evaluate("[mwv.fromSteps(mwv.view.colours.low), mwv.fromSteps(mwv.view.colours.high)]")
    colours = table("signed", low, high)
    assert swatches == ["rgb({}, {}, {})".format(*colours[code]) for code in (255, 254, 1, 0, 251)]
    assert page.locator(".swatches li").all_text_contents() == ["NaN", "Inf", "zero", "empty", "missing"]
    fills = page.locator(".strips rect").evaluate_all("items => items.map((i) => i.getAttribute('fill'))")
    known = {"rgb({},{},{})".format(*colour) for colour in colours.tolist()}
    assert len(fills) > 60 and set(fills) <= known
    ticks = page.locator(".strips text:not(.class)").all_text_contents()
    assert len(ticks) >= 3 and all(low / 4 < float(tick) < high * 4 for tick in ticks)


@pytest.mark.parametrize("opened", [False, True])
def test_every_number_of_the_legend_stands_at_its_colour(page: Page, http: str, opened: bool) -> None:
    """Under the picture's own colours: what the strip shows above a number is the colour of that magnitude."""
    open_model(page, http, "odd")
    look(page, 1500, 1100, 0)
    if opened:
        page.locator("#legend summary").click()
        page.get_by_label("Scale from").fill("0.002")
        page.get_by_label("Scale from").press("Enter")
    names = page.locator(".strips .class").all_text_contents()
    assert names == (["negative", "balanced", "positive"] if opened else [])
    strips: list[list[Any]] = page.locator(".strips > svg > svg").evaluate_all("""all => all.map((strip) =>
        [...strip.querySelectorAll("rect")].map((bar) => {
            const { left, right } = bar.getBoundingClientRect();
            return [left, right, bar.getAttribute("fill")];
        })
    )""")
    ticks: list[tuple[float, float]] = page.locator(".strips g:has(> .tick)").evaluate_all("""all => all.map((g) => {
        const { left, width } = g.querySelector(".tick").getBoundingClientRect();
        return [left + width / 2, Number(g.querySelector("text").textContent)];
    })""")
    low, high = page.evaluate("[mwv.fromSteps(mwv.view.colours.low), mwv.fromSteps(mwv.view.colours.high)]")
    colours = table("signed", low, high)
    checked = set()
    for kind, bars in zip((-1, 0, 1), strips, strict=True):
        codes = [code for code in range(256) if magnitude(code) and sign(code) == kind]
        for x, value in ticks:
            nearest = min(codes, key=lambda code: abs(np.log2(magnitude(code) / value)))
            wanted = "rgb({},{},{})".format(*colours[nearest])
            # A number may stand within a pixel of the border between two colours.
            assert wanted in {fill for left, right, fill in bars if left - 1 <= x <= right + 1}
            checked.add(wanted)
    assert len(ticks) >= 3 and len(checked) >= 8


def in_view(page: Page, codes: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    """The codes of a level that the map shows, whole pixels at its borders."""
    west, north, east, south = page.evaluate("""() => {
        const bounds = mwv.view.map.getBounds();
        const y = [bounds.getNorth(), bounds.getSouth()].sort((a, b) => a - b);
        return [bounds.getWest(), y[0], bounds.getEast(), y[1]];
    }""")
    side = 2**level
    top, left = max(int(north // side), 0), max(int(west // side), 0)
    return codes[top : int(-(-south // side)), left : int(-(-east // side))]


def fitted_steps(codes: NDArray[np.uint8]) -> list[int]:
    """The window that fits some codes, by numpy's percentiles of their bins' centres."""
    sizes = np.array([magnitude(code) for code in range(256)])[codes]
    low, high = np.percentile(sizes[sizes > 0], [5, 95], method="inverted_cdf")
    return [steps(end) for end in fitted(float(low), float(high))]


def window(page: Page) -> list[int]:
    return list(page.evaluate("[mwv.view.colours.low, mwv.view.colours.high]"))


@pytest.mark.parametrize("slug", ["odd", "archived"])
def test_the_window_fits_what_is_in_view(page: Page, http: str, models: dict[str, Built], slug: str) -> None:
    open_model(page, http, slug)
    page.locator("#legend summary").click()
    page.locator("#fit-view").click()
    expect(page.locator("#fit-view")).to_have_attribute("aria-pressed", "true")
    windows = []
    for x, y, zoom in ((1900, 700, 0), (1900, 3400, 0), (1500, 1400, -1), (700, 900, 1), (700, 605, 6)):
        look(page, x, y, zoom)
        level = max(-zoom, 0)
        wanted = fitted_steps(in_view(page, models["odd"].codes[level], level))
        page.wait_for_function("([low, high]) => mwv.view.colours.low === low && mwv.view.colours.high === high", arg=wanted)
        windows.append(wanted)
    # A small step, for which no tile is loaded, to a row with values forty times as large.
    page.locator("#map").focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => mwv.view.map.getCenter().lat > 606 && !mwv.view.map._panAnim?._inProgress")
    windows.append(fitted_steps(in_view(page, models["odd"].codes[0], 0)))
    page.wait_for_function("([low, high]) => mwv.view.colours.low === low && mwv.view.colours.high === high", arg=windows[-1])
    assert len({tuple(pair) for pair in windows}) == len(windows)
    page.locator("#reset-colours").click()
    settle(page)
    assert page.evaluate("mwv.view.colours.fitted") == "level" and window(page) != windows[-1]


def test_from_disk_the_window_fits_the_tensors_in_view(page: Page, site: object, models: dict[str, Built]) -> None:
    page.goto(f"{site.as_uri()}/odd/index.html")  # type: ignore[attr-defined]
    settle(page)
    page.locator("#legend summary").click()
    page.locator("#fit-view").click()
    placements = models["odd"].model.scenes[0].canvas.placements
    found = []
    for layer in (0, 7):
        index, placement = next(
            (i, p) for i, p in enumerate(placements) if (p.role.layer, p.role.slot) == (layer, "mlp.up_proj.weight")
        )
        rms = models["odd"].model.tensors[index].stats[0].rms
        assert rms is not None
        look(page, placement.pieces[0].x + 350, placement.pieces[0].y + 150, 2)
        # Nothing but this matrix is in view, and its values are nearly normal: both percentiles follow from its RMS.
        wanted = [steps(end) for end in fitted(0.063 * rms, 1.96 * rms)]
        page.wait_for_function(
            "([low, high]) => Math.abs(mwv.view.colours.low - low) < 2 && Math.abs(mwv.view.colours.high - high) < 2",
            arg=wanted,
        )
        found.append(wanted)
    assert found[0] != found[1]


def test_the_window_is_set_by_numbers_and_keys(page: Page, http: str, models: dict[str, Built]) -> None:
    open_model(page, http, "odd")
    look(page, 1500, 1100, 0)
    page.locator("#legend summary").click()
    low, high = page.get_by_label("Scale from"), page.get_by_label("Scale to")
    low.fill("0.01")
    low.press("Enter")
    high.fill("0.5")
    high.press("Tab")
    assert window(page) == [steps(0.01), steps(0.5)]
    assert page.evaluate("mwv.view.colours.fitted") == ""
    high.press("PageUp")
    high.press("ArrowDown")
    assert window(page) == [steps(0.01), steps(0.5) + STEPS - STEPS // 6]
    for nonsense in ("-1", "0", "much", "1e999", ""):
        low.fill(nonsense)
        low.press("Enter")
        assert window(page)[0] == steps(0.01)
        assert low.input_value() == "0.0101"  # to a whole step
    low.fill("1e9")
    low.press("Enter")
    assert window(page) == [12 * STEPS - STEPS // 2, 12 * STEPS]
    assert (screen(page) == expected(page, models["odd"].codes[0], 0)).all()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (560, 844), (1366, 768), (3840, 2160)])
def test_at_first_the_legend_is_slim_and_beside_the_model(new_page: PageFactory, http: str, width: int, height: int) -> None:
    page = new_page(width, height)
    open_model(page, http, "odd")
    box = page.locator("#legend").bounding_box()
    assert box is not None and box["height"] <= 62
    ticks = page.locator("#legend .strips text").all_text_contents()
    assert len(ticks) >= 3
    lowest, left = page.evaluate("""() => {
        const corner = mwv.view.map.latLngToContainerPoint([mwv.view.bounds.getNorth(), mwv.view.bounds.getWest()]);
        const map = document.querySelector("#map").getBoundingClientRect();
        return [corner.y + map.top, corner.x + map.left];
    }""")
    assert lowest <= box["y"] or left >= box["x"] + box["width"]
    page.locator("#legend summary").click()
    expect(page.locator("#palette")).to_be_visible()
    page.locator("#legend summary").click()
    expect(page.locator("#palette")).to_be_hidden()


@pytest.mark.parametrize("opened", [False, True])
def test_a_marker_shows_the_colour_under_the_pointer(page: Page, http: str, models: dict[str, Built], opened: bool) -> None:
    open_model(page, http, "odd")
    look(page, 1500, 1100, 0)
    if opened:
        page.locator("#legend summary").click()
    codes = models["odd"].codes[0]
    marker = page.locator(".strips .marker")
    for x, y in ((1100, 820), (1700, 1240), (1450, 820)):
        hover(page, x, y)
        code = int(codes[y, x])
        assert magnitude(code) > 0 or code == 0
        if code == 0:
            expect(marker).to_have_attribute("visibility", "hidden")
            continue
        page.wait_for_function("code => mwv.view.reading?.code === code", arg=code)
        expect(marker).to_have_attribute("visibility", "visible")
        # The strip's colour under the marker is the one that the table gives to the code.
        colour = page.evaluate("""() => {
            const box = document.querySelector(".strips .marker").getBoundingClientRect();
            const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
            const hit = [...document.querySelectorAll(".strips rect")].find((rect) => {
                const r = rect.getBoundingClientRect();
                return r.left <= x && x < r.right && r.top <= y && y < r.bottom;
            });
            return hit?.getAttribute("fill");
        }""")
        assert colour == "rgb({},{},{})".format(*page.evaluate("code => mwv.view.colours.table[code]", code))


def test_a_choice_for_all_eyes_is_named(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    expect(page.locator("#palette option[value=cividis]")).to_contain_text("colour-blind safe")
