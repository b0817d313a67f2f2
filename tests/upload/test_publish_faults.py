"""Whatever fails, and wherever: the Hub holds the old site or the new one, and the same command completes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loophub import Hub, cut, drop, expired_token, lost, slow, status
from publishkit import Run, published

Local = Callable[..., dict[str, bytes]]
STAGES = {
    "hf://ann/m": {
        "whoami": ("api", "*/whoami-v2"),
        "look": ("api", "*/models/ann/m"),
        "rights": ("api", "*/auth-check/*"),
        "listing": ("api", "*/tree/*"),
        "preupload": ("api", "*/preupload/*"),
        "xet token": ("api", "*/xet-write-token/*"),
        "xorb": ("cas", "*/xorbs/*"),
        "shard": ("cas", "*/shards"),
        "commit": ("api", "*/commit/*"),
    },
    "hf://buckets/ann/b": {
        "look": ("api", "*/buckets/ann/b"),
        "rights and xet token": ("api", "*/xet-write-token"),
        "listing": ("api", "*/tree*"),
        "xorb": ("cas", "*/xorbs/*"),
        "shard": ("cas", "*/shards"),
        "batch": ("api", "*/batch"),
    },
}
EVERY = [pytest.param(where, stage, id=f"{where[5:]}-{stage}") for where, stages in STAGES.items() for stage in stages]
FOR_GOOD = {"503": status(503), "403": status(403), "gone": drop()}
PASSING = {"429": status(429, retry_after=0), "503": status(503), "dropped": drop(), "slow": slow(0.2), "cut": cut(3)}


def whole(found: dict[str, bytes], *sites: dict[str, bytes]) -> bool:
    """Whether what a visitor is shown is one of these sites, with all its files; others may lie beside them."""
    return any(site.items() <= found.items() for site in sites if site.get("site.json") == found.get("site.json"))


@pytest.mark.parametrize("where, stage", EVERY)
def test_a_fault_that_stays(ann: Hub, mwv_build: Run, local: Local, model: Path, other: Path, where: str, stage: str):
    assert mwv_build(model, "-o", where).code == 0
    old = published(ann, where)
    new = local(model, other)
    kind, path = STAGES[where][stage]
    for name, fault in FOR_GOOD.items():
        rule = ann.fail(fault, kind, path=path, times=None)
        done = mwv_build(other, "-o", where)
        ann.faults.clear()
        assert rule.hits and done.code == 1, (name, done)
        assert whole(published(ann, where), old, new), name
        said = done.err.splitlines()[-1]
        assert said.startswith("mwv: ") and len(said) < 400, said
        assert ("the same command goes on" in said) == (" new; " in done.err), said
    assert mwv_build(other, "-o", where).code == 0
    assert published(ann, where) == new


@pytest.mark.parametrize("where, stage", EVERY)
def test_a_fault_that_passes(ann: Hub, mwv_build: Run, local: Local, model: Path, other: Path, where: str, stage: str):
    kind, path = STAGES[where][stage]
    new = local(model, other)
    for name, fault in PASSING.items():
        rule = ann.fail(fault, kind, path=path, times=1)
        assert mwv_build(model if name == "429" else other, "-o", where).code == 0, name
        ann.faults.clear()
        assert rule.hits == 1 or name != "429", name
    assert published(ann, where) == new


@pytest.mark.parametrize("where, path", [("hf://ann/m", "*/commit/*"), ("hf://buckets/ann/b", "*/batch")])
@pytest.mark.parametrize("after", range(4))
def test_a_lost_answer_is_no_failure(
    ann: Hub, mwv_build: Run, local: Local, model: Path, other: Path, where: str, path: str, after: int
):
    mwv_build(model, "-o", where)
    rule = ann.fail(lost(), "api", path=path, after=after)
    assert mwv_build(other, "-o", where).code == 0
    assert rule.hits == (after == 0 or path == "*/batch")
    assert published(ann, where) == local(model, other)
    if path == "*/commit/*":
        assert len(ann.repos["model", "ann/m"].at("main").history()) == 3


def test_a_token_that_expires_while_bytes_are_sent(ann: Hub, mwv_build: Run, local: Local, model: Path):
    """hf_xet gets a new one before that, by its clock; being told so by the storage it takes for the end."""
    rule = ann.fail(expired_token(), "cas", path="*/xorbs/*")
    done = mwv_build(model, "-o", "hf://ann/m")
    assert rule.hits == 1 and done.code == 1
    assert f"{ann.url[7:]} answered 401" in done.err and "the same command goes on" in done.err
    assert mwv_build(model, "-o", "hf://ann/m").code == 0
    assert published(ann, "hf://ann/m") == local(model)


@pytest.mark.parametrize("batch", range(5))
def test_a_bucket_that_was_left_half_way(
    ann: Hub, mwv_build: Run, local: Local, model: Path, finetune: Path, other: Path, batch: int
):
    """Cut before any of its batches, and then another site is published: nothing of the cut one is left."""
    where = "hf://buckets/ann/b"
    mwv_build(model, "-o", where)
    ann.fail(status(503), "api", path="*/batch", times=None, after=batch)
    assert mwv_build(finetune, "-o", where).code == 1
    assert whole(published(ann, where), local(model), local(model, finetune))
    ann.faults.clear()
    assert mwv_build("--remove", "one-tuned", "-o", where).code == (0 if batch == 4 else 1)
    assert mwv_build(other, "-o", where).code == 0
    assert published(ann, where) == local(model, other)


def test_of_two_publishers_the_later_is_told(
    ann: Hub, mwv_build: Run, model: Path, other: Path, monkeypatch: pytest.MonkeyPatch
):
    import mwv.publish

    built = mwv.publish.build
    for where in ("hf://ann/m", "hf://buckets/ann/b"):
        assert mwv_build(model, "-o", where).code == 0

        def build_slowly(settings: Any, base: Any, outcome: Any, where: str = where) -> None:
            monkeypatch.setattr(mwv.publish, "build", built)
            built(settings, base, outcome=outcome)
            assert mwv_build(other, "--title", "Another", "-o", where).code == 0

        monkeypatch.setattr(mwv.publish, "build", build_slowly)
        late = mwv_build(other, "-o", where)
        assert late.code == 1 and "someone else has changed it meanwhile" in late.err
        assert {path.partition("/")[0] for path in published(ann, where)} >= {"one", "another"}
        assert mwv_build(other, "-o", where).code == 0
