"""In: a page that shows a model. Out: its tensor chosen as a reader would choose it, and figures of its charts."""

from typing import Any

from playwright.sync_api import Locator, Page
from viewing import look


def click_on(page: Page, x: float, y: float, zoom: float = 0) -> None:
    """Move the canvas point (x, y) into the middle of the map and click there."""
    look(page, x, y, zoom)
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.locator("#map").click(position={"x": box["width"] / 2, "y": box["height"] / 2})


def figure(page: Page, kind: str) -> Locator:
    """The chart of a kind in the tensor panel: histogram, row, column, layer or expert."""
    return page.locator(f'#tensor [data-plot="{kind}"]')


def told(page: Page, kind: str) -> Locator:
    """What stands beside the name of a chart: what is read there."""
    return page.locator(f'#tensor figure:has([data-plot="{kind}"]) .told')


def point_at(chart: Locator, place: int, of: int, click: bool = False) -> None:
    """Move the mouse over one of so many places of a chart."""
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    position: Any = {"x": (place + 0.5) * box["width"] / of, "y": box["height"] / 2}
    if click:
        chart.click(position=position)
    else:
        chart.hover(position=position)
