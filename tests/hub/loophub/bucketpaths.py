"""In: requests about buckets. Out: buckets made, listed, changed in batches and deleted."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .commitpaths import xet_token
from .repos import EPOCH, Bucket, BucketFile, folders, stamp
from .routes import BUCKET, Routes
from .wire import Request, Response, as_json

if TYPE_CHECKING:
    from .hub import Hub

ROUTES = Routes()
API = "/api" + BUCKET


def info(bucket: Bucket) -> dict[str, Any]:
    return {
        "id": bucket.id,
        "private": bucket.private,
        "createdAt": stamp(EPOCH),
        "size": sum(file.size for file in bucket.files.values()),
        "totalFiles": len(bucket.files),
    }


def entry(path: str, file: BucketFile) -> dict[str, Any]:
    return {
        "type": "file",
        "path": path,
        "size": file.size,
        "xetHash": file.xet,
        "mtime": stamp(file.mtime),
        "uploadedAt": stamp(file.mtime),
        "contentType": file.content_type,
    }


@ROUTES.on("POST", API)
def create(hub: "Hub", request: Request, bucket_id: str) -> Response:
    owner, name = bucket_id.split("/")
    if owner == "me":
        login = hub.accounts.who(request)
        bucket_id = f"{login.user if login else owner}/{name}"
    hub.owner(request, bucket_id)
    asked = request.json()
    url = f"{hub.url}/buckets/{bucket_id}"
    with hub.lock:
        if bucket_id in hub.buckets:
            return as_json({"error": "You already created this bucket", "url": url}, 409)
        private = asked.get("private") or asked.get("visibility") == "private"
        hub.buckets[bucket_id] = Bucket(bucket_id, bool(private))
    return as_json({"url": url, "name": bucket_id})


@ROUTES.on("GET", API)
def show(hub: "Hub", request: Request, bucket_id: str) -> Response:
    return as_json(info(hub.bucket(request, bucket_id)))


@ROUTES.on("DELETE", API)
def delete(hub: "Hub", request: Request, bucket_id: str) -> Response:
    hub.bucket(request, bucket_id, write=True)
    del hub.buckets[bucket_id]
    return as_json({"success": True})


@ROUTES.on("GET", r"/api/buckets/(?P<owner>[^/]+)")
def list_all(hub: "Hub", request: Request, owner: str) -> Response:
    login = hub.accounts.who(request)
    owner = login.user if owner == "me" and login else owner
    return as_json(
        [
            info(bucket)
            for bucket in hub.buckets.values()
            if bucket.id.startswith(f"{owner}/") and (not bucket.private or (login and login.owns(bucket.id)))
        ]
    )


@ROUTES.on("PUT", API + "/settings")
def settings(hub: "Hub", request: Request, bucket_id: str) -> Response:
    hub.bucket(request, bucket_id, write=True).private = request.json()["private"]
    return as_json({"success": True})


@ROUTES.on("GET", API + r"/tree(?:/(?P<prefix>.+))?")
def tree(hub: "Hub", request: Request, bucket_id: str, prefix: str = "") -> Response:
    """Files whose path begins with the prefix; not recursive: those right below it, and folders."""
    bucket = hub.bucket(request, bucket_id)
    recursive = request.query.get("recursive", "").lower() in ("true", "1")
    below, files = folders(list(bucket.files), prefix.rstrip("/"), recursive)
    entries: list[dict[str, Any]] = [{"type": "directory", "path": path, "uploadedAt": stamp(EPOCH)} for path in below]
    entries += [entry(path, bucket.files[path]) for path in files]
    if not entries and prefix in bucket.files:
        entries = [entry(prefix, bucket.files[prefix])]
    return page(hub, request, entries)


def page(hub: "Hub", request: Request, entries: list[dict[str, Any]], size: int | None = None) -> Response:
    """A part of a listing, with a link to the next one."""
    size = min(size or hub.page_size, hub.page_size)
    start = int(request.query.get("cursor", 0))
    headers = {}
    if start + size < len(entries):
        query = "&".join(f"{name}={quote(value)}" for name, value in request.query.items() if name != "cursor")
        headers["Link"] = f'<{hub.url}{request.raw_path}?{query}&cursor={start + size}>; rel="next"'
    return as_json(entries[start : start + size], headers=headers)


@ROUTES.on("POST", API + "/paths-info")
def paths_info(hub: "Hub", request: Request, bucket_id: str) -> Response:
    files = hub.bucket(request, bucket_id).files
    return as_json([entry(path, files[path]) for path in request.json()["paths"] if path in files])


@ROUTES.on("POST", API + "/batch")
def batch(hub: "Hub", request: Request, bucket_id: str) -> Response:
    """Each line for itself: those that can be done are done, the others are told."""
    bucket = hub.bucket(request, bucket_id, write=True)
    failed, done = [], 0
    with hub.lock:
        for line in request.body.splitlines():
            operation = json.loads(line)
            error = apply(hub, bucket, operation)
            done += error is None
            if error is not None:
                failed.append({"path": operation["path"], "error": error})
    counts = {"success": not failed, "processed": done + len(failed), "succeeded": done, "failed": failed}
    return as_json(counts, 422 if failed and not done else 200)


def apply(hub: "Hub", bucket: Bucket, operation: dict[str, Any]) -> str | None:
    """Do one operation of a batch; what is wrong with it, if anything."""
    path = operation["path"]
    if operation["type"] == "deleteFile":
        return None if bucket.files.pop(path, None) else "file not found"
    if operation["type"] not in ("addFile", "copyFile"):
        return f"unknown operation {operation['type']}"
    if operation["xetHash"] not in hub.cas.files:
        return "unknown xet hash"
    moment = datetime.fromtimestamp(operation["mtime"] / 1000, UTC)
    size = hub.cas.size(operation["xetHash"])
    bucket.files[path] = BucketFile(size, operation["xetHash"], moment, operation.get("contentType"))
    return None


@ROUTES.on("GET", API + r"/xet-(?P<scope>read|write)-token")
def token(hub: "Hub", request: Request, bucket_id: str, scope: str) -> Response:
    hub.bucket(request, bucket_id, write=scope == "write")
    return xet_token(hub, scope)
