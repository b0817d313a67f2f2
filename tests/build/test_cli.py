"""The command line: what it says, what it refuses, what it writes, and with which exit code."""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from buildkit import mwv, script, tile_keys, tree, weights, write_model, write_tiny
from PIL import Image
from safetensors.numpy import load_file, save_file

from mwv.cli import cli, main
from mwv.pyramid.palette import fitted, table

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """`call("build", …)` in a folder of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MWV_CACHE", str(tmp_path / "cache"))

    def call(*args: object) -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["mwv", *map(str, args)])
        code: Any = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        out, err = capfd.readouterr()
        return code, out, err

    return call


def models(site: Path) -> dict[str, dict[str, Any]]:
    return {model["slug"]: model for model in json.loads((site / "site.json").read_text())["models"]}


def scene(site: Path) -> dict[str, Any]:
    (path,) = site.glob("*/scene-0-*.js")
    return script(path)


def commands(command: click.Command, *words: str) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            yield from commands(below, *words, word)


# Words


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("words", list(commands(cli)), ids=" ".join)
def test_every_command_has_help(call, tmp_path, words, flag):
    code, out, err = call(*words, flag)
    assert (code, err) == (0, "")
    assert out.startswith(" ".join(("Usage: mwv", *words)))
    assert len(out.split("\n\n")[1].strip()) > 10  # says what it does
    assert not list(tmp_path.iterdir())


def test_the_program_says_its_version(call):
    assert call("--version")[1] == f"mwv, version {version('mwv')}\n"


def test_nothing_to_build_says_what_to_try(call, tmp_path):
    code, out, err = call("build")
    assert (code, out) == (2, "")
    assert "mwv build model.safetensors" in err
    assert "mwv build --demo --serve" in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


CONTRADICTIONS = [
    "m.safetensors --cache c --no-cache",
    "m.safetensors --png-size 100",
    "m.safetensors --columns 0",
    "m.safetensors --columns -1",
    "m.safetensors --columns some",
    "m.safetensors --columns 1.5",
    "m.safetensors m.safetensors --title both",
    "m.safetensors m.safetensors --png both.png",
    "--demo --title both",
    "--demo --png both.png",
    "--remove x --title none",
    "m.safetensors --dry-run --png x.png",
    "m.safetensors --dry-run --remove x",
    "m.safetensors --dry-run --report x.json",
    "m.safetensors --dry-run --serve",
    "--regen-html site m.safetensors",
    "--regen-html site --remove x",
    "--regen-html site --demo",
    "--regen-html site --dry-run",
    "--regen-html site --title x",
    "--regen-html site --report x.json",
    "--regen-html site --png x.png",
    "--regen-html site -o elsewhere",
    "--regen-html site --tiles xyz",
    "m.safetensors --jobs 0",
    "m.safetensors --jobs many",
    "m.safetensors --png p.png --png-size 0",
    "m.safetensors --tiles nonsense",
    "m.safetensors --tile-format jpeg",
    "m.safetensors --nonsense",
    "--file-list missing.txt",
    "--file-list empty.txt",
]


@pytest.mark.parametrize("line", CONTRADICTIONS)
def test_contradictions_are_refused_before_any_work(call, tmp_path, line):
    write_tiny(tmp_path / "m.safetensors")
    (tmp_path / "empty.txt").write_text("\n\n")
    before = tree(tmp_path)
    code, out, err = call("build", *line.split())
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert line.split()[0] in err or any(flag in err for flag in line.split() if flag.startswith("-"))
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "line", ["cache prune --limit -1", "cache prune --limit 10X", "cache prune --limit x", "inspect", "x", "cache x"]
)
def test_other_wrong_usage_is_refused(call, tmp_path, line):
    code, _, err = call(*line.split())
    assert code == 2
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


# Builds


def test_sources_come_from_a_list_too(call, tmp_path):
    for name in ("a", "b", "with space"):
        write_tiny(tmp_path / f"{name}.safetensors")
    (tmp_path / "list.txt").write_text("a.safetensors\n\n  with space.safetensors  \n")
    assert call("build", "b.safetensors", "-l", "list.txt")[0] == 0
    assert set(models(tmp_path / "site")) == {"a", "b", "with-space"}
    done = mwv(
        "build", "--file-list", "-", "-o", "piped", "--cache", "cache", cwd=tmp_path, stdin=b"a.safetensors\nb.safetensors"
    )
    assert done.code == 0
    assert set(models(tmp_path / "piped")) == {"a", "b"}


def test_only_shows_what_matches(call, tmp_path):
    write_model(tmp_path / "m.safetensors")
    assert call("build", "m.safetensors", "--only", "*.up_proj.*", "--only", "lm_head*")[0] == 0
    assert set(scene(tmp_path / "site")["tensors"]["name"]) == {
        name for name in weights() if "up_proj" in name or name.startswith("lm_head")
    }
    code, _, err = call("build", "m.safetensors", "--only", "*.nothing", "-o", "none")
    assert code == 1
    assert "m.safetensors" in err
    assert "*.nothing" in err
    assert not (tmp_path / "none").exists()


def test_columns_fold_a_stack(call, tmp_path):
    write_model(tmp_path / "m.safetensors")
    for columns in ("1", "2", "auto"):
        assert call("build", "m.safetensors", "--columns", columns, "-o", columns)[0] == 0
    (_, _, wide1, high1), (_, _, wide2, high2), chosen = (scene(tmp_path / c)["bounds"] for c in ("1", "2", "auto"))
    assert high2 < high1  # two layers stand side by side
    assert wide2 > wide1
    assert tuple(chosen[2:]) in ((wide1, high1), (wide2, high2))


def test_a_title_names_the_model(call, tmp_path):
    write_tiny(tmp_path / "m.safetensors")
    assert call("build", "m.safetensors", "--title", "A <b> title & more")[0] == 0
    ((slug, model),) = models(tmp_path / "site").items()
    assert model["title"] == "A <b> title & more"
    assert slug == "a-b-title-more"
    page = (tmp_path / "site" / slug / "index.html").read_text("utf-8")
    assert "A &lt;b&gt; title &amp; more" in page


@pytest.mark.parametrize(("size", "level"), [(None, 0), (6000, 0), (1400, 2), (700, 3)])
def test_a_picture_shows_the_codes_in_the_colours_of_the_palette(call, tmp_path, size, level):
    write_model(tmp_path / "m.safetensors")
    limit = [] if size is None else ["--png-size", size]
    assert call("build", "m.safetensors", "--png", "new/whole.png", *limit)[0] == 0
    facts = scene(tmp_path / "site")
    x, y, width, height = facts["bounds"]
    codes = np.zeros((-(-(y + height) // (512 << level)) * 512, -(-(x + width) // (512 << level)) * 512), np.uint8)
    for (at, column, row), key in tile_keys(tmp_path / "site").items():
        if at == level:
            with Image.open(tmp_path / "site" / "tiles" / key[:2] / f"{key}.png") as tile:
                codes[row * 512 : row * 512 + 512, column * 512 : column * 512 + 512] = np.asarray(tile)
    side = 1 << level
    codes = codes[y // side : -(-(y + height) // side), x // side : -(-(x + width) // side)]
    with Image.open(tmp_path / "new" / "whole.png") as picture:
        assert max(picture.size) <= (size or 8000) + 1
        pixels = np.asarray(picture.convert("RGB"))
    assert np.array_equal(pixels, table("signed", *fitted(*facts["magnitudes"][level]))[codes])
    assert len(np.unique(codes)) > 12


def test_a_picture_that_cannot_be_written_is_one_line(call, tmp_path):
    write_tiny(tmp_path / "m.safetensors")
    code, _, err = call("build", "m.safetensors", "--png", "m.safetensors/x.png")
    assert code == 1
    assert err.splitlines()[-1].startswith("mwv: m.safetensors/x.png: cannot be written")
    assert not (tmp_path / "site").exists()


def test_models_are_removed(call, tmp_path):
    write_tiny(tmp_path / "a.safetensors")
    write_tiny(tmp_path / "b.safetensors", seed=1)
    assert call("build", "a.safetensors", "-o", "one")[0] == 0
    assert call("build", "a.safetensors", "b.safetensors")[0] == 0
    code, _, err = call("build", "--remove", "c")
    assert code == 1
    assert "'c'" in err
    assert "a, b" in err
    assert call("build", "--remove", "b")[0] == 0
    assert tree(tmp_path / "site") == tree(tmp_path / "one")
    assert call("build", "--remove", "a", "b.safetensors")[0] == 0
    assert set(models(tmp_path / "site")) == {"b"}


def test_pages_are_written_again_from_their_data(call, tmp_path):
    write_tiny(tmp_path / "m.safetensors")
    assert call("build", "m.safetensors")[0] == 0
    (tmp_path / "m.safetensors").unlink()
    want = tree(tmp_path / "site")
    for name in ("index.html", "m/index.html", "m/tensors.html"):
        (tmp_path / "site" / name).write_text("spoilt")
    assert call("build", "--regen-html", "site")[0] == 0
    assert tree(tmp_path / "site") == want
    code, _, err = call("build", "--regen-html", "nowhere")
    assert code == 1
    assert "nowhere" in err
    assert not (tmp_path / "nowhere").exists()


def test_a_dry_run_says_what_would_be_and_writes_nothing(call, tmp_path):
    write_model(tmp_path / "m.safetensors")
    before = tree(tmp_path)
    code, out, err = call("build", "m.safetensors", "--dry-run")
    assert (code, err) == (0, "")
    assert "6 tensors" in out
    assert "469 K elements" in out
    assert tree(tmp_path) == before
    assert call("build", "m.safetensors")[0] == 0
    width, height = scene(tmp_path / "site")["bounds"][2:]
    assert f"{width:,} × {height:,} pixels" in out


def test_a_report_has_the_fields_that_are_promised(call, tmp_path):
    path = write_model(tmp_path / "m.safetensors")
    assert call("build", "m.safetensors", "--report", "r.json", "--jobs", "2")[0] == 0
    report = json.loads((tmp_path / "r.json").read_text())
    (model,) = report["models"]
    assert model["name"] == "m"
    assert model["source"] == "m.safetensors"
    assert model["tensors"] == 6
    assert model["elements"] == sum(array.size for array in weights().values())
    assert set(model["canvas"]) == {"width", "height", "levels"}
    tiles = tile_keys(tmp_path / "site")
    assert model["tiles"] == {"total": len(tiles), "rendered": len(tiles), "reused": 0}
    data = sum(array.nbytes for array in weights().values())
    assert model["bytes"]["source"] == data < path.stat().st_size
    assert model["bytes"]["read"] + model["bytes"]["hashed"] == data
    assert model["bytes"]["written"] >= sum(file.stat().st_size for file in (tmp_path / "site" / "tiles").rglob("*.png"))
    assert 0 < model["seconds"]["total"] <= report["seconds"]
    assert 1 << 20 < report["peak_rss_bytes"] < 4 << 30
    assert report["failures"] == []
    code, _, err = call("build", "m.safetensors", "gone.gguf", "--report", "r.json")
    assert code == 1
    again = json.loads((tmp_path / "r.json").read_text())
    assert again["models"][0]["tiles"] == {"total": len(tiles), "rendered": 0, "reused": len(tiles)}
    assert len(again["failures"]) == 1
    assert "gone.gguf" in again["failures"][0]
    assert again["failures"][0] in err


def test_the_cache_is_where_it_was_asked_for(call, tmp_path, monkeypatch):
    write_tiny(tmp_path / "m.safetensors")
    assert call("build", "m.safetensors", "--cache", "mine")[0] == 0
    assert (tmp_path / "mine" / "CACHEDIR.TAG").is_file()
    assert not (tmp_path / "cache").exists()
    assert call("build", "m.safetensors", "--no-cache")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"m.safetensors", "mine", "site"}
    code, _, err = call("build", "m.safetensors", "--cache", "site", "-o", "other")
    assert code == 1
    assert err.startswith("mwv: ")
    assert "not a cache of mwv" in err


def boxes(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Kind and size of each box of an ISO base media file (ISO/IEC 14496-12, section 4.2)."""
    at = 0
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        assert size >= 8
        yield kind, size
        at += size
    assert at == len(content)


def test_picture_tiles_are_well_formed_files(call, tmp_path):
    write_model(tmp_path / "m.safetensors")
    assert call("build", "m.safetensors", "--tile-format", "avif")[0] == 0
    pictures = sorted((tmp_path / "site" / "tiles").rglob("*.avif"))
    assert pictures
    for path in pictures:
        kinds = [kind for kind, _ in boxes(path.read_bytes())]
        assert kinds[0] == b"ftyp"
        assert {b"meta", b"mdat"} <= set(kinds)
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("AVIF", (512, 512))
            picture.load()


# Inspection


def test_inspect_tells_what_numpy_tells(call, tmp_path):
    path = write_model(tmp_path / "m.safetensors")
    arrays = load_file(path)
    arrays["odd"] = np.array([[0.0, -0.0, np.nan, np.inf, -3.0, 2.0]], np.float32)
    save_file(arrays, path, metadata={"made": "by hand"})
    code, out, _ = call("inspect", path, "--json", "--stats", "--jobs", "2")
    assert code == 0
    found = json.loads(out)
    assert found["name"] == "m"
    assert found["format"] == "safetensors"
    assert found["metadata"] == {"made": "by hand"}
    assert found["parameters"] == sum(array.size for array in arrays.values())
    assert found["bytes"] == sum(array.nbytes for array in arrays.values())
    assert {tensor["name"] for tensor in found["tensors"]} == set(arrays)
    content = path.read_bytes()
    for tensor in found["tensors"]:
        array = arrays[tensor["name"]]
        assert tensor["shape"] == list(array.shape)
        assert content[tensor["offset"] : tensor["offset"] + tensor["bytes"]] == array.tobytes()
        stats, values = tensor["stats"], array.astype(np.float64)
        real = values[np.isfinite(values)]
        assert (stats["elements"], stats["zeros"]) == (array.size, int((values == 0).sum()))
        assert (stats["nan"], stats["inf"]) == (int(np.isnan(values).sum()), int(np.isinf(values).sum()))
        assert (stats["minimum"], stats["maximum"]) == (real.min(), real.max())
        assert stats["mean"] == pytest.approx(real.mean(), rel=1e-9, abs=1e-12)
        assert stats["rms"] == pytest.approx(np.sqrt((real**2).mean()), rel=1e-9)
        assert stats["std"] == pytest.approx(real.std(), rel=1e-7, abs=1e-9)
    assert not (tmp_path / "cache").exists()


def test_inspect_reads_headers_alone(call, tmp_path):
    path = write_model(tmp_path / "m.safetensors")
    code, out, err = call("inspect", path)
    assert (code, err) == (0, "")
    assert all(name in out for name in weights())
    assert "RMS" not in out
    assert "RMS" in call("inspect", path, "--stats")[1]
    with_header = path.read_bytes()
    end = 8 + int.from_bytes(with_header[:8], "little")
    with path.open("r+b") as file:  # a sparse file of zeros behind the same header
        file.truncate(end)
        file.truncate(len(with_header))
    assert call("inspect", path)[1] == out
    assert all("stats" not in tensor for tensor in json.loads(call("inspect", path, "--json")[1])["tensors"])


def test_canonical_names_are_told_where_they_differ(call, tmp_path):
    canonical = {
        "layers.0.attention.wq.weight": "model.layers.0.self_attn.q_proj.weight",
        "temperature": None,
        "tok_embeddings.weight": "model.embed_tokens.weight",
    }
    path = tmp_path / "m.safetensors"
    save_file({name: np.zeros((2, 2), np.float32) for name in canonical}, path)
    found = json.loads(call("inspect", path, "--json")[1])["tensors"]
    assert {tensor["name"]: tensor.get("canonical") for tensor in found} == canonical
    assert call("build", path, "-o", tmp_path / "site", "--no-cache")[0] == 0
    tensors = scene(tmp_path / "site")["tensors"]
    assert {name: tensors["canonical"].get(str(i)) for i, name in enumerate(tensors["name"])} == canonical


# The cache


def test_cache_commands_say_what_they_did(call, tmp_path):
    assert call("cache", "info")[1].splitlines()[1].split()[:2] == ["results", "0"]
    assert not (tmp_path / "cache").exists()  # looking makes nothing
    write_tiny(tmp_path / "m.safetensors")
    assert call("build", "m.safetensors")[0] == 0
    blobs = sorted((tmp_path / "cache" / "blobs").glob("*/*"))
    code, out, err = call("cache", "info")
    assert (code, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["folder"] == str(tmp_path / "cache")
    assert lines["results"].startswith(f"{len(blobs)} in ")
    assert lines["running"] == "0 builds"
    code, out, err = call("cache", "verify")
    assert (code, err) == (0, "")
    assert f"{len(blobs)} results" in out
    bad = next(path for path in blobs if path.read_bytes()[:4] == b"\x89PNG")
    bad.chmod(0o644)
    bad.write_bytes(bad.read_bytes()[:-20] + bytes(20))
    code, out, err = call("cache", "--cache", tmp_path / "cache", "verify")
    assert code == 1
    assert bad.name in out
    assert "1 damaged" in out
    (line,) = err.splitlines()
    assert line.startswith("mwv: 1 damaged")
    assert not bad.exists()
    code, out, _ = call("cache", "prune", "--limit", "0")
    assert code == 0
    linked = {path.name.removesuffix(".png") for path in (tmp_path / "site" / "tiles").rglob("*.png")} - {bad.name}
    assert {path.name for path in (tmp_path / "cache" / "blobs").glob("*/*")} == linked  # freeing them frees nothing
    assert f"removed {len(blobs) - 1 - len(linked)} results" in out
    code, out, _ = call("cache", "clear")
    assert code == 0
    assert f"removed {len(linked)} results" in out
    assert not list((tmp_path / "cache").rglob("*.png")) + list((tmp_path / "cache").glob("blobs/*/*"))


def test_cache_commands_leave_foreign_folders_alone(call, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    for word in ("info", "prune", "verify", "clear"):
        code, _, err = call("cache", "--cache", tmp_path / "mine", word)
        assert code == 1, word
        assert err.startswith(f"mwv: {tmp_path / 'mine'}")
        assert len(err.splitlines()) == 1
    assert tree(tmp_path) == {"mine/diary.txt": b"dear diary"}


# Ends


@pytest.mark.parametrize("args", [["inspect", "m.safetensors"], ["inspect", "m.safetensors", "--json"], ["build", "--help"]])
def test_a_reader_that_leaves_early_is_no_error_worth_a_traceback(tmp_path, args):
    write_model(tmp_path / "m.safetensors")
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, "-c", "from mwv.cli import main; main()", *args], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert err == b""


def test_an_interrupted_build_says_so_in_one_line_and_keeps_its_work(tmp_path):
    source = write_model(tmp_path / "m.safetensors")
    program = """
import os, signal, sys
from mwv.store.store import Store
put, count = Store._put, 0
def counted(*args):
    global count
    put(*args)
    count += 1
    if count == 8:
        os.kill(os.getpid(), signal.SIGINT)
Store._put = counted
from mwv.cli import main
main()
"""
    command = [sys.executable, "-c", program, "build", source, "-o", "site", "--cache", "cache", "--jobs", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    # On a slow machine lines of progress come before.
    assert done.stderr.splitlines()[-1] == "mwv: interrupted; a build that is started again goes on where it was"
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "site").exists()
    assert list((tmp_path / "cache" / "running").iterdir()) == []
    again = mwv("build", source, "--cache", "cache", "--report", "r.json", cwd=tmp_path)
    assert again.code == 0
    assert json.loads((tmp_path / "r.json").read_text())["models"][0]["tiles"]["reused"] > 0


def test_a_server_ends_when_interrupted(tmp_path):
    write_tiny(tmp_path / "m.safetensors")
    assert mwv("build", "m.safetensors", "--no-cache", cwd=tmp_path).code == 0
    command = [sys.executable, "-c", "from mwv.cli import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("serving at http://127.0.0.1:")
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in err


@pytest.mark.parametrize("flag", ["--png", "--report"])
def test_what_mwv_did_not_write_is_not_overwritten(call, tmp_path, flag):
    write_tiny(tmp_path / "m.safetensors")
    before = tree(tmp_path)
    for target in ("m.safetensors", "."):
        code, _, err = call("build", "m.safetensors", flag, target)
        assert (code, len(err.splitlines())) == (1, 1)
        assert err.startswith(f"mwv: {target}: ")
        assert tree(tmp_path) == before
    assert call("build", "m.safetensors", flag, "made")[0] == 0
    assert call("build", "m.safetensors", flag, "made")[0] == 0  # what it made itself


def test_a_picture_does_not_replace_a_pipe(call, tmp_path):
    write_tiny(tmp_path / "m.safetensors")
    os.mkfifo(tmp_path / "pipe")
    assert call("build", "m.safetensors", "--png", "pipe")[0] == 1
    assert (tmp_path / "pipe").is_fifo()


COMMAND = "{python} -c 'from mwv.cli import main; main()' {line}"


def shell(line: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command with what a shell redirects."""
    command = COMMAND.format(python=sys.executable, line=line)
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=cwd, env={**os.environ, **environment}, capture_output=True, timeout=60, check=False
    )


@pytest.mark.parametrize("line", ["inspect m.safetensors", "--help", "build m.safetensors --dry-run", "cache --cache c info"])
def test_output_that_cannot_be_written_is_one_line(tmp_path, line):
    write_model(tmp_path / "m.safetensors")
    done = shell(f"{line} >/dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (1, b"mwv: standard output: cannot be used: No space left on device\n")


@pytest.mark.parametrize("closed", ["2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_build_that_nobody_hears_is_done_all_the_same(tmp_path, closed):
    write_tiny(tmp_path / "m.safetensors")
    assert shell(f"build m.safetensors --no-cache -o heard 2>{os.devnull}", tmp_path).returncode == 0
    done = shell(f"build m.safetensors --no-cache -o site {closed}", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert tree(tmp_path / "site") == tree(tmp_path / "heard")
    assert shell(f"build missing --no-cache -o site {closed}", tmp_path).returncode == 1


def test_a_list_from_a_closed_stdin_is_empty(tmp_path):
    done = shell("build --file-list - --no-cache <&-", tmp_path)
    assert done.returncode == 2
    assert b"lists no source" in done.stderr


def test_a_list_without_end_is_refused(tmp_path):
    done = mwv("build", "--file-list", "/dev/zero", "--no-cache", cwd=tmp_path)
    assert done.code == 2
    assert "/dev/zero" in done.err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_names_that_the_terminal_cannot_show_are_escaped(tmp_path, encoding):
    write_model(tmp_path / "模型.safetensors")
    for line in ("inspect", "build --dry-run"):
        done = shell(f"{line} *.safetensors", tmp_path, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b""), line


@pytest.mark.parametrize("line", ["build ../m.safetensors", "cache info"])
def test_a_current_folder_that_is_gone_is_one_line(tmp_path, line):
    gone = tmp_path / "gone"
    gone.mkdir()
    command = COMMAND.format(python=sys.executable, line=line)
    line = f"rmdir ../gone; {command}"
    done = subprocess.run(["/bin/sh", "-c", line], cwd=gone, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, b"mwv: the current folder has been deleted; change to another\n")


@pytest.mark.parametrize("cache", ["site", "site/cache", "site/a/../b"])
def test_a_cache_in_the_site_is_refused(call, tmp_path, cache):
    write_tiny(tmp_path / "m.safetensors")
    code, _, err = call("build", "m.safetensors", "--cache", cache)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "--cache" in err
    assert {path.name for path in tmp_path.iterdir()} == {"m.safetensors"}


@pytest.mark.parametrize("epoch", ["yesterday", "1.5", "253402300800", "9" * 40, "9" * 5000])
def test_an_impossible_date_is_refused_before_any_work(call, tmp_path, monkeypatch, epoch):
    write_tiny(tmp_path / "m.safetensors")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    code, _, err = call("build", "m.safetensors")
    assert (code, len(err.splitlines())) == (2, 1)
    assert err.startswith("mwv: SOURCE_DATE_EPOCH ")
    assert {path.name for path in tmp_path.iterdir()} == {"m.safetensors"}


def test_one_of_a_thing_is_no_plural(call, tmp_path):
    save_file({"w": np.ones(1, np.float32)}, tmp_path / "one.safetensors")
    code, out, _ = call("build", "one.safetensors", "--dry-run", "--jobs", 1)
    assert code == 0 and "1 tensor, 1 element," in out and "with 1 thread," in out
    code, _, err = call("build", "one.safetensors", "--no-cache")
    assert code == 0 and "1 parameter, " in err and "1 model;" in err
    assert "1 parameter, " in call("inspect", "one.safetensors")[1]
