"""TensorStats through JSON text and through bytes."""

import json

import numpy as np
import pytest
from slab_measuring import measured

from mwv.measure.stats import TensorStats

RNG = np.random.default_rng(3)
OUTLIER = np.where(np.arange(40) == 7, 9.0, RNG.standard_normal((50, 40)))


@pytest.mark.parametrize(
    "values",
    [
        RNG.standard_normal((1500, 7)),
        np.full((2, 2), np.nan),
        np.array([[1e308, -1e308, 1e-310]]),
        np.full((1, 1), 1 / 3),
        OUTLIER,
    ],
    ids=["normal", "nan", "extreme", "one", "outlier"],
)
def test_every_number_survives(values: np.ndarray) -> None:
    stats = measured(values)
    assert TensorStats.from_bytes(stats.to_bytes()) == stats
    text = json.loads(json.dumps(stats.to_json(), allow_nan=False))
    assert text["row_rms"] == pytest.approx(list(stats.row_rms), rel=1e-5) and text["minimum"] == stats.minimum


def test_profiles_are_short_in_text() -> None:
    stats = measured((RNG.standard_normal((1024, 1024)) * 0.02).astype(np.float32))
    assert len(json.dumps(stats.to_json())) < 2048 * 13 + 1500


def test_other_data_is_refused() -> None:
    whole = measured(np.ones((2, 2))).to_bytes()
    head, _, profiles = whole.partition(b"\n")
    good = json.loads(head)
    heads = [{}, {**good, "unknown": 1}, {**good, "percentiles": [1]}, {k: v for k, v in good.items() if k != "nan"}]
    heads += [{**good, "row_outliers": other} for other in ([1], [[1]], [["a", 2]], None)]
    heads += [{**good, "row_rms": length} for length in (["f", -1], ["f", 3], ["f", 10**20], ["d", 2], ["q", 2], [1.0], None)]
    for bad in (whole[:-1], whole + b" ", head, b"", *(json.dumps(other).encode() + b"\n" + profiles for other in heads)):
        with pytest.raises(ValueError, match="no statistics"):
            TensorStats.from_bytes(bad)
