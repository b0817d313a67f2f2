"""Streaming to the loopback Hub with the real clients: the same site, few commits, and nothing done twice after a stop."""

import json
from pathlib import Path

import numpy as np
import pytest
from buildkit import settled
from loophub import Hub, expired_token, status
from publishkit import Run, published
from safetensors.numpy import save_file

from mwv.site.journal import JOURNAL
from mwv.site.manifest import decode

REPO, BUCKET = "hf://datasets/ann/tall", "hf://buckets/ann/tall/x"
WHERE = pytest.mark.parametrize("where", [REPO, BUCKET])


def write_tall(path: Path, layers: int = 12, changed: bool = False) -> Path:
    """A model of several super-blocks and few elements: a tall stack."""
    rng = np.random.default_rng(3)
    arrays = {"model.embed_tokens.weight": rng.standard_normal((300, 200)).astype(np.float16)}
    for i in range(layers):
        arrays[f"model.layers.{i}.mlp.up_proj.weight"] = rng.standard_normal((900, 200)).astype(np.float16)
    if changed:
        arrays[f"model.layers.{layers - 1}.mlp.up_proj.weight"][800, 100] += 1
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(arrays, path)
    return settled(path)


@pytest.fixture
def tall(tmp_path: Path) -> Path:
    return write_tall(tmp_path / "models" / "tall.safetensors")


def archives_at(hub: Hub, where: str) -> set[str]:
    return {path for path in published(hub, where) if path.endswith(".pmtiles")}


def commits(hub: Hub) -> int:
    return len(hub.log.of(method="POST", path="*/commit/*"))


def stream(mwv_build: Run, *arguments: str | Path, code: int = 0) -> tuple[str, dict]:
    """What a streaming build said, and the first model of its report."""
    done = mwv_build("--stream", "--report", "report.json", "-j", 2, *arguments)
    assert done.code == code, done.err
    report = json.loads(Path("report.json").read_text()) if code == 0 else {}
    return done.err, report


@WHERE
def test_a_streamed_site_is_the_one_that_is_published_whole(ann: Hub, mwv_build: Run, tall: Path, tmp_path: Path, where: str):
    said, report = stream(mwv_build, tall, "-o", where)
    site = published(ann, where)
    assert f"{where}: {len(site)} files sent (" in said  # archives, too
    assert mwv_build(tall, "--tiles", "pmtiles", "-o", "local").code == 0
    local = {path.relative_to("local").as_posix(): path.read_bytes() for path in Path("local").rglob("*") if path.is_file()}
    assert site == local
    archives = archives_at(ann, where)
    assert len(archives) > 3 and JOURNAL not in site
    assert report["models"][0]["archives"] == {"rendered": len(archives), "sent": len(archives), "reused": 0}
    assert 0 < report["peak_spool_bytes"] < 3 * 100e6
    assert not list(tmp_path.rglob("*.pmtiles")) or all("local" in str(p) for p in tmp_path.rglob("*.pmtiles"))
    if where == REPO:
        assert commits(ann) == 2  # the archives, then the rest


@WHERE
def test_a_second_stream_sends_nothing_and_a_change_what_it_touches(ann: Hub, mwv_build: Run, tall: Path, where: str):
    stream(mwv_build, tall, "-o", where)
    before = archives_at(ann, where)
    ann.log.clear()
    said, report = stream(mwv_build, tall, "-o", where)
    assert "unchanged" in said and ann.log.received("cas") == 0 and commits(ann) == 0
    write_tall(tall, changed=True)
    said, report = stream(mwv_build, tall, "-o", where)
    after = archives_at(ann, where)
    new = after - before
    assert len(after) == len(before) and len(new) == 2  # its super-block, and the levels above
    assert report["models"][0]["archives"] == {"rendered": 2, "sent": 2, "reused": len(before) - 2}
    kept = sum(len(published(ann, where)[path]) for path in after)
    assert ann.log.received("cas") < kept


@WHERE
def test_what_the_cache_forgot_is_not_sent_again(ann: Hub, mwv_build: Run, tall: Path, where: str):
    stream(mwv_build, tall, "-o", where)
    before = published(ann, where)
    mwv_build("--remove", "tall", "-o", where)
    stream(mwv_build, tall, "-o", where)
    assert published(ann, where) == before


@pytest.mark.parametrize(
    ("fault", "kind", "path"),
    [
        (status(500), "cas", "*"),
        (expired_token(), "cas", "*"),
        (status(403), "api", "*/preupload/*"),
        (status(500), "api", "*/commit/*"),
        (status(401), "api", "*-write-token/*"),
    ],
)
@pytest.mark.parametrize("after", [0, 2])
def test_a_failure_leaves_the_old_site_and_the_same_command_goes_on(
    ann: Hub, mwv_build: Run, tall: Path, other: Path, fault: object, kind: str, path: str, after: int
):
    assert mwv_build(other, "-o", REPO).code == 0
    old = published(ann, REPO)
    method = "POST" if kind == "cas" else None
    ann.fail(fault, kind=kind, path=path, method=method, times=None, after=after)  # type: ignore[arg-type]
    done = mwv_build("--stream", "-j", 2, tall, "-o", REPO)
    left = published(ann, REPO)
    ann.faults.clear()
    if done.code == 0:  # the fault came too late to meet anything
        assert after > 0
        return
    assert done.code == 1 and len(done.err.strip().splitlines()[-1]) < 600
    assert "the same command goes on" in done.err.splitlines()[-1]
    assert {path: content for path, content in left.items() if path in old} == old
    assert {path for path in left if path not in old} <= archives_at(ann, REPO) | {JOURNAL}
    stream(mwv_build, tall, "-o", REPO)
    site = published(ann, REPO)
    assert set(decode(site["site.json"], "site").models) == {"tall", "two"}
    assert JOURNAL not in site and len(archives_at(ann, REPO)) > 3
    mwv_build("--remove", "tall", "-o", REPO)
    assert published(ann, REPO) == old


def test_from_the_hub_to_the_hub(ann: Hub, mwv_build: Run, tall: Path):
    """No file of either side lies here; a stream that went on after a stop fetches only what it had not read."""
    ann.put("ann/tall", {"model.safetensors": tall})
    size = tall.stat().st_size
    ann.log.clear()
    _, report = stream(mwv_build, "hf://ann/tall", "-o", REPO)
    archives = archives_at(ann, REPO)
    assert len(archives) == report["models"][0]["archives"]["sent"] > 3
    assert size <= ann.log.sent("cdn") < 1.3 * size
    ann.log.clear()
    said, _ = stream(mwv_build, "hf://ann/tall", "-o", REPO)
    assert "unchanged" in said and ann.log.sent("cdn") == 0 and commits(ann) == 0


@WHERE
def test_xorbs_and_sharing_of_a_streamed_site(ann: Hub, mwv_build: Run, tall: Path, other: Path, where: str):
    paths = (tall, other, "--show-xet-xorbs")
    stream(mwv_build, *paths, "-o", where)
    site = published(ann, where)
    assert mwv_build(*paths, "--tiles", "pmtiles", "-o", "local").code == 0
    local = {path.relative_to("local").as_posix(): path.read_bytes() for path in Path("local").rglob("*") if path.is_file()}
    assert site == local
    assert "sharing.html" in site
    assert all(len(model.stored) == 2 for model in decode(site["site.json"], where).models.values())
    ann.log.clear()
    said, report = stream(mwv_build, *paths, "-o", where)
    assert report["xorbs"] == {"rendered": 0, "reused": 0}
    assert "unchanged" in said
    stream(mwv_build, "--remove", "tall", "-o", where)
    (model,) = decode(published(ann, where)["site.json"], where).models.values()
    assert len(model.stored) == 1
