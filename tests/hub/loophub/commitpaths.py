"""In: requests that bring files into repos. Out: how to upload them, xet tokens, LFS addresses, and commits: all or nothing."""

import base64
import fnmatch
import json
from typing import TYPE_CHECKING, Any, Literal

from .refusals import Refused, no_entry
from .repos import Blob, Tree
from .routes import REPO, Routes
from .wire import Request, Response, as_json

if TYPE_CHECKING:
    from .hub import Hub

ROUTES = Routes()
API = "/api" + REPO
REGULAR_LIMIT = 10 << 20


def upload_mode(tree: Tree, path: str, sample: bytes, size: int) -> Literal["lfs", "regular"]:
    """Large is what .gitattributes says, what has more than 10 MiB, and what is not text."""
    attributes = tree.get(".gitattributes")
    lines = (attributes.content or b"").decode().splitlines() if attributes else []
    patterns = [line.split()[0] for line in lines if "filter=lfs" in line]
    if size > REGULAR_LIMIT or any(fnmatch.fnmatch(path.rsplit("/", 1)[-1], pattern) for pattern in patterns):
        return "lfs"
    return "regular" if b"\0" not in sample and printable(sample) else "lfs"


def printable(sample: bytes) -> bool:
    """Whether a sample that may end within a character is UTF-8."""
    for cut in range(4):
        try:
            sample[: len(sample) - cut].decode()
        except UnicodeDecodeError:
            continue
        return True
    return False


def xet_token(hub: "Hub", scope: str) -> Response:
    """Python reads the headers, Rust the body."""
    token, end = hub.signer.token(scope)
    headers = {"X-Xet-Cas-Url": hub.cas_url, "X-Xet-Access-Token": token, "X-Xet-Token-Expiration": f"{end}"}
    return as_json({"casUrl": hub.cas_url, "accessToken": token, "exp": end}, headers=headers)


@ROUTES.on("GET", API + r"/xet-(?P<scope>read|write)-token/(?P<revision>[^/]+)")
def token(hub: "Hub", request: Request, kind: Any, repo_id: str, scope: str, revision: str) -> Response:
    if scope == "write":
        hub.writer(request, kind, repo_id)
    else:
        hub.reader(request, kind, repo_id, content=True).at(revision)
    return xet_token(hub, scope)


@ROUTES.on("POST", API + r"/preupload/(?P<revision>[^/]+)")
def preupload(hub: "Hub", request: Request, kind: Any, repo_id: str, revision: str) -> Response:
    """How each file is to come; `oid` is what the repo has under that name, so that the client can leave it out."""
    repo, _ = hub.writer(request, kind, repo_id)
    tree = repo.at(revision).tree
    files = [
        {
            "path": file["path"],
            "uploadMode": upload_mode(tree, file["path"], base64.b64decode(file["sample"]), file["size"]),
            "shouldIgnore": False,
            "oid": tree[file["path"]].etag if file["path"] in tree else None,
        }
        for file in request.json()["files"]
    ]
    if len(files) > 256:
        raise Refused(400, "at most 256 files a call")
    return as_json({"files": files})


@ROUTES.on("POST", API + r"/commit/(?P<revision>[^/]+)")
def commit(hub: "Hub", request: Request, kind: Any, repo_id: str, revision: str) -> Response:
    """One commit of all operations, or none of them."""
    repo, login = hub.writer(request, kind, repo_id)
    operations = [json.loads(line) for line in request.body.splitlines() if line]
    header = operations[0]["value"]
    with hub.lock:
        head = repo.at(revision)
        branch = revision.removeprefix("refs/heads/")
        if branch not in repo.branches:
            raise Refused(400, f"{revision} is not a branch")
        if header.get("parentCommit") not in (None, head.oid):
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        tree = dict(head.tree)
        for operation in operations[1:]:
            apply(hub, tree, operation["key"], operation["value"], head.oid)
        made = repo.advance(branch, tree, header["summary"], header.get("description", ""), login.user)
    prefix = "" if kind == "model" else f"{kind}s/"
    url = f"{hub.url}/{prefix}{repo_id}/commit/{made.oid}"
    return as_json({"success": True, "commitUrl": url, "commitOid": made.oid, "hookOutput": ""})


def apply(hub: "Hub", tree: dict[str, Blob], key: str, value: dict[str, Any], commit: str) -> None:
    """Do one operation of a commit to a tree."""
    path = value["path"]
    if key == "file":
        content = base64.b64decode(value["content"])
        tree[path] = Blob(len(content), content)
    elif key == "lfsFile":
        blob = hub.stored(value["oid"], value.get("size"))
        if blob is None:
            raise Refused(400, f"LFS pointer pointed to a file that does not exist: {path}")
        tree[path] = blob
    elif key == "deletedFile":
        if path not in tree:
            raise no_entry(path, commit)
        del tree[path]
    elif key == "deletedFolder":
        inside = [name for name in tree if name.startswith(path.rstrip("/") + "/")]
        if not inside:
            raise no_entry(path, commit)
        for name in inside:
            del tree[name]
    else:
        raise Refused(400, f"unknown operation {key}")


@ROUTES.on("POST", r"/(?:(?P<prefix>datasets|spaces)/)?(?P<repo_id>[^/]+/[^/]+)\.git/info/lfs/objects/batch")
def lfs_batch(hub: "Hub", request: Request, repo_id: str, prefix: str = "models") -> Response:
    """Signed addresses for what is not here yet, in one part each."""
    hub.writer(request, prefix[:-1], repo_id)  # type: ignore[arg-type]
    objects = []
    for item in request.json()["objects"]:
        told = {"oid": item["oid"], "size": item["size"]}
        if hub.stored(item["oid"], item["size"]) is None:
            href = hub.cdn_url + hub.signer.address(f"/cdn/upload/{item['oid']}", {})
            told["actions"] = {"upload": {"href": href, "header": {}}}
        objects.append(told)
    return as_json({"transfer": "basic", "objects": objects})
