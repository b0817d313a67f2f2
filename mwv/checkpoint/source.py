"""A path in, a Source out: something of known size that byte ranges can be read from; `hub_folder.py` has those of the Hub."""

import os
import stat
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Protocol

from mwv.checkpoint.wording import printable
from mwv.errors import SourceChangedError, SourceError
from mwv.hub.terms import Reconstruction

SETTLED_NS: Final = 2_000_000_000
"""A file that was written within so short a time could change once more and have the same times."""


@dataclass(frozen=True)
class Identity:
    """What tells that a local file is still the one that was hashed before."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True)
class Content:
    """What tells the content of a file on the Hub, under whatever name and in whatever repository it lies."""

    digest: str
    """The Hub, its digest of the content, the size."""
    mtime_ns: ClassVar[int] = 0
    """Content has no time at which it could have changed unseen."""


def spelt(identity: Identity | Content) -> tuple[object, ...]:
    """All that tells a file from another, for keys; dataclasses.astuple would copy each field deeply."""
    return tuple(vars(identity).values())


class Range(NamedTuple):
    """Bytes of a source that belong together, and what they are called in messages."""

    begin: int
    end: int
    name: str


class Source(Protocol):
    """Bytes at offsets. Reading is safe from several threads at once."""

    @property
    def name(self) -> str:
        """The name that pages show."""

    @property
    def place(self) -> str:
        """How messages call it: a path or an address."""

    @property
    def size(self) -> int:
        """Length in bytes, fixed when the source was opened."""

    @property
    def identity(self) -> Identity | Content | None:
        """What remembered digests hang on, or None if nothing may be remembered."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at `offset`; raises SourceError, or SourceChangedError when the file got shorter."""

    def expect(self, ranges: Iterable[Range]) -> None:
        """Take note of what, too, is going to be read, so that it can be fetched ahead."""

    def reconstruction(self, begin: int, end: int) -> Reconstruction | None:
        """The chunks of xorbs that make a range, if the file lies on the Hub in xorbs; HubError if it does not tell."""

    def check_unchanged(self) -> None:
        """Raise SourceChangedError if the file is no longer what it was when it was opened."""

    def close(self) -> None:
        """Give back what it holds of the machine."""


class FileSource:
    """A regular local file, held open so that a rename over it does not mix two files."""

    def __init__(self, path: Path, name: str = "") -> None:
        """Open `path`; raises SourceError for anything that is not a readable regular file. `name` is shown for the path's."""
        self._path = path
        self._name = name or path.name
        try:
            opened = _opened(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SourceError(f"{printable(str(path))}: cannot be opened: {reason}") from None
        if opened is None:
            raise SourceError(f"{printable(str(path))}: not a regular file")
        self._fd, status = opened
        # Also closes when the source is forgotten: a gallery opens many.
        self._close = weakref.finalize(self, os.close, self._fd)
        self._identity = _identity(path, status)

    @property
    def name(self) -> str:
        """The file's name without its directory."""
        return printable(self._name)

    @property
    def place(self) -> str:
        """The path."""
        return printable(str(self._path))

    @property
    def path(self) -> Path:
        """Where the file was opened."""
        return self._path

    @property
    def size(self) -> int:
        """Length in bytes when the file was opened."""
        return self._identity.size

    @property
    def identity(self) -> Identity:
        """Path, size, times, inode and device when the file was opened."""
        return self._identity

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at `offset`."""
        try:
            data = os.pread(self._fd, length, offset)
            while len(data) < length:
                more = os.pread(self._fd, length - len(data), offset + len(data))
                if not more:
                    raise SourceChangedError(
                        f"{self.place}: ends at byte {offset + len(data)}, it was cut short while being read"
                    )
                data += more
        except OSError as error:
            raise SourceError(f"{self.place}: cannot be read: {error.strerror}") from None
        return data

    def expect(self, ranges: Iterable[Range]) -> None:
        """Nothing: the system reads ahead."""

    def reconstruction(self, begin: int, end: int) -> Reconstruction | None:  # noqa: ARG002
        """None: it lies in no xorbs."""
        return None

    def check_unchanged(self) -> None:
        """Raise SourceChangedError if the open file, or what now stands at its path, differs from when it was opened."""
        try:
            same = _identity(self._path, os.fstat(self._fd)) == self._identity == _identity(self._path, os.stat(self._path))
        except OSError:
            same = False
        if not same:
            raise SourceChangedError(f"{self.place}: changed while it was being read; build again when it is complete")

    def close(self) -> None:
        """Give the file descriptor back."""
        self._close()


def is_file(path: Path) -> bool:
    """Whether `path` leads to a regular file; false if that cannot be found out."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_directory(path: Path) -> bool:
    """Whether `path` leads to a directory; false if that cannot be found out."""
    try:
        return path.is_dir()
    except OSError:
        return False


def why(error: Exception, place: str) -> str:
    """What an error says of a place, without its path: notes get into pages, which tell no place of this machine."""
    return str(error).removeprefix(f"{place}: ")


def _opened(path: Path) -> tuple[int, os.stat_result] | None:
    """A descriptor of a regular file and its status; None for anything else, which is not opened: for some devices that alone
    does something.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        return None
    # O_NONBLOCK: a FIFO that has taken its place must not make us wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status
    os.close(descriptor)
    return None


def _identity(path: Path, status: os.stat_result) -> Identity:
    return Identity(
        # Names that are no UTF-8 become text that can be written.
        os.fsencode(os.path.realpath(path)).decode(errors="backslashreplace"),
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_ino,
        status.st_dev,
    )
