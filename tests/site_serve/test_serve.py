"""The server as real clients meet it: http.client, raw sockets, urllib and a browser; RFC 9110 is the oracle."""

import http.client
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from mwv.errors import SiteError
from mwv.site.serve import SiteServer, is_loopback, locate, open_server, parse_range

TILE = random.Random(5).randbytes(70_000)
TILE_NAME = "0123456789abcdef0123456789abcdef.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    (site / "tiles" / "01").mkdir(parents=True)
    (site / "model").mkdir()
    (site / "empty").mkdir()
    (site / "index.html").write_text(
        "<!doctype html><link rel=icon href=data:,><title>gallery</title><script src=assets.js></script>"
    )
    (site / "assets.js").write_text("document.title = 'ran é'")
    (site / "model" / "index.html").write_text("<link rel=icon href=data:,><title>model</title>")
    (site / "model" / "odd name é%?.txt").write_text("odd")
    (site / "zero.json").write_bytes(b"")
    (site / "tiles" / "01" / TILE_NAME).write_bytes(TILE)
    (site / ".hidden").write_text("secret")
    (tmp_path / "outside.txt").write_text("secret")
    (site / "link.txt").symlink_to(tmp_path / "outside.txt")
    (site / "up").symlink_to(tmp_path)
    (site / "inside.js").symlink_to(site / "assets.js")
    os.mkfifo(site / "pipe")
    return site


@pytest.fixture
def server(root: Path) -> Iterator[SiteServer]:
    with open_server(root, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(server: SiteServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    yield connection
    connection.close()


Answer = tuple[int, dict[str, str], bytes]


def ask(client: http.client.HTTPConnection, path: str, method: str = "GET", **headers: str) -> Answer:
    client.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = client.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


TILE_PATH = f"/tiles/01/{TILE_NAME}"


def test_whole_file_and_its_head(client: http.client.HTTPConnection) -> None:
    status, headers, body = ask(client, TILE_PATH)
    assert (status, body) == (200, TILE)
    assert headers["Content-Type"] == "image/png"
    assert headers["Accept-Ranges"] == "bytes"
    assert "immutable" in headers["Cache-Control"]
    head_status, head_headers, head_body = ask(client, TILE_PATH, "HEAD", Range="bytes=0-9")
    assert (head_status, head_body) == (200, b"")
    assert {**head_headers, "Date": ""} == {**headers, "Date": ""}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/assets.js", "text/javascript; charset=utf-8"),
        ("/zero.json", "application/json"),
        ("/model/", "text/html; charset=utf-8"),
        ("/model/odd%20name%20%C3%A9%25%3F.txt?x=1", "text/plain; charset=utf-8"),
        ("/inside.js", "text/javascript; charset=utf-8"),
    ],
)
def test_pages_have_types_and_are_asked_for_each_time(client: http.client.HTTPConnection, path: str, kind: str) -> None:
    status, headers, _ = ask(client, path)
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, kind, "no-cache")


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-299", 100, 300),
        ("bytes=69990-", 69_990, 70_000),
        ("bytes=69990-999999999999999999999", 69_990, 70_000),
        ("bytes=-16", 69_984, 70_000),
        ("bytes=-999999", 0, 70_000),
        ("BYTES=5-9", 5, 10),
    ],
)
def test_one_range_is_206(client: http.client.HTTPConnection, asked: str, start: int, stop: int) -> None:
    status, headers, body = ask(client, TILE_PATH, Range=asked)
    assert (status, body) == (206, TILE[start:stop])
    assert headers["Content-Range"] == f"bytes {start}-{stop - 1}/70000"
    assert headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize("asked", ["bytes=70000-", "bytes=70000-70001", "bytes=-0"])
def test_a_range_beyond_the_file_is_416(client: http.client.HTTPConnection, asked: str) -> None:
    status, headers, _ = ask(client, TILE_PATH, Range=asked)
    assert (status, headers["Content-Range"]) == (416, "bytes */70000")


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-9", "bytes=9-5", "bytes=-", "bytes=x-y", "items=0-1", "bytes=0x1-2", "bytes=٣-٤"]
)
def test_other_ranges_are_ignored(client: http.client.HTTPConnection, asked: str) -> None:
    status, _, body = ask(client, TILE_PATH, Range=asked.encode().decode("latin-1"))
    assert (status, body) == (200, TILE)


@given(size=st.integers(1, 50), first=st.integers(0, 60), length=st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_ranges_mean_what_slices_mean(size: int, first: int, length: int) -> None:
    content = bytes(range(size))
    expected = content[first : first + length]
    if expected:
        start, stop = parse_range(f"bytes={first}-{first + length - 1}", size) or (0, 0)
        assert content[start:stop] == expected
    else:
        with pytest.raises(ValueError, match="no byte"):
            parse_range(f"bytes={first}-{first + length - 1}", size)
    assert parse_range(f"bytes=-{length}", size) == (len(content) - len(content[-length:]), size)


def test_conditional_requests(client: http.client.HTTPConnection, root: Path) -> None:
    _, headers, _ = ask(client, "/assets.js")
    tag, date = headers["ETag"], headers["Last-Modified"]
    assert ask(client, "/assets.js", If_None_Match=tag)[0] == 304
    assert ask(client, "/assets.js", If_None_Match=f'"other", W/{tag}')[0] == 304
    assert ask(client, "/assets.js", If_None_Match="*")[0] == 304
    assert ask(client, "/assets.js", If_Modified_Since=date)[0] == 304
    # A tag outweighs a date; an older date and a date that is none are answered in full.
    assert ask(client, "/assets.js", If_None_Match='"other"', If_Modified_Since=date)[0] == 200
    assert ask(client, "/assets.js", If_Modified_Since=formatdate(0, usegmt=True))[0] == 200
    assert ask(client, "/assets.js", If_Modified_Since="yesterday")[0] == 200
    # The same length and the same time, another content: replaced by a rename, as a build does it.
    facts = (root / "assets.js").stat()
    new = root / "new"
    new.write_text((root / "assets.js").read_text().replace("ran", "RAN"))
    os.utime(new, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    new.replace(root / "assets.js")
    assert ask(client, "/assets.js", If_None_Match=tag)[0] == 200


def test_if_range(client: http.client.HTTPConnection) -> None:
    _, headers, _ = ask(client, TILE_PATH)
    for good in (headers["ETag"], headers["Last-Modified"]):
        assert ask(client, TILE_PATH, Range="bytes=1-2", If_Range=good)[::2] == (206, TILE[1:3])
    for stale in ('"other"', "W/" + headers["ETag"], formatdate(0, usegmt=True)):
        assert ask(client, TILE_PATH, Range="bytes=1-2", If_Range=stale)[::2] == (200, TILE)


def test_an_empty_file_and_a_folder_without_page(client: http.client.HTTPConnection) -> None:
    assert ask(client, "/zero.json")[::2] == (200, b"")
    assert ask(client, "/zero.json", Range="bytes=0-")[0] == 416
    assert ask(client, "/empty/")[0] == 404
    assert ask(client, "/tiles/")[0] == 404


def test_a_folder_without_its_slash_redirects_within_the_site(client: http.client.HTTPConnection) -> None:
    assert ask(client, "/model?layer=3")[1]["Location"] == "/model/?layer=3"
    # Two leading slashes would be another host to a browser.
    status, headers, _ = ask(client, "//model")
    assert (status, headers["Location"]) == (301, "/model/")


@pytest.mark.parametrize(
    "path",
    [
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/model/..%2f..%2foutside.txt",
        "/link.txt",
        "/up/outside.txt",
        "/.hidden",
        "/index.html/",
        "/index.html%00.png",
        "/nowhere",
        "/pipe",
        "/" + "x" * 5000,
        "/%ff%fe",
    ],
)
def test_nothing_else_is_served(client: http.client.HTTPConnection, path: str) -> None:
    status, _, body = ask(client, path)
    assert status == 404
    assert b"secret" not in body


@given(target=st.text(st.sampled_from("./%2e\\x\0Fu"), max_size=20))
@settings(max_examples=200, deadline=None)
def test_no_target_leads_out_of_the_root(target: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.getbasetemp().resolve() / "confined"
    (root / "x").mkdir(parents=True, exist_ok=True)
    located = locate(root, "/" + target)
    assert located is None or located[0] in (root, root / "x")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_405(client: http.client.HTTPConnection, method: str) -> None:
    status, headers, _ = ask(client, "/", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "LOCALHOST:1", "127.0.0.1", "[::1]:80", "x.localhost"])
def test_names_of_this_machine_are_answered(client: http.client.HTTPConnection, host: str) -> None:
    assert ask(client, "/", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    ["example.org", "example.org:8000", "127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "", "[", "2130706433"],
)
def test_another_name_for_this_machine_is_refused(client: http.client.HTTPConnection, host: str) -> None:
    status, _, body = ask(client, "/", Host=host)
    assert status == 403
    assert b"gallery" not in body


def test_a_server_for_everyone_answers_to_every_name(root: Path) -> None:
    with open_server(root, host="0.0.0.0", port=0) as server:
        assert not server.loopback_only
        assert server.url.startswith("http://127.0.0.1:")
    assert is_loopback("::1")
    assert not is_loopback("::")


def raw(server: SiteServer, request: bytes) -> bytes:
    """All that the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_hosts_must_be_given_once(server: SiteServer) -> None:
    end = b"Connection: close\r\n\r\n"
    assert raw(server, b"GET / HTTP/1.1\r\n" + end).startswith(b"HTTP/1.1 400")
    assert raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: example.org\r\n" + end).startswith(b"HTTP/1.1 400")
    assert raw(server, b"GET http://example.org/ HTTP/1.1\r\nHost: localhost\r\n" + end).startswith(b"HTTP/1.1 400")


def test_a_body_is_not_taken_for_a_request(server: SiteServer) -> None:
    inner = b"GET /assets.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for framing in (b"Content-Length: %d" % len(inner), b"Transfer-Encoding: chunked"):
        answer = raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + framing + b"\r\n\r\n" + inner)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"document.title" not in answer


def test_one_connection_serves_many_requests(client: http.client.HTTPConnection) -> None:
    ask(client, "/")
    first = client.sock
    for path, headers in (
        ("/nowhere", {}),
        (TILE_PATH, {"Range": "bytes=99999-"}),
        ("/", {"If-None-Match": "*"}),
        ("/model", {}),
    ):
        ask(client, path, **headers)
    ask(client, TILE_PATH, "HEAD")
    assert ask(client, TILE_PATH)[2] == TILE
    assert client.sock is first is not None


def test_many_ranges_at_once(server: SiteServer) -> None:
    """As a reader of a remote archive asks: many small ranges, several connections."""
    starts = random.Random(6).choices(range(69_000), k=120)

    def read(start: int) -> bytes:
        request = urllib.request.Request(server.url + TILE_PATH[1:], headers={"Range": f"bytes={start}-{start + 999}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, starts)) == [TILE[start : start + 1000] for start in starts]


def test_a_client_that_goes_away_disturbs_nobody(server: SiteServer, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (root / "large.bin").write_bytes(bytes(20_000_000))
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
            connection.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection.recv(10)
    assert raw(server, b"GET / HTTP/1.0\r\n\r\n").endswith(b"</script>")
    assert capfd.readouterr().err == ""


def test_a_taken_port_is_one_clear_line(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SiteError, match=f"port {port}") as caught:
            open_server(root, port=port)
    assert "\n" not in str(caught.value)


def test_without_a_port_the_next_free_one_is_taken(root: Path) -> None:
    with open_server(root) as first, open_server(root) as second:
        assert 8000 <= first.server_port < second.server_port


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("no such name", 0), ("a..b", 0), ("127.0.0.1", 70_000)])
def test_an_address_that_is_not_ours_is_one_clear_line(root: Path, host: str, port: int) -> None:
    with pytest.raises(SiteError, match="cannot listen"):
        open_server(root, host=host, port=port)


def test_a_folder_that_is_no_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=re.escape(str(tmp_path))):
        open_server(tmp_path)


def test_an_interrupt_passes_through_and_frees_the_port(root: Path) -> None:
    program = "import pathlib, sys; from mwv.site.serve import serve; serve(pathlib.Path(sys.argv[1]), port=0)"
    command = [sys.executable, "-u", "-c", program, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b"gallery" in answer.read()
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().endswith("KeyboardInterrupt\n")
    assert process.returncode == -signal.SIGINT
    port = int(url.rsplit(":", 1)[1].strip("/"))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_browser_shows_the_site(server: SiteServer, page: Page) -> None:
    page.goto(server.url)
    assert page.title() == "ran é"
    page.goto(server.url + "model")
    assert (page.title(), page.url) == ("model", server.url + "model/")
