"""In: a site of a model and a finetune built with --show-xet-xorbs. Out: what its pages show of xorbs, chunks and sharing."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from safetensors.numpy import load_file, save_file
from serving import served
from viewing import hover, look, screen, settle

from mwv.build import build
from mwv.checkpoint.source import FileSource
from mwv.pyramid.code import leaf_codes
from mwv.pyramid.palette import table
from mwv.settings import ModelSettings, Settings
from mwv.site.storing import COLOURS
from mwv.xet import stored
from mwv.xet.chunks import Chunks, chunks_of

CHANGED = "model.layers.2.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`base` and `tuned`, two files and their site; xorbs hold only 20 chunks, so that small models have several."""
    where = tmp_path_factory.mktemp("xorbs")
    rng = np.random.default_rng(0)
    arrays = {f"model.layers.{i}.mlp.up_proj.weight": rng.normal(0, 0.05, (600, 400)).astype(np.float32) for i in range(4)}
    save_file(arrays, where / "base.safetensors")
    save_file({**arrays, CHANGED: arrays[CHANGED] * np.float32(1.5)}, where / "tuned.safetensors")
    paths = [where / f"{name}.safetensors" for name in ("base", "tuned")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "XORB_CHUNKS", 20)
        build(Settings(tuple(map(ModelSettings, paths)), where / "site", where / "cache", xorbs=True))
    yield where


@pytest.fixture(scope="module")
def http(folder: Path) -> Iterator[str]:
    with served(folder / "site") as address:
        yield address


@pytest.fixture(params=["http", "file"])
def root(request: pytest.FixtureRequest, folder: Path) -> str:
    return str(request.getfixturevalue("http")) if request.param == "http" else (folder / "site").as_uri()


def open_tab(page: Page, root: str, slug: str, tab: str) -> None:
    page.goto(f"{root}/{slug}/index.html")
    settle(page)
    page.get_by_role("navigation", name="Scenes").get_by_role("button", name=tab).click()
    settle(page)
    page.wait_for_function("() => !mwv.view.classes || !mwv.view.classes.tiles.isLoading()")


def place_of(page: Page, name: str) -> list[int]:
    """The pixel of the canvas where a tensor begins."""
    return page.evaluate("name => mwv.view.scene.shapes[mwv.state.find(name)].box.slice(0, 2)", name)  # type: ignore[no-any-return]


def tensor_offset(folder: Path, name: str) -> int:
    """Where a tensor's bytes begin, by the header."""
    raw = (folder / "base.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    return 8 + size + int(json.loads(raw[8 : 8 + size])[name]["data_offsets"][0])


def chunks(folder: Path, name: str = "base") -> Chunks:
    return chunks_of(FileSource(folder / f"{name}.safetensors"))


def test_hue_is_the_xorb_and_brightness_the_magnitude(page: Page, root: str, folder: Path) -> None:
    open_tab(page, root, "base", "Xorbs")
    x, y = place_of(page, CHANGED)
    look(page, x + 200, y + 200, 0)
    page.wait_for_function("() => !mwv.view.classes.tiles.isLoading()")
    shown = screen(page, over=".outlines, .borders, .edges, .float, .leaflet-control, .crosshair")
    window: Any = page.evaluate("() => [mwv.view.colours.low, mwv.view.colours.high].map(mwv.fromSteps)")
    corner: Any = page.evaluate("() => { const p = mwv.view.map.containerPointToLatLng([0, 0]); return [p.lng, p.lat]; }")
    gray = table("gray", *window)[leaf_codes(load_file(folder / "base.safetensors")[CHANGED])].astype(int)
    ends = np.cumsum(chunks(folder).lengths.astype(int))
    starts = tensor_offset(folder, CHANGED) + 4 * np.arange(600 * 400)
    xorb = np.searchsorted(ends, starts, "right") // 20
    assert len(np.unique(xorb)) > 1
    colours: Any = page.evaluate("() => mwv.view.scene.facts.classes.map(([, colour]) => mwv.rgb(colour))")
    hue = np.array(colours)[xorb].reshape(600, 400, 3)
    left, top = round(x - corner[0]), round(y - corner[1])
    rows, cols = slice(max(top, 0), min(top + 600, len(shown))), slice(max(left, 0), min(left + 400, shown.shape[1]))
    seen = shown[rows, cols].astype(int)
    part = (slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left))
    assert seen.size > 300_000
    assert np.abs(seen - gray[part] * hue[part] / 255).max() <= 1.0


def test_the_read_out_tells_xorb_chunk_and_bytes(page: Page, root: str, folder: Path) -> None:
    open_tab(page, root, "tuned", "Sharing")
    x, y = place_of(page, CHANGED)
    look(page, x + 200, y + 300, 1)
    hover(page, x + 210, y + 301)
    card = page.locator("#readout")
    byte = tensor_offset(folder, CHANGED) + 4 * (301 * 400 + 210)
    found = chunks(folder, "tuned")
    ends = np.cumsum(found.lengths.astype(int))
    at = int(np.searchsorted(ends, byte, "right"))
    told = f"bytes {ends[at - 1]:,}–{ends[at] - 1:,}".replace(",", "\u202f")
    expect(card.locator(".stored").first).to_contain_text(told)
    expect(card).to_contain_text("only here")
    x, y = place_of(page, "model.layers.0.mlp.up_proj.weight")
    look(page, x + 200, y + 300, 1)
    hover(page, x + 210, y + 301)
    expect(card).to_contain_text("shared with base")
    expect(card).to_contain_text("xorb 0, chunk ")


def test_legend_panel_and_table_tell_bytes(page: Page, root: str) -> None:
    open_tab(page, root, "tuned", "Sharing")
    legend = page.locator("#legend .classes li")
    expect(legend).to_have_count(2)
    expect(legend.nth(0)).to_contain_text("only here")
    expect(legend.nth(1)).to_contain_text("with base")
    page.get_by_role("button", name="Tensors").click()
    page.get_by_role("columnheader", name="Shared").get_by_role("button").click()
    lines = page.locator("#table .body [role=row]")
    expect(lines.last).to_contain_text("model.layers.2")
    lines.last.click()
    panel = page.locator("#tensor")
    expect(panel).to_contain_text("Chunks only here")
    expect(panel).to_contain_text("Xorb")
    page.get_by_role("button", name="Weights").click()
    settle(page)
    assert page.evaluate("() => mwv.view.colours.table[210].join()") != page.evaluate("() => mwv.view.colours.table[12].join()")
    expect(page.locator("#legend .classes")).to_have_count(0)


def multiplied(gray: NDArray[Any], hue: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(gray * hue / 255)


def plain_gray(page: Page, folder: Path, model: str) -> NDArray[Any]:
    """A tensor in the colours of brightness alone."""
    window: Any = page.evaluate("() => [mwv.view.colours.low, mwv.view.colours.high].map(mwv.fromSteps)")
    return table("gray", *window)[leaf_codes(load_file(folder / f"{model}.safetensors")[CHANGED])].astype(int)


def hues(page: Page, folder: Path, model: str) -> NDArray[Any]:
    """The colour of the xorb of each element of a tensor, by cutting the file here."""
    both = [chunks(folder, name) for name in ("base", "tuned")]
    first = [bytes(h) for h in both[0].hashes]
    place = {h: i // 20 for i, h in reversed(list(enumerate(first)))}
    new = [h for h in map(bytes, both[1].hashes) if h not in place]
    place |= {h: -(-len(first) // 20) + i // 20 for i, h in enumerate(dict.fromkeys(new))}
    found = both[model == "tuned"]
    ends = np.cumsum(found.lengths.astype(int))
    starts = tensor_offset(folder, CHANGED) + 4 * np.arange(600 * 400)
    xorb = np.array([place[bytes(h)] for h in found.hashes])[np.searchsorted(ends, starts, "right")]
    return np.array([tuple(bytes.fromhex(COLOURS[n % len(COLOURS)])) for n in xorb]).reshape(600, 400, 3)


def compare_with(page: Page, name: str) -> None:
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("dialog").get_by_role("button").filter(has_text=name).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    quiet(page)


def quiet(page: Page) -> None:
    """Wait until no tile of either scene is on its way."""
    settle(page)
    page.wait_for_function(
        "() => { const { view, compare } = mwv, other = compare.mode?.classes ?? compare.mode?.second?.classes;"
        " return ![view.layer, compare.layer, view.classes?.tiles, other?.tiles].some((layer) => layer?.isLoading()); }"
    )


def seen_tensor(
    page: Page, over: str = ".outlines, .borders, .edges, .float, .leaflet-control, .crosshair, .handle, .half, .half-name"
) -> tuple[NDArray[Any], slice, slice, int]:
    """What is shown of CHANGED on the view's own map, which part of it that is, and where it begins."""
    x, y = place_of(page, CHANGED)
    corner: Any = page.evaluate("() => { const p = mwv.view.map.containerPointToLatLng([0, 0]); return [p.lng, p.lat]; }")
    shown = screen(page, over=over).astype(int)
    left, top = round(x - corner[0]), round(y - corner[1])
    rows, cols = slice(max(top, 0), min(top + 600, shown.shape[0])), slice(max(left, 0), min(left + 400, shown.shape[1]))
    return shown[rows, cols], slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left), cols.start


def test_xorbs_are_put_against_the_weights_of_their_model(page: Page, root: str, folder: Path) -> None:
    page.goto(f"{root}/base/index.html")
    settle(page)
    x, y = place_of(page, CHANGED)
    look(page, x + 200, y + 200, 0)
    compare_with(page, "Xorbs")
    expect(page.locator(".half-name.other")).to_have_text("base (Xorbs)")
    expect(page.locator("#comparison")).to_contain_text("The same weights in two scenes.")
    shown, rows, cols, left = seen_tensor(page)
    gray, hue = plain_gray(page, folder, "base")[rows, cols], hues(page, folder, "base")[rows, cols]
    at = round(page.evaluate("() => mwv.view.map.getSize().x / 2")) - left
    assert 50 < at < 350
    assert np.abs(shown[:, :at] - gray[:, :at]).max() <= 1
    assert np.abs(shown[:, at:] - multiplied(gray, hue)[:, at:]).max() <= 1
    expect(page.locator("#legend .classes li").first).to_contain_text("xorb 0")
    page.get_by_role("button", name="Hold: other").or_(page.get_by_role("button", name="Blink")).click()
    page.evaluate("() => { mwv.compare.mode.start(false); mwv.compare.mode.see(1); }")
    quiet(page)
    shown, rows, cols, _ = seen_tensor(page)
    assert np.abs(shown - multiplied(plain_gray(page, folder, "base"), hues(page, folder, "base"))[rows, cols]).max() <= 1
    page.get_by_role("button", name="End the comparison").click()
    expect(page.locator("#legend .classes")).to_have_count(0)
    assert page.evaluate("() => mwv.view.colours.needed") == ""


def test_xorbs_of_two_models_are_compared(page: Page, root: str, folder: Path) -> None:
    open_tab(page, root, "base", "Xorbs")
    x, y = place_of(page, CHANGED)
    look(page, x + 200, y + 200, 0)
    compare_with(page, "Xorbs of tuned")
    shown, rows, cols, left = seen_tensor(page)
    want = [multiplied(plain_gray(page, folder, m), hues(page, folder, m))[rows, cols] for m in ("base", "tuned")]
    at = round(page.evaluate("() => mwv.view.map.getSize().x / 2")) - left
    assert (np.abs(want[0] - want[1]) > 8).any(2)[:, at:].mean() > 0.2
    assert np.abs(shown[:, :at] - want[0][:, :at]).max() <= 1
    assert np.abs(shown[:, at:] - want[1][:, at:]).max() <= 1
    expect(page.locator("#legend .of-classes h3")).to_have_text(["base: Xorbs", "tuned: Xorbs"])
    page.get_by_role("button", name="Side by side").click()
    quiet(page)
    assert page.evaluate("() => mwv.view.colours.needed") == "gray"
    shown, rows, cols, _ = seen_tensor(page)
    want[0] = multiplied(plain_gray(page, folder, "base"), hues(page, folder, "base"))[rows, cols]
    assert np.abs(shown - want[0]).max() <= 1
    page.reload()
    quiet(page)
    expect(page.locator(".half-name.other")).to_have_text("tuned")


def test_weights_beside_xorbs_are_gray(page: Page, root: str) -> None:
    open_tab(page, root, "base", "Xorbs")
    compare_with(page, "Weights")
    page.get_by_role("button", name="Side by side").click()
    quiet(page)
    assert page.evaluate("() => mwv.view.colours.needed") == "gray"
    page.get_by_role("button", name="End the comparison").click()
    page.get_by_role("button", name="Weights").click()
    assert page.evaluate("() => mwv.view.colours.needed") == ""


def test_the_legend_marks_the_class_under_the_pointer(page: Page, root: str, folder: Path) -> None:
    open_tab(page, root, "tuned", "Sharing")
    marked = page.locator("#legend .classes li.on")
    for name, words in ((CHANGED, "only here"), ("model.layers.0.mlp.up_proj.weight", "with base")):
        x, y = place_of(page, name)
        look(page, x + 200, y + 300, 1)
        hover(page, x + 210, y + 301)
        expect(marked).to_have_count(1)
        expect(marked).to_contain_text(words)
        if root.startswith("http"):
            look(page, x + 200, y + 300, -2)
            hover(page, x + 210, y + 301)
            expect(marked).to_contain_text(words)
    page.mouse.move(2, 2)
    expect(marked).to_have_count(0)


def test_saved_tables_have_xorbs_and_shared_bytes(page: Page, root: str) -> None:
    open_tab(page, root, "tuned", "Sharing")
    page.get_by_role("button", name="Tensors").click()
    with page.expect_download() as saving:
        page.get_by_role("button", name="JSON").click()
    records = json.loads(Path(saving.value.path()).read_text())
    with page.expect_download() as saving:
        page.get_by_role("button", name="CSV").click()
    lines = list(csv.DictReader(Path(saving.value.path()).read_text().splitlines()))
    heads = [head.inner_text() for head in page.get_by_role("columnheader").all()]
    shown = {}
    for line in page.locator("#table .body [role=row]").all():
        cells = [line.get_by_role("rowheader").inner_text(), *line.get_by_role("gridcell").all_inner_texts()]
        row = dict(zip(heads, cells, strict=True))
        shown[row["Name"]] = [int(re.sub(r"\D", "", row[name])) for name in ("Xorbs", "Shared")]
    assert len(shown) == 4
    assert {record["name"]: [record["xorbs"], record["shared"]] for record in records} == shown
    assert {line["name"]: [int(line["xorbs"]), int(line["shared"])] for line in lines} == shown
    assert shown[CHANGED][1] < records[0]["bytes"] / 2 < shown["model.layers.0.mlp.up_proj.weight"][1]


def lines_down(page: Page, x: float) -> list[float]:
    """Rows of the canvas at which borders cross a column of it, from top to bottom of the view."""
    settle(page)
    page.wait_for_function("() => !mwv.view.classes.tiles.isLoading() && !mwv.view.classes.borders.frame")
    over = ".outlines, .edges, .float, .leaflet-control, .crosshair"
    both = [screen(page, over=hidden).astype(int) for hidden in (over, f"{over}, .borders")]
    page.reload()
    at: Any = page.evaluate(
        "x => { const { map } = mwv.view, corner = map.containerPointToLatLng([0, 0]), scale = 2 ** map.getZoom();"
        " return [(x - corner.lng) * scale, corner.lat, scale]; }",
        x,
    )
    rows = np.flatnonzero(np.abs(both[0] - both[1])[:, round(at[0])].any(-1))
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    return [at[1] + (run[0] + run[-1] + 1) / 2 / at[2] for run in runs if run.size]


def test_borders_of_chunks_are_drawn_close_up_where_they_are(page: Page, root: str, folder: Path) -> None:
    open_tab(page, root, "base", "Xorbs")
    x, y = place_of(page, CHANGED)
    begin = tensor_offset(folder, CHANGED)
    ends = np.cumsum(chunks(folder).lengths.astype(int))
    borders = [divmod(-(-(int(end) - begin) // 4), 400) for end in ends if begin < end < begin + 4 * 600 * 400]
    look(page, x + 60, y + 300, 1)
    page.wait_for_function("() => mwv.folder(mwv.here).chunks.size > 0")
    # Left of where a chunk begins, its border runs below the row, right of it above.
    want = [row + (col > 50) for row, col in borders if 150 < row < 450]
    assert len(want) > 3
    found = [line - y for line in lines_down(page, x + 50) if 150 < line - y < 451]
    np.testing.assert_allclose(found, want, atol=0.6)
    open_tab(page, root, "base", "Xorbs")
    look(page, x + 60, y + 300, -4)
    assert len(lines_down(page, x + 50)) < len(borders) / 2


def test_the_gallery_leads_to_the_numbers_of_what_models_share(page: Page, root: str, folder: Path) -> None:
    page.goto(f"{root}/index.html")
    expect(page.locator(".card").nth(1)).to_contain_text("in equal chunks with base")
    page.get_by_role("link", name="What they share").click()
    page.wait_for_url("**/sharing.html")
    found = [chunks(folder, name) for name in ("base", "tuned")]
    sets = [{bytes(h): int(n) for h, n in zip(c.hashes, c.lengths, strict=True)} for c in found]
    both = sum(size for value, size in sets[0].items() if value in sets[1])
    row = page.locator("table").nth(0).get_by_role("row", name="base")
    expect(row.get_by_role("cell").nth(3)).to_have_text(f"{both / 2**20:.3g} MiB")
    page.get_by_role("link", name="tuned").click()
    settle(page)
    expect(page.get_by_role("navigation", name="Scenes").get_by_role("button", name="Sharing")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.get_by_role("button", name="Compare").click()
    page.go_back()
