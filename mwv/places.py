"""Settings in; the cache of a build out, and errors or warnings where what it is to write would not fit or would destroy."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mwv.errors import SiteError, StoreError
from mwv.progress import say
from mwv.report import REPORT_HEAD
from mwv.settings import Settings
from mwv.site.text import size
from mwv.store.blob import PNG_SIGNATURE
from mwv.store.scratch import scratch_folder, sweep
from mwv.store.store import Store


def check_targets(settings: Settings) -> None:
    """Raise SiteError if the picture or the report would destroy what mwv did not write, such as a checkpoint.

    A report may go to a pipe or a device, which is written to; a picture is renamed into place and would replace it.
    """
    for path, head in ((settings.png, PNG_SIGNATURE), (settings.report, REPORT_HEAD)):
        if path is None or not path.exists() or (path == settings.report and not (path.is_file() or path.is_dir())):
            continue
        if not path.is_file():
            raise SiteError(f"{path}: not a regular file; name another")
        try:
            with path.open("rb") as file:
                found = file.read(len(head))
        except OSError as error:
            raise SiteError(f"{path}: cannot be written: {error.strerror}") from None
        if found and found != head:
            raise SiteError(f"{path}: is in the way and was not made by mwv; name another file or move it away")


def check_room(name: str, needed: int, settings: Settings) -> None:
    """Warn before a large build, which may need so many bytes, if they may not fit; no error, for what is cached needs none."""
    free = shutil.disk_usage(spare_place(settings.destination)).free
    if needed > free:
        say(f"warning: {name}: may need {size(needed)}, and {size(free)} are free at {settings.destination}")


@contextmanager
def opened_store(cache: Path | None, destination: Path) -> Iterator[Store]:
    """The cache that was asked for; without one, a folder beside the destination that is deleted at the end."""
    spare = spare_place(destination)
    if cache is not None:
        sweep(spare)
        with Store.open(cache, spare) as store:
            yield store
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch_folder(spare))
        except OSError as error:
            raise StoreError(
                f"{spare}: cannot be written, and without a cache results are kept there: {error.strerror}"
            ) from None
        yield stack.enter_context(Store.open(folder, None))


def spare_place(destination: Path) -> Path:
    """The folder beside the site, or the nearest one above it that is there already."""
    return next(place for place in Path(os.path.realpath(destination)).parents if place.is_dir())
