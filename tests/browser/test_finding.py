"""In: models in Chromium. Out: links, history, ruler, minimap, keys and heads lead where they say."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from serving import served
from synthetic import ODD_NAMES, Built
from viewing import look, screen, settle

from mwv.site.writer import SiteWriter

PageFactory = Callable[..., Page]
MODEL = "tiny"
QUERY = "model.layers.{}.attn.q_proj.weight"
PITCH, LEFT, TOP = 512, 1536, 512
"""Layers of the synthetic model: how far apart they are, where the first one begins."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Eight layers with four heads of 64 rows, in two scenes."""
    built = synthetic.build(tmp_path_factory.mktemp("finding-tiles"), slug=MODEL, layers=8)
    scene = built.model.scenes[0]
    facts = {**built.model.facts, "num_attention_heads": 4, "head_dim": 64}
    return synthetic.renamed(built, title=MODEL, facts=facts, scenes=(scene, replace(scene, title="Again")))


@pytest.fixture(scope="module")
def tiny_site(tmp_path_factory: pytest.TempPathFactory, tiny: Built) -> Path:
    where = tmp_path_factory.mktemp("finding") / "site"
    with SiteWriter(where) as writer:
        writer.add_model(tiny.model, tiny.files, tiny.overview)
        writer.finish()
    return where


@pytest.fixture(scope="module")
def tiny_http(tiny_site: Path) -> Iterator[str]:
    with served(tiny_site) as address:
        yield address


@pytest.fixture(params=["http", "file"])
def tiny_root(request: pytest.FixtureRequest, tiny_site: Path) -> str:
    return str(request.getfixturevalue("tiny_http")) if request.param == "http" else tiny_site.as_uri()


def calm(page: Page) -> None:
    """Wait until all is drawn and the address tells what is shown."""
    page.wait_for_function("""() => {
        const { map, layer, outlines, colours } = mwv.view;
        const moving = map._animatingZoom || map._panAnim?._inProgress || layer.isLoading() || outlines.frame || colours.frame;
        return !moving && mwv.state.read() === location.hash.slice(1);
    }""")


def opened(page: Page, root: str, fragment: str = "") -> Page:
    page.goto("about:blank")
    page.goto(f"{root}/{MODEL}/index.html{fragment}")
    settle(page)
    return page


def shown(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("""() => {
        const { map, scene, selected, colours } = mwv.view;
        const { lng, lat } = map.getCenter();
        const tensor = selected < 0 ? "" : scene.name(selected);
        return { x: lng, y: lat, zoom: map.getZoom(), tensor, scene: scene.facts.index,
                 palette: colours.palette, window: [colours.low, colours.high], whole: mwv.view.atWhole() };
    }""")
    return found


def click(page: Page, x: float, y: float) -> None:
    """Click the map where a pixel of the canvas is."""
    place = page.evaluate("([x, y]) => { const p = mwv.view.map.latLngToContainerPoint([y, x]); return [p.x, p.y]; }", [x, y])
    page.locator("#map").click(position={"x": place[0], "y": place[1]})


def drag(page: Page, x: float, y: float) -> None:
    page.mouse.move(700, 400)
    page.mouse.down()
    page.mouse.move(700 + x, 400 + y, steps=5)
    page.mouse.up()
    calm(page)


def wheel(page: Page, amount: float) -> None:
    before = page.evaluate("mwv.view.map.getZoom()")
    page.mouse.move(600, 500)
    page.mouse.wheel(0, amount)
    page.wait_for_function("zoom => mwv.view.map.getZoom() !== zoom", arg=before)
    calm(page)


# Links


def test_a_link_shows_exactly_the_view_and_asks_for_no_other_tiles(new_page: PageFactory, tiny_root: str, tiny: Built) -> None:
    page = opened(new_page(), tiny_root)
    assert page.evaluate("location.hash") == ""
    wheel(page, -100)
    drag(page, -60, 37)
    click(page, LEFT + 100, TOP + 2 * PITCH + 100)
    page.locator("#legend summary").click()
    page.locator("#palette").select_option("viridis")
    page.get_by_label("Smallest magnitude of the scale").focus()
    page.keyboard.press("ArrowRight")
    calm(page)
    other = new_page()
    asked: list[str] = []
    other.on("request", lambda request: asked.append(request.url))
    other.goto(page.evaluate("location.href"))
    settle(other)
    assert shown(other) == shown(page)
    assert shown(other)["tensor"] == QUERY.format(2) and shown(other)["palette"] == "viridis"
    assert (screen(other) == screen(page)).all()
    level, overview = -int(shown(page)["zoom"] // 1), tiny.model.scenes[0].levels - 2
    keys = [{key for (at, _, _), key in tiny.model.scenes[0].tiles.items() if at == of} for of in (level, overview)]
    tiles = {Path(url).stem for url in asked if "/tiles/" in url}
    assert level < overview
    assert tiles & keys[0] and tiles <= keys[0] | keys[1]


def test_a_link_holds_place_and_zoom_to_a_hundredth_of_a_pixel(new_page: PageFactory, tiny_http: str) -> None:
    page = opened(new_page(), tiny_http, "#at=1700.03,900.52,6")
    assert shown(page)["zoom"] == 6
    assert (shown(page)["x"], shown(page)["y"]) == pytest.approx((1700.03, 900.52), abs=0.01 / 64)
    drag(page, -37, 11)
    other = opened(new_page(), tiny_http, page.evaluate("location.hash"))
    assert [shown(other)[axis] for axis in "xy"] == pytest.approx([shown(page)[axis] for axis in "xy"], abs=0.01 / 64)
    assert (screen(other) == screen(page)).all()


def test_a_link_holds_a_zoom_between_levels_and_a_scale_that_follows_the_view(new_page: PageFactory, tiny_root: str) -> None:
    page = opened(new_page(), tiny_root, f"#at={LEFT + 200},{TOP + 200},-0.75")
    page.locator("#legend summary").click()
    page.locator("#fit-view").click()
    page.wait_for_function("() => location.hash.includes('w=view')")
    drag(page, -60, 40)
    other = opened(new_page(), tiny_root, page.evaluate("location.hash"))
    other.wait_for_function("low => mwv.view.colours.low === low", arg=shown(page)["window"][0])
    assert shown(other)["zoom"] == -0.75
    other.locator("#legend summary").click()
    expect(other.locator("#fit-view")).to_have_attribute("aria-pressed", "true")


def test_every_odd_name_can_be_linked_to(new_page: PageFactory, tiny_root: str) -> None:
    page, other = opened(new_page(), tiny_root), new_page()
    for layer, name in enumerate(ODD_NAMES):
        click(page, LEFT + 500, TOP + layer * PITCH + 100)
        calm(page)
        assert shown(page)["tensor"] == name
        opened(other, tiny_root, page.evaluate("location.hash"))
        assert shown(other)["tensor"] == name


def test_a_link_to_a_tensor_alone_goes_there(page: Page, tiny_root: str) -> None:
    opened(page, tiny_root, f"#t={QUERY.format(5)}")
    here = shown(page)
    assert here["tensor"] == QUERY.format(5)
    assert (here["x"], here["y"]) == pytest.approx((LEFT + 192, TOP + 5 * PITCH + 128), abs=1)


HOSTILE = (
    "#at=NaN,1e999,-5",
    "#at=1e300,-1e300,99999",
    "#at=,,",
    "#at=1,2",
    "#t=%E0%A4%A&at=%",
    "#t=no such tensor&s=99&p=<img src=x onerror=alert(1)>&w=5,1",
    "#s=-1&w=NaN,NaN&p=__proto__",
    "#w=0,1e400&s=constructor&t=__proto__",
    "#w=5e-324,1",
    "#w=1,1.7e308",
    "#&&==&=a&t",
    "#" + "a" * 20000,
)


@pytest.mark.parametrize("fragment", HOSTILE)
def test_a_damaged_link_does_no_harm(page: Page, tiny_root: str, fragment: str) -> None:
    opened(page, tiny_root, fragment)
    here = shown(page)
    assert here["tensor"] == "" and here["scene"] == 0 and here["palette"] == "signed"
    assert page.evaluate("mwv.view.colours.fitted")
    assert page.evaluate("mwv.view.bounds.pad(0.51).contains(mwv.view.map.getCenter())")
    # And all still works.
    page.locator("#fit").click()
    click(page, LEFT + 100, TOP + 100)
    calm(page)
    assert shown(page)["tensor"] == QUERY.format(0)
    page.evaluate("fragment => { location.hash = fragment; }", fragment)
    page.wait_for_function("() => mwv.view.selected < 0")


# History


def test_moves_are_no_entries_and_jumps_are(page: Page, tiny_root: str) -> None:
    opened(page, tiny_root)
    entries = page.evaluate("history.length")
    wheel(page, -100)
    drag(page, -100, 30)
    drag(page, 60, -60)
    assert page.evaluate("history.length") == entries
    before = shown(page)
    click(page, LEFT + 100, TOP + 3 * PITCH + 100)
    calm(page)
    assert page.evaluate("history.length") == entries + 1
    drag(page, 50, -80)
    assert page.evaluate("history.length") == entries + 1
    chosen = shown(page)
    page.locator("#ruler .mark", has_text="7").click()
    calm(page)
    assert page.evaluate("history.length") == entries + 2
    jumped = shown(page)
    assert jumped["y"] != chosen["y"]
    for wanted, way in ((chosen, "back"), (before, "back"), (chosen, "forward"), (jumped, "forward")):
        page.evaluate(f"history.{way}()")
        page.wait_for_function("name => mwv.view.selected < 0 ? !name : mwv.view.scene.name(mwv.view.selected) === name",
                               arg=wanted["tensor"])  # fmt: skip
        page.wait_for_function("y => Math.abs(mwv.view.map.getCenter().lat - y) < 0.02", arg=wanted["y"])
        calm(page)
        here = shown(page)
        assert {**here, "x": 0, "y": 0} == {**wanted, "x": 0, "y": 0}
        assert (here["x"], here["y"]) == pytest.approx((wanted["x"], wanted["y"]), abs=0.02)


def test_the_way_back_leads_through_tabs(page: Page, tiny_root: str) -> None:
    opened(page, tiny_root)
    page.get_by_role("button", name="Again").click()
    calm(page)
    assert shown(page)["scene"] == 1
    assert page.evaluate("location.hash") == "#s=1"
    expect(page.get_by_role("button", name="Again")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#tabs [aria-pressed=true]")).to_have_count(1)
    page.go_back()
    page.wait_for_function("() => mwv.view.scene.facts.index === 0")
    page.go_forward()
    page.wait_for_function("() => mwv.view.scene.facts.index === 1")


# Ruler


def test_the_ruler_tells_layers_at_their_heights(page: Page, tiny_root: str) -> None:
    opened(page, tiny_root, f"#at={LEFT + 500},{TOP + 3 * PITCH},-1")
    frame = page.locator("#map").bounding_box()
    assert frame is not None
    for layer in (2, 3):
        box = page.locator("#ruler .mark", has_text=str(layer)).bounding_box()
        assert box is not None
        top = page.evaluate("y => mwv.view.map.latLngToContainerPoint([y, 0]).y", TOP + layer * PITCH)
        assert box["y"] == pytest.approx(frame["y"] + top, abs=1)
        assert box["height"] == pytest.approx(PITCH / 2, abs=1)
    told = page.evaluate("mwv.view.outlines.labels.taken.map((box) => box[4])")
    assert told and not [name for name in told if name.startswith("layer")]


def test_the_ruler_marks_the_layer_of_the_chosen_tensor_and_goes_to_others(page: Page, tiny_root: str) -> None:
    opened(page, tiny_root)
    expect(page.locator("#ruler .current")).to_have_count(0)
    click(page, LEFT + 100, TOP + 4 * PITCH + 100)
    expect(page.locator("#ruler .current")).to_have_text("4")
    field = page.get_by_label("Go to layer")
    expect(field).to_have_value("4")
    page.locator("#ruler .mark", has_text="6").click()
    calm(page)
    expect(page.locator("#ruler .current")).to_have_text("6")
    assert shown(page)["tensor"] == QUERY.format(6)
    assert shown(page)["y"] == pytest.approx(TOP + 6 * PITCH + PITCH / 2, abs=1)
    field.fill("1")
    field.press("Enter")
    calm(page)
    assert shown(page)["tensor"] == QUERY.format(1)
    assert shown(page)["y"] == pytest.approx(TOP + PITCH + PITCH / 2, abs=1)
    for wrong in ("8", "-1", "x", "", "1e1", "9" * 400):
        field.fill(wrong)
        field.press("Enter")
        expect(field).to_have_attribute("aria-invalid", "")
    assert shown(page)["tensor"] == QUERY.format(1)


# Minimap


def test_the_minimap_marks_what_is_in_view_and_moves_it(page: Page, tiny_root: str, tiny: Built) -> None:
    opened(page, tiny_root, f"#at={LEFT + 200},{TOP + 1000},-0.5")
    picture, frame = page.locator("#minimap .picture"), page.locator("#minimap .frame")
    outer, inner = picture.bounding_box(), frame.bounding_box()
    assert outer is not None and inner is not None
    bounds = tiny.model.scenes[0].canvas.bounds
    size = page.evaluate("[mwv.view.map.getSize().x, mwv.view.map.getSize().y]")
    assert inner["width"] / outer["width"] == pytest.approx(size[0] * 2**0.5 / bounds.width, abs=0.03)
    assert inner["height"] / outer["height"] == pytest.approx(size[1] * 2**0.5 / bounds.height, abs=0.03)
    page.mouse.move(outer["x"] + outer["width"] / 2, outer["y"] + outer["height"] / 4)
    page.mouse.down()
    calm(page)
    assert shown(page)["y"] == pytest.approx(bounds.y + bounds.height / 4, abs=bounds.height / 50)
    page.mouse.move(outer["x"] + outer["width"] / 2, outer["y"] + outer["height"] * 0.6, steps=3)
    page.mouse.up()
    calm(page)
    assert shown(page)["y"] == pytest.approx(bounds.y + bounds.height * 0.6, abs=bounds.height / 50)
    assert shown(page)["zoom"] == -0.5
    # Another scene has no picture of its own, but its tensors as boxes.
    page.get_by_role("button", name="Again").click()
    calm(page)
    expect(page.locator("#minimap img")).to_have_count(0)
    inside = screen(page, "#minimap .picture", over=".frame")[8:-8, 8:-8]  # without its round corners
    assert len(np.unique(inside.reshape(-1, 3), axis=0)) > 1
    page.locator("#minimap summary").click()
    expect(picture).to_be_hidden()


def overview(page: Page) -> NDArray[np.int16]:
    """Colours of the minimap's picture."""
    page.wait_for_function("() => mwv.minimap.tiles.length")
    box = page.locator("#minimap .picture").bounding_box()
    assert box is not None
    with Image.open(io.BytesIO(page.screenshot(clip=box))) as image:  # type: ignore[arg-type]
        return np.asarray(image.convert("RGB")).astype(np.int16)


def test_the_minimap_has_the_palette_of_the_map(page: Page, tiny_root: str) -> None:
    opened(page, tiny_root, f"#at={LEFT + 200},{TOP + 1000},0")
    coloured = []
    for palette in ("signed", "viridis", "signed"):
        page.evaluate("name => mwv.view.colours.setPalette(name)", palette)
        picture = overview(page)
        coloured.append(float((np.ptp(picture, axis=2) > 60).mean()))
    assert coloured[1] > 3 * coloured[0] and coloured[2] == coloured[0]


def test_phones_have_no_minimap(new_page: PageFactory, tiny_http: str) -> None:
    page = opened(new_page(390, 844), tiny_http)
    expect(page.locator("#minimap")).to_be_hidden()
    expect(page.locator("#ruler")).to_be_visible()


# Keys


def test_keys_move_and_zoom(page: Page, tiny_root: str) -> None:
    opened(page, tiny_root, f"#at={LEFT + 200},{TOP + 1000},-1")
    start = shown(page)
    for key, x, y in (("ArrowRight", 1, 0), ("ArrowDown", 0, 1), ("ArrowLeft", -1, 0), ("ArrowUp", 0, -1)):
        before = shown(page)
        page.keyboard.press(key)
        page.wait_for_function("([x, y]) => { const c = mwv.view.map.getCenter(); return c.lng !== x || c.lat !== y; }",
                               arg=[before["x"], before["y"]])  # fmt: skip
        calm(page)
        after = shown(page)
        moved = [
            (after["x"] > before["x"]) - (after["x"] < before["x"]),
            (after["y"] > before["y"]) - (after["y"] < before["y"]),
        ]
        assert moved == [x, y]
    assert (shown(page)["x"], shown(page)["y"]) == pytest.approx((start["x"], start["y"]), abs=1)
    for key, zoom in (("+", 0), ("-", -1), ("-", -2), ("1", 0)):
        page.keyboard.press(key)
        page.wait_for_function("zoom => mwv.view.map.getZoom() === zoom", arg=zoom)
        calm(page)
    for key in ("0", "Home"):
        page.keyboard.press(key)
        page.wait_for_function("() => mwv.view.atWhole()")
        calm(page)
        look(page, LEFT, TOP, 0)
        calm(page)


def hasty(page: Page, *keys: str) -> None:
    """Press keys so fast, two frames apart, that the movement of each is still under way at the next."""
    page.evaluate(
        """async (keys) => {
            for (const key of keys) {
                document.querySelector("#map").dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
                for (let i = 0; i < 2; i += 1) await new Promise(requestAnimationFrame);
            }
        }""",
        keys,
    )


def test_what_comes_while_a_zoom_is_shown_is_not_lost(page: Page, tiny_http: str) -> None:
    opened(page, tiny_http, f"#at={LEFT},{TOP},-2")
    hasty(page, "+", "+", "+", "ArrowRight")
    calm(page)
    assert shown(page)["zoom"] == 1 and shown(page)["x"] > LEFT + 10
    hasty(page, "n", "0")
    calm(page)
    assert shown(page)["whole"] and shown(page)["tensor"]


def test_keys_go_from_layer_to_layer_in_the_same_slot(page: Page, tiny_root: str) -> None:
    opened(page, tiny_root, f"#at={LEFT + 150},{TOP + 2 * PITCH + 60},0")
    click(page, LEFT + 100, TOP + 2 * PITCH + 100)
    calm(page)
    for key, layer in (("j", 3), ("j", 4), ("k", 3), ("k", 2), ("k", 1), ("k", 0), ("k", 0)):
        page.keyboard.press(key)
        page.wait_for_function("layer => mwv.view.scene.role(mwv.view.selected).layer === layer", arg=layer)
        calm(page)
        here = shown(page)
        assert here["tensor"] == QUERY.format(layer)
        # The same elements stay at the same place of the screen.
        assert (here["x"], here["y"], here["zoom"]) == pytest.approx((LEFT + 150, TOP + layer * PITCH + 60, 0), abs=1)
    page.keyboard.press("Escape")
    calm(page)
    assert shown(page)["tensor"] == ""
    page.keyboard.press("j")
    page.wait_for_function("y => Math.abs(mwv.view.map.getCenter().lat - y) < 1", arg=TOP + PITCH + 60)


def test_keys_go_from_tensor_to_tensor(page: Page, tiny_root: str, tiny: Built) -> None:
    names = [placement.name for placement in tiny.model.scenes[0].canvas.placements]
    opened(page, tiny_root, f"#at={LEFT + 150},{TOP + 100},1")  # so close up that the next one is not in view
    click(page, LEFT + 100, TOP + 100)
    place = names.index(QUERY.format(0))
    for key, step in (("n", 1), ("n", 2), ("p", 1), ("p", 0), ("p", -1), ("p", -1)):
        page.keyboard.press(key)
        page.wait_for_function("name => mwv.view.scene.name(mwv.view.selected) === name", arg=names[max(place + step, 0)])
        calm(page)
        assert page.evaluate("mwv.view.map.getBounds().contains(mwv.latLngBox(mwv.view.scene.shapes[mwv.view.selected].box))")


def test_keys_are_not_taken_from_fields_and_shortcuts(page: Page, tiny_root: str) -> None:
    opened(page, tiny_root, f"#at={LEFT + 200},{TOP + 1000},-1")
    before = shown(page)
    field = page.get_by_label("Go to layer")
    field.fill("")
    field.press_sequentially("j1-?0n")
    expect(field).to_have_value("j1-?0n")
    page.get_by_label("Largest magnitude of the scale").focus()
    page.keyboard.press("Home")
    page.locator("#palette").focus()
    page.keyboard.press("n")
    page.locator("#fit").focus()
    page.keyboard.press("Control+0")
    calm(page)
    expect(page.locator("#help")).to_be_hidden()
    assert {**shown(page), "window": 0} == {**before, "window": 0}


def test_a_dialog_tells_the_keys(page: Page, tiny_root: str) -> None:
    opened(page, tiny_root)
    dialog = page.get_by_role("dialog", name="Keys")
    page.keyboard.press("?")
    expect(dialog).to_be_visible()
    told = set(dialog.locator("kbd").all_text_contents())
    assert {"←", "→", "↑", "↓", "+", "-", "0", "Home", "1", "j", "k", "n", "p", "Esc", "?"} <= told
    before = shown(page)
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert shown(page) == before
    page.get_by_role("button", name="Keys").click()
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


# Heads


def heads(page: Page, facts: dict[str, Any], tensors: dict[str, tuple[int, int]], stack: str = "model.layers") -> list[Any]:
    """What is found in one layer of tensors with these shapes."""
    found: list[Any] = page.evaluate(
        """([facts, slots, shapes, stack]) => mwv.heads({
            count: slots.length,
            folder: { record: { facts } },
            grid: (i) => [shapes[i][0], shapes[i][1], shapes[i][1], shapes[i][0] * shapes[i][1], 1, 1, 1, 1],
            facts: { placements: {
                slots, slot: slots.map((_, i) => i), stacks: [stack], stack: slots.map(() => 0), layer: slots.map(() => 3),
                panel: slots.map(() => -1), expert: slots.map(() => -1),
            } },
        })""",
        [facts, list(tensors), list(tensors.values()), stack],
    )
    return [one and (one["axis"], one["size"], len(one["names"]), one["names"][0], one["names"][-1]) for one in found]


def test_heads_are_found_where_configuration_and_shapes_agree(page: Page, tiny_http: str) -> None:
    """Shapes and layouts as Hugging Face's models of these kinds have them."""
    opened(page, tiny_http)
    llama = {"num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
    matrices = {
        "self_attn.q_proj.weight": (4096, 4096),
        "self_attn.k_proj.weight": (1024, 4096),
        "self_attn.v_proj.weight": (1024, 4096),
        "self_attn.o_proj.weight": (4096, 4096),
        "mlp.up_proj.weight": (14336, 4096),
    }
    rows, few = ("rows", 128, 32, "head 0", "head 31"), ("rows", 128, 8, "head 0", "head 7")
    assert heads(page, llama, matrices) == [rows, few, few, ("columns", *rows[1:]), None]
    # Gemma's heads are wider than its hidden size tells; with that size alone nothing fits, and nothing is drawn.
    gemma = {"num_attention_heads": 8, "num_key_value_heads": 4, "hidden_size": 2048}
    wide = {"self_attn.q_proj.weight": (2048, 2048), "self_attn.k_proj.weight": (512, 2048)}
    assert heads(page, gemma, wide) == [None, None]
    assert heads(page, {**gemma, "head_dim": 256}, {**wide, "self_attn.k_proj.weight": (1024, 2048)})[1] is not None
    # The heads of a picture's encoder are not those of the text model.
    assert heads(page, llama, matrices, "vision_tower.layers") == [None] * 5
    # A decoder may have heads of its own number; T5's are not its hidden size in parts.
    whisper = {"num_attention_heads": 8, "decoder_attention_heads": 4, "hidden_size": 512}
    square = {"self_attn.q_proj.weight": (512, 512), "self_attn.out_proj.weight": (512, 512)}
    assert heads(page, whisper, square, "model.encoder.layers")[0] == ("rows", 64, 8, "head 0", "head 7")
    assert heads(page, whisper, square, "model.decoder.layers")[1] == ("columns", 128, 4, "head 0", "head 3")
    assert heads(page, {"num_attention_heads": 8, "hidden_size": 512}, square, "decoder.layers")[0] is not None
    # GPT-2's Conv1D stores outputs as columns: its output projection has heads along rows.
    gpt2 = {"num_attention_heads": 12, "hidden_size": 768}
    conv = {"attn.c_attn.weight": (768, 2304), "attn.c_proj.weight": (768, 768), "mlp.c_proj.weight": (3072, 768)}
    assert heads(page, gpt2, conv) == [("columns", 64, 36, "q 0", "v 11"), ("rows", 64, 12, "head 0", "head 11"), None]
    # Qwen's first models have the same names and rows as outputs.
    qwen = {"attn.c_attn.weight": (2304, 768), "attn.c_proj.weight": (768, 768)}
    assert heads(page, gpt2, qwen) == [("rows", 64, 36, "q 0", "v 11"), ("columns", 64, 12, "head 0", "head 11")]
    neox = {"attention.query_key_value.weight": (2304, 768), "attention.dense.weight": (768, 768)}
    assert heads(page, gpt2, neox) == [("rows", 64, 36, "q 0", "v 11"), ("columns", 64, 12, "head 0", "head 11")]
    assert page.evaluate("mwv.view.outlines.heads.find((one) => one !== null).names") == [f"head {i}" for i in range(4)]
    # Falcon's and ChatGLM's shared keys lie in different orders under this name.
    shared = {**gpt2, "num_key_value_heads": 2}
    assert heads(page, shared, {"attention.query_key_value.weight": (1024, 768)}) == [None]
    phi = {"self_attn.qkv_proj.weight": (1024, 768), "self_attn.o_proj.weight": (768, 768)}
    assert heads(page, shared, phi)[0] == ("rows", 64, 16, "q 0", "v 1")
    for broken in (
        {},
        {"num_attention_heads": 0},
        {"num_attention_heads": "x"},
        {"num_attention_heads": 7, "hidden_size": 768},
    ):
        assert heads(page, broken, conv) == [None] * 3


LINES = """([x, y, w, h, across]) => {
    const { map, outlines } = mwv.view;
    const corner = map.latLngToContainerPoint([y, x]), scale = 2 ** map.getZoom();
    const [left, top, wide, high] = [corner.x, corner.y, w * scale, h * scale];
    const middle = across ? [left, top + high / 2, wide, 1] : [left + wide / 2, top, 1, high];
    const { width, height } = outlines.canvas;
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(outlines.canvas, 0, 0);
    const data = copy.getImageData(...middle.map(Math.round)).data;
    return Array.from(data).flatMap((v, i) => (i % 4 === 3 && v > 100 ? [(i - 3) / 4] : []));
}"""


def test_lines_part_the_heads(page: Page, real_http: str, bert: Path) -> None:
    config = json.loads(bert.with_name("config.json").read_text("utf-8"))
    size = config["hidden_size"] // config["num_attention_heads"]
    page.goto(f"{real_http}/bert/index.html")
    settle(page)
    for slot, across in (("self.query", False), ("output.dense", True)):
        x, y, w, h = page.evaluate(
            """name => mwv.view.scene.shapes[
                Array.from(Array(mwv.view.scene.count).keys()).find((i) => mwv.view.scene.name(i) === name)].box""",
            f"encoder.layer.1.attention.{slot}.weight",
        )
        look(page, x + w / 2, y + h / 2, 0)
        lines = page.evaluate(LINES, [x, y, w, h, across])
        for head in range(1, config["num_attention_heads"]):
            assert any(abs(line - head * size) <= 1 for line in lines)
        assert len(lines) <= 3 * config["num_attention_heads"]
        # Too small to be told apart, they are not drawn.
        look(page, x + w / 2, y + h / 2, -1.5)
        assert len(page.evaluate(LINES, [x, y, w, h, across])) <= 2


def test_heads_are_numbered_where_there_is_room(page: Page, tiny_http: str) -> None:
    opened(page, tiny_http, f"#at={LEFT + 192},{TOP + 128},0")
    boxes = page.evaluate("mwv.view.outlines.labels.taken")
    top = page.evaluate("y => mwv.view.map.latLngToContainerPoint([y, 0]).y", TOP)
    tops = {name: y for _, y, _, _, name in boxes if name.startswith("head ")}
    for head in range(1, 4):
        assert top + head * 64 <= tops[f"head {head}"] < top + (head + 1) * 64
    look(page, LEFT + 192, TOP + 128, -1.75)
    assert not [name for *_, name in page.evaluate("mwv.view.outlines.labels.taken") if name.startswith("head ")]


def test_names_keep_clear_of_what_lies_over_the_map(page: Page, tiny_http: str) -> None:
    opened(page, tiny_http)
    for x, zoom in ((700, 0), (LEFT, -1), (LEFT + 600, 1)):
        look(page, x, 1000, zoom)
        frame = page.locator("#map").bounding_box()
        assert frame is not None
        boxes = page.evaluate("mwv.view.outlines.labels.taken")
        for part in page.locator(".stage .float:visible, .leaflet-control:visible").all():
            over = part.bounding_box()
            assert over is not None
            a, b, c, d = over["x"] - frame["x"], over["y"] - frame["y"], over["width"], over["height"]
            assert all(x >= a + c or a >= x + w or y >= b + d or b >= y + h for x, y, w, h, _ in boxes)


def test_a_link_to_a_tensor_shows_it_above_the_panel_of_a_phone(new_page: PageFactory, tiny_http: str) -> None:
    page = opened(new_page(390, 844), tiny_http, f"#t={QUERY.format(2)}")
    top, bottom = page.evaluate("""() => {
        const [, y, , h] = mwv.view.scene.shapes[mwv.view.selected].box;
        const height = (at) => mwv.view.map.latLngToContainerPoint([at, 0]).y;
        const frame = mwv.view.map.getContainer().getBoundingClientRect();
        return [frame.top + height(y), frame.top + height(y + h)];
    }""")
    bar, panel = page.locator(".bar").bounding_box(), page.locator("#panel").bounding_box()
    assert bar is not None and panel is not None
    assert bar["y"] + bar["height"] <= top < bottom <= panel["y"]


def test_the_legend_of_a_phone_stays_in_sight_above_the_panel(new_page: PageFactory, tiny_http: str) -> None:
    page = opened(new_page(390, 844), tiny_http)
    for name in ("bar", "panel"):
        page.locator(f"#{name}, .{name}").first.wait_for(state="attached")
    page.get_by_role("button", name="Info").click()
    for _ in range(2):  # folded, then open
        bar, legend, panel = (page.locator(at).bounding_box() for at in (".bar", "#legend", "#panel"))
        assert bar and legend and panel
        assert bar["y"] + bar["height"] <= legend["y"] and legend["y"] + legend["height"] <= panel["y"]
        page.locator("#legend summary").click()


@pytest.mark.parametrize("width", [1366, 390])
def test_what_was_seen_whole_still_is_when_there_is_less_room(new_page: PageFactory, tiny_http: str, width: int) -> None:
    page = opened(new_page(width, 844), tiny_http)
    if width > 720:
        page.get_by_role("button", name="Tensors", exact=True).click()
    page.set_viewport_size({"width": width, "height": 600})
    page.wait_for_function("() => mwv.view.map.getSize().y < 600 && mwv.view.atWhole()")
    assert page.evaluate("mwv.view.map.getBounds().contains(mwv.view.bounds)")
    look(page, LEFT, TOP, 0)
    page.set_viewport_size({"width": width, "height": 700})
    page.wait_for_function("() => mwv.view.size.y > 0 && mwv.view.map.getZoom() === 0")


def test_another_scene_and_a_smaller_window_are_shown_whole(page: Page, tiny_http: str) -> None:
    """The limits of what was shown before hold nothing back."""
    opened(page, tiny_http)
    before = shown(page)["zoom"]
    page.set_viewport_size({"width": 900, "height": 420})
    page.wait_for_function("height => mwv.view.map.getSize().y < height", arg=400)
    page.locator("#fit").click()
    page.wait_for_function("() => mwv.view.atWhole()")
    calm(page)
    assert shown(page)["zoom"] < before
    assert page.evaluate("mwv.view.map.getBounds().contains(mwv.view.bounds)")
