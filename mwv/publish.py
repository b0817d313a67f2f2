"""Settings whose site is to be on the Hub in, that site there out: checks, a build of what changes, an upload.

What is on the Hub is what counts: a build goes on from the `site.json` there, and holds here, for as long as it runs, only
what is new. Whatever fails, the cache has all that was rendered.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mwv.build import build
from mwv.checkpoint.wording import counted
from mwv.errors import HubError, ModelsFailedError, MwvError, SiteError
from mwv.hub.address import Address
from mwv.hub.client import Hub
from mwv.progress import progress, say
from mwv.report import HubTraffic, Outcome, Upload
from mwv.settings import Settings
from mwv.site.journal import JOURNAL
from mwv.site.text import size
from mwv.site.writer import SiteWriter
from mwv.store.scratch import scratch_folder
from mwv.store.spool import Spools
from mwv.store.store import Store, prepare
from mwv.upload.access import open_space, open_target
from mwv.upload.plan import SITE, UploadPlan
from mwv.upload.publish import check_target, publish
from mwv.upload.space import DockerSpace, readme
from mwv.upload.stream import Stream
from mwv.upload.target import Advance, Target


@dataclass(frozen=True)
class _Places:
    """Where a site goes, and what shows it from there; all rights are checked."""

    site: Target
    docker: DockerSpace | None = None
    """A Space with a container that serves the site."""
    space: Target | None = None
    """The Space that shows it, unless the site lies in it."""

    @property
    def window(self) -> Target | None:
        """A static Space that holds pages alone."""
        return self.space if self.docker is None else None

    @property
    def uploads(self) -> list[Upload]:
        """What was brought to each place."""
        return [_upload(target) for target in (self.site, self.space) if target is not None]


def publish_site(settings: Settings) -> None:
    """Check that the site may be written, build it unless it is finished, bring it to the Hub and have a Space serve it.

    Models that fail do not hinder the others, as in `build`.
    """
    begin, outcome = time.monotonic(), Outcome()
    with closing(Hub(say)) as hub, _scratch(settings) as scratch:
        places = _opened(hub, settings, scratch)
        target = places.site
        extra = {"README.md": readme(target, "static")} if _is_space(target.address) else {}
        folder = settings.destination if settings.remote is None else scratch / "site"
        failed = _built(settings, folder, target, scratch, outcome)
        shown = (places.window or settings.pages) and SITE in target.sizes
        sends = (folder / SITE).is_file()
        if not sends and not shown:
            place = folder if settings.remote is None else target.name
            raise failed or SiteError(f"{place}: holds no site; build one: mwv build SOURCE -o {place}")
        try:
            if sends:
                publish(folder, target, _shown, extra)
            if places.docker is not None:
                places.docker.deploy()
            if places.window is not None:
                _write_pages(scratch / "pages", target, places.window)
                publish(scratch / "pages", places.window, _shown, {"README.md": readme(places.window, "static")})
        except HubError as error:
            for line in failed.lines if failed else ():
                say(line)
            raise HubError(f"{error}; {_kept(settings)}") from None
        finally:
            if settings.report is not None and _builds(settings):
                outcome.hub = HubTraffic(hub.wire.requests, hub.wire.nbytes, hub.wire.sent)
                outcome.uploads = places.uploads
                outcome.write(settings.report, time.monotonic() - begin)
        if settings.pages is not None:
            _write_pages(settings.pages, target)
    if sends:
        say(_told(target))
    if settings.space is not None or _is_space(target.address):
        say(f"{hub.api.endpoint}/spaces/{(settings.space or target.address).repo}")
    if settings.pages is not None:
        say(f"{settings.pages / 'index.html'}: shows what is there; open it")
    if failed is not None:
        raise failed


def _opened(hub: Hub, settings: Settings, scratch: Path) -> _Places:
    """Find, make and check the places that settings name."""
    site = settings.remote or settings.space
    if site is None:
        raise AssertionError("without a place on the Hub there is nothing to publish")
    docker = settings.space_sdk == "docker"
    if docker and settings.remote is None:
        site = Address("bucket", f"{site.repo}-site")
    makes = _builds(settings) or settings.remote is None
    target = open_target(hub, site, scratch / "site-read", private=settings.private, make=makes)
    check_target(target)
    if settings.space is None or settings.space == site:
        return _Places(target)
    space = open_space(hub, settings.space, scratch / "space-read", private=settings.private, sdk=settings.space_sdk)
    if docker:
        return _Places(target, DockerSpace(hub, space, site), space)
    check_target(space)
    return _Places(target, space=space)


def _write_pages(folder: Path, there: Target, base: Target | None = None) -> None:
    """Pages of the site that is there now, which load its tiles from there; with a `base` only those that it lacks."""
    with SiteWriter(folder, base=base) as writer:
        writer.mirror(there, there.root)
        writer.finish()


def _upload(target: Target) -> Upload:
    """What was brought to a target, for the report."""
    changed, there = target.changed, target.sizes.keys() - {JOURNAL}
    kept = len(there - changed.added.keys())
    return Upload(target.name, len(changed.added), kept, len(changed.deleted), sum(changed.added.values()), changed.steps)


def _builds(settings: Settings) -> bool:
    """Whether there is anything to build, rather than only to upload."""
    return bool(settings.models or settings.remove or settings.zoo)


def _built(settings: Settings, folder: Path, target: Target, scratch: Path, outcome: Outcome) -> ModelsFailedError | None:
    """Build what there is to build; in a folder of its own only what changes at the target. What failed."""
    if not _builds(settings):
        return None
    wanted = replace(settings, destination=folder)
    try:
        if settings.stream:
            _streamed(wanted, target, scratch, outcome)
        else:
            build(wanted, None if settings.remote is None else target, outcome=outcome)
    except ModelsFailedError as error:
        return error
    return None


def _streamed(settings: Settings, target: Target, scratch: Path, outcome: Outcome) -> None:
    """Build what changes, whose archives go to the target on the way."""
    with _notes(settings) as notes, Stream(target, Spools(scratch / "spool"), settings.jobs + 1, notes) as stream:
        try:
            build(settings, target, stream, outcome)
        except MwvError as error:
            if error is not stream.error:
                raise
            there = f"{counted(stream.arrived, 'archive')} arrived and will not be made again"
            raise HubError(f"{error}; {there}: the same command goes on") from None
        finally:
            outcome.spool = stream.peak


@contextmanager
def _notes(settings: Settings) -> Iterator[Store | None]:
    """Where a stream writes down what the next one has to know: in the cache, if there is one."""
    if settings.cache is None:
        yield None
        return
    with Store.open(settings.cache) as store:
        yield store


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


def _told(target: Target) -> str:
    """What became of a target, archives that a stream brought there before its pages counted in."""
    done = _upload(target)
    sent = f"{counted(done.added, 'file')} sent ({size(done.nbytes)})"
    return f"{target.name}: {sent}, {done.deleted:,} deleted" if done.commits else f"{target.name}: unchanged"


@contextmanager
def _shown(plan: UploadPlan) -> Iterator[Advance]:
    with progress("upload", len(plan.add), "file", "MB") as advance:
        yield advance


def _scratch(settings: Settings) -> AbstractContextManager[Path]:
    """A folder for the time of this call: in the cache, so that tiles are linked and not copied, or where there is room."""
    temporary = Path(tempfile.gettempdir())
    if settings.cache is None:
        return scratch_folder(temporary)
    with suppress(OSError):
        prepare(settings.cache)
    return scratch_folder(settings.cache, temporary)
