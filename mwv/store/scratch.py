"""A folder to work beside in, a Scratch in it out: a folder that lives no longer than the process that made it.

Whoever makes one holds an flock on a file inside; the kernel lets go of it however the process ends. So the next build can
tell what killed builds left, and deletes it.
"""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_PREFIX: Final = ".mwv-"
_NAME: Final = re.compile(r"\.mwv-[a-z0-9_]{8}")
_HELD: Final = "held"
_WORDS: Final = b"A running build of mwv holds this file. When none does, the next build deletes this folder.\n"


class Scratch:
    """A new folder in `place`, and `folder` in it to work in; deleted by `close`."""

    def __init__(self, place: Path) -> None:
        """Make it; raises OSError."""
        self._root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        self.folder = self._root / "cache"
        self._lock: int | None = None
        try:
            part = self._root / f"{_HELD}.part"
            self._lock = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            with contextlib.suppress(OSError):  # a file system without locks: nobody can take one there to delete it, either
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(self._lock, _WORDS)
            part.rename(self._root / _HELD)  # locked before it is seen
            self.folder.mkdir()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self._root, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)


@contextlib.contextmanager
def scratch_folder(*places: Path) -> Iterator[Path]:
    """A folder to work in while the context lasts, in the first of `places` where one can be made.

    What killed builds left there goes. Raises OSError of the last place.
    """
    made = _first(places)
    try:
        yield made.folder
    finally:
        made.close()


def _first(places: Sequence[Path]) -> Scratch:
    for place in places[:-1]:
        sweep(place)
        with contextlib.suppress(OSError):
            return Scratch(place)
    sweep(places[-1])
    return Scratch(places[-1])


def sweep(place: Path) -> None:
    """Delete the scratch folders in `place` that nobody holds. Never raises; what is not a Scratch stays."""
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in [entry.path for entry in entries if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]:
            with contextlib.suppress(OSError):
                _delete_if_free(entry)


def _delete_if_free(folder: str) -> None:
    lock = os.open(f"{folder}/{_HELD}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.read(lock, len(_WORDS) + 1) == _WORDS:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
