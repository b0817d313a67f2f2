"""In: sites of two real checkpoints in Chromium. Out: colours and figures of the values that safetensors and gguf read."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import oracle
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from safetensors import safe_open
from viewing import look, open_model, screen, settle

from mwv.pyramid.palette import table

PageFactory = Callable[..., Page]
BERT, SMOLLM2 = "bert", "smollm2-135m-instruct.q4_1"
QUERY = {BERT: "encoder.layer.2.attention.self.query.weight", SMOLLM2: "blk.2.attn_q.weight"}
GATE = {BERT: "encoder.layer.2.intermediate.dense.weight", SMOLLM2: "blk.2.ffn_gate.weight"}
TYPE = {BERT: "F32", SMOLLM2: "Q4_1"}


@dataclass(frozen=True)
class Rect:
    """Pixels of the canvas."""

    x: int
    y: int
    width: int
    height: int


@pytest.fixture(scope="session")
def values(bert: Path, smollm2: Path) -> Mapping[str, NDArray[np.float64]]:
    """The tensors that the tests look at, by name, as other libraries read them."""
    found: dict[str, NDArray[np.float64]] = {}
    with safe_open(bert, framework="numpy") as file:
        for name in (QUERY[BERT], GATE[BERT]):
            found[name] = file.get_tensor(name).astype(np.float64)
    for tensor in gguf.GGUFReader(smollm2).tensors:
        if tensor.name in (QUERY[SMOLLM2], GATE[SMOLLM2]):
            shape = tuple(int(n) for n in reversed(tensor.shape))
            found[tensor.name] = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(shape).astype(np.float64)
    found[QUERY[SMOLLM2]] = oracle.without_rotary(found[QUERY[SMOLLM2]], 9)
    return found


def panels(page: Page, name: str) -> list[Rect]:
    """Where the panels of a matrix stand, from left to right, by the data of the scene."""
    rects: list[list[int]] = page.evaluate(
        """name => {
            const { tensors, placements } = mwv.view.scene.facts;
            const numbers = placements.pieces[placements.tensor.indexOf(tensors.name.indexOf(name))];
            return numbers.flatMap((_, i) => i % 6 ? [] : [[numbers[i], numbers[i + 1], numbers[i + 5], numbers[i + 4]]]);
        }""",
        name,
    )
    return [Rect(*rect) for rect in sorted(rects)]


def centre(page: Page, rect: Rect, zoom: float) -> None:
    look(page, rect.x + rect.width / 2, rect.y + rect.height / 2, zoom)


def part(page: Page, picture: NDArray[np.uint8], rect: Rect) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The part of a picture of the map that shows a rectangle, and the canvas pixel at its corner; at zoom 0 or less."""
    left, top, scale = page.evaluate("""() => {
        const corner = mwv.view.map.containerPointToLatLng([0, 0]);
        return [corner.lng, corner.lat, 2 ** mwv.view.map.getZoom()];
    }""")
    x, y = round((rect.x - left) * scale), round((rect.y - top) * scale)
    skip_x, skip_y = max(-x, 0), max(-y, 0)
    right, bottom = x + round(rect.width * scale), y + round(rect.height * scale)
    return picture[y + skip_y : bottom, x + skip_x : right], (skip_x, skip_y)


def overview(matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Codes of a matrix at level 2, computed in float64."""
    *_, (codes, _, _) = oracle.overviews(matrix, np.ones(matrix.shape, bool), np.zeros(matrix.shape, bool), 2)
    return np.asarray(codes, np.uint8)


def window(page: Page) -> NDArray[np.uint8]:
    """The colours in use, computed in Python."""
    return table("signed", *page.evaluate("[mwv.fromSteps(mwv.view.colours.low), mwv.fromSteps(mwv.view.colours.high)]"))


def level_codes(page: Page, site: Path, level: int) -> NDArray[np.uint8]:
    """All codes of a level whose tile map is a single piece, from (0, 0), from the tiles as Pillow decodes them."""
    x, y, width, height = page.evaluate("mwv.view.scene.facts.bounds")
    codes = np.zeros((-(-(y + height) // 2**level), -(-(x + width) // 2**level)), np.uint8)
    pieces: dict[str, list[str]] = page.evaluate("level => mwv.view.scene.facts.tiles.map[level]", level)
    for place, keys in pieces.items():
        column, row = map(int, place.split(","))
        for index, key in enumerate(keys):
            if key:
                left, top = (column * 16 + index % 16) * 512, (row * 16 + index // 16) * 512
                with Image.open(site / "tiles" / key[:2] / f"{key}.png") as tile:
                    target = codes[top : top + 512, left : left + 512]
                    target[:] = np.asarray(tile)[: target.shape[0], : target.shape[1]]
    return codes


def enlarged(page: Page, codes: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The codes of a level where the page has put its tiles: at a zoom between levels they are moved to whole pixels."""
    left, top, scale = page.evaluate("""() => {
        const map = document.querySelector("#map").getBoundingClientRect();
        const { coords, el } = Object.values(mwv.view.layer._tiles).find((tile) => tile.current && tile.el.src);
        const box = el.getBoundingClientRect(), scale = box.width / 512;
        return [box.left - map.left - coords.x * 512 * scale, box.top - map.top - coords.y * 512 * scale, scale];
    }""")
    down, across = (
        np.floor((np.arange(n) + 0.5 - start) / scale).astype(int) for n, start in zip(shape, (top, left), strict=True)
    )
    picture = np.zeros(shape, np.uint8)
    inside_y, inside_x = (down >= 0) & (down < codes.shape[0]), (across >= 0) & (across < codes.shape[1])
    picture[np.ix_(inside_y, inside_x)] = codes[np.ix_(down[inside_y], across[inside_x])]
    return picture


@pytest.mark.parametrize("slug", [BERT, SMOLLM2])
def test_colours_are_those_of_the_values_at_every_zoom(
    page: Page, real_root: str, real_site: Path, values: Mapping[str, NDArray[np.float64]], slug: str
) -> None:
    open_model(page, real_root, slug)

    # First view, usually between two levels: the one below is shown, enlarged.
    level = int(-np.floor(page.evaluate("mwv.view.map.getZoom()")))
    first = screen(page)
    wanted = window(page)[enlarged(page, level_codes(page, real_site, level), first.shape[:2])]
    assert len(np.unique(wanted.reshape(-1, 3), axis=0)) > 20
    # Where a pixel of the screen lies on the border of two of the level, a browser may take either.
    assert (first == wanted).all(2).mean() > 0.995

    # Mid zoom: a pixel is 4 × 4 elements.
    rect = panels(page, QUERY[slug])[0]
    centre(page, rect, -2)
    shown, _ = part(page, screen(page), rect)
    matrix = values[QUERY[slug]]
    codes = overview(matrix)
    assert shown.shape[:2] == codes.shape
    assert (shown != window(page)[codes]).any(2).mean() < 1e-3

    # One pixel per element, no exception.
    centre(page, rect, 0)
    shown, (x, y) = part(page, screen(page), rect)
    codes = oracle.leaf(matrix)[y : y + shown.shape[0], x : x + shown.shape[1]]
    assert shown.shape[:2] == codes.shape and codes.size > 100_000
    assert (shown == window(page)[codes]).all()


@pytest.mark.parametrize("slug", [BERT, SMOLLM2])
def test_a_click_tells_what_numpy_finds(
    page: Page, real_root: str, values: Mapping[str, NDArray[np.float64]], slug: str
) -> None:
    open_model(page, real_root, slug)
    # The last panel of a folded tensor belongs to it like the first.
    rect = panels(page, GATE[slug])[-1]
    centre(page, rect, -2)
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.locator("#map").click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    panel, matrix = page.locator("#tensor"), values[GATE[slug]]
    expect(panel.locator("h2")).to_have_text(GATE[slug])
    expect(panel.locator(".digest")).to_be_visible()
    terms, texts = panel.locator("dl dt").all_text_contents(), panel.locator("dl dd").all_text_contents()
    told = dict(zip(terms, texts, strict=True))
    assert told["Type"] == TYPE[slug]
    assert told["Shape"] == f"{matrix.shape[0]} × {matrix.shape[1]}"
    assert told["Layer"] == "2"
    assert float(told["RMS"]) == pytest.approx(float(np.sqrt((matrix**2).mean())), rel=6e-4)
    assert float(told["Std. dev."]) == pytest.approx(float(matrix.std()), rel=6e-4)
    assert float(told["Kurtosis"]) == pytest.approx(float(((matrix - matrix.mean()) ** 4).mean() / matrix.var() ** 2), rel=6e-4)
    assert float(told["Max"]) == pytest.approx(float(matrix.max()), rel=6e-4)
    assert float(told["Min"].replace("−", "-")) == pytest.approx(float(matrix.min()), rel=6e-4)


def names(page: Page) -> list[str]:
    """What is written over the map."""
    return [box[4] for box in page.evaluate("mwv.view.outlines.labels.taken")]


def test_names_head_columns_far_away_and_stand_at_every_tensor_close_up(new_page: PageFactory, real_http: str) -> None:
    page = new_page(1440, 900)
    open_model(page, real_http, BERT)
    first = names(page)
    assert {"encoder.layer", "query", "intermediate.dense"} <= set(first)
    assert len(first) == len(set(first))
    rect = panels(page, QUERY[BERT])[0]
    centre(page, rect, 0)
    close = names(page)
    assert QUERY[BERT] in close and QUERY[BERT].replace("query", "key") in close
    assert QUERY[BERT].replace("weight", "bias") in close
    centre(page, rect, 4)
    # 12 heads of 32 rows each: the seventh begins in the middle. The number of the sixth would lie under the zoom buttons.
    assert names(page) == [QUERY[BERT], "head 6"]


def test_low_rows_of_layers_leave_out_numbers_evenly(page: Page, real_http: str) -> None:
    open_model(page, real_http, SMOLLM2)
    page.evaluate("mwv.view.map.setMinZoom(-9)")
    # A layer is 1,024 pixels high.
    for zoom, every in ((-6, 2), (-7, 5), (-8, 5)):
        centre(page, panels(page, "blk.15.attn_q.weight")[0], zoom)
        layers = [int(text) for text in page.locator("#ruler .mark:visible").all_text_contents() if text]
        assert layers == list(range(0, 30, every))


def test_one_outline_around_all_panels_of_a_tensor(page: Page, real_http: str) -> None:
    open_model(page, real_http, BERT)
    folded = panels(page, GATE[BERT])
    assert len(folded) == 4
    whole = Rect(folded[0].x, folded[0].y, folded[-1].x + folded[-1].width - folded[0].x, folded[0].height)
    centre(page, whole, -2)
    strength = np.array(
        page.evaluate("""([x, y, w, h]) => {
            const { map, outlines } = mwv.view;
            const corner = map.containerPointToLatLng([0, 0]), scale = 2 ** map.getZoom();
            const left = Math.round((x - corner.lng) * scale) - 1, top = Math.round((y - corner.lat) * scale) + h * scale / 2;
            const row = outlines.context.getImageData(left, top, w * scale + 2, 1).data;
            return Array.from(row).filter((_, i) => i % 4 === 3);
        }""", [whole.x, whole.y, whole.width, whole.height])
    )  # fmt: skip
    assert strength[0] > 0 and strength[-1] > 0
    assert not strength[1:-1].any()


def test_the_legend_tells_the_scale_of_the_level_in_view(page: Page, real_http: str) -> None:
    open_model(page, real_http, BERT)
    colours = {"rgb({},{},{})".format(*colour) for colour in window(page).tolist()}
    fills = page.locator(".strips rect").evaluate_all("items => items.map((i) => i.getAttribute('fill'))")
    assert len(fills) > 30 and set(fills) <= colours
    ticks = [float(text) for text in page.locator(".strips text:not(.class)").all_text_contents()]
    assert ticks == sorted(ticks) and len(ticks) >= 3
    # Most weights of this model lie between 1/100 and 1 by RMS.
    assert ticks[0] > 0.01 and ticks[-1] < 1
    centre(page, panels(page, QUERY[BERT])[0], 0)
    assert float(page.locator(".strips text:not(.class)").first.text_content() or 1) < ticks[0] / 4


def test_all_ways_to_keep_tiles_show_the_same_values(
    page: Page, other_http: tuple[str, str], values: Mapping[str, NDArray[np.float64]]
) -> None:
    how, address = other_http
    open_model(page, address, BERT)
    rect = panels(page, QUERY[BERT])[0]
    centre(page, rect, 0)
    shown, (x, y) = part(page, screen(page), rect)
    codes = oracle.leaf(values[QUERY[BERT]])[y : y + shown.shape[0], x : x + shown.shape[1]]
    if how != "avif":
        assert (shown == window(page)[codes]).all()
        return
    # Leaves are exact in picture tiles too, with the window of the scene; overviews are lossy, with a window of their own.
    colours = table("signed", *page.evaluate("mwv.view.scene.facts.window"))
    assert (shown == colours[codes]).all()
    expect(page.locator("#notice")).to_contain_text("Colours are part of these tiles")
    expect(page.locator("#notice")).to_contain_text("of 0.00098 to 2 at one pixel per element, of 0.0078 to 0.25 further out")
    expect(page.locator("#legend")).to_be_hidden()
    colours = table("signed", 2**-7, 2**-2)
    centre(page, rect, -2)
    shown, _ = part(page, screen(page), rect)
    matrix = values[QUERY[BERT]]
    codes = overview(matrix)
    assert np.abs(shown.astype(int) - colours[codes]).mean() < 12


def test_the_gallery_shows_both_and_leads_to_them(page: Page, real_root: str) -> None:
    page.goto(f"{real_root}/index.html")
    cards = page.locator(".card")
    expect(cards).to_have_count(2)
    loaded = "() => [...document.querySelectorAll('.card img')].every((i) => Math.min(i.naturalWidth, i.naturalHeight) > 100)"
    page.wait_for_function(loaded)
    expect(cards.nth(0)).to_contain_text("22.7 M")
    expect(cards.nth(1)).to_contain_text("Q4_1")
    for index, (slug, word) in enumerate(((BERT, "BertModel"), (SMOLLM2, "llama"))):
        page.goto(f"{real_root}/index.html")
        cards.nth(index).get_by_role("link").click()
        settle(page)
        assert page.url.endswith(f"/{slug}/index.html")
        expect(page.locator(".bar .summary")).to_contain_text(word)


def test_without_javascript_there_are_the_overview_and_the_table(new_page: PageFactory, real_root: str) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{real_root}/{BERT}/index.html")
    picture = page.locator("img.overview")
    expect(picture).to_be_visible()
    with Image.open(io.BytesIO(picture.screenshot())) as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 30
    row = page.locator("table.tensors tbody tr").filter(has_text=QUERY[BERT])
    expect(row).to_contain_text("384 × 384")
    page.goto(f"{real_root}/{SMOLLM2}/tensors.html")
    expect(page.locator("table.tensors tbody tr")).to_have_count(272)


@pytest.mark.parametrize("width", [390, 1440, 3840])
def test_long_titles_leave_room_for_the_controls(new_page: PageFactory, real_http: str, width: int) -> None:
    page = new_page(width, 844)
    open_model(page, real_http, SMOLLM2)
    for name in ("#toggle-panel", ".leaflet-control-zoom-in", "#fit"):
        box = page.locator(name).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width


def test_on_a_phone_the_tensor_stays_in_sight_above_its_panel(new_page: PageFactory, real_http: str) -> None:
    page = new_page(390, 844)
    open_model(page, real_http, BERT)
    rect = panels(page, QUERY[BERT])[0]
    centre(page, rect, -2)
    page.locator("#map").click(position={"x": 195, "y": 398})
    expect(page.locator("#tensor h2")).to_have_text(QUERY[BERT])
    above = """([x, y]) => {
        const top = (selector) => document.querySelector(selector).getBoundingClientRect().top;
        return mwv.view.map.latLngToContainerPoint([y, x]).y + top("#map") < top("#panel");
    }"""
    page.wait_for_function(above, arg=[rect.x + rect.width / 2, rect.y + rect.height / 2])
