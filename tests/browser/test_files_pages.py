"""In: the page of a real model's files and those of a finetune. Out: it is read with and without scripts, on any screen."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from serving import served
from test_accessibility import LAPTOP, PHONE, audit

from mwv.checkpoint.folder import LocalFolder
from mwv.files.pairing import pair
from mwv.files.record import files_record
from mwv.site.files_page import files_page
from mwv.site.templates import Templates, find_templates

PageFactory = Callable[..., Page]


@pytest.fixture(scope="module")
def file(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on disk, in a folder as a site has it."""
    top = tmp_path_factory.mktemp("files")
    a, b, site = top / "a", top / "b", top / "site"
    for folder in (a, b):
        shutil.copytree(bert.parent, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config = json.loads((b / "config.json").read_text())
    config |= {"vocab_size": 30_600, "norm_eps": config.pop("layer_norm_eps"), "notes": "long " * 100}
    (b / "config.json").write_text(json.dumps(config))
    (b / "README.md").write_text(
        (b / "README.md").read_text().replace("license: apache-2.0", "license: mit").replace("a", "e", 90)
    )
    (b / "vocab.txt").write_bytes(b"\0" + (b / "vocab.txt").read_bytes())
    (b / "LICENSE").unlink()
    templates = Templates(find_templates())
    for path, content in templates.assets.values():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(content)
    (site / "pair").mkdir()
    (site / "index.html").touch()
    record = files_record(pair(LocalFolder(a), LocalFolder(b)))
    (site / "pair" / "files.html").write_bytes(files_page(templates, "Base → Tuned", ("Base", "Tuned"), record))
    return site / "pair" / "files.html"


@pytest.fixture
def address(file: Path) -> str:
    """Where a reader opens it without a server."""
    return file.as_uri()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "none"])
def test_changes_of_a_configuration_are_read_as_a_table(new_page: PageFactory, address: str, scripts: bool) -> None:
    page = new_page(*LAPTOP, java_script_enabled=scripts)
    page.goto(address)
    card = page.locator(".card", has=page.get_by_role("heading", name="Configuration", exact=True))
    expect(card).to_contain_text("30522 → 30600")
    file = page.locator("details.file", has=page.get_by_role("heading", name="config.json", exact=True))
    row = file.get_by_role("row").filter(has_text="vocab_size")
    expect(row.get_by_role("cell").nth(0)).to_have_text("changed")
    expect(row.get_by_role("cell").nth(1)).to_have_text("30522")
    expect(row.get_by_role("cell").nth(2)).to_have_text("30600")
    expect(file.get_by_role("row").filter(has_text="norm_eps").get_by_role("cell").first).to_have_text("renamed")
    long = file.get_by_role("row").filter(has_text="notes").locator("details")
    whole = long.locator("code").nth(1)
    expect(whole).to_be_hidden()
    long.locator("summary").click()
    expect(whole).to_have_text('"' + "long " * 100 + '"', use_inner_text=False)
    expect(whole).to_be_visible()
    file.get_by_role("heading").click()
    expect(row).to_be_hidden()


def test_lines_have_signs_and_bytes_a_bar(new_page: PageFactory, address: str) -> None:
    page = new_page(*LAPTOP)
    page.goto(address)
    card = page.locator("details.file", has=page.get_by_role("heading", name="README.md"))
    assert card.locator("tr.plus").count() == card.locator("tr.minus").count() > 3
    expect(card.locator("tr.plus .sign").first).to_have_text("+")
    bar = page.get_by_role("img", name="in common")
    parts = bar.locator("i")
    assert [part.get_attribute("class") for part in parts.all()] == ["inserted", "equal"]
    # One byte of many is seen all the same.
    box = parts.first.bounding_box()
    assert box is not None and box["width"] >= 2
    expect(page.get_by_role("list").filter(has_text="LICENSE")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_page_is_accessible_and_fits(new_page: PageFactory, file: Path, size: tuple[int, int], theme: str) -> None:
    page = new_page(*size, color_scheme=theme)
    with served(file.parent.parent) as address:
        page.goto(f"{address}/pair/files.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        audit(page)
