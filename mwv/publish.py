"""Settings whose site is to be on the Hub in, that site there out: checks, a build of what changes, an upload.

What is on the Hub is what counts: a build goes on from the `site.json` there, and holds here, for as long as it runs, only
what is new. Whatever fails, the cache has all that was rendered.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from mwv.build import build
from mwv.checkpoint.wording import counted
from mwv.errors import HubError, ModelsFailedError, SiteError
from mwv.hub.address import Address
from mwv.hub.client import Hub
from mwv.progress import progress, say
from mwv.settings import Settings
from mwv.site.text import size
from mwv.store.scratch import Scratch, sweep
from mwv.store.store import prepare
from mwv.upload.access import open_space, open_target
from mwv.upload.plan import SITE, UploadPlan
from mwv.upload.publish import Published, check_target, publish
from mwv.upload.space import DockerSpace, readme
from mwv.upload.target import Advance, Target


def publish_site(settings: Settings) -> None:
    """Check that the site may be written, build it unless it is finished, bring it to the Hub and have a Space serve it.

    Models that fail do not hinder the others, as in `build`.
    """
    hub = Hub(say)
    with _scratch(settings) as scratch:
        target, docker = _opened(hub, settings, scratch)
        extra = {"README.md": readme(target, "static")} if _is_space(target.address) else {}
        folder = settings.destination if settings.remote is None else scratch / "site"
        failed = _built(settings, folder, target)
        hub.resume()  # the build may have closed one of its own
        if not (folder / SITE).is_file():
            raise failed or SiteError(f"{folder}: no site here; build one: mwv build SOURCE -o {folder}")
        try:
            done = publish(folder, target, _shown, extra)
            if docker is not None:
                docker.deploy()
        except HubError as error:
            for line in failed.lines if failed else ():
                say(line)
            raise HubError(f"{error}; {_kept(settings)}") from None
    say(_told(target, done))
    if settings.space is not None or _is_space(target.address):
        say(f"{hub.api.endpoint}/spaces/{(settings.space or target.address).repo}")
    if failed is not None:
        raise failed


def _opened(hub: Hub, settings: Settings, scratch: Path) -> tuple[Target, DockerSpace | None]:
    """Where the site goes, and the Space that serves it from there if it is one with a container; all rights are checked."""
    site = settings.remote or settings.space
    if site is None:
        raise AssertionError("without a place on the Hub there is nothing to publish")
    docker = settings.space_sdk == "docker"
    if docker and settings.remote is None:
        site = Address("bucket", f"{site.repo}-site")
    target = open_target(hub, site, scratch / "site-read", private=settings.private)
    check_target(target)
    if not docker or settings.space is None:
        return target, None
    space = open_space(hub, settings.space, scratch / "space-read", private=settings.private, sdk="docker")
    return target, DockerSpace(hub, space, site)


def _built(settings: Settings, folder: Path, target: Target) -> ModelsFailedError | None:
    """Build what there is to build; in a folder of its own only what changes at the target. What failed."""
    if not (settings.models or settings.remove or settings.zoo):
        return None
    try:
        build(replace(settings, destination=folder), None if settings.remote is None else target)
    except ModelsFailedError as error:
        return error
    return None


def _is_space(address: Address) -> bool:
    """Whether a site there is what a static Space serves."""
    return address.kind == "space" and not address.path


def _kept(settings: Settings) -> str:
    """How to go on after a failure."""
    if settings.remote is None and settings.space is not None:
        sdk = "" if settings.space_sdk == "static" else f" --space-sdk {settings.space_sdk}"
        again = f"mwv build --space {settings.space.repo}{sdk} -o {settings.destination}"
        return f"the site is kept in {settings.destination}; to go on: {again}"
    if settings.cache is None:
        return "without a cache nothing is kept here"
    return "all that was rendered is in the cache: the same command goes on, and sends only what is missing there"


def _told(target: Target, done: Published) -> str:
    plan = done.plan
    sent = f"{counted(len(plan.add), 'file')} sent ({size(plan.size)})"
    return f"{target.name}: {sent}, {len(plan.delete):,} deleted" if done.steps else f"{target.name}: unchanged"


@contextmanager
def _shown(plan: UploadPlan) -> Iterator[Advance]:
    with progress("upload", len(plan.add), "file", "MB") as advance:
        yield advance


@contextmanager
def _scratch(settings: Settings) -> Iterator[Path]:
    """A folder for the time of this call: in the cache, so that tiles are linked and not copied, or where there is room."""
    place = Path(tempfile.gettempdir())
    if settings.cache is not None:
        with suppress(OSError):
            prepare(settings.cache)
            place = settings.cache
    sweep(place)
    try:
        scratch = Scratch(place)
    except OSError:
        scratch = Scratch(Path(tempfile.gettempdir()))
    try:
        yield scratch.folder
    finally:
        scratch.close()
