"""In: requests for files. Out: what `resolve` and the CDN answer: redirects to signed addresses, ranges, CORS headers."""

import hashlib
import mimetypes
from typing import TYPE_CHECKING
from urllib.parse import quote

from .caspaths import are_signed
from .refusals import Refused, no_entry
from .repos import Blob, BucketFile
from .routes import BUCKET, REPO, Routes
from .wire import Request, Response, ranged

if TYPE_CHECKING:
    from .hub import Hub

ROUTES = Routes()
RESOLVE = (
    r"/(?:(?P<prefix>datasets|spaces)/)?(?P<repo_id>(?!api/|cdn/|cas/|buckets/)[^/]+/[^/]+)"
    r"/resolve/(?P<revision>[^/]+)/(?P<path>.+)"
)
EXPOSED = (
    "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,"
    "X-Linked-Size,X-Linked-ETag,X-Xet-Hash"
)
CDN_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "Content-Range, Content-Type, Content-Disposition, ETag",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Range, Content-Type, Content-Disposition, ETag, X-Cache",
}
# What a browser would run or draw as a page is handed out as text: repos do not serve HTML.
PLAIN = {"text/html", "text/javascript", "application/javascript", "text/css", "image/svg+xml", "application/json"}


def with_cors(request: Request, response: Response) -> Response:
    """The headers that let a page of any origin read an answer of the Hub, as the Hub gives them."""
    response.headers |= {
        "Access-Control-Allow-Origin": request.headers.get("origin", "https://huggingface.co"),
        "Access-Control-Expose-Headers": EXPOSED,
        "Access-Control-Max-Age": "86400",
        "Vary": "Origin",
    }
    return response


def shown_as(path: str) -> dict[str, str]:
    """Content type, and the name to save as."""
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    name = path.rsplit("/", 1)[-1]
    return {
        "Content-Type": "text/plain; charset=utf-8" if kind in PLAIN or kind.startswith("text/") else kind,
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(name)}; filename=\"{quote(name)}\";",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }


@ROUTES.on("OPTIONS", r"/.*")
def preflight(hub: "Hub", request: Request) -> Response:
    """Neither the Hub nor the CDN has more to say to a preflight than to a request."""
    return Response(204, dict(CDN_CORS)) if request.raw_path.startswith("/cdn/") else with_cors(request, Response(204))


@ROUTES.on("GET HEAD", RESOLVE)
def resolve(hub: "Hub", request: Request, repo_id: str, revision: str, path: str, prefix: str = "models") -> Response:
    """Large files: 302 to the CDN. Others: 307 to where the Hub keeps them for all revisions at which they are the same."""
    kind = prefix[:-1]
    repo = hub.reader(request, kind, repo_id, content=True)  # type: ignore[arg-type]
    commit = repo.at(revision)
    blob = commit.tree.get(path)
    if blob is None:
        raise no_entry(path, commit.oid)
    headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes", "X-Linked-Size": f"{blob.size}"}
    headers |= {"X-Linked-ETag": f'"{blob.etag}"', "ETag": f'"{blob.etag}"'}
    if blob.content is not None:
        location = f"/api/resolve-cache/{prefix}/{repo_id}/{commit.oid}/{quote(path, safe='')}"
        return with_cors(request, Response(307, {**headers, "Location": location}))
    refresh = f"{hub.url}/api/{prefix}/{repo_id}/xet-read-token/{commit.oid}"
    return with_cors(request, to_cdn(hub, blob, path, headers, refresh))


@ROUTES.on("GET HEAD", r"/api/resolve-cache" + REPO + r"/(?P<revision>[^/]+)/(?P<path>.+)")
def resolve_cache(hub: "Hub", request: Request, kind: str, repo_id: str, revision: str, path: str) -> Response:
    repo = hub.reader(request, kind, repo_id, content=True)  # type: ignore[arg-type]
    commit = repo.at(revision)
    blob = commit.tree.get(path)
    if blob is None or blob.content is None:
        raise no_entry(path, commit.oid)
    headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{blob.oid}"', **shown_as(path)}
    content = blob.content
    return with_cors(request, ranged(request, blob.size, lambda start, stop: content[start:stop], headers))


@ROUTES.on("GET HEAD", BUCKET + r"/resolve/(?P<path>.+)")
def resolve_bucket(hub: "Hub", request: Request, bucket_id: str, path: str) -> Response:
    bucket = hub.bucket(request, bucket_id)
    file = bucket.files.get(path)
    if file is None:
        raise no_entry(path)
    headers = {"Accept-Ranges": "bytes", "X-Linked-Size": f"{file.size}"}
    headers |= {"X-Linked-ETag": f'"{file.xet}"', "ETag": f'"{file.xet}"'}
    refresh = f"{hub.url}/api/buckets/{bucket_id}/xet-read-token"
    return with_cors(request, to_cdn(hub, file, path, headers, refresh))


def to_cdn(hub: "Hub", blob: Blob | BucketFile, path: str, headers: dict[str, str], refresh: str) -> Response:
    """A redirect to a signed address; what xet clients need is in its headers."""
    if blob.xet is not None:
        links = f'<{refresh}>; rel="xet-auth", <{hub.cas_url}/v1/reconstructions/{blob.xet}>; rel="xet-reconstruction-info"'
        headers = {**headers, "X-Xet-Hash": blob.xet, "X-Xet-Refresh-Route": refresh, "Link": links}
        where = f"/cdn/xet/{blob.xet}"
    else:
        where = f"/cdn/lfs/{blob.sha256}"  # type: ignore[union-attr]
    return Response(302, {**headers, "Location": hub.cdn_url + hub.signer.address(where, {"name": path.rsplit("/", 1)[-1]})})


def check(hub: "Hub", request: Request) -> None:
    """Like a store behind signed addresses: a second way to say who one is, is an error; a bad signature is 403."""
    if "authorization" in request.headers:
        raise Refused(400, "Only one auth mechanism allowed")
    if not hub.signer.good(request):
        raise Refused(403, "Request has expired")


@ROUTES.on("GET HEAD", r"/cdn/(?P<store>xet|lfs)/(?P<name>[0-9a-f]{64})")
def whole_file(hub: "Hub", request: Request, store: str, name: str) -> Response:
    check(hub, request)
    blob = Blob(hub.cas.size(name), xet=name) if store == "xet" else hub.stored(name)
    if blob is None:
        raise Refused(404, "no such file")
    found = blob
    headers = {**CDN_CORS, "ETag": f'"{name}"', "Cache-Control": "public, max-age=31536000", **shown_as(request.query["name"])}
    return ranged(request, found.size, lambda start, stop: hub.read_blob(found, start, stop), headers)


@ROUTES.on("GET", r"/cdn/xorb/(?P<name>[0-9a-f]{64})")
def xorb(hub: "Hub", request: Request, name: str) -> Response:
    """Parts of a xorb; the ranges asked for must be signed ones."""
    check(hub, request)
    if not are_signed(request.headers.get("range", ""), request.query["X-Xet-Signed-Range"]):
        raise Refused(403, "not the signed range")
    return ranged(request, hub.cas.xorb_size(name), lambda start, stop: hub.cas.xorb_bytes(name, start, stop), CDN_CORS)


@ROUTES.on("PUT", r"/cdn/upload/(?P<name>[0-9a-f]{64})")
def upload(hub: "Hub", request: Request, name: str) -> Response:
    """An LFS object; it is kept only if it is what its name says."""
    check(hub, request)
    if hashlib.sha256(request.body).hexdigest() != name:
        raise Refused(400, "not the content that was announced")
    hub.put_lfs(request.body)
    return Response(200)
