"""In: sites in Chromium, a mouse, a finger, a keyboard. Out: what the read-out says, against numpy's own values."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect
from safetensors.numpy import save_file
from synthetic import Built
from viewing import hover, look, open_model

from mwv.build import build
from mwv.pyramid.code import leaf_codes, magnitude, sign
from mwv.settings import ModelSettings, Settings
from mwv.site.exact import Values
from mwv.site.serve import open_server

PageFactory = Callable[..., Page]


def card(page: Page) -> Locator:
    return page.locator("#readout")


def figure(page: Page) -> Locator:
    return page.locator("#readout .figure")


def figures(text: str) -> float:
    return float(text.replace("−", "-").replace("≈", "").replace("±", "").replace("=", "").split("RMS")[0])


@pytest.mark.parametrize("slug", ["odd", "archived", "grid"])
def test_an_element_is_told_with_its_place_and_its_rounded_value(
    page: Page, http: str, models: dict[str, Built], slug: str
) -> None:
    open_model(page, http, slug)
    look(page, 1700, 3800, 0)
    codes = models["odd"].codes[0]
    for x, y in ((1600, 3700), (1601, 3700), (1536 + 383, 3584 + 255)):
        hover(page, x, y)
        code = int(codes[y, x])
        expect(figure(page)).to_contain_text("≈")
        expect(card(page)).to_contain_text(f"row {y - 3584}, column {x - 1536}")
        expect(page.locator("#readout .name")).to_have_text("model.layers.6.attn.q_proj.weight")
        expect(page.locator("#readout .role")).to_have_text("layer 6 · attn.q_proj.weight")
        page.wait_for_function("code => mwv.view.reading.code === code", arg=code)
        told = figures(figure(page).inner_text())
        assert told == pytest.approx(sign(code) * magnitude(code), rel=0.05)


def test_a_vector_is_one_row_however_thick(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    look(page, 1700, 850, 1)
    for y in (832, 839):
        hover(page, 1700, y)
        expect(card(page)).to_contain_text("row 0, column 164")
        expect(page.locator("#readout .name")).to_have_text("model.layers.0.norm.weight")


def test_codes_without_a_magnitude_are_told_in_words(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    for x, y, words in ((300, 812, "NaN"), (310, 822, "infinite"), (500, 730, "zero"), (1000, 1400, "missing from the files")):
        look(page, x, y, 2)
        hover(page, x, y)
        expect(figure(page)).to_have_text(words)
    look(page, 1450, 800, 2)
    hover(page, 1450, 800)
    expect(card(page)).to_be_hidden()


@pytest.fixture(scope="module")
def weights() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(5)
    balanced = rng.normal(0, 0.03, (600, 700)).astype(np.float32)
    return {
        "balanced.weight": balanced,
        "positive.weight": np.abs(rng.normal(0, 0.5, (300, 300))).astype(np.float32),
        "negative.weight": -np.abs(rng.normal(0, 0.5, (300, 300))).astype(np.float16),
        "int.weight": rng.integers(-100, 100, (200, 300)).astype(np.int8),
        "long.weight": np.arange(2**62, 2**62 + 6000).reshape(60, 100),
        "conv.weight": rng.normal(0, 0.2, (40, 30, 3, 3)).astype(np.float32),
        "tiny.weight": np.full((100, 100), 1e-20, np.float64),
    }


def write(path: Path, weights: dict[str, NDArray[Any]]) -> Path:
    save_file(weights, path)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return path


@contextmanager
def serving(site: Path, source: Path | None) -> Iterator[str]:
    """The address of a site of one model, with its source at hand if given."""
    values = None if source is None else Values(site, lambda _: None, [source])
    with open_server(site, port=0, values=values) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.url.rstrip("/")
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readout")


@pytest.fixture(scope="module")
def source(folder: Path, weights: dict[str, NDArray[Any]]) -> Path:
    return write(folder / "kinds.safetensors", weights)


@pytest.fixture(scope="module")
def kinds(folder: Path, source: Path) -> Path:
    build(Settings((ModelSettings(source),), folder / "site", folder / "cache", jobs=1))
    return folder / "site"


def corner(page: Page, name: str) -> tuple[int, int]:
    """Where the first piece of a tensor stands, by the data of the scene."""
    x, y = page.evaluate(
        """name => {
            const { tensors, placements } = mwv.view.scene.facts;
            return placements.pieces[placements.tensor.indexOf(tensors.name.indexOf(name))].slice(0, 2);
        }""",
        name,
    )
    return int(x), int(y)


def test_an_overview_tells_rms_balance_and_the_elements_it_stands_for(
    page: Page, kinds: Path, weights: dict[str, NDArray[Any]]
) -> None:
    with serving(kinds, None) as address:
        open_model(page, address, "kinds")
        for name, level, words in (
            ("balanced.weight", 3, "balanced"),
            ("positive.weight", 3, "mostly positive"),
            ("negative.weight", 2, "mostly negative"),
            ("int.weight", 3, ""),
        ):
            x, y = corner(page, name)
            look(page, x + 100, y + 100, -level)
            side = 2**level
            # Corners of tensors lie on whole pixels of these levels.
            left, top = 96 // side * side, 64 // side * side
            hover(page, x + left, y + top)
            expect(card(page)).to_contain_text(f"rows {top}–{top + side - 1}, columns {left}–{left + side - 1}")
            expect(figure(page)).to_contain_text(f"RMS, {words}")
            part = weights[name][top : top + side, left : left + side].astype(np.float64)
            assert figures(figure(page).inner_text()) == pytest.approx(float(np.sqrt((part**2).mean())), rel=0.2)


def test_a_pixel_over_several_tensors_stands_for_parts_of_all(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    found = page.evaluate("""() => mwv.elementsUnder(mwv.view.scene, 1536 + 128, 3584 + 128, 512).map((e) =>
        [mwv.view.scene.slot(e.placement), e.rows, e.cols, mwv.view.scene.role(e.placement).layer])""")
    assert found == [
        ["attn.q_proj.weight", [128, 255], [128, 383], 6],
        ["mlp.up_proj.weight", [128, 299], [0, 191], 6],
        ["norm.weight", [0, 0], [128, 383], 6],
        ["attn.q_proj.weight", [0, 127], [128, 383], 7],
        ["mlp.up_proj.weight", [0, 127], [0, 191], 7],
    ]


def test_a_value_beyond_the_scale_is_told_as_a_bound(page: Page, kinds: Path) -> None:
    with serving(kinds, None) as address:
        open_model(page, address, "kinds")
        x, y = corner(page, "tiny.weight")
        look(page, x + 20, y + 20, 1)
        hover(page, x + 20, y + 20)
        expect(figure(page)).to_have_text("between 0 and 0.00012")


def test_with_the_source_at_hand_values_are_exact(
    page: Page, kinds: Path, source: Path, weights: dict[str, NDArray[Any]]
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with serving(kinds, source) as address:
        open_model(page, address, "kinds")
        for name in ("balanced.weight", "negative.weight", "int.weight", "long.weight", "tiny.weight"):
            x, y = corner(page, name)
            look(page, x + 30, y + 30, 3)
            for col, row in ((30, 31), (33, 29)):
                hover(page, x + col, y + row)
                expect(figure(page)).to_contain_text("=")
                expect(card(page)).to_contain_text(f"row {row}, column {col}")
                text = figure(page).inner_text().removeprefix("= ").replace("−", "-")
                value = weights[name][row, col]
                assert type(value)(text) == value
        x, y = corner(page, "conv.weight")
        look(page, x + 30, y + 30, 3)
        hover(page, x + 31, y + 29)
        expect(figure(page)).to_contain_text("=")
        kernel = weights["conv.weight"][29 // 3, 31 // 3, 29 % 3, 31 % 3]
        assert np.float32(figure(page).inner_text().removeprefix("= ").replace("−", "-")) == kernel
        values = [url for url in asked if "/values?" in url]
        # Neighbours came with the first of each tensor.
        assert len(values) == len(set(values)) == 6


def test_without_the_source_nothing_is_asked_in_vain(page: Page, kinds: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with serving(kinds, None) as address:
        open_model(page, address, "kinds")
        x, y = corner(page, "balanced.weight")
        look(page, x + 30, y + 30, 3)
        for col in (30, 35, 40):
            hover(page, x + col, y + 30)
            expect(card(page)).to_contain_text(f"column {col}")
            expect(figure(page)).to_contain_text("≈")
        page.wait_for_function("async () => (await mwv.readout.exact.offered()) === false")
        assert not [url for url in asked if "/values?" in url]


def test_a_source_that_changed_is_told_and_not_read(page: Page, tmp_path: Path, weights: dict[str, NDArray[Any]]) -> None:
    path = write(tmp_path / "kinds.safetensors", weights)
    build(Settings((ModelSettings(path),), tmp_path / "site", tmp_path / "cache", jobs=1))
    with serving(tmp_path / "site", path) as address:
        open_model(page, address, "kinds")
        x, y = corner(page, "balanced.weight")
        look(page, x + 30, y + 30, 3)
        write(path, {**weights, "balanced.weight": weights["balanced.weight"] * np.float32(1.0001)})
        hover(page, x + 30, y + 30)
        expect(card(page)).to_contain_text("has changed")
        expect(figure(page)).to_contain_text("≈")


def host(folder: Path, *, cors: bool = True, ranges: bool = True) -> type[BaseHTTPRequestHandler]:
    """A host of files elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        asked: list[str] = []  # noqa: RUF012

        def do_OPTIONS(self) -> None:
            self.send_response(204)
            if cors:
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Access-Control-Allow-Headers", "Range")
            self.end_headers()

        def do_GET(self) -> None:
            self.asked.append(self.headers["Range"])
            data = (folder / self.path.lstrip("/")).read_bytes()
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            body = data[first : last + 1] if ranges else data
            self.send_response(206 if ranges else 200)
            if cors:
                self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def hosted(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def published(folder: Path, source: Path, out: Path, url: str) -> Path:
    """The same site, with the public address of its source."""
    build(Settings((ModelSettings(source, url=f"{url}/"),), out, folder / "cache", jobs=1))
    return out


def pin(page: Page, x: float, y: float) -> None:
    hover(page, x, y)
    page.keyboard.down("Alt")
    page.mouse.down()
    page.mouse.up()
    page.keyboard.up("Alt")
    expect(page.locator("#readout.pinned")).to_be_visible()


def test_a_public_source_is_asked_for_an_element_when_the_reader_wants_it(
    page: Page, folder: Path, source: Path, weights: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    handler = host(folder)
    with hosted(handler) as url, serving(published(folder, source, tmp_path / "site", url), None) as address:
        open_model(page, address, "kinds")
        asked = handler.asked  # type: ignore[attr-defined]
        for count, name in enumerate(("balanced.weight", "negative.weight", "int.weight", "long.weight", "tiny.weight"), 1):
            x, y = corner(page, name)
            look(page, x + 30, y + 30, 3)
            pin(page, x + 31, y + 29)
            expect(figure(page)).not_to_contain_text("=")
            assert len(asked) == count - 1
            page.get_by_role("button", name="Exact value").click()
            expect(figure(page)).to_contain_text("=")
            value = weights[name][29, 31]
            assert type(value)(figure(page).inner_text().removeprefix("= ").replace("−", "-")) == value
            page.keyboard.press("Escape")
        x, y = corner(page, "conv.weight")
        look(page, x + 30, y + 30, 3)
        pin(page, x + 31, y + 29)
        page.get_by_role("button", name="Exact value").click()
        expect(figure(page)).to_contain_text("=")
        kernel = weights["conv.weight"][29 // 3, 31 // 3, 29 % 3, 31 % 3]
        assert np.float32(figure(page).inner_text().removeprefix("= ").replace("−", "-")) == kernel


def test_a_public_source_that_is_another_file_is_told(
    page: Page, folder: Path, source: Path, weights: dict[str, NDArray[Any]], tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    name = "balanced.weight"
    write(tmp_path / "other" / source.name, {**weights, name: weights[name] * np.float32(1.5)})
    with (
        hosted(host(tmp_path / "other")) as url,
        serving(published(folder, source, tmp_path / "site", url), None) as address,
    ):
        open_model(page, address, "kinds")
        x, y = corner(page, name)
        look(page, x + 30, y + 30, 3)
        pin(page, x + 31, y + 29)
        page.get_by_role("button", name="Exact value").click()
        expect(page.locator("#readout .why")).to_contain_text("another file than this picture shows")
        theirs = page.locator("#readout .why").inner_text().split(" has ")[1].split(" there")[0]
        assert np.float32(theirs.replace("−", "-")) == weights[name][29, 31] * np.float32(1.5)
        expect(figure(page)).to_contain_text("≈")


def test_a_leaf_code_stands_for_the_values_that_get_it(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    rng = np.random.default_rng(7)
    edges = np.array([2.0**e for e in range(-16, 14)])
    values = np.concatenate([rng.standard_normal(500) * 2.0 ** rng.uniform(-18, 14, 500), edges, -edges, [0.0, 5e-324, 1e300]])
    assert page.evaluate("values => values.map(mwv.leafCode)", values.tolist()) == leaf_codes(values).tolist()
    assert page.evaluate("[NaN, Infinity, -Infinity, -0].map(mwv.leafCode)") == [255, 254, 254, 1]
    # Edges between are no floats: a value next to one may be in either bin, one a thousandth away may not.
    edge = 2 ** (-11 + 1 / 3)
    low, high = (int(leaf_codes(np.array([edge * part]))[0]) for part in (0.999, 1.001))
    stands = "([code, value]) => mwv.standsFor(code, value)"
    assert [page.evaluate(stands, [code, edge]) for code in (low, high)] == [True, True]
    assert not page.evaluate(stands, [low, edge * 1.001]) and not page.evaluate(stands, [high, edge * 0.999])


@pytest.mark.parametrize("allowed", [{"cors": False}, {"ranges": False}])
def test_a_host_that_does_not_allow_it_is_told(
    chromium: Browser, folder: Path, source: Path, tmp_path: Path, allowed: dict[str, bool]
) -> None:
    # A page of its own: the browser itself complains on the console about a host without CORS.
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    with hosted(host(folder, **allowed)) as url, serving(published(folder, source, tmp_path / "site", url), None) as address:
        open_model(page, address, "kinds")
        x, y = corner(page, "balanced.weight")
        look(page, x + 30, y + 30, 3)
        pin(page, x + 31, y + 29)
        page.get_by_role("button", name="Exact value").click()
        expect(page.locator("#readout .why")).to_contain_text("does not")
        expect(figure(page)).to_contain_text("≈")
    context.close()


def test_views_of_a_pickle_are_found_by_their_strides(page: Page, tmp_path: Path) -> None:
    stored = torch.randn(90, 150)
    torch.save({"t.weight": stored.t()}, tmp_path / "views.pt")
    handler = host(tmp_path)
    with hosted(handler) as url:
        build(Settings((ModelSettings(tmp_path / "views.pt", url=f"{url}/"),), tmp_path / "site", tmp_path / "cache", jobs=1))
        with serving(tmp_path / "site", None) as address:
            open_model(page, address, "views")
            x, y = corner(page, "t.weight")
            look(page, x + 30, y + 30, 3)
            pin(page, x + 31, y + 29)
            page.get_by_role("button", name="Exact value").click()
            expect(figure(page)).to_contain_text("=")
            text = figure(page).inner_text().removeprefix("= ").replace("−", "-")
            assert np.float32(text) == stored.t()[29, 31].item()


def test_floats_of_all_types_are_read_like_numpy(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    bits = np.concatenate([np.arange(0, 65536, 37), [0x7C00, 0xFC00, 0x7E00, 0x8000, 1, 0x3FF]]).astype(np.uint16)
    for name, kind in (("F16", np.float16), ("BF16", ml_dtypes.bfloat16)):
        texts = page.evaluate(
            """([name, all]) => all.map((bits) => {
                const view = new DataView(new ArrayBuffer(2));
                view.setUint16(0, bits, true);
                return mwv.PLAIN_TYPES[name][1](view, true);
            })""",
            [name, bits.tolist()],
        )
        found = np.array([float(text) for text in texts], np.float32)
        assert np.array_equal(found, bits.view(kind).astype(np.float32), equal_nan=True)


def test_a_pinned_card_stays_and_is_copied(new_page: PageFactory, http: str, models: dict[str, Built]) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    open_model(page, http, "odd")
    look(page, 1700, 3800, 2)
    pin(page, 1700, 3800)
    assert page.evaluate("mwv.view.selected") == -1
    hover(page, 1750, 3790)
    hover(page, 1760, 3790)
    expect(card(page)).to_contain_text("row 216, column 164")
    expect(figure(page)).to_contain_text("≈")
    page.evaluate("navigator.clipboard.writeText('')")  # it may hold what another test copied
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    code = int(models["odd"].codes[0][3800, 1700])
    first, address = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert first.startswith("model.layers.6.attn.q_proj.weight [216, 164] ≈ ")
    assert figures(first.rpartition("≈")[2]) == pytest.approx(sign(code) * magnitude(code), rel=0.05)
    assert address == page.evaluate("location.href")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator("#readout.pinned")).to_have_count(0)


def test_the_keyboard_reads_the_centre_of_the_view(page: Page, root: str) -> None:
    open_model(page, root, "odd")
    look(page, 1700, 3800, 2)
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "map":
            break
    expect(page.locator(".crosshair")).to_be_visible()
    expect(card(page)).to_contain_text("row 216, column 164")
    page.keyboard.press("ArrowRight")
    expect(card(page)).to_contain_text("row 216, column 194")
    page.keyboard.press("v")
    expect(page.get_by_role("button", name="Copy")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#readout.pinned")).to_have_count(0)
    assert page.evaluate("document.activeElement.id") == "map"


def test_a_long_press_of_a_finger_pins(new_page: PageFactory, root: str) -> None:
    page = new_page(390, 844, has_touch=True, is_mobile=True)
    open_model(page, root, "odd")
    look(page, 1700, 3800, 2)
    box = page.locator("#map").bounding_box()
    assert box is not None
    finger = {"x": box["x"] + box["width"] / 2 + 2, "y": box["y"] + box["height"] / 2 + 2}
    client = page.context.new_cdp_session(page)
    client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [finger]})
    expect(page.locator("#readout.pinned")).to_be_visible()
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(card(page)).to_contain_text("row 216, column 164")
    assert page.evaluate("mwv.view.selected") == -1
    # The next tap is one like any other.
    page.touchscreen.tap(finger["x"] + 60, finger["y"] - 80)
    page.wait_for_function("() => mwv.view.selected >= 0")


def test_a_finger_that_moves_does_not_pin(new_page: PageFactory, http: str) -> None:
    page = new_page(390, 844, has_touch=True, is_mobile=True)
    page.clock.install()
    open_model(page, http, "odd")
    look(page, 1700, 3800, 2)
    page.evaluate("() => { mwv.pins = 0; mwv.readout.pin = () => { mwv.pins += 1; }; }")
    client = page.context.new_cdp_session(page)
    client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": 200, "y": 400}]})
    client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": 200, "y": 340}]})
    page.clock.fast_forward(2 * page.evaluate("mwv.LONG_PRESS"))
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.evaluate("mwv.pins") == 0


def test_from_disk_the_place_is_told_and_why_there_is_no_value(page: Page, root: str) -> None:
    open_model(page, root, "odd")
    look(page, 1700, 3800, 0)
    hover(page, 1600, 3700)
    expect(page.locator("#readout .name")).to_have_text("model.layers.6.attn.q_proj.weight")
    expect(card(page)).to_contain_text("row 116, column 64")
    if root.startswith("file:"):
        expect(page.locator("#readout .why")).to_have_text("No values from disk; serve the folder: mwv serve")
        expect(figure(page)).to_be_hidden()
    else:
        expect(figure(page)).to_contain_text("≈")
        expect(page.locator("#readout .why")).to_have_count(0)


def test_picture_tiles_have_no_values_and_the_page_says_so(page: Page, folder: Path, source: Path, tmp_path: Path) -> None:
    build(Settings((ModelSettings(source),), tmp_path / "site", folder / "cache", tile_format="avif", jobs=1))
    with serving(tmp_path / "site", None) as address:
        open_model(page, address, "kinds")
        x, y = corner(page, "balanced.weight")
        look(page, x + 30, y + 30, 0)
        hover(page, x + 30, y + 30)
        expect(card(page)).to_contain_text("row 30, column 30")
        expect(page.locator("#readout .why")).to_contain_text("colours are part of these tiles")


def test_the_codes_that_are_read_are_those_of_the_file(page: Page, http: str, models: dict[str, Built]) -> None:
    open_model(page, http, "odd")
    read = page.evaluate("async () => Array.from(await mwv.view.codes.tile(0, 0, 1))")
    assert np.array_equal(np.array(read, np.uint8).reshape(512, 512), models["odd"].codes[0][512:1024, :512])
    gray = json.loads(page.evaluate("JSON.stringify(mwv.exactCanvas())"))
    assert gray is True


def test_the_card_stays_on_the_map(new_page: PageFactory, http: str) -> None:
    for width, height in ((390, 844), (1366, 768), (3840, 2160)):
        page = new_page(width, height)
        open_model(page, http, "odd")
        look(page, 2000, 2000, 0)
        box = page.locator("#map").bounding_box()
        assert box is not None
        for across, down in ((0.05, 0.1), (0.9, 0.1), (0.05, 0.85), (0.9, 0.85)):
            page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
            if page.evaluate("mwv.view.reading === null"):
                continue
            inner = card(page).bounding_box()
            assert inner is not None
            assert inner["x"] >= box["x"] and inner["x"] + inner["width"] <= box["x"] + box["width"]
            assert inner["y"] >= box["y"] and inner["y"] + inner["height"] <= box["y"] + box["height"]


def test_on_a_strip_only_the_strip_tells(page: Page, http: str) -> None:
    open_model(page, http, "odd")
    look(page, 1700, 3700, 2)
    page.evaluate("mwv.view.select(mwv.view.at(mwv.view.map.getCenter()).placement)")
    # No room beside the tensor: the strip lies on its pixels.
    page.wait_for_function("() => mwv.panel.edges.strips.some((strip) => strip.profile.axis === 'row')")
    box = page.locator("#map").bounding_box()
    assert box is not None
    across = page.evaluate(
        """() => {
            const { base, grow } = mwv.panel.edges.strips.find((strip) => strip.profile.axis === "row");
            return base + grow / 2;
        }"""
    )
    hover(page, 1700, 3700)
    expect(card(page)).to_be_visible()
    page.mouse.move(box["x"] + across, box["y"] + box["height"] / 2)
    page.wait_for_function("() => mwv.panel.edges.pointed")
    expect(card(page)).to_be_hidden()
    hover(page, 1700, 3700)
    expect(card(page)).to_be_visible()


def test_on_a_phone_the_card_stays_above_the_panel(new_page: PageFactory, http: str) -> None:
    page = new_page(390, 844)
    open_model(page, http, "odd")
    look(page, 1700, 3800, 2)
    page.evaluate("mwv.view.select(mwv.view.at(mwv.view.map.getCenter()).placement)")
    panel = page.locator("#panel").bounding_box()
    assert panel is not None
    page.mouse.move(150, panel["y"] - 60)
    expect(card(page)).to_be_visible()
    inner = card(page).bounding_box()
    assert inner is not None and inner["y"] + inner["height"] <= panel["y"]
