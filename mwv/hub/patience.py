"""Requests of `huggingface_hub` in, their responses out: one limit for all of them, tries until they succeed, and a count.

The Hub may answer that it is busy (429, 5xx), and connections break. What may be sent again is, after the time that
the Hub asks for or a growing one of random length; while one request waits for a limit of the Hub's, all wait.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx2
from huggingface_hub import constants, get_session, set_client_factory, utils
from huggingface_hub.utils import _xet_progress_reporting, parse_ratelimit_headers  # type: ignore[attr-defined]
from huggingface_hub.utils._http import default_client_factory

from mwv.errors import HubError

_BUSY: Final = (429, 500, 502, 503, 504)
_SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS", "PUT"))
_ASKING: Final = ("/paths-info", "/preupload/", "/validate-yaml", "/objects/batch")
"""POST requests that change nothing."""
_SETTING: Final = ("/api/repos/create", "/commit/", "/api/buckets/", "/branch/", "/restart")
"""POST requests that change no more when they come twice: we let things exist, and our commits name their parents."""
_BARS: Final = (utils.are_progress_bars_disabled, _xet_progress_reporting.XetUploadProgressReporter)  # type: ignore[attr-defined]
_TIMEOUT: Final = httpx2.Timeout(60, connect=10, pool=None)


@dataclass(frozen=True)
class Limits:
    """How hard the Hub is asked."""

    requests: int = 16
    """At once."""
    tries: int = 6
    reconnects: int = 3
    """Tries while there is no connection at all: a machine without a network is told so soon."""
    pause: float = 0.5
    """Seconds before the second try; doubled for each further one, and between half and all of it is waited."""
    longest: float = 330
    """Seconds; a limit of the Hub's is over after five minutes."""


@dataclass
class Wire:
    """What went over the wire."""

    requests: int = 0
    """Answers that came, those of redirects and refusals too."""
    nbytes: int = 0
    """Bytes of their bodies."""
    sent: int = 0
    """Bytes of the bodies of requests, and of what hf_xet uploads."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set when nobody waits for answers any more: what waits to try again gives up."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, response: httpx2.Response) -> None:
        """Add an answer whose body has been read."""
        with self._lock:
            self.requests += 1 + len(response.history)
            self.nbytes += response.num_bytes_downloaded
            if isinstance(response.request.stream, httpx2.ByteStream):
                self.sent += len(response.request.content)

    def add_sent(self, nbytes: int) -> None:
        """Add bytes that were sent by other ways."""
        with self._lock:
            self.sent += nbytes

    def add_received(self, nbytes: int) -> None:
        """Add bytes that came by other ways."""
        with self._lock:
            self.nbytes += nbytes


class XetCount:
    """Stands where huggingface_hub has its progress bars of an upload by hf_xet, which alone knows what it sends."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Nothing is sent yet."""
        self._sent = 0

    def update_progress(self, report: Any, _files: object = None) -> None:
        """Take note of how much of an upload has gone over the wire."""
        more, self._sent = report.total_transfer_bytes_completed - self._sent, report.total_transfer_bytes_completed
        if _wires:
            _wires[0].add_sent(more)

    def reset_for_next_commit(self) -> None:
        """Another upload begins."""
        self._sent = 0

    def close(self) -> None:
        """Nothing is shown."""


class PatientClient(httpx2.Client):
    """The client of all of huggingface_hub's requests."""

    def __init__(self, limits: Limits, notice: Callable[[str], None], wire: Wire) -> None:
        """`notice` takes a line when waiting gets long."""
        super().__init__(follow_redirects=True, timeout=_TIMEOUT)
        self._limits, self._notice, self._wire = limits, notice, wire
        self._slots = threading.BoundedSemaphore(limits.requests)
        self._lock = threading.Lock()
        self._resume = 0.0

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The response, or HubError when the last try failed; other answers than busy ones are the caller's."""

        def once() -> httpx2.Response:
            response = super(PatientClient, self).send(request, **options)
            self._wire.count(response)
            return response

        return self._patiently(request, once)

    def fetch(self, request: httpx2.Request, most: int) -> httpx2.Response:
        """The response with its body, redirects not followed; HubError, too, if a good one is longer than `most` bytes.

        A connection that breaks amid the body is another try, like one that breaks before.
        """

        def once() -> httpx2.Response:
            response = super(PatientClient, self).send(request, stream=True, follow_redirects=False)
            try:
                length = response.headers.get("Content-Length", "")
                if response.is_success and not (length.isdecimal() and int(length) <= most):
                    raise HubError(f"{_place(request)}: answers {length or 'unknown'} bytes, {most} were asked for")
                response.read()
            finally:
                response.close()
            self._wire.count(response)
            return response

        return self._patiently(request, once)

    def _patiently(self, request: httpx2.Request, once: Callable[[], httpx2.Response]) -> httpx2.Response:
        if constants.HF_HUB_OFFLINE:
            raise HubError("HF_HUB_OFFLINE is set: the Hub is not asked; unset it, or name files on this machine")
        for number in range(1, self._limits.tries + 1):
            self._wait()
            try:
                with self._slots:
                    response = once()
            except httpx2.UnsupportedProtocol:
                raise HubError(f"{_place(request).lstrip(':/')}: no http(s) address; is HF_ENDPOINT right?") from None
            except httpx2.ConnectError as error:
                self._failed(request, number, self._limits.reconnects, f"cannot be reached ({reason_of(error)})")
            except httpx2.TransportError as error:
                tries = self._limits.tries if _repeatable(request) else 1
                self._failed(request, number, tries, f"broke the connection ({reason_of(error)})")
            else:
                if response.status_code not in _BUSY:
                    return response
                rejected = response.status_code == 429 and isinstance(request.stream, httpx2.ByteStream)
                tries = self._limits.tries if rejected or _repeatable(request) else 1
                response.close()
                self._failed(request, number, tries, f"answered {response.status_code}", _asked_to_wait(response))
        raise AssertionError("the last try raises")

    def _failed(self, request: httpx2.Request, number: int, tries: int, what: str, asked: float | None = None) -> None:
        """Wait before the next try, or raise HubError after the last."""
        limits, place = self._limits, _place(request)
        if number >= tries:
            times = f" {number} times" if number > 1 else ""
            raise HubError(f"{place}: {what}{times}; try again later") from None
        if asked is None:
            self._sleep(random.uniform(0.5, 1) * limits.pause * 2 ** (number - 1))
            return
        if asked > limits.longest:
            raise HubError(f"{place}: {what} and asks to wait {asked:.0f} s; try again then") from None
        with self._lock:
            self._resume = max(self._resume, time.monotonic() + asked)
        if asked >= 5:
            self._notice(f"the Hub asks to wait {asked:.0f} s")

    def _wait(self) -> None:
        """Until the Hub takes requests again; each goes on at a time of its own, lest all come at once."""
        while (left := self._resume - time.monotonic()) > 0:
            self._sleep(left + random.uniform(0, min(left, 1)) / 10)

    def _sleep(self, seconds: float) -> None:
        if self._wire.over.wait(seconds):
            raise HubError("stopped while waiting for the Hub")


_wires: Final[list[Wire]] = []
"""One for each caller of `be_patient` that is not through, all the same."""


def be_patient(limits: Limits, notice: Callable[[str], None]) -> Wire:
    """Have all requests that huggingface_hub makes go through one PatientClient, until `be_done`; gives what counts them.

    Who comes while another is at it shares its client: there is one limit for all.
    """
    if not _wires or not isinstance(get_session(), PatientClient):
        wire = Wire()
        _wires.clear()
        set_client_factory(lambda: PatientClient(limits, notice, wire))
        _count_uploads(True)
        _wires.append(wire)
    else:
        _wires.append(_wires[0])
    return _wires[0]


def be_done() -> None:
    """Undo a call of `be_patient`: after the last, nobody waits for answers, and huggingface_hub has a client of its own."""
    wire = _wires.pop() if _wires else None
    if wire is not None and not _wires:
        wire.over.set()
        set_client_factory(default_client_factory)
        _count_uploads(False)


def _count_uploads(on: bool) -> None:
    """Have huggingface_hub show uploads by hf_xet to XetCount; other bars are disabled by groups, which stay as they are."""
    utils.are_progress_bars_disabled = (lambda name=None: False) if on else _BARS[0]  # type: ignore[attr-defined]  # noqa: ARG005
    _xet_progress_reporting.XetUploadProgressReporter = XetCount if on else _BARS[1]  # type: ignore[misc, assignment]


def patient_client() -> PatientClient:
    """The client that `be_patient` has put in place."""
    client = get_session()
    assert isinstance(client, PatientClient)
    return client


def _repeatable(request: httpx2.Request) -> bool:
    """Whether a request that may have arrived can be sent once more."""
    twice = request.method == "POST" and any(part in request.url.path for part in _ASKING + _SETTING)
    return (request.method in _SAFE or twice) and isinstance(request.stream, httpx2.ByteStream)


def _place(request: httpx2.Request) -> str:
    """Server and path, without the query: it may hold a signature."""
    return f"{request.url.scheme}://{request.url.netloc.decode('ascii')}{request.url.path}"


def reason_of(error: Exception) -> str:
    """The first line of what an error says, or its kind."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _asked_to_wait(response: httpx2.Response) -> float | None:
    """Seconds by the headers RateLimit (of the Hub) or Retry-After (RFC 9110), if they say."""
    if (limit := parse_ratelimit_headers(response.headers)) is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
