"""A browser's page and a site in, the page in one of its main states out, as a reader would bring it there."""

from collections.abc import Callable

from playwright.sync_api import Page

SHOWN = "encoder.layer.2.output.dense.weight"
"""The tensor of the BERT that is chosen."""

# All layers, free of what lies over the map; returned is a place on the tensor to choose.
AIM = """(name) => {
  const { map, scene } = mwv.view;
  const { regions, placements } = scene.facts;
  const [first, last] = [0, 5].map((layer) => regions.find((region) => region[0] === "layer" && region[3] === layer));
  const [left, top, right, bottom] = [first[4], first[5], first[4] + first[6], last[5] + last[7]];
  const below = Math.min(200, map.getSize().y / 4);
  map.fitBounds([[top, left], [bottom, right]], { paddingTopLeft: [30, 30], paddingBottomRight: [10, below], animate: false });
  const index = placements.tensor.findIndex((_, i) => scene.name(i) === name);
  const [x, y, , , rows, columns] = placements.pieces[index];
  return { lat: y + rows * 0.7, lng: x + columns * 0.6 };
}"""

# Where a place of the canvas is in the window.
PLACE = """(place) => {
  const { left, top } = document.querySelector("#map").getBoundingClientRect();
  const { x, y } = mwv.view.map.latLngToContainerPoint(place);
  return [left + x, top + y];
}"""

CALM = """() => {
  const { map, layer, outlines, colours } = mwv.view;
  return !map._animatingZoom && !map._panAnim?._inProgress && !layer.isLoading() && !outlines.frame && !colours.frame;
}"""


def calm(page: Page) -> None:
    """Wait until everything is loaded, and for what is drawn a moment later."""
    page.wait_for_load_state("networkidle")
    page.wait_for_function(CALM)
    page.wait_for_timeout(500)


def gallery(page: Page, root: str) -> None:
    """All models."""
    page.goto(f"{root}/index.html")
    page.wait_for_load_state("networkidle")


def model(page: Page, root: str) -> None:
    """The whole BERT."""
    page.goto(f"{root}/bert/index.html")
    calm(page)


def tensor(page: Page, root: str) -> None:
    """All its layers, one tensor chosen."""
    model(page, root)
    place = page.evaluate(AIM, SHOWN)
    calm(page)
    page.mouse.click(*page.evaluate(PLACE, place))
    page.mouse.move(0, 0)
    calm(page)


def table(page: Page, root: str) -> None:
    """Its tensors, searched."""
    model(page, root)
    page.keyboard.press("/")
    page.keyboard.type("query")
    calm(page)


def compare(page: Page, root: str) -> None:
    """The demo's model and its finetune, left and right of the handle."""
    page.goto(f"{root}/demo-base/index.html#c=swipe,demo-finetune,0,50")
    page.wait_for_selector(".compare-bar")
    calm(page)


def readout(page: Page, root: str) -> None:
    """Large pixels, one of them pinned."""
    model(page, root)
    place = page.evaluate(AIM, SHOWN)
    page.evaluate("(place) => mwv.view.map.setView(place, 4, { animate: false })", place)
    calm(page)
    page.mouse.move(*page.evaluate(PLACE, place))
    page.keyboard.press("v")
    calm(page)


STATES: dict[str, Callable[[Page, str], None]] = {
    state.__name__: state for state in (gallery, model, tensor, table, compare, readout)
}
