"""Streams that are killed, and streams on a machine with little room: processes of their own against the loopback Hub."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from buildkit import settled
from loophub import Hub, status
from publishkit import Run, published
from safetensors.numpy import save_file

REPO, BUCKET = "hf://datasets/ann/big", "hf://buckets/ann/big"
COMMAND = """
import sys
from mwv import memory
from mwv.cli import main
from mwv.upload import stream
stream.PACE = stream.Pace(files=int(sys.argv[1]))
memory.EVERY = 0
main(sys.argv[2:])
"""
"""The command, with commits of so many archives, and nothing kept back that was learnt."""


def write(path: Path, layers: int, side: int) -> Path:
    """Layers of one square matrix each, one under the other: a tall stack of many super-blocks."""
    rng = np.random.default_rng(3)
    arrays = {f"model.layers.{i}.mlp.up_proj.weight": rng.standard_normal((side, side), np.float32) for i in range(layers)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: values.astype(np.float16) for name, values in arrays.items()}, path)
    return settled(path)


def begin(files: int, *arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COMMAND, f"{files}", "build", "--stream", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(Path.cwd())})


def finish(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def archives_at(hub: Hub, where: str) -> set[str]:
    return {path for path in published(hub, where) if path.endswith(".pmtiles")}


@pytest.mark.parametrize("where", [REPO, BUCKET])
def test_a_stream_that_is_killed_goes_on_where_it_was(ann: Hub, mwv_build: Run, tmp_path: Path, where: str):
    model = write(tmp_path / "models" / "big.safetensors", 112, 400)
    assert mwv_build(model, "--tiles", "pmtiles", "-o", "local").code == 0
    whole = {path.relative_to("local").as_posix() for path in Path("local").rglob("*") if path.is_file()}
    total = len([path for path in whole if path.endswith(".pmtiles")])
    assert total >= 6
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    arguments = (model, "-o", where, "--cache", "streaming", "--report", "report.json", "-j", 2)
    for step in sorted(moments.sample(range(1, total), 2)):
        process = begin(1, *arguments)
        deadline = time.monotonic() + 120
        while len(archives_at(ann, where)) < step and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        process.communicate()
        assert "site.json" not in published(ann, where) or len(archives_at(ann, where)) == total
    there = archives_at(ann, where)
    assert there
    finish(begin(1, *arguments))
    if "site.json" in published(ann, where) and Path("report.json").exists():
        (found,) = json.loads(Path("report.json").read_text())["models"]
        assert found["archives"]["reused"] >= len(there)
        assert found["archives"]["rendered"] + found["archives"]["reused"] == total
        # Digests are remembered every two seconds: a run that was killed sooner leaves none, and nothing is read twice.
        assert found["bytes"]["read"] + found["bytes"]["hashed"] <= found["bytes"]["source"]
    assert published(ann, where).keys() == whole
    assert not list(Path("streaming").glob(".mwv-*/**/spool/*"))


def kill_when_stored(hub: Hub, archives: int, moment: float, *arguments: str | Path) -> None:
    """Begin a stream that commits nothing before its end, and kill it some time after the storage has so many archives."""
    process = begin(10_000, *arguments)
    deadline = time.monotonic() + 120
    while len(hub.cas.files) < archives and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(moment)
    process.kill()
    process.communicate()


def test_what_was_stored_and_not_committed_is_neither_rendered_nor_sent_again(ann: Hub, tmp_path: Path):
    model = write(tmp_path / "models" / "big.safetensors", 112, 400)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    arguments = (model, "-o", REPO, "--cache", tmp_path / "streaming", "--report", tmp_path / "report.json", "-j", 2)
    known = 0
    for kill in range(2):
        kill_when_stored(ann, known + moments.randint(2, 3), moments.uniform(0, 0.05), *arguments)
        assert len(archives_at(ann, REPO)) >= known - kill  # of each run the last may not have been written down
        known = len(ann.cas.files)
    assert "site.json" not in published(ann, REPO)
    finish(begin(10_000, *arguments))
    (found,) = json.loads((tmp_path / "report.json").read_text())["models"]
    sizes = [len(content) for path, content in published(ann, REPO).items() if path.endswith(".pmtiles")]
    assert found["archives"]["reused"] >= known - 2 > 0
    assert found["archives"]["rendered"] + found["archives"]["reused"] == len(sizes) > known
    assert ann.log.received("cas", path="*/xorbs/*") < 1.01 * sum(sizes) + 2 * max(sizes) + 1e5


def test_what_the_hub_no_longer_has_is_made_again(ann: Hub, tmp_path: Path):
    model = write(tmp_path / "models" / "big.safetensors", 112, 400)
    arguments = (model, "-o", REPO, "--cache", tmp_path / "streaming", "--report", tmp_path / "report.json", "-j", 2)
    kill_when_stored(ann, 2, 0.05, *arguments)
    rule = ann.fail(status(400), "api", path="*/commit/*")
    finish(begin(10_000, *arguments))
    (found,) = json.loads((tmp_path / "report.json").read_text())["models"]
    assert rule.hits == 1 and found["archives"]["reused"] == 0
    assert found["archives"]["sent"] == len(archives_at(ann, REPO))


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[None]:
    """A tmpfs of so many bytes, where this machine lets us mount one; a folder else, whose use the caller measures."""
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", place], check=True)


def test_disk_and_memory_stay_small(ann: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Cache, spool and temporary files lie on a disk on which the tiles would find no room."""
    model = write(tmp_path / "models" / "big.safetensors", 64, 1000)
    size = 40 << 20
    with small_disk(tmp_path / "disk", size):
        monkeypatch.chdir(tmp_path / "disk")
        finish(begin(100, model, "-o", REPO, "--cache", "cache", "--report", "report.json", "-j", 1))
        report = json.loads(Path("report.json").read_text())
        used = sum(path.stat().st_size for path in Path("cache").rglob("*") if path.is_file())
        monkeypatch.chdir(tmp_path)
    archives = [len(content) for path, content in published(ann, REPO).items() if path.endswith(".pmtiles")]
    elements = report["models"][0]["elements"]
    assert len(archives) > 6 and sum(archives) > size
    assert report["peak_spool_bytes"] <= 3.2 * max(archives)
    assert used + report["peak_spool_bytes"] < size
    assert used < 0.05 * elements + 4e6  # sums, and the index
    assert report["peak_rss_bytes"] < 1 << 30
