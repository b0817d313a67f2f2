"""Keys and bytes in, files named by key out: the content-addressed cache, which may lose anything and never lies.

Below its root lie `blobs/ab/<key>` (what was made), `index/` (advice: see mwv.store.index), `running/` and `gate` (who counts
on which blob: see mwv.store.runs) and `CACHEDIR.TAG`, the first thing written, which tells a cache of ours from a foreign
folder. A blob is written under a temporary name and renamed, and proves itself (see mwv.store.blob). Nothing is synced to disk
on the way: after a power cut a blob may be short or full of zeros, which `has` and `get` take for a miss, and waiting for the
disk at every tile would cost more than making the tile anew.
"""

import contextlib
import io
import itertools
import os
import re
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import uuid4

from mwv.errors import StoreError
from mwv.store.blob import PNG_SIGNATURE, Sealed, body_of, intact, plausible
from mwv.store.index import Index
from mwv.store.runs import Run, record_use
from mwv.store.scratch import Scratch

TAG_NAME = "CACHEDIR.TAG"
TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# This is a cache of mwv. Everything in it can be deleted; the next build makes it anew.
# See https://bford.info/cachedir/ for what this file is.
"""
_TAG_PART = ".CACHEDIR.TAG-"
_KEY = re.compile("[0-9a-f]{32}")
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO or a link is no blob
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Store:
    """One build's view of a cache: reads come from `root`, writes go there or, once that failed, to `spare`.

    Methods are safe from several threads. Every key that is asked for is protected from pruning until `close`.
    """

    def __init__(self, root: Path, spare: Path | None) -> None:
        """Use `Store.open`."""
        self.root = root
        self.index = Index(root / "index")
        self.warnings: list[str] = []
        """At most one: that the cache cannot be written."""
        self._root = str(root)
        self._spare = spare
        self._writable = True
        self._scratch: Scratch | None = None
        self._run: Run | None = None
        self._used: set[str] = set()
        self._made: set[str] = set()
        self._thorough = False
        self._mutex = threading.Lock()
        self._count = itertools.count()

    @classmethod
    def open(cls, root: Path, spare: Path | None = None) -> Self:
        """A store at `root`, which is created when first written to. In `spare` a folder is made when `root` cannot be written.

        Raises StoreError if `root` is a file, or a folder with other things than a cache of ours in it.
        """
        store = cls(root, spare)
        try:
            refuse_foreign(root)
        except OSError as error:
            store._give_up(error)
        return store

    def has(self, key: str) -> bool:
        """Whether the blob is there and looks whole: length, header and end; from now on it stays until `close`."""
        if self._thorough:
            return self.get(key) is not None
        self._note(key)
        return any(_is_plausible(path) for path in self._places(key))

    def distrust(self) -> None:
        """From now on `has` reads every byte: for a build that met a damaged blob."""
        self._thorough = True

    @property
    def made(self) -> frozenset[str]:
        """Keys of what was put."""
        return frozenset(self._made)

    def path(self, key: str) -> Path:
        """Where a blob is that `has` or `put` vouched for, to be linked or copied (one that is no PNG ends in its seal)."""
        self._note(key)
        places = self._places(key)
        return Path(next((path for path in places[:-1] if _is_plausible(path)), places[-1]))

    def get(self, key: str) -> bytes | None:
        """What was put, every byte verified, or None. A damaged blob is removed and counts as not there."""
        self._note(key)
        for path in self._places(key):
            try:
                with open_blob(path) as file:
                    data = file.read()
            except OSError:
                continue
            if intact(io.BytesIO(data), len(data)):
                return body_of(data)
            with contextlib.suppress(OSError):
                Path(path).unlink()
        return None

    def put_png(self, key: str, data: bytes) -> None:
        """Keep a PNG file. Raises StoreError when neither cache nor spare can be written."""
        if not data.startswith(PNG_SIGNATURE):
            raise ValueError("not a PNG")
        self._put(key, (data,))

    def put(self, key: str, body: bytes) -> None:
        """Keep anything but a PNG; a seal is appended. Raises StoreError when neither cache nor spare can be written."""
        if body.startswith(PNG_SIGNATURE):
            raise ValueError("a PNG is its own seal: use put_png")
        self._put(key, Sealed((body,)))

    def put_parts(self, key: str, parts: Iterable[bytes]) -> None:
        """The same for what is too large to be held; `parts` are gone through once more where the cache cannot be written."""
        self._put(key, Sealed(parts))

    def recall(self, namespace: str, key: str) -> bytes | None:
        """What an earlier build remembered, or None. Never raises; never anything else than what was remembered."""
        return self.index.recall(namespace, key)

    def remember_many(self, namespace: str, values: Mapping[str, bytes]) -> None:
        """Keep small values for later builds, in one transaction, if possible. Never raises."""
        if self._register():
            self.index.remember_many(namespace, values)

    def close(self) -> None:
        """Record the use of all blobs asked for, let go of them, delete the spare folder (so place blobs before)."""
        with self._mutex:
            run, self._run = self._run, None
            self._writable = False
        if run is not None:
            record_use(self.index, time.time_ns(), frozenset(self._used))
            run.close()
        self.index.close()
        if self._scratch is not None:
            self._scratch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _places(self, key: str) -> list[str]:
        folders = (self._root,) if self._scratch is None else (self._root, str(self._scratch.folder))
        return [blob_path(folder, key) for folder in folders]

    def _note(self, key: str) -> None:
        """Protect `key`, as far as the cache can be written; where it cannot, only another user could prune."""
        if key in self._used:
            return
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key: {key!r}")
        self._register()
        if self._run is not None:  # also when blobs no longer find room: 16 bytes may
            try:
                self._run.note(key)
            except OSError as error:
                self._give_up(error)
        self._used.add(key)  # last, so that no other thread relies on a key that is not written down yet

    def _register(self) -> bool:
        """Whether this build is registered in a cache that can be written; the first call makes it so."""
        if self._run is None and self._writable:
            with self._mutex:
                if self._run is None and self._writable:
                    try:
                        prepare(self.root)
                        self._run = Run(self.root)
                    except OSError as error:
                        self._give_up(error)
        return self._run is not None and self._writable

    def _give_up(self, error: OSError) -> None:
        """Write to the cache no more, and say so once."""
        if self._writable:
            self._writable = False
            self.warnings.append(
                f"{self.root}: the cache cannot be written ({error.strerror or error}); the build goes on without adding to it"
            )

    def _put(self, key: str, parts: Iterable[bytes]) -> None:
        self._note(key)
        self._made.add(key)
        if self._register():
            try:
                self._write(self._root, key, parts)
                return
            except OSError as error:
                self._give_up(error)
        if self._spare is None:
            raise StoreError(f"{self.root}: the cache cannot be written; name another with --cache")
        try:
            with self._mutex:
                self._scratch = self._scratch or Scratch(self._spare)
            self._write(str(self._scratch.folder), key, parts)
        except OSError as error:
            reason = error.strerror
            raise StoreError(f"{self._spare}: neither here nor in the cache {self.root} can be written: {reason}") from None

    def _write(self, folder: str, key: str, parts: Iterable[bytes]) -> None:
        """Write or replace a blob; somebody may be doing the same, or deleting the folder, right now."""
        final = blob_path(folder, key)
        temporary = f"{final.removesuffix(key)}.{key}.{self._run.id if self._run else '-'}.{next(self._count)}"
        for last in (False, True):
            try:
                fd = os.open(temporary, _CREATE, 0o444)
                try:
                    for part in parts:
                        _write_all(fd, part)
                finally:
                    os.close(fd)
                Path(temporary).rename(final)
                return
            except FileNotFoundError:
                if last:
                    raise
                if folder == self._root:
                    prepare(self.root)
                Path(final).parent.mkdir(parents=True, exist_ok=True)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()
                raise


def cache_root(option: Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """The cache folder: `--cache`, MWV_CACHE, `./cache` if it is ours, the user's cache folder."""
    named = option or (Path(environ["MWV_CACHE"]) if environ.get("MWV_CACHE") else None)
    if named is not None:
        return cwd / named
    if is_ours(cwd / "cache"):
        return cwd / "cache"
    folder = Path(environ.get("XDG_CACHE_HOME", ""))
    if folder.is_absolute():  # the XDG base directory specification: a relative one is to be ignored
        return folder / "mwv"
    home = environ.get("HOME")
    if not home:
        raise StoreError("no home directory to keep the cache in: name a folder with --cache")
    return Path(home) / ".cache" / "mwv"


def is_ours(root: Path) -> bool:
    """Whether the tag in `root` is the one that we write."""
    try:
        with open_blob(str(root / TAG_NAME)) as file:  # a FIFO must not be waited for
            return file.read(len(TAG)).splitlines()[:2] == TAG.encode().splitlines()[:2]
    except OSError:
        return False


def refuse_foreign(root: Path) -> None:
    """Raise StoreError unless `root` is ours, empty or absent; OSError if that cannot be found out."""
    if is_ours(root):
        return
    try:
        names = [entry.name for entry in os.scandir(root) if not entry.name.startswith(_TAG_PART)]
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise StoreError(f"{root}: not a folder; name another with --cache") from None
    # Between the two looks another build may have made it ours.
    if names and not is_ours(root):
        raise StoreError(f"{root}: not empty and not a cache of mwv; name another folder with --cache, or empty this one")


def prepare(root: Path) -> None:
    """Make `root` a cache of ours, or whole again. Raises StoreError for a foreign folder, OSError."""
    if not is_ours(root):
        refuse_foreign(root)
        root.mkdir(parents=True, exist_ok=True)
        part = root / f"{_TAG_PART}{uuid4().hex}"
        with open(part, "xb") as file:
            file.write(TAG.encode())
            file.flush()
            os.fsync(file.fileno())  # once in the life of a cache: without the tag all of it would be refused
        part.rename(root / TAG_NAME)
    for name in ("blobs", "running"):
        (root / name).mkdir(exist_ok=True)


def blob_path(folder: str, key: str) -> str:
    """Where the blob of a key lies below a cache root. Plain strings: this is on the path of every tile."""
    return f"{folder}/blobs/{key[:2]}/{key}"


def open_blob(path: str) -> BinaryIO:
    """A blob's file for reading; raises OSError, also for what is no file."""
    fd = os.open(path, _READ)
    try:
        return open(fd, "rb")
    except OSError:
        os.close(fd)
        raise


def _is_plausible(path: str) -> bool:
    try:
        fd = os.open(path, _READ)
    except OSError:
        return False
    try:
        return plausible(fd)
    except OSError:
        return False
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
