"""A folder in, an HTTP server of it out: loopback by default, with byte ranges and conditional requests (RFC 9110).

Where the sources of the site are at hand, it also reads out stored values (see mwv.site.exact), to this machine alone.

On the standard library's server: Werkzeug's closes every connection and rests 10 ms after each answer, and a pair such as
waitress and Werkzeug costs two more packages for what is one range, two dates and a tag here.
"""

import errno
import ipaddress
import os
import re
import socket
import socketserver
import sys
import threading
import webbrowser
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, quote, unquote

from mwv.errors import SiteError
from mwv.site.text import canonical
from mwv.site.values import Values, ValuesError, Window

FIRST_PORT = 8000
PORTS_TRIED = 100

CONTENT_TYPES = {
    ".avif": "image/avif",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".pmtiles": "application/vnd.pmtiles",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
}
"""By suffix, and not from the machine's table, which differs from machine to machine."""

CONTENT_HASH = re.compile(r"(?:^|[.-])[0-9a-f]{12,64}\.(?!html)[a-z0-9]+$")
"""A file name that carries the hash of its content, so that a browser never has to ask again."""

VALUES_PAGE = re.compile(r"/([^/]+)/(?:index\.html)?")
VALUES_PLACE = re.compile(r"/([^/]+)/values")
VALUES_FIELD = "X-Mwv-Values"
"""The answer to HEAD for a model's page has this field where `values` beside it answers; other hosts have neither."""


def content_type(name: str) -> str:
    """The media type of a file name; bytes of unknown meaning are just that."""
    return CONTENT_TYPES.get(Path(name).suffix.lower(), "application/octet-stream")


def cache_control(name: str) -> str:
    """For ever when the name carries a content hash, ask each time otherwise."""
    return "public, max-age=31536000, immutable" if CONTENT_HASH.search(name) else "no-cache"


def locate(root: Path, target: str) -> tuple[Path, str] | None:
    """The existing path below `root` that a request target names, and the canonical target; None when there is none.

    `root` must be resolved. Names that begin with a dot are hidden, which also covers `..`, and a link that leads out
    of the root is as good as absent.
    """
    names = [name for name in unquote(target.partition("?")[0], errors="surrogateescape").split("/") if name]
    if any(name.startswith(".") or "\0" in name or os.sep in name or (os.altsep or "\0") in name for name in names):
        return None
    try:
        path = root.joinpath(*names).resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    if not path.is_relative_to(root):
        return None
    return path, "".join("/" + quote(name, errors="surrogateescape") for name in names)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """The half-open byte range that a Range header asks of a file of `size` bytes; None when the whole file answers it.

    That is so for several ranges and for what is no byte range at all (RFC 9110, 14.2). ValueError when no such byte exists.
    """
    match = re.fullmatch(r"bytes=[ \t]*([0-9]{0,1000})-([0-9]{0,1000})[ \t]*", header, re.IGNORECASE)
    if match is None or match[0].endswith("=-"):
        return None
    first, last = match[1], match[2]
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        if last and int(last) < int(first):
            return None
        start, stop = int(first), min(int(last) + 1, size) if last else size
    if start >= stop:
        raise ValueError(f"no byte of {size} is in {header}")
    return start, stop


def not_modified(tag: str, mtime: float, if_none_match: str | None, if_modified_since: str | None) -> bool:
    """Whether the client's copy is still good; a tag, when given, outweighs a date (RFC 9110, 13.1.3)."""
    if if_none_match is not None:
        tags = [given.strip().removeprefix("W/") for given in if_none_match.split(",")]
        return tag in tags or tags == ["*"]
    if if_modified_since is None:
        return False
    try:
        return int(mtime) <= parsedate_to_datetime(if_modified_since).timestamp()
    except (ValueError, OverflowError):
        return False


def is_loopback(host: str) -> bool:
    """Whether a host name, or a Host header with its port, means this machine and nothing else."""
    name = host.lower() if host.count(":") > 1 and "[" not in host else re.sub(r":[0-9]*$", "", host.lower())
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the files below the server's root."""

    server: "SiteServer"
    protocol_version = "HTTP/1.1"
    server_version = "mwv"
    sys_version = ""
    # An idle connection ends after so many seconds; a page keeps its connections for the tiles to come.
    timeout = 60
    # Head and body are two writes; without this the second would wait for the first one's acknowledgement.
    disable_nagle_algorithm = True

    def parse_request(self) -> bool:
        """Take a request's head in, and turn away every method but two."""
        if not super().parse_request():
            return False
        if self.command in ("GET", "HEAD"):
            return True
        self.close_connection = True
        self.say(HTTPStatus.METHOD_NOT_ALLOWED, "this server only gives out files", Allow="GET, HEAD")
        return False

    def do_GET(self) -> None:
        """Answer with the file."""
        self.answer()

    def do_HEAD(self) -> None:
        """Answer as to GET, without the content."""
        self.answer()

    def answer(self) -> None:
        """One request: checks, redirects, then the file, in the order in which RFC 9110 weighs its headers."""
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads must not be taken for the next request
        hosts = self.headers.get_all("Host", [])
        if len(hosts) > 1 or (not hosts and self.request_version == "HTTP/1.1") or not self.path.startswith("/"):
            self.say(HTTPStatus.BAD_REQUEST, "one Host header and a path are needed")
            return
        if self.server.loopback_only and hosts and not is_loopback(hosts[0]):
            # A web page elsewhere may point its own name at this machine; a browser then tells that name here.
            self.say(HTTPStatus.FORBIDDEN, "this server answers to localhost only; to share a site, bind it to an address")
            return
        place = VALUES_PLACE.fullmatch(self.path.partition("?")[0])
        if place and self.reads_values():
            self.send_values(place[1])
            return
        located = locate(self.server.root, self.path)
        if located is None:
            self.say(HTTPStatus.NOT_FOUND, "there is no such file")
            return
        path, canonical = located
        before, mark, query = self.path.partition("?")
        if path.is_dir():
            if not before.endswith("/"):
                self.say(HTTPStatus.MOVED_PERMANENTLY, "this is a folder", Location=f"{canonical}/{mark}{query}")
                return
            located = locate(self.server.root, f"{canonical}/index.html")
        elif before.endswith("/"):
            located = None
        if located is None or not located[0].is_file():
            self.say(HTTPStatus.NOT_FOUND, "there is no such page")
            return
        try:
            file = located[0].open("rb")
        except OSError:
            self.say(HTTPStatus.NOT_FOUND, "this file cannot be read")
            return
        with file:
            self.send_file(file, located[0].name, self.offer(before) if self.command == "HEAD" else {})

    def reads_values(self) -> bool:
        """Whether values are read out to this client: to this machine alone, whatever address the server listens on."""
        host = self.headers.get("Host", "localhost")
        return self.server.values is not None and is_loopback(str(self.client_address[0])) and is_loopback(host)

    def offer(self, target: str) -> dict[str, str]:
        """The field that tells a page that `values` answers. For HEAD alone: to know it, the source must be opened."""
        page = VALUES_PAGE.fullmatch(target)
        offered = page and self.server.values and self.reads_values() and self.server.values.offers(page[1])
        return {VALUES_FIELD: "yes"} if offered else {}

    def send_values(self, slug: str) -> None:
        """Stored values of a window of elements as JSON, or in `problem` why there are none."""
        assert self.server.values is not None
        numbers = {name: int(text) for name, text in parse_qsl(self.path.partition("?")[2]) if re.fullmatch("[0-9]{1,9}", text)}
        try:
            told = self.server.values.read(slug, Window(**numbers))
        except TypeError:
            self.say(HTTPStatus.BAD_REQUEST, "values takes scene, placement, row and col, and may take rows and cols")
            return
        except ValuesError as problem:
            told = {"problem": str(problem)}
        body = canonical(told).encode("ascii")
        kind = {"Content-Type": CONTENT_TYPES[".json"], "Content-Length": str(len(body)), "Cache-Control": "no-store"}
        self.head(HTTPStatus.OK, kind)
        if self.command == "GET":
            self.wfile.write(body)

    def send_file(self, file: BinaryIO, name: str, more: dict[str, str]) -> None:
        """The file, the part of it that was asked for, or word that the client's copy is still good."""
        facts = os.fstat(file.fileno())
        tag = f'"{facts.st_mtime_ns:x}-{facts.st_ctime_ns:x}-{facts.st_size:x}"'
        date = formatdate(facts.st_mtime, usegmt=True)
        fields = {"ETag": tag, "Last-Modified": date, "Cache-Control": cache_control(name), **more}
        asked = self.headers
        if not_modified(tag, facts.st_mtime, asked.get("If-None-Match"), asked.get("If-Modified-Since")):
            self.head(HTTPStatus.NOT_MODIFIED, fields)
            return
        fields |= {"Content-Type": content_type(name), "Accept-Ranges": "bytes"}
        part = None
        if self.command == "GET" and "Range" in asked and asked.get("If-Range", tag) in (tag, date):
            try:
                part = parse_range(asked["Range"], facts.st_size)
            except ValueError:
                size = {"Content-Range": f"bytes */{facts.st_size}"}
                self.say(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "there are no such bytes", **size)
                return
        start, stop = part or (0, facts.st_size)
        fields["Content-Length"] = str(stop - start)
        if part:
            fields["Content-Range"] = f"bytes {start}-{stop - 1}/{facts.st_size}"
        self.head(HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK, fields)
        if self.command == "GET" and start < stop and self.connection.sendfile(file, start, stop - start) < stop - start:
            self.close_connection = True  # cut short while it was read: the client must see that bytes are missing

    def say(self, status: HTTPStatus, text: str, **headers: str) -> None:
        """A short answer in plain words."""
        body = f"{status.value} {status.phrase}: {text}\n".encode()
        plain = {"Content-Type": CONTENT_TYPES[".txt"], "Content-Length": str(len(body)), "Cache-Control": "no-cache"}
        self.head(status, plain | headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        """Status line and header fields, those that every answer carries among them."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Requests are not logged: a map makes hundreds of them."""


class SiteServer(ThreadingHTTPServer):
    """A listening server of one folder; `serve_forever` runs it, leaving the `with` block frees the port."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, root: Path, host: str, port: int, values: Values | None = None) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        self.root = root.resolve()
        self.values = values
        super().__init__(address[:2], Handler)  # type: ignore[arg-type]
        self.loopback_only = is_loopback(str(self.server_address[0]))

    def server_bind(self) -> None:
        """Bind without asking a name server what this machine is called, as the standard library does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the site."""
        host = self.server_name
        if ipaddress.ip_address(host).is_unspecified:
            host = "::1" if ":" in host else "127.0.0.1"
        return f"http://[{host}]:{self.server_port}/" if ":" in host else f"http://{host}:{self.server_port}/"


def open_server(root: Path, *, host: str = "127.0.0.1", port: int | None = None, values: Values | None = None) -> SiteServer:
    """A server that listens already. Port None takes the first free one from 8000 on, 0 any free one.

    With `values` it reads out what the sources of the site hold.

    SiteError when `root` is no site, when the port is taken or the address is not this machine's.
    """
    if not (root / "index.html").is_file():
        raise SiteError(f"{root}: no index.html here to serve; build a site first: mwv build SOURCE -o {root}")
    if not 0 <= (port or 0) <= 65535:
        raise SiteError(f"cannot listen on port {port}: ports go from 0 to 65535")
    ports = range(FIRST_PORT, FIRST_PORT + PORTS_TRIED) if port is None else range(port, port + 1)
    problem: OSError | None = None
    for number in ports:
        try:
            return SiteServer(root, host, number, values)
        except UnicodeError:
            raise SiteError(f"cannot listen on {host!r}: no name or address of a machine; choose another") from None
        except OSError as error:
            problem = error
            if error.errno != errno.EADDRINUSE:
                break
    reason = problem and problem.strerror
    raise SiteError(f"cannot listen on {host} port {number}: {reason}; choose another address or port") from problem


def serve(
    root: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    open_browser: bool = False,
    values: Values | None = None,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve `root` until interrupted (KeyboardInterrupt passes through); `announce` is told the address first."""
    with open_server(root, host=host, port=port, values=values) as server:
        announce(server.url)
        if open_browser:
            # In a thread of its own: a browser in the terminal returns only when it is closed.
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        server.serve_forever()
