"""A folder of a repository or bucket on the Hub in, a Folder out, with files as Sources that are read by ranges."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final

from mwv.checkpoint.folder import MAX_ENTRIES, Listing
from mwv.checkpoint.source import Content, FileSource, Range, Source
from mwv.checkpoint.wording import printable
from mwv.errors import SourceError
from mwv.hub.client import RemoteFile, RemoteFolder
from mwv.hub.remote import Remote, RemoteBytes
from mwv.hub.terms import Reconstruction

_GLANCED: Final = 5_000
"""Files of all folders below that are looked at for advice."""


class HubSource:
    """A file on the Hub."""

    def __init__(self, remote: Remote, file: RemoteFile, place: str) -> None:
        """`place` is how messages call it."""
        self.bytes = RemoteBytes(remote, file)
        self.place = place

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return printable(self.bytes.file.path.rpartition("/")[2])

    @property
    def size(self) -> int:
        """Length in bytes by the listing."""
        return self.bytes.file.size

    @property
    def identity(self) -> Content:
        """What tells its content, whatever it is called and wherever it lies on this Hub."""
        return Content(self.bytes.content)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes at `offset`."""
        if not 0 <= offset <= offset + length <= self.size:
            raise SourceError(f"{self.place}: has {self.size} bytes, none from {offset} to {offset + length}")
        return self.bytes.read(offset, length)

    def expect(self, ranges: Iterable[Range]) -> None:
        """Fetch these ranges ahead when they are read."""
        self.bytes.expect((begin, end) for begin, end, _ in ranges)

    def reconstruction(self, begin: int, end: int) -> Reconstruction | None:
        """The chunks of xorbs that make a range; None for a file that does not lie in xorbs."""
        file = self.bytes.file
        return None if file.xet is None else self.bytes.remote.reconstruct(file, begin, end)

    def check_unchanged(self) -> None:
        """Raise SourceChangedError if it has been replaced."""
        self.bytes.check_unchanged()

    def close(self) -> None:
        """Nothing: it holds pieces of the pool, which gives them to others."""


class HubCopy(FileSource):
    """A file of this machine that is read in the place of one on the Hub."""

    def __init__(self, path: Path, name: str, remote: Remote, file: RemoteFile) -> None:
        """Open `path`; raises SourceError as FileSource does."""
        super().__init__(path, name)
        self._remote, self._file = remote, file

    def reconstruction(self, begin: int, end: int) -> Reconstruction | None:
        """As for the file on the Hub."""
        return None if self._file.xet is None else self._remote.reconstruct(self._file, begin, end)


@dataclass(frozen=True)
class HubFolder:
    """A folder of a repository or bucket, or all of it."""

    remote: Remote
    path: str

    near = False

    @property
    def name(self) -> str:
        """Its name, or the repository's."""
        return (self.path or self.remote.place.address.repo).rpartition("/")[2]

    def place(self, name: str = "") -> str:
        """The address as the user wrote it, with the path."""
        return printable(str(self.remote.place.at("/".join(filter(None, (self.path, name))))))

    def listing(self) -> Listing:
        """Files and folders; SourceError if they are too many, HubError."""
        if len(self._entries) > MAX_ENTRIES:
            raise SourceError(f"{self.place()}: more than {MAX_ENTRIES} files; name the checkpoint itself")
        names = sorted(self._entries)
        files = [name for name in names if self.has(name)]
        return Listing(files, [name for name in names if not self.has(name)])

    def ending(self, suffix: str) -> Sequence[str]:
        """Names that end so."""
        return [name for name in sorted(self._entries) if name.endswith(suffix)]

    def below(self) -> Mapping[str, Sequence[str]]:
        """Its folders, and the names in each, as far as one listing tells."""
        found: dict[str, list[str]] = {}
        for file in islice(self.remote.all_files(self.path), _GLANCED):
            *folders, name = file.path.removeprefix(self.path).strip("/").split("/")
            if len(folders) == 1:
                found.setdefault(folders[0], []).append(name)
        return found

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return isinstance(self._entries.get(name), RemoteFile)

    def open(self, name: str) -> Source:
        """A file in it, by a copy on this machine if there is one; raises SourceError if it is not there, and HubError."""
        entry = self._entries.get(name)
        if not isinstance(entry, RemoteFile):
            raise SourceError(f"{self.place(name)}: there is no such file")
        if name not in self._opened:
            source = HubSource(self.remote, entry, self.place(name))
            path = self.remote.cached(entry) or (None if source.bytes.known else self.remote.copy(entry))
            if path is not None:
                return HubCopy(path, name, self.remote, entry)
            self._opened[name] = source
        return self._opened[name]

    def inside(self, name: str) -> "HubFolder":
        """A folder in it."""
        return HubFolder(self.remote, "/".join(filter(None, (self.path, name))))

    def keep_heads(self) -> None:
        """A checkpoint has been opened: what that took to read is kept, and nothing that is read from now on."""
        for source in self._opened.values():
            source.bytes.keep_head()

    @property
    def _entries(self) -> Mapping[str, RemoteFile | RemoteFolder]:
        return self.remote.entries(self.path)

    @cached_property
    def _opened(self) -> dict[str, HubSource]:
        """A file is opened once, so that what was read of it to find out what it is need not be fetched again."""
        return {}
