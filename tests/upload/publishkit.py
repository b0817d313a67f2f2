"""In: an address, a loopback Hub. Out: what lies there, and how a command ended."""

from collections.abc import Callable
from dataclasses import dataclass

from loophub import Hub


@dataclass(frozen=True)
class Done:
    code: int
    err: str


Run = Callable[..., Done]


def published(hub: Hub, where: str) -> dict[str, bytes]:
    """Path → content of what lies at an address, as in the site's folder; nothing if it is not there."""
    from mwv.hub.address import parse_address  # late: what it imports reads the loopback Hub's address once

    address = parse_address(where)
    if address.kind == "bucket":
        bucket = hub.buckets.get(address.repo)
        paths = set(bucket.files) if bucket else set()
        contents = {path: hub.read(address.repo, path, "bucket") for path in paths}
    else:
        repo = hub.repos.get((address.kind, address.repo))
        if repo is None or (address.revision or "main") not in repo.branches:
            return {}
        branch = address.revision or "main"
        contents = {p: hub.read(address.repo, p, address.kind, branch) for p in hub.tree(address.repo, address.kind, branch)}
    prefix = f"{address.path}/" if address.path else ""
    inside = {path.removeprefix(prefix): data for path, data in contents.items() if path.startswith(prefix)}
    return {path: data for path, data in inside.items() if path not in (".gitattributes", "README.md")}
