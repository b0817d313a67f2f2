"""Channels that stand out: planted ones are found among noise, noise itself and wide distributions are not."""

import numpy as np
import pytest

from mwv.measure.channels import outliers

RNG = np.random.default_rng(11)


def noise(rows: int, cols: int) -> np.ndarray:
    return RNG.standard_normal((rows, cols)) * 0.02


def of_rows(values: np.ndarray) -> tuple[tuple[int, float], ...]:
    return outliers(np.sqrt((values**2).mean(axis=1)), values.shape[1])


@pytest.mark.parametrize(("rows", "cols"), [(5000, 16), (16, 5000), (300, 300)])
def test_noise_has_none(rows: int, cols: int) -> None:
    assert of_rows(noise(rows, cols)) == ()


def test_planted_channels_are_found_the_farthest_first() -> None:
    values = noise(400, 128)
    values[[7, 300, 201]] *= np.array([[5.0], [9.0], [3.0]])
    found = of_rows(values)
    assert [index for index, _ in found] == [300, 7]
    rms = np.sqrt((values**2).mean(axis=1))
    assert [ratio for _, ratio in found] == pytest.approx([rms[300] / np.median(rms), rms[7] / np.median(rms)], rel=1e-3)


@pytest.mark.parametrize(("rows", "many"), [(100, 2), (40, 1), (20_000, 64)])
def test_only_few_channels_stand_out(rows: int, many: int) -> None:
    values = noise(rows, 16)
    values[:many] *= 20
    assert sorted(index for index, _ in of_rows(values)) == list(range(many))
    values[many] *= 20
    assert of_rows(values) == ()


def test_small_matrices_have_no_channels() -> None:
    values = noise(16, 16)
    values[3] *= 20
    assert [index for index, _ in of_rows(values)] == [3]
    assert of_rows(values[:15]) == of_rows(values[:, :15]) == ()


def test_a_matrix_that_is_mostly_zero_has_no_median_to_compare_with() -> None:
    values = noise(200, 32)
    values[2:] = 0
    assert of_rows(values) == ()
    assert of_rows(np.zeros((200, 32))) == ()
