"""Keys in, a record on disk of what each running build asked for, out to whoever wants to delete blobs.

A build owns `running/<id>`: it holds an flock on that file as long as it lives (the kernel lets go of it however the process
ends) and appends the 16 bytes of every key before it looks at the blob. Who wants to delete shuts the gate, an flock on the
file `gate` that builds share for the microseconds of an append; with the gate shut it reads the files of the living builds
and deletes blobs that none of them names. So either the key was written first, and the blob stays, or the blob went first,
and the build finds it missing and makes it again. No clock, no index and no lock around tiles takes part; two builds never
wait for each other.
"""

import contextlib
import fcntl
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from blake3 import blake3

from mwv.store.index import Index

_KEY_BYTES = 16
_ID = re.compile("[0-9a-f]{32}")


class Run:
    """The registration of one build in the cache at `root`. Thread-safe."""

    def __init__(self, root: Path) -> None:
        """Register; raises OSError if the cache cannot be written."""
        self.id = uuid4().hex
        self._mutex = threading.Lock()
        with contextlib.ExitStack() as undo:
            self._gate = _open_gate(root)
            undo.callback(os.close, self._gate)
            with _held(self._gate, fcntl.LOCK_SH):
                path = root / "running" / self.id
                self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
                undo.callback(os.close, self._file)
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            undo.pop_all()
        self._path = path

    def note(self, key: str) -> None:
        """Write down that this build counts on `key`. Raises OSError."""
        with self._mutex, _held(self._gate, fcntl.LOCK_SH):
            os.write(self._file, bytes.fromhex(key))

    def close(self) -> None:
        """Deregister."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._file)
        os.close(self._gate)


@dataclass
class Watch:
    """What the builds on one cache asked for. Only right while the gate is shut; see `shut_gate`."""

    root: Path
    needed: set[str] = field(default_factory=set)
    """Keys that living builds asked for."""
    ended: dict[Path, tuple[int, frozenset[str]]] = field(default_factory=dict)
    """Files of builds that were killed: when last written (ns), and what they asked for."""
    alive: frozenset[str] = frozenset()
    """Ids of the living builds."""
    _read: dict[str, int] = field(default_factory=dict)

    def look(self) -> None:
        """Read what was appended since the last look. Raises OSError."""
        alive = []
        for path in self._files():
            try:
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue  # a build that just ended
            try:
                start = self._read.get(path.name, 0)
                data = os.pread(fd, os.fstat(fd).st_size - start, start)
                keys = _unpack(data)
                if _is_locked(fd):
                    alive.append(path.name)
                    self.needed |= keys
                    self._read[path.name] = start + len(data) - len(data) % _KEY_BYTES
                else:
                    self.ended[path] = (os.fstat(fd).st_mtime_ns, keys)
            finally:
                os.close(fd)
        self.alive = frozenset(alive)

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in (self.root / "running").iterdir() if _ID.fullmatch(path.name))
        except FileNotFoundError:
            return []


def record_use(index: Index, when: int, keys: frozenset[str]) -> None:
    """Remember that `keys` were used at `when` (ns). One row per set, so a repeated build replaces its row."""
    packed = b"".join(map(bytes.fromhex, sorted(keys)))
    if packed:
        index.remember_many("use", {blake3(packed).hexdigest(): when.to_bytes(8, "little") + packed})


def recorded_uses(index: Index) -> dict[str, tuple[int, frozenset[str]]]:
    """Per row of the namespace "use": when (ns), and the keys."""
    rows = ((row, index.recall("use", row)) for namespace, row in index.rows() if namespace == "use")
    return {row: (int.from_bytes(value[:8], "little"), _unpack(value[8:])) for row, value in rows if value is not None}


@contextlib.contextmanager
def shut_gate(root: Path) -> Iterator[None]:
    """Nobody writes a key down meanwhile, so keep it short. Raises OSError."""
    fd = _open_gate(root)
    try:
        with _held(fd, fcntl.LOCK_EX):
            yield
    finally:
        os.close(fd)


def _open_gate(root: Path) -> int:
    return os.open(root / "gate", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


@contextlib.contextmanager
def _held(fd: int, how: int) -> Iterator[None]:
    fcntl.flock(fd, how)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _unpack(packed: bytes) -> frozenset[str]:
    """Keys of 16 bytes each; a last one that was cut short is left out."""
    return frozenset(packed[i : i + _KEY_BYTES].hex() for i in range(0, len(packed) - _KEY_BYTES + 1, _KEY_BYTES))


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
