"""Reads of a remote file in, their bytes out: fetched in few large pieces, ahead of those who read, each if possible once.

What is going to be read is said before (`expect`): these ranges, with the small gaps between them, make pieces of up to 8 MiB,
and who reads in one has the next ones fetched, too. A piece is let go when all that was expected of it has been read. What was
not announced, such as headers, comes in aligned pieces that grow while someone reads on and on.
"""

import itertools
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 8 << 20
"""Bytes of a piece."""
GAP: Final = 64 << 10
"""Fewer bytes than these between two ranges are fetched with them: less than another request costs."""
FIRST: Final = 256 << 10
GROWN: Final = 4 << 20
"""Bytes of pieces that were not announced: of the first, and of the longest unless one read is longer."""
LOOSE: Final = 16
"""How many of them are held."""
AHEAD: Final = 6
"""Pieces that are fetched before someone asks for them."""
THREADS: Final = 8
BUDGET: Final = 128 << 20
"""Bytes of pieces that are held at once, of all files together."""

_serial = itertools.count()

Fetch = Callable[[int, int], bytes]


@dataclass(frozen=True)
class Piece:
    """Bytes that are fetched by one request."""

    begin: int
    end: int
    wanted: int
    """How many of them were announced."""


@dataclass
class _Held:
    future: Future[bytes]
    size: int
    left: int
    """Bytes of it that are going to be read yet."""


class Pool:
    """The threads that fetch, and the pieces of all files that are held."""

    def __init__(self, budget: int = BUDGET) -> None:
        """No piece is held, no thread runs."""
        self._budget = budget
        self._threads = ThreadPoolExecutor(THREADS, "fetch")
        self._held: OrderedDict[tuple[int, int], _Held] = OrderedDict()
        self._done: set[tuple[int, int]] = set()
        """Pieces that were read to the end: who lags behind must not have them fetched ahead again."""
        self._size = 0
        self._lock = threading.Lock()

    def ask(self, owner: int, piece: Piece, fetch: Fetch, *, ahead: bool = False) -> Future[bytes] | None:
        """A piece that is held, or is fetched from now on; None if it is wanted `ahead` and was read, or there is no room."""
        with self._lock:
            held = self._held.get((owner, piece.begin))
            size = piece.end - piece.begin
            if held is not None and held.size == size:
                self._held.move_to_end((owner, piece.begin))
                return held.future
            if ahead and (self._size + size > self._budget or (owner, piece.begin) in self._done):
                return None
            future = self._threads.submit(fetch, piece.begin, piece.end)
            self._drop((owner, piece.begin))
            self._held[owner, piece.begin] = _Held(future, size, piece.wanted)
            self._size += size
            while self._size > self._budget and len(self._held) > 1:
                self._drop(next(iter(self._held)))
            return future

    def read(self, owner: int, piece: Piece, count: int) -> None:
        """Take note that `count` bytes of a piece have been read; it goes when none is left that was announced."""
        with self._lock:
            held = self._held.get((owner, piece.begin))
            if held is not None and piece.wanted:
                held.left -= count
                if held.left <= 0:
                    self._drop((owner, piece.begin))
                    self._done.add((owner, piece.begin))

    def forget(self, owner: int, piece: Piece) -> None:
        """Let go of a piece."""
        with self._lock:
            self._drop((owner, piece.begin))

    def close(self) -> None:
        """Fetch nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _drop(self, key: tuple[int, int]) -> None:
        if held := self._held.pop(key, None):
            self._size -= held.size


class Pieces:
    """One file; safe from several threads."""

    def __init__(self, pool: Pool, fetch: Fetch, size: int) -> None:
        """Nothing is expected yet."""
        self._pool, self._fetch, self._size = pool, fetch, size
        self._serial = next(_serial)  # an id would be another file's, once this one is forgotten
        self._planned: list[Piece] = []
        self._begins: list[int] = []
        self._loose: list[Piece] = []
        """The latest that were not announced."""
        self._lock = threading.Lock()

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Say which ranges, too, are going to be read."""
        with self._lock:
            more = list(plan(part for begin, end in ranges for part in self._new(begin, end)))
            begins = [piece.begin for piece in more]
            # A piece that filled a gap between others is part of one that spans them now.
            kept = (piece for piece in self._planned if not _covers(more, begins, piece))
            self._planned = sorted((*kept, *more), key=lambda piece: piece.begin)
            self._begins = [piece.begin for piece in self._planned]

    def _new(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of a range that no piece has."""
        number = max(bisect_right(self._begins, begin) - 1, 0)
        for piece in itertools.islice(self._planned, number, None):
            if piece.begin >= end:
                break
            if begin < piece.begin:
                yield begin, piece.begin
            begin = max(begin, piece.end)
        if begin < end:
            yield begin, end

    def read(self, offset: int, length: int) -> bytes:
        """Bytes that lie in the file."""
        parts, end = [], offset + length
        while offset < end:
            piece, following = self._piece(offset, end)
            future = self._pool.ask(self._serial, piece, self._fetch)
            assert future is not None
            for other in following:
                self._pool.ask(self._serial, other, self._fetch, ahead=other.begin >= end)
            try:
                body = future.result()
            except BaseException:
                self._pool.forget(self._serial, piece)  # who asks again tries again
                raise
            part = body[offset - piece.begin : end - piece.begin]
            self._pool.read(self._serial, piece, len(part))
            parts.append(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _piece(self, offset: int, end: int) -> tuple[Piece, list[Piece]]:
        """The piece that holds a byte, and if it was announced, those that are likely to be needed next."""
        with self._lock:
            number = bisect_right(self._begins, offset) - 1
            if number >= 0 and offset < self._planned[number].end:
                return self._planned[number], self._planned[number + 1 : number + 1 + AHEAD]
            return self._loose_piece(offset, end), []

    def _loose_piece(self, offset: int, end: int) -> Piece:
        for piece in self._loose:
            if piece.begin <= offset < piece.end:
                return piece
        begin = max([offset - offset % GAP, *(piece.end for piece in self._loose if piece.end <= offset)])
        last = self._loose[-1] if self._loose else Piece(0, 0, 0)
        length = min(2 * (last.end - last.begin), GROWN) if offset == last.end else 0
        stop = min(max(begin + max(length, FIRST), -(-end // GAP) * GAP), begin + LONGEST, self._size)
        self._loose = [*self._loose[1 - LOOSE :], Piece(begin, stop, 0)]
        return self._loose[-1]


def _covers(pieces: Sequence[Piece], begins: Sequence[int], other: Piece) -> bool:
    number = bisect_right(begins, other.begin) - 1
    return number >= 0 and other.begin < pieces[number].end


def plan(ranges: Iterable[tuple[int, int]]) -> Iterator[Piece]:
    """Pieces that cover ranges (begin, end), which may overlap, and little else."""
    begin = stop = wanted = 0
    for first, last in sorted(ranges):
        first = max(first, stop)
        while first < last:
            if wanted and (first - stop > GAP or first - begin >= LONGEST):
                yield Piece(begin, stop, wanted)
                wanted = 0
            if not wanted:
                begin = first
            end = min(last, begin + LONGEST)
            wanted += end - first
            first = stop = end
    if wanted:
        yield Piece(begin, stop, wanted)
