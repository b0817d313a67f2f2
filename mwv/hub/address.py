"""Text that begins with hf:// in, the place on the Hub that it names out; no requests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from mwv.errors import UsageError

Kind = Literal["model", "dataset", "space", "bucket"]

SCHEME: Final = "hf://"
_ANY_SLASHES: Final = ("hf:/", "hf:")
"""What a path made of an address looks like, since paths know no double slashes."""


@dataclass(frozen=True)
class Address:
    """A repository or bucket, or something in it."""

    kind: Kind
    repo: str
    """owner/name"""
    revision: str | None = None
    """Branch, tag or commit; None for the default branch, and for buckets, which have none."""
    path: str = ""
    """A file, a folder or a glob pattern in it, with / between parts; empty for all of it."""

    @property
    def home(self) -> str:
        """What it is called in addresses and URLs: owner/name, behind the kind of what is no model."""
        return self.repo if self.kind == "model" else f"{self.kind}s/{self.repo}"

    def __str__(self) -> str:
        """The address as users write it."""
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"{SCHEME}{self.home}{revision}{'/' if self.path else ''}{self.path}"


Origin = Path | Address
"""Where a model comes from."""


@dataclass(frozen=True)
class Pinned:
    """What was found at an address."""

    address: Address
    """With the commit for its revision."""
    page: str
    """Where people look at it, at that commit."""
    files: str
    """Where anyone fetches the files of its folder, with a slash at the end; empty if not everyone may, or they may change."""
    date: str | None
    """Of the commit."""


def is_address(text: str) -> bool:
    """Whether text, perhaps after a way through a path, names a place on the Hub."""
    return text.startswith(_ANY_SLASHES)


def origin_of(text: str) -> Origin:
    """What a user names: an address on the Hub, or else a path."""
    return parse_address(text) if is_address(text) else Path(text)


def parse_address(text: str) -> Address:
    """The place that `hf://[models|datasets|spaces|buckets/]owner/repo[@revision][/path]` names.

    A revision ends at the next slash, save refs/pr/N and refs/convert/NAME; `Hub.open` tells branches with slashes from
    paths. Raises UsageError for what is no such address.
    """
    from huggingface_hub import parse_hf_uri  # late: takes a while to load
    from huggingface_hub.errors import HfUriError

    body = next(text.removeprefix(start) for start in (SCHEME, *_ANY_SLASHES) if text.startswith(start)).strip("/")
    text = SCHEME + body
    try:
        found = parse_hf_uri(text)
    except HfUriError as error:
        forms = "hf://owner/repo, hf://owner/repo@revision/path or hf://buckets/owner/name"
        raise UsageError(f"{text}: {error.msg.strip()} Name it as {forms}") from None

    if found.type == "kernel" or any(part in (".", "..") for part in found.path_in_repo.split("/")):
        raise UsageError(f"{text}: no model, dataset, Space or bucket, or a path that leaves it")
    return Address(found.type, found.id, found.revision, found.path_in_repo)
