"""A streamed site in a browser: pages of a Space, of a folder and from disk; their tiles come from the Hub, in few requests."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from buildkit import settled
from loophub import Hub, expired_url, status
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page
from publishkit import Run, published
from safetensors.numpy import save_file
from serving import served

REPO, BUCKET = "hf://datasets/ann/tall", "hf://buckets/ann/tall/x"


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    """A model of three super-blocks, two of which share a border that a screen can show."""
    rng = np.random.default_rng(3)
    arrays = {f"model.layers.{i}.mlp.up_proj.weight": rng.standard_normal((2600, 4096)).astype(np.float16) for i in range(4)}
    path = tmp_path / "models" / "dense.safetensors"
    path.parent.mkdir(parents=True)
    save_file(arrays, path)
    return settled(path)


@pytest.fixture
def unwatched(chromium: Browser) -> Iterator[Page]:
    """A page that may meet errors."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


def settle(page: Page) -> None:
    page.wait_for_function("""() => {
        const { layer, colours, outlines } = window.mwv?.view ?? {};
        return layer && !layer.isLoading() && !colours?.frame && !outlines.frame && !mwv.panel?.edges.frame;
    }""")


def look(page: Page, x: float, y: float, zoom: float) -> NDArray[np.uint8]:
    """What the map shows around a point of the canvas."""
    page.evaluate("([x, y, zoom]) => mwv.view.map.setView([y, x], zoom, { animate: false })", [x, y, zoom])
    settle(page)
    page.add_style_tag(content=".outlines, .edges, .float, .leaflet-control { opacity: 0 !important }")
    box: Any = page.locator("#map").bounding_box()
    with Image.open(io.BytesIO(page.screenshot(clip=box))) as image:
        return np.asarray(image.convert("RGB")).copy()


def corner(page: Page) -> tuple[int, int]:
    """A point of the canvas where two super-blocks meet."""
    x, y, *_ = page.evaluate("mwv.view.scene.facts.bounds")
    return x + 2000, (y // 8192 + 1) * 8192


@pytest.mark.parametrize("where", [REPO, BUCKET])
def test_pages_here_show_what_is_there(ann: Hub, mwv_build: Run, dense: Path, new_page: Any, where: str):
    """Over http from another origin than the Hub, and from disk: the same picture as that of a site that is all here."""
    assert mwv_build(dense, "--tiles", "pmtiles", "-o", "local").code == 0
    assert mwv_build(dense, "-o", where, "--stream", "--pages", "pages").code == 0
    assert not list(Path("pages").rglob("*.pmtiles"))
    with served(Path("local")) as all_here, served(Path("pages")) as pages_here:
        shown = []
        for root in (all_here, pages_here, Path("pages").absolute().as_uri()):
            page = new_page()
            page.goto(f"{root}/dense/index.html")
            settle(page)
            shown.append([look(page, *corner(page), zoom) for zoom in (0, -3, -5)])
    for here, http, disk in zip(*shown, strict=True):
        assert len(np.unique(here.reshape(-1, 3), axis=0)) > 3
        assert (here == http).all() and (here == disk).all()


def test_a_space_shows_a_streamed_site_and_a_view_costs_few_requests(ann: Hub, mwv_build: Run, dense: Path, new_page: Any):
    page = new_page(1920, 1080)
    done = mwv_build(dense, "-o", REPO, "--stream", "--space", "ann/view")
    assert done.code == 0 and f"{ann.url}/spaces/ann/view" in done.err
    space = published(ann, "hf://spaces/ann/view")
    assert "dense/index.html" in space and not [path for path in space if path.endswith(".pmtiles")]
    ann.log.clear()
    page.goto(f"{ann.url}/space-pages/ann/view/dense/")
    settle(page)
    opened = len(ann.log.of("resolve"))
    x, y = corner(page)
    look(page, x, y, 0)
    archives = {seen.path for seen in ann.log.of("resolve", path="*.pmtiles")}
    tiles = page.evaluate("mwv.archiveTiles.size")
    assert len(ann.log.of("resolve", path="*.pmtiles")) == len(archives) <= 3  # one for each archive that was looked into
    assert tiles > 12 and len(ann.log.of("cdn")) < 0.7 * tiles
    # Around, out and back, with the mouse over it: the resolver is asked for no archive twice, the CDN for no tiles again.
    for place in ((x, y + 600, 0), (x, y, -1), (x, y, 0)):
        look(page, *place)
    page.mouse.move(600, 400)
    settle(page)
    paths = [seen.path for seen in ann.log.of("resolve", path="*.pmtiles")]
    assert len(paths) == len(set(paths)) <= 4
    assert opened <= 3
    ranges = [(seen.path, seen.range) for seen in ann.log.of("cdn")]
    print(f"{opened} + {len(paths) - opened} requests of the resolver, {len(ranges)} of the CDN, {tiles} tiles")
    twice = [seen for seen in ann.log.of("cdn") if ranges.count((seen.path, seen.range)) > 1]
    assert len(ranges) - len(set(ranges)) <= 1, [*map(str, twice)]  # the browser sends one again if a connection breaks


def test_a_space_keeps_what_it_shows_until_it_is_told_otherwise(ann: Hub, mwv_build: Run, dense: Path, page: Page):
    """Its pages name the tiles of a commit, which stay when the site changes."""
    mwv_build(dense, "-o", REPO, "--stream", "--space", "ann/view")
    before = published(ann, "hf://spaces/ann/view")
    mwv_build("--remove", "dense", "-o", REPO)
    assert not [path for path in published(ann, REPO) if path.endswith(".pmtiles")]
    page.goto(f"{ann.url}/space-pages/ann/view/dense/")
    settle(page)
    assert len(np.unique(look(page, *corner(page), 0).reshape(-1, 3), axis=0)) > 3
    assert mwv_build(dense, "-o", REPO, "--stream").code == 0
    assert mwv_build("-o", REPO, "--space", "ann/view").code == 0
    after = published(ann, "hf://spaces/ann/view")
    assert after.keys() == before.keys() and after["dense/index.html"] != before["dense/index.html"]


def test_an_expired_address_is_asked_for_anew(ann: Hub, mwv_build: Run, dense: Path, unwatched: Page):
    mwv_build(dense, "-o", REPO, "--stream", "--space", "ann/view")
    unwatched.goto(f"{ann.url}/space-pages/ann/view/dense/")
    settle(unwatched)
    x, y = corner(unwatched)
    look(unwatched, x, y, 0)
    ann.log.clear()
    rule = ann.fail(expired_url(), kind="cdn", path="*")
    shown = look(unwatched, x, y + 1500, 0)
    assert rule.hits == 1 and len(ann.log.of("resolve", path="*.pmtiles")) == 1, str(ann.log)
    assert not unwatched.locator(".broken").count() and len(np.unique(shown.reshape(-1, 3), axis=0)) > 3


def test_a_busy_hub_is_waited_for(ann: Hub, mwv_build: Run, dense: Path, unwatched: Page):
    mwv_build(dense, "-o", REPO, "--stream", "--space", "ann/view")
    rule = ann.fail(status(429, retry_after=1), kind="resolve", path="*.pmtiles", times=2)
    unwatched.goto(f"{ann.url}/space-pages/ann/view/dense/")
    unwatched.wait_for_function("() => window.mwv?.view?.layer?.isLoading() === false", timeout=30_000)
    settle(unwatched)
    assert rule.hits == 2
    assert not unwatched.locator(".broken").count()
    assert len(np.unique(look(unwatched, *corner(unwatched), 0).reshape(-1, 3), axis=0)) > 3


def test_pages_of_tiles_elsewhere_take_no_models(ann: Hub, mwv_build: Run, dense: Path):
    mwv_build(dense, "-o", REPO, "--stream", "--pages", "pages")
    done = mwv_build(dense, "-o", "pages")
    assert done.code == 1 and "has pages alone" in done.err
