"""In: a site of three hundred models. Out: a gallery in which one finds the model one looks for, by mouse, keys and address."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import synthetic
from playwright.sync_api import Locator, Page, expect
from serving import served

from mwv.site.model import Place
from mwv.site.writer import SiteWriter

COUNT = 300
NAMES = ("Llama", "Qwen2", "Gemma", "Mistral", "Phi", "Falcon", "Olmo", "Cohere", "Granite", "Bloom", "Opt", "Mpt")
ARCHITECTURES = [f"{name}ForCausalLM" for name in NAMES]


def wanted(index: int) -> dict[str, object]:
    """What model `index` of the zoo says about itself."""
    return {
        "slug": f"model-{index}",
        "identity": f"model-{index}",
        "title": {7: "SmolLM2 135M Instruct", 8: "all-MiniLM-L6-v2"}.get(index, f"Model {index}"),
        "architecture": ARCHITECTURES[index % len(ARCHITECTURES)],
        "dtypes": {"BF16": 5, "F32": 1} if index % 3 == 0 else {"F32": 6},
        "parameters": (index * 7919) % 1009 + 1,
        "nbytes": (index * 104729) % 10007 + 1,
        "date": None if index % 5 == 0 else f"20{10 + index % 17}-01-{1 + index % 28:02}",
        "tags": ("chat",) if index % 10 == 0 else ("<b>odd</b> & co", "chat") if index == 33 else (),
        "group": "Large" if index < 100 else "Small",
        "place": Place("zoo", COUNT - index),
    }


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("many")
    built = synthetic.build(where / "tiles", layers=1, names=())
    with SiteWriter(where / "site") as writer:
        for index in range(COUNT):
            writer.add_model(synthetic.renamed(built, **wanted(index)).model, built.files, built.overview)
        writer.finish("The zoo")
    return where / "site"


@pytest.fixture(scope="module")
def many_http(many: Path) -> Iterator[str]:
    with served(many) as address:
        yield address


@pytest.fixture(params=["http", "file"])
def zoo(request: pytest.FixtureRequest, many: Path) -> str:
    return str(request.getfixturevalue("many_http")) if request.param == "http" else many.as_uri()


def shown(page: Page) -> list[int]:
    """Numbers of the models that are shown, in order."""
    links = page.locator(".card:not([hidden]) h3 a")
    return [
        int(href.split("/")[0].removeprefix("model-"))
        for href in links.evaluate_all("all => all.map((a) => a.getAttribute('href'))")
    ]


def facts(index: int, name: str) -> object:
    return wanted(index)[name]


def toggle(page: Page, name: str) -> Locator:
    return page.locator("#filters").get_by_role("button", name=re.compile(rf"^{re.escape(name)} \d+$"))


def test_all_cards_stand_in_the_order_of_the_zoo_under_its_groups(page: Page, zoo: str) -> None:
    page.goto(f"{zoo}/index.html")
    expect(page.get_by_role("status")).to_have_text("300 models")
    assert shown(page) == list(range(299, -1, -1))
    expect(page.get_by_role("heading", level=2)).to_have_text(["Small 200", "Large 100"])
    expect(page.locator(".group").nth(1).locator(".card")).to_have_count(100)


def test_a_card_tells_what_a_model_is(page: Page, zoo: str) -> None:
    page.goto(f"{zoo}/index.html")
    page.get_by_role("searchbox").fill("model 42")
    card = page.locator(".card").first
    expect(card.get_by_role("heading")).to_have_text("Model 42")
    for part in ("638 parameters", "OlmoForCausalLM", "BF16F32", "5.42 KiB, 5 tensors", "2018-01-15"):
        expect(card).to_contain_text(part)
    page.wait_for_function("() => document.querySelector('.card:not([hidden]) img').naturalWidth > 0")
    page.get_by_role("searchbox").fill("odd")
    expect(page.locator(".card:not([hidden]) .tags span")).to_have_text(["<b>odd</b> & co", "chat"])


def test_search_takes_what_one_remembers_of_a_name(page: Page, zoo: str) -> None:
    page.goto(f"{zoo}/index.html")
    page.keyboard.press("/")
    search = page.get_by_role("searchbox", name="Search models")
    expect(search).to_be_focused()
    for query, found in {"smollm 135": [7], "smlm2": [7], "MINILM": [8], "xyzzy": [], "odd": [33], "&": [33]}.items():
        search.fill(query)
        expect(page.get_by_role("status")).to_have_text(f"{len(found)} of 300 models")
        assert shown(page) == found, query
    search.fill("gemma bf16 chat")
    assert shown(page) == [i for i in range(299, -1, -1) if i % 12 == 2 and i % 30 == 0]
    search.fill("model 42")
    assert shown(page)[0] == 42  # the best match first
    page.keyboard.press("Escape")
    expect(page.get_by_role("status")).to_have_text("300 models")
    expect(page).to_have_url(re.compile(r"index\.html$"))


def test_sorting(page: Page, zoo: str) -> None:
    page.goto(f"{zoo}/index.html")
    sort = page.get_by_label("Sort by")
    order = list(range(299, -1, -1))
    for choice, key in {
        "parameters": lambda i: -facts(i, "parameters"),
        "size": lambda i: -facts(i, "nbytes"),
    }.items():
        sort.select_option(choice)
        assert shown(page) == sorted(order, key=key), choice
        expect(page.get_by_role("heading", level=2).and_(page.locator(":visible"))).to_have_count(0)
    sort.select_option("date")
    dates = [facts(i, "date") or "" for i in shown(page)]
    assert dates == sorted(dates, reverse=True)
    sort.select_option("name")
    assert shown(page)[:4] == [8, 0, 1, 2] and shown(page)[-1] == 7
    sort.select_option("")
    assert shown(page) == order
    expect(page.get_by_role("heading", level=2)).to_have_text(["Small 200", "Large 100"])


def test_filters_count_what_they_would_show_and_combine(page: Page, zoo: str) -> None:
    page.goto(f"{zoo}/index.html")
    expect(toggle(page, "BF16")).to_have_text("BF16 100")
    toggle(page, "BF16").click()
    expect(toggle(page, "BF16")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("status")).to_have_text("100 of 300 models")
    llamas = [i for i in range(299, -1, -1) if i % 3 == 0 and i % 12 == 0]
    expect(toggle(page, "LlamaForCausalLM")).to_have_text(f"LlamaForCausalLM {len(llamas)}")
    toggle(page, "LlamaForCausalLM").click()
    assert shown(page) == llamas
    # Another value of the same kind adds to it; those that would show nothing cannot be pressed.
    expect(toggle(page, "GemmaForCausalLM")).to_be_disabled()
    toggle(page, "MistralForCausalLM").click()
    assert shown(page) == [i for i in range(299, -1, -1) if i % 12 in (0, 3)]
    toggle(page, "chat").click()
    assert shown(page) == [i for i in range(299, -1, -1) if i % 12 in (0, 3) and (i % 10 == 0 or i == 33)]
    page.get_by_role("searchbox").fill("odd")
    assert shown(page) == []
    page.get_by_role("searchbox").fill("nothing like it")
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_role("status")).to_have_text("300 models")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_rare_values_come_when_asked_for(page: Page, zoo: str) -> None:
    page.goto(f"{zoo}/index.html")
    expect(page.get_by_role("group", name="Architecture").get_by_role("button")).to_have_count(11)
    page.get_by_role("button", name="2 more").click()
    expect(page.get_by_role("group", name="Architecture").get_by_role("button")).to_have_count(12)


def test_the_address_holds_what_is_chosen(page: Page, zoo: str) -> None:
    page.goto(f"{zoo}/index.html#q=model&sort=size&type=BF16&tag=chat")
    expect(page.get_by_role("searchbox")).to_have_value("model")
    chosen = [i for i in range(300) if i % 3 == 0 and (i % 10 == 0 or i == 33)]
    assert shown(page) == sorted(chosen, key=lambda i: -facts(i, "nbytes"))
    toggle(page, "chat").click()
    expect(page).to_have_url(re.compile("#q=model&sort=size&type=BF16$"))
    page.reload()
    expect(page.get_by_role("status")).to_have_text("100 of 300 models")
    # An address that someone edits is followed; what it names and nobody has is left out.
    page.evaluate("location.hash = 'sort=constructor&type=nope&tag=<b>odd</b> %26 co'")
    expect(page.get_by_role("status")).to_have_text("1 of 300 models")
    assert shown(page) == [33]


def test_cards_by_keyboard(page: Page, zoo: str) -> None:
    page.goto(f"{zoo}/index.html")
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    focused = page.locator("h3 a:focus")
    expect(focused).to_have_text("Model 299")
    columns = page.evaluate("getComputedStyle(document.querySelector('.cards')).gridTemplateColumns.split(' ').length")
    for key, number in (
        ("ArrowRight", 298),
        ("ArrowDown", 298 - columns),
        ("ArrowUp", 298),
        ("ArrowLeft", 299),
        ("ArrowLeft", 299),
    ):
        page.keyboard.press(key)
        expect(focused).to_have_text(f"Model {number}")
    page.keyboard.press("End")
    expect(focused).to_have_text("Model 0")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Home")
    # One stop of the tab key for each card.
    page.keyboard.press("Tab")
    expect(focused).to_have_text("Model 298")
    page.keyboard.press("Enter")
    page.wait_for_url("**/model-298/index.html")


def test_pictures_come_when_they_are_near_and_nothing_jumps(page: Page, many_http: str) -> None:
    pictures: set[str] = set()
    page.on("request", lambda request: pictures.add(request.url) if "overview" in request.url else None)
    page.goto(f"{many_http}/index.html")
    page.wait_for_function("() => document.querySelector('.picture img').complete")
    assert 0 < len(pictures) < 100
    card = page.locator(".card").first
    box = card.bounding_box()
    assert box is not None
    # The picture stands whole inside its frame, on the ground of the map.
    inside = page.evaluate("""() => {
        const frame = document.querySelector(".picture").getBoundingClientRect();
        return [...document.querySelectorAll(".picture img")].slice(0, 5).every((img) => {
            const box = img.getBoundingClientRect(), outer = img.parentElement.getBoundingClientRect();
            return box.width > 40 && box.left >= outer.left && box.right <= outer.right
                && box.top >= outer.top && box.bottom <= outer.bottom;
        }) && Math.abs((frame.width - 28) / (frame.height - 28) - 1.6) < 0.02;
    }""")
    assert inside
    page.evaluate("document.querySelectorAll('.picture img').forEach((img) => img.remove())")
    without = card.bounding_box()
    assert without == box


def test_shared_bytes_are_told(page: Page, zoo: str) -> None:
    page.goto(f"{zoo}/index.html")
    first = page.locator(".card").first
    expect(first).to_contain_text(re.compile(r"Shared\s*4\.9\d MiB in equal tensors with Model 0"))


def test_a_click_anywhere_on_a_card_opens_its_model(page: Page, zoo: str) -> None:
    page.goto(f"{zoo}/index.html")
    page.locator(".card").nth(2).click(position={"x": 60, "y": 60})
    page.wait_for_url("**/model-297/index.html")


def test_without_javascript_all_cards_are_there(new_page, zoo: str) -> None:  # type: ignore[no-untyped-def]
    page = new_page(java_script_enabled=False)
    page.goto(f"{zoo}/index.html")
    assert len(shown(page)) == COUNT
    expect(page.get_by_role("searchbox")).to_have_count(0)
    expect(page.get_by_role("heading", level=2)).to_have_text(["Small 200", "Large 100"])


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1366, 768), (3840, 2160)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_every_screen(new_page, many_http: str, width: int, height: int, theme: str) -> None:  # type: ignore[no-untyped-def]
    page = new_page(width, height, color_scheme=theme)
    page.goto(f"{many_http}/index.html")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    columns = page.evaluate("getComputedStyle(document.querySelector('.cards')).gridTemplateColumns.split(' ').length")
    assert columns == {390: 1, 1366: 4, 3840: 6}[width]
    filters = page.locator("#filters")
    if width == 390:
        expect(toggle(page, "BF16")).to_be_hidden()
        page.get_by_text("Filters", exact=True).click()
    toggle(page, "BF16").click()
    expect(page.get_by_role("status")).to_have_text("100 of 300 models")
    if width == 390:
        expect(filters.locator("summary")).to_have_text("Filters (1)")
    sizes = page.evaluate("""() => [...document.querySelectorAll("button, select, input, summary")]
        .filter((e) => e.checkVisibility()).map((e) => Math.min(e.offsetWidth, e.offsetHeight))""")
    assert min(sizes) >= 24
