#!/usr/bin/env python3
"""In: the BERT that scripts/fetch-models gets. Out: docs/model.png, the picture of the README, taken anew.

Run it after a change of the viewer's looks, with what scripts/test sets up: .venv/bin/python docs/picture.py
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SHOWN = "encoder.layer.2.output.dense.weight"

# The view, in the page's own terms: all layers, free of the legend; returned is a place on the tensor to choose.
AIM = """(name) => {
  const { map, scene } = mwv.view;
  const { regions, placements } = scene.facts;
  const [first, last] = [0, 5].map((layer) => regions.find((region) => region[0] === "layer" && region[3] === layer));
  const [left, top, right, bottom] = [first[4], first[5], first[4] + first[6], last[5] + last[7]];
  map.fitBounds([[top, left], [bottom, right]], { paddingTopLeft: [30, 30], paddingBottomRight: [10, 200], animate: false });
  const index = placements.tensor.findIndex((_, i) => scene.name(i) === name);
  const [x, y, , , rows, columns] = placements.pieces[index];
  return map.latLngToContainerPoint([y + rows * 0.7, x + columns * 0.6]);
}"""


def shoot(page_file: Path) -> bytes:
    """A screenshot of 1600 × 900 pixels."""
    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"]
        )
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.goto(page_file.as_uri())
        page.wait_for_load_state("networkidle")
        place = page.evaluate(AIM, SHOWN)
        corner = page.locator("#map").bounding_box()
        assert corner is not None
        page.wait_for_timeout(1000)
        page.mouse.click(corner["x"] + place["x"], corner["y"] + place["y"])
        page.wait_for_timeout(1500)
        picture = page.screenshot()
        browser.close()
    return picture


def main() -> None:
    """Build a site of the BERT alone, and keep the picture of its page."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        subprocess.run(
            [Path(sys.executable).with_name("mwv"), "build", ROOT / "models" / "bert", "-o", site, "--no-cache"], check=True
        )
        picture = shoot(site / "bert" / "index.html")
    with Image.open(io.BytesIO(picture)) as image:
        # 256 colours chosen so are within 8 of the 255 steps of every colour, and take half the bytes.
        small = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
        small.save(ROOT / "docs" / "model.png", optimize=True)


if __name__ == "__main__":
    main()
