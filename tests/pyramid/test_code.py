import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwv.pyramid import code
from mwv.pyramid.reduce import leaf_float


def around(dtype):
    """Every threshold of the signed scale, the floats beside it, and the special values, with both signs."""
    exact = np.array(
        [2.0 ** (-13 + i) for i in range(2)] + [2.0 ** (-11 + i / 3) for i in range(39)] + [4.0, 16, 64, 256, 1024]
    )
    near = exact.astype(dtype)
    near = np.concatenate([near, np.nextafter(near, dtype(0)), np.nextafter(near, dtype(np.inf))])
    limits = np.finfo(dtype)
    special = np.array([0, np.inf, np.nan, limits.tiny, limits.smallest_subnormal, limits.max, 1657], dtype)
    return np.concatenate([near, -near, special, -special])


def test_leaf_codes_follow_the_definition():
    values = np.concatenate([around(np.float32).astype(np.float64), np.random.default_rng(0).standard_normal(100_000) * 0.02])
    # Within 10^-12 of an irrational threshold the logarithm of the oracle itself is not decisive.
    e = np.log2(np.abs(np.where(np.isfinite(values) & (values != 0), values, 1))) * 3
    decisive = (np.abs(e - np.round(e)) > 1e-12) | (e == np.round(e))
    np.testing.assert_array_equal(code.leaf_codes(values)[decisive], oracle.leaf(values)[decisive])


def test_every_bfloat16_and_float16_has_the_code_of_its_value():
    import ml_dtypes

    bits = np.arange(65536, dtype=np.uint16)
    for dtype in (ml_dtypes.bfloat16, np.float16):
        with np.errstate(invalid="ignore"):
            values = bits.view(dtype).astype(np.float64)
        np.testing.assert_array_equal(code.leaf_codes(values), oracle.leaf(values))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_buckets_decide_as_float64_does(dtype):
    word = np.uint32 if dtype is np.float32 else np.uint64
    rng = np.random.default_rng(1)
    bits = rng.integers(0, np.iinfo(word).max, 500_000, word, endpoint=True)
    bits = np.concatenate([bits, around(dtype).view(word)])
    buckets = code.leaf_scale(np.dtype(dtype).name)
    top = (bits >> word(8 * bits.itemsize - 16)).astype(int)
    magnitude = bits & word(np.iinfo(word).max >> 1)
    codes = buckets.low[top] + buckets.step[top] * (magnitude >= buckets.edge[top])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(codes.astype(np.uint8), code.leaf_codes(bits.view(dtype)))


@pytest.mark.parametrize("steps", [code.SIGNED_STEPS, code.BALANCED_STEPS])
def test_overview_levels_compare_mean_squares_with_squared_thresholds(steps):
    rng = np.random.default_rng(2)
    mean = np.exp2(rng.uniform(-40, 40, 200_000)).astype(np.float32)
    buckets = code.overview_scale(steps)
    bits = mean.view(np.uint32)
    levels = buckets.low[bits >> 16] + (bits >= buckets.edge[bits >> 16])
    want = oracle.level_of(np.sqrt(mean.astype(np.float64)), steps)
    assert (levels != want).mean() < 1e-5


def test_a_code_stands_for_the_middle_of_its_bin():
    for c in range(256):
        m = code.magnitude(c)
        if m == 0:
            assert c in (0, 1, *range(247, 256))
        elif code.sign(c):
            assert code.leaf_codes(np.array([m * code.sign(c)]))[0] == c
        else:
            assert oracle.level_of(np.array([m]), 11)[0] == c - 49


def test_magnitudes_rise_with_the_code_within_each_class():
    for first, last in ((2, 48), (49, 199), (200, 246)):
        magnitudes = [code.magnitude(c) for c in range(first, last + 1)]
        assert magnitudes == sorted(set(magnitudes))


@given(st.floats(width=32))
@settings(deadline=None)
def test_summands_keep_sign_and_never_lose_a_nonzero_value(value):
    got = float(code.summands(np.array([value], np.float32))[0])
    if not np.isfinite(value) or value == 0:
        assert got == 0
    else:
        assert np.sign(got) == np.sign(value)
        assert abs(got) == min(max(abs(np.float64(np.float32(value))), 2.0**-40), 2.0**30)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_leaves_enter_the_sums_as_summands_do(dtype):
    sizes = np.array([0.0, 5e-324, 1e-60, 1e-45, 2.0**-40, 0.3, 1e30, np.finfo(dtype).max, np.inf, np.nan], dtype)
    values = np.stack([sizes, -sizes])
    codes, summands = np.empty(values.shape, np.uint8), np.empty(values.shape, np.float32)
    leaf_float(values, codes, summands)
    np.testing.assert_array_equal(codes, code.leaf_codes(values))
    np.testing.assert_array_equal(summands, code.summands(values))
