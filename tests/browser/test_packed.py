"""In: a site of a GPTQ layer in Chromium. Out: its values in the picture, its parts in the table and beside its statistics."""

from collections.abc import Iterator

import numpy as np
import oracle
import pytest
from packingkit import LAYER, Array, gptq_layer, written
from playwright.sync_api import Page, expect
from serving import served
from viewing import look, open_model, screen

from mwv.build import build
from mwv.pyramid.palette import table
from mwv.settings import ModelSettings, Settings

ROWS, COLUMNS = 160, 256


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Array]]:
    """Address of a site with one GPTQ layer, whose values come second; its address is not where its file lies."""
    folder = tmp_path_factory.mktemp("packed")
    parts, expected = gptq_layer(4, COLUMNS, ROWS, 64)
    written(folder / "layer", parts)
    settings = ModelSettings(folder / "layer", slug="layer", url="http://127.0.0.1:9/")
    build(Settings(models=(settings,), destination=folder / "site", cache=folder / "cache"))
    with served(folder / "site") as address:
        yield address, expected


def test_the_picture_shows_the_values(page: Page, packed: tuple[str, Array]) -> None:
    address, expected = packed
    open_model(page, address, "layer")
    x, y = page.evaluate("mwv.view.scene.facts.placements.pieces[0].slice(0, 2)")
    look(page, x + COLUMNS / 2, y + ROWS / 2, 0)
    left, top = page.evaluate("""([x, y]) => {
        const corner = mwv.view.map.containerPointToLatLng([0, 0]);
        return [Math.round(x - corner.lng), Math.round(y - corner.lat)];
    }""", [x, y])  # fmt: skip
    shown = screen(page)[top : top + ROWS, left : left + COLUMNS]
    window = page.evaluate("[mwv.fromSteps(mwv.view.colours.low), mwv.fromSteps(mwv.view.colours.high)]")
    assert (shown == table("signed", *window)[oracle.leaf(expected.astype(np.float32))]).all()


def test_parts_are_listed_and_lead_to_the_tensor_that_they_make(page: Page, packed: tuple[str, Array]) -> None:
    open_model(page, packed[0], "layer")
    page.get_by_role("button", name="Tensors", exact=True).click()
    grid = page.get_by_role("grid", name="Tensors")
    expect(grid.get_by_role("rowheader")).to_have_count(4)
    for part in ("scales", "qzeros", "g_idx"):
        expect(grid.get_by_role("rowheader", name=f"{LAYER}.{part}", exact=True)).to_be_visible()
    grid.get_by_role("rowheader", name=f"{LAYER}.scales", exact=True).click()
    panel = page.locator("#tensor")
    expect(panel.locator("h2")).to_have_text(f"{LAYER}.weight")
    expect(panel).to_contain_text("GPTQ 4-bit")
    expect(panel).to_contain_text("Made with scales")
    expect(panel).to_contain_text("F16, 4 × 160")


def test_bytes_of_a_part_are_never_taken_for_a_value(page: Page, packed: tuple[str, Array]) -> None:
    open_model(page, packed[0], "layer")
    assert page.evaluate("mwv.view.scene.folder.record.url")
    assert not page.evaluate("new mwv.Exact(mwv.view.scene.folder).published(mwv.view.scene, 0)")
