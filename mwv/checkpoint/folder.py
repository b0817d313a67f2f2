"""A folder in, what lies in it and its files as Sources out: on this machine; `hub_folder.py` has those of the Hub."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from mwv.checkpoint.source import FileSource, Source, is_directory, is_file
from mwv.checkpoint.wording import printable
from mwv.errors import SourceError

# Twice as many as a set may have shards; each may be looked into.
MAX_ENTRIES: Final = 20_000
_BELOW: Final = 100
_GLANCED: Final = 1000
"""Folders in a folder, and names in each of them, that are looked at for advice."""


@dataclass(frozen=True)
class Listing:
    """What lies in a folder, each in order of name."""

    files: Sequence[str]
    """Regular files, links followed."""
    folders: Sequence[str]
    others: Mapping[str, str] = field(default_factory=dict)
    """Why the rest are none of these."""


class Folder(Protocol):
    """Files by name; those of folders in it do not count."""

    @property
    def name(self) -> str:
        """What to call a model in it whose file has no telling name."""

    @property
    def near(self) -> bool:
        """Whether to look into each file costs next to nothing."""

    def place(self, name: str = "") -> str:
        """How messages call a file in it, or the folder itself."""

    def listing(self) -> Listing:
        """What lies in it; SourceError if that cannot be found out or is too much."""

    def ending(self, suffix: str) -> Sequence[str]:
        """Names that end so, in order; none if that cannot be found out."""

    def below(self) -> Mapping[str, Sequence[str]]:
        """Some of its folders, and some names in each."""

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""

    def open(self, name: str) -> Source:
        """A file in it; SourceError if that cannot be opened."""

    def inside(self, name: str) -> "Folder":
        """A folder in it."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine."""

    path: Path

    near = True

    @property
    def name(self) -> str:
        """Its name; in the Hub's cache the repository's: there files lie in models--owner--name/snapshots/revision/."""
        path = self.path.absolute()
        if path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--"):
            return path.parent.parent.name.rsplit("--", 1)[-1]
        return path.name

    def place(self, name: str = "") -> str:
        """The path."""
        return printable(str(self.path / name))

    def listing(self) -> Listing:
        """Names, sorted into files, folders and others."""
        try:
            with os.scandir(self.path) as entries:
                names = sorted(entry.name for entry in islice(entries, MAX_ENTRIES + 1))
        except OSError as error:
            raise SourceError(f"{self.place()}: cannot be listed: {error.strerror}") from None
        if len(names) > MAX_ENTRIES:
            raise SourceError(f"{self.place()}: more than {MAX_ENTRIES} files; name the checkpoint itself")
        files, folders, others = [], [], {}
        for name in names:
            if self.has(name):
                files.append(name)
            elif is_directory(self.path / name):
                folders.append(name)
            else:
                others[name] = _what(self.path / name)
        return Listing(files, folders, others)

    def ending(self, suffix: str) -> Sequence[str]:
        """Names of all entries that end so."""
        try:
            with os.scandir(self.path) as entries:
                return sorted(entry.name for entry in entries if entry.name.endswith(suffix))
        except OSError:
            return ()

    def below(self) -> Mapping[str, Sequence[str]]:
        """Its first folders, and names in them in no order."""
        found: dict[str, Sequence[str]] = {}
        for name in self.listing().folders[:_BELOW]:
            try:
                with os.scandir(self.path / name) as entries:
                    found[name] = [entry.name for entry in islice(entries, _GLANCED)]
            except OSError:
                continue
        return found

    def has(self, name: str) -> bool:
        """Whether a regular file of that name lies in it, perhaps by a link."""
        return is_file(self.path / name)

    def open(self, name: str) -> FileSource:
        """A regular file in it."""
        return FileSource(self.path / name)

    def inside(self, name: str) -> "LocalFolder":
        """A folder in it."""
        return LocalFolder(self.path / name)


def _what(path: Path) -> str:
    """Why a path leads neither to a file nor to a folder."""
    try:
        path.stat()
    except OSError as error:
        return "a link to nothing" if path.is_symlink() else f"cannot be read: {error.strerror}"
    return "not a regular file"
