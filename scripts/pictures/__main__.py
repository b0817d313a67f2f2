"""Arguments in, pictures out: of the main states of a site of the demo and the two real models, or the README's alone."""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from mwv.site.serve import open_server
from pictures.states import STATES

ROOT = Path(__file__).resolve().parents[2]
SIZES: dict[str, ViewportSize] = {
    "phone": {"width": 390, "height": 844},
    "laptop": {"width": 1366, "height": 768},
    "4k": {"width": 3840, "height": 2160},
}
README: ViewportSize = {"width": 1600, "height": 900}


def build(folder: Path) -> Path:
    """Build the site; its folder."""
    models = [ROOT / "models" / name for name in ("bert", "smollm2")]
    mwv = Path(sys.executable).with_name("mwv")
    subprocess.run([mwv, "build", "--demo", *models, "-o", folder / "site", "--cache", folder / "cache"], check=True)
    return folder / "site"


def shoot(browser: Browser, root: str, state: str, size: ViewportSize, theme: str) -> bytes:
    """A picture of a state, as PNG."""
    context = browser.new_context(
        viewport=size, color_scheme="dark" if theme == "dark" else "light", has_touch=size["width"] < 720
    )
    page = context.new_page()
    STATES[state](page, root)
    picture = page.screenshot()
    context.close()
    return picture


def shoot_readme(browser: Browser, root: str) -> None:
    """Take docs/model.png anew."""
    with Image.open(io.BytesIO(shoot(browser, root, "tensor", README, "light"))) as image:
        # 256 colours chosen so are within 8 of the 255 steps of every colour, and take half the bytes.
        small = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
        small.save(ROOT / "docs" / "model.png", optimize=True)


def shoot_all(browser: Browser, root: str, folder: Path) -> None:
    """Every state in every size and both themes."""
    folder.mkdir(parents=True, exist_ok=True)
    for state in STATES:
        for name, size in SIZES.items():
            for theme in ("light", "dark"):
                file = folder / f"{state}-{name}-{theme}.png"
                file.write_bytes(shoot(browser, root, state, size, theme))
                print(file)


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description="Keep pictures of the main states of a site.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "screenshots", help="where to (screenshots/)")
    parser.add_argument("--readme", action="store_true", help="only take the README's picture, docs/model.png, anew")
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")))
    )
    with tempfile.TemporaryDirectory(prefix="mwv-screenshots-") as folder, sync_playwright() as playwright:
        # Over http, since from disk a browser may not read the values of pixels.
        server = open_server(build(Path(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = server.url.rstrip("/")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"]
        )
        if options.readme:
            shoot_readme(browser, root)
        else:
            shoot_all(browser, root, options.folder)
        browser.close()


if __name__ == "__main__":
    main()
