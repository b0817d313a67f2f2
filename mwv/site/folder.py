"""A destination in, a Folder out: files written by rename, links made, and only what is ours deleted.

While a build writes, `.mwv-build/journal` lists the new files it is about to make, so that a build that was killed leaves
nothing that the next one does not know.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol, Self

from mwv.errors import LostError, SiteError
from mwv.site.data import digest
from mwv.site.journal import JOURNAL, decode_journal, encode_journal
from mwv.site.manifest import FileEntry, Manifest, decode

_WORK: Final = JOURNAL.rpartition("/")[0]
LONGEST: Final = 1 << 28
"""Bytes of a file that is read; those of the largest models have some tens of MB."""
_NO_LINK: Final = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES}


class Base(Protocol):
    """A site that lies elsewhere, and that a folder goes on with: what has changed since is all that the folder holds."""

    @property
    def name(self) -> str:
        """What the user calls the place."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Path → size of all files there, foreign ones included."""

    def expect(self, paths: Collection[str]) -> None:
        """Fetch files that are going to be read, as far as they are there; raises MwvError if one cannot be had."""

    def read(self, path: str) -> bytes:
        """One of them; raises MwvError if it cannot be had."""


class Folder:
    """A destination that is ours: new, empty, or a site of mwv. Nothing is made before the first write."""

    def __init__(self, root: Path, base: Base | None = None) -> None:
        """Look at `root`; raises SiteError if it is a file, cannot be written, or is full of what is not ours.

        With a `base` the folder must be new: its site is that of the base, and tiles that the base has are not brought in.
        """
        self.root = root
        self.manifest = Manifest()
        self._base = base
        self.strays: set[str] = set()
        """Paths that killed builds have announced."""
        self._lock: int | None = None
        self._journal = False
        self._absent = False
        self._folders: set[Path] = set()
        self._sizes: dict[str, dict[str, int]] = {}
        """What was seen in a folder, and what was linked into it since: many models share few folders."""
        self._can_link = True
        try:
            with self._errors():
                self._inspect()
        except BaseException:
            self.close()
            raise

    def _inspect(self) -> None:
        if self.root.is_symlink() and not self.root.exists():
            raise SiteError(f"{self.root}: is a link that leads nowhere; remove it or choose another destination")
        if not self.root.exists():
            parent = next(place for place in self.root.absolute().parents if place.exists())
            if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
                raise SiteError(f"{self.root}: cannot be made, {parent} is not a folder that can be written; choose another")
            self._absent = True
            if self._base is not None and "site.json" in self._base.sizes:
                self.manifest = decode(self._base.read("site.json"), self.place("site.json"))
            return
        if not self.root.is_dir():
            raise SiteError(f"{self.root}: is a file; the destination must be a folder")
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise SiteError(f"{self.root}: cannot be written; choose another destination or change its permissions")
        self._take_lock()
        journal = self._read_journal()
        index = self.root / "site.json"
        if index.exists() and not index.is_file():
            raise SiteError(f"{index}: is not a regular file; remove it, or choose another destination")
        if index.exists():
            self.manifest = decode(content_of(index), index)
        elif journal is None and any(entry.name != _WORK for entry in self.root.iterdir()):
            raise SiteError(f"{self.root}: holds files but no site of mwv; choose an empty or new folder")
        self.strays = set(journal or ())

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        self._lock = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SiteError(f"{self.root}: another build is writing this site; wait until it is done") from None
        except OSError:
            self.close()  # a file system without locks: two builds at once are the user's care there

    def close(self) -> None:
        """Give the folder free for other builds."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _errors(self, path: str = "") -> Iterator[None]:
        """Failures of the file system as one line that names the path."""
        try:
            yield
        except OSError as error:
            place = self.root / path if path else error.filename or self.root
            raise SiteError(f"{place}: cannot be written: {error.strerror or error}") from None

    def _read_journal(self) -> frozenset[str] | None:
        try:
            return decode_journal(content_of(self.root / JOURNAL))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def announce(self, paths: Iterable[str]) -> None:
        """Say which files will be made, before the first of them is."""
        new = [path for path in paths if path not in self.strays and path not in self.manifest.files]
        if new or not self._journal:
            self._note(new)

    def doom(self, paths: Iterable[str]) -> None:
        """Say which files will be deleted, before the manifest that names them is replaced."""
        self._note([path for path in paths if path not in self.strays])

    def _note(self, paths: list[str]) -> None:
        """Write paths into the journal, which begins with what killed builds have left."""
        with self._errors():
            self.root.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            if self._absent and any(self.root.iterdir()):
                raise SiteError(f"{self.root}: another build has made this site meanwhile; build again to add to it")
            self._absent = False
            (self.root / _WORK).mkdir(exist_ok=True)
            if not self._journal:
                self._journal = True
                part = self.root / _WORK / "part"
                part.write_bytes(encode_journal(self.strays))
                part.replace(self.root / JOURNAL)
            with (self.root / JOURNAL).open("a", encoding="utf-8") as journal:
                journal.writelines(f"{path}\n" for path in paths)
        self.strays.update(paths)

    def place(self, path: str = "") -> str:
        """How messages call the site, or a file of it: as its base is, for with one it is here no longer than a build."""
        root = str(self.root) if self._base is None else self._base.name
        return f"{root}/{path}" if path else root

    def knows(self, path: str) -> bool:
        """Whether a path is ours: in the manifest, or announced by this build or one that was killed."""
        # A site.json that was not ours has been refused at the beginning; it cannot name itself.
        return path == "site.json" or path in self.manifest.files or path in self.strays

    def expect(self, paths: Iterable[str]) -> None:
        """Say which files of the site are going to be read: those of the base are fetched together."""
        if self._base is not None:
            self._base.expect([path for path in paths if not (self.root / path).exists()])

    def read(self, path: str) -> bytes:
        """A file of the site; raises SiteError if it is gone, and what the base raises if it lies there."""
        try:
            if self._base is not None and path in self._base.sizes and not (self.root / path).exists():
                return self._base.read(path)
            return content_of(self.root / path)
        except OSError as error:
            raise SiteError(f"{self.root / path}: cannot be read: {error.strerror}; build its model again") from None

    def found(self, path: str) -> tuple[bytes, str]:
        """A file of the site, see `read`, and how messages call it."""
        return self.read(path), self.place(path)

    def holds(self, path: str, entry: FileEntry) -> bool:
        """Whether a file of the site is there as the manifest has it."""
        try:
            content = content_of(self.root / path)
        except OSError:
            return False
        return len(content) == entry.size and digest(content) == entry.hash

    def write(self, path: str, content: bytes) -> None:
        """Put a file in place by one rename, unless it is there already; raises SiteError if a foreign file is."""
        target = self.root / path
        with self._errors(path):
            if os.path.lexists(target):
                if not self.knows(path):
                    raise SiteError(f"{target}: is in the way and was not made by mwv; move it away")
                if target.is_file() and target.stat().st_size == len(content) and target.read_bytes() == content:
                    return
        self.announce([path])
        with self._errors(path):
            self._parent(target)
            part = self.root / _WORK / "part"
            part.write_bytes(content)
            part.replace(target)
            self._sizes.pop(path.rpartition("/")[0], None)

    def _parent(self, target: Path) -> None:
        """Make the folder of a file; refuse one that a link has led out of the site."""
        if target.parent in self._folders:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(self._real_root):
            raise SiteError(f"{target.parent}: leads out of the site; remove the link")
        self._folders.add(target.parent)

    @cached_property
    def _real_root(self) -> Path:
        """Where the site lies, links followed; it has been made."""
        return self.root.resolve()

    def sizes(self, folders: Iterable[str]) -> dict[str, int]:
        """Path → size of the regular files in some folders of the site; a folder that is missing has none."""
        found: dict[str, int] = {}
        for folder in folders:
            found.update(self._listing(folder))
        return found

    def has(self, path: str, size: int) -> bool:
        """Whether a regular file of this size is there."""
        return self._listing(path.rpartition("/")[0]).get(path) == size

    def _listing(self, folder: str) -> dict[str, int]:
        if folder in self._sizes:
            return self._sizes[folder]
        found = self._sizes[folder] = dict(self._based.get(folder, {}))
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.root / folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    found[f"{folder}/{entry.name}"] = entry.stat(follow_symlinks=False).st_size
        return found

    def based(self, paths: Iterable[str]) -> dict[str, int]:
        """Sizes of files that the base has; raises LostError if it lacks one."""
        there = {} if self._base is None else self._base.sizes
        try:
            return {path: there[path] for path in paths}
        except KeyError as error:
            raise LostError(f"{error.args[0]}: is neither here nor where the site goes; build again") from None

    @cached_property
    def _based(self) -> dict[str, dict[str, int]]:
        """The files of the base, by folder."""
        found: dict[str, dict[str, int]] = {}
        for path, size in self._base.sizes.items() if self._base is not None else ():
            found.setdefault(path.rpartition("/")[0], {})[path] = size
        return found

    def link(self, path: str, source: Path) -> None:
        """Make `path` a hard link to `source`, or a copy where file systems differ; replaces what is there.

        Raises LostError if `source` is gone.
        """
        target = self.root / path
        with self._errors(path):
            self._parent(target)
            folder = path.rpartition("/")[0]
            if folder in self._sizes:
                self._sizes[folder][path] = source.stat().st_size
            if self._can_link:
                try:
                    os.link(source, target)
                    return
                except FileExistsError:
                    pass
                except FileNotFoundError:
                    size_of(source)
                    raise
                except OSError as error:
                    if error.errno not in _NO_LINK:
                        raise
                    self._can_link = error.errno == errno.EMLINK
            try:
                self._replace(target, source)
            except FileNotFoundError:
                size_of(source)
                raise

    def _replace(self, target: Path, source: Path) -> None:
        part = self.root / _WORK / "part"
        part.unlink(missing_ok=True)
        try:
            if not self._can_link:
                raise OSError(errno.EXDEV, "no links here")
            os.link(source, part)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            shutil.copyfile(source, part)
        part.replace(target)
        part.unlink(missing_ok=True)  # renaming one link over another of the same file leaves both

    def delete(self, paths: Iterable[str]) -> int:
        """Delete files, then folders that have become empty; the number of files deleted."""
        root = self.root.resolve()
        inside: dict[Path, bool] = {}
        deleted = 0
        with self._errors():
            for path in paths:
                target = self.root / path
                if target.parent not in inside:
                    inside[target.parent] = target.parent.resolve().is_relative_to(root)
                if inside[target.parent]:
                    with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
                        target.unlink()
                        deleted += 1
            for folder in sorted(inside, key=lambda place: len(place.parts), reverse=True):
                self._prune(folder)
        return deleted

    def _prune(self, folder: Path) -> None:
        """Remove a folder and those above it while they are empty, never the root."""
        while folder != self.root and self.root in folder.parents:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent

    def clear_journal(self) -> None:
        """The site is whole: forget what was announced."""
        with self._errors():
            for path in (f"{_WORK}/part", JOURNAL):
                (self.root / path).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                (self.root / _WORK).rmdir()
        self._journal = False
        self.strays = set()


def content_of(path: Path) -> bytes:
    """The content of a file of a site; OSError for a pipe or a device, which could be read for ever, and for a vast file."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        if status.st_size > LONGEST:
            raise OSError(errno.EFBIG, f"longer than {LONGEST:,} bytes", path)
        return file.read()


def size_of(source: Path) -> int:
    """Bytes of a tile in the cache; raises LostError if it is gone."""
    try:
        return source.stat().st_size
    except OSError as error:
        raise LostError(f"{source}: tile cannot be read: {error.strerror}; build again") from None


def linked(
    folder: Folder, wanted: Mapping[str, Path], known: Mapping[str, int], fresh: Set[str] = frozenset()
) -> dict[str, int]:
    """Bring tiles into a site; path → size of all of `wanted`.

    `known` are sizes that an earlier list vouches for. A file that is there with the right size is left alone, unless it
    is among the `fresh` ones: one directory scan tells, not a call per tile.
    """
    there = folder.sizes(sorted({path.rpartition("/")[0] for path in wanted}))
    sizes: dict[str, int] = {}
    missing: list[str] = []
    for path, source in wanted.items():
        size = known[path] if path in known and path not in fresh else size_of(source)
        sizes[path] = size
        if there.get(path) != size or path in fresh:
            missing.append(path)
    folder.announce(path for path in missing if path not in there)
    for path in missing:
        folder.link(path, wanted[path])
    return sizes
