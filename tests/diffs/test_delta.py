"""Differences as a tensor, and sums of pairs: element by element against float64 numpy."""

from itertools import product
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save_file

from mwv.checkpoint.open import open_checkpoint
from mwv.decode.delta import Delta, Metric, exponent_of
from mwv.decode.open import FileTensor, open_tensor
from mwv.decode.tensor import Plain
from mwv.errors import SourceChangedError
from mwv.measure.pairs import PairSums, combine, pair_sums

ROWS, COLS = 150, 33
ODD = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, 1e-45, 3e38], np.float32)


def opened(path: Path, values: Any) -> FileTensor:
    save_file({"w": values}, path)
    checkpoint = open_checkpoint(path)
    return open_tensor(checkpoint.shards, checkpoint.tensors[0], values[0].size)


def delta(folder: Path, a: Any, b: Any, metric: Metric, exponent: int) -> Delta:
    sides = opened(folder / "a.safetensors", a), opened(folder / "b.safetensors", b)
    digests = tuple([side.digest(i, side.read(i)) for i in range(side.bands)] for side in sides)
    return Delta(*sides, (digests[0], digests[1]), metric, exponent)


def drawn(made: Delta) -> Any:
    """All its samples; what is read must have the digest that was foretold."""
    found = []
    for band in range(made.bands):
        raw = made.read(band)
        assert made.digest(band, raw) == made.known[band]
        samples = made.samples(band, raw, 0, COLS)
        assert isinstance(samples, Plain)
        found.append(samples.values)
    return np.concatenate(found)


def pair(dtype: Any, seed: int = 0) -> tuple[Any, Any]:
    """Two like arrays with everything odd in both, and a band that is equal."""
    random = np.random.default_rng(seed)
    a = random.standard_normal((ROWS, COLS)).astype(np.float32)
    b = a + random.standard_normal((ROWS, COLS)).astype(np.float32) * 1e-3
    b[:64] = a[:64]
    with np.errstate(all="ignore"):
        for i, (x, y) in enumerate(product(ODD, ODD)):
            a[100, i % COLS], b[100, i % COLS] = (x, y) if i < COLS else (a[100, i % COLS], b[100, i % COLS])
            a[101, i % COLS], b[101, i % COLS] = (x, y) if i >= COLS else (a[101, i % COLS], b[101, i % COLS])
        return a.astype(dtype), b.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize(("metric", "exponent"), [("rms", 7), ("abs-log", 10)])
def test_differences_are_those_of_numpy(tmp_path: Path, dtype: Any, metric: Metric, exponent: int) -> None:
    a, b = pair(dtype)
    made = drawn(delta(tmp_path, a, b, metric, exponent))
    wide = np.float64 if dtype is np.float64 else np.float32
    with np.errstate(all="ignore"):
        expected = (b.astype(wide) - a.astype(wide)) * wide(2.0**exponent)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    expected[same] = 0
    assert np.array_equal(made, expected, equal_nan=True)
    assert np.array_equal(made == 0, same)


@pytest.mark.parametrize(
    "dtypes", [(np.float32, np.float16), (np.int8, np.float32), (np.float64, np.int32), (np.uint8, np.int16)]
)
def test_types_may_differ(tmp_path: Path, dtypes: tuple[Any, Any]) -> None:
    random = np.random.default_rng(1)
    a, b = (random.integers(0, 100, (ROWS, COLS)).astype(t) for t in dtypes)
    assert np.array_equal(drawn(delta(tmp_path, a, b, "rms", 0)), b.astype(np.float64) - a.astype(np.float64))


def test_long_integers_that_differ_never_look_equal(tmp_path: Path) -> None:
    a = np.full((ROWS, COLS), 2**62, np.int64)
    b = a.copy()
    b[70, 3], b[71, 4] = 2**62 + 1, 2**62 - 1
    made = drawn(delta(tmp_path, a, b, "rms", 0))
    assert [tuple(at) for at in np.argwhere(made)] == [(70, 3), (71, 4)]
    assert made[70, 3] > 0 > made[71, 4]


def test_complex_numbers_differ_by_their_distance(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    a, b = (random.standard_normal((2, ROWS, COLS)) for _ in range(2))
    x, y = (parts[0] + 1j * parts[1] for parts in (a, b))
    assert np.allclose(
        drawn(delta(tmp_path, x.astype(np.complex64), y.astype(np.complex64), "rms", 0)), np.abs(y - x), rtol=1e-5
    )


def test_exact_shows_every_change_of_a_bit(tmp_path: Path) -> None:
    a, b = pair(np.float32)
    a[102, :3], b[102, :3] = [np.nan, 1, 0], [np.nan, np.nextafter(np.float32(1), np.float32(2)), 0]
    a.view(np.uint32)[102, 0] ^= 1
    made = drawn(delta(tmp_path, a, b, "exact", 0))
    assert np.array_equal(made != 0, a.view(np.uint32) != b.view(np.uint32))
    real = np.isfinite(a) & np.isfinite(b) & (a != b)
    assert np.array_equal(made[real], np.sign(b[real].astype(np.float64) - a[real]))
    assert np.isnan(made[102, 0]) and made[102, 1] == 1


def test_a_small_difference_in_a_large_unit_does_not_vanish(tmp_path: Path) -> None:
    a = np.zeros((ROWS, COLS), np.float32)
    b = a.copy()
    b[80, 5], b[81, 6] = 1e-44, -1e-44
    made = drawn(delta(tmp_path, a, b, "rms", -60))
    assert made[80, 5] > 0 > made[81, 6] and np.count_nonzero(made) == 2


@pytest.mark.parametrize("more", [1, 42, 64, 200])
@pytest.mark.parametrize("grown", [True, False])
def test_rows_of_one_side_are_its_values(tmp_path: Path, more: int, grown: bool) -> None:
    random = np.random.default_rng(3)
    short, long = random.standard_normal((ROWS, COLS)), random.standard_normal((ROWS + more, COLS))
    a, b = (short, long) if grown else (long, short)
    made = drawn(delta(tmp_path, a.astype(np.float32), b.astype(np.float32), "rms", 3))
    assert np.array_equal(made[:ROWS], (b.astype(np.float32)[:ROWS] - a.astype(np.float32)[:ROWS]) * 8)
    assert np.array_equal(made[ROWS:], long.astype(np.float32)[ROWS:] * 8)


def test_equal_bands_are_not_read(tmp_path: Path) -> None:
    a, b = pair(np.float32)
    made = delta(tmp_path, a, b, "rms", 0)
    assert [len(made.read(band)) > 0 for band in range(made.bands)] == [False, True, True]
    assert len({source for source, _ in made.extents_of(range(1))}) == 0


def test_bytes_that_change_meanwhile_are_an_error(tmp_path: Path) -> None:
    a, b = pair(np.float32)
    made = delta(tmp_path, a, b, "rms", 0)
    lied = Delta(made.a, made.b, (made.digests[0], [b"x" * 32] * 3), "rms", 0)
    with pytest.raises(SourceChangedError, match="changed while"):
        lied.values(1)


@pytest.mark.parametrize(
    ("rms", "exponent"), [(1.0, 0), (0.02, 6), (0.7, 1), (0.71, 0), (1.5, -1), (1.4, 0), (None, 0), (0.0, 0), (1e300, -100)]
)
def test_the_unit_is_the_power_of_two_next_to_the_rms(rms: float | None, exponent: int) -> None:
    assert exponent_of("rms", rms) == exponent
    assert exponent_of("abs-log", rms) == 10 and exponent_of("exact", rms) == 0


@settings(deadline=None)
@given(arrays(np.float32, (5, 7), elements=st.floats(width=32)), arrays(np.float32, (6, 7), elements=st.floats(width=32)))
def test_sums_are_those_of_numpy(a: Any, b: Any) -> None:
    found = pair_sums(a, b)
    x, y = a.astype(np.float64), b.astype(np.float64)[:5]
    rest = b.astype(np.float64)[5:]
    differ = ~((x == y) | (np.isnan(x) & np.isnan(y)))
    finite = np.isfinite(x) & np.isfinite(y)
    d = y[finite] - x[finite]
    assert (found.changed, found.odd, found.grew) == (differ.sum(), (differ & ~finite).sum(), (d > 0).sum())
    assert found.gone_a == (np.isfinite(x) & ~finite).sum()
    assert found.gone_b == (np.isfinite(y) & ~finite).sum() + np.isfinite(rest).sum()
    assert found.largest == np.max(np.abs(d), initial=0)
    assert np.isclose(found.noise, np.sum(d * d), rtol=1e-12)
    lost = np.sum(y[np.isfinite(y) & ~finite] ** 2) + np.sum(rest[np.isfinite(rest)] ** 2)
    assert np.isclose(found.lost_b, lost, rtol=1e-12)
    assert PairSums.from_bytes(found.to_bytes()) == found
    assert combine([found, PairSums()]) == found
