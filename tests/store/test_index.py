import os
import pickle
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import diskcache
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mwv.store.index
from mwv.store.index import Index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def index(folder: Path) -> Iterator[Index]:
    opened = Index(folder)
    yield opened
    opened.close()


def reopened(folder: Path, namespace: str, key: str) -> bytes | None:
    index = Index(folder)
    try:
        return index.recall(namespace, key)
    finally:
        index.close()


def execute(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "cache.db")) as connection, connection:
        assert connection.execute(statement, values).rowcount != 0


def test_what_was_remembered_comes_back_in_a_later_build(folder: Path, index: Index) -> None:
    values = {"a": b"1", "b": b"", "tensor:with:colons": b"\0\xff" * 9, "Ünï\udcff": b"2", "large": os.urandom(1 << 20)}
    index.remember_many("stats", values)
    index.remember_many("other", {"a": b"not 1"})
    index.close()
    later = Index(folder)
    assert {key: later.recall("stats", key) for key in values} == values
    assert later.recall("stats", "Ünï\\xed\\xb3\\xbf") is None  # how that name is escaped
    assert later.recall("other", "a") == b"not 1"
    assert later.recall("stats", "absent") is None
    later.close()


def test_a_value_is_replaced_and_forgotten(index: Index) -> None:
    index.remember_many("n", {"a": b"1", "b": b"2"})
    index.remember_many("n", {"a": b"3"})
    assert index.recall("n", "a") == b"3"
    assert sorted(index.rows()) == [("n", "a"), ("n", "b")]
    index.forget_many([("n", "a"), ("n", "never there")])
    assert index.rows() == [("n", "b")]


def test_looking_creates_nothing(folder: Path, index: Index) -> None:
    assert index.recall("n", "a") is None
    assert index.rows() == []
    index.forget_many([("n", "a")])
    assert not folder.exists()


def test_no_value_is_ever_culled(folder: Path, index: Index) -> None:
    index.remember_many("n", {str(i): b"x" for i in range(50)})
    execute(folder, "UPDATE Settings SET value = 1 WHERE key = 'size_limit'")
    execute(folder, "UPDATE Cache SET store_time = 1, access_time = 1")
    index.close()
    index.remember_many("n", {"more": b"y"})
    assert len(index.rows()) == 51


def test_deleted_while_open(folder: Path, index: Index) -> None:
    index.remember_many("n", {"a": b"1"})
    shutil.rmtree(folder)
    assert index.recall("n", "a") is None
    index.remember_many("n", {"b": b"2"})
    assert index.recall("n", "b") == b"2"
    assert reopened(folder, "n", "b") == b"2"


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_in_the_index_is_never_loaded(folder: Path, tmp_path: Path, index: Index) -> None:
    index.remember_many("n", {"a": b"1", "b": b"2", "c": b"3"})
    index.close()
    bomb = pickle.dumps(Trap(tmp_path / "ran"))
    (folder / "bomb.val").write_bytes(bomb)
    execute(folder, "UPDATE Cache SET mode = 4, value = ? WHERE key = 'n:a'", bomb)
    execute(folder, "UPDATE Cache SET mode = 4, value = NULL, filename = 'bomb.val' WHERE key = 'n:b'")
    execute(folder, "INSERT INTO Cache (key, raw, mode, value) VALUES (?, 0, 4, ?)", bomb, bomb)
    assert index.recall("n", "a") is None
    assert index.recall("n", "b") is None
    assert index.recall("n", "c") == b"3"
    index.rows()
    index.remember_many("n", {"a": b"4"})
    assert index.recall("n", "a") == b"4"
    assert not (tmp_path / "ran").exists()
    # The trap is a real one: diskcache itself falls into it.
    shutil.rmtree(folder)
    cache = diskcache.Cache(str(folder))
    cache["n:a"] = b"1"
    execute(folder, "UPDATE Cache SET mode = 4, value = ?", bomb)
    cache.get("n:a")
    cache.close()
    assert (tmp_path / "ran").exists()


def test_a_row_that_names_a_file_neither_reads_nor_deletes_it(folder: Path, tmp_path: Path, index: Index) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"somebody else's")
    index.remember_many("n", {"a": b"1"})
    index.close()
    execute(folder, "UPDATE Cache SET mode = 2, value = NULL, filename = '../outside'")
    assert index.recall("n", "a") is None
    index.remember_many("n", {"a": b"2"})
    assert index.recall("n", "a") == b"2"
    execute(folder, "UPDATE Cache SET mode = 2, value = NULL, filename = '../outside'")
    index.forget_many([("n", "a")])
    assert outside.read_bytes() == b"somebody else's"


def test_settings_that_diskcache_would_obey_blindly_are_discarded(folder: Path, tmp_path: Path, index: Index) -> None:
    index.remember_many("n", {"a": b"1"})
    index.close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    execute(folder, "INSERT INTO Settings VALUES ('_directory', ?)", str(elsewhere))
    assert index.recall("n", "a") is None
    index.remember_many("n", {"a": b"2"})
    thread = threading.Thread(target=lambda: index.remember_many("n", {"b": b"3"}))  # a thread opens a connection of its own
    thread.start()
    thread.join()
    assert list(elsewhere.iterdir()) == []
    assert index.recall("n", "a") == b"2"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE Cache SET value = 'text'",
        "UPDATE Cache SET value = 7",
        "UPDATE Cache SET value = x''",
        "UPDATE Cache SET value = zeroblob(64)",
        "UPDATE Cache SET value = (SELECT value FROM Cache WHERE key = 'n:b')",
        "UPDATE Cache SET mode = 77",
        "DELETE FROM Cache",
        "DROP TABLE Cache",
        "DROP TABLE Settings",
        "UPDATE Settings SET value = 'nonsense'",
        "UPDATE Cache SET key = x'00ff'",
    ],
)
def test_a_row_that_we_did_not_write_is_a_miss(folder: Path, index: Index, damage: str) -> None:
    index.remember_many("n", {"b": b"2"})
    index.remember_many("n", {"a": b"1"})
    index.close()
    with closing(sqlite3.connect(folder / "cache.db")) as connection, connection:
        if "key =" in damage and "SELECT" not in damage:
            connection.execute("DELETE FROM Cache WHERE key = 'n:b'")
        connection.execute(damage)
    assert index.recall("n", "a") in ({b"1"} if "Settings" in damage else set()) | {None}
    index.rows()
    index.remember_many("n", {"a": b"3"})
    assert index.recall("n", "a") == b"3"


@pytest.mark.parametrize("content", [b"", b"garbage", b"SQLite format 3\0" + b"\xff" * 5000, b"\0" * 100_000])
def test_a_file_that_is_no_database_is_replaced(folder: Path, index: Index, content: bytes) -> None:
    folder.mkdir()
    (folder / "cache.db").write_bytes(content)
    assert index.recall("n", "a") is None
    index.remember_many("n", {"a": b"1"})
    assert reopened(folder, "n", "a") == b"1"


def test_a_file_where_the_folder_should_be_is_replaced(folder: Path, index: Index) -> None:
    folder.write_bytes(b"garbage")
    assert index.recall("n", "a") is None
    index.remember_many("n", {"a": b"1"})
    assert reopened(folder, "n", "a") == b"1"


def test_a_database_that_can_be_neither_opened_nor_replaced_is_an_empty_one(folder: Path, index: Index) -> None:
    (folder / "cache.db" / "full").mkdir(parents=True)
    for _ in range(5):
        index.remember_many("n", {"a": b"1"})
        assert index.recall("n", "a") is None
        assert index.rows() == []
    assert (folder / "cache.db" / "full").is_dir()


def test_a_folder_that_cannot_be_made_is_an_empty_index() -> None:
    index = Index(Path("/proc/self/no-such-index"))
    index.remember_many("n", {"a": b"1"})
    assert index.recall("n", "a") is None
    index.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=200), st.booleans(), st.booleans())
def test_damage_anywhere_never_raises_and_never_changes_a_value(
    tmp_path: Path, at: int, noise: bytes, cut: bool, while_open: bool
) -> None:
    folder = tmp_path / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    index = Index(folder)
    values = {str(i): bytes([i]) * 100 for i in range(100)}
    index.remember_many("n", values)
    if not while_open:
        index.close()
    data = bytearray((folder / "cache.db").read_bytes())
    at %= len(data)
    data[at : at + len(noise)] = noise[: len(data) - at]
    with open(folder / "cache.db", "r+b") as file:
        file.write(data[:at] if cut else data)
        file.truncate()
    for key, value in values.items():
        assert index.recall("n", key) in (value, None)
    index.remember_many("n", {"new": b"1"})
    assert index.recall("n", "new") in (b"1", None)
    index.close()


def test_a_lock_that_is_never_released_costs_a_few_waits_and_no_more(
    folder: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.remember_many("n", {"a": b"1"})
    index.close()
    opened = []
    connect = sqlite3.connect
    monkeypatch.setattr(mwv.store.index, "_PATIENCE", 0.01)
    with closing(connect(folder / "cache.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: opened.append(1) or connect(*args, **options))
        for i in range(1000):
            assert index.recall("n", "a") is None
            index.remember_many("n", {str(i): b"2"})
        assert 1 <= len(opened) <= 3
        other.execute("ROLLBACK")
    assert reopened(folder, "n", "a") == b"1"  # a lock is no reason to throw the index away


def test_a_short_lock_is_waited_for(folder: Path, index: Index) -> None:
    index.remember_many("n", {"a": b"1"})
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        release = threading.Timer(0.05, lambda: other.execute("ROLLBACK"))
        release.start()
        index.remember_many("n", {"b": b"2"})
        release.join()
    assert index.recall("n", "b") == b"2"


def test_two_indexes_on_one_folder(folder: Path, index: Index) -> None:
    other = Index(folder)
    for i in range(10):
        index.remember_many("n", {f"a{i}": b"1"})
        other.remember_many("n", {f"b{i}": b"2"})
    assert len(index.rows()) == len(other.rows()) == 20
    assert index.recall("n", "b9") == b"2"
    other.close()


def test_discard_deletes_our_files_only(folder: Path, index: Index) -> None:
    index.remember_many("n", {"a": b"1"})
    assert index.nbytes() > 0
    (folder / "notes.txt").write_text("somebody else's")
    index.discard()
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert index.nbytes() == 0
