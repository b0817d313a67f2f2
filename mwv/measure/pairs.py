"""Values of two tensors, a band at a time, in; what sets them apart out: counts and sums that can be stored and combined.

As with slabs, bands are added in order and parts combined in order, so that a result depends on the values alone.
"""

import math
import struct
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mwv.compiled import compiled
from mwv.measure.slabs import LARGEST
from mwv.measure.stats import TensorStats

VERSION: Final = 2
"""Of what is measured; belongs in the key under which parts are kept."""
_LEFT: Final = 1e-4
"""Part of the squares that must be left of them after a subtraction: of 16 digits 12 are then true."""
_PACKED: Final = struct.Struct("<5q5d")

Array = NDArray[Any]


@dataclass(frozen=True)
class PairSums:
    """Counts and sums over elements at the same place whose values differ, d = b - a; two NaNs do not differ."""

    changed: int = 0
    odd: int = 0
    """Those of which one is NaN or infinite; all sums of d leave them out."""
    grew: int = 0
    """Those with d > 0."""
    gone_a: int = 0
    gone_b: int = 0
    """Finite values that have no finite counterpart."""
    largest: float = 0.0
    """max |d|"""
    total: float = 0.0
    """Sum of d."""
    noise: float = 0.0
    """Sum of d²."""
    lost_a: float = 0.0
    lost_b: float = 0.0
    """Squares of the finite values that have no finite counterpart."""

    def __add__(self, other: "PairSums") -> "PairSums":
        """Both together; the order counts."""
        sums = [x + y for x, y in zip(astuple(self), astuple(other), strict=True)]
        sums[5] = max(self.largest, other.largest)
        return PairSums(*sums)

    def to_bytes(self) -> bytes:
        """All numbers."""
        return _PACKED.pack(*astuple(self))

    @classmethod
    def from_bytes(cls, body: bytes) -> "PairSums":
        """What `to_bytes` gave; raises ValueError for anything else."""
        if len(body) != _PACKED.size:
            raise ValueError("no sums of a pair")
        return cls(*_PACKED.unpack(body))


def combine(parts: Iterable[PairSums]) -> PairSums:
    """The sums of a pair of tensors from those of its parts, in order."""
    return sum(parts, start=PairSums())


@dataclass(frozen=True)
class Difference:
    """How the values of b differ from those of a, over the elements that both have, in stored values; they can be added."""

    elements: int = 0
    finite: int = 0
    """Elements that are finite in both, over which all sums go."""
    changed: int = 0
    odd: int = 0
    """Differing elements of which one is NaN or infinite."""
    grew: int = 0
    largest: float = 0.0
    """max |b - a|"""
    total: float = 0.0
    """Σ(b - a)"""
    noise: float = 0.0
    """Σ(b - a)²"""
    signal: float = 0.0
    """Σa²"""
    other: float = 0.0
    """Σb²"""

    def __add__(self, more: "Difference") -> "Difference":
        """Of two pairs of tensors together."""
        sums = {name: value + getattr(more, name) for name, value in vars(self).items()}
        return Difference(**{**sums, "largest": max(self.largest, more.largest)})

    @property
    def share(self) -> float:
        """Part of the elements that changed."""
        return self.changed / self.elements if self.elements else 0.0

    @property
    def mean(self) -> float:
        """Mean of b - a."""
        return self.total / self.finite if self.finite else 0.0

    @property
    def rms(self) -> float:
        """Root mean square of b - a."""
        return self._distance / math.sqrt(self.finite) if self.finite else 0.0

    @property
    def relative(self) -> float | None:
        """Frobenius norm of b - a over that of a.

        None where a is zero and b is not, where squares are too large, and where nothing that changed is finite on both sides.
        """
        if not self._squared or (self.odd and not self.finite):
            return None
        if self.signal:
            return self._distance / math.sqrt(self.signal)
        return None if self._distance else 0.0

    @property
    def cosine(self) -> float | None:
        """Between a and b as vectors, by Σab = (Σa² + Σb² - Σ(b - a)²) / 2; None where one is zero or too large."""
        if not self.signal or not self.other or not self._squared:
            return None
        if not self.noise:
            return 1.0
        dot = (self.signal + self.other - self.noise) / 2
        return max(-1.0, min(1.0, dot / math.sqrt(self.signal) / math.sqrt(self.other)))

    @property
    def snr(self) -> float | None:
        """Signal to noise in dB, 10·log10(Σa² / Σ(b - a)²); None where nothing differs, a is zero, or squares are too large."""
        if not self.signal or not self.noise or not self._squared:
            return None
        return 10 * (math.log10(self.signal) - math.log10(self.noise))

    def numbers(self) -> dict[str, float | None]:
        """What is told of it; None for what there is not, or what float64 does not hold."""
        told = {
            "changed": self.changed,
            "odd": self.odd,
            "grew": self.grew,
            "max": self.largest,
            "mean": self.mean,
            "rms": self.rms,
            "relative": self.relative,
            "cosine": self.cosine,
            "snr": self.snr,
        }
        return {name: value if value is None or math.isfinite(value) else None for name, value in told.items()}

    @property
    def _distance(self) -> float:
        """Frobenius norm of b - a; at least the largest of them, whose square may be too small for a float64."""
        return max(math.sqrt(self.noise), self.largest)

    @property
    def _squared(self) -> bool:
        """Whether float64 holds the sums of squares."""
        return all(map(math.isfinite, (self.noise, self.signal, self.other)))


def difference(sums: PairSums, a: TensorStats, b: TensorStats, squares: tuple[float, float] | None = None) -> Difference:
    """What sets two tensors apart, from the sums where they differ and the statistics of each: equal parts need not be read.

    Where statistics do not tell the `squares`, Σa² and Σb² over what is finite in both, these have to be given.
    """
    both = max(_finite(a) - sums.gone_a, 0)
    signal, other = squares or (_kept(a, sums.lost_a), _kept(b, sums.lost_b)) if both else (0.0, 0.0)
    elements = min(a.elements, b.elements)
    return Difference(elements, both, sums.changed, sums.odd, sums.grew, sums.largest, sums.total, sums.noise, signal, other)


def squares_known(sums: PairSums, a: TensorStats, b: TensorStats) -> bool:
    """Whether statistics tell squares: values are such that they count as they are, and what is lost leaves some digits."""
    return all(
        max(-(stats.minimum or 0.0), stats.maximum or 0.0) < LARGEST
        and (not lost or _kept(stats, lost) > _LEFT * _squares(stats))
        for stats, lost in ((a, sums.lost_a), (b, sums.lost_b))
    )


def _finite(stats: TensorStats) -> int:
    return stats.elements - stats.nan - stats.inf


def _squares(stats: TensorStats) -> float:
    return (stats.rms or 0.0) * (stats.rms or 0.0) * _finite(stats)


def _kept(stats: TensorStats, lost: float) -> float:
    """Sum of the squares of the finite values that have a finite counterpart."""
    return max(_squares(stats) - lost, 0.0)


def pair_sums(a: Array, b: Array) -> PairSums:
    """The sums over two arrays (rows × columns) of one type, float32 or float64; rows that one of them lacks are lost."""
    rows = min(len(a), len(b))
    counts, sums = np.zeros(5, np.int64), np.zeros(5)
    _add_pair(a[:rows], b[:rows], counts, sums)
    for side, values in enumerate((a[rows:], b[rows:])):
        finite = values[np.isfinite(values)].astype(np.float64)
        counts[3 + side] += len(finite)
        sums[3 + side] += float(np.sum(finite * finite))
    return PairSums(*counts.tolist(), *sums.tolist())


@compiled(
    "void(Array(float32, 2, 'C', readonly=True), Array(float32, 2, 'C', readonly=True), int64[::1], float64[::1])",
    "void(Array(float64, 2, 'C', readonly=True), Array(float64, 2, 'C', readonly=True), int64[::1], float64[::1])",
)
def _add_pair(a: Array, b: Array, counts: Array, sums: Array) -> None:
    """Add to `counts` (changed, odd, grew, gone_a, gone_b) and `sums` (largest, total, noise, lost_a, lost_b), row by row."""
    rows, cols = a.shape
    for i in range(rows):
        left, right = a[i], b[i]
        changed = odd = grew = 0
        largest = total = noise = 0.0
        # Nearly every row is finite; there nothing is branched on, for changes are as good as random. Equal values add 0.
        for j in range(cols):
            x, y = np.float64(left[j]), np.float64(right[j])
            d = y - x
            changed += int(x != y)
            grew += int(d > 0.0)
            largest = max(largest, abs(d))
            total += d
            noise += d * d
        if not (abs(total) < np.inf and noise < np.inf):
            changed = grew = 0
            largest = total = noise = 0.0
            for j in range(cols):
                x, y = np.float64(left[j]), np.float64(right[j])
                if x == y or (x != x and y != y):
                    continue
                changed += 1
                if abs(x) < np.inf and abs(y) < np.inf:
                    d = y - x
                    grew += int(d > 0.0)
                    largest = max(largest, abs(d))
                    total += d
                    noise += d * d
                    continue
                odd += 1
                if abs(x) < np.inf:
                    counts[3] += 1
                    sums[3] += x * x
                if abs(y) < np.inf:
                    counts[4] += 1
                    sums[4] += y * y
        counts[0] += changed
        counts[1] += odd
        counts[2] += grew
        sums[0] = max(sums[0], largest)
        sums[1] += total
        sums[2] += noise
