"""Runs of bytes: with the first file they make the second, and an insertion smears nothing."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwv.checkpoint.source import FileSource
from mwv.files import runs as module
from mwv.files.runs import compare_bytes

NOISE = random.Random(7).randbytes(1_500_000)


def compared(folder, a, b):
    """The runs of two files, proven to cover both and to be what they say."""
    (folder / "a").write_bytes(a)
    (folder / "b").write_bytes(b)
    sources = [FileSource(folder / name) for name in "ab"]
    diff = compare_bytes(*sources)
    for source in sources:
        source.close()
    i = j = 0
    rebuilt = b""
    for run in diff.runs:
        assert (run.a, run.b) == (i, j)
        i, j = i + run.a_length, j + run.b_length
        old, new = a[run.a : i], b[run.b : j]
        if run.kind == "equal":
            assert run.a_length == run.b_length > 0 == run.differing
            rebuilt += old
            continue
        assert run.kind == ("replaced" if old and new else "removed" if old else "inserted") and (old or new)
        n = min(len(old), len(new))
        others = int(np.count_nonzero(np.frombuffer(old[:n], np.uint8) != np.frombuffer(new[:n], np.uint8)))
        assert run.differing == others + abs(len(old) - len(new))
        rebuilt += new
    assert (i, j) == (len(a), len(b)) and rebuilt == b
    assert diff.equal == sum(run.a_length for run in diff.runs if run.kind == "equal")
    assert all(one.kind != "equal" or other.kind != "equal" for one, other in zip(diff.runs, diff.runs[1:], strict=False))
    return diff


def shapes(diff):
    return [(run.kind, run.a_length, run.b_length, run.differing) for run in diff.runs if run.kind != "equal"]


@pytest.mark.parametrize("at", [0, 1, 700_000, 1_499_999, 1_500_000])
def test_an_insertion_is_one_run(tmp_path, at):
    diff = compared(tmp_path, NOISE, NOISE[:at] + b"\x00inserted\xff" + NOISE[at:])
    assert sum(run.differing for run in diff.runs) == 10 and len(diff.runs) <= 3


def test_two_insertions_close_to_each_other_are_two_runs(tmp_path):
    diff = compared(tmp_path, NOISE, NOISE[:700_000] + b"one" + NOISE[700_000:703_000] + b"other" + NOISE[703_000:])
    assert shapes(diff) == [("inserted", 0, 3, 3), ("inserted", 0, 5, 5)]


@pytest.mark.parametrize("at", [0, 700_000, 1_499_000])
def test_a_removal_is_one_run(tmp_path, at):
    diff = compared(tmp_path, NOISE, NOISE[:at] + NOISE[at + 1000 :])
    assert sum(run.differing for run in diff.runs) == 1000


def test_a_single_bit_is_seen_and_nothing_else(tmp_path):
    other = bytearray(NOISE)
    other[900_001] ^= 1
    assert shapes(compared(tmp_path, NOISE, bytes(other))) == [("replaced", 1, 1, 1)]


def test_values_changed_in_place_stay_in_place(tmp_path):
    rng = random.Random(3)
    other = bytearray(NOISE)
    for at in range(300_000, 400_000, 900):
        other[at] ^= rng.randrange(1, 256)
    diff = compared(tmp_path, NOISE, bytes(other))
    assert diff.differing == len(range(300_000, 400_000, 900))
    assert len(diff.runs) < 10


def test_pieces_in_common_that_share_bytes_are_counted_once(tmp_path):
    """Every space is two: what lies before it and what lies after it both have it in common with the one space."""
    words = [f"word{i:08d}" for i in range(3000)]
    a, b = " ".join(words).encode(), "  ".join(words).encode()
    assert compared(tmp_path, a, b).equal > 0.99 * len(a)


def test_moved_blocks_and_edits_together(tmp_path):
    other = b"head" + NOISE[5000:400_000] + NOISE[600_000:] + NOISE[400_000:600_000]
    diff = compared(tmp_path, NOISE, other)
    assert diff.equal >= len(NOISE) - 210_000


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (b"", b"x"),
        (b"x", b""),
        (b"", b""),
        (b"a", b"b"),
        (bytes(300_000), bytes(300_001)),
        (bytes(100_000), b"\1" * 90_000),
        (b"ab" * 9, b"ba" * 9),
    ],
)
def test_small_and_dull_files(tmp_path, a, b):
    compared(tmp_path, a, b)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 900), st.binary(max_size=300)), max_size=5))
def test_edits_of_any_kind(tmp_path_factory, edits):
    other = bytearray(NOISE[:40_000])
    for at, length, new in edits:
        other[at : at + length] = new
    compared(tmp_path_factory.mktemp("runs"), NOISE[:40_000], bytes(other))


def test_what_is_too_much_to_cut_finely_is_still_told_right(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_REFINED", 1000)
    monkeypatch.setattr(module, "_READ", 999)
    diff = compared(tmp_path, NOISE, NOISE[:700_000] + b"inserted" + NOISE[700_000:])
    assert 0 < diff.differing <= 260_000


def test_a_stretch_too_long_to_refine_takes_nothing_from_those_after_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_REFINED", 400_000)
    other = bytearray(NOISE)
    other[:700_000] = random.Random(1).randbytes(700_000)
    other[1_200_000:1_200_000] = b"new"
    diff = compared(tmp_path, NOISE, bytes(other))
    assert shapes(diff)[-1] == ("inserted", 0, 3, 3)
