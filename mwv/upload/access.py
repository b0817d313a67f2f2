"""An Address in, a Target out that may be written: token, name and rights are checked before any work."""

import re
from pathlib import Path
from typing import Final

from huggingface_hub.errors import BucketNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

from mwv.errors import HubError
from mwv.hub.address import Address
from mwv.hub.client import Hub
from mwv.upload.bucket import BucketTarget
from mwv.upload.repo import RepoTarget
from mwv.upload.target import Target

_COMMIT: Final = re.compile("[0-9a-f]{40}")


def who(hub: Hub) -> str:
    """The name of the user, or HubError if there is no token, or none that may write."""
    if not hub.has_token:
        raise HubError("publishing to the Hub needs a token with the right to write: log in (hf auth login) or set HF_TOKEN")
    try:
        found = hub.api.whoami()
    except HfHubHTTPError as error:
        if error.response.status_code != 401:
            raise HubError(f"the Hub does not say whose token this is: it answered {error.response.status_code}") from None
        raise HubError(
            "the Hub does not know the token of this machine; log in again (hf auth login), or set HF_TOKEN"
        ) from None
    if found.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise HubError(
            f"the token of {found['name']} can only read; make one that can write, and log in with it (hf auth login)"
        )
    return str(found["name"])


def open_space(hub: Hub, address: Address, scratch: Path, *, private: bool, sdk: str) -> RepoTarget:
    """A Space, which is made with this `sdk` if it is not there; see `open_target`."""
    _open(hub, address, private, sdk)
    return RepoTarget(hub, address, scratch)


def open_target(hub: Hub, address: Address, scratch: Path, *, private: bool = False, make: bool = True) -> Target:
    """The place that an address names: a bucket, a repository, a static Space, a branch; it is made if it is not there.

    Raises HubError unless the user's token may write there, if it is public but was wanted `private`, and if it is not there
    and may not be made.
    """
    _open(hub, address, private, "static", make=make)
    if address.kind == "bucket":
        return BucketTarget(hub, address, scratch)
    return RepoTarget(hub, address, scratch)


def _open(hub: Hub, address: Address, private: bool, sdk: str, *, make: bool = True) -> None:
    who(hub)
    if address.revision is not None and _COMMIT.fullmatch(address.revision):
        raise HubError(f"{address}: a commit cannot be changed; name a branch")
    if not _exists(hub, address, private):
        if not make:
            raise HubError(f"{address}: is not there; build a site: mwv build SOURCE -o {address} --stream")
        _make(hub, address, private, sdk)
    _check_write(hub, address)
    if address.revision is not None and make:
        _ensure_branch(hub, address, address.revision)


def _exists(hub: Hub, address: Address, private: bool) -> bool:
    """Whether it is there for this user; raises HubError if it is public and should not be."""
    with hub.asking(address):
        try:
            if address.kind == "bucket":
                is_private = hub.api.bucket_info(address.repo).private
            else:
                is_private = bool(hub.api.repo_info(address.repo, repo_type=address.kind).private)
        except (RepositoryNotFoundError, BucketNotFoundError):
            return False
    if private and not is_private:
        raise HubError(f"{address}: is there and public; make it private on its page, or leave out --private")
    return True


def _make(hub: Hub, address: Address, private: bool, sdk: str) -> None:
    with hub.asking(address):
        try:
            if address.kind == "bucket":
                hub.api.create_bucket(address.repo, private=private or None, exist_ok=True)
            else:
                hub.api.create_repo(
                    address.repo,
                    repo_type=address.kind,
                    private=private or None,
                    exist_ok=True,
                    space_sdk=sdk if address.kind == "space" else None,
                )
        except HfHubHTTPError as error:
            if error.response.status_code not in (401, 403, 404):
                raise
            raise HubError(f"{address}: is not there, and {who(hub)} may not make it; check the name of its owner") from None


def _check_write(hub: Hub, address: Address) -> None:
    with hub.asking(address):
        try:
            if address.kind == "bucket":  # the client has no check for buckets: ask for what an upload begins with
                url = f"{hub.api.endpoint}/api/buckets/{address.repo}/xet-write-token"
                hf_raise_for_status(get_session().get(url, headers=build_hf_headers()))
            else:
                hub.api.auth_check(address.repo, repo_type=address.kind, write=True)
        except HfHubHTTPError as error:
            if error.response.status_code not in (401, 403):
                raise
            raise HubError(f"{address}: {who(hub)} may not write there; ask its owner, or name another place") from None


def _ensure_branch(hub: Hub, address: Address, branch: str) -> None:
    """Make a branch that is not there."""
    with hub.asking(address):
        try:
            hub.api.repo_info(address.repo, repo_type=address.kind, revision=branch)
        except RevisionNotFoundError:
            hub.api.create_branch(address.repo, branch=branch, repo_type=address.kind, exist_ok=True)
