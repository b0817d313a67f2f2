"""An address on the Hub in, the files that lie there out: listed in one go, and read several at a time."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from mwv.errors import AbsentError, HubError
from mwv.hub.address import Address
from mwv.hub.client import Hub, RemoteFile
from mwv.site.folder import LONGEST

_AT_ONCE: Final = 8
"""Files that are read at once; how many requests that makes is limited elsewhere, for all work together."""


def listed(hub: Hub, address: Address) -> dict[str, RemoteFile]:
    """Path below the folder that an address names → file, of all that lies there; nothing of a folder that is yet to come."""
    prefix = f"{address.path}/" if address.path else ""
    found: dict[str, RemoteFile] = {}
    with suppress(AbsentError):
        for file in hub.files(address, address.path, recursive=True):
            if file.path.startswith(prefix):
                found[file.path.removeprefix(prefix)] = file
    return found


def file_at(files: Mapping[str, RemoteFile], path: str, name: str) -> RemoteFile:
    """One of the files at a place of this name; HubError if it is not there, or longer than any of ours."""
    if (file := files.get(path)) is None:
        raise HubError(f"{name}/{path}: is not there any more; run the same command again")
    if file.size > LONGEST:
        raise HubError(f"{name}/{path}: is longer than {LONGEST:,} bytes; it was not written by mwv")
    return file


def each(paths: Iterable[str], read: Callable[[str], object]) -> None:
    """Read files several at a time; after a failure, which is raised, no further one is begun."""
    with ThreadPoolExecutor(_AT_ONCE, "read") as threads:
        for _ in threads.map(read, paths):
            pass
