"""Paths and addresses in, Checkpoints out; what reads from the Hub is loaded when the first address is opened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mwv.checkpoint.folder import Folder, LocalFolder
from mwv.checkpoint.formats import by_name
from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.open import open_checkpoint, open_in
from mwv.checkpoint.shards import ShardName, shard_name
from mwv.checkpoint.source import Source, is_directory
from mwv.checkpoint.stream import Files, Found, Stream, files_below, gather
from mwv.checkpoint.wording import printable
from mwv.errors import SourceError
from mwv.hub.address import Address, Origin

if TYPE_CHECKING:
    from mwv.checkpoint.hub_folder import HubFolder
    from mwv.hub.cas import Cas
    from mwv.hub.remote import Access, FindCopy, Heads, Remote

_RECENT: Final = 8
"""Addresses that are looked up once: whatever is asked of those of a comparison is of one commit."""


@dataclass(eq=False)
class Opener:
    """Opens what users name; to be closed at the end."""

    notice: Callable[[str], None]
    """Takes a line for the user when waiting gets long."""
    heads: "Heads | None" = None
    find_copy: "FindCopy | None" = None
    download: bool = False
    """Whether files of the Hub are downloaded into its cache rather than read by ranges."""
    _access: "Access | None" = field(default=None, init=False)
    _before: tuple[int, int] = field(default=(0, 0), init=False)
    """What others had fetched until then."""

    def open(self, origin: Origin) -> Checkpoint:
        """The model, headers only; raises as `open_checkpoint` does, and HubError."""
        if not isinstance(origin, Address):
            return open_checkpoint(origin)
        folder, name = self._on_the_hub(origin)
        checkpoint = open_in(folder, name)
        folder.keep_heads()
        return replace(checkpoint, pinned=folder.remote.place.pinned(folder.path))

    def folder(self, origin: Origin) -> Folder:
        """The folder that a model lies in: what else is there may be said of it."""
        if isinstance(origin, Address):
            return self._on_the_hub(origin)[0]
        return LocalFolder(origin if is_directory(origin) else origin.parent)

    def whole_folder(self, origin: Origin) -> Folder | None:
        """The folder that was named; None if that was a file in it."""
        if isinstance(origin, Address):
            folder, name = self._on_the_hub(origin)
            return None if name else folder
        return LocalFolder(origin) if is_directory(origin) else None

    def _on_the_hub(self, origin: Address) -> "tuple[HubFolder, str]":
        """The folder of an address, and the name of the file in it that was meant, if one was."""
        from mwv.checkpoint.hub_folder import HubFolder

        remote, path, name = self._find(origin)
        return HubFolder(remote, path), name

    @cached_property
    def _find(self) -> "Callable[[Address], tuple[Remote, str, str]]":
        from mwv.hub.remote import find

        return lru_cache(_RECENT)(partial(find, self.access))

    def stream(self, origins: Sequence[Origin], folder: Callable[[], Path]) -> Stream:
        """All files that are named, one after the other, those of folders by name; raises SourceError, HubError.

        What comes through a pipe is kept in a `folder` meanwhile.
        """
        named = [self.files(origin, folder) for origin in origins]
        what = str(origins[0]) if len(origins) == 1 else f"{origins[0]} and {len(origins) - 1} more"
        found = [one for files in named for one in files.found]
        notes = [note for files in named for note in files.notes]
        return gather(found, notes, what, named[0].pinned if len(named) == 1 else None)

    def files(self, origin: Origin, folder: Callable[[], Path]) -> Files:
        """The file that is named, or all in the folder that is and in those below; raises as `stream` does."""
        return self._remote_files(origin) if isinstance(origin, Address) else files_below(origin, folder)

    def _remote_files(self, address: Address) -> Files:
        """The file that an address names, or all files in the folder and in those below."""
        from mwv.checkpoint.hub_folder import HubFolder
        from mwv.hub.remote import is_pattern

        if is_pattern(address):
            raise SourceError(f"{address}: is a pattern; for --layout hilbert name files or folders")
        whole, name = self._on_the_hub(address)
        remote, path = whole.remote, whole.path
        names = ["/".join(filter(None, (path, name)))] if name else sorted(file.path for file in remote.all_files(path))
        folders: dict[str, HubFolder] = {}

        def opens(at: str) -> Callable[[], Source]:
            def opened() -> Source:
                folder, _, own = at.rpartition("/")
                there = folders.setdefault(folder, HubFolder(remote, folder))
                source = there.open(own)
                there.keep_heads()  # nothing has been read: no head of what is no model is kept
                return source

            return opened

        inside = None if name else f"{path}/" if path else ""
        found = [Found(at, opens(at), printable(str(remote.place.at(at)))) for at in names]
        return Files(found, (), inside, remote.place.pinned(path))

    def expand(self, address: Address) -> list[Address]:
        """The models that an address names if its path is a pattern, of a set of shards the first; else itself."""
        from mwv.hub.remote import is_pattern, matches

        if not is_pattern(address):
            return [address]
        sets: set[tuple[Any, ...]] = set()
        found = []
        for match in matches(self.access.hub, address):
            folder, _, name = match.path.rpartition("/")
            shard = shard_name(name)
            which = (folder, *_set_of(shard)) if shard else (match.path,)
            if by_name(name) and which not in sets:
                sets.add(which)
                found.append(match)
        if not found:
            raise SourceError(f"{address}: no file of a format that mwv reads matches")
        return found

    def cas(self, address: Address) -> "Cas":
        """The CAS that has the files of a repository at a commit, or of a bucket."""
        from mwv.hub.cas import Cas

        return Cas(self.access.hub, address)

    @property
    def access(self) -> "Access":
        """The way to the Hub, which is made when it is first needed."""
        if self._access is None:
            from mwv.hub.client import Hub
            from mwv.hub.pieces import Pool
            from mwv.hub.remote import Access

            hub = Hub(self.notice)
            self._before = hub.wire.requests, hub.wire.nbytes
            self._access = Access(hub, Pool(), self.heads, self.find_copy, self.download)
        return self._access

    @property
    def fetched(self) -> tuple[int, int]:
        """Requests that were answered by the Hub, and bytes that came from there."""
        wire = None if self._access is None else self._access.hub.wire
        return (0, 0) if wire is None else (wire.requests - self._before[0], wire.nbytes - self._before[1])

    def close(self) -> None:
        """Fetch nothing more."""
        if self._access is not None:
            self._access.close()


def _set_of(shard: ShardName) -> tuple[str, int, str]:
    return shard.stem, shard.count, shard.rest
