"""In: models that share tensors. Out: a gallery that says so, shows each model whole and holds its order."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from synthetic import Built

from mwv.errors import SiteError
from mwv.site.data import parse
from mwv.site.gallery import strips
from mwv.site.model import Place, TensorRow
from mwv.site.shared import Content, decode_content, encode_content, shares
from mwv.site.writer import SiteWriter


def content(sizes: dict[int, int]) -> Content:
    ordered = sorted(sizes)
    return Content(np.array(ordered, np.uint64), np.array([sizes[d] for d in ordered], np.int64))


models_of_tensors = st.lists(st.dictionaries(st.integers(0, 12), st.integers(1, 2**40), max_size=8), max_size=6)


@settings(deadline=None)
@given(models_of_tensors)
def test_shares_are_what_counting_tensor_by_tensor_gives(models: list[dict[int, int]]) -> None:
    named = {f"m{i}": sizes for i, sizes in enumerate(models)}
    found = shares({slug: content(sizes) for slug, sizes in named.items()})
    assert found.keys() == named.keys()
    for slug, sizes in named.items():
        others = {other: sum(n for d, n in sizes.items() if d in named[other]) for other in named if other != slug}
        most = max(others.values(), default=0)
        assert found[slug].shared == sum(n for d, n in sizes.items() if any(d in named[o] for o in others))
        assert found[slug].nearest_shared == most
        assert found[slug].nearest == (min(other for other, n in others.items() if n == most) if most else "")


def test_a_content_survives_its_file() -> None:
    def row(digest: str, nbytes: int) -> TensorRow:
        return TensorRow("w", "F32", (1,), "s", 0, nbytes, digest, ())

    text = encode_content([row("f" * 64, 5), row("0" * 15 + "1" + "a" * 48, 7), row("f" * 64, 6), row("", 0)])
    read = decode_content(text, Path("here"))
    assert read.digests.tolist() == [1, 2**64 - 1] and read.sizes.tolist() == [7, 11]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", "[" * 100_000, '{"digests":1,"bytes":[]}'),
        *('{"digests":"xy","bytes":[]}', '{"digests":"0011","bytes":[1]}', '{"digests":"","bytes":[1]}'),
        *(f'{{"digests":"{1:016x}","bytes":[{size}]}}' for size in ('"x"', "1e400", "9" * 20)),
    ],
)
def test_a_damaged_content_is_one_clear_line(text: str) -> None:
    with pytest.raises(SiteError, match="damaged; build its model again"):
        decode_content(text.encode(), Path("here"))


def write(where: Path, models: Sequence[Built], remove: Sequence[str] = ()) -> None:
    with SiteWriter(where) as site:
        for slug in remove:
            site.remove(slug)
        for built in models:
            site.add_model(built.model, built.files, built.overview)
        site.finish()


def entries(site: Path) -> dict[str, Any]:
    return {entry["slug"]: entry for entry in json.loads((site / "site.json").read_bytes())["models"]}


def shared(site: Path) -> dict[str, tuple[Any, ...]]:
    return {slug: (entry["shared"], entry["nearest"], entry["nearest_shared"]) for slug, entry in entries(site).items()}


def tree(site: Path) -> dict[str, bytes]:
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()}


def part_of(built: Built, tensors: int, slug: str) -> Built:
    """A model that has some of the tensors of another one, the first ones, and others in place of the rest."""
    rows = built.model.tensors
    rest = tuple(replace(t, digest=t.digest and sha256(f"{slug} {t.digest}".encode()).hexdigest()) for t in rows[tensors:])
    return synthetic.renamed(built, slug=slug, title=slug.title(), identity=slug, tensors=rows[:tensors] + rest)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory, odd: Built) -> dict[str, Built]:
    """A model, one with two thirds of its tensors, one with a third, and one apart."""
    count = len([t for t in odd.model.tensors if t.digest])
    other = synthetic.build(tmp_path_factory.mktemp("other"), slug="other", layers=1, names=(), seed=9)
    parts = {"two": 2 * count // 3, "one": count // 3}
    return {"odd": odd, "other": other, **{slug: part_of(odd, n, slug) for slug, n in parts.items()}}


def test_the_site_says_what_models_share_and_forgets_it_with_them(tmp_path: Path, family: dict[str, Built]) -> None:
    site = tmp_path / "site"
    write(site, list(family.values()))
    count = len([t for t in family["odd"].model.tensors if t.digest])
    first = {slug: family["odd"].model.tensors[:n] for slug, n in (("two", 2 * count // 3), ("one", count // 3))}
    sizes = {slug: sum(t.nbytes for t in rows) for slug, rows in first.items()}
    found = shared(site)
    assert found == {
        "odd": (sizes["two"], "two", sizes["two"]),
        "two": (sizes["two"], "odd", sizes["two"]),
        "one": (sizes["one"], "odd", sizes["one"]),
        "other": (0, "", 0),
    }
    told = {model["slug"]: model for model in parse((site / "site.js").read_bytes(), "site")["models"]}
    assert {slug: (m["shared"], m["nearest"], m["nearest_shared"]) for slug, m in told.items()} == found
    # A model that was not built again learns what became of the others.
    write(site, [], remove=["two"])
    assert entries(site)["odd"]["nearest"] == "one" and entries(site)["odd"]["shared"] == sizes["one"]
    write(site, [], remove=["one"])
    assert entries(site)["odd"]["shared"] == 0


def test_what_is_shared_does_not_depend_on_the_order_of_builds(tmp_path: Path, family: dict[str, Built]) -> None:
    models = list(family.values())
    write(tmp_path / "once", models)
    for built in reversed(models):
        write(tmp_path / "steps", [built])
    assert tree(tmp_path / "once") == tree(tmp_path / "steps")


def test_other_models_are_not_read_when_no_content_changed(
    tmp_path: Path, family: dict[str, Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "site", list(family.values()))
    before = shared(tmp_path / "site")

    def never(*_: object) -> None:
        raise AssertionError("no content is to be read")

    monkeypatch.setattr("mwv.site.sharing.decode_content", never)
    write(tmp_path / "site", [synthetic.renamed(family["one"], title="Other title")])
    assert entries(tmp_path / "site")["one"]["title"] == "Other title"
    assert shared(tmp_path / "site") == before


def cards(site: Path) -> list[dict[str, Any]]:
    page = (site / "index.html").read_text("utf-8")
    return [json.loads(text.replace("&#34;", '"').replace("&amp;", "&")) for text in re.findall(r'data-facts="([^"]*)"', page)]


def test_zoos_come_first_in_their_order_then_the_others_by_name(tmp_path: Path, tiny: Built) -> None:
    def model(slug: str, zoo: str = "", rank: int = -1, group: str = "") -> Built:
        return synthetic.renamed(tiny, slug=slug, title=slug, identity=slug, place=Place(zoo, rank), group=group)

    late = [model("b", "zoo", 0, "late"), model("c", "zoo", 1, "late")]
    models = [model("z"), model("y"), model("a", "zoo", 2, "early"), *late]
    write(tmp_path / "site", models)
    page = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert re.findall(r"<h3><a [^>]*>(.*?)</a>", page) == ["b", "c", "a", "y", "z"]
    assert re.findall(r"<h2>(.*?) <small>", page) == ["late", "early", "More models"]
    assert [card["place"] for card in cards(tmp_path / "site")] == [0, 1, 2, 3, 4]
    assert "order of the zoo" in page


@settings(deadline=None)
@given(st.integers(1, 2048), st.integers(1, 2048))
def test_strips_show_the_whole_picture_inside_the_card(width: int, height: int) -> None:
    found = strips(width, height)
    count = len(found)
    assert [strip.position for strip in found] == pytest.approx([100 * i / max(count - 1, 1) for i in range(count)], abs=0.01)
    strip = found[0]
    # In percent of the card's width, which is 1.6 times as wide as high.
    assert count * strip.width + 2 * (count - 1) <= 100.05
    assert strip.width / strip.aspect <= 62.5 * 1.01
    # Together they are as high as the picture at that width, but for what rounding up adds.
    assert count * strip.width / strip.aspect >= strip.width * height / width * 0.99


def test_a_tall_picture_is_cut_and_a_wide_one_is_not() -> None:
    assert len(strips(424, 2048)) == 3
    assert len(strips(1272, 512)) == len(strips(768, 1025)) == 1
    assert 4 < len(strips(10, 2048)) <= 8


def test_the_size_of_the_picture_is_that_of_the_file(tmp_path: Path, tiny: Built) -> None:
    out = BytesIO()
    Image.new("RGB", (345, 67)).save(out, "AVIF")
    baked = synthetic.renamed(tiny, slug="baked", identity="baked")
    with SiteWriter(tmp_path / "site") as site:
        site.add_model(tiny.model, tiny.files, tiny.overview)
        site.add_model(baked.model, baked.files, out.getvalue())
        site.finish()
    with Image.open(BytesIO(tiny.overview)) as image:
        assert entries(tmp_path / "site")["tiny"]["overview_size"] == list(image.size)
    assert entries(tmp_path / "site")["baked"]["overview_size"] == [345, 67]


@pytest.mark.parametrize(
    ("field", "value"), [("rank", "x"), ("tags", "x"), ("tags", [1]), ("title", 5), ("overview_size", [1]), ("shared", None)]
)
def test_a_site_json_with_other_types_is_refused(tmp_path: Path, tiny: Built, field: str, value: Any) -> None:
    write(tmp_path, [tiny])
    index = tmp_path / "site.json"
    site = json.loads(index.read_bytes())
    site["models"][0][field] = value
    index.write_text(json.dumps(site))
    with pytest.raises(SiteError, match="damaged"):
        write(tmp_path, [tiny])
