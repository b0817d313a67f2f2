"""Bad input through the real command line: one clear line, exit 1, nothing half-written, nothing executed, little memory."""

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from buildkit import Finished, mwv, script, tree, write_model, write_tiny
from safetensors.numpy import save_file

GGUF = b"GGUF" + struct.pack("<I", 3)


def safetensors(header: object, data: bytes = bytes(64), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(begin: int = 0, end: int = 64, shape: tuple[int, ...] = (16,), dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(tensors: int, values: int, rest: bytes) -> bytes:
    return GGUF + struct.pack("<QQ", tensors, values) + rest


def gguf_tensor(name: str, shape: tuple[int, ...], offset: int = 0, kind: int = 0, count: int | None = None) -> bytes:
    dims = struct.pack(f"<{len(shape)}Q", *shape)
    return text(name) + struct.pack("<I", len(shape) if count is None else count) + dims + struct.pack("<IQ", kind, offset)


class Runs:
    """Pickles to a call of a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def torch_archive(pickled: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("m/data.pkl", pickled)
        archive.writestr("m/data/0", bytes(64))
        archive.writestr("m/version", "3\n")
    return out.getvalue()


def sizes_of_2_40(archive: bytes) -> bytes:
    """The archive with a first entry that is said to hold 2^40 bytes, by the extra field of ZIP64."""
    begin = archive.index(b"PK\1\2")
    name = begin + 46 + int.from_bytes(archive[begin + 28 : begin + 30], "little")
    zip64 = struct.pack("<HHQQ", 1, 16, 1 << 40, 1 << 40)
    entry = archive[begin : begin + 20] + b"\xff" * 8 + archive[begin + 28 : begin + 30] + struct.pack("<H", len(zip64))
    end = archive.index(b"PK\5\6")
    size = int.from_bytes(archive[end + 12 : end + 16], "little") + len(zip64)
    directory = entry + archive[begin + 32 : name] + zip64 + archive[name:end]
    return archive[:begin] + directory + archive[end : end + 12] + struct.pack("<I", size) + archive[end + 16 :]


def tuple_bomb() -> bytes:
    """Doubles a tuple 200 times: 2^200 entries, were they written out."""
    return b"\x80\x02)q\x00" + b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(200)) + b"."


def text_bomb() -> bytes:
    """Says that 2^60 bytes of text follow."""
    return b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"."


DEEP = b"[" * 200_000

# name → (file name, content, what the line must say beside the file)
FILES: dict[str, tuple[str, bytes, str]] = {
    "empty file": ("m.safetensors", b"", ""),
    "cut within the length": ("m.safetensors", b"\x40\0\0", ""),
    "cut within the header": ("m.safetensors", safetensors({"w": entry()})[:30], ""),
    "cut within the data": ("m.safetensors", safetensors({"w": entry()}, bytes(63)), "'w'"),
    "data too long": ("m.safetensors", safetensors({"w": entry()}, bytes(65)), ""),
    "header of 2^63 bytes": ("m.safetensors", safetensors(b"{}", length=1 << 63), ""),
    "header of 2^64 - 1 bytes": ("m.safetensors", safetensors(b"{}", length=(1 << 64) - 1), ""),
    "header that is no JSON": ("m.safetensors", safetensors(b"{" * 40), ""),
    "header of brackets": ("m.safetensors", safetensors(DEEP), ""),
    "header that is a list": ("m.safetensors", safetensors([1]), ""),
    "overlap": ("m.safetensors", safetensors({"a": entry(0, 40, (10,)), "b": entry(24, 64, (10,))}), "'b'"),
    "hole": ("m.safetensors", safetensors({"a": entry(0, 16, (4,)), "b": entry(32, 64, (8,))}), "'b'"),
    "beyond the end": ("m.safetensors", safetensors({"w": entry(0, 1 << 40, (1 << 38,))}), "'w'"),
    "backwards": ("m.safetensors", safetensors({"w": entry(64, 0)}), "'w'"),
    "shape that lies": ("m.safetensors", safetensors({"w": entry(shape=(17,))}), "'w'"),
    "shape that overflows": ("m.safetensors", safetensors({"w": entry(shape=(1 << 62, 1 << 62, 4))}), "'w'"),
    "negative shape": ("m.safetensors", safetensors({"w": entry(shape=(-4, -4))}), "'w'"),
    "shape of fractions": ("m.safetensors", safetensors({"w": {**entry(), "shape": [1.5]}}), "'w'"),
    "a million dimensions": ("m.safetensors", safetensors({"w": entry(shape=(1,) * 1_000_000)}), "'w'"),
    "duplicate name": (
        "m.safetensors",
        safetensors(
            b'{"w":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},"w":{"dtype":"F32","shape":[8],"data_offsets":[32,64]}}'
        ),
        "'w'",
    ),
    "unknown dtype": ("m.safetensors", safetensors({"w": entry(dtype="X77", shape=(3, 5))}), "'w'"),
    "gguf without header": ("m.gguf", GGUF, ""),
    "gguf of version 77": ("m.gguf", b"GGUF" + struct.pack("<IQQ", 77, 0, 0), ""),
    "gguf of 2^63 tensors": ("m.gguf", gguf(1 << 63, 0, b""), ""),
    "gguf of 2^63 values": ("m.gguf", gguf(0, 1 << 63, b""), ""),
    "gguf text of 2^63 bytes": ("m.gguf", gguf(0, 1, struct.pack("<Q", 1 << 63)), ""),
    "gguf array of 2^61": ("m.gguf", gguf(0, 1, text("k") + struct.pack("<IIQ", 9, 4, 1 << 61)), ""),
    "gguf array of arrays": (
        "m.gguf",
        gguf(0, 1, text("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 100_000),
        "",
    ),
    "gguf of 10^9 dimensions": ("m.gguf", gguf(1, 0, gguf_tensor("w", (4,), count=10**9)), ""),
    "gguf shape that overflows": ("m.gguf", gguf(1, 0, gguf_tensor("w", (1 << 63, 1 << 63))), "'w'"),
    "gguf beyond the end": ("m.gguf", gguf(1, 0, gguf_tensor("w", (1 << 20,)) + bytes(200)), "'w'"),
    "gguf overlap": (
        "m.gguf",
        gguf(2, 0, gguf_tensor("a", (16,)) + gguf_tensor("b", (16,), 32)) + bytes(300),
        "'b'",
    ),
    "gguf duplicate name": (
        "m.gguf",
        gguf(2, 0, gguf_tensor("w", (16,)) + gguf_tensor("w", (16,), 64)) + bytes(300),
        "'w'",
    ),
    "no PyTorch": ("pytorch_model.bin", b"just some text\n" * 100, ""),
    "zeros": ("pytorch_model.bin", bytes(4096), ""),
    "cut zip": ("pytorch_model.bin", torch_archive(pickle.dumps({}, 2))[:-30], ""),
    "zip without pickle": ("pytorch_model.bin", b"PK\x05\x06" + bytes(18), ""),
    "pickle that runs a command": ("pytorch_model.bin", torch_archive(pickle.dumps(Runs("touch canary"), 2)), ""),
    "pickle that evaluates": ("pytorch_model.bin", torch_archive(b'c__builtin__\neval\n(S\'open("canary","w")\'\ntR.'), ""),
    "old pickle that runs a command": ("pytorch_model.bin", pickle.dumps(Runs("touch canary"), 2), ""),
    "pickle bomb of tuples": ("pytorch_model.bin", torch_archive(tuple_bomb()), ""),
    "pickle bomb of text": ("pytorch_model.bin", torch_archive(text_bomb()), ""),
    "pickle bomb of lists": ("pytorch_model.bin", torch_archive(b"\x80\x02" + b"]" * 2_000_000 + b"."), ""),
    "pickle without end": ("pytorch_model.bin", torch_archive(b"\x80\x02]q\0"), ""),
    "pickle of lists in lists": ("pytorch_model.bin", torch_archive(b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b"."), "deep"),
    "pickle in a circle": ("pytorch_model.bin", torch_archive(b"\x80\x02}q\0X\1\0\0\0ah\0s."), "no tensors"),
    "zip bomb": ("pytorch_model.bin", torch_archive(b"}" * (30 << 20), zipfile.ZIP_DEFLATED), "compressed"),
    "zip of a pickle of 2^40 bytes": ("pytorch_model.bin", sizes_of_2_40(torch_archive(b"\x80\x02}.")), ""),
}


def refused(done: Finished, *said: str) -> str:
    """Exit 1 and one line."""
    assert done.code == 1, done
    assert done.out == ""
    (line,) = done.err.splitlines()
    assert line.startswith("mwv: ")
    for what in said:
        assert what in line
    return line


def test_every_bad_file_is_one_line_and_leaves_nothing(tmp_path):
    """All in one command, for time; each alone in its folder."""
    for i, (file, content, _) in enumerate(FILES.values()):
        (tmp_path / f"{i}").mkdir()
        (tmp_path / f"{i}" / file).write_bytes(content)
    places = [f"{i}/{file}" for i, (file, _, _) in enumerate(FILES.values())]
    done = mwv("build", *places, "-o", "site", "--cache", "cache", cwd=tmp_path)
    assert done.code == 1
    assert done.out == ""
    summary, head, *lines = done.err.splitlines()
    assert summary.startswith(f"models: {len(FILES)} failed; 0 tiles rendered")
    assert head == f"mwv: {len(FILES)} of {len(FILES)} models failed:"
    for place, line, (name, (_, _, said)) in zip(places, lines, FILES.items(), strict=True):
        assert place in line, name
        assert said in line, name
        assert line.isprintable(), name
    assert {path.name for path in tmp_path.iterdir()} == {f"{i}" for i in range(len(FILES))}
    assert not list(tmp_path.rglob("canary"))


@pytest.mark.parametrize("name", ["header of 2^63 bytes", "gguf of 10^9 dimensions", "pickle that runs a command"])
def test_a_bad_file_alone_is_one_line(tmp_path, name):
    file, content, said = FILES[name]
    (tmp_path / file).write_bytes(content)
    refused(mwv("build", file, cwd=tmp_path), file, said)
    assert {path.name for path in tmp_path.iterdir()} == {file}


def test_bad_files_leave_an_old_site_as_it_was(tmp_path):
    write_tiny(tmp_path / "good" / "model.safetensors")
    assert mwv("build", "good", "--cache", "cache", cwd=tmp_path).code == 0
    before = tree(tmp_path / "site")
    (tmp_path / "bad.safetensors").write_bytes(FILES["hole"][1])
    refused(mwv("build", "bad.safetensors", "--cache", "cache", cwd=tmp_path), "bad.safetensors", "'b'")
    assert tree(tmp_path / "site") == before


def test_good_models_are_built_beside_bad_ones_and_failures_come_last(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(FILES["hole"][1])
    (tmp_path / "worse.gguf").write_bytes(GGUF)
    write_tiny(tmp_path / "good" / "model.safetensors")
    done = mwv("build", "bad.safetensors", "good", "worse.gguf", "--cache", "cache", cwd=tmp_path)
    assert done.code == 1
    lines = done.err.splitlines()
    assert lines[0].startswith("good: ")
    assert lines[1].startswith("models: 1 new, 2 failed; ")
    assert lines[2] == "mwv: 2 of 3 models failed:"
    assert "bad.safetensors" in lines[3]
    assert "worse.gguf" in lines[4]
    assert len(lines) == 5
    only = mwv("build", "good", "-o", "only", "--cache", "cache", cwd=tmp_path)
    assert only.code == 0
    assert tree(tmp_path / "site") == tree(tmp_path / "only")


@pytest.mark.parametrize("layers", [10**9, 2**63, -1, "many", 1e300])
def test_a_config_that_promises_too_much_is_not_believed(tmp_path, layers):
    write_model(tmp_path / "m" / "model.safetensors")
    (tmp_path / "m" / "config.json").write_text(json.dumps({"model_type": "llama", "num_hidden_layers": layers}))
    done = mwv("build", "m", "--cache", "cache", cwd=tmp_path)
    if done.code == 1:
        refused(done, "m")
        assert not (tmp_path / "site").exists()
    else:
        assert done.code == 0
        canvas = json.loads(next(iter(tmp_path.glob("site/site.json"))).read_text())
        assert canvas["models"][0]["tensors"] == 6


@pytest.mark.parametrize("config", [b"[" * 100_000, b"\xff\xfe", b""])
def test_a_config_that_is_no_configuration_is_not_believed(tmp_path, config):
    write_tiny(tmp_path / "m" / "model.safetensors")
    (tmp_path / "m" / "config.json").write_bytes(config)
    done = mwv("build", "m", "--cache", "cache", cwd=tmp_path)
    assert done.code in (0, 1)
    if done.code:
        refused(done, "config.json")


def foreign(path: Path) -> None:
    path.mkdir()
    (path / "diary.txt").write_text("dear diary")


def broken_site(path: Path) -> None:
    path.mkdir()
    (path / "site.json").write_text("{}")


def climbing_site(path: Path) -> None:
    """A manifest that names files outside the site as ours."""
    path.mkdir()
    value = {"format": "mwv-site", "version": 1, "generator": "x", "title": "x", "templates": "", "models": [], "diffs": []}
    value["files"] = {"../victim": {"size": 1, "kind": "text", "hash": ""}}
    (path / "site.json").write_text(json.dumps(value))
    (path.parent / "victim").write_text("v")


@pytest.mark.parametrize("make", [Path.touch, foreign, broken_site, climbing_site])
def test_a_destination_that_is_not_ours_is_refused_and_left_alone(tmp_path, make: Callable[[Path], None]):
    write_tiny(tmp_path / "m.safetensors")
    make(tmp_path / "dest")
    before = tree(tmp_path)
    refused(mwv("build", "m.safetensors", "-o", "dest", "--cache", tmp_path / "cache", cwd=tmp_path), "dest")
    after = tree(tmp_path)
    assert {path: content for path, content in after.items() if not path.startswith("cache/")} == before


def test_destinations_that_cannot_be_written_are_refused(tmp_path):
    write_tiny(tmp_path / "m.safetensors")
    (tmp_path / "file").touch()
    (tmp_path / "a\nb").touch()
    for place in ("file/site", "/proc/site", "n" * 300, "a\nb"):
        refused(mwv("build", "m.safetensors", "-o", place, "--no-cache", cwd=tmp_path))
        assert {path.name for path in tmp_path.iterdir()} == {"m.safetensors", "file", "a\nb"}


NO_SOURCES = ["", "nothing", "empty", "file/m", "/dev/zero", "pipe", "a\nb\x1b[31mred", "n" * 5000, "loop"]


@pytest.mark.parametrize("source", NO_SOURCES)
def test_sources_that_are_none_are_refused(tmp_path, source):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    line = refused(mwv("build", "--cache", "cache", "--", source, cwd=tmp_path))
    assert line.isprintable()
    assert not (tmp_path / "site").exists()
    assert not (tmp_path / "cache").exists()


ODD = [
    "quote\"'`",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "../../../../escape",
    "/etc/absolute",
    "..",
    "con\x00trol\x07\x1b[31m\r\n\t",
    "line\u2028separator\u2029",
    "\u202eright to left",
    "n" * 5000,
    "",
    " ",
    "${jndi}{{7*7}}{% raw %}",
    "\U0001f600 ünï",
]


def test_odd_names_and_empty_tensors_are_listed_escaped_and_shown(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal((9, 17)).astype(np.float32) for name in ODD}
    arrays |= {"zero": np.zeros((0, 5), np.float32), "zero <b>": np.zeros((3, 0), np.float16)}
    (tmp_path / "in").mkdir()
    save_file(arrays, tmp_path / "in" / "m.safetensors")
    before = {path.name for path in tmp_path.iterdir()}
    done = mwv("build", "in/m.safetensors", "-o", "out/site", "--cache", "out/cache", cwd=tmp_path)
    assert done.code == 0, done.err
    assert {path.name for path in tmp_path.iterdir()} == before | {"out"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"site", "cache"}
    (scene,) = (tmp_path / "out").glob("site/m/scene-0-*.js")
    facts = script(scene)
    assert set(facts["tensors"]["name"]) == set(arrays)
    for path in (tmp_path / "out" / "site").rglob("*"):
        if path.suffix in (".html", ".js") and "assets" not in path.parts:
            content = path.read_text("utf-8")
            assert not set(content) & set("\0\x07\x1b\u2028\u2029\u202e")
            if path.suffix == ".html":
                assert not any(tag in content for tag in ("<script>alert", "<img src=x", "zero <b>"))
    table = (tmp_path / "out" / "site" / "m" / "tensors.html").read_text("utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in table
    assert "../../../../escape" in table
    shown = mwv("inspect", "in/m.safetensors", cwd=tmp_path)
    assert shown.code == 0
    assert all(line.isprintable() for line in shown.out.replace("\u202f", " ").splitlines())
    assert len(shown.out.splitlines()) == 4 + len(arrays)
    listed = json.loads(mwv("inspect", "in/m.safetensors", "--json", cwd=tmp_path).out)
    assert {tensor["name"] for tensor in listed["tensors"]} == set(arrays)


def test_file_names_that_are_odd_stay_inside(tmp_path):
    for stem in (b"\xff\xfe", b"<script>", b".", b"tiles", "é\u2028".encode()):
        source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + stem + b".safetensors"))
        write_tiny(source)
        done = mwv("build", source, "--cache", "cache", cwd=tmp_path)
        assert done.code == 0, done.err
        source.unlink()
    slugs = {model["slug"] for model in json.loads((tmp_path / "site" / "site.json").read_text())["models"]}
    assert len(slugs) == 5
    assert all((tmp_path / "site" / slug / "index.html").is_file() for slug in slugs)
    assert {path.name for path in tmp_path.iterdir()} == {"site", "cache"}


def test_a_model_without_elements_is_refused(tmp_path):
    save_file({"zero": np.zeros((0, 5), np.float32)}, tmp_path / "m.safetensors")
    refused(mwv("build", "m.safetensors", "--cache", "cache", cwd=tmp_path), "m.safetensors", "no tensor with elements")


def looped(path: Path) -> None:
    path.symlink_to(path.name)


def piped_site(path: Path) -> None:
    path.mkdir()
    os.mkfifo(path / "site.json")


@pytest.mark.parametrize(("make", "place"), [(looped, "d"), (looped, "d/site"), (piped_site, "d")])
def test_a_destination_that_leads_nowhere_is_refused(tmp_path, make: Callable[[Path], None], place):
    write_tiny(tmp_path / "m.safetensors")
    make(tmp_path / "d")
    refused(mwv("build", "m.safetensors", "-o", place, "--no-cache", cwd=tmp_path), "d")
    assert {path.name for path in tmp_path.iterdir()} == {"m.safetensors", "d"}


@pytest.mark.parametrize("words", [("build", "m.safetensors", "--cache", "c"), ("cache", "--cache", "c", "info")])
def test_a_cache_whose_tag_is_a_pipe_is_refused(tmp_path, words):
    write_tiny(tmp_path / "m.safetensors")
    (tmp_path / "c").mkdir()
    os.mkfifo(tmp_path / "c" / "CACHEDIR.TAG")
    refused(mwv(*words, cwd=tmp_path), "c")


@pytest.mark.parametrize("path", [".mwv-build/journal", "index.html", "site.js", "m/index.html"])
def test_a_site_with_a_pipe_in_the_place_of_a_file_is_built_or_refused(tmp_path, path):
    write_tiny(tmp_path / "m.safetensors")
    assert mwv("build", "m.safetensors", "--cache", "c", cwd=tmp_path).code == 0
    place = tmp_path / "site" / path
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    os.mkfifo(place)
    done = mwv("build", "m.safetensors", "--cache", "c", cwd=tmp_path)
    if done.code:
        refused(done, path)
    else:
        assert (tmp_path / "site" / "m" / "index.html").is_file()


def damaged(site: Path, change: Callable[[Any], object]) -> None:
    """Change the manifest of a site as a person would who means ill."""
    value = json.loads((site / "site.json").read_text())
    change(value)
    (site / "site.json").write_text(json.dumps(value))


MANIFESTS: dict[str, Callable[[Any], object]] = {
    "a picture without height": lambda value: value["models"][0].update(overview_size=[512, 0]),
    "a picture as wide as can be written": lambda value: value["models"][0].update(overview_size=[10**400, 5]),
    "parameters beyond floats": lambda value: value["models"][0].update(parameters=10**400),
    "a title that is a list": lambda value: value.update(title=["a"]),
    "a number where a path is": lambda value: value["models"][0].update(model=5),
    "more than any site": lambda value: value.update(title="a" * (16 << 20)),
    "sizes that are text": lambda value: value["files"]["index.html"].update(size="many"),
    "types that are a list": lambda value: value["models"][0].update(dtypes=["F32"]),
    "a version of several lines": lambda value: value.update(version=2, generator="mwv\n0.0\x1b[31m"),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_that_lies_is_refused(tmp_path, case):
    write_tiny(tmp_path / "m.safetensors")
    assert mwv("build", "m.safetensors", "--no-cache", cwd=tmp_path).code == 0
    damaged(tmp_path / "site", MANIFESTS[case])
    before = tree(tmp_path / "site")
    write_tiny(tmp_path / "other.safetensors", 1)
    line = refused(mwv("build", "other.safetensors", "--no-cache", cwd=tmp_path), "site.json")
    assert line.isprintable()
    assert tree(tmp_path / "site") == before


def test_a_directory_of_100_000_files_is_refused_and_a_file_in_it_is_shown(tmp_path):
    (tmp_path / "m").mkdir()
    save_file({"w": np.ones((2, 3), np.float32)}, tmp_path / "m" / "tiny.safetensors")
    (tmp_path / "m" / "0.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "absent"}}))
    for number in range(1, 100_000):
        (tmp_path / "m" / f"{number}.safetensors.index.json").symlink_to("0.safetensors.index.json")
    refused(mwv("inspect", "m", cwd=tmp_path), "m: more than 20000 files; name the checkpoint itself")
    assert mwv("inspect", "m/tiny.safetensors", cwd=tmp_path).out.startswith("tiny: ")


def test_what_is_left_out_of_a_directory_is_told_in_a_hundred_lines(tmp_path):
    (tmp_path / "m").mkdir()
    save_file({"w": np.ones((2, 3), np.float32)}, tmp_path / "m" / "model.safetensors")
    for number in range(1234):
        (tmp_path / "m" / f"{number}.npz").touch()
    found = json.loads(mwv("inspect", "m", "--json", cwd=tmp_path).out)
    assert len(found["left_out"]) == 101
    assert found["left_out"][-1] == "1134 more files that are not of this model"


def test_links_that_leave_a_directory_or_go_round_in_it_are_followed_once(tmp_path):
    model = tmp_path / "m"
    model.mkdir()
    save_file({"w": np.ones((2, 3), np.float32)}, tmp_path / "blob")
    (model / "model.safetensors").symlink_to("../blob")  # as in the cache of the Hub
    for name, target in {"up": "..", "here": ".", "a": "b", "b": "a", "x.bin": "/etc/passwd", "y.bin": "/dev/zero"}.items():
        (model / name).symlink_to(target)
    found = json.loads(mwv("inspect", "m", "--json", cwd=tmp_path).out)
    assert [tensor["name"] for tensor in found["tensors"]] == ["w"]
    assert found["left_out"] == [
        "a: a link to nothing",
        "b: a link to nothing",
        "x.bin: of a format that mwv does not read",
        "y.bin: not a regular file",
    ]


def test_file_names_that_move_the_cursor_are_told_in_one_line_each(tmp_path):
    (tmp_path / "m").mkdir()
    save_file({"w": np.ones((2, 3), np.float32)}, tmp_path / "m" / "model.safetensors")
    names = [b"a\nb.npz", b"\x1b[2J.npz", b"\r\x08.npz", b"\xff\xfe.npz", "\u2028\u202e.npz".encode()]
    for name in names:
        (tmp_path / "m" / os.fsdecode(name)).touch()
    done = mwv("inspect", "m", cwd=tmp_path)
    assert done.code == 0
    lines = [line for line in done.out.splitlines() if line.startswith("left out: ")]
    assert len(lines) == len(names)
    assert all(line.isprintable() for line in lines)


def test_an_index_that_leads_out_of_its_directory_opens_nothing_there(tmp_path):
    write_tiny(tmp_path / "m" / "model-00001-of-00002.safetensors")
    index = tmp_path / "m" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "../../etc/passwd"}}))
    refused(mwv("build", index, "--no-cache", cwd=tmp_path), "'../../etc/passwd'", "no file beside it")


def test_one_long_name_does_not_fill_a_long_table_with_spaces(tmp_path):
    names = ["n" * 60_000, *map(str, range(20_000))]
    (tmp_path / "m.safetensors").write_bytes(safetensors({name: entry(0, 0, (0,)) for name in names}, b""))
    done = mwv("inspect", "m.safetensors", cwd=tmp_path)
    assert done.code == 0
    assert len(done.out.splitlines()) == 4 + len(names)
    assert len(done.out) < 10_000_000
