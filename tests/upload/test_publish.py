"""Sites on the Hub: the same bytes as in a folder, only what is new on the wire, and nothing done before it may be."""

from collections.abc import Callable
from pathlib import Path

import pytest
from loophub import Hub
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
