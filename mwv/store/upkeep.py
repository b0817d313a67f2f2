"""A store in, a smaller, verified or empty one out, and a record of what was done for the command line to print."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mwv.errors import StoreError
from mwv.store.blob import intact
from mwv.store.index import OUTCOMES
from mwv.store.runs import Watch, record_use, recorded_uses, shut_gate
from mwv.store.store import Store, blob_path, is_ours, open_blob

_NAME = re.compile(r"[0-9a-f]{32}")
_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.([0-9a-f]{32})\.[0-9]+")
_BATCH = 256  # deletions while the gate is shut: a few milliseconds


@dataclass(frozen=True)
class Info:
    """What a cache holds. Sizes are in bytes, times in seconds since 1970."""

    root: Path
    blobs: int
    nbytes: int
    """Of all blobs."""
    shared_blobs: int
    shared_nbytes: int
    """Of the blobs among them that are linked from elsewhere too, as a rule from a site: deleting them frees nothing."""
    index_entries: int
    index_nbytes: int
    running: int
    """Builds that use the cache right now."""
    oldest_use: float | None
    newest_use: float | None
    """When the blobs were last used, None if there are none."""


@dataclass(frozen=True)
class Pruned:
    """What `prune` did. Sizes are in bytes."""

    blobs: int
    nbytes: int
    """Removed."""
    left_nbytes: int
    """What the cache alone still holds; above the limit only if running builds need it."""
    shared_blobs: int
    shared_nbytes: int
    """Left alone, because they are linked from elsewhere and deleting them frees nothing."""
    needed_blobs: int
    """Left alone, although it was their turn, because a running build asked for them."""


@dataclass(frozen=True)
class Verified:
    """What `verify` found."""

    blobs: int
    nbytes: int
    bad: tuple[str, ...]
    """Keys of the damaged blobs."""
    kept: tuple[str, ...]
    """Those of them that could not be removed: a running build asked for them, or the cache is read-only."""


@dataclass(frozen=True)
class Cleared:
    """What `clear` removed, the index apart."""

    blobs: int
    nbytes: int


class _Blob(NamedTuple):
    key: str
    size: int
    written: int
    links: int


def info(store: Store) -> Info:
    """Look, and change nothing."""
    watch = Watch(store.root)
    if is_ours(store.root):
        with contextlib.suppress(OSError), shut_gate(store.root):
            watch.look()
    blobs = list(_scan(store.root))
    times = _last_uses(blobs, _uses(store, watch)).values()
    shared = [blob.size for blob in blobs if blob.links > 1]
    return Info(
        root=store.root,
        blobs=len(blobs),
        nbytes=sum(blob.size for blob in blobs),
        shared_blobs=len(shared),
        shared_nbytes=sum(shared),
        index_entries=len(store.index.rows()),
        index_nbytes=store.index.nbytes(),
        running=len(watch.alive),
        oldest_use=min(times) / 1e9 if times else None,
        newest_use=max(times) / 1e9 if times else None,
    )


def prune(store: Store, limit: int) -> Pruned:
    """Remove the blobs that were unused the longest until what the cache alone holds is at most `limit` bytes.

    A blob that is linked from elsewhere is not counted and not removed, for its space is the site's. Nothing that a
    running build asked for is removed; what dead builds left half-written is. Raises StoreError if the cache cannot be written.
    """
    root = store.root
    if not is_ours(root):
        return Pruned(0, 0, 0, 0, 0, 0)
    watch = Watch(root)
    with _writing(root):
        temporaries = list(_temporaries(root))
        with shut_gate(root):
            watch.look()
        # Looked at after they were listed: the builds that write to them now are among the living.
        for path, run in temporaries:
            if run not in watch.alive:
                path.unlink(missing_ok=True)
        used = _uses(store, watch)
        for path, (when, keys) in watch.ended.items():
            record_use(store.index, when, keys)
            path.unlink(missing_ok=True)
        blobs = list(_scan(root))
        times = _last_uses(blobs, used)
        own = sorted((blob for blob in blobs if blob.links == 1), key=lambda blob: (times[blob.key], blob.key))
        left = sum(blob.size for blob in own)
        victims, needed = [], 0
        for blob in own:
            if left <= limit:
                break
            if blob.key in watch.needed:
                needed += 1
            else:
                victims.append(blob.key)
                left -= blob.size
        removed = set(_remove(root, watch, victims))
    sizes = {blob.key: blob.size for blob in own}
    left += sum(sizes[key] for key in victims if key not in removed)
    _forget(store, times.keys() - removed, removed)
    return Pruned(
        blobs=len(removed),
        nbytes=sum(sizes[key] for key in removed),
        left_nbytes=left,
        shared_blobs=len(blobs) - len(own),
        shared_nbytes=sum(blob.size for blob in blobs if blob.links > 1),
        needed_blobs=needed + len(victims) - len(removed),
    )


def verify(store: Store, advance: Callable[[int], None] = lambda _: None) -> Verified:
    """Read every blob, in pieces, and remove the damaged ones. `advance` is told the size of each blob after it was read.

    Sites may hold links to damaged ones, so after a finding no model counts as unchanged.
    """
    count = nbytes = 0
    bad = []
    for blob in _scan(store.root):
        try:
            good = _is_intact(blob_path(str(store.root), blob.key))
        except FileNotFoundError:
            continue  # pruned meanwhile
        except OSError:
            good = False
        count += 1
        nbytes += blob.size
        if not good:
            bad.append(blob.key)
        advance(blob.size)
    removed: set[str] = set()
    with contextlib.suppress(OSError):
        removed.update(_remove(store.root, Watch(store.root), bad))
    if bad:
        store.index.forget_many(row for row in store.index.rows() if row[0] == OUTCOMES)
    return Verified(count, nbytes, tuple(bad), tuple(key for key in bad if key not in removed))


def clear(store: Store) -> Cleared:
    """Remove all that mwv ever wrote to the cache but its tag, and nothing else. Raises StoreError while a build runs."""
    root = store.root
    if not is_ours(root):
        return Cleared(0, 0)
    watch = Watch(root)
    with _writing(root), shut_gate(root):
        watch.look()
        if watch.alive:
            raise StoreError(f"{root}: {len(watch.alive)} running build(s) use this cache; clear it when they are done")
        blobs = list(_scan(root))
        for blob in blobs:
            Path(blob_path(str(root), blob.key)).unlink(missing_ok=True)
        for path in [*watch.ended, *(path for path, _ in _temporaries(root))]:
            path.unlink(missing_ok=True)
        store.index.discard()
        # blobs, running and gate stay: a build may be waiting at the gate.
        for folder in (*_folders(root), root / "index"):
            with contextlib.suppress(OSError):
                folder.rmdir()
    return Cleared(len(blobs), sum(blob.size for blob in blobs))


@contextlib.contextmanager
def _writing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{root}: the cache cannot be changed: {error.strerror}") from None


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in (root / "blobs").iterdir() if re.fullmatch("[0-9a-f]{2}", path.name))
    except OSError:
        return []


def _scan(root: Path) -> Iterator[_Blob]:
    """The blobs, folder by folder. Anything else that lies there is passed over, and so never deleted."""
    for folder in _folders(root):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if _NAME.fullmatch(entry.name) and entry.name.startswith(folder.name) and entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat(follow_symlinks=False)
                        yield _Blob(entry.name, status.st_size, status.st_mtime_ns, status.st_nlink)


def _temporaries(root: Path) -> Iterator[tuple[Path, str]]:
    """Half-written blobs, with the id of the build that writes or wrote them."""
    for folder in _folders(root):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if match := _TEMPORARY.fullmatch(entry.name):
                    yield Path(entry.path), match[1]


def _uses(store: Store, watch: Watch) -> dict[str, int]:
    """When keys were last asked for (ns), by the index and the files of killed builds."""
    latest: dict[str, int] = {}
    for when, keys in (*recorded_uses(store.index).values(), *watch.ended.values()):
        latest.update((key, max(when, latest.get(key, 0))) for key in keys)
    return latest


def _last_uses(blobs: Sequence[_Blob], used: dict[str, int]) -> dict[str, int]:
    """Per blob; writing one is a use too, which is all that is known when the index was lost."""
    return {blob.key: max(blob.written, used.get(blob.key, 0)) for blob in blobs}


def _remove(root: Path, watch: Watch, keys: Sequence[str]) -> Iterator[str]:
    """Delete blobs that no running build asked for, and yield their keys. Raises OSError."""
    for start in range(0, len(keys), _BATCH):
        removed = []
        with shut_gate(root):
            watch.look()
            for key in keys[start : start + _BATCH]:
                if key not in watch.needed:
                    Path(blob_path(str(root), key)).unlink(missing_ok=True)
                    removed.append(key)
        yield from removed


def _forget(store: Store, present: Set[str], removed: Set[str]) -> None:
    """Drop the rows of removed blobs, and records of use that say nothing new about any blob that is left."""
    records = recorded_uses(store.index)
    latest: dict[str, int] = {}
    for when, keys in records.values():
        latest.update((key, max(when, latest.get(key, 0))) for key in keys & present)
    stale = [("use", row) for row, (when, keys) in records.items() if all(latest.get(key) != when for key in keys)]
    store.index.forget_many(stale + [row for row in store.index.rows() if row[1] in removed])


def _is_intact(path: str) -> bool:
    with open_blob(path) as file:
        return intact(file, os.fstat(file.fileno()).st_size)
