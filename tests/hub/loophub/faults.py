"""In: what shall go wrong, and at which requests. Out: the fault of a request, or none."""

import fnmatch
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from .log import Kind
from .wire import HANG_UP, Request, Response


@dataclass(frozen=True)
class Fault:
    """What goes wrong: an answer that is given instead (`status`), a wait before it, or a connection that breaks (`send`).

    done: whether the request is carried out although its answer is not the right one.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0
    send: int | None = None
    done: bool = True

    def spoil(self, response: Response) -> Response:
        """The answer as it goes out; a cut one always lacks at least its last byte, and without a body there is none."""
        response.faulty = True
        if self.send is not None:
            response.send = self.send if self.send == HANG_UP else min(self.send, len(response.body) - 1)
        return response


def status(code: int, retry_after: int | None = None, error: str = "", message: str = "") -> Fault:
    """Answer `code` without doing anything; `error` is the Hub's X-Error-Code."""
    headers = {"Retry-After": f"{retry_after}"} if retry_after is not None else {}
    headers |= {"X-Error-Code": error} if error else {}
    headers |= {"X-Error-Message": message} if message else {}
    return Fault(code, headers, b'{"error":"fault"}', done=False)


def limited(seconds: int, what: str = "resolvers") -> Fault:
    """429 because a limit of the Hub's is used up for so many seconds, with the headers by which it says so."""
    headers = {"RateLimit": f'"{what}";r=0;t={seconds}', "RateLimit-Policy": f'"fixed window";"{what}";q=3000;w=300'}
    return Fault(429, headers, b'{"error":"rate limit"}', done=False)


def slow(seconds: float) -> Fault:
    """The right answer, `seconds` late."""
    return Fault(delay=seconds)


def cut(after: int) -> Fault:
    """The right answer, but the connection is closed after so many bytes of its body."""
    return Fault(send=after)


def drop() -> Fault:
    """The connection is closed without an answer and nothing was done."""
    return Fault(status=500, send=HANG_UP, done=False)


def lost() -> Fault:
    """What was asked for is done, but the connection is closed without an answer."""
    return Fault(send=HANG_UP)


def expired_token() -> Fault:
    """What the CAS says to a token that has expired."""
    return Fault(401, {"Content-Type": "application/json"}, b'{"error":"token expired"}', done=False)


def expired_url() -> Fault:
    """What the CDN says to a signed URL that has expired."""
    return Fault(403, {"Content-Type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>", done=False)


@dataclass
class Rule:
    """A fault for requests of this class, method and path pattern: the first `after` are spared, then `times` are hit."""

    fault: Fault
    kind: Kind | None = None
    method: str | None = None
    path: str = "*"
    times: int | None = 1
    after: int = 0
    matched: int = 0

    @property
    def hits(self) -> int:
        """How many requests it has hit."""
        hit = max(0, self.matched - self.after)
        return hit if self.times is None else min(hit, self.times)

    def strikes(self, request: Request, kind: Kind) -> bool:
        if self.kind not in (None, kind) or self.method not in (None, request.method):
            return False
        if not fnmatch.fnmatchcase(request.path, self.path):
            return False
        self.matched += 1
        return self.matched > self.after and (self.times is None or self.matched <= self.after + self.times)


class Faults:
    """The rules in force; the first that strikes a request decides."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, rule: Rule) -> Rule:
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def strike(self, request: Request, kind: Kind) -> Fault | None:
        with self._lock:
            return next((rule.fault for rule in self._rules if rule.strikes(request, kind)), None)
