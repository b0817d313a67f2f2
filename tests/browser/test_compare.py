"""In: sites of models that can be compared in Chromium. Out: either model on its side of the handle, one after the other, or on
two maps that move as one; the facts that the demo hides are found; a link opens the comparison and closing leaves nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect
from safetensors import safe_open
from serving import served
from viewing import expected, look, open_model, screen, settle

from mwv.build import build
from mwv.demo import DEAD_HEAD, HEAD_SIZE, LOST_HEAD, NAN, write_demo
from mwv.settings import ModelSettings, Settings
from mwv.site.writer import SiteWriter

PageFactory = Callable[..., Page]


@dataclass(frozen=True)
class Pair:
    """A site, and the models in it whose pixels are compared."""

    site: Path
    left: synthetic.Built
    right: synthetic.Built


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory, models: dict[str, synthetic.Built]) -> Pair:
    """ "odd" and "other" with equal layouts and other values, one in archives, one of another architecture, and one of the same
    architecture where nothing stands where it does in the others."""
    folder = tmp_path_factory.mktemp("compare")
    left = models["odd"]
    right = synthetic.build(folder / "tiles", slug="other", seed=2, layers=8)
    # Its own window would be another one.
    scene = replace(right.model.scenes[0], magnitudes=tuple((3 * a, 3 * b) for a, b in right.model.scenes[0].magnitudes))
    right = synthetic.renamed(right, scenes=(scene,))
    moved = [replace(p, pieces=tuple(replace(piece, x=piece.x + 1) for piece in p.pieces)) for p in scene.canvas.placements]
    elsewhere = replace(scene, layout_digest="1" * 64, canvas=replace(scene.canvas, placements=tuple(moved)))
    alike = synthetic.renamed(right, slug="alike", title="alike", identity="alike", scenes=(elsewhere,))
    foreign = synthetic.renamed(alike, slug="foreign", title="foreign", identity="foreign", architecture="BertModel")
    scenes = (left.model.scenes[0], replace(scene, title="Again"))
    both = synthetic.renamed(left, slug="zwei", title="zwei", identity="zwei", scenes=scenes)
    both = replace(both, files=replace(left.files, paths={**left.files.paths, **right.files.paths}))
    with SiteWriter(folder / "site") as writer:
        for built in (left, right, models["archived"], alike, foreign, both):
            writer.add_model(built.model, built.files, built.overview)
        writer.finish()
    return Pair(folder / "site", left, right)


@pytest.fixture(scope="session")
def pair_http(pair: Pair) -> Iterator[str]:
    with served(pair.site) as address:
        yield address


@pytest.fixture(params=["http", "file"])
def pair_root(request: pytest.FixtureRequest, pair: Pair) -> str:
    return str(request.getfixturevalue("pair_http")) if request.param == "http" else pair.site.as_uri()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo's models and a site of them."""
    folder = tmp_path_factory.mktemp("compare-demo")
    models = tuple(ModelSettings(path) for path in write_demo(folder))
    build(Settings(models, folder / "site", folder / "cache", jobs=2))
    return folder


def choice(page: Page, slug: str) -> Locator:
    """The button of a model in the dialog."""
    return page.get_by_role("dialog").get_by_role("button").filter(has=page.locator(f".slug:text-is('{slug}')"))


def begin(page: Page, slug: str, mode: str = "Swipe") -> None:
    """Choose a model to compare with, as a person does."""
    page.get_by_role("button", name="Compare", exact=True).click()
    choice(page, slug).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    if mode != "Swipe":
        page.get_by_role("button", name=mode).click()
    still(page)


def still(page: Page) -> None:
    """Wait until no tile of either scene is on its way."""
    settle(page)
    page.wait_for_function("() => !mwv.compare.layer?.isLoading()")


def both(page: Page, pair: Pair, level: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What the map would show of either model alone; they must not be hard to tell apart."""
    a, b = (expected(page, built.codes[level], level) for built in (pair.left, pair.right))
    assert (a != b).any(2).mean() > 0.2
    return a, b


def split(page: Page, pair: Pair, level: int, at: int) -> None:
    """The map shows one model left of a column, the other right of it."""
    a, b = both(page, pair, level)
    shown = screen(page)
    assert (shown[:, :at] == a[:, :at]).all()
    assert (shown[:, at:] == b[:, at:]).all()


def test_models_that_can_be_compared_come_first_and_the_others_say_why_not(page: Page, pair_http: str) -> None:
    open_model(page, pair_http, "odd")
    page.get_by_role("button", name="Compare", exact=True).click()
    slugs = page.get_by_role("dialog").locator(".slug")
    expect(slugs).to_have_text(["archived", "other", "zwei", "zwei", "alike", "foreign"])
    alike, foreign = choice(page, "alike"), choice(page, "foreign")
    expect(foreign).to_be_disabled()
    expect(foreign).to_contain_text("Another layout: BertModel")
    expect(alike).to_be_enabled()
    alike.click()
    expect(alike).to_be_disabled()
    expect(alike).to_contain_text("0 of 26 tensors stand at the same place")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("mwv.compare.read()") == ""


def test_either_model_is_on_its_side_of_the_handle(page: Page, pair_root: str, pair: Pair) -> None:
    open_model(page, pair_root, "odd")
    look(page, 700, 900, 0)
    begin(page, "other")
    width = page.evaluate("mwv.view.map.getSize().x")
    split(page, pair, 0, width // 2)
    look(page, 1500, 1100, -1)
    still(page)
    split(page, pair, 1, width // 2)


def test_scenes_of_one_model_are_compared_and_another_tab_ends_it(page: Page, pair_root: str, pair: Pair) -> None:
    open_model(page, pair_root, "zwei")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Again").click()
    look(page, 700, 900, 0)
    still(page)
    expect(page.locator(".half-name.own")).to_have_text("zwei (Weights)")
    expect(page.locator(".half-name.other")).to_have_text("zwei (Again)")
    split(page, pair, 0, page.evaluate("mwv.view.map.getSize().x") // 2)
    page.locator("#tabs").get_by_role("button", name="Again").click()
    expect(page.get_by_role("slider", name="Where one model ends")).to_have_count(0)
    settle(page)
    look(page, 700, 900, 0)
    assert (screen(page) == expected(page, pair.right.codes[0], 0)).all()


def test_the_names_stand_on_their_halves(page: Page, pair_http: str) -> None:
    open_model(page, pair_http, "odd")
    begin(page, "other")
    handle = page.get_by_role("slider", name="Where one model ends").bounding_box()
    boxes = [page.locator(f".half-name.{side}").bounding_box() for side in ("own", "other")]
    assert handle and boxes[0] and boxes[1]
    middle = handle["x"] + handle["width"] / 2
    assert boxes[0]["x"] + boxes[0]["width"] <= middle <= boxes[1]["x"]
    expect(page.locator(".half-name.own")).to_have_text("Tiny & <i>odd</i>")
    expect(page.locator(".half-name.other")).to_have_text("Tiny & <i>other</i>")


def test_the_handle_is_dragged_with_the_mouse(page: Page, pair_http: str, pair: Pair) -> None:
    open_model(page, pair_http, "odd")
    look(page, 700, 900, 0)
    begin(page, "other")
    handle = page.get_by_role("slider", name="Where one model ends")
    box = handle.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 211, y, steps=4)
    page.mouse.up()
    page.mouse.move(x, y)
    left, width = page.evaluate("[mwv.view.element.getBoundingClientRect().left, mwv.view.map.getSize().x]")
    split(page, pair, 0, round(x - 211 - left))
    box = handle.bounding_box()
    assert box and box["x"] + box["width"] / 2 == pytest.approx(x - 211, abs=1)
    expect(handle).to_have_attribute("aria-valuenow", str(round(100 * (x - 211 - left) / width)))


def test_the_handle_moves_by_keys_and_the_map_stays(page: Page, pair_http: str, pair: Pair) -> None:
    open_model(page, pair_http, "odd")
    look(page, 700, 900, 0)
    begin(page, "other")
    handle = page.get_by_role("slider", name="Where one model ends")
    expect(handle).to_have_attribute("aria-valuenow", "50")
    handle.focus()
    centre = page.evaluate("mwv.view.map.getCenter()")
    for key, value in {"ArrowRight": 51, "PageDown": 41, "Shift+ArrowLeft": 31, "Home": 0, "ArrowLeft": 0, "End": 100}.items():
        page.keyboard.press(key)
        expect(handle).to_have_attribute("aria-valuenow", str(value))
    page.keyboard.press("PageDown")
    assert page.evaluate("mwv.view.map.getCenter()") == centre
    split(page, pair, 0, round(page.evaluate("mwv.view.map.getSize().x") * 0.9))


def test_the_cut_stays_while_the_map_is_dragged(page: Page, pair_http: str, pair: Pair) -> None:
    open_model(page, pair_http, "odd")
    look(page, 900, 900, 0)
    begin(page, "other")
    page.mouse.move(200, 400)
    page.mouse.down()
    page.mouse.move(230, 300, steps=5)
    still(page)
    split(page, pair, 0, page.evaluate("mwv.view.map.getSize().x") // 2)
    page.mouse.up()


def test_palette_and_window_are_those_of_both(page: Page, pair_root: str, pair: Pair) -> None:
    open_model(page, pair_root, "odd")
    look(page, 700, 900, 0)
    begin(page, "other")
    page.locator("#legend summary").click()
    page.locator("#palette").select_option("viridis")
    page.get_by_label("Smallest magnitude of the scale").focus()
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    split(page, pair, 0, page.evaluate("mwv.view.map.getSize().x") // 2)


@pytest.mark.parametrize("how", ["key", "button", "space"])
def test_holding_shows_the_other_model(new_page: PageFactory, pair_root: str, pair: Pair, how: str) -> None:
    """Where motion is unwelcome nothing blinks by itself."""
    page = new_page(reduced_motion="reduce")
    open_model(page, pair_root, "odd")
    look(page, 700, 900, 0)
    begin(page, "other", "Blink")
    expect(page.get_by_role("button", name="Auto").nth(0)).to_be_disabled()
    assert page.evaluate("mwv.compare.mode.timer") == 0
    expect(page.locator(".half-name:visible")).to_have_text("Tiny & <i>odd</i>")
    a, b = both(page, pair, 0)
    hold = page.get_by_role("button", name="Hold")
    if how == "button":
        hold.hover()
        press, release = page.mouse.down, page.mouse.up
    else:
        name = "b" if how == "key" else "Space"
        if how == "space":
            hold.focus()
        press, release = (lambda: page.keyboard.down(name)), (lambda: page.keyboard.up(name))
    press()
    expect(page.locator(".half-name:visible")).to_have_text("Tiny & <i>other</i>")
    assert (screen(page) == b).all()
    release()
    expect(page.locator(".half-name:visible")).to_have_text("Tiny & <i>odd</i>")
    assert (screen(page) == a).all()


def test_models_take_turns(page: Page, pair_http: str) -> None:
    open_model(page, pair_http, "odd")
    begin(page, "other", "Blink")
    own, other = page.locator(".half-name.own"), page.locator(".half-name.other")
    for _ in range(2):
        expect(other).to_be_visible()
        expect(own).to_be_hidden()
        expect(own).to_be_visible()
        expect(other).to_be_hidden()
    auto = page.get_by_role("button", name="Auto").first
    expect(auto).to_have_attribute("aria-pressed", "true")
    auto.click()
    expect(auto).to_have_attribute("aria-pressed", "false")
    assert page.evaluate("mwv.compare.mode.timer") == 0
    expect(own).to_be_visible()


def centres(page: Page) -> list[list[float]]:
    """Centre and zoom of both maps."""
    return page.evaluate(  # type: ignore[no-any-return]
        """[mwv.view.map, mwv.compare.mode.second.map].map((map) => {
            const { lat, lng } = map.getCenter();
            return [lng, lat, map.getZoom()];
        })"""
    )


def halves(page: Page) -> tuple[dict[str, float], dict[str, float]]:
    """Boxes of both maps in the page."""
    boxes = page.locator("#map").bounding_box(), page.locator("#other-map").bounding_box()
    assert boxes[0] and boxes[1]
    return boxes  # type: ignore[return-value]


def test_two_maps_show_a_model_each(page: Page, pair_root: str, pair: Pair) -> None:
    open_model(page, pair_root, "odd")
    begin(page, "other", "Side by side")
    look(page, 700, 900, 0)
    still(page)
    left, right = halves(page)
    assert (left["width"], left["height"], left["y"]) == (right["width"], right["height"], right["y"])
    assert left["x"] + left["width"] <= right["x"]
    a, b = both(page, pair, 0)
    assert (screen(page) == a).all()
    assert (screen(page, "#other-map") == b).all()
    # The window is the one for the page's model, whichever map moved last.
    for element in ("#map", "#other-map"):
        zoom = page.evaluate("mwv.view.map.getZoom()")
        page.locator(element).focus()
        page.keyboard.press("-")
        for view in ("mwv.view", "mwv.compare.mode.second"):
            page.wait_for_function(f"zoom => {view}.map.getZoom() < zoom && !{view}.map._animatingZoom", arg=zoom)
        still(page)
        low, high, fitted = page.evaluate(
            "[mwv.view.colours.low, mwv.view.colours.high, mwv.levelWindow(mwv.view.scene.facts, mwv.view.map.getZoom())]"
        )
        assert [low, high] == fitted


def test_side_by_side_the_overview_is_folded(page: Page, pair_root: str) -> None:
    open_model(page, pair_root, "odd")
    picture = page.locator("#minimap .picture")
    expect(picture).to_be_visible()
    begin(page, "other", "Side by side")
    expect(picture).to_be_hidden()
    page.locator("#minimap summary").click()
    expect(picture).to_be_visible()
    page.locator("#minimap summary").click()
    page.get_by_role("button", name="Swipe").click()
    expect(picture).to_be_visible()


def test_one_map_lies_below_the_other_on_a_narrow_screen(new_page: PageFactory, pair_http: str) -> None:
    page = new_page(390, 844)
    open_model(page, pair_http, "odd")
    begin(page, "other", "Side by side")
    top, bottom = halves(page)
    ruler = page.locator("#ruler").bounding_box()
    assert ruler and top["x"] == bottom["x"] == ruler["x"] + ruler["width"]
    assert top["width"] == bottom["width"] == 390 - ruler["width"]
    assert top["y"] + top["height"] <= bottom["y"]
    assert bottom["y"] + bottom["height"] <= 844
    assert abs(top["height"] - bottom["height"]) <= 1
    for view in ("mwv.view", "mwv.compare.mode.second"):  # what was seen whole still is
        page.wait_for_function(f"() => {view}.map.getBounds().contains(mwv.view.bounds)")


def test_both_maps_move_as_one(page: Page, pair_root: str, pair: Pair) -> None:
    open_model(page, pair_root, "odd")
    begin(page, "other", "Side by side")
    for box, other in zip(halves(page), reversed(halves(page)), strict=True):
        look(page, 700, 900, 0)
        before = centres(page)
        page.mouse.move(box["x"] + 250, box["y"] + 300)
        page.mouse.down()
        page.mouse.move(box["x"] + 170, box["y"] + 260, steps=3)
        dragged = centres(page)
        assert dragged[0][0] - before[0][0] == pytest.approx(80, abs=0.6)
        assert dragged[1] == pytest.approx(dragged[0], abs=0.6)
        page.mouse.up()
        page.mouse.move(other["x"] + 150, other["y"] + 300)
        page.mouse.wheel(0, 240)
        page.wait_for_function("zoom => mwv.view.map.getZoom() < zoom", arg=dragged[0][2])
        page.wait_for_function(
            "() => !mwv.view.map._animatingZoom && mwv.view.map.getZoom() === mwv.compare.mode.second.map.getZoom()"
        )
        still(page)
        zoomed = centres(page)
        assert zoomed[1] == pytest.approx(zoomed[0], abs=0.6 / 2 ** zoomed[0][2])
    look(page, 1500, 1100, -1)
    still(page)
    a, b = both(page, pair, 1)
    assert (screen(page) == a).all()
    assert (screen(page, "#other-map") == b).all()


def test_a_click_on_either_map_chooses_the_tensor_on_both(page: Page, pair_http: str) -> None:
    open_model(page, pair_http, "odd")
    begin(page, "other", "Side by side")
    look(page, 700, 900, 0)
    box = halves(page)[1]
    page.mouse.click(box["x"] + 300, box["y"] + 300)
    expect(page.locator("#tensor h2")).to_have_text("model.embed_tokens.weight")
    chosen = "[mwv.view.outlines.selected, mwv.compare.mode.second.outlines.selected]"
    assert page.evaluate(chosen) == [0, 0]
    page.locator("#tensor").get_by_title("Close").click()
    assert page.evaluate(chosen) == [-1, -1]


def test_the_pointer_is_mirrored_on_the_other_map(page: Page, pair_http: str) -> None:
    open_model(page, pair_http, "odd")
    begin(page, "other", "Side by side")
    for from_, to, inside in zip(halves(page), reversed(halves(page)), ("#other-map", "#map"), strict=True):
        page.mouse.move(from_["x"] + 200, from_["y"] + 350)
        cross = page.locator(f"{inside} .mirrored")
        expect(cross).to_be_visible()
        at = cross.bounding_box()
        assert at
        middle = at["x"] + at["width"] / 2 - to["x"], at["y"] + at["height"] / 2 - to["y"]
        assert middle == pytest.approx((200, 350), abs=1)
    page.mouse.move(600, 20)
    expect(page.locator(".mirrored:visible")).to_have_count(0)


@pytest.mark.parametrize("mode", ["Swipe", "Blink", "Side by side"])
def test_closing_leaves_the_page_as_it_was(page: Page, pair_root: str, mode: str) -> None:
    """The same elements, panes, listeners of the map and place; every other mode was in use before."""
    open_model(page, pair_root, "odd")
    look(page, 700, 900, 0)
    state = """() => ({
        elements: [...document.querySelectorAll("*")].filter((e) => !e.closest(".leaflet-tile-pane, style"))
            .map((e) => `${e.tagName}#${e.id}.${e.getAttribute("class")} ${e.getAttribute("style") ?? ""}`.trim())
            .filter((line) => !line.includes("mwv-data")),
        panes: Object.entries(mwv.view.map.getPanes()).map(([name, pane]) => [name, pane.style.cssText]),
        listeners: Object.entries(mwv.view.map._events).map(([name, all]) => [name, all.length]).filter(([, n]) => n),
        place: [mwv.view.map.getCenter(), mwv.view.map.getZoom(), mwv.view.map.getSize()],
        pressed: document.querySelector("#compare").outerHTML,
    })"""
    page.evaluate("mwv.load('../site.js')")
    page.evaluate("mwv.load('../other/' + mwv.models.find((m) => m.slug === 'other').model)")
    page.evaluate("mwv.load('../other/' + mwv.models.find((m) => m.slug === 'other').scenes[0])")
    page.get_by_role("button", name="Compare", exact=True).focus()
    before = page.evaluate(state)
    begin(page, "other", mode)
    assert page.evaluate(state) != before
    page.get_by_role("button", name="End the comparison").click()
    settle(page)
    after = page.evaluate(state)
    for part, value in before.items():
        assert after[part] == value, part
    look(page, 900, 900, 0)
    page.locator("#map").click(position={"x": 300, "y": 300})
    page.keyboard.press("b")
    expect(page.locator("#comparison")).to_be_hidden()


@pytest.mark.parametrize("mode", ["Swipe", "Blink", "Side by side"])
def test_a_link_opens_the_same_comparison(new_page: PageFactory, pair_http: str, mode: str) -> None:
    page = new_page()
    open_model(page, pair_http, "odd")
    begin(page, "other", mode)
    if mode == "Swipe":
        page.get_by_role("slider", name="Where one model ends").focus()
        page.keyboard.press("PageDown")
    page.wait_for_function("() => location.hash.includes('other')")
    shown = page.evaluate("mwv.compare.read()")
    assert shown == {"Swipe": "swipe,other,0,40", "Blink": "blink,other,0", "Side by side": "beside,other,0"}[mode]
    page.wait_for_function("text => location.hash.includes(text)", arg=shown)
    again = new_page()
    again.goto(page.evaluate("location.href"))
    again.wait_for_function("() => mwv.compare.shown")
    still(again)
    assert again.evaluate("mwv.compare.read()") == shown
    expect(again.get_by_role("button", name=mode)).to_have_attribute("aria-pressed", "true")
    if mode == "Swipe":
        expect(again.get_by_role("slider", name="Where one model ends")).to_have_attribute("aria-valuenow", "40")
    again.get_by_role("button", name="End the comparison").click()
    again.wait_for_function("() => !location.hash.includes('other')")


def test_a_link_to_nothing_says_so(page: Page, pair_http: str) -> None:
    open_model(page, pair_http, "odd")
    for text in ("swipe,../etc,0", "fade,other,0", "swipe", ",,,", "x"):
        page.evaluate("text => mwv.compare.write(text)", text)
        assert page.evaluate("mwv.compare.read()") == ""
    page.evaluate("mwv.compare.write('swipe,gone,0,50')")
    expect(page.get_by_role("dialog")).to_contain_text("There is no gone in this site")
    assert page.evaluate("mwv.compare.read()") == ""


def test_archives_are_compared_over_http_and_refused_from_disk(page: Page, pair: Pair, pair_http: str) -> None:
    """The page of a model with archives reads both kinds of tiles."""
    open_model(page, pair_http, "archived")
    look(page, 700, 900, 0)
    begin(page, "other")
    split(page, pair, 0, page.evaluate("mwv.view.map.getSize().x") // 2)
    open_model(page, pair_http, "odd")
    page.get_by_role("button", name="Compare", exact=True).click()
    choice(page, "archived").click()
    expect(choice(page, "archived")).to_contain_text("Open that model and compare it with this one")
    open_model(page, pair.site.as_uri(), "odd")
    page.get_by_role("button", name="Compare", exact=True).click()
    choice(page, "archived").click()
    expect(choice(page, "archived")).to_contain_text("mwv serve")
    expect(choice(page, "archived")).to_be_disabled()


def test_a_site_of_one_model_and_a_site_without_its_list_say_so(
    chromium: Browser, page: Page, tmp_path: Path, pair: Pair
) -> None:
    with SiteWriter(tmp_path / "one") as writer:
        writer.add_model(pair.left.model, pair.left.files, pair.left.overview)
        writer.finish()
    open_model(page, (tmp_path / "one").as_uri(), "odd")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("There is no other model in this site yet")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    (tmp_path / "one" / "site.js").unlink()
    unwatched = chromium.new_page()  # the request for what is not there is an error on the console
    open_model(unwatched, (tmp_path / "one").as_uri(), "odd")
    unwatched.get_by_role("button", name="Compare", exact=True).click()
    expect(unwatched.get_by_role("dialog")).to_contain_text("site.js")
    unwatched.close()


def tensors(folder: Path) -> dict[str, NDArray[np.float64]]:
    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        return {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}  # noqa: SIM118


def test_what_the_finetune_changed_is_found(new_page: PageFactory, demo: Path) -> None:
    """By the list alone: everything that differs and nothing else, the NaN first; a click goes there, and the figures are those
    of the values that safetensors reads."""
    base, tuned = tensors(demo / "demo-base"), tensors(demo / "demo-finetune")
    changed = {name for name in base if not np.array_equal(base[name], tuned[name])}
    page = new_page(reduced_motion="reduce")
    open_model(page, (demo / "site").as_uri(), "demo-base")
    begin(page, "demo-finetune")
    section = page.locator("#comparison")
    expect(section).to_contain_text(f"{len(changed)} tensors differ, {len(base) - len(changed)} are identical.")
    expect(section).to_contain_text("73 of 75 tensors stand at the same place")
    names = section.locator(".differences .name").all_text_contents()
    assert set(names) == changed and len(names) == len(changed)
    first = section.get_by_role("listitem").first
    expect(first).to_contain_text(NAN[0])
    expect(first).to_contain_text("0 → 1 NaN")

    def rms(values: NDArray[np.float64]) -> float:
        return float(np.sqrt((values**2).mean()))

    ratios = [rms(tuned[name]) / rms(base[name]) for name in names[1:]]
    sizes = [1 - min(ratio, 1 / ratio) for ratio in ratios]
    assert sizes == sorted(sizes, reverse=True)

    layer, head = LOST_HEAD
    lost = f"model.layers.{layer}.self_attn.q_proj.weight"
    section.get_by_role("button").filter(has_text=lost).click()
    expect(page.locator("#tensor h2")).to_have_text(lost)
    still(page)
    chosen = section.locator(".chosen")
    expect(chosen.locator("b").first).to_have_text("differs")
    rows = [[cell.strip() for cell in row.locator("td").all_text_contents()] for row in chosen.locator("tbody tr").all()]
    for row, figure in zip(rows, (rms, np.min, np.max), strict=False):
        for shown, model in zip(row, (base, tuned), strict=True):
            assert float(shown.replace("−", "-")) == pytest.approx(float(figure(model[lost])), rel=1e-3)
    dead = HEAD_SIZE * base[lost].shape[1]
    expect(chosen).to_contain_text("Zeros")
    assert int(rows[3][1].replace("\u202f", "")) - int(rows[3][0].replace("\u202f", "")) == dead
    # The rows of the head are black on the finetune's side of the handle.
    x, y = page.evaluate("mwv.view.scene.facts.placements.pieces[mwv.view.selected]")[:2]
    page.get_by_role("slider", name="Where one model ends").focus()
    for key, black in {"Home": True, "End": False}.items():
        page.keyboard.press(key)
        look(page, x + 256, y + (head + 0.5) * HEAD_SIZE, 1)
        still(page)
        shown = screen(page)
        middle = shown.shape[0] // 2
        assert (shown[middle - 60 : middle + 60, 300:700] == 0).all() == black

    # What was dead before still is, bit for bit.
    same = f"model.layers.{DEAD_HEAD[0]}.self_attn.k_proj.weight"
    placement = page.evaluate("name => [...mwv.view.scene.shapes.keys()].find((i) => mwv.view.scene.name(i) === name)", same)
    page.evaluate("placement => mwv.view.select(placement)", placement)
    expect(chosen.locator("b").first).to_have_text("identical")


def test_a_nan_is_outlined_on_the_side_that_has_it(page: Page, demo: Path) -> None:
    open_model(page, (demo / "site").as_uri(), "demo-base")
    begin(page, "demo-finetune", "Side by side")
    page.locator("#comparison .differences button").first.click()
    page.wait_for_function("() => mwv.view.selected >= 0 && !mwv.view.map._animatingZoom")
    _, row, column = NAN
    x, y, _, _, rows, columns = page.evaluate("mwv.view.scene.facts.placements.pieces[mwv.view.selected]")
    assert row < rows and column < columns
    look(page, x + column + 0.5, y + row + 0.5, 4)
    still(page)
    nan = np.array(page.evaluate("mwv.view.colours.table[255]"))
    assert not (screen(page) == nan).all(2).any()
    assert (screen(page, "#other-map") == nan).all(2).sum() == 16 * 16
