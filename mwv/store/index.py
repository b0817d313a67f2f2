"""Small values in, the same values out in a later build, or nothing: the index of the cache, which is only advice.

Nothing here raises for a reason that lies on the disk. An index that was deleted, poisoned, locked, corrupted or cannot be
opened behaves as an empty one, and is made anew where that is possible.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import diskcache
from blake3 import blake3
from diskcache.core import DEFAULT_SETTINGS, METADATA, MODE_RAW

_T = TypeVar("_T")

OUTCOMES: Final = "models"
"""Namespace of rows that say what a model became, so that its tiles in a site are not looked at again."""

_DATABASE = "cache.db"
_SIDE_FILES = ("", "-journal", "-wal", "-shm")
_PATIENCE = 1.0  # seconds to wait for another process's lock
_STRIKES = 3  # failures after which the index is left alone, so that a stuck lock costs seconds, not a build
_CHECK_BYTES = 16

_SETTINGS = {
    "eviction_policy": "none",
    "cull_limit": 0,
    "disk_min_file_size": 1 << 62,  # every value in the database, none in a file of its own
    # No memory maps and no write-ahead log: a file cut short by another process must be an error, not a SIGBUS.
    "sqlite_mmap_size": 0,
    "sqlite_journal_mode": "truncate",
    # A lost index is only slower, and a damaged value is recognised, so nothing waits for the disk.
    "sqlite_synchronous": 0,
}

_RUIN = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_SCHEMA}


class _RefusedError(Exception):
    """A row or a setting that we would not have written."""


class _Disk(diskcache.Disk):  # type: ignore[misc]
    """Keys are str, values are bytes, both inside the database.

    diskcache (5.6.3 and before) unpickles what a row asks it to (CVE-2025-69872), and opens and deletes files that a row
    names. Here a row can do neither.
    """

    def put(self, key: Any) -> tuple[str, bool]:
        if type(key) is not str:
            raise _RefusedError("keys are str")
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        if not raw or type(key) is not str:
            raise _RefusedError("keys are str")
        return key

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, None, bytes]:  # noqa: ARG002
        if type(value) is not bytes or read:
            raise _RefusedError("values are bytes")
        return 0, MODE_RAW, None, value

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> bytes:
        if mode != MODE_RAW or filename is not None or type(value) is not bytes or read:
            raise _RefusedError("values are bytes")
        return value

    def remove(self, file_path: str) -> None:
        """Nothing: no row of ours has a file."""


class Index:
    """Values by namespace (without a colon) and key; what comes back is what was put, for a digest covers all three."""

    def __init__(self, folder: Path) -> None:
        """Touches no file; `folder` is opened when first used and created when first written."""
        self._folder = folder
        self._cache: Any = None
        self._strikes = 0
        self._mutex = threading.Lock()

    def recall(self, namespace: str, key: str) -> bytes | None:
        """The value, or None."""
        row = f"{namespace}:{key}"

        def get(cache: Any) -> bytes | None:
            data = _fetch(cache, _escape(row))
            return None if data is None else _unseal(row, data)

        return self._attempt(get, None)

    def remember_many(self, namespace: str, values: Mapping[str, bytes]) -> None:
        """Keep all `values` in one transaction, or none."""

        def put(cache: Any) -> None:
            with cache.transact():
                for key, value in values.items():
                    row = f"{namespace}:{key}"
                    cache.set(_escape(row), value + _check(row, value))

        if values:
            self._attempt(put, None, create=True)

    def rows(self) -> list[tuple[str, str]]:
        """(namespace, key) of every row."""

        def split(cache: Any) -> list[tuple[str, str]]:
            parts = (str(row).partition(":") for row in cache)
            return [(namespace, key) for namespace, _, key in parts]

        return self._attempt(split, [])

    def forget_many(self, rows: Iterable[tuple[str, str]]) -> None:
        """Drop rows in one transaction; those that are not there do no harm."""
        names = [_escape(f"{namespace}:{key}") for namespace, key in rows]

        def drop(cache: Any) -> None:
            with cache.transact():
                for name in names:
                    cache.delete(name)

        if names:
            self._attempt(drop, None)

    def nbytes(self) -> int:
        """Bytes on disk."""
        total = 0
        for path in self._files():
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def discard(self) -> None:
        """Delete the index and nothing else: our database files, or a file that lies where the folder should."""
        self.close()
        with contextlib.suppress(OSError):
            if self._folder.is_symlink() or self._folder.is_file():
                self._folder.unlink()
        for path in self._files():
            with contextlib.suppress(OSError):
                path.unlink()

    def close(self) -> None:
        """Close the connection of this thread; the index can be used again."""
        cache, self._cache = self._cache, None
        if cache is not None:
            with contextlib.suppress(Exception):
                cache.close()

    def _files(self) -> Iterator[Path]:
        return (self._folder / (_DATABASE + suffix) for suffix in _SIDE_FILES)

    def _attempt(self, action: Callable[[Any], _T], empty: _T, create: bool = False) -> _T:
        """Run `action` on the open index; after a failure once more on one opened anew; else `empty`."""
        for _ in range(2):
            with self._mutex:
                if self._strikes >= _STRIKES or not (create or (self._folder / _DATABASE).exists()):
                    return empty
                try:
                    if self._cache is not None and not (self._folder / _DATABASE).exists():
                        self.close()  # deleted while open: what is written there would be lost
                    if self._cache is None:
                        self._cache = _open(self._folder)
                    return action(self._cache)
                except Exception as error:  # advice: whatever is wrong with it, the build goes on
                    self._strikes += 1
                    self.close()
                    if _is_ruin(error):
                        self.discard()
        return empty


def _open(folder: Path) -> Any:
    """A diskcache over `folder`, after a look at what lies there. Raises anything."""
    folder.mkdir(exist_ok=True)
    _look(folder / _DATABASE)
    return diskcache.Cache(str(folder), timeout=_PATIENCE, disk=_Disk, **_SETTINGS)


def _look(database: Path) -> None:
    """Raise if the database is locked (diskcache would wait a minute) or has settings that diskcache does not have.

    diskcache sets one attribute of itself for each row of its Settings table, whatever the row's name.
    """
    with contextlib.closing(sqlite3.connect(database, timeout=_PATIENCE, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'Settings'").fetchone():
            names = {name for (name,) in connection.execute("SELECT key FROM Settings")}
            if not names <= DEFAULT_SETTINGS.keys() | METADATA.keys():
                raise _RefusedError("unknown settings")
        connection.execute("ROLLBACK")


def _is_ruin(error: Exception) -> bool:
    """Whether only a new database can help, rather than patience, space or permission."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _RUIN
    return isinstance(error, FileExistsError) or not isinstance(error, OSError | diskcache.Timeout)


def _fetch(cache: Any, row: str) -> bytes | None:
    with contextlib.suppress(_RefusedError):  # one bad row says nothing about the others
        data = cache.get(row)
        return data if type(data) is bytes else None
    return None


def _escape(row: str) -> str:
    """The row's name as valid UTF-8: a path may hold any byte. Two that fall together are told apart by the check."""
    return row.encode("utf-8", "surrogatepass").decode("utf-8", "backslashreplace")


def _check(row: str, value: bytes) -> bytes:
    return blake3(row.encode("utf-8", "surrogatepass") + b"\0" + value).digest(_CHECK_BYTES)


def _unseal(row: str, data: bytes) -> bytes | None:
    value = data[:-_CHECK_BYTES]
    return value if data[-_CHECK_BYTES:] == _check(row, value) else None
