"""In: requests about Spaces. Out: their runtime, variables, secrets and volumes, and the pages of static ones."""

import mimetypes
from typing import TYPE_CHECKING, Any

from .refusals import no_entry
from .repos import EPOCH, Repo, stamp
from .routes import SPACE, Routes
from .wire import Request, Response, as_json, ranged

if TYPE_CHECKING:
    from .hub import Hub

ROUTES = Routes()
API = "/api" + SPACE


def runtime(repo: Repo) -> dict[str, Any]:
    hardware = {"current": repo.hardware, "requested": repo.hardware}
    return {
        "stage": repo.stage,
        "hardware": hardware,
        "gcTimeout": repo.sleep_time,
        "storage": None,
        "replicas": {"requested": 1, "current": 1},
        "volumes": repo.volumes,
        "sha": repo.at("main").oid,
    }


def variables(repo: Repo) -> dict[str, Any]:
    return {key: {"key": key, "value": value, "updatedAt": stamp(EPOCH)} for key, value in repo.variables.items()}


@ROUTES.on("GET", API + "/runtime")
def get_runtime(hub: "Hub", request: Request, repo_id: str) -> Response:
    return as_json(runtime(hub.reader(request, "space", repo_id)))


@ROUTES.on("POST", API + "/(?P<what>pause|restart|hardware|sleeptime)")
def change_runtime(hub: "Hub", request: Request, repo_id: str, what: str) -> Response:
    repo, _ = hub.writer(request, "space", repo_id)
    if what == "hardware":
        repo.hardware = request.json()["flavor"]
    if what in ("hardware", "sleeptime"):
        asked = request.json()
        repo.sleep_time = asked.get("seconds", asked.get("sleepTimeSeconds"))
    return as_json(runtime(repo))


@ROUTES.on("GET POST DELETE", API + "/(?P<what>variables|secrets)")
def change_settings(hub: "Hub", request: Request, repo_id: str, what: str) -> Response:
    """Variables can be read back, secrets only by the names of them."""
    repo, _ = hub.writer(request, "space", repo_id)
    settings = repo.variables if what == "variables" else repo.secrets
    if request.method == "POST":
        settings[request.json()["key"]] = request.json()["value"]
    elif request.method == "DELETE":
        settings.pop(request.json()["key"], None)
    return as_json(variables(repo) if what == "variables" else {key: {"key": key} for key in settings})


@ROUTES.on("PUT DELETE", API + "/volumes")
def change_volumes(hub: "Hub", request: Request, repo_id: str) -> Response:
    repo, _ = hub.writer(request, "space", repo_id)
    repo.volumes = request.json()["volumes"] if request.method == "PUT" else []
    return as_json({"success": True})


@ROUTES.on("GET HEAD", r"/space-pages/(?P<repo_id>[^/]+/[^/]+)/(?P<path>.*)")
def static_page(hub: "Hub", request: Request, repo_id: str, path: str) -> Response:
    """A static Space as a site of its own; a folder shows its index.html. Whether the real ones know ranges is not verified."""
    repo = hub.reader(request, "space", repo_id)
    path = path + "index.html" if path == "" or path.endswith("/") else path
    blob = repo.at("main").tree.get(path)
    if blob is None or repo.sdk != "static":
        raise no_entry(path)
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    found = blob
    return ranged(
        request,
        found.size,
        lambda start, stop: hub.read_blob(found, start, stop),
        {"Content-Type": kind, "ETag": f'"{found.etag}"'},
    )
