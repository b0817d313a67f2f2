"""In: pages in their main states, in both themes and of two sizes. Out: axe-core finds nothing against WCAG 2.2 AA; who asks
for less motion sees none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from serving import served
from viewing import hover, open_model, settle

from mwv.site.writer import SiteWriter

PageFactory = Callable[..., Page]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LAPTOP, PHONE = (1366, 768), (390, 844)
INSIDE = 1600, 600
"""A pixel of the canvas on a tensor of layer 0."""


@pytest.fixture(scope="module")
def zoo_http(tmp_path_factory: pytest.TempPathFactory, models: dict[str, synthetic.Built]) -> Iterator[str]:
    """The address of a site with two models of one layout, of which the gallery has everything to tell."""
    where: Path = tmp_path_factory.mktemp("accessibility") / "site"
    odd = models["odd"]
    facts: dict[str, Any] = {
        "tags": ("chat", "tiny"),
        "group": "Twins",
        "date": "2026-01-02",
        "architecture": "LlamaForCausalLM",
    }
    with SiteWriter(where) as writer:
        for slug in ("odd", "twin"):
            built = synthetic.renamed(odd, slug=slug, title=slug, identity=slug, **facts)
            writer.add_model(built.model, built.files, built.overview)
        writer.finish("The zoo")
    with served(where) as address:
        yield address


def click_canvas(page: Page, x: float, y: float) -> None:
    """Click on a pixel of the canvas."""
    hover(page, x, y)
    page.mouse.down()
    page.mouse.up()


def choose(page: Page) -> None:
    """Choose a tensor, and wait for what was measured of it."""
    click_canvas(page, *INSIDE)
    expect(page.locator("#tensor .plot").first).to_be_visible()
    settle(page)


def open_table(page: Page) -> None:
    page.keyboard.press("/")
    page.get_by_label("Search tensors by name").fill("q_proj")
    expect(page.locator("#table mark").first).to_be_visible()


def open_legend(page: Page) -> None:
    page.locator("#legend summary").click()
    expect(page.locator("#legend .legend-body")).to_be_visible()


def open_help(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def open_choice(page: Page) -> None:
    page.keyboard.press("c")
    expect(page.get_by_role("dialog").get_by_role("button", name="twin")).to_be_enabled()


def compare(mode: str) -> Callable[[Page], None]:
    """How to begin a comparison."""

    def begin(page: Page) -> None:
        open_choice(page)
        page.get_by_role("dialog").get_by_role("button", name="twin").click()
        page.get_by_role("button", name=mode, exact=True).click()
        expect(page.get_by_role("button", name=mode, exact=True)).to_have_attribute("aria-pressed", "true")
        settle(page)

    return begin


def pin(page: Page) -> None:
    """Pin what is read out at a pixel."""
    hover(page, *INSIDE)
    expect(page.locator("#readout")).to_be_visible()
    page.keyboard.press("v")


STATES: dict[str, Callable[[Page], None]] = {
    "first": lambda page: None,
    "tensor": choose,
    "table": open_table,
    "legend": open_legend,
    "help": open_help,
    "choice": open_choice,
    "swipe": compare("Swipe"),
    "blink": compare("Blink"),
    "beside": compare("Side by side"),
    "readout": pin,
}


def audit(page: Page) -> None:
    """Fail with what axe-core finds."""
    # The rules new in WCAG 2.2 run only where they are asked for by name.
    options = {"runOnly": {"type": "tag", "values": WCAG}, "rules": {"target-size": {"enabled": True}}}
    found = Axe().run(page, options=options).response
    assert len(found["passes"]) >= 10
    run = [rule["id"] for kind in ("passes", "violations", "incomplete", "inapplicable") for rule in found[kind]]
    assert "target-size" in run
    lines = [
        f"{rule['id']}: {node['html']}: {node['failureSummary']}" for rule in found["violations"] for node in rule["nodes"]
    ]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("name", ["index.html", "odd/tensors.html"])
def test_plain_pages_are_accessible(new_page: PageFactory, zoo_http: str, name: str, size: tuple[int, int], theme: str) -> None:
    page = new_page(*size, color_scheme=theme)
    page.goto(f"{zoo_http}/{name}")
    audit(page)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("state", STATES)
def test_a_model_is_accessible(new_page: PageFactory, zoo_http: str, state: str, size: tuple[int, int], theme: str) -> None:
    page = new_page(*size, color_scheme=theme, has_touch=size == PHONE)
    open_model(page, zoo_http, "odd")
    STATES[state](page)
    audit(page)


def places(page: Page) -> list[list[float]]:
    """Where the map is and where its scale begins now, and in each of the next ten frames."""
    found: list[list[float]] = page.evaluate("""async () => {
        const { map, colours } = mwv.view;
        const now = () => [map.getCenter().lng, map.getCenter().lat, map.getZoom(), colours.low];
        const all = [now()];
        for (let i = 0; i < 10; i += 1) {
            await new Promise(requestAnimationFrame);
            all.push(now());
        }
        return all;
    }""")
    return found


@pytest.mark.parametrize("key", ["n", "j", "1", "+", "0", "ArrowRight"])
def test_who_wants_less_motion_is_there_at_once(new_page: PageFactory, zoo_http: str, key: str) -> None:
    page = new_page(reduced_motion="reduce")
    open_model(page, zoo_http, "odd")
    if key == "0":
        page.keyboard.press("1")
    settle(page)
    page.evaluate("""() => {
        window.moves = [];
        for (const name of ["zoomanim", "movestart", "moveend"]) mwv.view.map.on(name, () => moves.push(name));
    }""")
    before = places(page)[0]
    page.keyboard.press(key)
    after = places(page)
    assert after[0] != before
    assert all(place == after[0] for place in after)
    assert page.evaluate("moves").count("zoomanim") == 0


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_by_itself_where_that_is_unwelcome(new_page: PageFactory, zoo_http: str, motion: str) -> None:
    """Blink stands still, and no style has a transition or an animation that runs."""
    page = new_page(reduced_motion=motion)
    open_model(page, zoo_http, "odd")
    compare("Blink")(page)
    running = page.evaluate("mwv.compare.mode.timer") != 0
    assert running == (motion == "no-preference")
    if motion == "reduce":
        choose(page)
        page.mouse.wheel(0, -300)
        assert page.evaluate("document.getAnimations().length") == 0
        for _ in range(3):
            page.mouse.wheel(0, -120)
            places(page)
            assert page.evaluate("document.getAnimations().length") == 0
