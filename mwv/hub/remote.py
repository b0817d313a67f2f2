"""A place on the Hub in, its files out as something to read from: by ranges, or a file of this machine where there is one."""

import fnmatch
import json
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from huggingface_hub import hf_hub_download, try_to_load_from_cache

from mwv.errors import HubError, SourceChangedError
from mwv.hub.address import Address
from mwv.hub.client import Hub, Place, RemoteFile, RemoteFolder
from mwv.hub.pieces import Pieces, Pool
from mwv.hub.ranges import RemoteRanges
from mwv.hub.reconstruction import Reconstructions
from mwv.hub.terms import Reconstruction
from mwv.hub.transfer import moving

MOST_MATCHES: Final = 10_000
_MAGIC: Final = "*?["
"""What makes a name a pattern."""
_LONGEST_HEAD: Final = 128 << 20
"""Bytes of reads that are kept together."""


class Heads(Protocol):
    """What was read when files were opened, by what tells their content."""

    def get(self, content: str) -> bytes | None:
        """What was put, or None."""

    def put(self, content: str, body: bytes) -> None:
        """Keep it."""


FindCopy = Callable[[int, str], Path | None]
"""Size and xet hash of a file → a file of this machine with that content, if one is known."""


@dataclass(frozen=True, eq=False)
class Access:
    """How files of the Hub are read."""

    hub: Hub
    pool: Pool
    heads: Heads | None = None
    find_copy: FindCopy | None = None
    download: bool = False
    """Whether files are fetched as a whole, into the Hub's cache."""

    def close(self) -> None:
        """Fetch nothing more."""
        self.hub.close()
        self.pool.close()


class Remote:
    """A repository at a commit, or a bucket, whose files are read."""

    def __init__(self, access: Access, place: Place) -> None:
        """Nothing is asked yet."""
        self.access, self.place = access, place
        self._entries: dict[str, dict[str, RemoteFile | RemoteFolder]] = {}
        self._reconstructions = Reconstructions(access.hub, place.address)

    def entries(self, folder: str) -> dict[str, RemoteFile | RemoteFolder]:
        """What lies in a folder, by name; it is asked for once."""
        if folder not in self._entries:
            found = self.access.hub.entries(self.place.address, folder)
            self._entries[folder] = {entry.path.rpartition("/")[2]: entry for entry in found}
        return self._entries[folder]

    def all_files(self, folder: str) -> Iterable[RemoteFile]:
        """The files in a folder and in all folders below."""
        return self.access.hub.files(self.place.address, folder, recursive=True)

    def cached(self, file: RemoteFile) -> Path | None:
        """The file in the Hub's cache, into which it is downloaded if that is asked for."""
        address = self.place.address
        if address.kind == "bucket":
            return None
        cached = try_to_load_from_cache(address.repo, file.path, revision=address.revision, repo_type=address.kind)
        if not isinstance(cached, str) and self.access.download:
            with moving(self.access.hub, self.place.at(file.path)):
                cached = hf_hub_download(address.repo, file.path, revision=address.revision, repo_type=address.kind)
            self.access.hub.wire.add_received(file.size if file.xet else 0)  # hf_xet has a client of its own
        with suppress(OSError):
            if isinstance(cached, str) and Path(cached).stat().st_size == file.size:
                return Path(cached)
        return None

    def copy(self, file: RemoteFile) -> Path | None:
        """Another file of this machine that is known to have its content."""
        find_copy = self.access.find_copy
        return find_copy(file.size, file.xet) if find_copy and file.xet else None

    def reconstruct(self, file: RemoteFile, begin: int, end: int) -> Reconstruction:
        """What makes a range of a file that lies in xorbs."""
        return self._reconstructions.of(file, begin, end)


class RemoteBytes:
    """A file that is read by ranges; what is read before `keep_head` is kept, so that it need not be fetched again."""

    def __init__(self, remote: Remote, file: RemoteFile) -> None:
        """Nothing is asked yet."""
        self.remote, self.file = remote, file
        self._pieces = Pieces(remote.access.pool, RemoteRanges(remote.access.hub, remote.place, file).fetch, file.size)
        self._heads = remote.access.heads
        self._fresh = False

    @property
    def content(self) -> str:
        """What tells its content from any other that this Hub has."""
        return f"{self.remote.place.endpoint} {self.file.xet or self.file.content} {self.file.size}"

    @cached_property
    def _head(self) -> dict[tuple[int, int], bytes]:
        """Reads of an earlier time."""
        body = None if self._heads is None else self._heads.get(self.content)
        return {} if body is None else _unpacked(body)

    @property
    def known(self) -> bool:
        """Whether it has been opened before."""
        return bool(self._head)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes, which lie in the file."""
        if not length:
            return b""
        if (body := self._head.get((offset, length))) is None:
            body = self._pieces.read(offset, length)
            if self._heads is not None:
                self._head[offset, length] = body
                self._fresh = True
        return body

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Fetch these ranges ahead when they are read."""
        self._pieces.expect(ranges)

    def keep_head(self) -> None:
        """All has been read that is read each time; keep it."""
        if self._heads is not None and self._fresh and sum(map(len, self._head.values())) <= _LONGEST_HEAD:
            self._heads.put(self.content, _packed(self._head))
        self._heads = None

    def check_unchanged(self) -> None:
        """Raise SourceChangedError if it has been replaced; a commit never changes, so only buckets are asked."""
        address = self.remote.place.address
        if address.kind != "bucket":
            return
        hub = self.remote.access.hub
        with hub.asking(address):
            found = list(hub.api.get_bucket_paths_info(address.repo, [self.file.path]))
        if [(file.size, file.xet_hash) for file in found] != [(self.file.size, self.file.xet)]:
            raise SourceChangedError(f"{replace(address, path=self.file.path)}: changed while it was being read; build again")


def find(access: Access, address: Address) -> tuple[Remote, str, str]:
    """The repository or bucket of an address, the folder in it, and the name of a file there, or "" for the folder itself."""
    place = access.hub.open(address)
    remote = Remote(access, place)
    folder, _, name = place.named.path.rpartition("/")
    if name:
        entry = remote.entries(folder).get(name)
        if entry is None:
            raise HubError(f"{address}: the repository has no such file or folder")
        if isinstance(entry, RemoteFolder):
            folder, name = place.named.path, ""
    return remote, folder, name


def matches(hub: Hub, pattern: Address) -> list[Address]:
    """The files and folders that the path of an address names, if that is a pattern; each part of it is one of theirs."""
    place = hub.open(pattern)
    parts = place.named.path.split("/")
    plain = next(i for i, part in enumerate(parts) if any(c in part for c in _MAGIC))
    found: dict[str, None] = {}
    for entry in hub.entries(place.address, "/".join(parts[:plain]), recursive=plain < len(parts) - 1):
        names = entry.path.split("/")
        if len(names) == len(parts) and all(map(fnmatch.fnmatchcase, names, parts)) and not names[-1].startswith("."):
            found[entry.path] = None
        if len(found) > MOST_MATCHES:
            raise HubError(f"{pattern}: matches more than {MOST_MATCHES:,} files; name fewer")
    return [replace(place.named, path=path) for path in sorted(found)]


def is_pattern(address: Address) -> bool:
    """Whether the path of an address has wildcards."""
    return any(c in address.path for c in _MAGIC)


def _packed(head: dict[tuple[int, int], bytes]) -> bytes:
    places = json.dumps(sorted(head)).encode()
    return struct.pack("<I", len(places)) + places + b"".join(head[place] for place in sorted(head))


def _unpacked(body: bytes) -> dict[tuple[int, int], bytes]:
    (length,) = struct.unpack_from("<I", body)
    found, at = {}, 4 + length
    for offset, size in json.loads(body[4:at]):
        found[offset, size] = body[at : at + size]
        at += size
    return found
