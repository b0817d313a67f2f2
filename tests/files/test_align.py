"""Alignments against difflib, and against what an alignment must be, whatever way it was found."""

import random
from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwv.files import align as module
from mwv.files.align import Gap, align, gaps, rising

few = st.lists(st.integers(0, 4), max_size=40)
many = st.lists(st.integers(0, 60), max_size=40)


def assert_aligned(a, b, blocks):
    """Blocks are equal, in order, and do not touch; gaps are the rest."""
    i = j = 0
    for block in blocks:
        assert block.length > 0 and block.a >= i and block.b >= j
        assert block.a > i or block.b > j or (i, j) == (0, 0)
        assert a[block.a : block.a + block.length] == b[block.b : block.b + block.length]
        i, j = block.a + block.length, block.b + block.length
    left = list(gaps(blocks, Gap(0, len(a), 0, len(b))))
    assert sum(gap.a_end - gap.a for gap in left) + sum(block.length for block in blocks) == len(a)
    assert sum(gap.b_end - gap.b for gap in left) + sum(block.length for block in blocks) == len(b)


def common(blocks):
    return sum(block.length for block in blocks)


def longest(a, b):
    """The length of a longest common subsequence, by its definition."""
    row = [0] * (len(b) + 1)
    for x in a:
        before = row
        row = [0]
        for j, y in enumerate(b):
            row.append(before[j] + 1 if x == y else max(row[j], before[j + 1]))
    return row[-1]


@given(few | many, few | many)
def test_what_is_common_is_longest(a, b):
    blocks = align(a, b)
    assert_aligned(a, b, blocks)
    assert common(blocks) == longest(a, b)
    assert common(blocks) >= sum(m.size for m in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())


@given(few | many, few | many)
def test_anchors_give_an_alignment_too(a, b):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_EXACT", 6)
        blocks = align(a, b)
    assert_aligned(a, b, blocks)
    assert bool(blocks) == bool(set(a) & set(b))


@given(few | many, few | many)
def test_without_a_budget_only_the_ends_are_common(a, b):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CELLS", 0)
        blocks = align(a, b)
    assert_aligned(a, b, blocks)
    assert len(blocks) <= 2


@given(st.lists(st.integers(0, 20), max_size=14, unique=True))
def test_rising_pairs_are_the_most(values):
    chain = rising(list(enumerate(values)))
    assert chain == sorted(chain) and [y for _, y in chain] == sorted(y for _, y in chain)
    assert set(chain) <= set(enumerate(values))
    assert len(chain) == longest(values, sorted(values))


def test_scattered_changes_in_a_long_sequence_are_found_one_by_one():
    rng = random.Random(1)
    a = list(range(150_000))
    b = a[:]
    gone = set(rng.sample(a, 2000))
    b = [x for x in a if x not in gone]
    for n in range(2000):
        b.insert(rng.randrange(len(b)), 200_000 + n)
    blocks = align(a, b)
    assert_aligned(a, b, blocks)
    assert common(blocks) == 148_000


def test_long_sequences_of_few_values_are_aligned_and_end():
    rng = random.Random(2)
    a = [rng.randrange(2) for _ in range(60_000)]
    b = a[:30_000] + [2] * 50 + a[30_000:-3] + [rng.randrange(2) for _ in range(5)]
    blocks = align(a, b)
    assert_aligned(a, b, blocks)
    assert common(blocks) >= 59_997
