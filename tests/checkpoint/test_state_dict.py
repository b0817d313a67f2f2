"""Names of tensors in nested checkpoints, as users of torch nest them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwv.checkpoint.dtypes import PLAIN
from mwv.checkpoint.pickle_machine import Global, Inert, Pairs
from mwv.checkpoint.state_dict import named_tensors
from mwv.checkpoint.torch_objects import Storage, Unreadable, View, call

VIEW = View(Storage(PLAIN["F32"], "float", "0", 4), 0, (4,), (1,), PLAIN["F32"], "float")
NUMBER = View(Storage(PLAIN["F32"], "float", "1", 1), 0, (), (), PLAIN["F32"], "float")


def inert(value: Any) -> Any:
    """A Python object as the pickle machine gives it."""
    if isinstance(value, dict):
        return Pairs([(key, inert(child)) for key, child in value.items()])
    return [inert(child) for child in value] if isinstance(value, list) else value


def names(value: Any) -> list[str]:
    return [name for name, _ in named_tensors("x.bin", inert(value)).tensors]


def notes(value: Any) -> tuple[str, ...]:
    return named_tensors("x.bin", inert(value)).notes


WEIGHTS = {"a.weight": VIEW, "a.bias": VIEW}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (WEIGHTS, ["a.weight", "a.bias"]),
        (VIEW, ["tensor"]),
        ([VIEW, {"b": VIEW}], ["0", "1.b"]),
        ({0: VIEW, 1: {2: VIEW}}, ["0", "1.2"]),
        ({"a": {"b": {"c": VIEW}}}, ["a.b.c"]),
        # One wrapper, or several about each other, add nothing.
        ({"state_dict": WEIGHTS, "epoch": 3}, ["a.weight", "a.bias"]),
        ({"model": {"module": WEIGHTS}, "step": NUMBER}, ["a.weight", "a.bias", "step"]),
        # Two are told apart.
        ({"model": WEIGHTS, "ema": {"a.weight": VIEW}}, ["model.a.weight", "model.a.bias", "ema.a.weight"]),
        # A name that only looks like a wrapper's stays.
        ({"model.layers.0.w": VIEW, "model.norm.w": VIEW}, ["model.layers.0.w", "model.norm.w"]),
        ({"encoder": WEIGHTS}, ["encoder.a.weight", "encoder.a.bias"]),
        ({"model": VIEW}, ["model"]),
        # What DataParallel and torch.compile put before all names goes, before some it stays.
        ({"module.a": VIEW, "module.b": VIEW}, ["a", "b"]),
        ({"state_dict": {"module._orig_mod.a": VIEW}}, ["a"]),
        ({"module.a": VIEW, "b": VIEW}, ["module.a", "b"]),
        ({"module.": VIEW}, ["module."]),
        # Different keys that give one name.
        ({"a.b": VIEW, "a": {"b": VIEW}, "a.b#2": VIEW}, ["a.b", "a.b#3", "a.b#2"]),
        ({"1": VIEW, 1: VIEW}, ["1"]),
        ({"": VIEW, "x": {"": VIEW}}, ["tensor", "x"]),
        ({}, []),
    ],
)
def test_names(value: Any, expected: list[str]) -> None:
    assert names(value) == expected


@pytest.mark.parametrize(
    "key",
    [
        "optimizer",
        "optimizer_states",
        "optimizer_state_dict",
        "opt_state",
        "lr_schedulers",
        "scheduler",
        "grad_scaler",
        "callbacks",
    ],
)
def test_states_of_training_are_left_out_with_a_note(key: str) -> None:
    value = {"state_dict": WEIGHTS, key: [{"state": {0: {"exp_avg": VIEW, "step": NUMBER}}}]}
    assert names(value) == ["a.weight", "a.bias"]
    assert notes(value) == (f"'{key}': left out, state of training (tensors: 2)",)


def test_random_states_are_left_out_even_as_bare_tensors() -> None:
    value = {"state_dict": WEIGHTS, "rng_state": VIEW, "cuda_rng_state_all": [VIEW]}
    assert names(value) == ["a.weight", "a.bias"]
    assert len(notes(value)) == 2


@pytest.mark.parametrize("key", ["adopt", "optical_flow", "option", "scalers_mlp.weight", "optimizer.weight"])
def test_weights_whose_names_are_only_similar_stay(key: str) -> None:
    assert key in " ".join(names({"a": VIEW, key: {"w": VIEW}} if "." not in key else {"a": VIEW, key: VIEW}))


def test_a_file_of_optimizer_states_alone_is_shown() -> None:
    assert names({"optimizer": {"state": {0: {"exp_avg": VIEW}}}}) == ["optimizer.state.0.exp_avg"]


def test_unreadable_tensors_are_named_and_many_are_counted() -> None:
    value = {"w": VIEW, **{f"n{i}": Unreadable("a numpy array") for i in range(12)}}
    assert notes(value)[0] == "'n0': left out, a numpy array"
    assert notes(value)[10:] == ("2 more things of such kinds are left out",)


def test_objects_keep_their_tensors() -> None:
    module = Inert(Global("m", "M"), (), inert({"training": True, "_parameters": {"w": VIEW}, "_buffers": {}, "_modules": {}}))
    outer = Inert(
        Global("m", "N"),
        (),
        inert({"x": VIEW, "_parameters": {"v": VIEW}, "_buffers": {"r": VIEW}, "_modules": {"sub": module}}),
    )
    assert names({"net": outer}) == ["v", "r", "sub.w"]
    slots = Inert(Global("m", "S"), (), (None, inert({"w": VIEW})))
    subclass = Inert(Global("m", "D"), (), None, [("k", VIEW)], [VIEW])
    assert names({"s": slots, "d": subclass, "t": Inert(Global("m", "T"), (VIEW, 1))}) == ["s.w", "d.k", "d.0", "t.0"]


def test_dictionaries_made_of_others() -> None:
    # Python 2 pickled an OrderedDict as one made of a list of lists.
    pairs = call(Global("collections", "OrderedDict"), ([["a.w", VIEW], ["a.b", VIEW], ("c", VIEW), ["odd"]],))
    assert names({"state_dict": pairs}) == ["a.w", "a.b", "c"]
    pairs.pairs.append(("d", VIEW))
    assert sorted(names(pairs)) == ["a.b", "a.w", "c", "d"]
    assert names(call(Global("builtins", "dict"), (inert(WEIGHTS),))) == ["a.weight", "a.bias"]
    assert names(call(Global("collections", "defaultdict"), (Global("builtins", "list"), inert(WEIGHTS)))) == list(WEIGHTS)
    # A pickle may forge what these are made of.
    assert names({"w": VIEW, "f": Inert("a mapping", 5), "g": Inert("a mapping", ("x", None, [1, [[], VIEW]]))}) == ["w"]


def test_circles_end() -> None:
    circle = Pairs([("w", VIEW)])
    circle.pairs.append(("self", circle))
    assert names(circle) == ["w"]


@given(
    st.recursive(
        st.just(VIEW),
        lambda inner: st.dictionaries(st.sampled_from(["a", "b", "a.b", "module", "model", "1", ""]), inner, max_size=4),
    )
)
def test_names_are_unique_whatever_the_nesting(value: Any) -> None:
    def count(part: Any) -> int:
        return sum(map(count, part.values())) if isinstance(part, dict) else 1

    found = names(value)
    assert len(found) == len(set(found)) == count(value)
    assert found == names(value)
