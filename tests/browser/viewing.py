"""In: a page that shows a model. Out: what its map shows, and what it should show."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page

from mwv.pyramid.palette import table


def open_model(page: Page, root: str, slug: str) -> None:
    page.goto(f"{root}/{slug}/index.html")
    settle(page)


def settle(page: Page) -> None:
    """Wait until no tile is on its way, the window stands still and all is drawn."""
    page.wait_for_function("""() => {
        const { layer, colours, outlines } = window.mwv?.view ?? {};
        return layer && !layer.isLoading() && !colours?.frame && !outlines.frame && !mwv.panel?.edges.frame;
    }""")


def look(page: Page, x: float, y: float, zoom: float) -> None:
    """Put the canvas point (x, y) into the middle of the map, with nothing drawn over the tiles."""
    page.evaluate("([x, y, zoom]) => mwv.view.map.setView([y, x], zoom, { animate: false })", [x, y, zoom])
    settle(page)


def hover(page: Page, x: float, y: float) -> None:
    """Put the mouse over a pixel of the canvas."""
    point = page.evaluate(
        """([x, y]) => {
            const map = document.querySelector("#map").getBoundingClientRect();
            const { map: view } = mwv.view, half = Math.max(2 ** view.getZoom(), 1) / 2;
            const corner = view.project([y, x]).subtract(view.getPixelOrigin()).add(view._getMapPanePos());
            return [corner.x + half + map.left, corner.y + half + map.top];
        }""",
        [x, y],
    )
    page.mouse.move(*point)


OVER = ".outlines, .edges, .float, .leaflet-control, .half-name, .handle, .crosshair, .mirrored, .spot"
"""What is drawn and what lies over the tiles."""


def screen(page: Page, element: str = "#map", over: str = OVER) -> NDArray[np.uint8]:
    """What a map shows, with outlines, names and controls made transparent; they can still be used."""
    page.add_style_tag(content=f"{over} {{ opacity: 0 !important }}")
    box = page.locator(element).bounding_box()
    assert box is not None
    with Image.open(io.BytesIO(page.screenshot(clip=box))) as image:  # type: ignore[arg-type]
        return np.asarray(image.convert("RGB")).copy()


def expected(page: Page, codes: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    """The picture that the codes of a level make in the map's view, with the window that the page has chosen."""
    view: dict[str, Any] = page.evaluate("""() => {
        const { map, colours } = mwv.view;
        const corner = map.containerPointToLatLng([0, 0]), size = map.getSize();
        return { x: corner.lng, y: corner.lat, w: size.x, h: size.y, scale: 2 ** map.getZoom(),
                 palette: colours.palette, low: mwv.fromSteps(colours.low), high: mwv.fromSteps(colours.high) };
    }""")
    colours = table(view["palette"], view["low"], view["high"])
    ground = np.zeros((view["h"], view["w"]), np.uint8)
    # Centres of screen pixels in pixels of the level.
    across = np.floor((view["x"] + (np.arange(view["w"]) + 0.5) / view["scale"]) / 2**level + 1e-6).astype(int)
    down = np.floor((view["y"] + (np.arange(view["h"]) + 0.5) / view["scale"]) / 2**level + 1e-6).astype(int)
    inside_x, inside_y = (across >= 0) & (across < codes.shape[1]), (down >= 0) & (down < codes.shape[0])
    ground[np.ix_(inside_y, inside_x)] = codes[np.ix_(down[inside_y], across[inside_x])]
    return colours[ground]
