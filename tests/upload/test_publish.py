"""Sites on the Hub: the same bytes as in a folder, only what is new on the wire, and nothing done before it may be."""

from collections.abc import Callable
from pathlib import Path

import pytest
from buildkit import tree, write_tiny
from loophub import Hub, status
from loophub.log import Kind
from publishkit import Run, published

EVERYWHERE = pytest.mark.parametrize(
    "where",
    ["hf://ann/m", "hf://datasets/ann/d@web/sites/x", "hf://spaces/ann/s", "hf://buckets/ann/b", "hf://buckets/ann/b/x/y"],
)
Local = Callable[..., dict[str, bytes]]


@EVERYWHERE
def test_a_site_on_the_hub_is_the_one_in_a_folder(
    ann: Hub, mwv_build: Run, local: Local, model: Path, finetune: Path, other: Path, where: str
):
    assert mwv_build(model, "-o", where).code == 0
    assert published(ann, where) == local(model)
    assert mwv_build(other, finetune, "-o", where).code == 0
    assert published(ann, where) == local(model, other, finetune)
    assert mwv_build("--remove", "one", "-o", where).code == 0
    assert published(ann, where) == local(other, finetune)


@EVERYWHERE
def test_an_unchanged_site_costs_metadata_alone(ann: Hub, mwv_build: Run, model: Path, where: str):
    mwv_build(model, "-o", where)
    before = published(ann, where)
    ann.log.clear()
    done = mwv_build(model, "-o", where)
    assert "0 tiles rendered" in done.err and f"{where}: unchanged" in done.err
    assert not ann.log.of(method="POST", path="*/commit/*") and not ann.log.of(path="*/batch")
    assert not ann.log.of(path="*/preupload/*") and not ann.log.of(path="*-write-token/*")
    assert ann.log.received("cas") == 0
    assert published(ann, where) == before


@pytest.mark.parametrize("where", ["hf://ann/m", "hf://buckets/ann/b"])
def test_a_finetune_sends_what_it_changes(ann: Hub, mwv_build: Run, model: Path, finetune: Path, where: str):
    """One layer of two and no head: less than half of the model's tiles by bytes, and files of the finetune's own."""
    mwv_build(model, "-o", where)
    tiles = {path: len(data) for path, data in published(ann, where).items() if path.startswith("tiles/")}
    first = ann.log.received()
    ann.log.clear()
    assert mwv_build(finetune, "-o", where).code == 0
    more = {path for path in published(ann, where) if path.startswith("tiles/")} - tiles.keys()
    sent = sum(len(data) for path, data in published(ann, where).items() if path in more)
    assert 0 < sent < sum(tiles.values()) / 2
    assert ann.log.received("cas") < sent + 100_000
    assert ann.log.received() < first / 2


def test_without_a_cache_a_site_is_published_all_the_same(ann: Hub, mwv_build: Run, local: Local, model: Path, other: Path):
    from mwv.cli import main

    for source in (model, other):
        main(["build", "--no-cache", str(source), "-o", "hf://ann/m"])
    assert published(ann, "hf://ann/m") == local(model, other)


def test_a_model_that_fails_does_not_hinder_the_others(ann: Hub, mwv_build: Run, local: Local, model: Path, tmp_path: Path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no model")
    done = mwv_build(bad, model, "-o", "hf://ann/m")
    assert done.code == 1 and "1 of 2 models failed" in done.err and "bad.safetensors" in done.err
    assert published(ann, "hf://ann/m") == local(model)
    ann.log.clear()
    assert mwv_build(bad, "-o", "hf://ann/m").code == 1
    assert not ann.log.of(path="*/commit/*")


def test_nothing_is_left_behind_here(ann: Hub, mwv_build: Run, model: Path, tmp_path: Path):
    assert mwv_build(model, "-o", "hf://ann/m").code == 0
    assert not list(tmp_path.glob("cache/.mwv-*")) and not (tmp_path / "site").exists() and not list(tmp_path.glob("hf:*"))


def test_tiles_of_other_kinds(ann: Hub, mwv_build: Run, model: Path, finetune: Path, tmp_path: Path):
    """A model is changed in place: tiles named by their place are sent anew where they differ."""
    source = tmp_path / "mine.safetensors"
    for kind in ("xyz", "pmtiles"):
        where, folder = f"hf://ann/{kind}", tmp_path / kind
        for content in (model, finetune):
            source.write_bytes(content.read_bytes())
            assert mwv_build(source, "--tiles", kind, "-o", where).code == 0
            assert mwv_build(source, "--tiles", kind, "-o", folder).code == 0
            assert published(ann, where) == tree(folder)


def test_a_file_that_was_lost_on_the_hub_is_sent_again(ann: Hub, mwv_build: Run, model: Path, other: Path):
    mwv_build(model, "-o", "hf://ann/m")
    whole = published(ann, "hf://ann/m")
    tile = next(path for path in whole if path.startswith("tiles/"))
    data = next(path for path in whole if path.startswith("one/scene-"))
    ann.put("ann/m", {}, delete=[tile])
    assert mwv_build(model, "-o", "hf://ann/m").code == 0
    assert published(ann, "hf://ann/m") == whole
    ann.put("ann/m", {}, delete=[data])
    done = mwv_build(other, "-o", "hf://ann/m")
    assert done.code == 1 and f"{data}: is gone there and not at hand here; build its model again" in done.err
    assert mwv_build(model, other, "-o", "hf://ann/m").code == 0


def test_a_zoo_may_name_a_place_on_the_hub(ann: Hub, mwv_build: Run, local: Local, model: Path, tmp_path: Path):
    zoo = tmp_path / "zoo.toml"
    for out in ("hf://datasets/ann/d/zoo", "here"):
        zoo.write_text(f'out = "{out}"\n[[model]]\nsource = "{model}"\n')
        assert mwv_build(zoo).code == 0
    assert published(ann, "hf://datasets/ann/d/zoo") == tree(tmp_path / "here")


@pytest.mark.parametrize("where, path", [("hf://ann/m", "*/commit/*"), ("hf://buckets/ann/b", "*/batch")])
def test_from_the_hub_to_the_hub(ann: Hub, mwv_build: Run, model: Path, where: str, path: str):
    """Waits while the site is sent are none of the reading's, which is over by then."""
    ann.put("bob/source", {"one.safetensors": model})
    rule = ann.fail(status(503), "api", path=path)
    done = mwv_build("hf://bob/source/one.safetensors", "-o", where)
    assert done.code == 0 and rule.hits == 1, done
    assert "one/index.html" in published(ann, where)


@pytest.mark.parametrize(("where", "kind"), [("hf://datasets/ann/many", "resolve"), ("hf://buckets/ann/many", "cas")])
def test_a_gallery_of_many_models_is_read_by_one_question_for_each(
    ann: Hub, mwv_build: Run, tmp_path: Path, where: str, kind: Kind
):
    """What others share with a new model is told by their lists of contents: one each, however many there are."""
    models = [write_tiny(tmp_path / "models" / f"m{number}.safetensors", number) for number in range(13)]
    assert mwv_build(*models[:12], "-o", where).code == 0
    ann.log.clear()
    assert mwv_build(models[12], "-o", where).code == 0
    questions = [seen for seen in ann.log.of(kind, "GET") if "/reconstructions/" in seen.path or "/resolve/" in seen.path]
    assert 12 <= len(questions) <= 12 + 2  # and site.json
    assert len(ann.log.of("resolve", "HEAD")) <= 3
    assert len(ann.log.of("api", path="*paths-info")) <= 4 and len(ann.log.of("api", path="*/xet-read-token*")) <= 2


@pytest.mark.parametrize("where", ["hf://ann/m", "hf://buckets/ann/b"])
def test_tiles_of_xorbs_and_sharing_are_published_too(ann: Hub, mwv_build: Run, model: Path, finetune: Path, where: str):
    def check(*sources: Path) -> None:
        folder = Path(f"{len(sources)}-{sources[0].stem}")
        assert mwv_build(*sources, "--show-xet-xorbs", "-o", folder).code == 0
        assert published(ann, where) == tree(folder)

    for sources in ((model,), (model, finetune)):
        assert mwv_build(*sources, "--show-xet-xorbs", "-o", where).code == 0
        check(*sources)
    assert mwv_build("--remove", "one", "-o", where).code == 0
    check(finetune)


@pytest.mark.parametrize("where", ["hf://ann/m", "hf://buckets/ann/b"])
def test_a_file_that_is_longer_than_any_of_ours_is_not_fetched(
    ann: Hub, mwv_build: Run, model: Path, monkeypatch: pytest.MonkeyPatch, where: str
):
    assert mwv_build(model, "-o", where).code == 0
    monkeypatch.setattr("mwv.upload.reading.LONGEST", 1000)
    ann.log.clear()
    done = mwv_build(model, "-o", where)
    assert done.code == 1 and "longer than 1,000 bytes; it was not written by mwv" in done.err
    assert ann.log.received("cas") == ann.log.received("cdn") == 0
