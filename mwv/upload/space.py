"""A site in, what a Space needs to serve it out: its README, and for Docker also the files and the volume of its container."""

from importlib.metadata import version
from pathlib import Path
from typing import Final, Literal

from huggingface_hub import SpaceCard, SpaceCardData, Volume

import mwv
from mwv.errors import HubError
from mwv.hub.address import Address
from mwv.hub.client import Hub
from mwv.hub.transfer import moving
from mwv.upload.plan import Step
from mwv.upload.repo import RepoTarget
from mwv.upload.target import Target

Sdk = Literal["static", "docker"]
README: Final = "README.md"
_MOUNT: Final = "/site"
_PORT: Final = 7860
_MARK: Final = "# Written by mwv: serves a bucket with a site."
_DOCKERFILE: Final = f"""{_MARK}
FROM python:3.13.5-slim-bookworm
RUN pip install --no-cache-dir click=={{click}} && useradd --create-home --uid 1000 user
WORKDIR /app
COPY mwv mwv
USER user
EXPOSE {_PORT}
CMD ["python", "-m", "mwv", "serve", "{_MOUNT}", "--public", "--port", "{_PORT}"]
"""
_OWN: Final = (".gitattributes", README, "Dockerfile")
_TEXT: Final = "Every weight of these models, one pixel each. Made with mwv.\n"


def readme(target: Target, sdk: Sdk) -> bytes:
    """The README of a Space: the one that it has, with the front matter that makes the Hub serve the site.

    Raises HubError if the front matter that it has is damaged.
    """
    if README in target.sizes:
        try:
            card = SpaceCard(target.read(README).decode("utf-8", errors="replace"))
        except Exception:  # ValueErrors, and those of the YAML parser, which is huggingface_hub's affair
            raise HubError(f"{target.name}/{README}: its front matter is no YAML; correct it on the Space's page") from None
    else:
        title = target.address.repo.partition("/")[2]
        card = SpaceCard(f"---\n{SpaceCardData(title=title).to_yaml()}\n---\n\n{_TEXT}")
    front = {
        "sdk": sdk,
        "sdk_version": None,
        "app_file": "index.html" if sdk == "static" else None,
        "app_port": _PORT if sdk == "docker" else None,
    }
    vars(card.data).update(front)
    return str(card).encode("utf-8")


class DockerSpace:
    """A Space whose container serves a site from a bucket, by the `mwv serve` of the mwv that made it."""

    def __init__(self, hub: Hub, target: RepoTarget, site: Address) -> None:
        """`target` is the Space, `site` the bucket, or the folder in it; HubError if the Space holds what is not ours."""
        self._hub, self._target, self._site = hub, target, site
        there = target.sizes
        foreign = sorted(path for path in there if path not in _OWN and not path.startswith("mwv/"))
        ours = "Dockerfile" not in there or target.read("Dockerfile").decode(errors="replace").startswith(_MARK)
        if foreign or not ours:
            name = foreign[0] if foreign else "Dockerfile"
            raise HubError(f"{target.name}: holds files of another application ({name}); name another Space")

    def deploy(self) -> None:
        """Bring its files, mount the bucket, and have it start again, for what it serves has changed."""
        files = self._files()
        there = self._target.sizes
        changed = [path for path, content in files.items() if path not in there or self._target.read(path) != content]
        gone = tuple(path for path in there if path.startswith("mwv/") and path not in files)
        with moving(self._hub, self._target.address):
            self._mount()
            if changed or gone:
                self._target.apply(Step(tuple(changed), gone), files.__getitem__, lambda *_: None)
            else:
                self._hub.api.restart_space(self._target.address.repo)

    def _mount(self) -> None:
        """Have the Space see the bucket, read-only, unless it does."""
        place = self._site
        volume = Volume(type="bucket", source=place.repo, mount_path=_MOUNT, read_only=True, path=place.path or None)
        present = self._hub.api.get_space_runtime(self._target.address.repo).volumes or []
        if [item.to_dict() for item in present] != [volume.to_dict()]:
            self._hub.api.set_space_volumes(self._target.address.repo, [volume])

    def _files(self) -> dict[str, bytes]:
        root = Path(mwv.__file__).parent
        sources = {f"mwv/{path.relative_to(root).as_posix()}": path.read_bytes() for path in sorted(root.rglob("*.py"))}
        dockerfile = _DOCKERFILE.replace("{click}", version("click")).encode("ascii")
        return {README: readme(self._target, "docker"), "Dockerfile": dockerfile, **sources}
