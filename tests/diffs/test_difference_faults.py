"""Differences that are disturbed: killed, of files that change meanwhile, two at once; and made again, with all flags."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from buildkit import Steps, settled, tree
from click.testing import CliRunner
from safetensors.numpy import save_file

from mwv.build import build
from mwv.cli import cli
from mwv.comparing import Comparer
from mwv.decode.delta import Delta
from mwv.diff import diff
from mwv.errors import MwvError
from mwv.settings import ModelSettings, Settings
from mwv.site.writer import regenerate


class Killed(BaseException):
    """Ends a build without being an error that anything may handle."""


def write(folder: Path, change: float) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    tensors = {f"layers.{n}.w.weight": random.standard_normal((150, 90)).astype(np.float32) for n in range(3)}
    tensors["layers.1.w.weight"][70:] += np.float32(change)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(f'{{"change": {change}}}')
    for path in folder.iterdir():
        settled(path)
    return folder


def run(a: Path, b: Path, site: Path, cache: Path | None) -> None:
    build(Settings((ModelSettings(b, against=a),), site, cache, jobs=1))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "a", 0), write(tmp_path / "b", 0.5)


def test_a_difference_that_ends_at_any_step_leaves_the_old_one_and_the_next_goes_on(
    tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    a, b = pair
    site, cache = tmp_path / "site", tmp_path / "cache"
    run(a, b, tmp_path / "old" / "site", None)
    old = tree(tmp_path / "old" / "site")
    write(b, 0.75)
    run(a, b, tmp_path / "clean", None)
    new = tree(tmp_path / "clean")
    with Steps([site, cache], int, at=0) as steps:
        run(a, b, site, cache)
    assert tree(site) == new

    def end() -> None:
        raise Killed

    # A few, for time: tests of the store and of the site's writer take every one of their steps.
    for at in range(1, len(steps.seen) + 1, len(steps.seen) // 6):
        here, kept = tmp_path / f"site{at}", tmp_path / f"cache{at}"
        write(b, 0.5)
        run(a, b, here, kept)
        assert tree(here) == old
        write(b, 0.75)
        try:
            with Steps([here, kept], end, at):
                run(a, b, here, kept)
        except Killed:
            page = (here / "a-to-b" / "index.html").read_bytes()
            assert page in (old["a-to-b/index.html"], new["a-to-b/index.html"])
        run(a, b, here, kept)
        assert tree(here) == new


def shorten(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(100))


def rewrite(path: Path) -> None:
    """In place, with the size and the time of writing that it had."""
    other = write(path.parent / "other", 0.25) / path.name
    with path.open("r+b") as file:
        file.write(other.read_bytes())
    settled(path)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [shorten, append, rewrite, remove])
@pytest.mark.parametrize(
    ("command", "where"),
    [("build", (Comparer, "_compared")), ("build", (Delta, "samples")), ("diff", (Delta, "values"))],
)
def test_a_file_that_changes_meanwhile_is_an_error_and_poisons_nothing(
    tmp_path: Path,
    pair: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    where: tuple[type, str],
    command: str,
) -> None:
    a, b = pair
    site, cache = tmp_path / "site", tmp_path / "cache"
    kind, name = where
    real, changed = getattr(kind, name), False

    def disturbed(*arguments: Any) -> Any:
        nonlocal changed
        if not changed:
            changed = True
            change(b / "model.safetensors")
        return real(*arguments)

    def once() -> None:
        if command == "build":
            run(a, b, site, cache)
        else:
            diff(a, b, jobs=1, cache=cache)

    monkeypatch.setattr(kind, name, disturbed)
    with pytest.raises(MwvError, match=r"model\.safetensors: .*(cut short|changed) while|its bytes changed while") as caught:
        once()
    assert changed and "\n" not in str(caught.value)
    assert not (site / "site.json").exists()
    monkeypatch.undo()
    write(b, 0.25)
    run(a, b, site, cache)
    run(a, b, tmp_path / "clean", None)
    assert tree(site) == tree(tmp_path / "clean")


def test_of_two_differences_that_are_made_at_once_one_is_told_to_start_again(
    tmp_path: Path, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair
    site, cache = tmp_path / "site", tmp_path / "cache"
    real = Comparer.run

    def overtaken(comparer: Comparer) -> Any:
        monkeypatch.undo()
        run(b, a, site, cache)
        return real(comparer)

    monkeypatch.setattr(Comparer, "run", overtaken)
    with pytest.raises(MwvError, match="another build has made this site meanwhile"):
        run(a, b, site, cache)
    run(b, a, tmp_path / "one", None)
    assert tree(site) == tree(tmp_path / "one")
    run(a, b, site, cache)
    run(a, b, tmp_path / "one", None)
    assert tree(site) == tree(tmp_path / "one")


@pytest.mark.parametrize("tiles", ["files", "xyz", "pmtiles"])
@pytest.mark.parametrize("kept", [True, False])
def test_a_second_build_with_all_flags_changes_nothing_and_pages_are_made_anew_as_they_are(
    tmp_path: Path, pair: tuple[Path, Path], tiles: str, kept: bool
) -> None:
    site, report, picture = tmp_path / "site", tmp_path / "report.json", tmp_path / "picture.png"
    cache = ["--cache", str(tmp_path / "cache")] if kept else ["--no-cache"]
    shown = ["--title", "<b>A</b>\n\u202e", "--columns", "2", "--tiles", tiles, "--diff-metric", "abs-log", "-j", "1"]
    saved = ["-o", str(site), "--report", str(report), "--png", str(picture), "--png-size", "300"]

    def once() -> tuple[dict[str, bytes], bytes, dict[str, Any]]:
        arguments = ["build", "--diff", *map(str, pair), *shown, *saved, *cache]
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
        assert result.exception is None
        assert "\u202e" not in result.stderr and len(result.stderr.splitlines()) == 2
        return tree(site), picture.read_bytes(), json.loads(report.read_text())["models"][0]

    first, second = once(), once()
    assert second[:2] == first[:2] and second[2]["change"] == "unchanged"
    if kept:
        assert second[2]["tiles"]["rendered"] == 0 and not second[2]["bytes"]["read"] + second[2]["bytes"]["hashed"]
    regenerate(site)
    assert tree(site) == first[0]
    assert not any(b"<b>A</b>" in content for path, content in first[0].items() if path.endswith(".html"))
