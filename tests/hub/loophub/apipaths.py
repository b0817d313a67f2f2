"""In: requests that make, list and describe repos. Out: the Hub's JSON about them."""

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import yaml

from .bucketpaths import page
from .refusals import Refused, no_entry
from .repos import EPOCH, Blob, Commit, Repo, Tree, folders, stamp
from .routes import REPO, Routes
from .spacepaths import runtime
from .wire import Request, Response, as_json

if TYPE_CHECKING:
    from .hub import Hub

ROUTES = Routes()
API = "/api" + REPO


def yes(value: str | None) -> bool:
    return (value or "").lower() in ("true", "1")


@ROUTES.on("GET", "/api/whoami-v2")
def whoami(hub: "Hub", request: Request) -> Response:
    login = hub.accounts.who(request)
    if login is None:
        raise Refused(401, "Invalid username or password.")
    orgs = [{"type": "org", "name": name, "roleInOrg": "write"} for name in sorted(login.spaces - {login.user})]
    access = {"displayName": "a token", "role": "write" if login.write else "read", "createdAt": stamp(EPOCH)}
    auth = {"type": "access_token", "accessToken": access}
    return as_json({"type": "user", "id": login.user, "name": login.user, "fullname": login.user, "orgs": orgs, "auth": auth})


@ROUTES.on("POST", "/api/validate-yaml")
def validate_yaml(hub: "Hub", request: Request) -> Response:
    """Complains about a model card only where its head is no YAML."""
    try:
        card_data(request.json()["content"].encode())
    except yaml.YAMLError as error:
        return as_json({"errors": [{"message": str(error)}], "warnings": []}, 400)
    return as_json({"errors": [], "warnings": []})


def card_data(readme: bytes) -> dict[str, Any]:
    """The YAML head of a README."""
    parts = readme.decode().split("---\n", 2)
    head = yaml.safe_load(parts[1]) if len(parts) == 3 and parts[0] == "" else None
    return head if isinstance(head, dict) else {}


def named(request: Request) -> tuple[Any, str, dict[str, Any]]:
    """Kind and id of the repo that a body names."""
    asked = request.json()
    return asked.get("type") or "model", f"{asked.get('organization') or ''}/{asked['name']}", asked


@ROUTES.on("POST", "/api/repos/create")
def create(hub: "Hub", request: Request) -> Response:
    kind, repo_id, asked = named(request)
    login = hub.accounts.who(request)
    if repo_id.startswith("/"):
        repo_id = f"{login.user if login else ''}{repo_id}"
    hub.owner(request, repo_id)
    url = f"{hub.url}/{'' if kind == 'model' else kind + 's/'}{repo_id}"
    with hub.lock:
        if (kind, repo_id) in hub.repos:
            return as_json({"error": f"You already created this {kind} repo", "url": url}, 409)
        private = asked.get("private") or asked.get("visibility") == "private"
        repo = hub.create(kind, repo_id, private=bool(private), sdk=asked.get("sdk"))
    repo.variables = {item["key"]: item["value"] for item in asked.get("variables", [])}
    repo.secrets = {item["key"]: item["value"] for item in asked.get("secrets", [])}
    repo.volumes = asked.get("volumes", [])
    repo.hardware = asked.get("hardware", repo.hardware)
    repo.sleep_time = asked.get("sleepTimeSeconds")
    return as_json({"url": url, "name": repo_id, "id": repo_id})


@ROUTES.on("DELETE", "/api/repos/delete")
def delete(hub: "Hub", request: Request) -> Response:
    kind, repo_id, _ = named(request)
    login = hub.accounts.who(request)
    repo_id = f"{login.user}{repo_id}" if login and repo_id.startswith("/") else repo_id
    hub.writer(request, kind, repo_id)
    del hub.repos[kind, repo_id]
    return as_json({"success": True})


@ROUTES.on("PUT", API + "/settings")
def settings(hub: "Hub", request: Request, kind: Any, repo_id: str) -> Response:
    repo, _ = hub.writer(request, kind, repo_id)
    asked = request.json()
    repo.gated = asked.get("gated", repo.gated)
    if "private" in asked or "visibility" in asked:
        repo.private = bool(asked.get("private") or asked.get("visibility") == "private")
    return as_json({"private": repo.private, "gated": repo.gated})


@ROUTES.on("GET", API + "/auth-check(?P<write>/write)?")
def auth_check(hub: "Hub", request: Request, kind: Any, repo_id: str, write: str = "") -> Response:
    hub.reader(request, kind, repo_id, content=True)
    if write:
        hub.owner(request, repo_id)
    return as_json({"success": True})


@ROUTES.on("GET", API + "(?:/revision/(?P<revision>[^/]+))?")
def info(hub: "Hub", request: Request, kind: Any, repo_id: str, revision: str = "main") -> Response:
    repo = hub.reader(request, kind, repo_id)
    return as_json(describe(repo, repo.at(revision), blobs=yes(request.query.get("blobs"))))


def describe(repo: Repo, commit: Commit, blobs: bool) -> dict[str, Any]:
    """What the Hub tells about a repo. Here, unlike in a tree, it says no xet hash."""
    readme = commit.tree.get("README.md", Blob(0, b"")).content or b""
    told: dict[str, Any] = {
        "_id": hashlib.sha1(repo.id.encode()).hexdigest()[:24],
        "id": repo.id,
        "author": repo.id.split("/")[0],
        "sha": commit.oid,
        "lastModified": stamp(commit.date),
        "createdAt": stamp(EPOCH),
        "private": repo.private,
        "gated": repo.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "cardData": card_data(readme),
        "siblings": [sibling(path, blob, blobs) for path, blob in commit.tree.items()],
        "usedStorage": sum(blob.size for blob in commit.tree.values()),
    }
    if repo.kind == "model":
        told["modelId"] = repo.id
    if repo.kind == "space":
        name = repo.id.replace("/", "-").lower()
        told |= {"sdk": repo.sdk, "runtime": runtime(repo), "subdomain": name, "host": f"https://{name}.static.hf.space"}
    return told


def sibling(path: str, blob: Blob, blobs: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"rfilename": path}
    if blobs:
        told |= {"size": blob.size, "blobId": blob.oid}
        if blob.sha256 is not None:
            told["lfs"] = {"sha256": blob.sha256, "size": blob.size, "pointerSize": len(blob.pointer)}
    return told


def entry(commit: Commit, path: str, expand: bool) -> dict[str, Any]:
    """A file or folder of a listing."""
    blob = commit.tree.get(path)
    if blob is None:
        told: dict[str, Any] = {"type": "directory", "oid": folder_oid(commit.tree, path), "size": 0, "path": path}
    else:
        told = {"type": "file", "oid": blob.oid, "size": blob.size, "path": path}
        if blob.sha256 is not None:
            told["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": len(blob.pointer)}
        if blob.xet is not None:
            told["xetHash"] = blob.xet
    if expand:
        last = commit.last_change(path)
        told["lastCommit"] = {"id": last.oid, "title": last.title, "date": stamp(last.date)}
    return told


def folder_oid(tree: Tree, path: str) -> str:
    inside = [f"{blob.oid} {name}" for name, blob in tree.items() if name.startswith(f"{path}/")]
    return hashlib.sha1("\n".join(inside).encode()).hexdigest()


@ROUTES.on("GET", API + r"/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?")
def tree(hub: "Hub", request: Request, kind: Any, repo_id: str, revision: str, path: str = "") -> Response:
    commit = hub.reader(request, kind, repo_id).at(revision)
    path = path.strip("/")
    expand = yes(request.query.get("expand"))
    below, files = folders(list(commit.tree), path, yes(request.query.get("recursive")))
    if path and not below and not files:
        raise no_entry(path, commit.oid)
    return page(hub, request, [entry(commit, name, expand) for name in below + files], size=50 if expand else None)


@ROUTES.on("POST", API + r"/paths-info/(?P<revision>[^/]+)")
def paths_info(hub: "Hub", request: Request, kind: Any, repo_id: str, revision: str) -> Response:
    """The body is a form, as the client sends it; paths that are not there are left out."""
    commit = hub.reader(request, kind, repo_id).at(revision)
    form = parse_qsl(request.body.decode())
    expand = yes(dict(form).get("expand"))
    paths = [value.rstrip("/") for name, value in form if name == "paths"]
    present = set(commit.tree) | set(folders(list(commit.tree), "", recursive=True)[0])
    return as_json([entry(commit, path, expand) for path in paths if path in present])


@ROUTES.on("GET", API + "/refs")
def refs(hub: "Hub", request: Request, kind: Any, repo_id: str) -> Response:
    repo = hub.reader(request, kind, repo_id)
    told: dict[str, Any] = {"converts": [], "pullRequests": []}
    for name, kind_of_ref, commits in (("branches", "heads", repo.branches), ("tags", "tags", repo.tags)):
        told[name] = [
            {"name": ref, "ref": f"refs/{kind_of_ref}/{ref}", "targetCommit": commit.oid} for ref, commit in commits.items()
        ]
    return as_json(told)


@ROUTES.on("GET", API + r"/commits/(?P<revision>[^/]+)")
def commits(hub: "Hub", request: Request, kind: Any, repo_id: str, revision: str) -> Response:
    history = hub.reader(request, kind, repo_id).at(revision).history()
    told = [
        {
            "id": commit.oid,
            "title": commit.title,
            "message": commit.message,
            "date": stamp(commit.date),
            "authors": [{"user": commit.author}],
        }
        for commit in history
    ]
    return page(hub, request, told)


@ROUTES.on("POST DELETE", API + r"/branch/(?P<name>[^/]+)")
def branch(hub: "Hub", request: Request, kind: Any, repo_id: str, name: str) -> Response:
    repo, _ = hub.writer(request, kind, repo_id)
    with hub.lock:
        if request.method == "DELETE":
            if repo.branches.pop(name, None) is None:
                raise Refused(404, "Branch not found", "RevisionNotFound")
        elif name in repo.branches:
            raise Refused(409, "Reference already exists")
        else:
            repo.branches[name] = repo.at(request.json().get("startingPoint") or "main")
    return as_json({"success": True})


@ROUTES.on("POST DELETE", API + r"/tag/(?P<name>[^/]+)")
def tag(hub: "Hub", request: Request, kind: Any, repo_id: str, name: str) -> Response:
    """To make a tag the path names the revision and the body the tag; to delete one, the path names it."""
    repo, _ = hub.writer(request, kind, repo_id)
    with hub.lock:
        if request.method == "DELETE":
            if repo.tags.pop(name, None) is None:
                raise Refused(404, "Tag not found", "RevisionNotFound")
        elif request.json()["tag"] in repo.tags:
            raise Refused(409, "Tag already exists")
        else:
            repo.tags[request.json()["tag"]] = repo.at(name)
    return as_json({"success": True})
