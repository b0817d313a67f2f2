"""Arrays against NumPy itself: what numpy.save and numpy.savez wrote must be found byte for byte."""

import io
import os
import tracemalloc
import zipfile
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from memory_source import MemorySource

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.numpy_files import is_numpy, read_numpy
from mwv.decode.plain import numbers, unpack
from mwv.errors import FormatError, MwvError, UnsupportedError

Array = np.ndarray[Any, Any]


def npy(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def npz(**values: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **values)
    return buffer.getvalue()


def read(data: bytes, name: str = "x.npy") -> Any:
    return read_numpy(MemorySource(data, name=name))


def values(data: bytes, info: TensorInfo) -> Array:
    """The tensor's elements as our own decoder gives them."""
    size = info.dtype.block_bytes
    raw = np.frombuffer(data[info.offset : info.offset + info.nbytes], np.uint8)
    if info.strides is not None:
        steps = (*(s * size for s in info.strides), 1)
        raw = np.lib.stride_tricks.as_strided(raw, (*info.shape, size), steps)
    packed = np.ascontiguousarray(raw).reshape(1, -1, size)
    return numbers(info.dtype, unpack(info.dtype, info.byteorder, packed)).reshape(info.shape)


KINDS = {
    **{f"{order}f{size}": f"F{8 * size}" for order in "<>" for size in (2, 4, 8)},
    **{f"{order}{kind}{size}": f"{kind.upper()}{8 * size}" for order in "<>" for kind in "iu" for size in (1, 2, 4, 8)},
    **{f"{order}c{size}": f"C{8 * size}" for order in "<>" for size in (8, 16)},
    "?": "BOOL",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_columns", [False, True])
def test_every_type_in_both_orders(kind: str, by_columns: bool) -> None:
    array = (np.arange(60) - 20).reshape(3, 4, 5).astype(kind)
    if by_columns:
        array = np.asfortranarray(array)
    for data, name in ((npy(array), "x"), (npz(w=array), "w")):
        assert is_numpy(MemorySource(data))
        (info,) = read(data).tensors
        assert (info.name, info.dtype.name, info.shape) == (name, KINDS[kind], (3, 4, 5))
        assert (info.strides is not None) == by_columns
        np.testing.assert_array_equal(values(data, info), array)


@settings(deadline=None, max_examples=100)
@given(arrays.arrays(np.float32, arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)), st.data())
def test_any_shape(array: Array, data: st.DataObject) -> None:
    array = array.transpose(data.draw(st.permutations(range(array.ndim))))
    stored = npy(array)
    (info,) = read(stored).tensors
    assert info.shape == array.shape
    if array.size:
        np.testing.assert_array_equal(values(stored, info), array)
    assert info.offset + info.nbytes == len(stored)


def test_an_archive_of_arrays() -> None:
    rng = np.random.default_rng(1)
    expected = {
        "layers.0.w": rng.standard_normal((4, 6)),
        "layers/1/w": np.asfortranarray(rng.standard_normal((5, 2))),
        "s": 2.5,
    }
    data = npz(**expected)
    header = read(data)
    assert header.notes == ()
    assert [t.offset for t in header.tensors] == sorted(t.offset for t in header.tensors)
    assert {t.name for t in header.tensors} == expected.keys()
    for info in header.tensors:
        np.testing.assert_array_equal(values(data, info), expected[info.name])


@pytest.mark.parametrize(("kind", "name"), [(ml_dtypes.bfloat16, "V2"), (ml_dtypes.float8_e4m3fn, "V1"), ("V4", "V4")])
def test_types_that_numpy_has_no_name_for_are_raw(kind: Any, name: str) -> None:
    array = np.arange(6, dtype=np.uint64).astype(f"u{np.dtype(kind).itemsize}").view(kind)
    data = npy(array)
    (info,) = read(data).tensors
    assert (info.dtype.name, info.dtype.is_raw) == (name, True)
    np.testing.assert_array_equal(values(data, info), np.arange(6))


def test_what_is_no_array_of_numbers_is_told() -> None:
    records = np.zeros(2, [("a", "<f4"), ("b", "<i4")])
    odd = {"t": np.array(["ab"]), "b": np.array([b"ab"]), "r": records, "d": np.array(["2020-01-01"], "M8[D]")}
    data = npz(w=np.ones(2), o=np.array([{}], object), l=np.ones(2, np.longdouble), **odd)
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("meta.json", "{}")
    header = read(buffer.getvalue())
    assert [t.name for t in header.tensors] == ["w"]
    assert header.notes == (
        "'o': left out, an array of pickled Python objects",
        "'l': left out, an array of elements of type float128",
        "'t': left out, an array of text",
        "'b': left out, an array of text",
        "'r': left out, an array of records",
        "'d': left out, an array of dates",
        "'meta.json': left out, no array",
    )
    for array, what in ((odd["t"], "text"), (np.array([{}], object), "pickled Python objects"), (records, "records")):
        with pytest.raises(UnsupportedError, match=rf"^x\.npy: an array of {what}, which cannot be shown"):
            read(npy(array))
    many = read(npz(w=np.ones(1), **{f"t{i}": odd["t"] for i in range(12)})).notes
    assert many[10:] == ("2 more entries are left out",)


def test_no_pickle_is_run(tmp_path: Any) -> None:
    class Weapon:
        def __reduce__(self) -> Any:
            return os.system, (f"touch '{tmp_path}/trace'",)

    data = npz(w=np.ones(2), weapon=np.array([Weapon()], object))
    assert [t.name for t in read(data).tensors] == ["w"]
    assert not (tmp_path / "trace").exists()
    np.load(io.BytesIO(data), allow_pickle=True)["weapon"]
    assert (tmp_path / "trace").exists()


def test_arrays_one_after_the_other_in_a_file() -> None:
    data = npy(np.ones(4, np.float32)) + npy(np.ones(2))
    header = read(data)
    assert [t.shape for t in header.tensors] == [(4,)]
    assert header.notes == (f"'x.npy': {len(npy(np.ones(2)))} bytes after the array are left out",)


def test_compressed_archives_say_what_to_do() -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, w=np.zeros(10**6))
    with pytest.raises(
        UnsupportedError, match=r"^x\.npz: 'w\.npy' is compressed; load it with numpy and save it again by numpy"
    ):
        read(buffer.getvalue(), "x.npz")


# ---- headers by hand


def raw(header: str, data: bytes = b"", version: bytes = b"\1\0", length: int | None = None) -> bytes:
    text = header.encode("latin-1") + b"\n"
    size = len(text) if length is None else length
    return b"\x93NUMPY" + version + size.to_bytes(2 if version[0] == 1 else 4, "little") + text + data


def described(shape: str = "(2,)", descr: str = "'<f4'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def test_the_header_by_hand_is_sound() -> None:
    data = np.arange(2, dtype=np.float32).tobytes()
    for file in (raw(described(), data), raw(described(), data, b"\2\0"), raw(described("(2L,)"), data)):
        (info,) = read(file).tensors
        np.testing.assert_array_equal(values(file, info), [0, 1])


CANNOT = "the header of 'x.npy' cannot be read"
DATA = bytes(8)
BAD: dict[str, tuple[bytes, str]] = {
    "too short": (raw(described("(3,)"), DATA), "tensor 'x': needs 12 bytes, there are 8; fetch"),
    "2^62 elements": (raw(described(f"({2**62},)"), DATA), "tensor 'x': needs"),
    "too many elements": (raw(described(f"({2**40}, {2**40})"), DATA), "tensor 'x': its shape has more elements"),
    "negative": (raw(described("(-2,)"), DATA), "a dimension of -2 elements is impossible"),
    "65 dimensions": (raw(described("(" + "1," * 65 + ")"), DATA), "65 dimensions"),
    "shape is a list": (raw(described("[2]"), DATA), CANNOT),
    "shape of truth values": (raw(described("(True,)"), DATA), CANNOT),
    "shape of texts": (raw(described("('2',)"), DATA), CANNOT),
    "shape is a call": (raw(described("exit()"), DATA), CANNOT),
    "order is a number": (raw(described(order="0"), DATA), CANNOT),
    "no such type": (raw(described(descr="'<z9'"), DATA), CANNOT),
    "type of a type": (raw(described(descr="('<f4', (100,))"), DATA), "an array of records"),
    "key twice": (raw("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False}", DATA), CANNOT),
    "a key more": (raw(described()[:-1] + "'a': 1}", DATA), CANNOT),
    "no dictionary": (raw("[1]", DATA), CANNOT),
    "no literal": (raw("{'descr':", DATA), CANNOT),
    "indentation": (raw("  a\n b", DATA), CANNOT),
    "zero bytes": (raw("\0\0", DATA), CANNOT),
    "nested": (raw("(" * 1900), CANNOT),
    "many minus signs": (raw(described("(" + "-" * 1900 + "1,)")), CANNOT),
    "many sums": (raw(described("(" + "1+" * 900 + "1,)")), CANNOT),
    "longer than the file": (raw(described(), length=60_000), CANNOT),
    "of 4 GB": (raw(described(), version=b"\2\0", length=2**32 - 1), CANNOT),
    "longer than read": (raw(described().ljust(5000), DATA), CANNOT),
    "version 3": (raw(described(), DATA, b"\3\0"), CANNOT + r" \(version 3\.0\)"),
    "version 9": (raw(described(), DATA, b"\x09\0"), CANNOT),
    "magic alone": (b"\x93NUMPY", CANNOT),
    "no magic": (b"hello", "neither an array nor a zip archive of arrays"),
    "empty": (b"", "neither an array"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line_that_names_the_file(case: str) -> None:
    data, expected = BAD[case]
    tracemalloc.start()
    with pytest.raises(MwvError, match=expected) as error:
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 2**20
    assert str(error.value).startswith("x.npy: ")
    assert "\n" not in str(error.value)


def zipped(*entries: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_bad_entry_is_named() -> None:
    with pytest.raises(FormatError, match=r"^x\.npz: the header of 'b\.npy' cannot be read"):
        read(zipped(("a.npy", npy(np.ones(2))), ("b.npy", b"text")), "x.npz")
    with pytest.raises(FormatError, match=r"^x\.npz: tensor 'b': needs 16 bytes, there are 15"):
        read(zipped(("a.npy", npy(np.ones(2))), ("b.npy", npy(np.ones(2))[:-1])), "x.npz")


def test_entries_that_overlap() -> None:
    data = bytearray(zipped(("a.npy", npy(np.ones(2))), ("b.npy", npy(np.ones(2)))))
    first, second = (i for i in range(len(data)) if data[i : i + 4] == b"PK\1\2")
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    with pytest.raises(FormatError, match=r"'a\.npy' and 'b\.npy' overlap"):
        read(bytes(data))


def test_headers_that_are_long_together_are_bounded() -> None:
    long = raw(described("(" + "1," * 60 + ")").replace(" ", ""), bytes(4))
    with pytest.raises(FormatError, match="the headers of its arrays are longer than 600000 bytes"):
        read(zipped(*((f"{i}.npy", long) for i in range(4_000))))


VALID = npz(a=np.asfortranarray(np.ones((2, 3))), b=np.zeros(4, np.int16))
LONE = npy(np.asfortranarray(np.ones((2, 3))))


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([VALID, LONE]),
    st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), max_size=4),
    st.integers(0, 2 * len(VALID)),
)
def test_damaged_files_raise_nothing_else_and_ranges_stay_inside(
    valid: bytes, changes: list[tuple[int, int]], size: int
) -> None:
    data = bytearray(valid)
    for position, value in changes:
        data[position % len(data)] = value
    cut = bytes(data[:size])
    try:
        tensors = read(cut).tensors
    except MwvError as error:
        assert "\n" not in str(error)
    else:
        assert all(t.offset > 0 and t.offset + t.nbytes <= len(cut) for t in tensors)
