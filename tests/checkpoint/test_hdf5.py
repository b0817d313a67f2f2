"""HDF5 files against h5py: what it wrote must be found byte for byte, and what is no range of bytes be told."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_source import MemorySource

import mwv.checkpoint.hdf5
from mwv.checkpoint.hdf5 import is_hdf5, read_hdf5
from mwv.checkpoint.info import Header, TensorInfo
from mwv.checkpoint.open import open_checkpoint
from mwv.checkpoint.source import FileSource
from mwv.decode.plain import numbers, unpack
from mwv.errors import FormatError, MwvError, UnsupportedError


def read(path: Path) -> Header:
    return read_hdf5(FileSource(path))


def values(path: Path, info: TensorInfo) -> Any:
    raw = path.read_bytes()[info.offset : info.offset + info.nbytes]
    packed = np.frombuffer(raw, np.uint8).reshape(1, -1, info.dtype.block_bytes)
    return numbers(info.dtype, unpack(info.dtype, info.byteorder, packed)).reshape(info.shape)


def write(path: Path, datasets: dict[str, Any], **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in datasets.items():
            file.create_dataset(name, data=value, **options)
    return path


KINDS = [
    *(
        f"{order}{kind}"
        for order in "<>"
        for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c8", "c16")
    ),
    "?",
]


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_every_type_and_shape(tmp_path: Path, version: str) -> None:
    expected = {f"t{i}": (np.arange(30) - 9).reshape(2, 3, 5).astype(kind) for i, kind in enumerate(KINDS)}
    expected |= {
        "scalar": np.float32(2.5),
        "none": np.zeros((3, 0), np.float32),
        "opaque": np.arange(4, dtype="<u2").view("V2"),
    }
    with h5py.File(tmp_path / "x.h5", "w", libver=version) as file:
        for name, value in expected.items():
            file[name] = value
    header = read(tmp_path / "x.h5")
    assert header.notes == ()
    assert {t.name for t in header.tensors} == expected.keys()
    for info in header.tensors:
        value = expected[info.name]
        assert (info.shape, info.strides) == (np.shape(value), None)
        assert info.byteorder == ("big" if value.dtype.str.startswith(">") else "little")
        if info.elements:
            np.testing.assert_array_equal(
                values(tmp_path / "x.h5", info), value.view("<u2") if value.dtype.kind == "V" else value
            )


def test_links_are_told(tmp_path: Path) -> None:
    value = np.arange(6, dtype=np.float32)
    write(tmp_path / "y.h5", {"z": value})
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/w"] = value
        file["b/hard"] = file["a/w"]
        file["again"] = file["a"]
        file["soft"] = h5py.SoftLink("/a/w")
        file["circle/up"] = h5py.SoftLink("/")
        file["circle/hard"] = file["/"]
        file["dangling"] = h5py.SoftLink("/nowhere")
        file["outside"] = h5py.ExternalLink("y.h5", "/z")
    header = read(tmp_path / "x.h5")
    assert [t.name for t in header.tensors] == ["a.w"]
    why = {
        "again": "another name of what is shown under its first",
        "b.hard": "another name of what is shown under its first",
        "circle.hard": "another name of what is shown under its first",
        "circle.up": "a link to another place in the file",
        "dangling": "a link to another place in the file",
        "outside": "a link into another file",
        "soft": "a link to another place in the file",
    }
    assert sorted(header.notes) == [f"'{name}': left out, {text}" for name, text in why.items()]


def test_models_of_keras(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    kernel, bias = rng.standard_normal((4, 3)).astype(np.float32), np.ones(3, np.float32)
    two = {"model_weights/dense/dense/kernel:0": kernel, "model_weights/dense/dense/bias:0": bias}
    two |= {"optimizer_weights/Adam/iterations:0": np.int64(3), "optimizer_weights/Adam/dense/kernel/m:0": kernel}
    path = write(tmp_path / "tf_model.h5", two)
    checkpoint = open_checkpoint(tmp_path)
    assert (checkpoint.format, [t.name for t in checkpoint.tensors]) == ("hdf5", ["dense.dense.kernel:0", "dense.dense.bias:0"])
    assert checkpoint.left_out == ("'optimizer_weights': left out, state of training (tensors: 2)",)
    np.testing.assert_array_equal(values(path, checkpoint.tensors[0]), kernel)
    three = {"layers/dense/vars/0": kernel, "layers/dense/vars/1": bias, "optimizer/vars/0": bias}
    header = read(write(tmp_path / "model.weights.h5", three))
    assert [t.name for t in header.tensors] == ["layers.dense.vars.0", "layers.dense.vars.1"]


def test_what_is_no_range_of_bytes_is_told(tmp_path: Path) -> None:
    secret = write(tmp_path / "other.h5", {"secret": np.ones(3)})
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["w"] = np.ones(2, np.float32)
        file.create_dataset("chunks", data=np.ones((40, 3)), chunks=(10, 3))
        file.create_dataset("zipped", data=np.ones((40, 3)), compression="gzip")
        file.create_dataset("unwritten", shape=(5, 2), dtype="f4")
        file.create_dataset("outside", shape=(3,), dtype="f8", external=[(str(secret), 0, 24)])
        file.create_dataset("text", data=["ab"])
        file.create_dataset("records", data=np.zeros(2, [("a", "f4")]))
        file.create_dataset("nothing", data=h5py.Empty("f4"))
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "secret", (3,))
        file.create_virtual_dataset("virtual", layout)
        odd = h5py.h5t.IEEE_F32LE.copy()
        odd.set_ebias(100)
        h5py.h5d.create(file.id, b"odd", odd, h5py.h5s.create_simple((2,)))
    header = read(tmp_path / "x.h5")
    assert [t.name for t in header.tensors] == ["w"]
    chunked = "stored in chunks or compressed; copy it into a file without them (h5repack -l CONTI)"
    assert dict(line.split(": left out, ") for line in header.notes) == {
        "'chunks'": chunked,
        "'zipped'": chunked,
        "'virtual'": chunked,
        "'unwritten'": "nothing was written to it",
        "'outside'": "its values lie in other files",
        "'text'": "of text, or another type that is no number of NumPy's",
        "'records'": "of records",
        "'nothing'": "it has no values",
        "'odd'": "of text, or another type that is no number of NumPy's",
    }


def test_without_its_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.h5", {"w": np.ones(2)})
    monkeypatch.setattr(mwv.checkpoint.hdf5, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match=r"x\.h5: an HDF5 file, .* pip install 'mwv\[h5\]'$"):
        open_checkpoint(path)


def test_a_module_in_the_current_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.h5", {"w": np.ones(2)})
    for name in ("h5py.py", "json.py", "mwv.py"):
        (tmp_path / name).write_text("open('trace', 'w').close()")
    monkeypatch.chdir(tmp_path)
    assert [t.name for t in read(path).tensors] == ["w"]
    assert not (tmp_path / "trace").exists()


# ---- damaged files


def test_what_is_no_hdf5_file_or_cut_short(tmp_path: Path) -> None:
    path = write(tmp_path / "x.h5", {"w": np.ones(1000)})
    whole = path.read_bytes()
    assert is_hdf5(FileSource(path))
    for data in (b"", b"text", whole[:8], whole[:100], whole[:2000], whole[:-1]):
        path.write_bytes(data)
        with pytest.raises(FormatError, match=r"x\.h5: .*fetch it again|x\.h5: .*fetch the file again") as error:
            read(path)
        assert "\n" not in str(error.value)
    with pytest.raises(UnsupportedError, match=r"local files alone; download it .*from a bucket: hf buckets cp"):
        read_hdf5(MemorySource(whole))


SAID: dict[str, tuple[Any, str]] = {
    "beyond the file": ({"offset": 2**40}, "ends at byte 1099511627784, the file has"),
    "before the file": ({"offset": -9}, "ends at byte -1, the file has"),
    "more bytes": ({"bytes": 16}, "needs 8 bytes, it is stored in 16"),
    "shape of 2^62": ({"shape": [2**62, 2**62]}, "its shape has more elements"),
    "negative shape": ({"shape": [-2]}, "a dimension of -2 elements"),
    "shape of texts": ({"shape": ["x"]}, "libhdf5 fails"),
    "a type that is none": ({"type": "<f9"}, "libhdf5 fails"),
    "no name": ({"name": None, "shape": None}, "libhdf5 fails"),
}


@pytest.mark.parametrize("case", SAID)
def test_what_the_library_says_is_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    path = write(tmp_path / "x.h5", {"w": np.ones(1000)})
    said, expected = SAID[case]
    entry = {"name": "w", "type": "<f4", "shape": [2], "offset": 100, "bytes": 8, **said}

    def run(*_: Any, **__: Any) -> Any:
        return subprocess.CompletedProcess([], 0, json.dumps({"datasets": [entry]}).encode())

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(FormatError, match=expected):
        read(path)


@pytest.mark.parametrize("fault", ["os.abort()", "x = [0] * 10**9", "print('no JSON')", "while True: pass"])
def test_a_library_that_crashes_or_does_not_end_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    path = write(tmp_path / "x.h5", {"w": np.ones(3)})
    real = subprocess.run
    code = f"import os, mwv.checkpoint.hdf5_list as m\ndef broken(path):\n    {fault}\nm._datasets = broken\nm.main('')"

    def run(command: list[str], **options: Any) -> Any:
        return real([sys.executable, "-c", code], **options)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(FormatError, match=r"x\.h5: ") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_two_datasets_at_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.h5", {"w": np.ones(1000)})
    entries = [{"name": name, "type": "<f4", "shape": [2], "offset": 100, "bytes": 8} for name in "ab"]
    answer = subprocess.CompletedProcess([], 0, json.dumps({"datasets": entries}).encode())
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(FormatError, match="'a' and 'b' overlap"):
        read(path)


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(st.integers(8, 2400), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_files_raise_nothing_else_and_ranges_stay_inside(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    path = write(tmp_path_factory.mktemp("h5") / "x.h5", {"a/b": np.ones((2, 3)), "c": np.zeros(4, np.int16)})
    data = bytearray(path.read_bytes())
    for position, value in changes:
        data[position % len(data)] = value
    path.write_bytes(data)
    try:
        tensors = read(path).tensors
    except MwvError as error:
        assert "\n" not in str(error)
    else:
        assert all(t.offset + t.nbytes <= len(data) for t in tensors)
