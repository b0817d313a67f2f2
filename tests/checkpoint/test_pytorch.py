"""PyTorch archives against torch itself: what torch.save wrote must be found byte for byte."""

import argparse
import io
import os
import pickle
import tracemalloc
import zipfile
from collections import OrderedDict
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_source import MemorySource
from torch_files import Call, archive, contents, read, saved, stored, torch_pickle, view

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.pytorch import read_pytorch
from mwv.decode.open import open_tensor
from mwv.errors import FormatError, MwvError, UnsupportedError

# ---- files by torch


DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E8M0": torch.float8_e8m0fnu,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C32": torch.complex32,
    "C64": torch.complex64,
    "C128": torch.complex128,
}


def noise(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    size = torch.empty(0, dtype=torch.uint8).new_empty(0).element_size() if dtype is torch.uint8 else dtype.itemsize
    generator = torch.Generator().manual_seed(7)
    high = 2 if dtype is torch.bool else 256
    raw = torch.randint(0, high, (prod(shape) * size,), dtype=torch.uint8, generator=generator)
    return raw.view(dtype).reshape(shape)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_every_dtype_in_both_formats_and_every_protocol(name: str, zipped: bool) -> None:
    value = noise(DTYPES[name], 3, 5)
    for protocol in (2, 3, 4, 5):
        data = saved({"w": value, "n": {"part": value[1:, :]}}, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
        whole, part = read(data).tensors
        assert {whole.name, part.name} == {"w", "n.part"}
        for info in (whole, part):
            expected = value if info.name == "w" else value[1:]
            assert (info.dtype.name, info.shape, info.strides) == (name, tuple(expected.shape), None)
            assert stored(data, info) == contents(expected)


# Storage classes of torch, with the size of an element; two elements of QUInt4x2 share a byte.
STORAGES = {
    "Double": 8,
    "Float": 4,
    "Half": 2,
    "BFloat16": 2,
    "Long": 8,
    "Int": 4,
    "Short": 2,
    "Char": 1,
    "Byte": 1,
    "Bool": 1,
    "ComplexDouble": 16,
    "ComplexFloat": 8,
    "QInt8": 1,
    "QUInt8": 1,
    "QInt32": 4,
    "QUInt4x2": 1,
    "Untyped": 1,
}


def test_the_list_of_storage_classes_is_that_of_torch() -> None:
    names = {kind.__name__.removesuffix("Storage") for kind in torch._storage_classes}
    # Two bits an element: nothing that we show has so few.
    assert names - {"Typed"} == STORAGES.keys() | {"QUInt2x4"}


@pytest.mark.parametrize("name", STORAGES)
def test_every_class_of_storage(name: str) -> None:
    data = archive(torch_pickle({"w": view(kind=f"{name}Storage", numel=1, shape=(1,))}), {"0": bytes(16)})
    (info,) = read(data).tensors
    assert (info.shape, info.nbytes) == ((1,), STORAGES[name])


def test_two_elements_to_a_byte() -> None:
    value = torch.arange(8, dtype=torch.uint8).reshape(2, 4)
    data = saved({"w": value.view(torch.float4_e2m1fn_x2)})
    (info,) = read(data).tensors
    assert (info.dtype.name, info.shape, stored(data, info)) == ("F4", (2, 8), bytes(range(8)))


BASE = torch.arange(4 * 5 * 6, dtype=torch.float32).reshape(4, 5, 6)


@settings(deadline=None, max_examples=60)
@given(
    st.permutations([0, 1, 2]),
    st.tuples(*(st.tuples(st.integers(0, n), st.integers(0, n), st.integers(1, 3)) for n in (4, 5, 6))),
)
def test_views_with_strides(order: list[int], cuts: tuple[tuple[int, int, int], ...]) -> None:
    view = BASE[tuple(slice(*cut) for cut in cuts)].permute(order)
    data = saved({"w": view})
    (info,) = read(data).tensors
    assert info.shape == tuple(view.shape)
    assert info.strides is None or view.numel() > 1
    assert stored(data, info) == contents(view)


def test_scalars_empty_and_expanded_tensors() -> None:
    values = {"s": torch.tensor(2.5), "e": torch.zeros(3, 0), "x": torch.ones(1, 4).expand(3, 4), "one": torch.ones(1, 1).t()}
    data = saved(values)
    for info in read(data).tensors:
        assert info.shape == tuple(values[info.name].shape)
        assert stored(data, info) == contents(values[info.name])
        assert info.strides == ((0, 1) if info.name == "x" else None)


def test_tied_tensors_are_each_listed() -> None:
    value = torch.ones(3, 4)
    data = saved(OrderedDict({"embed.weight": value, "lm_head.weight": value, "row": value[1]}))
    tensors = read(data).tensors
    assert [t.name for t in tensors] == ["embed.weight", "lm_head.weight", "row"]
    assert tensors[0].offset == tensors[1].offset == tensors[2].offset - 16


def test_parameters_buffers_subclasses_and_modules() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ModuleDict({"a": torch.nn.BatchNorm1d(3)}))
    expected = {name: contents(value) for name, value in module.state_dict().items()}
    script = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Sequential(torch.nn.BatchNorm1d(3)))
    buffer = io.BytesIO()
    with pytest.warns(DeprecationWarning):
        torch.jit.save(torch.jit.script(script), buffer)
    for data in (
        saved(module),
        saved(module.state_dict()),
        saved(dict(module.named_parameters()) | dict(module.named_buffers())),
    ):
        assert {t.name: stored(data, t) for t in read(data).tensors} == expected
    scripted = read(buffer.getvalue()).tensors
    assert {t.name: stored(buffer.getvalue(), t) for t in scripted} == {n: contents(v) for n, v in script.state_dict().items()}


def scripted(module: Any) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_constants_of_a_frozen_module_are_its_weights() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)).eval()
    data = scripted(torch.jit.freeze(torch.jit.script(module)))
    tensors = read(data).tensors
    assert sorted(t.name for t in tensors) == [f"constants.{i}" for i in range(4)]
    assert sorted(stored(data, t) for t in tensors) == sorted(contents(value) for value in module.state_dict().values())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_constants_of_a_traced_function_stand_beside_its_parameters() -> None:
    table = torch.arange(8.0).reshape(2, 4)

    class Traced(torch.nn.Linear):
        def forward(self, value: torch.Tensor) -> torch.Tensor:
            return super().forward(value + table)

    module = Traced(4, 3)
    data = scripted(torch.jit.trace(module, torch.ones(2, 4)))
    expected = {name: contents(value) for name, value in module.state_dict().items()}
    assert {t.name: stored(data, t) for t in read(data).tensors} == {**expected, "constants.0": contents(table)}


# ---- quantised tensors

QUANTISED = {"QINT8": torch.qint8, "QUINT8": torch.quint8, "QINT32": torch.qint32}


def shown_values(data: bytes, info: TensorInfo) -> np.ndarray[Any, Any]:
    """All values of a tensor, as they are drawn."""
    opened = open_tensor([MemorySource(data)], info, info.shape[-1])
    return np.concatenate([opened.numbers(band, opened.read(band), 0, info.shape[-1]) for band in range(opened.bands)])


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", QUANTISED)
@pytest.mark.filterwarnings("ignore:torch.quantize", "ignore::DeprecationWarning", "ignore:.*quantiz:UserWarning")
def test_quantised_tensors_are_their_values(name: str, zipped: bool) -> None:
    value = torch.quantize_per_tensor(torch.linspace(-3, 9, 700).reshape(100, 7), 0.05, 3, QUANTISED[name])
    data = saved({"w": value, "t": value.t()}, _use_new_zipfile_serialization=zipped)
    header = read(data)
    assert header.notes == ()
    for info in header.tensors:
        expected = value if info.name == "w" else value.t()
        assert (info.dtype.name, info.dtype.kind, info.shape) == (name, "packed", tuple(expected.shape))
        assert info.note == "values are 0.05 × (integer − 3)"
        np.testing.assert_allclose(shown_values(data, info), expected.dequantize(), rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 4), 0), ((3, 4), 1), ((9,), 0), *(((70, 5, 3, 3), axis) for axis in range(4)), ((5, 70, 2), 1)]
)
@pytest.mark.filterwarnings("ignore:torch.quantize", "ignore::DeprecationWarning", "ignore:.*quantiz:UserWarning")
def test_scales_of_channels_are_parts(shape: tuple[int, ...], axis: int) -> None:
    scale = torch.rand(shape[axis], dtype=torch.float64) + 0.1
    zero_point = torch.arange(shape[axis])
    value = torch.quantize_per_channel(torch.randn(shape) * 20, scale, zero_point, axis, torch.quint8)
    data = saved({"w": value})
    header = read(data)
    assert {t.name: t.part_of for t in header.tensors} == {"w": "", "w.scale": "w", "w.zero_point": "w"}
    assert header.notes == ()
    whole = next(t for t in header.tensors if t.name == "w")
    expected = value.dequantize().numpy().reshape(-1, shape[-1])
    np.testing.assert_allclose(shown_values(data, whole), expected, rtol=1e-6)


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.filterwarnings("ignore:torch.quantize", "ignore::DeprecationWarning", "ignore:.*quantiz:UserWarning")
def test_quantised_convolutions_whose_channels_lie_last(axis: int | None) -> None:
    plain = (torch.randn(70, 5, 3, 2) * 20).contiguous(memory_format=torch.channels_last)
    if axis is None:
        value = torch.quantize_per_tensor(plain, 0.3, 7, torch.qint8)
    else:
        count = plain.shape[axis]
        value = torch.quantize_per_channel(plain, torch.rand(count) + 0.1, torch.arange(count), axis, torch.qint8)
    assert value.stride() == plain.stride() != torch.empty(plain.shape).stride()
    data = saved({"w": value})
    header = read(data)
    assert header.notes == ()
    whole = next(t for t in header.tensors if t.name == "w")
    np.testing.assert_allclose(shown_values(data, whole), value.dequantize().reshape(-1, 2), rtol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*TypedStorage:UserWarning", "ignore:.*quantiz:UserWarning")
def test_packed_weights_of_a_quantised_module_however_it_is_saved() -> None:
    plain = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    module = torch.ao.quantization.quantize_dynamic(plain, {torch.nn.Linear}, torch.qint8)
    expected = {}
    for i in (0, 2):
        weight, bias = module[i]._weight_bias()
        expected[f"{i}._packed_params._packed_params.0"] = contents(weight.int_repr())
        expected[f"{i}._packed_params._packed_params.1"] = contents(bias)
    for data in (saved(module), saved(module.state_dict()), scripted(torch.jit.script(module))):
        found = {t.name: stored(data, t) for t in read(data).tensors if t.shape}
        assert found == expected


def test_notes_of_many_quantised_tensors_are_counted() -> None:
    call = view(kind="QUInt4x2Storage")
    quantised = Call("torch._utils", "_rebuild_qtensor", *call.arguments[:4], (torch.per_tensor_affine, 0.5, 1))
    notes = read(archive(torch_pickle({f"w{i}": quantised for i in range(12)}), {"0": bytes(16)})).notes
    assert notes[9:] == (
        "'w9': its scales and zero points are not applied, the stored integers are shown",
        "scales and zero points of 2 more tensors are not applied",
    )


def test_other_objects_do_not_matter() -> None:
    data = saved(
        {"w": torch.ones(2), "args": argparse.Namespace(lr=1), "d": torch.float16, "n": np.float32(1), "z": torch.Size([1])}
    )
    header = read(data)
    assert ([t.name for t in header.tensors], header.notes) == (["w"], ())


@pytest.mark.filterwarnings("ignore:Sparse")
def test_what_is_no_view_of_a_storage_is_told() -> None:
    header = read(
        saved({"w": torch.ones(2), "s": torch.eye(2).to_sparse(), "m": torch.ones(2, device="meta"), "n": np.ones(2)})
    )
    assert [t.name for t in header.tensors] == ["w"]
    assert header.notes == (
        "'s': left out, a sparse tensor; save it dense to show it",
        "'m': left out, a tensor without data (device meta)",
        "'n': left out, a numpy array",
    )


def test_a_view_that_negates_is_not_shown_with_the_wrong_sign() -> None:
    value = torch.view_as_complex(torch.ones(2, 2)).conj().imag
    assert value.is_neg()
    assert read(saved({"w": value, "v": torch.ones(1)})).notes == ("'w': left out, a view that negates on reading",)


def test_a_checkpoint_that_would_run_a_command_opens_and_runs_nothing(tmp_path: Any) -> None:
    class Weapon:
        def __reduce__(self) -> Any:
            return os.system, (f"touch '{tmp_path}/trace'",)

    data = saved({"w": torch.ones(2), "weapon": Weapon()})
    assert [t.name for t in read(data).tensors] == ["w"]
    assert not (tmp_path / "trace").exists()
    torch.load(io.BytesIO(data), weights_only=False)
    assert (tmp_path / "trace").exists()


# ---- archives by hand


def one(**options: Any) -> bytes:
    return archive(torch_pickle({"layer.w": view(**options)}), {"0": bytes(range(16))})


def test_the_archive_by_hand_is_sound() -> None:
    (info,) = read(one()).tensors
    assert (info.name, stored(one(), info)) == ("layer.w", bytes(range(16)))


def swapped(data: bytes, size: int) -> bytes:
    """An archive of elements of `size` bytes as a big-endian machine writes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as little, zipfile.ZipFile(buffer, "w") as big:
        for name in little.namelist():
            raw = little.read(name)
            if "/data/" in name:
                raw = np.frombuffer(raw, f"u{size}").byteswap().tobytes()
            big.writestr(name, b"big" if name.endswith("/byteorder") else raw)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["F64", "F32", "F16", "BF16", "I64", "I32", "I16"])
def test_archives_of_big_endian_machines(name: str) -> None:
    value = noise(DTYPES[name], 3, 5)
    data = swapped(saved({"w": value, "t": value.t()}), value.itemsize)
    assert contents(torch.load(io.BytesIO(data))["w"]) == contents(value)
    for info in read(data).tensors:
        expected = value if info.name == "w" else value.t()
        assert info.byteorder == "big"
        raw = np.frombuffer(stored(data, info), f"u{value.itemsize}")
        assert raw.byteswap().tobytes() == contents(expected)


@pytest.mark.parametrize(("order", "expected"), [(b"big", "big"), (b"little", "little"), (None, "little")])
def test_byte_order(order: bytes | None, expected: str) -> None:
    others = {"top/byteorder": order} if order else {}
    (info,) = read(archive(torch_pickle({"w": view()}), {"0": bytes(16)}, others)).tensors
    assert info.byteorder == expected


W = r"tensor 'layer\.w': "
BAD: dict[str, tuple[bytes, str]] = {
    "storage too short": (one(numel=5), W + "its storage needs 20 bytes, it has 16"),
    "storage of 2^62": (one(numel=2**62), W + "its storage needs"),
    "view too long": (one(shape=(5,)), W + "needs elements 0 to 5 of its storage, which has 4"),
    "offset too far": (one(offset=1), W + "needs elements 1 to 5"),
    "offset of 2^62": (one(offset=2**62), W + "needs elements"),
    "stride too wide": (one(shape=(2,), strides=(4,)), W + "needs elements 0 to 5"),
    "overflow": (one(shape=(2**40, 2**40), strides=(0, 0)), W + "its shape has more elements"),
    "expanded without end": (one(shape=(2**20, 2**20), strides=(0, 0)), W + "1099511627776 elements repeat 1 stored ones"),
    "negative stride": (one(strides=(-1,)), "damaged"),
    "negative offset": (one(offset=-1), "damaged"),
    "negative length": (one(numel=-1), "damaged"),
    "shape and strides differ": (one(shape=(2, 2)), "damaged"),
    "10^5 dimensions": (one(shape=(1,) * 100_000, strides=(1,) * 100_000), "damaged"),
    "shape of texts": (one(shape=("4",)), "damaged"),
    "storage is no storage": (
        archive(torch_pickle({"w": Call("torch._utils", "_rebuild_tensor_v2", 1, 0, (1,), (1,))}), {}),
        "damaged",
    ),
    "missing storage": (one(key="7"), r"'top/data/7' is not in the archive"),
    "key leads elsewhere": (one(key="../../etc/passwd"), "is not in the archive"),
    "key is a number": (one(key=0), "damaged"),
    "unknown dtype": (one(kind="SevenBitStorage"), W + "dtype sevenbit is unknown"),
    "name is no Unicode": (
        archive(b"\x80\x02}(X\x03\x00\x00\x00\xed\xa0\x80" + torch_pickle(view())[2:-1] + b"u.", {"0": bytes(16)}),
        "Unicode",
    ),
    "deflated": (
        archive(torch_pickle({"w": view()}), {"0": bytes(16)}, kind=zipfile.ZIP_DEFLATED),
        r"is compressed; load the file",
    ),
    "byte order": (archive(torch_pickle({"w": view()}), {"0": bytes(16)}, {"top/byteorder": b"middle"}), "byteorder"),
    "two pickles": (archive(b"N.", {}, {"other/data.pkl": b"N."}), r"without data\.pkl"),
    "no pickle": (archive(b"N.", {})[:0] + one().replace(b"data.pkl", b"data.txt"), r"without data\.pkl"),
    "cut short": (one()[:-30], "zip directory cannot be read"),
    "beginning cut off": (b"PK\3\4" + one()[200:], "does not lie in the archive"),
    "no zip": (b"PK\3\4" + bytes(100), "zip directory cannot be read"),
    "some other pickle": (pickle.dumps({"a": list(range(100))}), "a pickle, but not of torch.save; no PyTorch checkpoint"),
    "some text": (b"spiece model of a tokenizer", "not of torch.save; no PyTorch checkpoint"),
    "empty": (b"", "no PyTorch checkpoint"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line_that_names_the_file(case: str) -> None:
    data, expected = BAD[case]
    with pytest.raises(MwvError, match=expected) as error:
        read(data)
    assert str(error.value).startswith("x.bin: ")
    assert "\n" not in str(error.value)


def test_an_entry_twice() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = archive(torch_pickle({"w": view()}), {"0": bytes(16)}, {"top/data/0": bytes(16)})
    with pytest.raises(FormatError, match="two entries of the archive have one name"):
        read(data)


def test_entries_that_overlap() -> None:
    data = bytearray(archive(torch_pickle({"v": view(), "w": view(key="1")}), {"0": bytes(16), "1": bytes(16)}))
    entries = [i for i in range(len(data)) if data[i : i + 4] == b"PK\1\2"]
    # The entry of the second storage points to the local header of the first.
    data[entries[2] + 42 : entries[2] + 46] = data[entries[1] + 42 : entries[1] + 46]
    with pytest.raises(FormatError, match=r"'top/data/0' and 'top/data/1' overlap"):
        read(bytes(data))


def test_a_zip_bomb_is_not_unpacked() -> None:
    data = archive(bytes(300 * 2**20), {"0": bytes(16)}, kind=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    with pytest.raises(UnsupportedError, match="compressed"):
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_directory_that_claims_much_is_not_read() -> None:
    data = bytearray(one())
    end = data.rindex(b"PK\5\6")
    data[end + 12 : end + 16] = (2**31).to_bytes(4, "little")
    source = MemorySource(bytes(data[:end]) + bytes(100) + bytes(data[end:]), name="x.bin")
    with pytest.raises(FormatError):
        read_pytorch(source)
    assert source.read_bytes < 2**18


def laughing(levels: int, leaf: Any) -> Any:
    value = leaf
    for _ in range(levels):
        value = {"a": value, "b": value}
    return value


@pytest.mark.parametrize("leaf", [[1], "tensor"])
def test_references_that_multiply_are_bounded(leaf: Any) -> None:
    # 2^40 paths lead to the leaf; without a bound this test would not end.
    data = archive(torch_pickle(laughing(40, view() if leaf == "tensor" else leaf)), {"0": bytes(16)})
    with pytest.raises(FormatError, match="refers to its parts too often"):
        read(data)


def test_a_small_pickle_has_few_paths() -> None:
    few, many = (archive(torch_pickle(laughing(levels, view())), {"0": bytes(16)}) for levels in (11, 15))
    assert len(read(few).tensors) == 2**11
    with pytest.raises(FormatError, match="refers to its parts too often"):
        read(many)


def test_long_arguments_that_many_calls_share_are_not_copied() -> None:
    # A list of 10^5 numbers as the shape of 10^4 tensors.
    call = torch_pickle(view())
    assert call.endswith(b"R.")
    shapes = b"\x80\x02](" + b"K\x01" * 100_000 + b"eq\x00"
    tensors = b"(ctorch._utils\n_rebuild_tensor_v2\nq\x01(h\x00h\x00tq\x02" + b"h\x01h\x02R" * 10_000 + b"t."
    with pytest.raises(FormatError, match="damaged"):
        read(archive(shapes + tensors, {}))
    mappings = b"(ccollections\nOrderedDict\nq\x01(h\x00tq\x02" + b"h\x01h\x02R" * 10_000 + b"t."
    with pytest.raises(FormatError, match="refers to its parts too often"):
        read(archive(shapes + mappings, {}))


def test_a_call_with_more_arguments_than_torch_gives_is_none_of_its_calls() -> None:
    call = view()
    call.arguments += (None,) * 11
    assert read(archive(torch_pickle({"v": view(), "w": call}), {"0": bytes(16)})).tensors[0].name == "v"
    assert len(read(archive(torch_pickle({"v": view(), "w": call}), {"0": bytes(16)})).tensors) == 1


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    with pytest.raises(FormatError, match="nested more than"):
        read(archive(b"\x80\x02)" + b"\x85" * depth + b".", {}))


VALID = saved(OrderedDict(a=torch.ones(2, 3).t(), b={"c": torch.zeros(4, dtype=torch.uint16)}))


@settings(deadline=None, max_examples=300)
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


DIRECTORY = VALID.index(b"PK\1\2")
PICKLE = VALID.index(b"\x80\x02")


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(st.integers(DIRECTORY, len(VALID) - 1), st.integers(0, 255)), max_size=3),
    st.lists(st.tuples(st.integers(PICKLE, PICKLE + 400), st.integers(0, 255)), max_size=3),
)
def test_damaged_directories_and_pickles(directory: list[tuple[int, int]], pickled: list[tuple[int, int]]) -> None:
    data = bytearray(VALID)
    for position, value in directory + pickled:
        data[position] = value
    try:
        tensors = read(bytes(data)).tensors
    except MwvError as error:
        assert "\n" not in str(error)
    else:
        assert all(t.offset > 0 and t.offset + t.nbytes <= len(data) for t in tensors)
