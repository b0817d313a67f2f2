"""In: folders. Out: small models, builds of them, sites as bytes, and steps of a build that go wrong on purpose."""

import builtins
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from mwv.build import build
from mwv.settings import ModelSettings, Settings
from mwv.site.manifest import decode, decode_tiles
from mwv.store.index import Index

LONG_AGO = 1_600_000_000


def settled(path: Path) -> Path:
    """A file that was written long ago, so that its digests are remembered."""
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """A model of two layers and a head so wide that it needs a second block; only a layer depends on the seed."""
    fixed, rng = np.random.default_rng(7), np.random.default_rng(seed)
    return {
        "model.embed_tokens.weight": fixed.standard_normal((200, 96)).astype(np.float32),
        "model.layers.0.mlp.up_proj.weight": fixed.standard_normal((700, 96)).astype(np.float16),
        "model.layers.0.input_layernorm.weight": np.ones(96, np.float32),
        "model.layers.1.mlp.up_proj.weight": rng.standard_normal((700, 96)).astype(np.float16),
        "model.layers.1.input_layernorm.weight": np.ones(96, np.float32),
        "lm_head.weight": fixed.standard_normal((70, 4500)).astype(np.float16),
    }


def write_model(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(weights(seed), part)
    part.replace(path)
    return settled(path)


def write_tiny(path: Path, seed: int = 0) -> Path:
    """One matrix of 100 × 600: two leaves and one overview."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({"w": np.random.default_rng(seed).standard_normal((100, 600)).astype(np.float16)}, part)
    part.replace(path)
    return settled(path)


def run(source: Path, site: Path, cache: Path | None, **options: Any) -> dict[str, Any]:
    """Build one model; its entry in the report."""
    report = site.parent / f"{site.name}.json"
    build(Settings((ModelSettings(source),), site, cache, report=report, **options))
    return json.loads(report.read_text())["models"][0]


def run_quietly(source: Path, site: Path, cache: Path | None, jobs: int = 1) -> None:
    """What a process of its own does."""
    build(Settings((ModelSettings(source),), site, cache, jobs=jobs))


def run_and_die(source: Path, site: Path, cache: Path | None, at: int) -> None:
    """Build, and be killed at one step."""
    with Steps([site, cache] if cache else [site], lambda: os.kill(os.getpid(), signal.SIGKILL), at):
        build(Settings((ModelSettings(source),), site, cache, jobs=1))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def pictures(cache: Path) -> set[str]:
    """Keys of the PNG blobs in a cache that are whole."""
    return {path.name for path in (cache / "blobs").glob("*/*") if len(path.name) == 32 and path.read_bytes()[:4] == b"\x89PNG"}


def script(path: Path) -> dict[str, Any]:
    """What a data script of a site hands to the viewer."""
    text = path.read_text("ascii")
    return json.loads(text[text.index("(") + 1 : text.rindex(")")])


def tile_keys(site: Path) -> dict[tuple[int, int, int], str]:
    """Key of each tile (level, x, y) of the only model of a site, from its tile map."""
    (scene,) = site.glob("*/scene-0-*.js")
    pieces = [
        (int(level), place, entries)
        for level, places in script(scene)["tiles"]["map"].items()
        for place, entries in places.items()
    ]
    for path in site.glob("*/tiles-0-*.js"):
        piece = script(path)
        pieces.append((piece["level"], f"{piece['x']},{piece['y']}", piece["keys"]))
    found = {}
    for level, place, keys in pieces:
        column, row = map(int, place.split(","))
        found.update({(level, column * 16 + i % 16, row * 16 + i // 16): key for i, key in enumerate(keys) if key})
    return found


def check_whole(site: Path, *versions: dict[str, bytes]) -> None:
    """A site that a killed build left: one version's manifest, and every file it names as one of the versions has it."""
    text = (site / "site.json").read_bytes()
    assert text in [version["site.json"] for version in versions]
    manifest = decode(text, site)
    named = set(manifest.files)
    for slug, entry in manifest.models.items():
        named.update(decode_tiles((site / slug / entry.tile_list).read_bytes(), site).files)
    for path in named:
        assert (site / path).read_bytes() in [version.get(path) for version in versions], path
    for path in site.rglob("*.html"):
        page = path.read_text("utf-8")
        for part in page.split('src="')[1:]:
            assert (path.parent / part.split('"')[0]).is_file()


class Steps:
    """Counts the calls that change something below some folders, and lets something happen before one, or from one on.

    `seen` names each: the call, and the first part of the path below its folder.
    """

    def __init__(self, folders: list[Path], act: Callable[[], None], at: int, on: bool = False) -> None:
        self.folders, self.act, self.at, self.on = [f"{folder}" for folder in folders], act, at, on
        self.seen: list[str] = []
        self._saved: list[tuple[Any, str, Any]] = []

    def step(self, name: str, path: object) -> None:
        text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        for folder in self.folders:
            if text == folder or text.startswith(folder + "/"):
                part = text.removeprefix(folder).strip("/").partition("/")[0]
                self.seen.append(f"{name} {Path(folder).name}/{part}")
                if len(self.seen) == self.at or (self.on and len(self.seen) > self.at):
                    self.act()

    def __enter__(self) -> "Steps":
        def first_path(module: Any, name: str) -> None:
            real = getattr(module, name)

            def call(path: Any, *args: Any, **options: Any) -> Any:
                if name != "mkdir" or not Path(os.fsdecode(path)).is_dir():
                    self.step(name, args[0] if name == "link" else path)
                return real(path, *args, **options)

            self._patch(module, name, call)

        for name in ("link", "rename", "replace", "unlink", "mkdir", "rmdir"):
            first_path(os, name)
        real_os_open, real_open, real_remember = os.open, io.open, Index.remember_many

        def os_open(path: Any, flags: int, *args: Any, **options: Any) -> int:
            if flags & os.O_CREAT:
                self.step("create", path)
            return real_os_open(path, flags, *args, **options)

        def file_open(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            if set(mode) & set("wax+"):
                self.step("write", file)
            return real_open(file, mode, *args, **options)

        def remember(index: Index, namespace: str, values: Any) -> None:
            with contextlib.suppress(OSError):  # what happens in the index stays there
                self.step(f"index {namespace}", index._folder)
                real_remember(index, namespace, values)

        self._patch(os, "open", os_open)
        self._patch(io, "open", file_open)
        self._patch(builtins, "open", file_open)
        self._patch(Index, "remember_many", remember)
        return self

    def _patch(self, module: Any, name: str, function: Any) -> None:
        self._saved.append((module, name, getattr(module, name)))
        setattr(module, name, function)

    def __exit__(self, *exception: object) -> None:
        for module, name, function in reversed(self._saved):
            setattr(module, name, function)


@dataclass(frozen=True)
class Finished:
    """How a command ended; `rss` is its peak in bytes."""

    code: int
    out: str
    err: str
    rss: int


class Limits:
    """Of time (seconds), which is loose, since tests share a machine, and of resident memory (bytes)."""

    SECONDS = 20.0
    RSS = 512 << 20


_TELLS_PEAK = """
import atexit, os, pathlib, sys
peak = int(sys.argv.pop(1))
atexit.register(lambda: os.write(peak, pathlib.Path("/proc/self/status").read_bytes()))
from mwv.cli import main
main()
"""
"""Runs the command; its own peak at the end goes to a file. What wait4 tells of a child begins at its parent's peak."""


def mwv(*args: object, cwd: Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Finished:
    """Run the command line in a process of its own; it must keep to `Limits` and show no traceback."""
    begin = time.monotonic()
    with ExitStack() as files:
        given, out, err, peak = (files.enter_context(tempfile.TemporaryFile()) for _ in range(4))
        command = [sys.executable, "-c", _TELLS_PEAK, str(peak.fileno()), *map(str, args)]
        given.write(stdin)
        given.seek(0)
        environment = {**os.environ, **(env or {})}
        code = subprocess.run(
            command, cwd=cwd, stdin=given, stdout=out, stderr=err, env=environment, pass_fds=[peak.fileno()], check=False
        ).returncode
        texts = [file.seek(0) or file.read().decode() for file in (out, err, peak)]
        done = Finished(code, texts[0], texts[1], int(texts[2].partition("VmHWM:")[2].split()[0]) * 1024)
    assert time.monotonic() - begin < Limits.SECONDS
    assert done.rss < Limits.RSS
    assert "Traceback" not in done.err, done.err
    return done
