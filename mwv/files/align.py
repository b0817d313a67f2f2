"""Two sequences of whole numbers in, the blocks that they have in common out, in time and memory that a budget bounds."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rapidfuzz.distance import LCSseq

_EXACT: Final = 400_000_000
"""Cells of a table that is filled to find a longest common subsequence: one bit each, 0.1 s."""
_CELLS: Final = 50 * _EXACT
"""Cells of all tables."""
_PASSES: Final = 64
"""How often, on average, an element may be looked at in search of anchors."""


class Block(NamedTuple):
    """`length` equal elements, in one sequence from `a` on, in the other from `b` on."""

    a: int
    b: int
    length: int


class Gap(NamedTuple):
    """What lies between two blocks: no element of it has a counterpart at this place. One side may be empty."""

    a: int
    a_end: int
    b: int
    b_end: int


def align(a: Sequence[int], b: Sequence[int]) -> list[Block]:
    """Blocks in order, none touching the next on both sides.

    The common subsequence is a longest one where that takes few enough cells. Longer stretches are first cut at anchors:
    elements that occur once on either side, in their longest common order (Cohen's patience diff); where there are none,
    at the n-th occurrences of elements. What the budget does not reach counts as different.
    """
    found: list[Block] = []
    cells, looks = _CELLS, _PASSES * (len(a) + len(b))
    stack = [Gap(0, len(a), 0, len(b))]
    while stack:
        gap, ends = _trimmed(a, b, stack.pop())
        found += ends
        n, m = gap.a_end - gap.a, gap.b_end - gap.b
        if not n or not m:
            continue
        if n * m <= _EXACT:
            if (cells := cells - n * m) > 0:
                found += _longest(a, b, gap)
        elif (looks := looks - n - m) > 0:
            anchors = _anchors(a, b, gap)
            found += anchors
            if anchors:
                stack += gaps(anchors, gap)
    return _joined(sorted(found))


def gaps(blocks: Sequence[Block], within: Gap) -> Iterator[Gap]:
    """What blocks leave of a stretch, in order."""
    i, j = within.a, within.b
    for block in (*blocks, Block(within.a_end, within.b_end, 0)):
        if block.a > i or block.b > j:
            yield Gap(i, block.a, j, block.b)
        i, j = block.a + block.length, block.b + block.length


def _trimmed(a: Sequence[int], b: Sequence[int], gap: Gap) -> tuple[Gap, list[Block]]:
    """A gap without what is equal at its ends, and that."""
    i, i_end, j, j_end = gap
    while i < i_end and j < j_end and a[i] == b[j]:
        i, j = i + 1, j + 1
    head = Block(gap.a, gap.b, i - gap.a)
    while i < i_end and j < j_end and a[i_end - 1] == b[j_end - 1]:
        i_end, j_end = i_end - 1, j_end - 1
    tail = Block(i_end, j_end, gap.a_end - i_end)
    return Gap(i, i_end, j, j_end), [block for block in (head, tail) if block.length]


def _longest(a: Sequence[int], b: Sequence[int], gap: Gap) -> list[Block]:
    """Blocks of a longest common subsequence of a gap."""
    i, i_end, j, j_end = gap
    steps = LCSseq.opcodes(list(a[i:i_end]), list(b[j:j_end]))
    return [Block(i + s.src_start, j + s.dest_start, s.src_end - s.src_start) for s in steps if s.tag == "equal"]


def _anchors(a: Sequence[int], b: Sequence[int], gap: Gap) -> list[Block]:
    """Elements at which a gap is cut: those that occur once on either side; if there are none, all n-th occurrences."""
    i, i_end, j, j_end = gap
    of_a, of_b = a[i:i_end], b[j:j_end]
    in_a, in_b = Counter(of_a), Counter(of_b)
    place = {x: k for k, x in enumerate(of_b) if in_b[x] == 1}
    pairs = [(k, place[x]) for k, x in enumerate(of_a) if in_a[x] == 1 and x in place]
    if not pairs:
        places: defaultdict[int, list[int]] = defaultdict(list)
        for k, x in enumerate(of_b):
            places[x].append(k)
        met: Counter[int] = Counter()
        for k, x in enumerate(of_a):
            if met[x] < in_b[x]:
                pairs.append((k, places[x][met[x]]))
                met[x] += 1
    return [Block(i + k, j + n, 1) for k, n in rising(pairs)]


def rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Of pairs in order of their first numbers, the most whose second numbers rise, too."""
    tops: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for index, (_, value) in enumerate(pairs):
        at = bisect_left(tops, value)
        tops[at : at + 1] = [value]
        last[at : at + 1] = [index]
        before.append(last[at - 1] if at else -1)
    chain = []
    index = last[-1] if last else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def _joined(blocks: Sequence[Block]) -> list[Block]:
    """Blocks in order, those in one that touch on both sides."""
    joined: list[Block] = []
    for block in blocks:
        if joined and joined[-1].a + joined[-1].length == block.a and joined[-1].b + joined[-1].length == block.b:
            joined[-1] = joined[-1]._replace(length=joined[-1].length + block.length)
        else:
            joined.append(block)
    return joined
