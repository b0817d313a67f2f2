"""safetensors headers; the oracle is the safetensors library: what it accepts we accept, with the same bytes."""

import json
import tracemalloc
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_source import MemorySource

from mwv.checkpoint.dtypes import PLAIN
from mwv.checkpoint.safetensors import is_safetensors, read_safetensors
from mwv.errors import FormatError, MwvError, UnsupportedError


def file_of(header: Any, data: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + data


def tensor(dtype: str = "U8", shape: tuple[int, ...] = (4,), begin: int = 0, end: int = 4) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def read(header: Any, data: bytes = b"") -> Any:
    return read_safetensors(MemorySource(file_of(header, data), name="x.safetensors"))


def ours(data: bytes) -> dict[str, tuple[str, list[int], bytes]]:
    return {
        t.name: (t.dtype.name, list(t.shape), data[t.offset : t.offset + t.nbytes])
        for t in read_safetensors(MemorySource(data)).tensors
    }


def theirs(data: bytes) -> dict[str, tuple[str, list[int], bytes]]:
    return {name: (t["dtype"], t["shape"], bytes(t["data"])) for name, t in safetensors.deserialize(data)}


def test_every_dtype_of_the_library_has_the_same_name_shape_and_bytes() -> None:
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for name, dtype in safetensors.torch._TYPES.items():
        size = torch.empty(0, dtype=dtype).element_size()
        noise = torch.randint(0, 2 if name == "BOOL" else 256, (3, 5 * size), dtype=torch.uint8, generator=generator)
        tensors[name] = noise.view(dtype)
    data = safetensors.torch.save(tensors, {"format": "pt", "note": "ü"})
    found = ours(data)
    assert found == theirs(data)
    assert {name: found[name][0] for name in found} == {name: name for name in tensors}
    assert read_safetensors(MemorySource(data)).metadata == {"format": "pt", "note": "ü"}


@pytest.mark.parametrize(
    ("dtype", "elements", "nbytes"), [("F4", 6, 3), ("F6_E2M3", 8, 6), ("F6_E3M2", 4, 3), ("F8_E8M0", 2, 2)]
)
def test_packed_and_scale_types(dtype: str, elements: int, nbytes: int) -> None:
    data = file_of({"t": tensor(dtype, (elements,), 0, nbytes)}, bytes(range(nbytes)))
    assert ours(data) == theirs(data)
    assert read_safetensors(MemorySource(data)).tensors[0].dtype == PLAIN[dtype]


def test_sub_byte_tensors_that_end_inside_a_byte_are_refused_as_by_the_library() -> None:
    data = file_of({"t": tensor("F4", (3,), 0, 2)}, b"ab")
    with pytest.raises(safetensors.SafetensorError):
        theirs(data)
    with pytest.raises(FormatError, match="do not fill"):
        ours(data)


def test_tensors_come_in_order_of_offset_with_absolute_ranges_and_their_shard() -> None:
    data = file_of({"b": tensor(begin=4, end=8), "a": tensor()}, b"aaaabbbb")
    tensors = read_safetensors(MemorySource(data), shard=3).tensors
    assert [t.name for t in tensors] == ["a", "b"]
    assert [data[t.offset : t.offset + t.nbytes] for t in tensors] == [b"aaaa", b"bbbb"]
    assert {t.shard for t in tensors} == {3}


@pytest.mark.parametrize(("alias", "name"), [("F8_E4M3FN", "F8_E4M3"), ("F8_E8M0FNU", "F8_E8M0")])
def test_other_spellings_of_a_dtype(alias: str, name: str) -> None:
    assert read({"t": tensor(alias)}, b"abcd").tensors[0].dtype == PLAIN[name]


@pytest.mark.parametrize(("bits", "nbytes"), [(4, 4), (8, 8), (16, 16), (32, 32), (64, 64)])
def test_an_unknown_dtype_of_known_size_is_raw(bits: int, nbytes: int) -> None:
    dtype = read({"t": tensor("Z9", (8,), 0, nbytes)}, bytes(nbytes)).tensors[0].dtype
    assert (dtype.name, dtype.is_raw, dtype.nbytes(8)) == ("Z9", True, nbytes)


def test_an_unknown_dtype_without_elements_is_listed() -> None:
    assert read({"t": tensor("Z9", (0, 7), 0, 0)}).tensors[0].elements == 0


@pytest.mark.parametrize("nbytes", [3, 2, 7, 100])
def test_an_unknown_dtype_of_unknown_size_is_one_line_that_names_the_tensor(nbytes: int) -> None:
    with pytest.raises(UnsupportedError, match=r"^x\.safetensors: tensor 'layer\.w': unknown dtype 'Z9'") as error:
        read({"layer.w": tensor("Z9", (8,), 0, nbytes)}, bytes(nbytes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ['"quoted"', "<script>", "../../etc/passwd", "a\nb\0c\x1b[0m", "", "ü😀", "__proto__"])
def test_odd_names_and_empty_tensors_are_legal(name: str) -> None:
    data = file_of({name: tensor(), "empty": tensor("F32", (3, 0), 4, 4), "none": tensor("F32", (0,), 0, 0)}, b"abcd")
    assert ours(data) == theirs(data)
    assert name in ours(data)


def test_a_scalar_has_no_dimensions_and_one_element() -> None:
    info = read({"t": tensor("F32", ())}, b"abcd").tensors[0]
    assert (info.shape, info.elements, info.nbytes) == ((), 1, 4)


BAD: dict[str, tuple[Any, bytes, str]] = {
    "overlap": ({"a": tensor(), "b": tensor(begin=2, end=6)}, bytes(6), "overlap"),
    "same bytes": ({"a": tensor(), "b": tensor()}, bytes(4), "overlap"),
    "hole": ({"a": tensor(), "b": tensor(begin=6, end=10)}, bytes(10), "hole"),
    "hole at the beginning": ({"a": tensor(begin=2, end=6)}, bytes(6), "hole"),
    "bytes after the last tensor": ({"a": tensor()}, bytes(6), "belong to none"),
    "data cut short": ({"a": tensor(shape=(8,), end=8)}, bytes(4), "ends at byte 8"),
    "range runs backwards": ({"a": tensor(begin=4, end=0)}, bytes(4), "ends before"),
    "too small for its shape": ({"a": tensor("F32")}, bytes(4), "do not fill"),
    "overflow": ({"a": tensor(shape=(2**40, 2**40), end=0)}, b"", "63 bits"),
    "one huge dimension": ({"a": tensor(shape=(2**63,), end=0)}, b"", "integers"),
    "negative dimension": ({"a": tensor(shape=(-1, -4))}, bytes(4), "integers"),
    "too many dimensions": ({"a": tensor(shape=(1,) * 100_000, end=1)}, bytes(1), "100000 dimensions"),
    "dimension is true": (b'{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}', bytes(1), "integers"),
    "dimension is 1.0": (b'{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', bytes(1), "integers"),
    "number of 5000 digits": (b'{"a":{"dtype":"U8","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,1]}}', bytes(1), "JSON"),
    "one offset": (b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[1]}}', bytes(1), "pair"),
    "no dtype": (b'{"a":{"shape":[1],"data_offsets":[0,1]}}', bytes(1), "must have dtype"),
    "tensor is a list": ({"a": []}, b"", "must have dtype"),
    "header is a list": (b'["a"]', b"", "begin with"),
    "header is cut": (b'{"a":{"dtype":', b"", "JSON"),
    "not UTF-8": (b'{"\xff":1}', b"", "JSON"),
    "half a surrogate pair": (b'{"\\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}', b"", "JSON"),
    "a name twice": (
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
        b"",
        "'a' occurs twice",
    ),
    "metadata of numbers": ({"__metadata__": {"a": 1}}, b"", "__metadata__"),
    "metadata is a list": ({"__metadata__": []}, b"", "__metadata__"),
    "endless name": ({"n" * 70_000: tensor()}, bytes(4), "longer than"),
    "deep nesting": (b'{"a":' + b"[" * 100_000, b"", "nested"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_headers_are_one_line_that_names_the_file(case: str) -> None:
    header, data, expected = BAD[case]
    with pytest.raises(FormatError, match=expected) as error:
        read(header, data)
    assert str(error.value).startswith("x.safetensors: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 100_000_001, 100_000_000, 3])
def test_lying_header_lengths_cost_nothing(length: int) -> None:
    source = MemorySource(length.to_bytes(8, "little") + b"{}")
    assert not is_safetensors(source)
    with pytest.raises(FormatError):
        read_safetensors(source)
    assert source.read_bytes <= 32


@pytest.mark.parametrize("data", [b"", b"\0", bytes(8), file_of(b""), file_of(b" {}"), file_of(b"[]"), b"{" * 20])
def test_what_is_no_safetensors_file(data: bytes) -> None:
    assert not is_safetensors(MemorySource(data))
    with pytest.raises(FormatError):
        ours(data)


@pytest.mark.parametrize("unit", [b"[],", b"{},", b'"",', b"[" * 500, b'"\xf0\x9f\x98\x80aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'])
def test_a_header_of_the_greatest_length_stays_in_memory(unit: bytes) -> None:
    raw = b'{"a":[' + unit * (99_999_000 // len(unit)) + b"0]}"
    source = MemorySource(file_of(raw))
    del raw
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            read_safetensors(source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 420 * 2**20


def test_many_words_about_a_file_stay_in_memory() -> None:
    pairs = b",".join(b'"k%d":"%s"' % (i, b"v" * 90) for i in range(900_000))
    source = MemorySource(file_of(b'{"__metadata__":{%s},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' % pairs))
    del pairs
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="too many parts"):
            read_safetensors(source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 420 * 2**20


def test_more_tensors_than_any_model_has_are_refused_before_each_is_looked_at() -> None:
    raw = ",".join(f'"{i}":0' for i in range(200_001))
    with pytest.raises(FormatError, match="200001 tensors, at most 200000"):
        ours(file_of(f"{{{raw}}}".encode()))


VALID = file_of(
    {
        "__metadata__": {"k": "v"},
        "a": tensor("F32", (2, 3), 0, 24),
        "b": tensor("F16", (2,), 24, 28),
        "c": tensor("I64", (1,), 28, 36),
    },
    bytes(range(36)),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(VALID) - 37), st.integers(0, 255)), min_size=1, max_size=3), st.integers(0, 40))
def test_damaged_headers_are_judged_as_the_library_judges_them(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(VALID)
    for position, value in changes:
        data[position] = value
    raw = bytes(data[: len(data) - cut]) if cut > 36 else bytes(data)
    try:
        expected = theirs(raw)
    except Exception:
        expected = None
    try:
        found = ours(raw)
    except MwvError as error:
        assert "\n" not in str(error)
        found = None
    if expected is not None:
        assert found == expected
    elif found is not None:
        # We show dtypes that the library does not know, and nothing else that it refuses.
        assert any(t.dtype.is_raw for t in read_safetensors(MemorySource(raw)).tensors)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    for raw in (data, file_of(data), file_of(b"{" + data)):
        try:
            assert ours(raw) == theirs(raw)
        except MwvError as error:
            assert "\n" not in str(error)
