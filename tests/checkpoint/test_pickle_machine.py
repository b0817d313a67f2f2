"""The pickle machine against pickles of the standard library, and against pickles made to harm."""

import collections
import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwv.checkpoint.pickle_machine import MAX_STEPS, Global, Inert, Pairs, load
from mwv.checkpoint.torch_objects import call
from mwv.errors import FormatError, MwvError


def no_persistent(identity: Any) -> Any:
    raise TypeError


def run(data: bytes) -> Any:
    return load("x.bin", data, call, no_persistent)


def plain(value: Any) -> Any:
    """A stand-in as the object that it stands for."""
    if isinstance(value, Pairs):
        return {plain(k): plain(v) for k, v in value.pairs}
    return type(value)(map(plain, value)) if isinstance(value, list | tuple) else value


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers() | st.tuples(st.integers()), inner, max_size=5)
    ),
    max_leaves=30,
)


@settings(deadline=None, max_examples=200)
@given(VALUES, st.integers(0, 5))
def test_plain_objects_of_every_protocol(value: Any, protocol: int) -> None:
    assert plain(run(pickle.dumps(value, protocol))) == value


@pytest.mark.parametrize("protocol", range(6))
def test_shared_and_circular_objects(protocol: int) -> None:
    shared = ["x"]
    circle: list[Any] = [shared, shared, {"a": shared}]
    circle.append(circle)
    found = run(pickle.dumps(circle, protocol))
    assert found[0] is found[1] is found[2].pairs[0][1]
    assert found[3] is found


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_bytes_ordered_dictionaries_and_sets(protocol: int) -> None:
    value = {"o": collections.OrderedDict(a=1, b=[2]), "d": collections.defaultdict(list, c=3)}
    assert plain(run(pickle.dumps(value, protocol))) == {"o": {"a": 1, "b": [2]}, "d": {"c": 3}}
    assert protocol < 3 or run(pickle.dumps(b"raw", protocol)) == b"raw"
    assert protocol < 4 or sorted(run(pickle.dumps({1, 2}, protocol))) == [1, 2]


class Settings:
    """Any class that a checkpoint may carry beside its weights."""

    def __init__(self) -> None:
        self.rate = 0.5


@pytest.mark.parametrize("protocol", range(6))
def test_objects_of_classes_are_inert_but_keep_their_state(protocol: int) -> None:
    found = run(pickle.dumps([Settings(), Path("/a")], protocol))
    assert isinstance(found[0], Inert)
    assert plain(found[0].state) == {"rate": 0.5}
    assert isinstance(found[1], Inert)


class Weapon:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_runs_a_command_runs_nothing(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "trace"
    data = pickle.dumps(
        {"w": Weapon(os.system, f"touch '{trace}'"), "v": Weapon(exec, f"open({str(trace)!r}, 'w').close()")}, protocol
    )
    found = run(data)
    assert [type(value) for _, value in found.pairs] == [Inert, Inert]
    assert found.pairs[0][1].called == Global(os.system.__module__, "system")
    assert not trace.exists()
    # The weapon is loaded: Python itself runs it.
    pickle.loads(data)
    assert trace.exists()


def test_opcodes_that_make_objects_make_none(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = f"touch '{trace}'".encode()
    attacks = [
        b"(cos\nsystem\nV" + command + b"\no.",
        b"(V" + command + b"\nios\nsystem\n.",
        b"cos\nsystem\n(V" + command + b"\ntR.",
        b"cos\nsystem\n(V" + command + b"\nt\x81.",
        b"cbuiltins\neval\n(V__import__('os').system(\"" + command + b'")\ntR.',
        b"cos\nsystem\nN(d(V__setstate__\ncos\nsystem\nubV" + command + b"\nb.",
    ]
    for data in attacks:
        try:
            run(data)
        except FormatError:
            continue
    assert not trace.exists()
    pickle.loads(attacks[0])
    assert trace.exists()


def peak_of(data: bytes) -> int:
    tracemalloc.start()
    try:
        run(data)
    except MwvError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


BOMBS = {
    "memo index": b"\x80\x02Nr\xff\xff\xff\xff.",
    "memo index as text": b"\x80\x02Np99999999999999\n.",
    "bytes": b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"x.",
    "text": b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"x.",
    "bytearray": b"\x80\x05\x96" + (2**62).to_bytes(8, "little") + b"x.",
    "number": b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little") + b"x.",
    "negative length": b"\x80\x02\x8b\xff\xff\xff\xff.",
    "number of many digits": b"I" + b"9" * 100_000 + b"\n.",
    "frame": b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b"N.",
    "doubled tuples": b"\x80\x02Nq\x00" + b"h\x00h\x00\x86q\x00" * 1000 + b".",
    "doubled lists": b"\x80\x02]q\x00" + b"(h\x00h\x00lq\x00" * 1000 + b".",
    "deep tuples": b"\x80\x02)" + b"\x85" * 100_000 + b".",
    "deep lists": b"\x80\x02" + b"(" * 100_000 + b"l" * 100_000 + b".",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_stay_small(bomb: str) -> None:
    assert peak_of(BOMBS[bomb]) < 20 * 2**20


def test_a_pickle_without_end_stops() -> None:
    with pytest.raises(FormatError, match=r"x\.bin: the pickle takes more than"):
        run(b"\x80\x02" + b"N0" * MAX_STEPS)


def test_keys_that_collide_cost_no_more_than_others() -> None:
    # Python's hash of these is 0 for all; a dictionary of them would take 10^9 comparisons.
    modulus = 2**61 - 1
    keys = [pickle.encode_long(modulus * i) for i in range(40_000)]
    data = b"\x80\x02}(" + b"".join(b"\x8a" + bytes([len(key)]) + key + b"N" for key in keys) + b"u."
    assert len(run(data).pairs) == 40_000


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b".", b"\x80\x02", b"\x80\x02N", b"R.", b"\x80\x02)R.", b"\x80\x02h\x05.", b"\x80\x02t.", b"\xff."),
        *(b"\x80\x02NNa.", b"\x80\x02NNs.", b"\x80\x02(Nu.", b"\x80\x02}(Nu.", b"\x80\x02NQ.", b"Pid\n.", b"cos\n."),
        *(b"\x80\x02\x82\x01.", b"\x80\x05\x97.", b"\x80\x04NN\x93.", b"\x80\x02NNNb", b"\x80\x02cos\n"),
        *(b"\x80\x02X\xff\xff\xff\xffa.", b"\x80\x02X\x01\x00\x00\x00\xff."),
    ],
)
def test_damaged_pickles_are_one_line(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^x\.bin: the pickle is damaged") as error:
        run(data)
    assert "\n" not in str(error.value)


SEED = pickle.dumps({"a": [1, 2.5, "t"], "o": collections.OrderedDict(k=(1, 2)), "s": Settings(), "l": 10**30}, 2)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), max_size=4), st.binary(max_size=30))
def test_damaged_and_random_pickles_raise_nothing_else(changes: list[tuple[int, int]], noise: bytes) -> None:
    data = bytearray(SEED)
    for position, value in changes:
        data[position] = value
    for raw in (bytes(data), noise, b"\x80\x02" + noise + b"."):
        try:
            run(raw)
        except MwvError as error:
            assert "\n" not in str(error)
