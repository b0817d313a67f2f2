"""Statistics of slabs and tensors against float64 numpy, over whole tensors."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from math import nan
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file
from slab_measuring import BF16, check_against_numpy, measured, slabs_of

from mwv.measure.slabs import SlabStats, combine

SLOW_OK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

RNG = np.random.default_rng(7)
NORMAL = (RNG.standard_normal((4096 + 130, 530)) * 0.02).astype(np.float32)
BITS = (NORMAL.view(np.uint32) >> 16).astype(np.uint16)


def test_float32_over_two_slabs() -> None:
    check_against_numpy(measured(NORMAL), NORMAL)


def test_bfloat16_over_two_slabs_is_exact_in_percentiles_too() -> None:
    check_against_numpy(measured(BITS, BF16), BF16[BITS], exact=True)


def test_float32_that_came_from_bfloat16_says_the_same_as_bfloat16() -> None:
    plain, coded = measured(BF16[BITS]).to_json(), measured(BITS, BF16).to_json()
    for name in ("mean", "std", "rms", "kurtosis"):
        assert plain.pop(name) == pytest.approx(coded.pop(name), rel=1e-12)
    assert plain == coded


@pytest.mark.parametrize(
    "values",
    [
        RNG.standard_normal((70, 5)) * 1e-3 + 1000,  # a spread that is small beside the mean
        RNG.standard_normal((5, 700)) * 10.0 ** RNG.integers(-30, 30, (5, 700)),
        np.full((3, 3), 0.1),
        np.zeros((65, 2)),
        np.array([[-0.0]]),
        RNG.integers(-(2**31), 2**31, (130, 7)) * 1.0,
        (RNG.random((100, 100)) < 0.01) * RNG.standard_normal((100, 100)),
        np.full((64, 64), 1e-42),
        RNG.standard_cauchy((300, 40)),
    ],
    ids=["offset", "octaves", "constant", "zeros", "one", "integers", "sparse", "denormal", "heavy tails"],
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_kinds_of_data(values: np.ndarray, kind: Any) -> None:
    values = values.astype(kind)
    check_against_numpy(measured(values), values, rtol=1e-9)


def test_ranks_interpolate_within_a_bucket() -> None:
    values = (1 + RNG.random((500, 400))).astype(np.float32)
    for percent, value in measured(values).percentiles:
        assert abs(value - np.percentile(values, percent)) < 2**-7 / 8


def test_zeros_are_zeros_among_finer_values() -> None:
    values = np.where(RNG.random((300, 40)) < 0.6, 0, RNG.standard_normal((300, 40))).astype(np.float32)
    assert dict(measured(values).percentiles)[50] == 0.0


finite_or_not = st.floats(width=16) | st.sampled_from([0.0, -0.0, 1.0, np.inf, -np.inf, nan, 65504.0, 2.0**-24])


@settings(SLOW_OK, max_examples=60)
@given(hnp.arrays(np.float16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24), elements=finite_or_not))
def test_any_float16_by_table_and_as_float32_and_float64(halves: np.ndarray) -> None:
    table = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    if not np.isfinite(halves).any():
        return
    values = halves.astype(np.float64)
    check_against_numpy(measured(halves.view(np.uint16), table), values, rtol=1e-9)
    check_against_numpy(measured(halves.astype(np.float32)), values, rtol=1e-9)
    check_against_numpy(measured(values), values, rtol=1e-9)


def test_eight_bit_patterns_and_the_unit() -> None:
    bits = RNG.integers(0, 256, (200, 33), np.uint8)
    table = (np.arange(256, dtype=np.uint8).view(np.int8) / 256).astype(np.float32)
    check_against_numpy(measured(bits, table, exponent=-8), bits.view(np.int8), exact=True)
    fp8 = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    stats = measured(bits, fp8)
    check_against_numpy(stats, fp8[bits], exact=True)
    assert stats.nan > 0


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16])
def test_subnormal_numbers_are_counted_over_all_patterns_of_a_type(kind: Any) -> None:
    table = np.arange(65536, dtype=np.uint16).view(kind).astype(np.float32)
    bits = RNG.integers(0, 65536, (4096 + 70, 30)).astype(np.uint16)
    bits[:5] &= 0x807F  # small ones and zeros
    magnitudes = np.abs(table[bits])
    with np.errstate(invalid="ignore"):  # signalling NaNs
        wide = table[bits].astype(np.float64)
    for stats in (measured(bits, table), measured(table[bits]), measured(wide)):
        for count, normal in ((stats.below_f32, 2.0**-126), (stats.below_f16, 2.0**-14)):
            assert count == np.count_nonzero((magnitudes > 0) & (magnitudes < normal))


def test_outliers_are_told_by_every_row_not_by_runs_of_them() -> None:
    values = NORMAL.copy()
    values[[4000, 4100]] *= 8
    values[:, 77] *= 5
    stats = measured(values)
    assert len(stats.row_rms) == 1024  # runs of four rows
    for found, axis, places in ((stats.row_outliers, 1, {4000, 4100}), (stats.col_outliers, 0, {77})):
        rms = np.sqrt((values.astype(np.float64) ** 2).mean(axis=axis))
        assert {index for index, _ in found} == places
        for index, ratio in found:
            assert ratio == pytest.approx(rms[index] / np.median(rms), rel=1e-3)


def test_large_integers_keep_their_unit() -> None:
    numbers = RNG.integers(-(2**40), 2**40, (100, 20))
    stats = measured(numbers * 2.0**-32, exponent=-32)
    check_against_numpy(stats, numbers)


def test_nan_and_inf_stay_out_of_everything_but_their_counts() -> None:
    values = NORMAL[:200, :70].copy()
    values[RNG.random(values.shape) < 0.05] = np.nan
    values[RNG.random(values.shape) < 0.05] = -np.inf
    values[5], values[:, 9], values[64:128] = np.nan, np.inf, np.nan
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    for stats in (measured(values), measured(bits, BF16), measured(values.astype(np.float64))):
        assert stats.row_rms[5] == stats.row_rms[100] == stats.col_rms[9] == 0
    check_against_numpy(measured(values), values)
    check_against_numpy(measured(values.astype(np.float64)), values)
    check_against_numpy(measured(bits, BF16), BF16[bits], exact=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_tensor_without_finite_values(bad: float) -> None:
    values = np.full((70, 3), bad, np.float32)
    for stats in (measured(values), measured(values.astype(float)), measured(np.full((70, 3), top16(bad), np.uint16), BF16)):
        assert stats.nan + stats.inf == 210 and stats.zeros == 0
        assert stats.minimum is stats.mean is stats.rms is stats.kurtosis is None
        assert not stats.percentiles and not stats.histogram and not stats.row_rms and not stats.col_rms


def top16(value: float) -> int:
    return int(np.float32(value).view(np.uint32) >> 16)


def test_a_tensor_without_elements() -> None:
    assert combine([], exponent=0, elements=0).mean is None


def test_float64_beyond_float32_keeps_extremes_and_stays_finite() -> None:
    values = np.array([[1e308, -1e308, 1e-320, 1.0, np.inf, 3.4028235e38]])
    stats = measured(values)
    assert (stats.minimum, stats.maximum, stats.inf, stats.zeros) == (-1e308, 1e308, 1, 0)
    assert sum(stats.histogram) == 5
    assert all(np.isfinite(x) for x in (stats.mean, stats.rms, stats.std, stats.kurtosis, *stats.row_rms, *stats.col_rms))
    assert stats.rms == pytest.approx(np.sqrt((2 * 2.0**256 + 3.4028235e38**2) / 5))


def test_a_short_last_row_counts_for_the_columns_it_has() -> None:
    vector = NORMAL.ravel()[: 5 * 40 + 13]
    for plain in (True, False):
        slab = SlabStats(6, 40)
        full, rest = vector[:200].reshape(5, 40), vector[200:].reshape(1, 13)
        if plain:
            slab.add_plain(full, 0)
            slab.add_plain(rest, 5)
        else:
            full, rest = BF16[full.view(np.uint32) >> 16], BF16[rest.view(np.uint32) >> 16]
            slab.add_coded((full.view(np.uint32) >> 16).astype(np.uint16), BF16, 0)
            slab.add_coded((rest.view(np.uint32) >> 16).astype(np.uint16), BF16, 5)
        stats = combine([slab], exponent=0, elements=213)
        padded = np.vstack((full, np.pad(rest, ((0, 0), (0, 27)), constant_values=np.nan)))
        assert stats.mean == pytest.approx(np.nanmean(padded.astype(float)))
        np.testing.assert_allclose(stats.row_rms, np.sqrt(np.nanmean(padded.astype(float) ** 2, axis=1)), rtol=1e-5)
        np.testing.assert_allclose(stats.col_rms, np.sqrt(np.nanmean(padded.astype(float) ** 2, axis=0)), rtol=1e-5)


@pytest.mark.parametrize("table", [None, BF16])
def test_how_rows_are_handed_over_changes_not_a_bit(table: np.ndarray | None) -> None:
    values = (NORMAL if table is None else BITS)[:200, :300].copy()
    values[3, 4] = np.nan if table is None else 0x7FC0
    frozen = values.copy()
    frozen.flags.writeable = False
    wide = np.hstack((values, values))[:, :300]
    (expected,) = (slab.to_bytes() for slab in slabs_of(values, table))
    for other, band in ((values, 1), (values, 37), (values, 200), (frozen, 64), (wide, 64), (np.asfortranarray(values), 64)):
        assert [slab.to_bytes() for slab in slabs_of(other, table, band_rows=band)] == [expected]


def test_threads_and_stored_slabs_change_not_a_bit() -> None:
    expected = measured(NORMAL, slab_rows=512)
    parts = [NORMAL[start : start + 512] for start in range(0, len(NORMAL), 512)]
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda part: slabs_of(part)[0].to_bytes(), reversed(parts)))[::-1]
    assert combine([SlabStats.from_bytes(data) for data in done], exponent=0, elements=NORMAL.size) == expected
    mixed = [SlabStats.from_bytes(data) if k % 2 else slabs_of(parts[k])[0] for k, data in enumerate(done)]
    assert combine(mixed, exponent=0, elements=NORMAL.size) == expected


@settings(SLOW_OK, max_examples=25)
@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.floats(width=32)),
    st.sampled_from([np.float32, np.float64]),
)
def test_bytes_round_trip(values: np.ndarray, kind: Any) -> None:
    (slab,) = slabs_of(values.astype(kind))
    data = slab.to_bytes()
    assert SlabStats.from_bytes(data).to_bytes() == data == slab.to_bytes()


def test_adding_after_storing_goes_on_where_it_was() -> None:
    stored = SlabStats(128, 530)
    stored.add_plain(NORMAL[:64], 0)
    stored = SlabStats.from_bytes(stored.to_bytes())
    stored.add_coded(BITS[64:128], BF16, 64)
    check_against_numpy(
        combine([stored], exponent=0, elements=128 * 530), np.vstack((NORMAL[:64], BF16[BITS[64:128]])), rtol=1e-9
    )


def test_damaged_bytes_are_refused() -> None:
    (slab,) = slabs_of(NORMAL[:70, :9])
    data = slab.to_bytes()
    for cut in (0, 3, 8, 9, 40, len(data) - 1):
        with pytest.raises(ValueError, match="slab"):
            SlabStats.from_bytes(data[:cut])
    with pytest.raises(ValueError, match="slab"):
        SlabStats.from_bytes(data + b"\0")
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x10
        with pytest.raises(ValueError, match="slab"):
            SlabStats.from_bytes(bytes(broken))


def test_bytes_of_another_length_than_they_say_are_refused() -> None:
    data = SlabStats(2, 2).to_bytes()
    body = bytearray(zlib.decompress(data[8:-4]))
    struct.pack_into("<I", body, 0, 2**31)  # so many buckets
    forged = data[:8] + zlib.compress(bytes(body))
    with pytest.raises(ValueError, match="length"):
        SlabStats.from_bytes(forged + zlib.crc32(forged).to_bytes(4, "little"))


def test_values_outside_the_slab_or_the_table_are_refused() -> None:
    slab = SlabStats(4, 4)
    for shape, row in (((5, 4), 0), ((1, 4), 4), ((1, 5), 0), ((1, 1), -1)):
        with pytest.raises(ValueError, match="slab"):
            slab.add_plain(np.zeros(shape, np.float32), row)
        with pytest.raises(ValueError, match="slab"):
            slab.add_coded(np.zeros(shape, np.uint16), BF16, row)
    with pytest.raises(ValueError, match="table"):
        slab.add_coded(np.zeros((1, 1), np.uint16), BF16[:256], 0)


def test_slabs_that_lack_elements_are_refused() -> None:
    with pytest.raises(ValueError, match="elements"):
        combine(slabs_of(NORMAL[:64]), exponent=0, elements=64 * 530 + 1)


def test_a_real_model(bert: Any) -> None:
    tensors = load_file(bert)
    for name in ("embeddings.LayerNorm.weight", "encoder.layer.5.output.dense.weight", "embeddings.word_embeddings.weight"):
        array = tensors[name].reshape(-1, tensors[name].shape[-1])
        check_against_numpy(measured(array), array, rtol=1e-9)
