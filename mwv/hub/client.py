"""An Address in, what the Hub says of it out: its commit, its files; every refusal as one line that says what to do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final
from urllib.parse import quote

import httpx2
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import (
    BucketNotFoundError,
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

from mwv.errors import AbsentError, HubError
from mwv.hub.address import Address, Pinned
from mwv.hub.patience import Limits, be_done, be_patient, reason_of

LIMITS: Final = Limits()


@dataclass(frozen=True)
class RemoteFile:
    """A file in a repository or bucket."""

    path: str
    size: int
    content: str
    """Tells its content from any other: SHA-256 of what git keeps outside, else git's name of it; in buckets the xet hash."""
    xet: str | None
    """Its xet hash, if its bytes lie in xorbs."""

    def agrees_with(self, tag: str | None, xet: str | None, size: str | None) -> bool:
        """Whether what an answer says of a file (ETag, xet hash, size; each if it does) is true of this one."""
        same = xet == self.xet if xet else tag is None or tag.removeprefix("W/").strip('"') == self.content
        return same and size in (None, str(self.size))


@dataclass(frozen=True)
class RemoteFolder:
    """A folder in a repository or bucket."""

    path: str


@dataclass(frozen=True)
class Place:
    """A repository at one commit, or a bucket, and what of it was named."""

    named: Address
    """As the user names it, with the part of a branch's name that looked like a path in its place."""
    address: Address
    """With the commit for its revision."""
    endpoint: str
    date: str | None = None
    """Of the commit (YYYY-MM-DD)."""
    public: bool = False
    """Whether anyone may read it, who need not even log in."""

    def at(self, path: str) -> Address:
        """The address of something in it, as the user would write it."""
        return replace(self.named, path=path)

    @property
    def page(self) -> str:
        """Where people look at it, at its commit."""
        at = f"/tree/{self.address.revision}" if self.address.revision else ""
        return f"{self.endpoint}/{self.address.home}{at}"

    def files(self, folder: str) -> str:
        """Where the files of a folder of it are fetched, with a slash at the end."""
        at = f"/{self.address.revision}" if self.address.revision else ""
        below = f"{quote(folder)}/" if folder else ""
        return f"{self.endpoint}/{self.address.home}/resolve{at}/{below}"

    def pinned(self, folder: str) -> Pinned:
        """What pages say of a folder of it; files of buckets may change, so no address of theirs lasts."""
        files = self.files(folder) if self.public and self.address.kind != "bucket" else ""
        return Pinned(self.address, self.page, files, self.date)


class Hub:
    """The Hub at the user's endpoint, with the user's token, as huggingface_hub finds both."""

    def __init__(self, notice: Callable[[str], None], limits: Limits = LIMITS) -> None:
        """`notice` takes a line for a person when waiting gets long."""
        self.wire = be_patient(limits, notice)
        disable_progress_bars()  # there are bars of our own
        self.api = HfApi()

    def close(self) -> None:
        """Ask nothing more."""
        be_done()

    @cached_property
    def has_token(self) -> bool:
        """Whether there is a token to send; its value is nobody's business."""
        return get_token() is not None

    def open(self, address: Address) -> Place:
        """Find a repository or bucket and pin its commit; HubError if it is not there, or not for this user."""
        with self.asking(address):
            if address.kind == "bucket":
                private = self.api.bucket_info(address.repo).private
                return Place(address, address, self.api.endpoint, public=not private)
            try:
                info = self.api.repo_info(address.repo, repo_type=address.kind, revision=address.revision)
            except RevisionNotFoundError:
                address = self._with_slashes(address)
                info = self.api.repo_info(address.repo, repo_type=address.kind, revision=address.revision)
            date = None if info.last_modified is None else info.last_modified.date().isoformat()
            public = not (info.private or getattr(info, "disabled", False) or getattr(info, "gated", False))
            return Place(address, replace(address, revision=info.sha), self.api.endpoint, date, public)

    def files(self, address: Address, folder: str = "", *, recursive: bool = False) -> Iterator[RemoteFile]:
        """The files of a folder of a pinned repository, or of a bucket; those of its folders only if `recursive`."""
        for entry in self.entries(address, folder, recursive=recursive):
            if isinstance(entry, RemoteFile):
                yield entry

    def entries(self, address: Address, folder: str = "", *, recursive: bool = False) -> Iterator[RemoteFile | RemoteFolder]:
        """The files and folders of a folder, likewise; AbsentError if there is none of that name."""
        with self.asking(replace(address, path=folder)):
            if address.kind == "bucket":
                for found in self.api.list_bucket_tree(address.repo, f"{folder}/" if folder else None, recursive=recursive):
                    if found.type == "file":
                        yield RemoteFile(found.path, found.size, found.xet_hash, found.xet_hash)
                    else:
                        yield RemoteFolder(found.path.rstrip("/"))
                return
            tree = self.api.list_repo_tree(
                address.repo, folder or None, recursive=recursive, revision=address.revision, repo_type=address.kind
            )
            for entry in tree:
                if isinstance(entry, RepoFile):
                    content = entry.lfs.sha256 if entry.lfs else entry.blob_id
                    yield RemoteFile(entry.path, entry.size, content, entry.xet_hash)
                else:
                    yield RemoteFolder(entry.path)

    def _with_slashes(self, address: Address) -> Address:
        """An address whose revision is the longest branch or tag that its text begins with: branches may have slashes."""
        text = f"{address.revision}/{address.path}"
        refs = self.api.list_repo_refs(address.repo, repo_type=address.kind)
        names = [ref.name for ref in (*refs.branches, *refs.tags) if f"{text}/".startswith(f"{ref.name}/")]
        if not names:
            return address
        name = max(names, key=len)
        return replace(address, revision=name, path=text[len(name) + 1 :].strip("/"))

    @contextmanager
    def asking(self, address: Address) -> Iterator[None]:
        """Turn what huggingface_hub raises within into a HubError that says what to do about it."""
        try:
            yield
        except GatedRepoError:
            raise HubError(f"{address}: gated; ask for access on its page{self._log_in()}") from None
        except DisabledRepoError:
            raise HubError(f"{address}: access is disabled on the Hub") from None
        except (RepositoryNotFoundError, BucketNotFoundError):
            what = "bucket" if address.kind == "bucket" else f"{address.kind} repository"
            raise HubError(f"{address}: no such {what}, or a private one{self._log_in()}") from None
        except RevisionNotFoundError:
            raise HubError(f"{address}: the repository has no revision {address.revision}") from None
        except EntryNotFoundError:
            raise AbsentError(f"{address}: the repository has no such file or folder") from None
        except HfHubHTTPError as error:
            status = error.response.status_code
            reason = (str(error.server_message or "").splitlines() or [""])[0][:200]
            advice = self._log_in() if status in (401, 403) else ""
            raise HubError(f"{address}: the Hub answered {status}{f' ({reason})' if reason else ''}{advice}") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:  # its text may hold an address with a signature
            raise HubError(f"{address}: the Hub gives no proper answer ({type(error).__name__})") from None
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise HubError(f"{address}: the Hub gives no proper answer ({reason_of(error)})") from None

    def _log_in(self) -> str:
        """What a user may lack who was refused."""
        if self.has_token:
            return "; the token of this machine gives no access (see hf auth whoami)"
        return "; if it is yours, log in (hf auth login) or set HF_TOKEN"
