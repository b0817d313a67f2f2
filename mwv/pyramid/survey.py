"""Tensors in, digests of their bands and statistics of their slabs out; what was read is kept a while for drawing."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import groupby
from threading import Lock
from typing import Any, Final, Protocol

from blake3 import blake3
from numpy.typing import NDArray

from mwv.decode.open import expect
from mwv.decode.tensor import Coded, Extent, Samples, Tensor
from mwv.errors import SourceChangedError
from mwv.layout.grid import Grid
from mwv.measure import slabs
from mwv.measure.slabs import SlabStats, combine
from mwv.measure.stats import TensorStats
from mwv.pyramid.keys import key_of
from mwv.pyramid.plan import Window, window_entry

SLAB_BANDS: Final = 64
"""Bands (of 64 storage rows) whose statistics are taken together."""


class Blobs(Protocol):
    """Cached results by key; every answer is either whole or a miss. Safe from several threads."""

    def has(self, key: str) -> bool:
        """Whether a result is there, by a cheap check."""

    def get(self, key: str) -> bytes | None:
        """A result's body, checked as a whole; None for a miss."""

    def put(self, key: str, body: bytes) -> object:
        """Keep a result."""

    def put_png(self, key: str, data: bytes) -> object:
        """Keep a picture."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A tensor to survey, its grid, and what is remembered about it from an earlier build."""

    name: str
    tensor: Tensor
    grid: Grid
    digests: tuple[bytes, ...] | None = None
    """Value digests of its bands, if its file is unchanged."""
    stats: TensorStats | None = None
    """Its statistics, if `digests` are remembered and these too."""


@dataclass
class Traffic:
    """Bytes read from the sources: to make tiles, and only to learn digests and statistics."""

    read: int = 0
    hashed: int = 0

    def add(self, other: "Traffic") -> None:
        """Count what another did, too."""
        self.read += other.read
        self.hashed += other.hashed


@dataclass
class _Entry:
    held: bytes | Samples
    """The bytes of a band, or what they were unpacked to."""
    size: int
    read: int
    drawn: bool


def _unnoticed(index: int) -> None:
    del index


@dataclass(eq=False)
class Survey:
    """Digests, statistics and samples of tensors, each slab surveyed once by whichever thread needs it first.

    Pixels are only ever drawn from bytes whose digest was checked: bytes that have left the buffer (of at most `budget`
    bytes) are read again and must give the digest they gave before. Where unpacking makes more of them, as dequantising
    does, it takes longer than all else; so what was unpacked for the statistics is kept instead, in half of the buffer.
    """

    subjects: Sequence[Subject | None]
    blobs: Blobs
    budget: int
    traffic: Traffic = field(default_factory=Traffic)
    learnt: Callable[[int], None] = _unnoticed
    """Called from any thread with each subject of which all is known by now that was not remembered."""

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        self._lock = Lock()
        self._buffer: OrderedDict[tuple[int, int], _Entry] = OrderedDict()
        self._buffered = 0
        self._slabs: dict[tuple[int, int], Future[list[bytes]]] = {}
        self._measured: dict[int, dict[int, SlabStats]] = {}
        self._stats: dict[int, TensorStats] = {}
        self._left: dict[int, int] = {}
        """Slabs yet to be surveyed, of subjects that have begun."""

    def digests(self, index: int, first: int, last: int) -> bytes:
        """Joined value digests of bands `first` to `last` - 1 of a subject."""
        touched = range(first // SLAB_BANDS, -(-last // SLAB_BANDS))
        found = [digest for slab in touched for digest in self._slab(index, slab)]
        start = first - touched.start * SLAB_BANDS
        return b"".join(found[start : start + last - first])

    def content(self, window: Window) -> list[object]:
        """What the key of a leaf says of a window."""
        subject = self.subjects[window.placement]
        assert subject is not None
        return window_entry(window, subject.grid, self.digests(window.placement, *window.storage_bands(subject.grid)))

    def samples(self, index: int, band: int, col: int, cols: int) -> Samples | None:
        """Samples of a band for drawing; None for a placement without tensor."""
        subject = self.subjects[index]
        if subject is None:
            return None
        held = self._held_for_drawing(subject, index, band)
        return subject.tensor.samples(band, held, col, cols) if isinstance(held, bytes) else _columns(held, col, cols)

    def expect(self, bands: Iterable[tuple[int, int]]) -> None:
        """Tell files which (placement, band) samples are going to be asked for, but for those that are held."""
        with self._lock:
            lacking = sorted(band for band in bands if band not in self._buffer)
        extents: list[Extent] = []
        for index, group in groupby(lacking, key=lambda band: band[0]):
            if (subject := self.subjects[index]) is not None:
                numbers = [band for _, band in group]
                extents += subject.tensor.extents_of(range(numbers[0], numbers[-1] + 1))
        expect(extents)

    def release(self, index: int, band: int) -> None:
        """Let go of a band that nobody is going to draw again."""
        with self._lock:
            entry = self._buffer.pop((index, band), None)
            self._buffered -= entry.size if entry else 0

    def result(self, index: int) -> tuple[list[bytes], TensorStats]:
        """Value digests of all bands of a subject, and its statistics."""
        subject = self.subjects[index]
        assert subject is not None
        digests = [digest for slab in range(_slabs_of(subject)) for digest in self._slab(index, slab)]
        return digests, self._stats[index] if subject.stats is None else subject.stats

    def _slab(self, index: int, slab: int) -> list[bytes]:
        with self._lock:
            future = self._slabs.get((index, slab))
            mine = future is None
            if future is None:
                future = self._slabs[index, slab] = Future()
        if mine:
            try:
                future.set_result(self._survey(index, slab))
            except BaseException as error:
                future.set_exception(error)
            else:
                self._check_whole(index)
        return future.result()

    def _check_whole(self, index: int) -> None:
        """Tell if a slab was the last of its subject to be surveyed."""
        subject = self.subjects[index]
        assert subject is not None
        with self._lock:
            self._left[index] = self._left.get(index, _slabs_of(subject)) - 1
            whole = self._left[index] == 0 and subject.stats is None
        if whole:
            self.learnt(index)

    def _survey(self, index: int, slab: int) -> list[bytes]:
        subject = self.subjects[index]
        assert subject is not None
        tensor, grid = subject.tensor, subject.grid
        bands = range(slab * SLAB_BANDS, min((slab + 1) * SLAB_BANDS, tensor.bands))
        if subject.digests is not None:
            digests = list(subject.digests[bands.start : bands.stop])
            if subject.stats is not None:
                return digests
        else:
            digests = []
            for band, raw in zip(bands, tensor.read_run(bands), strict=True):
                self._hold(index, band, raw, drawn=False)
                digests.append(tensor.digest(band, raw))
        joined = blake3(b"".join(digests)).hexdigest()
        key = key_of("slab", slabs.VERSION, joined, grid.cols, grid.patch, grid.elements % grid.cols)
        stats = _unpacked(self.blobs.get(key))
        if stats is None:
            stats = self._measure(subject, index, bands, digests)
            self.blobs.put(key, stats.to_bytes())
        self._keep(subject, index, slab, stats)
        return digests

    def _keep(self, subject: Subject, index: int, slab: int, stats: SlabStats) -> None:
        """Combine the statistics of a tensor as soon as the last of its slabs is there; the parts are then let go."""
        with self._lock:
            parts = self._measured.setdefault(index, {})
            parts[slab] = stats
            if len(parts) < _slabs_of(subject):
                return
            del self._measured[index]
        ordered = [parts[i] for i in sorted(parts)]
        self._stats[index] = combine(ordered, exponent=subject.tensor.exponent, elements=subject.grid.elements)

    def _measure(self, subject: Subject, index: int, bands: range, digests: Sequence[bytes]) -> SlabStats:
        grid = subject.grid
        height = grid.band_rows
        start = bands.start * height
        stats = SlabStats(min(bands.stop * height, grid.rows) - start, grid.cols)
        full, short = divmod(grid.elements, grid.cols)
        for band, digest in zip(bands, digests, strict=True):
            raw = self._raw(subject, index, band, digest)
            samples = subject.tensor.samples(band, raw, 0, grid.cols)
            self._keep_unpacked(index, band, samples)
            row = band * height
            rows = min(height, grid.rows - row)
            whole = min(rows, full - row)
            _add(stats, samples, slice(0, whole), grid.cols, row - start)
            if whole < rows:
                _add(stats, samples, slice(whole, rows), short, row + whole - start)
        return stats

    def _keep_unpacked(self, index: int, band: int, samples: Samples) -> None:
        """Let samples take the place of the bytes they come from, if they are larger and there is room."""
        size = _array(samples).nbytes
        with self._lock:
            entry = self._buffer.get((index, band))
            if entry is not None and entry.size < size <= self.budget // 2 - self._buffered:
                self._buffered += size - entry.size
                entry.held, entry.size = samples, size

    def _held_for_drawing(self, subject: Subject, index: int, band: int) -> bytes | Samples:
        digest = self.digests(index, band, band + 1)
        with self._lock:
            entry = self._buffer.get((index, band))
            if entry is not None:
                self._buffer.move_to_end((index, band))
                if not entry.drawn:
                    entry.drawn = True
                    self.traffic.hashed -= entry.read
                    self.traffic.read += entry.read
                return entry.held
        return self._reload(subject, index, band, digest, drawn=True)

    def _raw(self, subject: Subject, index: int, band: int, digest: bytes) -> bytes:
        with self._lock:
            entry = self._buffer.get((index, band))
        if entry is not None and isinstance(entry.held, bytes):
            return entry.held
        return self._reload(subject, index, band, digest, drawn=False)

    def _reload(self, subject: Subject, index: int, band: int, digest: bytes, *, drawn: bool) -> bytes:
        raw = subject.tensor.read(band)
        self._hold(index, band, raw, drawn=drawn)
        if subject.tensor.digest(band, raw) != digest:
            raise SourceChangedError(f"{subject.name}: its bytes changed while they were being read; build again")
        return raw

    def _hold(self, index: int, band: int, raw: bytes, *, drawn: bool) -> None:
        """Put the bytes of a band into the buffer, which may push others out."""
        with self._lock:
            if drawn:
                self.traffic.read += len(raw)
            else:
                self.traffic.hashed += len(raw)
            old = self._buffer.pop((index, band), None)
            self._buffered += len(raw) - (old.size if old else 0)
            self._buffer[index, band] = _Entry(raw, len(raw), len(raw), drawn)
            while self._buffered > self.budget and len(self._buffer) > 1:
                self._buffered -= self._buffer.popitem(last=False)[1].size


def _array(samples: Samples) -> NDArray[Any]:
    return samples.bits if isinstance(samples, Coded) else samples.values


def _columns(samples: Samples, col: int, cols: int) -> Samples:
    window = _array(samples)[:, col : col + cols]
    return replace(samples, bits=window) if isinstance(samples, Coded) else replace(samples, values=window)


def _slabs_of(subject: Subject) -> int:
    return -(-subject.tensor.bands // SLAB_BANDS)


def _unpacked(body: bytes | None) -> SlabStats | None:
    try:
        return None if body is None else SlabStats.from_bytes(body)
    except ValueError:
        return None


def _add(stats: SlabStats, samples: Samples, rows: slice, cols: int, row: int) -> None:
    """Add some rows of samples, their first `cols` columns, as rows from `row` on of the slab."""
    if rows.start < rows.stop:
        if isinstance(samples, Coded):
            stats.add_coded(samples.bits[rows, :cols], samples.table.values, row)
        else:
            stats.add_plain(samples.values[rows, :cols], row)
