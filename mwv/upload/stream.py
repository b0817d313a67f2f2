"""Archives, one by one while they are made, in; the same at a Target out, sent by a thread of its own.

What is sent is in the Hub's storage at once, so that nothing of it need lie here; commits, of which the Hub takes few, follow
when there are many archives or some time has passed. Whatever stops a stream, the site at the target stays as it was, and
archives that a commit has named are found there by the next one.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Lock
from types import TracebackType
from typing import Any, Final, Protocol, Self, cast

from mwv.errors import MwvError
from mwv.pyramid.survey import Blobs
from mwv.upload.plan import JOURNAL, Step, decode_journal, encode_journal
from mwv.upload.target import Target


class Spool(Blobs, Protocol):
    """A folder for what one archive is made of."""

    def put_parts(self, key: str, parts: Iterable[bytes]) -> object:
        """Keep what comes in parts."""

    def path(self, key: str) -> Path:
        """Where something that was put lies."""

    def keep_only(self, key: str) -> None:
        """Delete all others."""

    def close(self) -> None:
        """Delete all of it."""


@dataclass(frozen=True)
class Pace:
    """When what has been sent is committed: the Hub likes about a hundred files a commit, and few commits an hour."""

    files: int = 100
    seconds: float = 60


PACE: Final = Pace()


class Stream:
    """A Sink (see mwv.pyramid.stream) that leads to a target; a context manager.

    At most `room` spools are open at once, each with the tiles of a super-block or with its archive, one of them with both: at
    up to 100 MB each, what lies on disk is bounded by (room + 1) × 100 MB.
    """

    def __init__(self, target: Target, spool: Callable[[], Spool], room: int, pace: Pace = PACE) -> None:
        """`spool` opens a new one."""
        self._target, self._new_spool, self._room, self._pace = target, spool, room, pace
        self._changed = Condition()
        self._packing = Lock()
        self._open = 0
        self._names: set[str] = set()
        """Sent, or on their way."""
        self._waiting: list[str] = []
        """Paths of what is in the storage and in no commit."""
        self._committed_at = time.monotonic()
        self._thread = ThreadPoolExecutor(1)
        self.error: BaseException | None = None
        """What put an end to it."""
        self.sent = 0
        """Archives that were brought to the target for good."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Commit what was sent, as far as that can be done."""
        with suppress(MwvError):
            self.flush()
        self._thread.shutdown()

    def has(self, name: str) -> bool:
        """Whether an archive is there, or on its way."""
        return name in self._names or _path(name) in self._target.sizes

    @contextmanager
    def spool(self) -> Iterator[Spool]:
        """Room for one archive and what it is made of; waits until there is some."""
        with self._changed:
            self._changed.wait_for(lambda: self._open < self._room or self.error is not None)
            self.check()
            self._open += 1
        taken = _Taken(self._new_spool)
        try:
            yield cast(Spool, taken)
        finally:
            if not taken.sent:
                self._close(taken.spool)

    def check(self) -> None:
        """Raise what put an end to the stream, if something did."""
        if self.error is not None:
            raise self.error

    def flush(self) -> None:
        """Wait until all that was sent is at the target for good; raises HubError."""
        self._thread.submit(self._commit).result()
        self.check()
