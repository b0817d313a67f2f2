"""Changes of JSON values: applied to the first they give the second; moved and renamed things are known as such."""

import copy
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwv.errors import FormatError
from mwv.files.parse import DEEPEST, front_matter, parse_json, parse_lines
from mwv.files.structure import compare_values, spelt

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf])
words = st.sampled_from(["", "a", "b", "id", "name", "a rather long string that tells"])
values = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(words, inner, max_size=5),
    max_leaves=30,
)


def same(a, b):
    """Equal as JSON texts are, but for the order of keys."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def at(value, path):
    for part in path:
        value = value[part]
    return value


def applied(a, changes):
    """What changes make of a value: what changed is replaced, what left is taken out, what came is put in."""
    box = [copy.deepcopy(a)]
    for change in changes:
        if change.kind == "changed":
            at(box, (0, *change.a[:-1]))[change.a[-1]] = copy.deepcopy(change.after) if change.a else None
            if not change.a:
                box[0] = copy.deepcopy(change.after)
    for path in sorted((c.a for c in changes if c.kind in ("removed", "moved", "renamed")), key=key_of, reverse=True):
        del at(box[0], path[:-1])[path[-1]]
    for change in sorted((c for c in changes if c.kind in ("added", "moved", "renamed")), key=lambda c: key_of(c.b)):
        parent, last = at(box[0], change.b[:-1]), change.b[-1]
        value = copy.deepcopy(change.after)
        if isinstance(parent, list):
            assert last <= len(parent)
            parent.insert(last, value)
        else:
            assert last not in parent
            parent[last] = value
    return box[0]


def key_of(path):
    return [(isinstance(part, str), part) for part in path]


def assert_leads(a, b):
    diff = compare_values(a, b)
    if any(c.kind == "changed" and not c.a for c in diff.changes):
        assert len(diff.changes) == 1 and diff.changes[0].after is b
    else:
        assert same(applied(a, diff.changes), b)
    for change in diff.changes:
        if change.a is not None:
            assert at(a, change.a) is change.before or change.before == {}
        if change.b is not None and change.kind != "added":
            assert at(b, change.b) is change.after or same(at(b, change.b), change.after)
        if change.kind in ("moved", "renamed"):
            assert same(change.before, change.after)
        if change.kind == "changed":
            assert not same(change.before, change.after)
    assert bool(diff.changes) == (not same(a, b))
    assert sum(diff.counts.values()) == len(diff.changes)
    return diff


@given(values, values)
def test_changes_lead_from_one_value_to_the_other(a, b):
    assert_leads(a, b)


@given(values, st.data())
def test_changes_of_a_value_that_was_edited_lead_to_it(a, data):
    b = copy.deepcopy(a)
    for _ in range(data.draw(st.integers(1, 4))):
        containers = list(inner(b))
        if containers:
            edit(data.draw(st.sampled_from(containers)), data)
    assert_leads(a, b)


def inner(value):
    if isinstance(value, dict | list):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from inner(item)


def edit(container, data):
    keys = list(container) if isinstance(container, dict) else range(len(container))
    what = data.draw(st.sampled_from(["put", "take", "move"]))
    taken = container.pop(data.draw(st.sampled_from(keys))) if what != "put" and keys else data.draw(values)
    if what != "take":
        if isinstance(container, dict):
            container[data.draw(words)] = taken
        else:
            container.insert(data.draw(st.integers(0, len(container))), taken)


def told(a, b):
    return [
        (c.kind, spelt(c.a) if c.a is not None else None, spelt(c.b) if c.b is not None else None)
        for c in compare_values(a, b).changes
    ]


def test_a_configuration_tells_what_became_of_each_key():
    a = {"layer_norm_eps": 1e-12, "hidden": 384, "rope_theta": 10000.0, "use_cache": True, "old": {"x": [1, 2]}}
    b = {
        "norm_eps": 1e-12,
        "hidden": 768,
        "rope_parameters": {"rope_theta": 10000.0, "type": "yarn"},
        "deep": {"er": {"x": [1, 2]}},
    }
    assert told(a, b) == [
        ("renamed", "layer_norm_eps", "norm_eps"),
        ("changed", "hidden", "hidden"),
        ("moved", "rope_theta", "rope_parameters.rope_theta"),
        ("removed", "use_cache", None),
        ("removed", "old", None),
        ("added", None, "rope_parameters"),
        ("added", None, "rope_parameters.type"),
        ("added", None, "deep"),
    ]


def test_what_is_equal_by_chance_is_not_renamed():
    assert told({"a": True, "b": 1}, {"c": True, "d": 1}) == [
        ("removed", "a", None),
        ("removed", "b", None),
        ("added", None, "c"),
        ("added", None, "d"),
    ]


def test_an_insertion_into_an_array_smears_nothing():
    a = [{"id": i, "content": f"<{i}>", "special": True} for i in range(50)]
    b = copy.deepcopy(a)
    b.insert(3, {"id": 99, "content": "<new>", "special": True})
    b[20]["special"] = False
    assert told(a, b) == [("added", None, "[3]"), ("changed", "[19].special", "[20].special")]


def test_an_element_that_moved_is_told_as_such():
    assert told(["a", "b", "c", "d"], ["b", "c", "d", "a"]) == [("moved", "[0]", "[3]")]
    # The order of its keys does not count.
    assert told([{"a": 1, "b": 2}, "x", "y"], ["x", "y", {"b": 2, "a": 1}]) == [("moved", "[0]", "[2]")]


def test_scores_of_a_unigram_vocabulary_change_under_their_tokens():
    a = [["the", -1.0], ["of", -2.0], ["a", -3.0]]
    b = [["the", -1.5], ["new", -9.0], ["of", -2.5], ["a", -3.5]]
    assert told(a, b) == [
        ("changed", "[0][1]", "[0][1]"),
        ("changed", "[1][1]", "[2][1]"),
        ("changed", "[2][1]", "[3][1]"),
        ("added", None, "[1]"),
    ]


@pytest.mark.parametrize(
    ("a", "b"), [("1", "1.0"), ("1", "true"), ("0.0", "-0.0"), ("0", "false"), ("null", "0"), ('"1"', "1")]
)
def test_what_python_takes_for_equal_differs(a, b):
    assert [c.kind for c in compare_values(parse_json(a.encode()), parse_json(b.encode())).changes] == ["changed"]


def test_nan_equals_nan_and_the_order_of_keys_does_not_count():
    assert not compare_values(parse_json(b'{"a": NaN, "b": [1e999]}'), parse_json(b'{"b": [Infinity], "a": NaN}')).changes


def test_keys_that_occur_again_are_all_there():
    assert parse_json(b'{"a": 1, "a": 2, "a (2)": 3, "a": 4}') == {"a": 1, "a (3)": 2, "a (2)": 3, "a (4)": 4}
    diff = compare_values(parse_json(b'{"a": 1, "a": 2}'), parse_json(b'{"a": 1, "a": 5}'))
    assert [(c.a, c.before, c.after) for c in diff.changes] == [(("a (2)",), 2, 5)]


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1),
        b"1" * 5000,
        b"[" + b"0," * 4_000_000 + b"0]",
        b"\xff\xfe",
        b"",
        b"{'a': 1}",
    ],
    ids=["open", "nested", "objects", "just too deep", "digits", "many", "not text", "empty", "python"],
)
def test_what_is_hostile_or_no_json_is_refused(text):
    with pytest.raises(FormatError):
        parse_json(text)


def test_the_deepest_values_are_compared():
    deep = [b"[" * DEEPEST + inside + b"]" * DEEPEST for inside in (b"1", b"2")]
    (change,) = compare_values(*map(parse_json, deep)).changes
    assert change.a == (0,) * DEEPEST and (change.before, change.after) == (1, 2)


def test_many_equal_things_on_one_side_take_no_quadratic_time():
    """Were each sought among all others, this would take minutes."""
    a = {f"a{i}": {"x": 5} for i in range(30_000)} | {f"n{i}": 7 for i in range(30_000)}
    b = {f"b{i}": {"x": 5} for i in range(30_000)} | {f"m{i}": 7 for i in range(30_000)}
    assert compare_values(a, b).counts == {"moved": 30_000, "removed": 30_000, "added": 30_000}


def test_lines_are_values_and_a_broken_one_is_refused():
    assert parse_lines(b'\xef\xbb\xbf{"a": 1}\r\n\n[2]\n') == [{"a": 1}, [2]]
    with pytest.raises(FormatError):
        parse_lines(b"1\n{\n")


def test_front_matter_is_read_as_it_is_written():
    front, text = front_matter("---\nlicense: no\ntags:\n- a\n- 1\n---\n# Title\n---\n")
    assert front == {"license": "no", "tags": ["a", "1"]} and text == "# Title\n---\n"
    assert front_matter("---\n---\nx") == ({}, "---\n---\nx")
    assert front_matter("# No\n---\na: b\n---\n")[0] == {}


@pytest.mark.parametrize(
    "yaml",
    [
        "a: &x [1]\nb: [*x, *x]",
        "a: [",
        "- a",
        "1: 2\n? [x]\n: 3",
        "[" * 100_000,
        "a: " + "[" * 300 + "]" * 300,
        "a: !!python/object:os.system x\nb: [",
    ],
    ids=["alias", "broken", "list", "odd key", "open", "deep", "tag"],
)
def test_odd_front_matter_is_text(yaml):
    text = f"---\n{yaml}\n---\nx\n"
    assert front_matter(text) == ({}, text)


def test_paths_are_spelt_so_that_one_can_tell_them():
    assert spelt(("model", "vocab", 'a "b"', 3, "x")) == 'model.vocab["a \\"b\\""][3].x'
    assert spelt(()) == "" and spelt(("",)) == '[""]'
