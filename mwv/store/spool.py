"""Results that live for a while in, files by key out: folders that are deleted as soon as their archive has been sent."""

import shutil
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from threading import Lock

from mwv.errors import StoreError
from mwv.store.blob import Sealed


class Spools:
    """Folders below one of our own, and how much was in them at most."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made yet in `folder`, which belongs to nobody else."""
        self._folder = folder
        self._lock = Lock()
        self._numbers = count()
        self._size = 0
        self.peak = 0
        """Most bytes at once in all spools."""

    def open(self) -> "Spool":
        """A new one; raises StoreError."""
        return Spool(self, self._folder / f"{next(self._numbers)}")

    def weigh(self, more: int) -> None:
        """Take note of so many bytes more, or less."""
        with self._lock:
            self._size += more
            self.peak = max(self.peak, self._size)


class Spool:
    """What one archive is made of, then the archive. For one thread at a time; nothing is checked when it is read again."""

    def __init__(self, spools: Spools, folder: Path) -> None:
        """Make the folder; raises StoreError."""
        self._spools, self._folder = spools, folder
        self._sizes: dict[str, int] = {}
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise self._full(error) from None

    def has(self, key: str) -> bool:
        """Whether it was put."""
        return key in self._sizes

    def get(self, key: str) -> bytes | None:
        """What was put."""
        return self.path(key).read_bytes() if key in self._sizes else None

    def put(self, key: str, body: bytes) -> None:
        """Keep a result as it is; raises StoreError where there is no room."""
        self._write(key, (body,))

    put_png = put

    def put_parts(self, key: str, parts: Iterable[bytes]) -> None:
        """Keep a result that comes in parts as the cache would keep it, with its seal."""
        self._write(key, Sealed(parts))

    def path(self, key: str) -> Path:
        """Where it lies."""
        return self._folder / key

    def keep_only(self, key: str) -> None:
        """Delete all others."""
        for other in [other for other in self._sizes if other != key]:
            self.path(other).unlink()
            self._spools.weigh(-self._sizes.pop(other))

    def close(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._spools.weigh(-sum(self._sizes.values()))
        self._sizes = {}

    def _write(self, key: str, parts: Iterable[bytes]) -> None:
        try:
            with self.path(key).open("wb") as file:
                self._spools.weigh(-self._sizes.pop(key, 0))
                self._sizes[key] = 0
                for part in parts:
                    file.write(part)
                    self._sizes[key] += len(part)
                    self._spools.weigh(len(part))
        except OSError as error:
            raise self._full(error) from None

    def _full(self, error: OSError) -> StoreError:
        return StoreError(f"{self._folder.parent}: tiles on their way cannot be written here: {error.strerror}; make room")
