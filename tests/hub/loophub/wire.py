"""In: bytes on a loopback socket. Out: Requests for an app, and its Responses on the wire: ranged, cut or lost."""

import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

HANG_UP = -1
SLICE = 1 << 18


@dataclass(frozen=True)
class Request:
    """One request; `raw_path` keeps %2F apart from /, header names are lower case."""

    method: str
    raw_path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return unquote(self.raw_path)

    @property
    def bearer(self) -> str | None:
        """The token of the Authorization header; LFS clients send it as basic auth, which nobody here does."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Response:
    """An answer. `length` is what Content-Length says when the body is left out (HEAD).

    `send`: how many bytes of the body go out before the connection is closed (`HANG_UP`: not even the status line).
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    send: int | None = None
    faulty: bool = False


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, json.dumps(value).encode())


def parse_ranges(header: str | None, size: int) -> list[tuple[int, int]] | None:
    """Half-open ranges asked for, cut to the size; None when there is no valid header, [] when none can be served."""
    match = re.fullmatch(r"bytes=(.+)", header or "")
    if match is None:
        return None
    ranges = []
    for part in match[1].split(","):
        ends = re.fullmatch(r"\s*(\d*)-(\d*)\s*", part)
        if ends is None or ends[0].strip() == "-":
            return None
        if not ends[1]:
            start, stop = max(0, size - int(ends[2])), size
        else:
            start, stop = int(ends[1]), min(size, int(ends[2]) + 1 if ends[2] else size)
        if start < stop:
            ranges.append((start, stop))
    return ranges


def ranged(request: Request, size: int, read: Callable[[int, int], bytes], headers: Mapping[str, str]) -> Response:
    """Serve a file of `size` bytes whose part `read(start, stop)` gives: whole (200), in ranges (206) or not at all (416)."""
    out = {"Accept-Ranges": "bytes", **headers}
    ranges = parse_ranges(request.headers.get("range"), size)
    if request.method == "HEAD":
        return Response(200, out, length=size)
    if ranges is None:
        return Response(200, out, read(0, size))
    if not ranges:
        return Response(416, {**out, "Content-Range": f"bytes */{size}"})
    if len(ranges) == 1:
        ((start, stop),) = ranges
        return Response(206, {**out, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}, read(start, stop))
    boundary = "loophub-part"
    body = b"".join(
        f"\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n\r\n".encode()
        + read(start, stop)
        for start, stop in ranges
    )
    return Response(
        206, {**out, "Content-Type": f"multipart/byteranges; boundary={boundary}"}, body + f"\r\n--{boundary}--\r\n".encode()
    )


class App(Protocol):
    """What answers requests. `sending` is called before the first byte goes out, `stopped` if fewer went out than meant."""

    def answer(self, request: Request) -> Response: ...
    def sending(self, request: Request, response: Response, sent: int) -> Callable[[int], None]: ...


class Handler(BaseHTTPRequestHandler):
    """Keep-alive, one write a response: unbuffered header writes cost 44 ms a call with delayed ACKs."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: "Server"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.exactly(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int((self.rfile.readline() or self.hung_up()).split(b";")[0], 16):
            pieces.append(self.exactly(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def exactly(self, size: int) -> bytes:
        """So many bytes; a client that was killed while it sent them has hung up."""
        body = self.rfile.read(size)
        return body if len(body) == size else self.hung_up()

    def hung_up(self) -> NoReturn:
        raise ConnectionResetError("the client hung up while it sent")

    def serve(self) -> None:
        body = self.read_body()
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
        response = self.server.app.answer(request)
        whole = response.body if self.command != "HEAD" else b""
        part = whole if response.send is None else whole[: max(0, response.send)]
        stopped = self.server.app.sending(request, response, len(part))
        sent = 0
        try:
            if response.send != HANG_UP:
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                if response.status not in (204, 304):
                    self.send_header("Content-Length", str(len(response.body) if response.length is None else response.length))
                self.end_headers()
                for sent in range(0, max(1, len(part)), SLICE):
                    self.wfile.write(part[sent : sent + SLICE])
                    self.wfile.flush()
        except OSError:
            stopped(sent)
            self.close_connection = True
        if response.send is not None:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = serve  # noqa: N815


class Nobody:
    """Answers nothing: between two tests."""

    def answer(self, request: Request) -> Response:
        return Response(send=HANG_UP)

    def sending(self, request: Request, response: Response, sent: int) -> Callable[[int], None]:
        return lambda sent: None


class Server(ThreadingHTTPServer):
    """Holds a free port of 127.0.0.1 from the moment it is made; who calls there before the first `start` is refused."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server_bind()
        self.app: App = Nobody()
        self.failures: list[BaseException] = []
        self._open: set[socket.socket] = set()
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def start(self, app: App) -> None:
        """Answer by this app, until another one or `pause`."""
        self.app = app
        if self._thread is None:
            self.server_activate()
            self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="loophub", daemon=True)
            self._thread.start()

    def pause(self) -> None:
        self.app = Nobody()

    def stop(self) -> None:
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
            self._thread = None
        for connection in list(self._open):
            self.shutdown_request(connection)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is normal; anything else is a fault of this server, which the fixture reports."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.failures.append(error)
