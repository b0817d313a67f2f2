"""Files as torch.save wrote them before version 1.6, against torch itself, and such files by hand that lie."""

import io
import pickle
import tarfile
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_source import MemorySource
from torch_files import Call, Stored, contents, read, saved, stored, torch_pickle, view

from mwv.checkpoint.pytorch import is_pytorch, read_pytorch
from mwv.errors import FormatError, MwvError, UnsupportedError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
FACTS = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def legacy(value: Any, **options: Any) -> bytes:
    return saved(value, _use_new_zipfile_serialization=False, **options)


def by_hand(
    value: Any, storages: list[tuple[Any, bytes, Any]], *, keys: Any = None, version: Any = PROTOCOL, facts: Any = FACTS
) -> bytes:
    """A file with these storages: key, number of elements as it stands in the file, data."""
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, version, facts))
    listed = pickle.dumps([key for key, _, _ in storages] if keys is None else keys, 2)
    return head + torch_pickle(value) + listed + b"".join(count + data for _, count, data in storages)


def count(numel: int) -> bytes:
    return numel.to_bytes(8, "little")


def one(numel: int = 4, **options: Any) -> bytes:
    return by_hand({"layer.w": view(**options)}, [("0", count(numel), bytes(range(16)))])


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_a_model_in_every_protocol_of_pickle(protocol: int) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Linear(8, 5))
    expected = {name: contents(value) for name, value in module.state_dict().items()}
    wrapped = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in module.state_dict().items()}}
    for value in (module.state_dict(), wrapped, module):
        data = legacy(value, pickle_protocol=protocol)
        assert is_pytorch(MemorySource(data))
        header = read(data)
        assert {t.name: stored(data, t) for t in header.tensors} == expected
        assert header.notes == ()
        assert [t.offset for t in header.tensors] == sorted(t.offset for t in header.tensors)


def test_views_of_one_storage() -> None:
    base = torch.arange(60, dtype=torch.float32).reshape(4, 15)
    values = {
        "all": base,
        "t": base.t(),
        "cut": base[1:3, 2:11:3],
        "wide": base[:, :1].expand(4, 7),
        "s": base[2, 3],
        "e": base[:0],
    }
    data = legacy(values)
    header = read(data)
    assert {t.name: tuple(t.shape) for t in header.tensors} == {name: tuple(value.shape) for name, value in values.items()}
    assert {t.name: stored(data, t) for t in header.tensors} == {name: contents(value) for name, value in values.items()}


def test_a_training_checkpoint_keeps_its_weights_alone() -> None:
    module = torch.nn.Linear(4, 3)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    for key, state in (("optimizer", optimizer.state_dict()), ("opt", optimizer)):
        header = read(legacy({"model": module.state_dict(), key: state, "epoch": 7}))
        assert sorted(t.name for t in header.tensors) == ["bias", "weight"]
        ((line),) = header.notes
        assert line.startswith(f"'{key}': left out, state of training")


DATA = bytes(16)


# ---- files by hand; torch itself is asked what they hold


def loaded(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=False)


def test_the_file_by_hand_is_sound() -> None:
    (info,) = read(one()).tensors
    assert stored(one(), info) == bytes(range(16)) == contents(loaded(one())["layer.w"])


def test_data_of_a_big_endian_machine_is_little_endian_all_the_same() -> None:
    data = legacy({"w": torch.arange(4, dtype=torch.float32)})
    flag = data.index(b"little_endian") + data[data.index(b"little_endian") :].index(b"\x88")
    big = data[:flag] + b"\x89" + data[flag + 1 :]
    assert pickle.loads(big[big.index(b"\x80\x02}") :])["little_endian"] is False
    (info,) = read(big).tensors
    assert (info.byteorder, stored(big, info)) == ("little", contents(loaded(big)["w"]))
    early = by_hand({"w": view()}, [("0", (4).to_bytes(8, "big"), bytes(range(16)))])
    assert stored(early, read(early).tensors[0]) == bytes(range(16))


def test_storages_that_are_parts_of_others() -> None:
    part = Stored("FloatStorage", "0", 4, ("1", 1, 3))
    value = {"a": view(), "b": Call("torch._utils", "_rebuild_tensor_v2", part, 1, (2,), (1,), False, {})}
    data = by_hand(value, [("0", count(4), bytes(range(16)))])
    assert {t.name: stored(data, t) for t in read(data).tensors} == {n: contents(v) for n, v in loaded(data).items()}


def test_a_state_dict_of_python_2() -> None:
    data = by_hand(Call("collections", "OrderedDict", [["a.w", view()], ["a.b", view(shape=(2,))]]), [("0", count(4), DATA)])
    assert {t.name: stored(data, t) for t in read(data).tensors} == {n: contents(v) for n, v in loaded(data).items()}


def test_a_tar_archive_of_the_first_versions_is_one_clear_line() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("storages", "tensors", "pickle"):
            tar.addfile(tarfile.TarInfo(name))
    assert is_pytorch(MemorySource(buffer.getvalue()))
    with pytest.raises(UnsupportedError, match=r"^x\.bin: a tar archive, as torch's first versions wrote; load it with torch"):
        read(buffer.getvalue())
    assert not is_pytorch(MemorySource(buffer.getvalue().replace(b"storages", b"somename")))


BAD: dict[str, tuple[bytes, str]] = {
    "cut in the data": (one()[:-1], r"'0' needs bytes \d+ to \d+, the file has \d+; fetch it again"),
    "cut in the count": (one()[:-20], "needs bytes"),
    "cut in the keys": (one()[:-30], "the pickle is damaged"),
    "cut in the object": (one()[:150], "the pickle is damaged"),
    "cut in the head": (one()[:16], "the pickle is damaged"),
    "number of elements differs": (one(numel=3), "'0' should have 4 elements and says otherwise"),
    "numbers of elements agree and lie": (one(numel=2**62, shape=(4,)), "says otherwise"),
    "storage of 2^62": (by_hand({"w": view(numel=2**62)}, [("0", count(2**62), DATA)]), "needs bytes"),
    "view too long": (one(shape=(5,)), "tensor 'layer.w': needs elements 0 to 5 of its storage, which has 4"),
    "offset of 2^62": (one(offset=2**62), "tensor 'layer.w': needs elements"),
    "expanded without end": (one(shape=(2**20, 2**20), strides=(0, 0)), "elements repeat 1 stored ones"),
    "key that no tensor names": (by_hand({"w": view()}, [("7", count(4), DATA)]), "no list of storages"),
    "key twice": (by_hand({"w": view()}, [("0", count(4), DATA)] * 2), "'0' is listed twice"),
    "key is a list": (by_hand({"w": view()}, [], keys=[["0"]]), "no list of storages"),
    "keys are a text": (by_hand({"w": view()}, [], keys="0"), "no list of storages"),
    "keys are missing": (by_hand({"w": view()}, [], keys=[]), "the storage '0' is not in the file"),
    "keys that repeat": (by_hand({"w": view()}, [("0", count(4), DATA)], keys=["0"] * 100_000), "'0' is listed twice|needs"),
    "unknown class of storage": (
        by_hand({"w": view(), "x": view(key="1", kind="SevenBitStorage")}, [("1", count(4), DATA), ("0", count(4), DATA)]),
        r"'1' has elements of an unknown type \(sevenbit\)",
    ),
    "part of a storage at -1": (
        by_hand(
            {"w": Call("torch._utils", "_rebuild_tensor_v2", Stored("FloatStorage", "0", 4, ("1", -1, 3)), 0, (1,), (1,))}, []
        ),
        "the pickle is damaged",
    ),
    "part beyond its storage": (
        by_hand(
            {"w": Call("torch._utils", "_rebuild_tensor_v2", Stored("FloatStorage", "0", 4, ("1", 3, 2)), 0, (2,), (1,))},
            [("0", count(4), DATA)],
        ),
        "needs elements 3 to 5 of its storage, which has 4",
    ),
    "another version": (by_hand({}, [], version=1002), "of an unknown version"),
    "version is a list": (by_hand({}, [], version=[]), "of an unknown version"),
    "facts without end": (by_hand({}, [], facts=list(range(1000))), "the pickle takes more than 100 steps"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line_that_names_the_file(case: str) -> None:
    data, expected = BAD[case]
    with pytest.raises(MwvError, match=expected) as error:
        read(data)
    assert str(error.value).startswith("x.bin: ")
    assert "\n" not in str(error.value)


def test_pickles_longer_than_are_read() -> None:
    head = by_hand({}, [])[: by_hand({}, []).rindex(b"\x80\x02}")]
    endless = MemorySource(head + b"\x80\x02(" + b"N0" * 1000 + b"\x8e" + count(2**40), 2**40, name="x.bin")
    with pytest.raises(UnsupportedError, match="its pickles have more than 33554432 bytes"):
        read_pytorch(endless)
    assert endless.read_bytes < 2**26
    # What ends before is damaged, however long the file.
    with pytest.raises(FormatError, match="damaged"):
        read_pytorch(MemorySource(head + b"\x80\x02R", 2**40, name="x.bin"))


def test_only_pickles_and_numbers_of_elements_are_read_of_a_large_file() -> None:
    data = by_hand({"w": view(numel=2**36, shape=(2**36,))}, [("0", count(2**36), b"")])
    source = MemorySource(data, len(data) + 2**38, name="x.bin")
    (info,) = read_pytorch(source).tensors
    assert (info.offset, info.nbytes) == (len(data), 2**38)
    assert source.read_bytes < 2**26


VALID = legacy({"a": torch.ones(2, 3).t(), "b": {"c": torch.zeros(4, dtype=torch.int16)}})


@settings(deadline=None, max_examples=400)
@given(st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), max_size=4), st.integers(0, 2 * len(VALID)))
def test_damaged_files_raise_nothing_else_and_ranges_stay_inside(changes: list[tuple[int, int]], size: int) -> None:
    data = bytearray(VALID)
    for position, value in changes:
        data[position] = value
    raw = bytes(data[:size])
    try:
        tensors = read(raw).tensors
    except MwvError as error:
        assert "\n" not in str(error)
    else:
        assert all(t.offset > 0 and t.offset + t.nbytes <= len(raw) for t in tensors)
