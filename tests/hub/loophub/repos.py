"""In: files and who may see them. Out: repos with branches, tags and a history of whole trees, and buckets without one."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from .refusals import no_revision

RepoKind = Literal["model", "dataset", "space"]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LFS_SUFFIXES = (
    "7z arrow bin bz2 ckpt gguf gz h5 joblib mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth rar"
    " safetensors tar tflite tgz wasm xz zip zst"
)
GITATTRIBUTES = "".join(f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES.split()).encode()


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass(frozen=True)
class Blob:
    """A file's content: in the repo itself (`content`), or elsewhere under its sha256, with the xet hash if xet holds it."""

    size: int
    content: bytes | None = None
    sha256: str | None = None
    xet: str | None = None

    @property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()

    @property
    def oid(self) -> str:
        """The git object id: of the content, or of the LFS pointer."""
        content = self.pointer if self.content is None else self.content
        return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()

    @property
    def etag(self) -> str:
        return self.oid if self.sha256 is None else self.sha256


Tree = Mapping[str, Blob]


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: "Commit | None"
    tree: Tree
    title: str
    message: str
    author: str
    date: datetime

    def history(self) -> "list[Commit]":
        """This commit and all before it, newest first."""
        commits, commit = [], self
        while commit is not None:
            commits.append(commit)
            commit = commit.parent
        return commits

    def last_change(self, path: str) -> "Commit":
        """The commit that made the file (or the folder) what it is here."""

        def part(commit: Commit) -> dict[str, Blob]:
            return {name: blob for name, blob in commit.tree.items() if name == path or name.startswith(f"{path}/")}

        commit = self
        while commit.parent is not None and part(commit.parent) == part(commit):
            commit = commit.parent
        return commit


@dataclass
class Repo:
    """A model, dataset or Space. `members`: users who were let into a gated repo."""

    kind: RepoKind
    id: str
    private: bool = False
    gated: Literal["auto", "manual", False] = False
    members: set[str] = field(default_factory=set)
    branches: dict[str, Commit] = field(default_factory=dict)
    tags: dict[str, Commit] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    sdk: str | None = None
    hardware: str = "cpu-basic"
    sleep_time: int | None = None
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    volumes: list[dict[str, Any]] = field(default_factory=list)

    def advance(self, branch: str, tree: Tree, title: str, message: str = "", author: str = "") -> Commit:
        """Add a commit to a branch; a second lies between any two commits."""
        parent = self.branches.get(branch)
        date = EPOCH + timedelta(seconds=len(self.commits))
        listing = {path: blob.etag for path, blob in sorted(tree.items())}
        what = [self.kind, self.id, parent and parent.oid, listing, title, message, len(self.commits)]
        oid = hashlib.sha1(json.dumps(what).encode()).hexdigest()
        commit = Commit(oid, parent, dict(sorted(tree.items())), title, message, author, date)
        self.commits[oid] = self.branches[branch] = commit
        return commit

    def at(self, revision: str) -> Commit:
        """The commit a branch, a tag, a full ref or a commit id (7 digits at least) means; refused if there is none."""
        name = re.sub(r"^refs/(heads|tags)/", "", revision)
        if commit := self.branches.get(name) or self.tags.get(name):
            return commit
        found = [commit for oid, commit in self.commits.items() if len(name) >= 7 and oid.startswith(name)]
        if len(found) != 1:
            raise no_revision(revision)
        return found[0]

    @property
    def stage(self) -> str:
        """What a Space does, as far as it can be told from its files."""
        return "RUNNING" if {"index.html", "app.py", "Dockerfile"} & set(self.at("main").tree) else "NO_APP_FILE"


@dataclass(frozen=True)
class BucketFile:
    size: int
    xet: str
    mtime: datetime
    content_type: str | None = None


@dataclass
class Bucket:
    id: str
    private: bool = False
    files: dict[str, BucketFile] = field(default_factory=dict)


def folders(paths: list[str], below: str, recursive: bool) -> tuple[list[str], list[str]]:
    """Folders and files of a listing below a folder ("" or one without a final slash), each sorted."""
    prefix = f"{below}/" if below else ""
    inside = [path for path in paths if path.startswith(prefix)]
    found: set[str] = set()
    files = []
    for path in inside:
        steps = path[len(prefix) :].split("/")
        above = len(steps) - 1 if recursive else min(1, len(steps) - 1)
        found.update(prefix + "/".join(steps[:count]) for count in range(1, above + 1))
        if recursive or len(steps) == 1:
            files.append(path)
    return sorted(found), sorted(files)
