"""Pieces of remote files: what is announced is fetched once and little else, whoever reads it in which order."""

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as some

from mwv.errors import HubError
from mwv.hub.pieces import FIRST, GAP, LONGEST, Pieces, Pool, plan

SIZE = 64 << 20


class Remote:
    """A file whose bytes tell where they lie, and what was fetched of it."""

    def __init__(self, size: int = SIZE) -> None:
        self.data = random.Random(1).randbytes(size)
        self.fetched: list[tuple[int, int]] = []
        self.lock = threading.Lock()

    def fetch(self, begin: int, end: int) -> bytes:
        with self.lock:
            self.fetched.append((begin, end))
        return self.data[begin:end]

    @property
    def nbytes(self) -> int:
        return sum(end - begin for begin, end in self.fetched)


@given(some.lists(some.tuples(some.integers(0, 10 * LONGEST), some.integers(1, 3 * LONGEST)), max_size=30))
def test_pieces_cover_what_is_announced_and_only_small_gaps(pairs: list[tuple[int, int]]) -> None:
    ranges = [(begin, begin + length) for begin, length in pairs]
    pieces = list(plan(ranges))
    assert all(0 < piece.end - piece.begin <= LONGEST for piece in pieces)
    assert all(before.end <= after.begin for before, after in itertools.pairwise(pieces))
    edges = sorted({edge for pair in ranges for edge in pair} | {edge for p in pieces for edge in (p.begin, p.end)})
    wanted = fetched = 0
    for begin, end in itertools.pairwise(edges):
        inside = any(first <= begin and end <= last for first, last in ranges)
        covered = any(piece.begin <= begin and end <= piece.end for piece in pieces)
        assert covered or not inside
        assert inside or not covered or end - begin <= GAP
        wanted += (end - begin) * inside
        fetched += (end - begin) * covered
    assert sum(piece.wanted for piece in pieces) == wanted


def test_what_is_announced_is_fetched_once_by_many_readers() -> None:
    remote, pool = Remote(), Pool()
    pieces = Pieces(pool, remote.fetch, SIZE)
    ranges = [(begin, begin + 3_000_000) for begin in range(1000, SIZE - 3_000_000, 3_200_000)]
    pieces.expect(ranges)
    reads = [(begin + at, min(200_000, 3_000_000 - at)) for begin, _ in ranges for at in range(0, 3_000_000, 200_000)]
    with ThreadPoolExecutor(4) as readers:
        for (offset, length), body in zip(reads, readers.map(lambda read: pieces.read(*read), reads), strict=True):
            assert body == remote.data[offset : offset + length]
    assert remote.nbytes == 3_000_000 * len(ranges)
    assert len(remote.fetched) == len(ranges)
    pool.close()


def test_a_budget_that_is_too_small_costs_fetches_and_no_bytes_are_wrong() -> None:
    remote, pool = Remote(), Pool(budget=LONGEST)
    pieces = Pieces(pool, remote.fetch, SIZE)
    pieces.expect([(0, SIZE)])
    for offset in random.Random(2).sample(range(0, SIZE - 1000, 999_983), 40):
        assert pieces.read(offset, 1000) == remote.data[offset : offset + 1000]
    pool.close()


def test_nothing_is_fetched_ahead_that_was_not_announced() -> None:
    remote, pool = Remote(), Pool()
    pieces = Pieces(pool, remote.fetch, SIZE)
    assert pieces.read(0, 8) == remote.data[:8]
    assert pieces.read(8, 1000) == remote.data[8:1008]
    assert remote.fetched == [(0, FIRST)]
    assert pieces.read(SIZE - 22, 22) == remote.data[-22:]
    assert remote.nbytes < 2 * FIRST
    pieces.expect([(20 << 20, 21 << 20), (40 << 20, 41 << 20)])
    pieces.read(20 << 20, 10)
    pieces.read(40 << 20, 10)
    assert sorted(remote.fetched[2:]) == [(20 << 20, 21 << 20), (40 << 20, 41 << 20)]
    pool.close()


def test_what_is_announced_later_takes_in_what_lies_between() -> None:
    remote, pool = Remote(), Pool()
    pieces = Pieces(pool, remote.fetch, SIZE)
    small = [(begin, begin + 1500) for begin in range(600_000, 6_000_000, 600_000)]
    pieces.expect(small)
    assert pieces.read(600_000, 1500) == remote.data[600_000:601_500]
    pieces.expect([(0, 7_000_000)])
    for offset in range(0, 7_000_000, 70_000):
        assert pieces.read(offset, 70_000) == remote.data[offset : offset + 70_000]
    assert len(remote.fetched) <= len(small) + 1
    assert remote.nbytes <= 7_000_000 + 1500 * len(small)
    pool.close()


def test_headers_of_many_megabytes_take_few_fetches() -> None:
    remote, pool = Remote(), Pool()
    pieces = Pieces(pool, remote.fetch, SIZE)
    for offset in range(0, 12 << 20, 65_536):
        assert pieces.read(offset, 65_536) == remote.data[offset : offset + 65_536]
    assert len(remote.fetched) <= 8
    assert remote.nbytes < 17 << 20
    pool.close()


def test_a_piece_that_failed_is_asked_for_again() -> None:
    remote, pool = Remote(), Pool()
    failing = iter([HubError("busy")])

    def fetch(begin: int, end: int) -> bytes:
        for error in failing:
            raise error
        return remote.fetch(begin, end)

    pieces = Pieces(pool, fetch, SIZE)
    pieces.expect([(0, 100)])
    with pytest.raises(HubError):
        pieces.read(0, 100)
    assert pieces.read(0, 100) == remote.data[:100]
    pool.close()
