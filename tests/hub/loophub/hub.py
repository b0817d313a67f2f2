"""In: requests of real Hub clients, and calls of a test. Out: a Hub in this process: repos, buckets, CAS, CDN, faults, log."""

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from . import apipaths, bucketpaths, caspaths, commitpaths, filepaths, spacepaths
from .accounts import Accounts, Login
from .cas import Cas
from .faults import Fault, Faults, Rule
from .log import Kind, Log, Seen, Token
from .refusals import Refused, no_entry, no_repo
from .repos import EPOCH, GITATTRIBUTES, Blob, Bucket, BucketFile, Commit, Repo, RepoKind, Tree
from .signing import Signer
from .wire import Request, Response, Server, as_json

ROUTES = [module.ROUTES for module in (caspaths, filepaths, bucketpaths, spacepaths, commitpaths, apipaths)]
_serial = itertools.count(1)


class Hub:
    """One Hub with nothing in it. `folder` holds what is too large for memory.

    The CDN is the same server under the name `localhost`: for clients another origin, so that they behave as they do with
    the real one (they do not follow there with a HEAD, and send no token). `cas_versions` are the reconstruction calls
    that the CAS knows; `page_size` is how many entries a listing gives at once.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.accounts, self.signer, self.faults, self.log = Accounts(), Signer(), Faults(), Log()
        self.repos: dict[tuple[RepoKind, str], Repo] = {}
        self.buckets: dict[str, Bucket] = {}
        self.cas_versions: set[Literal["v1", "v2"]] = {"v1", "v2"}
        self.page_size = 1000
        self.lock = threading.RLock()
        self._serial = next(_serial)
        self._over = threading.Event()
        for name in ("xorbs", "lfs"):
            (folder / name).mkdir(parents=True)
        self.cas = Cas(folder / "xorbs")

    @property
    def url(self) -> str:
        """What HF_ENDPOINT is."""
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def cdn_url(self) -> str:
        return f"http://localhost:{self.server.port}"

    @property
    def cas_url(self) -> str:
        """Another one for every Hub, so that what a client remembers of a CAS does not outlive its test."""
        return f"{self.url}/cas/{self._serial}"

    # The server's side.

    def answer(self, request: Request) -> Response:
        """Answer a request, or do to it what a fault says."""
        fault = None if self._by_ourselves(request) else self.faults.strike(request, self.kind(request))
        if fault is None:
            return self._route(request)
        self._over.wait(fault.delay)
        response = self._route(request) if fault.done else Response(fault.status or 500, dict(fault.headers), fault.body)
        return fault.spoil(response)

    def _route(self, request: Request) -> Response:
        try:
            for routes in ROUTES:
                if response := routes.answer(self, request):
                    return response
            return as_json({"error": f"this Hub has no {request.method} {request.path}"}, 404)
        except Refused as refusal:
            return filepaths.with_cors(request, refusal.response())

    def sending(self, request: Request, response: Response, sent: int) -> Callable[[int], None]:
        """Log a request before its answer goes out, so that a client that has the answer finds it in the log."""
        if self._by_ourselves(request):
            return lambda sent: None
        kind, token = self.kind(request), self._token(request)
        leaked = self.accounts.named_in(request.raw_path) or any(map(self.accounts.named_in, request.query.values()))
        leaked |= kind in ("cas", "cdn") and any(map(self.accounts.named_in, request.headers.values()))
        seen = Seen(
            request.method,
            request.path,
            kind,
            request.headers.get("range"),
            response.status,
            sent,
            len(request.body),
            token,
            response.faulty,
            leaked,
        )
        self.log.add(seen)

        def stopped(sent: int) -> None:
            seen.sent = sent

        return stopped

    @staticmethod
    def kind(request: Request) -> Kind:
        """The class of a request; the Hub counts addresses of files apart from the rest of its API."""
        first, _, rest = request.raw_path[1:].partition("/")
        if first in ("cas", "cdn"):
            return first  # type: ignore[return-value]
        if "/resolve/" in request.raw_path or rest.startswith("resolve-cache/"):
            return "resolve"
        if ".git/info/lfs/" in request.raw_path:
            return "lfs"
        return "api" if first == "api" else "page"

    def _token(self, request: Request) -> Token:
        if "authorization" not in request.headers:
            return ""
        if self.accounts.known(request.bearer):
            return "hub"
        return "xet" if (request.bearer or "").startswith("xet_") else "unknown"

    def _by_ourselves(self, request: Request) -> bool:
        return request.raw_path.startswith(f"/cas/{self._serial}-own/")

    def close(self) -> None:
        """Let slow answers go."""
        self._over.set()

    # Who may what.

    def reader(self, request: Request, kind: RepoKind, repo_id: str, content: bool = False) -> Repo:
        """The repo of a request that reads it; `content` also needs the gate of a gated repo to be open."""
        login = self.accounts.who(request)
        repo = self.repos.get((kind, repo_id))
        if repo is None or (repo.private and not (login and login.owns(repo_id))):
            raise no_repo(404 if login else 401)
        if content and repo.gated and not (login and (login.owns(repo_id) or login.user in repo.members)):
            message = f"Access to {kind} {repo_id} is restricted."
            message += " You are not in the authorized list." if login else " You must have access to it and be authenticated."
            raise Refused(403 if login else 401, message, "GatedRepo")
        return repo

    def writer(self, request: Request, kind: RepoKind, repo_id: str) -> tuple[Repo, Login]:
        """The repo of a request that changes it, and who does."""
        repo = self.reader(request, kind, repo_id)
        return repo, self.owner(request, repo_id)

    def owner(self, request: Request, some_id: str) -> Login:
        """Who asks, if they may write below this name."""
        login = self.accounts.who(request)
        if login is None:
            raise Refused(401, "Invalid username or password.")
        if not login.write or not login.owns(some_id):
            raise Refused(403, f"You don't have the rights to write to {some_id}")
        return login

    def bucket(self, request: Request, bucket_id: str, write: bool = False) -> Bucket:
        login = self.accounts.who(request)
        bucket = self.buckets.get(bucket_id)
        if bucket is None or (bucket.private and not (login and login.owns(bucket_id))):
            raise no_repo(404 if login else 401)
        if write:
            self.owner(request, bucket_id)
        return bucket

    # Content.

    def lfs_path(self, sha256: str) -> Path:
        return self.folder / "lfs" / sha256

    def read_blob(self, blob: Blob | BucketFile, start: int, stop: int) -> bytes:
        """Bytes `start`…`stop` of a file, wherever it is."""
        if blob.xet is not None:
            return self.cas.read(blob.xet, start, stop)
        if blob.content is not None:
            return blob.content[start:stop]
        with self.lfs_path(blob.sha256 or "").open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def stored(self, sha256: str, size: int | None = None) -> Blob | None:
        """A large file that has been uploaded, by xet or by LFS; None if it was not (or has another size)."""
        if xet := self.cas.by_sha256(sha256):
            blob = Blob(self.cas.size(xet), sha256=sha256, xet=xet)
        elif self.lfs_path(sha256).exists():
            blob = Blob(self.lfs_path(sha256).stat().st_size, sha256=sha256)
        else:
            return None
        return blob if size in (None, blob.size) else None

    def create(self, kind: RepoKind, repo_id: str, **settings: Any) -> Repo:
        """A new repo with its first commit, as the Hub makes it."""
        repo = self.repos[kind, repo_id] = Repo(kind, repo_id, **settings)
        tree = {".gitattributes": Blob(len(GITATTRIBUTES), GITATTRIBUTES)}
        if kind == "space":
            card = f"---\ntitle: {repo_id.split('/')[1]}\nsdk: {repo.sdk}\n---\n".encode()
            tree["README.md"] = Blob(len(card), card)
        repo.advance("main", tree, "initial commit", author=repo_id.split("/")[0])
        return repo

    # What tests call.

    def token(self, user: str = "ann", write: bool = True, orgs: Iterable[str] = ()) -> str:
        """A new token; repos whose name starts with the user's or an organisation's belong to them."""
        return self.accounts.token(user, write, orgs)

    def fail(
        self,
        fault: Fault,
        kind: Kind | None = None,
        method: str | None = None,
        path: str = "*",
        times: int | None = 1,
        after: int = 0,
    ) -> Rule:
        """From now on spare the first `after` requests of this kind, then do this to `times` (None: to all that follow)."""
        return self.faults.add(Rule(fault, kind, method, path, times, after))

    def put(
        self,
        repo_id: str,
        files: Mapping[str, bytes | Path],
        kind: RepoKind = "model",
        branch: str = "main",
        delete: Iterable[str] = (),
        xet: bool = True,
        **settings: Any,
    ) -> Commit:
        """Commit files without the API and outside the log; makes the repo (with `settings`) and the branch if need be.

        Large and binary files go to xet (chunked by hf_xet itself), with `xet=False` to LFS.
        """
        repo = self.repos.get((kind, repo_id)) or self.create(
            kind, repo_id, sdk="static" if kind == "space" else None, **settings
        )
        contents = {path: data if isinstance(data, bytes) else data.read_bytes() for path, data in files.items()}
        with self.lock:
            base = repo.branches.get(branch) or repo.at("main")
            modes = {path: commitpaths.upload_mode(base.tree, path, data[:512], len(data)) for path, data in contents.items()}
        large = {path: data for path, data in contents.items() if modes[path] == "lfs"}
        blobs = {path: Blob(len(data), data) for path, data in contents.items() if path not in large}
        blobs |= self._put_xet(large) if xet else {path: self.put_lfs(data) for path, data in large.items()}
        with self.lock:
            repo.branches.setdefault(branch, base)
            tree = {path: blob for path, blob in repo.branches[branch].tree.items() if path not in set(delete)}
            return repo.advance(branch, tree | blobs, "put", author=repo_id.split("/")[0])

    def put_bucket(self, bucket_id: str, files: Mapping[str, bytes], private: bool = False) -> Bucket:
        """Put files into a bucket outside the log; makes the bucket if need be."""
        bucket = self.buckets.setdefault(bucket_id, Bucket(bucket_id, private))
        for path, blob in self._put_xet(files).items():
            bucket.files[path] = BucketFile(blob.size, blob.xet or "", EPOCH)
        return bucket

    def put_lfs(self, data: bytes) -> Blob:
        sha256 = hashlib.sha256(data).hexdigest()
        self.lfs_path(sha256).write_bytes(data)
        return Blob(len(data), sha256=sha256)

    def _put_xet(self, files: Mapping[str, bytes]) -> dict[str, Blob]:
        """Upload by hf_xet under an address of our own, so that clients in this process remember nothing of it."""
        if not files:
            return {}
        import hf_xet  # here, because tests that need no Hub should not wait for it

        token, end = self.signer.token("write", 3600)
        with hf_xet.XetSession().new_upload_commit(
            endpoint=f"{self.cas_url}-own", token=token, token_expiry_unix_secs=end
        ) as commit:
            handles = {path: commit.start_upload_bytes(data, sha256=hf_xet.COMPUTE_SHA256) for path, data in files.items()}
        infos = {path: handle.result().xet_info for path, handle in handles.items()}
        return {path: Blob(info.file_size, sha256=info.sha256, xet=info.hash) for path, info in infos.items()}

    def tree(self, repo_id: str, kind: RepoKind = "model", revision: str = "main") -> Tree:
        """All files of a repo at a revision."""
        return self.repos[kind, repo_id].at(revision).tree

    def read(self, repo_id: str, path: str, kind: RepoKind | Literal["bucket"] = "model", revision: str = "main") -> bytes:
        """A file's bytes, rebuilt from what was uploaded."""
        blob = self.buckets[repo_id].files.get(path) if kind == "bucket" else self.tree(repo_id, kind, revision).get(path)
        if blob is None:
            raise no_entry(path)
        return self.read_blob(blob, 0, blob.size)

    def xet_token(self, scope: Literal["read", "write"] = "read") -> str:
        return self.signer.token(scope)[0]
