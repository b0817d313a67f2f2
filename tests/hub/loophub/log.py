"""In: requests as they were answered. Out: a log that can be counted: how many, of which class, with which bytes and token."""

import fnmatch
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["api", "resolve", "cdn", "cas", "lfs", "page"]
Token = Literal["", "hub", "xet", "unknown"]


@dataclass
class Seen:
    """One request. `path` is decoded and without the query, so no signature and no token is in it.

    sent, received: bytes of the bodies, as they went over the wire (heads are not counted).
    token: whose token the Authorization header held. faulty: a fault was done to it.
    leaked: a Hub token of a user came to the CDN or the CAS, or stood in an address.
    """

    method: str
    path: str
    kind: Kind
    range: str | None
    status: int
    sent: int
    received: int
    token: Token
    faulty: bool = False
    leaked: bool = False

    def __str__(self) -> str:
        where = f"{self.method} {self.path}" + (f" [{self.range}]" if self.range else "")
        return f"{self.kind} {where} -> {self.status}, {self.sent} B out, {self.received} B in, token: {self.token or 'none'}"


class Log:
    """All requests since the last `clear`, oldest first."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._lock = threading.Lock()

    def add(self, seen: Seen) -> None:
        with self._lock:
            self._seen.append(seen)

    def clear(self) -> None:
        with self._lock:
            self._seen.clear()

    def __iter__(self) -> Iterator[Seen]:
        with self._lock:
            return iter(list(self._seen))

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def of(self, kind: Kind | None = None, method: str | None = None, path: str = "*", status: int | None = None) -> list[Seen]:
        """Requests of this class, method, status and path pattern (`*` crosses slashes)."""
        return [
            seen
            for seen in self
            if kind in (None, seen.kind)
            and method in (None, seen.method)
            and status in (None, seen.status)
            and fnmatch.fnmatchcase(seen.path, path)
        ]

    def sent(self, kind: Kind | None = None, method: str | None = None, path: str = "*") -> int:
        """Bytes of bodies that went to clients."""
        return sum(seen.sent for seen in self.of(kind, method, path))

    def received(self, kind: Kind | None = None, method: str | None = None, path: str = "*") -> int:
        """Bytes of bodies that came from clients."""
        return sum(seen.received for seen in self.of(kind, method, path))

    def leaks(self) -> list[Seen]:
        return [seen for seen in self if seen.leaked]
