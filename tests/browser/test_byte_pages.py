"""In: pages of the bytes of files. Out: what a person sees and reads there, held against the bytes themselves."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from serving import served
from viewing import hover, look, screen, settle

from mwv.build import build
from mwv.layout.hilbert import Curve
from mwv.pyramid.byte_palette import byte_tables, entropy_tables
from mwv.settings import ModelSettings, Settings

TEXT = b"The quick brown fox jumps over the lazy dog.\n" * 4000
NOISE = np.random.default_rng(3).integers(0, 256, 250_000, np.uint8).tobytes()
DATA = TEXT + NOISE
CURVE = Curve(len(DATA))


@pytest.fixture(scope="module")
def bytes_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "fox.txt").write_bytes(TEXT)
    (folder / "noise.bin").write_bytes(NOISE)
    wanted = ModelSettings(folder / "fox.txt", "two", layout="hilbert", more=(folder / "noise.bin",))
    alone = ModelSettings(folder / "noise.bin", "alone", layout="hilbert")
    (folder / "changed.bin").write_bytes(NOISE[:-1] + bytes([NOISE[-1] ^ 1]))
    changed = ModelSettings(folder / "changed.bin", "changed", layout="hilbert")
    build(Settings((wanted, alone, changed), folder / "site", folder / "cache", jobs=2))
    return folder / "site"


@pytest.fixture(scope="module")
def http_bytes(bytes_site: Path) -> Iterator[str]:
    with served(bytes_site) as address:
        yield address


@pytest.fixture(params=["http", "file"])
def anywhere(request: pytest.FixtureRequest, bytes_site: Path) -> str:
    return str(request.getfixturevalue("http_bytes")) if request.param == "http" else bytes_site.as_uri()


def go(page: Page, root: str, state: str = "") -> None:
    page.goto(f"{root}/two/index.html{state}")
    settle(page)


def wanted_codes(page: Page) -> np.ndarray:
    """The byte under each pixel of the screen at 1:1, -1 where there is none."""
    x0, y0, w, h = page.evaluate("""() => {
        const { map } = mwv.view, corner = map.containerPointToLatLng([0, 0]), size = map.getSize();
        return [Math.round(corner.lng), Math.round(corner.lat), size.x, size.y];
    }""")
    codes = np.full((h, w), -1)
    for offset, byte in enumerate(DATA):
        x, y = CURVE.point(offset)
        if 0 <= x - x0 < w and 0 <= y - y0 < h:
            codes[y - y0, x - x0] = byte
    return codes


def test_every_pixel_at_native_zoom_has_the_colour_of_its_byte(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    look(page, 256, 256, 0)
    for choice in (0, 1):
        colours = byte_tables()[choice].array()
        if choice:
            page.click("#legend summary")
            page.select_option("#palette", "bytes-bright")
            settle(page)
        codes = wanted_codes(page)
        shown = screen(page)
        inside = codes >= 0
        assert inside.sum() > 100_000
        assert np.array_equal(shown[inside], colours[codes[inside]])


@pytest.mark.parametrize("offset", [0, 3, 4000, len(TEXT), len(DATA) - 1])
def test_the_read_out_tells_byte_offset_and_file(page: Page, http_bytes: str, offset: int) -> None:
    go(page, http_bytes)
    x, y = CURVE.point(offset)
    look(page, x, y, 3)
    hover(page, x, y)
    box = page.locator("#readout")
    expect(box.locator(".figure")).to_contain_text(f"0x{DATA[offset]:02X} · {DATA[offset]}")
    name, begin = ("fox.txt", 0) if offset < len(TEXT) else ("noise.bin", len(TEXT))
    expect(box.locator(".name")).to_have_text(name)
    within = f"{offset - begin:,}".replace(",", "\u202f")
    expect(box.locator(".place")).to_have_text(f"byte {within} (0x{offset - begin:X})")
    if chr(DATA[offset]) == "T" and offset == 0:
        expect(box.locator(".figure")).to_have_text("0x54 · 84 · ‘T’")


def test_a_byte_is_found_by_its_offset_and_the_address_leads_there(page: Page, http_bytes: str) -> None:
    go(page, http_bytes)
    page.keyboard.press("g")
    page.keyboard.type("0x2BF25")  # the sixth byte of the noise
    page.keyboard.press("Enter")
    wanted = f"0x{DATA[0x2BF25]:02X} · {DATA[0x2BF25]}"
    expect(page.locator("#readout .figure")).to_contain_text(wanted)
    expect(page.locator("#readout .name")).to_have_text("noise.bin")
    page.wait_for_function("location.hash.includes('o=0x2BF25')")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    settle(page)
    expect(page.locator("#readout .figure")).to_contain_text(wanted)
    page.goto("about:blank")
    go(page, http_bytes, "#o=0x2BF25")
    expect(page.locator("#readout .figure")).to_contain_text(wanted)
    page.fill("#go-to-byte", "999999999")
    page.press("#go-to-byte", "Enter")
    expect(page.locator("#go-to-byte")).to_have_attribute("aria-invalid", "true")


def test_an_offset_counts_in_the_file_that_is_chosen(page: Page, http_bytes: str) -> None:
    go(page, http_bytes, "#t=noise.bin")
    page.fill("#go-to-byte", "5")
    page.press("#go-to-byte", "Enter")
    expect(page.locator("#readout .place").first).to_have_text("byte 5 (0x5)")
    expect(page.locator("#readout .name")).to_have_text("noise.bin")


def test_entropy_is_a_scene_of_its_own(page: Page, http_bytes: str) -> None:
    go(page, http_bytes)
    page.click("#tabs button:has-text('Entropy')")
    settle(page)
    x, y = CURVE.point(100_000)
    look(page, x, y, 3)
    hover(page, x, y)
    first = 100_000 - 100_000 % 1024
    counts = np.bincount(np.frombuffer(DATA[first : first + 1024], np.uint8))
    share = counts[counts > 0] / 1024
    bits = float(-(share * np.log2(share)).sum())
    expect(page.locator("#readout .figure")).to_contain_text("bits per byte")
    text = page.locator("#readout .figure").inner_text()
    assert abs(float(text.split()[1]) - bits) < 0.02, text
    page.click("#legend summary")
    expect(page.locator("#legend")).to_contain_text("1\u202f024 consecutive bytes")
    colours = entropy_tables()[0].array()
    shown = screen(page)
    middle = shown[shown.shape[0] // 2, shown.shape[1] // 2]
    assert middle.tolist() == colours[1 + int(bits * 254 / 8)].tolist()


def test_files_are_outlined_chosen_and_listed(page: Page, anywhere: str) -> None:
    go(page, anywhere)
    x, y = CURVE.point(len(TEXT) + 100_000)
    look(page, x, y, 0)
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#tensor h2")).to_have_text("noise.bin")
    expect(page.locator("#tensor")).to_contain_text("250\u202f000 bytes")
    bars = page.locator(".byte-chart rect")
    expect(bars).to_have_count(256)
    page.click("#toggle-table")
    expect(page.locator("#table [role=row]")).to_have_count(3)
    expect(page.locator("#table .count")).to_contain_text("2 files")
    names = page.evaluate("mwv.view.outlines.labels.taken.map((taken) => taken[4])")
    assert "noise.bin" in names


def test_a_reading_and_the_table_are_told_to_other_programs(page: Page, http_bytes: str) -> None:
    go(page, http_bytes)
    x, y = CURVE.point(len(TEXT) + 5)
    look(page, x, y, 3)
    hover(page, x, y)
    expect(page.locator("#readout")).to_contain_text("byte 180\u202f005 (0x2BF25) of all")
    expect(page.locator("#readout .figure")).to_contain_text(f"0x{NOISE[5]:02X}")
    assert page.evaluate("mwv.readingText(mwv.view.reading)").startswith(f"noise.bin [5] 0x{NOISE[5]:02X} · {NOISE[5]}")
    fox, noise = page.evaluate("mwv.records(mwv.view.scene, mwv.rows(mwv.view.scene))")
    data = np.frombuffer(NOISE, np.uint8)
    counts = np.histogram(data, [0, 1, 32, 127, 255, 256])[0].tolist()
    assert [noise[key] for key in ("zero", "control", "text", "high", "full")] == counts
    assert (noise["name"], noise["begin"], noise["bytes"]) == ("noise.bin", len(TEXT), len(NOISE))
    assert (fox["control"], fox["text"]) == (4000, len(TEXT) - 4000) and fox["digest"] != noise["digest"]


def test_far_out_a_pixel_tells_what_prevails_and_which_bytes(page: Page, http_bytes: str) -> None:
    go(page, http_bytes)
    look(page, 256, 256, -1)
    x, y = (n - n % 2 for n in CURVE.point(1000))
    hover(page, x, y)
    expect(page.locator("#readout .figure")).to_contain_text("mostly text, mean 0x")
    expect(page.locator("#readout .place")).to_have_text("bytes 1\u202f000–1\u202f003 (0x3E8–0x3EB)")


def test_a_gallery_has_pages_of_bytes_and_those_of_equal_sizes_are_compared(page: Page, http_bytes: str) -> None:
    page.goto(f"{http_bytes}/index.html")
    expect(page.locator(".card")).to_have_count(3)
    expect(page.locator(".card").first).to_contain_text("of bytes")
    page.click(".card h3 a:has-text('alone')")
    settle(page)
    page.click("#compare")
    choices = page.locator("dialog.choose li")
    expect(choices.filter(has_text="two").first).to_contain_text("Another layout")
    choices.filter(has_text="changed").first.locator("button").click()
    expect(page.locator("#comparison")).to_contain_text("1 file differs, 0 are identical.")
    settle(page)


def test_the_page_without_scripts_has_picture_and_files(bytes_site: Path) -> None:
    text = (bytes_site / "two" / "index.html").read_text()
    assert "Overview of all bytes of two" in text
    assert "fox.txt" in (bytes_site / "two" / "tensors.html").read_text()
