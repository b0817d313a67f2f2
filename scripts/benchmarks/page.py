"""A site, a number of first views and seconds of use in, what a reader waits for out: its page in Chromium, measured."""

import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from mwv.site.serve import open_server

WINDOW = {"width": 1366, "height": 768}
# Milliseconds from the start of navigation to the first frame in which every tile of the first view is there.
FIRST = """(() => {
  const look = () => {
    const layer = window.mwv?.view?.layer;
    if (layer && document.querySelector("#map img.leaflet-tile[src]") && !layer.isLoading()) window.first = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""
# Milliseconds between all frames from now on.
FRAMES = """() => {
  window.frames_ = [];
  let last = performance.now();
  const frame = () => {
    const now = performance.now();
    frames_.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""


def open_page(browser: Browser, address: str) -> tuple[Page, float]:
    """A page with nothing in its cache, and the milliseconds until its first picture."""
    page = browser.new_context(viewport=WINDOW).new_page()  # type: ignore[arg-type]
    page.add_init_script(FIRST)
    page.goto(address)
    page.wait_for_function("() => window.first > 0")
    return page, page.evaluate("first")


def use(page: Page, seconds: float) -> None:
    """Zoom in and out by the wheel and pan by the mouse, there and back, at least once."""
    box = page.locator("#map").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    end = time.monotonic() + seconds
    while True:
        for turn in range(24):
            page.mouse.move(x, y)
            page.mouse.wheel(0, -240 if turn < 12 else 240)
            page.wait_for_timeout(150)
            page.mouse.down()
            for step in range(20):
                page.mouse.move(x + (9 if turn % 2 else -9) * step, y + 4 * step)
                page.wait_for_timeout(16)
            page.mouse.up()
        if time.monotonic() >= end:
            return


def main(site: Path, slug: str, repeats: int, seconds: float) -> dict[str, Any]:
    """Milliseconds to each first picture, milliseconds of every frame of use, and bytes of heap after it."""
    names = ("chromium", "chromium-browser", "chromium-headless-shell")
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        sys.exit("no Chromium found: install it or set CHROMIUM to its path")
    server = open_server(site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"{server.url.rstrip('/')}/{slug}/index.html"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        first = []
        for _ in range(repeats):
            page, took = open_page(browser, address)
            first.append(took)
            page.context.close()
        page, _ = open_page(browser, address)
        page.evaluate(FRAMES)
        use(page, seconds)
        frames = page.evaluate("frames_")
        inspector = page.context.new_cdp_session(page)
        inspector.send("Performance.enable")
        inspector.send("HeapProfiler.collectGarbage")
        metrics = {metric["name"]: metric["value"] for metric in inspector.send("Performance.getMetrics")["metrics"]}
        browser.close()
    return {"first": first, "frames": frames, "heap": metrics["JSHeapUsedSize"]}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))
