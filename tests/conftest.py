"""In: the fetched models and the machine's Chromium. Out: fixtures that every test may ask for; none of them skips."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, sync_playwright

# The Hub on loopback: the fixtures `hub` and `waits`, and an environment that keeps all Hub clients there.
pytest_plugins = ["loophub.fixtures"]

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    # Nothing but loopback has an address, so no test can leave the machine even by mistake.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Commands that tests start heed an interrupt, even where whoever runs the tests in the background had all ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def fetched(relative: str) -> Path:
    """The file of a real model; a test that needs one that is not there fails, it does not skip."""
    path = ROOT / "models" / relative
    if not path.is_file():
        pytest.fail(f"{path} is missing: run scripts/fetch-models", pytrace=False)
    return path


@pytest.fixture(scope="session")
def bert() -> Path:
    """`model.safetensors` of a BERT with 6 layers (104 tensors, F32), beside its config.json."""
    return fetched("bert/model.safetensors")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The GGUF file of SmolLM2-135M (30 layers, 272 tensors: Q4_1, F32 and one Q8_0)."""
    return fetched("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")


def chromium_path() -> str:
    """Where Chromium is: $CHROMIUM, or the first browser of its family on the PATH, the one without windows before others."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail(
            "no Chromium found: install it (Debian: apt-get install chromium) or set CHROMIUM to its path", pytrace=False
        )
    return found


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium, started once and shared by all browser tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), headless=True, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Complaints:
    """What went wrong on one page, as lines; an aborted request is what panning a map does, not a fault."""

    lines: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self.on_console)
        page.on("pageerror", lambda error: self.lines.append(f"uncaught: {error}"))
        page.on("request", self.on_request)
        page.on("requestfailed", self.on_failure)
        page.on("response", self.on_response)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.lines.append(f"console {message.type}: {message.text}")

    def on_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("file", "data", "blob", "about") and url.hostname not in LOOPBACK:
            self.lines.append(f"left the machine: {request.url}")

    def on_failure(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":
            self.lines.append(f"failed: {request.url}: {request.failure}")

    def on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.lines.append(f"{response.status}: {response.url}")


PageFactory = Callable[..., Page]


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[PageFactory]:
    """`new_page(width=1280, height=800, **context options)` opens a page; at the end of the test every page must be
    without console errors, failed requests and requests that leave the machine.
    """
    opened: list[tuple[Page, Complaints]] = []

    def open_page(width: int = 1280, height: int = 800, **options: Any) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        page = context.new_page()
        complaints = Complaints()
        complaints.watch(page)
        opened.append((page, complaints))
        return page

    yield open_page
    for page, _ in opened:
        page.context.close()
    lines = [line for _, complaints in opened for line in complaints.lines]
    assert not lines, "\n".join(lines)


@pytest.fixture
def page(new_page: PageFactory) -> Page:
    """One watched page of 1280 × 800 CSS pixels at one device pixel each."""
    return new_page()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden pictures (scripts/update-golden)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --update-golden, run the tests that look at golden pictures and no others."""
    if config.getoption("--update-golden"):
        items[:] = [item for item in items if "golden" in getattr(item, "fixturenames", ())]


Golden = Callable[[str, npt.NDArray[np.uint8]], None]


@pytest.fixture
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> Golden:
    """`golden("name", pixels)`: the pixels (rows × columns, or × 3 for colour) must equal tests/golden/name.png.

    Pixels are compared, not files, so that another PNG encoder changes nothing. What was seen instead is kept.
    """

    def compare(name: str, pixels: npt.NDArray[np.uint8]) -> None:
        path = ROOT / "tests" / "golden" / f"{name}.png"
        assert pixels.dtype == np.uint8
        expected = None
        if path.is_file():
            with Image.open(path) as picture:
                expected = np.asarray(picture)
        if request.config.getoption("--update-golden"):
            if expected is None or not np.array_equal(expected, pixels):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path, optimize=True)
            return
        if expected is None:
            pytest.fail(f"{path} is missing: run scripts/update-golden and look at it", pytrace=False)
        if expected.shape != pixels.shape or not np.array_equal(expected, pixels):
            seen = tmp_path / f"{name}.png"
            Image.fromarray(pixels).save(seen)
            same = expected.shape == pixels.shape
            how = (
                f"{int((expected != pixels).sum())} of {pixels.size} values"
                if same
                else f"{expected.shape}, not {pixels.shape}"
            )
            pytest.fail(f"{path.name} differs: {how}; what was seen is {seen}", pytrace=False)

    return compare
