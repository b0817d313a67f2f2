"""Hunks of texts: they make the second of the first, and differ in no more lines than difflib's."""

import random
from difflib import SequenceMatcher, unified_diff

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwv.errors import FormatError
from mwv.files import lines as module
from mwv.files.lines import AROUND, compare_texts

line = st.sampled_from(["a", "b", "", "c d", "\r", "x\u2028y", "\x0b", "e\ttab"])
texts = st.builds("{}{}".format, st.lists(line, max_size=30).map("\n".join), st.sampled_from(["", "\n"]))


def patched(diff):
    """The second text's lines, from the first's and the hunks alone."""
    result, i = [], 0
    for hunk in diff.hunks():
        for row in hunk:
            if row.kind in (" ", "-"):
                while i < row.a - 1:
                    result.append(bare(diff.a[i]))
                    i += 1
                assert bare(diff.a[i]) == row.text
                i += 1
            if row.kind in (" ", "+"):
                result.append(row.text)
                assert len(result) == row.b
    return result + [bare(text) for text in diff.a[i:]]


def bare(text):
    return text[:-1] if text.endswith("\n") else text


@given(texts, texts)
def test_hunks_make_one_text_of_the_other(a, b):
    diff = compare_texts(a, b)
    assert "".join(diff.a) == a and "".join(diff.b) == b
    assert patched(diff) == [bare(text) for text in diff.b]
    matched = sum(m.size for m in SequenceMatcher(None, list(diff.a), list(diff.b), autojunk=False).get_matching_blocks())
    assert diff.removed <= len(diff.a) - matched and diff.added <= len(diff.b) - matched
    for hunk in diff.hunks():
        marks = "".join(row.kind for row in hunk)
        assert marks.strip(" ") and " " * (2 * AROUND + 1) not in marks
        assert not marks.startswith(" " * (AROUND + 1)) and not marks.endswith(" " * (AROUND + 1))


def test_hunks_are_those_of_difflib_where_there_is_one_way_to_align():
    rng = random.Random(5)
    a = [f"line {i}" for i in range(300)]
    b = [f"new {i}" if rng.random() < 0.04 else text for i, text in enumerate(a) if rng.random() > 0.03]
    diff = compare_texts("\n".join(a) + "\n", "\n".join(b) + "\n")
    ours = [[row.kind + row.text for row in hunk] for hunk in diff.hunks()]
    theirs = []
    for row in list(unified_diff(a, b, lineterm="", n=AROUND))[2:]:
        if row.startswith("@@"):
            theirs.append([])
        else:
            theirs[-1].append(row)
    assert len(ours) > 3
    assert ours == theirs


def test_only_line_feeds_end_lines():
    diff = compare_texts("a\u2028b\r\nc", "a\u2028b\nc")
    assert [(row.kind, row.text) for hunk in diff.hunks() for row in hunk] == [
        ("-", "a\u2028b\r"),
        ("+", "a\u2028b"),
        (" ", "c"),
    ]


def test_too_many_lines_are_no_text(monkeypatch):
    monkeypatch.setattr(module, "MOST_LINES", 10)
    assert compare_texts("\n" * 10, "\n" * 9).removed == 1
    with pytest.raises(FormatError):
        compare_texts("\n" * 11, "")
