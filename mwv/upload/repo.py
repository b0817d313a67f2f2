"""An Address of a repository in, a Target out that changes it by commits."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Final

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
from huggingface_hub.hf_api import RepoFile

from mwv.errors import HubError
from mwv.hub.address import Address
from mwv.hub.client import Hub
from mwv.upload.plan import Limits, Step
from mwv.upload.target import Advance, Source, changes, size_of
from mwv.upload.transfer import sending

_SLICE: Final = 64
"""Files that are sent between two signs of progress."""


class RepoTarget:
    """A branch of a repository, or a folder in it. Every commit names its parent, so two publishers do not mix."""

    # As the Hub's own client has it: up to a thousand files a commit, and 100 MiB of texts in its body.
    limits: Final = Limits(files=1000, nbytes=1 << 30, texts=100 << 20, atomic=True)

    def __init__(self, hub: Hub, address: Address, scratch: Path) -> None:
        """Look up the branch; files that are read come to lie in `scratch`."""
        self.address = address
        self.name = str(address)
        self._hub, self._scratch = hub, scratch
        self._prefix = f"{address.path}/" if address.path else ""
        self._head = self._newest()
        self._stored: dict[str, CommitOperationAdd] = {}
        """What `store` has brought and no commit named yet."""

    @property
    def root(self) -> str:
        """See Target: at this commit, so that it holds whatever is changed later."""
        return f"{self._hub.api.endpoint}/{self.address.home}/resolve/{self._head}/{self._prefix}"

    @cached_property
    def sizes(self) -> dict[str, int]:
        """See Target."""
        kind, repo, folder = self.address.kind, self.address.repo, self.address.path
        found: dict[str, int] = {}
        with self._hub.told(self.address), suppress(EntryNotFoundError):  # a folder that is yet to come
            tree = self._hub.api.list_repo_tree(repo, folder or None, recursive=True, revision=self._head, repo_type=kind)
            for entry in tree:
                if isinstance(entry, RepoFile):
                    found[entry.path.removeprefix(self._prefix)] = entry.size
        return found

    def read(self, path: str) -> bytes:
        """See Target."""
        with sending(self._hub, self.address):
            place = hf_hub_download(
                self.address.repo,
                self._prefix + path,
                repo_type=self.address.kind,
                revision=self._head,
                local_dir=self._scratch,
            )
            return Path(place).read_bytes()

    def store(self, path: str, content: Path, journal: bytes) -> None:
        """See Target; nobody sees it before a commit names it, so the journal can wait for that."""
        del journal
        with sending(self._hub, self.address):
            addition = CommitOperationAdd(self._prefix + path, content)
            self._hub.api.preupload_lfs_files(self.address.repo, [addition], repo_type=self.address.kind, revision=self._branch)
            if not addition._is_uploaded:  # small, and taken for a text: it travels in the commit
                addition = CommitOperationAdd(self._prefix + path, content.read_bytes())
        self._stored[path] = addition

    def apply(self, step: Step, source: Source, advance: Advance) -> None:
        """See Target: one commit."""
        stored = {path: self._stored[path] for path in step.add if path in self._stored}
        contents, delete = changes(step, source, self.sizes, stored)
        sizes = {path: addition.upload_info.size for path, addition in stored.items()}
        sizes.update({path: size_of(content) for path, content in contents.items()})
        with sending(self._hub, self.address):
            additions = [CommitOperationAdd(self._prefix + path, content) for path, content in contents.items()]
            for start in range(0, len(additions), _SLICE):
                part = additions[start : start + _SLICE]
                self._hub.api.preupload_lfs_files(self.address.repo, part, repo_type=self.address.kind, revision=self._branch)
                advance(len(part), sum(addition.upload_info.size for addition in part))
            deletions = [CommitOperationDelete(self._prefix + path, is_folder=False) for path in delete]
            self._head = self._commit([*stored.values(), *additions, *deletions], sizes, delete)
        for path in stored:
            del self._stored[path]
        for path in delete:
            self.sizes.pop(path, None)
        self.sizes.update(sizes)

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
        before = self._head
        self._head = commit
        del self.sizes
        found = dict(self.sizes)
        self._head = before
        return sizes.items() <= found.items() and not found.keys() & set(delete)

    @property
    def _branch(self) -> str:
        return self.address.revision or "main"

    def _newest(self) -> str:
        with self._hub.told(self.address):
            info = self._hub.api.repo_info(self.address.repo, repo_type=self.address.kind, revision=self.address.revision)
        if info.sha is None:
            raise HubError(f"{self.name}: the Hub names no commit of it")
        return info.sha
