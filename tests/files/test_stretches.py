"""Two files laid side by side: every byte of both is there once, in order, and what stands at each other is told rightly."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwv.checkpoint.source import FileSource
from mwv.files.beside import ABSENT, Side
from mwv.files.runs import ByteDiff, Run, compare_bytes, in_fewer
from mwv.files.stretches import EQUAL, ONLY_A, ONLY_B, REPLACED, Stretches

NOISE = random.Random(11).randbytes(400_000)


def laid(folder, a, b, most=None):
    """The sides of two files, the stretches, and both as rows of (byte of a or -1, byte of b or -1)."""
    (folder / "a").write_bytes(a)
    (folder / "b").write_bytes(b)
    sources = [FileSource(folder / name) for name in "ab"]
    diff = compare_bytes(*sources)
    if most is not None:
        diff = in_fewer(diff, *sources, most)
    found = Stretches.of(diff.runs)
    sides = [Side((source,), ("x",), which=which, laid=(found,)) for which, source in enumerate(sources)]
    columns = []
    for side, source in zip(sides, sources, strict=True):
        column = []
        for part in side.parts(0, side.length):
            read = source.read(part.begin, part.end - part.begin) if part.there else b""
            column += list(read) if part.there else [-1] * (part.end - part.begin)
        columns.append(column)
    return sides, found, np.array(columns).T.reshape(-1, 2)


def proven(found, rows, a, b):
    """Rows hold both files once and in order, and stretches say of each row what it is."""
    assert bytes(rows[rows[:, 0] >= 0, 0].astype(np.uint8)) == a
    assert bytes(rows[rows[:, 1] >= 0, 1].astype(np.uint8)) == b
    kinds = np.repeat(found.kinds, found.lengths)
    assert kinds.size == len(rows) == found.length
    assert np.array_equal(kinds == ONLY_A, rows[:, 1] < 0)
    assert np.array_equal(kinds == ONLY_B, rows[:, 0] < 0)
    same = rows[:, 0] == rows[:, 1]
    assert same[kinds == EQUAL].all()
    assert found.bytes_of(EQUAL) == same.sum()
    assert found.bytes_of(REPLACED) == (~same & (rows >= 0).all(axis=1)).sum()
    assert found.bytes_of(ONLY_A) == (rows[:, 1] < 0).sum() and found.bytes_of(ONLY_B) == (rows[:, 0] < 0).sum()
    for side, column in enumerate(rows.T):
        at = np.cumsum(found.lengths) - found.lengths
        assert found.starts(side).tolist() == [int((column[:i] >= 0).sum()) for i in at.tolist()]


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40), st.binary(max_size=40)), max_size=5)
)
def test_both_files_are_there_whatever_became_of_them(tmp_path_factory, a, edits):
    b = a
    for at, gone, new in edits:
        b = b[:at] + new + b[at + gone :]
    _, found, rows = laid(tmp_path_factory.mktemp("two"), a, b)
    proven(found, rows, a, b)


@pytest.mark.parametrize("most", [1, 5, 40, 1000])
def test_fewer_stretches_still_hold_both_files(tmp_path, most):
    rng = random.Random(5)
    b = bytearray(NOISE)
    for _ in range(150):
        at = rng.randrange(len(b))
        b[at : at + rng.randrange(30)] = rng.randbytes(rng.randrange(30))
    _, whole, _ = laid(tmp_path, NOISE, bytes(b))
    _, found, rows = laid(tmp_path, NOISE, bytes(b), most)
    proven(found, rows, NOISE, bytes(b))
    assert whole.kinds.size > 100
    assert found.kinds.size <= max(most, 5)
    if most == 1000:
        assert found.to_bytes() == whole.to_bytes()


def test_of_equally_long_stretches_some_stay_in_every_part(tmp_path):
    pieces = [NOISE[at : at + 100] for at in range(0, 100_000, 100)]
    for name, end in (("a", b"!"), ("b", b"")):
        (tmp_path / name).write_bytes(b"".join(piece + end for piece in pieces))
    runs = [
        (Run("equal", i * 101, 100, i * 100, 100, 0), Run("removed", i * 101 + 100, 1, i * 100 + 100, 0, 1))
        for i in range(1000)
    ]
    whole = ByteDiff([run for two in runs for run in two])
    fewer = in_fewer(whole, FileSource(tmp_path / "a"), FileSource(tmp_path / "b"), 200)
    kept = [run.b // 10_000 for run in fewer.runs if run.kind == "equal"]
    assert len(fewer.runs) <= 200 and len(kept) == 50
    assert set(kept) == set(range(10))


def test_an_insertion_leaves_all_after_it_where_it_was(tmp_path):
    b = NOISE[:123_456] + b"inserted" * 3 + NOISE[123_456:]
    _, found, _ = laid(tmp_path, NOISE, b)
    assert found.kinds.tolist() == [EQUAL, ONLY_B, EQUAL]
    assert found.lengths[1] == 24 and abs(int(found.lengths[0]) - 123_456) < 8


def test_a_longer_head_before_values_that_all_changed_does_not_smear_over_them(tmp_path):
    """As of a finetune whose header grew: every value is another, the bytes of their exponents are not."""
    values = np.frombuffer(NOISE, np.uint8).copy()
    other = values.copy()
    other[::2] += 1  # every second byte
    _, found, _ = laid(tmp_path, values.tobytes(), b"head" + other.tobytes())
    assert found.bytes_of(EQUAL) == values.size // 2
    assert found.bytes_of(ONLY_B) == 4


def test_a_file_that_is_written_with_other_spaces_is_aligned_word_by_word(tmp_path):
    words = [f"token{i}" for i in range(20_000)]
    a, b = " ".join(words).encode(), "\n".join(words).encode()
    _, found, rows = laid(tmp_path, a, b)
    proven(found, rows, a, b)
    assert found.bytes_of(EQUAL) > 0.9 * len(a)


def test_parts_of_any_range_are_those_of_the_whole(tmp_path):
    b = NOISE[:1000] + b"xyz" + NOISE[1500:20_000]
    sides, found, rows = laid(tmp_path, NOISE[:20_000], b)
    rng = random.Random(2)
    for _ in range(200):
        begin, end = sorted(rng.sample(range(found.length + 1), 2))
        for side, column in zip(sides, rows.T, strict=True):
            parts = list(side.parts(begin, end))
            assert sum(part.end - part.begin for part in parts) == end - begin
            got = [part.there for part in parts for _ in range(part.end - part.begin)]
            assert got == (column[begin:end] >= 0).tolist()


def test_bytes_in_a_row_are_one_part_whatever_became_of_them(tmp_path):
    """So a side without holes is read as if it stood alone, however many bytes of it differ."""
    b = bytearray(NOISE[:20_000])
    b[100::700] = (byte ^ 1 for byte in b[100::700])
    sides, found, _ = laid(tmp_path, NOISE[:20_000], bytes(b) + b"more")
    assert found.kinds.size > 50
    assert [part[1:] for part in sides[0].parts(5, 20_004)] == [(5, 20_000, True), (20_000, 20_004, False)]
    assert [part[1:] for part in sides[1].parts(5, 20_004)] == [(5, 20_004, True)]


def test_stretches_come_back_from_the_cache_and_nothing_else_does(tmp_path):
    _, found, _ = laid(tmp_path, NOISE[:5000], NOISE[:900] + b"!" + NOISE[1000:5000])
    again = Stretches.from_bytes(found.to_bytes())
    assert again.kinds.tolist() == found.kinds.tolist() and again.lengths.tolist() == found.lengths.tolist()
    for bad in (b"x", found.to_bytes()[:-1], b"\xff" * 17):
        with pytest.raises(ValueError, match=r"."):
            Stretches.from_bytes(bad)


def test_a_file_that_one_side_lacks_is_a_hole_there(tmp_path):
    (tmp_path / "a").write_bytes(NOISE[:700])
    source = FileSource(tmp_path / "a")
    lone = (Stretches.alone(0, 700),)
    one, other = Side((source,), ("x",), which=0, laid=lone), Side((ABSENT,), ("x",), which=1, laid=lone)
    assert [part.there for part in one.parts(0, 700)] == [True]
    assert [(part.there, part.end - part.begin) for part in other.parts(10, 700)] == [(False, 690)]
    assert one.form != other.form
