"""Every plain type against torch and ml_dtypes, over every bit pattern where there are few enough."""

import ml_dtypes
import numpy as np
import pytest
import torch
from byte_sources import stored, values_of, whole

from mwv.checkpoint.dtypes import PLAIN, raw_dtype
from mwv.decode.plain import numbers, table, unpack
from mwv.decode.tensor import Coded, Plain

TORCH = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E8M0": torch.float8_e8m0fnu,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
}
UNIT = {"I8": 2**-8, "U8": 2**-8, "I16": 2**-16, "U16": 2**-16} | dict.fromkeys(("I32", "U32", "I64", "U64"), 2**-32)
SUBBYTE = {"F4": (4, ml_dtypes.float4_e2m1fn), "F6_E2M3": (6, ml_dtypes.float6_e2m3fn), "F6_E3M2": (6, ml_dtypes.float6_e3m2fn)}


def patterns(size: int) -> bytes:
    """Every pattern of 1 or 2 bytes; for longer elements random ones and the special floats."""
    if size <= 2:
        return np.arange(256**size, dtype=f"<u{size}").tobytes()
    special = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 5e-324, 1e-40, 3e38, -1.0], f"<f{size}").tobytes()
    return special + np.random.default_rng(size).bytes(256 * 40 * size - len(special))


@pytest.mark.parametrize("name", TORCH)
def test_values_are_those_of_torch_times_the_unit(name: str) -> None:
    data = patterns(PLAIN[name].block_bytes)
    expected = torch.frombuffer(bytearray(data), dtype=TORCH[name]).to(torch.float64).numpy() * UNIT.get(name, 1)
    cols = 8
    tensor = stored(data, name, (len(expected) // cols, cols), cols, lead=3)
    np.testing.assert_array_equal(whole(tensor, 0, cols), expected.reshape(-1, cols))
    np.testing.assert_array_equal(whole(tensor, 3, 4), expected.reshape(-1, cols)[:, 3:7])


@pytest.mark.parametrize("name", TORCH)
def test_big_endian_values_equal_little_endian_ones(name: str) -> None:
    size = PLAIN[name].block_bytes
    little = patterns(size)
    big = np.frombuffer(little, f"<u{size}").byteswap().tobytes()
    shape = (len(little) // size // 16, 16)
    expected = whole(stored(little, name, shape, 16), 0, 16)
    np.testing.assert_array_equal(whole(stored(big, name, shape, 16, byteorder="big"), 0, 16), expected)


@pytest.mark.parametrize("name", SUBBYTE)
@pytest.mark.parametrize("cols", [8, 12, 5])
def test_small_floats_are_unpacked_lowest_bits_first(name: str, cols: int) -> None:
    bits, kind = SUBBYTE[name]
    rows = 4 * 33
    data = np.random.default_rng(bits).bytes(rows * cols * bits // 8)
    stream = int.from_bytes(data, "little")
    codes = [stream >> (bits * k) & (2**bits - 1) for k in range(rows * cols)]
    expected = np.array(codes, np.uint8).view(kind).astype(np.float64).reshape(rows, cols)
    tensor = stored(data, name, (rows, cols), cols)
    np.testing.assert_array_equal(whole(tensor, 0, cols), expected)
    np.testing.assert_array_equal(whole(tensor, 1, 3), expected[:, 1:4])


def test_bool_is_one_for_any_bits_that_are_set() -> None:
    assert whole(stored(bytes([0, 1, 2, 255]), "BOOL", (1, 4), 4), 0, 4).tolist() == [[0, 1, 1, 1]]


def test_an_infinite_imaginary_part_leaves_the_real_one_alone() -> None:
    parts = np.array([1.5, np.inf, -np.inf, 2.0], np.float32)
    stored_pairs = unpack(PLAIN["C64"], "little", parts.view(np.uint8).reshape(1, 2, 8))
    assert numbers(PLAIN["C64"], stored_pairs).tolist() == [[complex(1.5, np.inf), complex(-np.inf, 2.0)]]


@pytest.mark.parametrize("name", ["C32", "C64", "C128"])
def test_complex_numbers_are_shown_by_magnitude(name: str) -> None:
    size = PLAIN[name].block_bytes // 2
    parts = np.random.default_rng(1).standard_normal((70, 6, 2)).astype(f"<f{size}")
    parts[0, :5] = [[3, -4], [np.nan, 1], [np.inf, np.nan], [0, -0.0], [-np.inf, 1]]
    expected = np.abs(parts[..., 0].astype(complex) + 1j * parts[..., 1])
    expected[0, :5] = [5, np.nan, np.inf, 0, np.inf]
    shown = whole(stored(parts.tobytes(), name, (70, 6), 6), 0, 6)
    np.testing.assert_allclose(shown, expected, rtol=1e-15)
    swapped = stored(parts.astype(f">f{size}").tobytes(), name, (70, 6), 6, byteorder="big")
    np.testing.assert_array_equal(whole(swapped, 0, 6), shown)


@pytest.mark.parametrize(("bits", "exponent"), [(4, -8), (8, -8), (16, -16), (32, -32), (64, -32)])
def test_unknown_types_are_the_integers_of_their_bits(bits: int, exponent: int) -> None:
    dtype = raw_dtype("X9", bits)
    assert dtype is not None
    data = np.random.default_rng(bits).bytes(10 * 6 * bits // 8)
    stream = int.from_bytes(data, "little")
    numbers = [float(stream >> (bits * k) & (2**bits - 1)) * 2.0**exponent for k in range(60)]
    tensor = stored(data, dtype, (10, 6), 6)
    assert tensor.exponent == exponent
    assert whole(tensor, 0, 6).ravel().tolist() == numbers


@pytest.mark.parametrize("name", ["BF16", "F16", "F32", "U8"])
def test_samples_are_views_of_the_bytes_read(name: str) -> None:
    tensor = stored(bytes(16 * 16 * PLAIN[name].block_bytes), name, (16, 16), 16)
    raw = tensor.read(0)
    samples = tensor.samples(0, raw, 4, 8)
    array = samples.bits if isinstance(samples, Coded) else samples.values
    assert np.shares_memory(array, np.frombuffer(raw, np.uint8))


@pytest.mark.parametrize("name", [name for name, dtype in PLAIN.items() if dtype.block_bytes <= 2])
def test_tables_hold_float32_for_every_pattern_and_no_unit_rounds(name: str) -> None:
    dtype = PLAIN[name]
    values = table(dtype).values
    assert values.dtype == np.float32 and len(values) == 256**dtype.block_bytes
    stored_values = values.astype(np.float64) * 2.0**-dtype.exponent
    if dtype.kind in ("int", "uint"):
        assert np.array_equal(
            np.unique(stored_values), np.sort(np.arange(len(values)) - (len(values) // 2) * (dtype.kind == "int"))
        )
    finite = np.isfinite(stored_values)
    assert finite.sum() >= len(values) * 0.87


def test_kinds_of_samples() -> None:
    assert isinstance(stored(bytes(8), "F64", (1, 1), 1).samples(0, bytes(8), 0, 1), Plain)
    assert values_of(stored(bytes(2), "BF16", (1, 1), 1).samples(0, b"\x80\x3f", 0, 1)).tolist() == [[1.0]]
