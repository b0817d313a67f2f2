"""In: a scene of many rectangles. Out: what the page finds at a pixel is what stands there on the canvas."""

import random
from pathlib import Path

import numpy as np
import pytest
import synthetic
from playwright.sync_api import Page

from mwv.layout.canvas import Canvas
from mwv.site.writer import SiteWriter

Found = dict[str, int] | None


def look_up(canvas: Canvas, places: list[tuple[int, int]]) -> list[Found]:
    """Placement, row and column at each pixel, by looking at every rectangle."""
    pieces = [(index, p, piece, p.rect(piece)) for index, p in enumerate(canvas.placements) for piece in p.pieces]
    left, top, width, height = np.array([(box.x, box.y, box.width, box.height) for *_, box in pieces]).T

    def at(x: int, y: int) -> Found:
        hits = np.flatnonzero((left <= x) & (x < left + width) & (top <= y) & (y < top + height))
        if not hits.size:
            return None
        index, placement, piece, box = pieces[hits[0]]
        high, wide = placement.grid.thick
        return {"placement": index, "row": piece.row + (y - box.y) // high, "col": piece.col + (x - box.x) // wide}

    return [at(x, y) for x, y in places]


def pixels(canvas: Canvas) -> list[tuple[int, int]]:
    """Corners of rectangles and the pixels just outside them, places everywhere, and some beyond the canvas."""
    dice = random.Random(1)
    bounds = canvas.bounds
    boxes = [placement.rect(piece) for placement in canvas.placements for piece in placement.pieces]
    found = [(-1, -1), (bounds.x + bounds.width, bounds.y + bounds.height), (10**9, 5), (5, -(10**9))]
    for box in dice.sample(boxes, min(len(boxes), 100)):
        found += [
            (x, y)
            for x in (box.x - 1, box.x, box.x + box.width - 1, box.x + box.width)
            for y in (box.y, box.y + box.height - 1)
        ]
        found += [(box.x, box.y - 1), (box.x, box.y + box.height)]
    found += [(dice.randrange(canvas.width), dice.randrange(canvas.height)) for _ in range(300)]
    return found


@pytest.mark.parametrize("name", ["odd", "many"])
def test_what_stands_at_a_pixel_is_found(page: Page, tmp_path: Path, models: dict[str, synthetic.Built], name: str) -> None:
    built = models["odd"] if name == "odd" else synthetic.many_tensors(3000)
    with SiteWriter(tmp_path / "site") as writer:
        writer.add_model(built.model, built.files, built.overview)
        writer.finish()
    page.goto(f"{(tmp_path / 'site').as_uri()}/{built.model.slug}/index.html")
    canvas = built.model.scenes[0].canvas
    places = pixels(canvas)
    wanted = look_up(canvas, places)
    assert 0 < sum(one is None for one in wanted) < len(wanted)
    assert page.evaluate("(places) => places.map(([x, y]) => mwv.view.scene.at(x, y))", places) == wanted
