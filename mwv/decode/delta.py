"""Two tensors of like grids in, a Tensor of their differences out: b - a by a metric; what is equal is not read."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import frexp, sqrt
from typing import Any, Final, Literal

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mwv.compiled import compiled
from mwv.decode.banded import spelt
from mwv.decode.open import FileTensor
from mwv.decode.tensor import Extent, Plain, Samples
from mwv.errors import SourceChangedError

Metric = Literal["rms", "abs-log", "exact"]
VERSION: Final = 2
"""Raised whenever the same values would give other differences."""
ABS_LOG_EXPONENT: Final = 10
"""Differences of finetunes are small: in units of 2^-10 they lie where weights do."""
_FURTHEST: Final = 100
_LENGTH: Final = struct.Struct("<Q")

Array = NDArray[Any]


def exponent_of(metric: Metric, rms: float | None) -> int:
    """The unit of a difference is 2**this: that of `rms` is the inverse of the RMS of all of a, rounded to a power of two."""
    if metric == "rms":
        if not rms:
            return 0
        fraction, power = frexp(rms)
        return max(-_FURTHEST, min(_FURTHEST, (1 if fraction < sqrt(0.5) else 0) - power))
    return ABS_LOG_EXPONENT if metric == "abs-log" else 0


@dataclass(frozen=True, eq=False)
class Delta:
    """The difference of two tensors whose grids have one width; implements `Tensor`.

    A difference is 0 where both values are equal or both NaN, not finite where one of them is not, else b - a, in float32 if
    both are short floats, else in float64. By the metric `exact` it is only its sign, and of two floats of one type also -0
    and 0 differ, as do two NaNs with other bits. Rows that only one of the two has are its values. Bands with equal `digests`
    are not read.
    """

    a: FileTensor
    b: FileTensor
    digests: tuple[Sequence[bytes], Sequence[bytes]]
    """Value digests of all bands of a, and of b."""
    metric: Metric
    exponent: int
    """The unit is 2**exponent: samples are difference × unit."""

    @property
    def extents(self) -> tuple[Extent, ...]:
        """All that its values depend on."""
        return (*self.a.extents, *self.b.extents)

    def extents_of(self, bands: range) -> tuple[Extent, ...]:
        """Where the bytes of those bands lie that are not equal."""
        found: list[Extent] = []
        for band in bands:
            if not self._same(band):
                for side in (self.a, self.b):
                    found += side.extents_of(range(band, min(band + 1, side.bands)))
        return tuple(found)

    @property
    def form(self) -> tuple[object, ...]:
        """All that tells its bands from others of the same bytes."""
        return "delta", VERSION, self.metric, self.exponent, self.a.form, self.b.form

    @property
    def bands(self) -> int:
        """Number of bands of the longer one."""
        return max(self.a.bands, self.b.bands)

    def read(self, band: int) -> bytes:
        """The bytes of both, after the length of the first; nothing where they are equal."""
        if self._same(band):
            return b""
        first, second = (side.read(band) if band < side.bands else b"" for side in (self.a, self.b))
        return b"".join((_LENGTH.pack(len(first)), first, second))

    def read_run(self, bands: range) -> Iterator[bytes]:
        """The same for several bands."""
        return map(self.read, bands)

    def digest(self, band: int, raw: bytes) -> bytes:
        """Value digest of a band whose bytes are `raw`."""
        if self._same(band):
            return self.known[band]
        sides = zip((self.a, self.b), _parted(raw), strict=True)
        return self._joined(*(side.digest(band, part) if part else b"" for side, part in sides))

    @cached_property
    def known(self) -> tuple[bytes, ...]:
        """Value digests of all bands, which follow from those of a and b; equal for all bands of zeros of one shape."""
        return tuple(
            blake3(spelt({"recipe": "same", "rows": rows, "cols": cols})).digest()
            if self._same(band)
            else self._joined(*(digests[band] if band < len(digests) else b"" for digests in self.digests))
            for band, (rows, cols) in enumerate(map(self._shape, range(self.bands)))
        )

    def samples(self, band: int, raw: bytes, col: int, cols: int) -> Samples:
        """Grid rows of the band, grid columns `col` to `col + cols`."""
        rows, _ = self._shape(band)
        if not raw:
            return Plain(np.zeros((rows, cols), np.float32))
        sides = zip((self.a, self.b), _parted(raw), strict=True)
        first, second = (side.numbers(band, part, col, cols) if part else None for side, part in sides)
        if first is None or second is None:
            alone = second if first is None else first
            assert alone is not None
            return Plain(_scaled(_real(alone), self.exponent))
        both = min(len(first), len(second))
        made = self._between(first[:both], second[:both])
        rest = (first if len(first) > both else second)[both:]
        if len(rest):
            made = np.concatenate((made, _scaled(_real(rest), self.exponent).astype(made.dtype)))
        return Plain(made)

    def values(self, band: int) -> tuple[Array, Array] | None:
        """What a band of a and of b holds, as floats of one type, perhaps with fewer rows on one side; None if it is equal.

        Raises SourceChangedError if the bytes are not those of the digests.
        """
        if self._same(band):
            return None
        made = self._numbers(band)
        rows = min(map(len, made))
        x, y = alike(made[0][:rows], made[1][:rows])
        rest = [_real(side[rows:]).astype(x.dtype) for side in made]
        return np.concatenate((x, rest[0])) if len(rest[0]) else x, np.concatenate((y, rest[1])) if len(rest[1]) else y

    def magnitudes(self, band: int) -> tuple[Array, Array]:
        """|a| and |b| in float64 of what is finite on both sides of a band, equal or not; errors as `values`."""
        made = self._numbers(band)
        rows = min(map(len, made))
        x, y = (np.abs(_real(side[:rows]).astype(np.float64)) for side in made)
        both = np.isfinite(x) & np.isfinite(y)
        return x[both], y[both]

    def _numbers(self, band: int) -> list[Array]:
        """What a band of a and of b holds, checked; no rows beyond the end of one."""
        made = []
        for side, digests in zip((self.a, self.b), self.digests, strict=True):
            if band >= side.bands:
                made.append(np.zeros((0, side.row_elements // side.patch[0]), np.float32))
                continue
            raw = side.read(band)
            if side.digest(band, raw) != digests[band]:
                raise SourceChangedError(f"{side.info.name}: its bytes changed while they were being read; compare again")
            made.append(side.numbers(band, raw, 0, side.row_elements // side.patch[0]))
        return made

    def _between(self, a: Array, b: Array) -> Array:
        if self.metric == "exact":
            return _signs(a, b)
        x, y = alike(a, b)
        out = np.empty_like(x)
        _subtract(x, y, x.dtype.type(2.0**self.exponent), np.finfo(x.dtype).tiny, out)
        return out

    def _same(self, band: int) -> bool:
        a, b = self.digests
        return band < len(a) and band < len(b) and a[band] == b[band]

    def _shape(self, band: int) -> tuple[int, int]:
        """Grid rows and columns of a band."""
        side = self.a if band < self.a.bands else self.b
        longer = max((s.run(band)[1] for s in (self.a, self.b) if band < s.bands), default=0)
        high, wide = side.patch[0], side.row_elements // side.patch[0]
        return -(-longer // side.row_elements) * high, wide

    def _joined(self, a: bytes, b: bytes) -> bytes:
        facts = {"recipe": "delta", "version": VERSION, "metric": self.metric, "exponent": self.exponent}
        return blake3(spelt({**facts, "sides": [bool(a), bool(b)]}) + a + b).digest()


def _parted(raw: bytes) -> tuple[bytes, bytes]:
    (length,) = _LENGTH.unpack_from(raw)
    return raw[_LENGTH.size : _LENGTH.size + length], raw[_LENGTH.size + length :]


def alike(a: Array, b: Array) -> tuple[Array, Array]:
    """Two arrays of numbers as contiguous ones of one type of float, that differ where they do.

    Complex numbers become 0 and their distance; where one is infinite or NaN, so is what it becomes, and the other its
    magnitude. Integers that differ stay apart even where a float64 is too short for them.
    """
    if a.dtype == b.dtype == np.float32:
        return np.ascontiguousarray(a), np.ascontiguousarray(b)
    if "c" in (a.dtype.kind, b.dtype.kind):
        with np.errstate(all="ignore"):
            away = np.abs(b.astype(np.complex128) - a.astype(np.complex128))
            x, y = (np.abs(side.astype(np.complex128)) for side in (a, b))
        # What is not finite stays so on its side, or two NaNs would differ.
        x, y = (np.where(np.isnan(side), np.nan, size) for side, size in ((a, x), (b, y)))
        finite = np.isfinite(a) & np.isfinite(b)
        x = np.where(finite, 0.0, x)
        y = np.where(finite, away, np.where(np.isinf(x) & np.isinf(y), -y, y))
        return x, np.where(a == b, x, y)
    with np.errstate(all="ignore"):  # signalling NaNs stay NaNs
        x, y = a.astype(np.float64), b.astype(np.float64)
    if a.dtype.kind in "iu" and b.dtype.kind in "iu" and max(a.itemsize, b.itemsize) > 4:
        lost = (x == y) & (a != b)
        y[lost] = np.nextafter(x[lost], np.where(b[lost] > a[lost], np.inf, -np.inf))
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


def _real(values: Array) -> Array:
    """Values as floats, complex ones by their magnitude."""
    with np.errstate(all="ignore"):
        if values.dtype.kind == "c":
            values = np.abs(values)
        return values if values.dtype == np.float32 else values.astype(np.float64)


def _scaled(values: Array, exponent: int) -> Array:
    with np.errstate(all="ignore"):
        scaled: Array = np.ldexp(values, exponent)
    return scaled


def _signs(a: Array, b: Array) -> Array:
    """Whether each value grew (1), shrank (-1), or is the same (0); NaN where one is not finite and the other differs."""
    x, y = alike(a, b)
    with np.errstate(all="ignore"):
        made = np.sign(y - x)
        made[~np.isfinite(made) | ~(np.isfinite(x) & np.isfinite(y))] = np.nan
    made[(x == y) | (np.isnan(x) & np.isnan(y))] = 0
    if a.dtype == b.dtype and a.dtype.kind == "f":
        bits = f"u{x.itemsize}"
        turned = (x == y) & (np.signbit(x) != np.signbit(y))
        made[turned] = np.where(np.signbit(x[turned]), 1, -1)
        made[np.isnan(x) & np.isnan(y) & (x.view(bits) != y.view(bits))] = np.nan
    signs: Array = made.astype(np.float32)
    return signs


@compiled(
    "void(Array(float32, 2, 'C', readonly=True), Array(float32, 2, 'C', readonly=True), float32, float32, float32[:, ::1])",
    "void(Array(float64, 2, 'C', readonly=True), Array(float64, 2, 'C', readonly=True), float64, float64, float64[:, ::1])",
)
def _subtract(a: Array, b: Array, unit: float, least: float, out: Array) -> None:
    """(b - a) × unit; what is not zero does not become so."""
    rows, cols = a.shape
    for i in range(rows):
        left, right, made = a[i], b[i], out[i]
        for j in range(cols):
            x, y = left[j], right[j]
            d = (y - x) * unit
            d = d if d != 0.0 else (least if y > x else -least)
            made[j] = 0.0 if (x == y) | ((x != x) & (y != y)) else d
