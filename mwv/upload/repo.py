"""An Address of a repository in, a Target out that changes it by commits."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Final

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.lfs import UploadInfo

from mwv.errors import HubError
from mwv.hub.address import Address
from mwv.hub.client import Hub, Place, RemoteFile
from mwv.hub.ranges import RemoteRanges
from mwv.hub.transfer import moving
from mwv.upload.plan import Limits, Step
from mwv.upload.reading import each, file_at, listed
from mwv.upload.target import Advance, Changed, Source, Stored, changes, size_of

_LACKING: Final = (400, 404, 422)
"""How the Hub refuses a commit that names what its storage does not have."""
_SLICE: Final = 64
"""Files that are sent between two signs of progress."""


class RepoTarget:
    """A branch of a repository, or a folder in it. Every commit names its parent, so two publishers do not mix."""

    # As the Hub's own client has it: up to a thousand files a commit, and 100 MiB of texts in its body.
    limits: Final = Limits(files=1000, nbytes=1 << 30, texts=100 << 20, atomic=True)

    def __init__(self, hub: Hub, address: Address, scratch: Path) -> None:
        """Look up the branch; files that are read come to lie in `scratch`, named by their content."""
        self.address = address
        self.name = str(address)
        self._hub, self._scratch = hub, scratch
        self._prefix = f"{address.path}/" if address.path else ""
        self.changed = Changed()
        self._head = self._newest()
        self._stored: dict[str, CommitOperationAdd] = {}
        """What `store` has brought and no commit named yet."""

    @property
    def place(self) -> str:
        """See Target."""
        return f"{self._hub.api.endpoint} {self.name}"

    @property
    def root(self) -> str:
        """See Target: at this commit, so that it holds whatever is changed later."""
        return f"{self._hub.api.endpoint}/{self.address.home}/resolve/{self._head}/{self._prefix}"

    @cached_property
    def sizes(self) -> dict[str, int]:
        """See Target."""
        return {path: file.size for path, file in self._files.items()}

    @cached_property
    def _files(self) -> dict[str, RemoteFile]:
        """All that is there."""
        return listed(self._hub, replace(self.address, revision=self._head))

    def expect(self, paths: Collection[str]) -> None:
        """See Target."""
        each([path for path in paths if path in self._files], self._fetch)

    def read(self, path: str) -> bytes:
        """See Target."""
        return self._fetch(path).read_bytes()

    def _fetch(self, path: str) -> Path:
        """Where a file lies here, after one question to the resolver; what it answers must be what the listing says."""
        file = file_at(self._files, path, self.name)
        here = self._scratch / file.content
        if not here.exists():
            there = Place(self.address, replace(self.address, revision=self._head), self._hub.api.endpoint)
            with moving(self._hub, self.address):
                self._scratch.mkdir(parents=True, exist_ok=True)
                here.write_bytes(RemoteRanges(self._hub, there, file).fetch(0, file.size) if file.size else b"")
        return here

    def store(self, path: str, content: Path, journal: bytes) -> Stored | None:
        """See Target; nobody sees it before a commit names it, so the journal can wait for that."""
        del journal
        with moving(self._hub, self.address):
            addition = CommitOperationAdd(self._prefix + path, content)
            self._hub.api.preupload_lfs_files(self.address.repo, [addition], repo_type=self.address.kind, revision=self._branch)
            if not addition._is_uploaded:  # small, and taken for a text: it travels in the commit
                addition = CommitOperationAdd(self._prefix + path, content.read_bytes())
        self._stored[path] = addition
        info = addition.upload_info
        return Stored(info.sha256.hex(), info.size) if addition._is_uploaded else None

    def resume(self, stored: Mapping[str, Stored], journal: bytes) -> bool:
        """See Target: one commit, which the Hub refuses as a whole if its storage lacks a file."""
        self._stored |= {path: _known(self._prefix + path, found) for path, found in stored.items()}
        try:
            with moving(self._hub, self.address):
                try:
                    self._apply(Step(tuple(stored), journal=journal), lambda _: b"", lambda *_: None)
                except HfHubHTTPError as error:
                    if error.response.status_code not in _LACKING:
                        raise
                    return False
        finally:
            self._stored = {path: addition for path, addition in self._stored.items() if path not in stored}
        return True

    def apply(self, step: Step, source: Source, advance: Advance) -> None:
        """See Target: one commit."""
        with moving(self._hub, self.address):
            self._apply(step, source, advance)

    def _apply(self, step: Step, source: Source, advance: Advance) -> None:
        stored = {path: self._stored[path] for path in step.add if path in self._stored}
        contents, delete = changes(step, source, self.sizes, stored)
        sizes = {path: addition.upload_info.size for path, addition in stored.items()}
        sizes.update({path: size_of(content) for path, content in contents.items()})
        additions = [CommitOperationAdd(self._prefix + path, content) for path, content in contents.items()]
        for start in range(0, len(additions), _SLICE):
            part = additions[start : start + _SLICE]
            self._hub.api.preupload_lfs_files(self.address.repo, part, repo_type=self.address.kind, revision=self._branch)
            advance(len(part), sum(addition.upload_info.size for addition in part))
        deletions = [CommitOperationDelete(self._prefix + path, is_folder=False) for path in delete]
        self._head = self._commit([*stored.values(), *additions, *deletions], sizes, delete)
        self.__dict__.pop("_files", None)  # it is that of the commit before
        for path in stored:
            del self._stored[path]
        for path in delete:
            self.sizes.pop(path, None)
        self.sizes.update(sizes)
        self.changed.note(sizes, delete)

    def _commit(
        self, operations: list[CommitOperationAdd | CommitOperationDelete], sizes: Mapping[str, int], delete: list[str]
    ) -> str:
        """The commit that has been made."""
        try:
            done = self._hub.api.create_commit(
                self.address.repo,
                operations,
                commit_message=f"Site: {len(sizes):,} files added, {len(delete):,} deleted",
                repo_type=self.address.kind,
                revision=self._branch,
                parent_commit=self._head,
            )
        except HfHubHTTPError as error:
            if error.response.status_code not in (409, 412):
                raise
            # Someone else was faster; or a try of ours that arrived, and only its answer was lost.
            newest = self._newest()
            if newest == self._head or not self._is_done(newest, sizes, delete):
                raise HubError(f"{self.name}: someone else has changed it meanwhile; run the same command again") from None
            return newest
        return done.oid

    def _is_done(self, commit: str, sizes: Mapping[str, int], delete: list[str]) -> bool:
        """Whether a commit that follows the known one has what a step adds, and not what it deletes."""
        found = {path: file.size for path, file in listed(self._hub, replace(self.address, revision=commit)).items()}
        return sizes.items() <= found.items() and not found.keys() & set(delete)

    @property
    def _branch(self) -> str:
        return self.address.revision or "main"

    def _newest(self) -> str:
        with self._hub.asking(self.address):
            info = self._hub.api.repo_info(self.address.repo, repo_type=self.address.kind, revision=self.address.revision)
        if info.sha is None:
            raise HubError(f"{self.name}: the Hub names no commit of it")
        return info.sha


def _known(path: str, stored: Stored) -> CommitOperationAdd:
    """An addition as `preupload_lfs_files` leaves it, as the Hub's own client makes it again when it resumes a large upload."""
    addition = CommitOperationAdd(path, b"")
    addition.upload_info = UploadInfo(stored.size, b"", bytes.fromhex(stored.sha256))
    addition._upload_mode, addition._is_uploaded = "lfs", True
    return addition
