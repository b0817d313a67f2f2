"""Archives, one by one while they are made, in; the same at a Target out, sent by a thread of its own.

What is sent is in the Hub's storage at once, so that nothing of it need lie here; commits, of which the Hub takes few, follow
when there are many archives or some time has passed. Whatever stops a stream, the site at the target stays as it was, and
archives that a commit has named are found there by the next one.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from threading import Condition, Lock
from types import TracebackType
from typing import Final, Protocol, Self

from mwv.errors import MwvError
from mwv.pyramid.stream import Spool
from mwv.site.journal import encode_journal
from mwv.upload.plan import Step
from mwv.upload.target import Stored, Target, announced_at


class Spools(Protocol):
    """Where spools are."""

    def open(self) -> Spool:
        """A new one."""

    @property
    def peak(self) -> int:
        """Most bytes at once in all of them."""


class Notes(Protocol):
    """Small values that outlive this process, or get lost."""

    def recall(self, namespace: str, key: str) -> bytes | None:
        """What was remembered, or None."""

    def remember_many(self, namespace: str, values: Mapping[str, bytes]) -> None:
        """Keep values by key."""


@dataclass(frozen=True)
class Pace:
    """When what has been sent is committed: the Hub likes about a hundred files a commit, and few commits an hour."""

    files: int = 100
    seconds: float = 60


PACE: Final = Pace()
_NAMESPACE: Final = "stored"


class Stream:
    """A Sink (see mwv.pyramid.stream) that leads to a target; a context manager.

    At most `room` spools are open at once, each with the tiles of a super-block or with its archive, one of them with both: at
    up to 100 MB each, what lies on disk is bounded by (room + 1) × 100 MB.
    """

    def __init__(self, target: Target, spools: Spools, room: int, notes: Notes | None = None) -> None:
        """Nothing is sent yet. `notes` say what is stored and in no commit, for the stream after one that was killed."""
        self._target, self._spools, self._room, self._pace = target, spools, room, PACE
        self._changed = Condition()
        self._packing = Lock()
        self._open = 0
        self._taken: set[Spool] = set()
        """Spools whose archive is on its way."""
        self._names: set[str] = set()
        """Archives that were sent or are on their way."""
        self._waiting: dict[str, Stored | None] = {}
        """What is in the storage and in no commit, by path."""
        self._notes = notes
        self._committed_at = time.monotonic()
        self._thread = ThreadPoolExecutor(1)
        self.error: BaseException | None = None
        """What put an end to it."""
        self.arrived = 0
        """Archives that were brought to the target for good."""

    def __enter__(self) -> Self:
        """Have the target name what a stream that was killed has stored there."""
        left = {path: found for path, found in self._noted().items() if path not in self._target.sizes}
        if left:
            announced = self._announced.union(left)
            if self._target.resume(left, encode_journal(announced)):
                self._announced = announced
            self._note()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Commit what was sent, as far as that can be done."""
        with suppress(MwvError):
            self.flush()
        self._thread.shutdown()

    def has(self, name: str) -> bool:
        """Whether an archive is there, or on its way."""
        return name in self._names or archive_path(name) in self._target.sizes

    @contextmanager
    def spool(self) -> Iterator[Spool]:
        """Room for one archive and what it is made of; waits until there is some."""
        with self._changed:
            self._changed.wait_for(lambda: self._open < self._room or self.error is not None)
            self.check()
            self._open += 1
        try:
            spool = self._spools.open()
        except BaseException:
            self._leave()
            raise
        try:
            yield spool
        finally:
            if spool not in self._taken:
                self._leave(spool)

    def send(self, name: str, archive: Iterable[bytes], spool: Spool) -> None:
        """Write an archive into the spool of what it is made of, and send it from there; one is written at a time."""
        with self._packing:
            spool.put_parts(name, archive)
            spool.keep_only(name)
        self._names.add(name)
        self._taken.add(spool)
        self._thread.submit(self._bring, name, spool)

    def flush(self) -> None:
        """Wait until all that was sent is at the target for good; raises HubError."""
        self._thread.submit(self._commit).result()
        self.check()

    def check(self) -> None:
        """Raise what put an end to the stream, if something did."""
        if self.error is not None:
            raise self.error

    @property
    def peak(self) -> int:
        """Most bytes that lay here at once."""
        return self._spools.peak

    def _leave(self, spool: Spool | None = None) -> None:
        """Delete a spool, and give its room to another."""
        if spool is not None:
            spool.close()
            self._taken.discard(spool)
        with self._changed:
            self._open -= 1
            self._changed.notify()

    def _bring(self, name: str, spool: Spool) -> None:
        """Send an archive, in the thread of this stream, and commit if it is time to."""
        path, pace = archive_path(name), self._pace

        def store() -> None:
            journal = encode_journal({*self._announced, *self._waiting, path})
            self._waiting[path] = self._target.store(path, spool.path(name), journal)
            self._note()

        self._attempt(store)
        self._leave(spool)
        if len(self._waiting) >= pace.files or time.monotonic() - self._committed_at >= pace.seconds:
            self._commit()

    def _commit(self) -> None:
        """Have the target name what was stored."""

        def commit() -> None:
            announced = self._announced.union(self._waiting)
            step = Step(tuple(self._waiting), journal=encode_journal(announced))
            self._target.apply(step, _gone, lambda *_: None)
            self._announced = announced
            self.arrived += len(self._waiting)
            self._waiting.clear()
            self._note()

        if self._waiting:
            self._attempt(commit)
        self._committed_at = time.monotonic()

    def _note(self) -> None:
        """Write down what is stored and in no commit."""
        if self._notes is not None:
            stored = {path: vars(found) for path, found in self._waiting.items() if found is not None}
            self._notes.remember_many(_NAMESPACE, {self._target.place: json.dumps(stored).encode("ascii")})

    def _noted(self) -> dict[str, Stored]:
        """What the last stream to this target wrote down."""
        body = None if self._notes is None else self._notes.recall(_NAMESPACE, self._target.place)
        return {path: Stored(**found) for path, found in json.loads(body or b"{}").items()}

    def _attempt(self, work: Callable[[], None]) -> None:
        """Do something, unless something failed before; whoever waits for room hears of it if this fails."""
        if self.error is None:
            try:
                work()
            except BaseException as error:
                with self._changed:
                    self.error = error
                    self._changed.notify_all()

    @cached_property
    def _announced(self) -> frozenset[str]:
        """What the journal at the target says."""
        return announced_at(self._target)


def archive_path(name: str) -> str:
    """Where an archive lies in a site."""
    return f"tiles/{name[:2]}/{name}.pmtiles"


def _gone(path: str) -> bytes:
    raise AssertionError(f"{path} was stored before")
