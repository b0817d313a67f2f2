"""In: pages of how files differ byte by byte. Out: what a person sees, reads and finds there, held against the bytes."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import save_file
from serving import served
from viewing import hover, look, screen, settle

from mwv.build import build
from mwv.pyramid.byte_palette import change_tables
from mwv.settings import ModelSettings, Settings

NOISE = np.random.default_rng(8).integers(0, 256, 200_000, np.uint8).tobytes()
CHANGED = 70_000
NEW = bytes(range(1, 251)) * 20
OTHER = NOISE[:CHANGED] + bytes([NOISE[CHANGED] ^ 0x80]) + NOISE[CHANGED + 1 : 100_000] + NEW + NOISE[100_000:150_000]
"""A byte is another, 5,000 are inserted, the last 50,000 are gone."""
WORDS = b"The quick brown fox jumps over the lazy dog.\n" * 500


@pytest.fixture(scope="module")
def difference_of_bytes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("byte-differences")
    for side, files in {
        "old": {
            "noise.dat": NOISE,
            "fox.txt": WORDS,
            "gone.txt": b"gone\n" * 2000,
            "config.json": b'{"layers": 4, "width": 64}',
        },
        "new": {"noise.dat": OTHER, "fox.txt": WORDS, "config.json": b'{"layers": 8, "width": 64}'},
    }.items():
        (folder / side).mkdir()
        for name, data in files.items():
            (folder / side / name).write_bytes(data)
    wanted = (
        ModelSettings(folder / "new", layout="hilbert", against=folder / "old"),
        ModelSettings(folder / "new" / "noise.dat", layout="hilbert", against=folder / "old" / "noise.dat"),
        ModelSettings(folder / "new", "plain", layout="hilbert"),
    )
    build(Settings(wanted, folder / "site", folder / "cache", jobs=2))
    return folder / "site"


@pytest.fixture(scope="module")
def http_differences(difference_of_bytes: Path) -> Iterator[str]:
    with served(difference_of_bytes) as address:
        yield address


@pytest.fixture(params=["http", "file"])
def anywhere(request: pytest.FixtureRequest, difference_of_bytes: Path) -> str:
    return str(request.getfixturevalue("http_differences")) if request.param == "http" else difference_of_bytes.as_uri()


def go(page: Page, root: str, slug: str = "old-to-new", state: str = "") -> None:
    page.goto(f"{root}/{slug}/index.html{state}")
    settle(page)


def choose(page: Page, scene: str) -> None:
    page.locator("#tabs").get_by_role("button", name=scene, exact=True).click()
    settle(page)


def place(page: Page, file: str, offset: int, side: str = "b") -> tuple[int, int]:
    """The pixel of the canvas of a byte of one side."""
    x, y = page.evaluate(
        """([name, offset, side]) => {
            const { scene } = mwv.view;
            const file = scene.facts.tensors.name.indexOf(name);
            return scene.point(scene.begin(file) + scene.placeOf(file, side, offset));
        }""",
        [file, offset, side],
    )
    return x, y


def point(page: Page, file: str, offset: int, side: str = "b") -> None:
    """Go close to a byte and point at it."""
    x, y = place(page, file, offset, side)
    look(page, x + 0.5, y + 0.5, 3)
    hover(page, x, y)


def test_the_first_view_tells_in_words_and_numbers_what_differs(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    told = page.locator("#byte-changes")
    expect(told).to_contain_text("old → new")
    expect(told.locator("dl")).to_contain_text("Only in old")
    expect(told).to_contain_text("3 of 4 files differ, 1 is the same.")
    expect(told.locator("ol button").first).to_contain_text("noise.dat")
    page.click("#legend summary")
    for words in ("the same in both", "rose", "fell", "only in old", "only in new"):
        expect(page.locator("#legend")).to_contain_text(words)


def test_pixels_have_the_colours_of_what_became_of_their_bytes(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    colours = change_tables()[0].array()
    for offset, side, code in (
        (CHANGED - 1, "b", 1),
        (100_000, "b", 192 + NEW[0] // 4),
        (104_999, "b", 192 + NEW[-1] // 4),
        (160_000, "a", 128 + NOISE[160_000] // 4),
        (120_000, "a", 1),
    ):
        x, y = place(page, "noise.dat", offset, side)
        look(page, x + 0.5, y + 0.5, 3)
        shown = screen(page)
        middle = shown[shown.shape[0] // 2, shown.shape[1] // 2]
        assert middle.tolist() == colours[code].tolist(), (offset, side)


def test_what_is_pointed_at_is_told_with_both_bytes(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    figure, place_ = page.locator("#readout .figure"), page.locator("#readout .place")
    point(page, "noise.dat", CHANGED)
    old, new = NOISE[CHANGED], NOISE[CHANGED] ^ 0x80
    sign = f"+{new - old}" if new > old else f"−{old - new}"
    expect(figure).to_have_text(f"0x{old:02X} → 0x{new:02X} ({sign})")
    point(page, "noise.dat", 105_000)
    expect(place_).to_have_text("byte 100 000 (0x186A0) → byte 105 000 (0x19A28)")
    expect(page.locator("#readout")).to_contain_text("the same in both")
    point(page, "noise.dat", 100_001)
    expect(figure).to_contain_text("0x02 · 2")
    expect(place_).to_contain_text("only in new")
    point(page, "gone.txt", 3, "a")
    expect(figure).to_have_text("0x65 · 101 · ‘e’")


def test_a_side_shows_its_bytes_and_hatches_what_it_lacks(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    choose(page, "old")
    point(page, "noise.dat", 100_010)
    expect(page.locator("#readout .figure")).to_have_text("nothing")
    expect(page.locator("#readout .place")).to_have_text("nothing here: only in new")
    point(page, "noise.dat", 160_000, "a")
    expect(page.locator("#readout .figure")).to_contain_text(f"0x{NOISE[160_000]:02X}")
    expect(page.locator("#readout .place")).to_contain_text("byte 160 000")
    x, y = place(page, "noise.dat", 102_500)
    look(page, x, y, 1)
    shown = screen(page, over="#readout")
    around = shown[shown.shape[0] // 2 - 12 : shown.shape[0] // 2 + 12, shown.shape[1] // 2 - 12 : shown.shape[1] // 2 + 12]
    found = {tuple(pixel) for pixel in around.reshape(-1, 3).tolist()}
    assert (0x23, 0x26, 0x2E) in found  # the ground, and lines over it
    assert len(found) > 1


def test_each_side_lacks_what_the_other_alone_has(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    for side, lacking in (("old", len(NEW)), ("new", 50_000 + 10_000)):
        choose(page, side)
        holes = page.evaluate("mwv.view.scene.holes.map(({ length }) => length)")
        assert sum(holes) == lacking, side
    point(page, "noise.dat", 160_000, "a")
    expect(page.locator("#readout .place")).to_have_text("nothing here: only in old")


def test_the_legend_marks_the_colour_and_the_class_of_what_is_pointed_at(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    page.click("#legend summary")
    for file, offset, side, words in (
        ("noise.dat", CHANGED, "b", "rose" if NOISE[CHANGED] < 0x80 else "fell"),
        ("noise.dat", CHANGED + 9, "b", "the same in both"),
        ("gone.txt", 3, "a", "only in old"),
        ("noise.dat", 100_001, "b", "only in new"),
    ):
        point(page, file, offset, side)
        expect(page.locator("#legend .classes .on span")).to_have_text(words)
        code = page.evaluate("mwv.view.reading.code")
        assert under_marker(page) == change_tables()[0].array()[code].tolist(), words
    # From −255 over "the same" to +255, then what did both under one pixel, and what one side has alone.
    places = page.evaluate(
        "[44 + 41, 44, 1, 2, 2 + 41, 86, 86 + 41, 128, 191, 192, 255].map((code) => mwv.legend.spot(code)[0])"
    )
    assert places == sorted(places) and len(set(places)) == 11


@pytest.mark.parametrize("folded", [True, False])
def test_every_colour_of_changes_is_in_the_legend_and_its_words_do_not_touch(
    page: Page, http_differences: str, folded: bool
) -> None:
    go(page, http_differences)
    if not folded:
        page.click("#legend summary")
    fills = page.locator(".strips rect").evaluate_all(
        "all => all.map((rect) => rect.getAttribute('fill').match(/\\d+/g).map(Number))"
    )
    assert {*map(tuple, change_tables()[0].array().tolist()[1:])} == {*map(tuple, fills)}
    boxes = page.locator(".strips text").evaluate_all(
        "all => all.map((text) => text.getBoundingClientRect()).map(({ left, right }) => [left, right])"
    )
    assert all(right + 2 < left for (_, right), (left, _) in itertools.pairwise(boxes)), boxes


def under_marker(page: Page) -> list[int]:
    """The colour of the legend's strip under its marker."""
    found: list[int] = page.evaluate("""() => {
        const box = document.querySelector(".strips .marker").getBoundingClientRect();
        const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
        // Bars overlap a little, the later one is above.
        const hit = [...document.querySelectorAll(".strips rect")].findLast((rect) => {
            const r = rect.getBoundingClientRect();
            return r.left <= x && x < r.right && r.top <= y && y < r.bottom;
        });
        return hit.getAttribute("fill").match(/\\d+/g).map(Number);
    }""")
    return found


def test_a_reading_and_the_table_are_told_to_other_programs(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    point(page, "gone.txt", 3, "a")
    expect(page.locator("#readout .figure")).to_have_text("0x65 · 101 · ‘e’")
    text = page.evaluate("mwv.readingText(mwv.view.reading)")
    assert text == "gone.txt, byte 3 (0x3), only in old 0x65 · 101 · ‘e’"
    rows = page.evaluate("mwv.records(mwv.view.scene, mwv.rows(mwv.view.scene))")
    assert {row["name"]: row for row in rows}["gone.txt"] == {
        "name": "gone.txt",
        "sizeA": 10_000,
        "sizeB": None,
        "same": 0,
        "changed": 0,
        "onlyA": 10_000,
        "onlyB": 0,
    }
    choose(page, "new")
    assert page.evaluate("mwv.records(mwv.view.scene, mwv.rows(mwv.view.scene))[2]")["bytes"] == 0


def test_the_next_change_is_one_key_or_click_away(page: Page, http_differences: str) -> None:
    go(page, http_differences, "noise.dat-to-noise.dat")
    page.get_by_role("button", name="Next change").click()
    expect(page.locator("#readout .place")).to_contain_text("byte 70 000")
    page.locator("#map").focus()
    page.keyboard.press("]")
    expect(page.locator("#readout .place")).to_contain_text("byte 100 000 (0x186A0), only in noise.dat")
    page.keyboard.press("[")
    expect(page.locator("#readout .place")).to_contain_text("byte 70 000")
    expect(page).to_have_url(re.compile(r"[#&]o=0x11170"))


def test_a_byte_is_found_by_its_number_in_the_file_that_is_chosen(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    page.locator("#byte-changes ol button").first.click()
    settle(page)
    expect(page.locator("#tensor h2")).to_have_text("noise.dat")
    expect(page.locator("#tensor")).to_contain_text("Size in old")
    page.fill("#go-to-byte", "105000")
    page.keyboard.press("Enter")
    expect(page.locator("#readout .place")).to_contain_text("byte 100 000 (0x186A0) → byte 105 000")
    choose(page, "old")
    page.fill("#go-to-byte", "199999")
    page.keyboard.press("Enter")
    expect(page.locator("#readout .place")).to_contain_text("byte 199 999")
    page.fill("#go-to-byte", "200000")
    page.keyboard.press("Enter")
    expect(page.locator("#go-to-byte")).to_have_attribute("aria-invalid", "true")


def test_the_table_lists_files_by_how_much_of_them_differs(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    page.click("#toggle-table")
    page.get_by_role("button", name="Differs %").click()
    rows = page.locator("#table .body .line")
    expect(rows).to_have_count(4)
    order = "(a, b) => parseFloat(a.style.top) - parseFloat(b.style.top)"
    names = rows.evaluate_all(f"rows => rows.sort({order}).map((row) => row.children[0].textContent)")
    assert sorted(names) == ["config.json", "fox.txt", "gone.txt", "noise.dat"]
    assert {names[0], names[-1]} == {"fox.txt", "gone.txt"}
    choose(page, "new")
    expect(page.locator("#table .heads")).to_contain_text("Entropy")


def test_sides_are_compared_with_each_other_and_with_the_changes(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    choose(page, "old")
    page.click("#compare")
    page.locator("dialog.choose li button:enabled b").get_by_text("new", exact=True).click()
    expect(page.locator(".half-name")).to_have_count(2)
    assert page.locator(".half-name").all_text_contents() == ["old", "new"]
    expect(page.locator("#comparison")).to_contain_text("differ")
    expect(page.locator("#comparison")).not_to_contain_text("RMS")


@pytest.mark.parametrize("mode", ["swipe", "blink", "beside"])
@pytest.mark.parametrize("scenes", [(0, 2), (1, 0)])
def test_changes_and_a_side_are_compared_each_in_its_own_colours(
    page: Page, anywhere: str, mode: str, scenes: tuple[int, int]
) -> None:
    shown, other = scenes
    go(page, anywhere, state=f"#s={shown}&c={mode},old-to-new,{other}")
    page.wait_for_function("mwv.compare.mode")
    expect(page.locator("dialog.choose")).to_have_count(0)
    expect(page.locator("#comparison")).to_contain_text("each has colours of its own")
    kinds = page.evaluate("""() => {
        const { colours } = mwv.view;
        return [colours.kind, ...[...colours.others.values()].map(({ kind }) => kind)];
    }""")
    assert kinds == (["byte-changes", "bytes"] if shown == 0 else ["bytes", "byte-changes"])


def test_a_part_is_never_told_to_be_nothing_or_all(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    parts = [(0, 9), (9, 9), (1, 8), (1, 10**9), (10**9 - 1, 10**9), (9995, 10**4), (1, 10**4)]
    told = page.evaluate("parts => parts.map(([part, whole]) => mwv.text.share(part, whole))", parts)
    assert told == ["0 %", "100 %", "12.5 %", "< 0.01 %", "> 99.9 %", "> 99.9 %", "0.01 %"]


def test_shares_of_a_side_are_of_its_own_bytes(page: Page, http_differences: str) -> None:
    """What the other side alone has is a hole, and of no class."""
    go(page, http_differences)
    choose(page, "new")
    page.click("#legend summary")
    counts = np.bincount(np.frombuffer(OTHER + WORDS + b'{"layers": 8, "width": 64}', np.uint8), minlength=256)
    texts = page.locator("#legend .classes li").all_text_contents()
    classes = ((0, 1), (1, 0x20), (0x20, 0x7F), (0x7F, 0xFF), (0xFF, 0x100))
    for text, (first, end) in zip(texts, classes, strict=True):
        assert float(re.findall(r"([\d.]+) %$", text)[0]) == pytest.approx(
            100 * counts[first:end].sum() / counts.sum(), rel=6e-3
        )


def test_changes_are_compared_with_no_side_of_another_difference(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    page.click("#compare")
    enabled = page.locator("dialog.choose li button:enabled b")
    expect(enabled).to_have_count(2)
    assert enabled.all_text_contents() == ["old", "new"]


def test_what_is_pointed_at_is_told_from_disk_too(page: Page, difference_of_bytes: Path) -> None:
    """A browser reads no pixels from disk: then there is no code, but a place."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    go(page, difference_of_bytes.as_uri())
    page.get_by_role("button", name="Next change").click()
    settle(page)
    expect(page.locator("#readout")).to_contain_text("byte")
    page.keyboard.press("]")
    settle(page)
    assert wrong == []


def test_files_are_told_by_keys_and_lines_on_a_page_of_their_own(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    page.get_by_role("link", name="How they differ").click()
    expect(page.locator("main")).to_contain_text("layers")
    expect(page.locator("main .before").first).to_contain_text("4")
    page.get_by_role("link", name="old → new").click()
    expect(page.locator("#byte-changes")).to_be_visible()


def test_the_gallery_has_a_card_of_the_difference(page: Page, http_differences: str) -> None:
    page.goto(f"{http_differences}/index.html")
    card = page.locator(".card", has=page.get_by_role("link", name="old → new"))
    expect(card).to_contain_text("Difference of bytes")
    expect(page.locator(".masthead")).to_contain_text("2 differences. One pixel is one byte.")
    expect(page.locator(".masthead")).not_to_contain_text("parameter")
    expect(page.get_by_role("link", name="How they differ")).to_have_count(0)


def test_a_key_goes_round_the_scenes_and_the_chosen_file_stays_chosen(page: Page, http_differences: str) -> None:
    go(page, http_differences)
    page.locator("#byte-changes ol button").first.click()
    settle(page)
    page.locator("#map").focus()
    for scene in ("old", "new", "Difference"):
        page.keyboard.press("s")
        expect(page.locator("#tabs [aria-pressed=true]")).to_have_text(scene)
        expect(page.locator("#tensor h2")).to_have_text("noise.dat")


def test_tabs_of_files_of_a_difference_of_models_have_a_table_of_files(page: Page, tmp_path: Path) -> None:
    for side in ("base", "tuned"):
        (tmp_path / side).mkdir()
        save_file({"w": np.full((8, 8), len(side), np.float32)}, tmp_path / side / "model.safetensors")
        (tmp_path / side / "config.json").write_text(f'{{"name": "{side}"}}')
    build(
        Settings((ModelSettings(tmp_path / "tuned", against=tmp_path / "base"),), tmp_path / "site", tmp_path / "cache", jobs=2)
    )
    page.goto(f"{(tmp_path / 'site').as_uri()}/base-to-tuned/index.html")
    settle(page)
    button = page.locator("#toggle-table")
    for tab, what in (("Files: Difference", "Files"), ("base", "Tensors"), ("Files: tuned", "Files")):
        choose(page, tab)
        expect(button).to_have_text(what)
    button.click()
    expect(page.get_by_role("grid", name="Files")).to_contain_text("config.json")
