"""In: requests of xet clients. Out: the CAS calls as hf_xet makes them: xorbs and shards in, reconstructions out."""

import re
from typing import TYPE_CHECKING, Any

from .refusals import Refused
from .routes import Routes
from .wire import Request, Response, as_json, parse_ranges
from .xetformat import Malformed

if TYPE_CHECKING:
    from .hub import Hub

ROUTES = Routes()
CAS = r"/cas/(?P<serial>[0-9]+)(?:-own)?"
HASH = r"(?P<name>[0-9a-f]{64})"


def check(hub: "Hub", request: Request, serial: str, scope: str) -> None:
    """A token that is over, or none: 401. A read token where something is written: 403."""
    if not hub.cas_url.endswith(f"/cas/{serial}"):
        raise Refused(404, "another Hub's CAS")
    has = hub.signer.scope(request.bearer)
    if has is None:
        raise Refused(401, "token missing or expired")
    if scope == "write" and has != "write":
        raise Refused(403, "token may not write")


@ROUTES.on("POST", CAS + "/v1/xorbs/default/" + HASH)
def post_xorb(hub: "Hub", request: Request, serial: str, name: str) -> Response:
    check(hub, request, serial, "write")
    try:
        return as_json({"was_inserted": hub.cas.add_xorb(name, request.body)})
    except Malformed as error:
        raise Refused(400, str(error)) from error


@ROUTES.on("POST", CAS + "/v1/shards")
def post_shard(hub: "Hub", request: Request, serial: str) -> Response:
    check(hub, request, serial, "write")
    try:
        hub.cas.add_shard(request.body)
    except Malformed as error:
        raise Refused(400, str(error)) from error
    return as_json({"result": 1})


@ROUTES.on("GET", CAS + "/v1/chunks/(?:default|default-merkledb)/" + HASH)
def chunk(hub: "Hub", request: Request, serial: str, name: str) -> Response:
    """Where a chunk lies, and what else came with it; the specification's prefix and that of hf_xet."""
    check(hub, request, serial, "read")
    shard = hub.cas.shard_with(name)
    if shard is None:
        raise Refused(404, "no such chunk")
    return Response(200, {"Content-Type": "application/octet-stream"}, shard)


@ROUTES.on("GET", CAS + "/(?P<version>v1|v2)/reconstructions/" + HASH)
def reconstruction(hub: "Hub", request: Request, serial: str, version: str, name: str) -> Response:
    """Terms for exactly the bytes the Range header asks for. Both versions differ only in how addresses are grouped."""
    check(hub, request, serial, "read")
    if version not in hub.cas_versions:
        raise Refused(404, f"no {version} here")
    if name not in hub.cas.files:
        raise Refused(404, "no such file")
    size = hub.cas.size(name)
    ranges = parse_ranges(request.headers.get("range"), size)
    if ranges == []:
        raise Refused(416, "range beyond the end")
    start, stop = ranges[0] if ranges else (0, size)
    plan = hub.cas.reconstruction(name, start, stop)
    terms = [
        {"hash": term.xorb, "unpacked_length": term.length, "range": {"start": term.first, "end": term.last}}
        for term in plan.terms
    ]
    grouped = {
        xorb: (fetch_v1(hub, xorb, runs) if version == "v1" else fetch_v2(hub, xorb, runs))
        for xorb, runs in plan.runs().items()
    }
    return as_json(
        {"offset_into_first_range": plan.offset, "terms": terms, "fetch_info" if version == "v1" else "xorbs": grouped}
    )


def spans(hub: "Hub", xorb: str, runs: list[tuple[int, int]]) -> list[tuple[dict[str, int], dict[str, int]]]:
    """Chunk range (half open) and byte range (closed) of every run."""
    found = []
    for first, last in runs:
        start, stop = hub.cas.span(xorb, first, last)
        found.append(({"start": first, "end": last}, {"start": start, "end": stop - 1}))
    return found


def fetch_v1(hub: "Hub", xorb: str, runs: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """An address for every run."""
    return [{"range": chunks, "url": address(hub, xorb, [span]), "url_range": span} for chunks, span in spans(hub, xorb, runs)]


def fetch_v2(hub: "Hub", xorb: str, runs: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """One address for all runs, to be asked for all their ranges at once, or for each."""
    found = spans(hub, xorb, runs)
    ranges = [{"chunks": chunks, "bytes": span} for chunks, span in found]
    return [{"url": address(hub, xorb, [span for _, span in found]), "ranges": ranges}]


def address(hub: "Hub", xorb: str, byte_ranges: list[dict[str, int]]) -> str:
    """A signed address that is good for these byte ranges alone."""
    ranges = "bytes=" + ",".join(f"{span['start']}-{span['end']}" for span in byte_ranges)
    return hub.cdn_url + hub.signer.address(f"/cdn/xorb/{xorb}", {"X-Xet-Signed-Range": ranges})


def are_signed(asked: str, signed: str) -> bool:
    """Whether all ranges that are asked for are signed; hf_xet asks for each by itself unless it is set to join them."""
    ranges = [set(re.sub(r"\s", "", text).removeprefix("bytes=").split(",")) for text in (asked, signed)]
    return ranges[0] <= ranges[1]
