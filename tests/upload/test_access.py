"""Token, name and rights are checked before anything is rendered; a line says what to do."""

from pathlib import Path

import pytest
from loophub import Hub
from publishkit import Run, published

BAD_TOKENS = {"": "needs a token", "hf_NobodysToken": "does not know the token"}


@pytest.mark.parametrize("token", BAD_TOKENS)
def test_without_a_token_that_is_good(hub: Hub, mwv_build: Run, model: Path, monkeypatch: pytest.MonkeyPatch, token: str):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    done = mwv_build(model, "-o", "hf://ann/m")
    assert done.code == 1 and BAD_TOKENS[token] in done.err and "hf auth login" in done.err
    assert len(done.err.splitlines()) == 1  # and no model
    assert not hub.repos


def test_a_token_that_can_only_read(hub: Hub, mwv_build: Run, model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", hub.token("ann", write=False))
    done = mwv_build(model, "-o", "hf://ann/m")
    assert done.code == 1 and "the token of ann can only read" in done.err and len(done.err.splitlines()) == 1


@pytest.mark.parametrize("where", ["hf://bob/m", "hf://spaces/bob/s", "hf://buckets/bob/b"])
@pytest.mark.parametrize("there", [True, False])
def test_another_s_place(ann: Hub, mwv_build: Run, model: Path, where: str, there: bool):
    if there:
        ann.put("bob/m", {"a": b"a"})
        ann.put("bob/s", {"a": b"a"}, "space")
        ann.put_bucket("bob/b", {"a": b"a"})
    done = mwv_build(model, "-o", where)
    said = "ann may not write there" if there else "is not there, and ann may not make it"
    assert done.code == 1 and done.err == f"mwv: {where}: {said}; " + done.err.rpartition("; ")[2]


@pytest.mark.parametrize("where", ["hf://ann/m", "hf://datasets/ann/d", "hf://spaces/ann/s", "hf://buckets/ann/b"])
def test_private(ann: Hub, mwv_build: Run, model: Path, where: str):
    assert mwv_build(model, "-o", where, "--private").code == 0
    made = [*ann.repos.values(), *ann.buckets.values()]
    assert [place.private for place in made] == [True]
    assert mwv_build(model, "-o", where, "--private").code == 0
    made[0].private = False
    done = mwv_build(model, "-o", where, "--private")
    assert done.code == 1 and "is there and public" in done.err


def test_what_is_not_ours_is_left_alone(ann: Hub, mwv_build: Run, model: Path):
    foreign = {"config.json": b"{}", "index.html": b"mine"}
    ann.put("ann/m", foreign)
    done = mwv_build(model, "-o", "hf://ann/m")
    assert done.code == 1 and "no site of mwv; name a folder in it: hf://ann/m/site" in done.err
    assert len(done.err.splitlines()) == 1
    assert mwv_build(model, "-o", "hf://ann/m/site").code == 0
    assert foreign.items() <= published(ann, "hf://ann/m").items()


def test_a_foreign_file_in_the_way(ann: Hub, mwv_build: Run, model: Path, other: Path):
    mwv_build(model, "-o", "hf://ann/m")
    ann.put("ann/m", {"two/index.html": b"mine"})
    before = published(ann, "hf://ann/m")
    done = mwv_build(other, "-o", "hf://ann/m")
    assert done.code == 1 and "two/index.html: is in the way and was not made by mwv" in done.err
    assert published(ann, "hf://ann/m") == before
    assert mwv_build("--remove", "one", "-o", "hf://ann/m").code == 0
    assert published(ann, "hf://ann/m")["two/index.html"] == b"mine"


def test_a_commit_cannot_be_changed(ann: Hub, mwv_build: Run, model: Path):
    done = mwv_build(model, "-o", f"hf://ann/m@{'a' * 40}")
    assert done.code == 1 and "name a branch" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("-o", "hf://ann/m", "--serve"),
        ("-o", "hf://ann/m", "--dry-run"),
        ("-o", "hf://ann/m/*.html"),
        ("-o", "hf://ann/m/.hidden"),
        ("-o", "hf://ann"),
        ("--private",),
        ("--space-sdk", "docker"),
        ("--space", "ann/s", "-o", "hf://ann/m"),
        ("--space", "ann/s", "-o", "hf://buckets/ann/b"),
        ("--space", "ann/s/x"),
        ("--space", "ann"),
    ],
)
def test_contradictions_are_told_before_any_request(hub: Hub, mwv_build: Run, model: Path, arguments: tuple[str, ...]):
    done = mwv_build(model, *arguments)
    assert done.code == 2, done
    assert not list(hub.log)


@pytest.mark.parametrize("where", ["hf://ann/m", "hf://buckets/ann/b"], ids=["repository", "bucket"])
def test_what_is_wrong_with_a_site_there_is_told_of_its_address(ann: Hub, mwv_build: Run, model: Path, other: Path, where: str):
    """Not of the folder in which it is worked on here, which is gone when the line is read."""
    assert mwv_build(model, other, "-o", where).code == 0
    assert mwv_build("--remove", "three", "-o", where).err == f"mwv: {where}: has no model 'three'; it has one, two\n"
    paths = published(ann, where)
    content = next(path for path in paths if path.startswith("one/content-"))
    tiles = next(path for path in paths if path.startswith("one/tiles-") and path.endswith(".json"))
    for path, slug in ((content, "two"), (tiles, "one"), ("site.json", "one")):
        if where == "hf://ann/m":
            ann.put("ann/m", {path: b"{}"})
        else:
            ann.put_bucket("ann/b", {path: b"{}"})
        done = mwv_build("--remove", slug, "-o", where)
        assert done.code == 1 and f"mwv: {where}/{path}: damaged; " in done.err, done


@pytest.mark.parametrize("show", [("--pages", "pages"), ("--space", "ann/s"), ("--space", "ann/s", "--space-sdk", "docker")])
def test_nothing_is_made_to_show_what_is_not_there(ann: Hub, mwv_build: Run, tmp_path: Path, show: tuple[str, ...]):
    where = "hf://buckets/ann/none"
    done = mwv_build("-o", where, *show)
    assert done.code == 1 and f"{where}: is not there; build a site" in done.err
    assert not ann.buckets and not ann.repos
    ann.put_bucket("ann/none", {})
    done = mwv_build("-o", where, "--pages", "pages")
    assert done.code == 1 and done.err == f"mwv: {where}: holds no site; build one: mwv build SOURCE -o {where}\n"
    ann.put("ann/empty", {})
    assert "no revision web" in mwv_build("-o", "hf://ann/empty@web", "--pages", "pages").err
    assert list(ann.repos["model", "ann/empty"].branches) == ["main"]
