"""Work done in, a progress bar on a terminal or plain lines elsewhere out; all on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Final

import click

from mwv.checkpoint.wording import plural

_PLAIN_SECONDS: Final = 10.0
"""How often a plain line is written where there is no terminal."""


Advance = Callable[[int, int], None]
"""Takes note of so many things (tiles, tensors) and elements more; safe from any thread."""
_Show = Callable[[int, str], None]
"""Shows how many things are done, and how fast."""


def say(text: str) -> None:
    """One line for the user, apart from the output proper."""
    with suppress(OSError):  # a build goes on if nobody can read of it
        click.echo(text, err=True)


@contextmanager
def progress(
    title: str, total: int, noun: str = "tile", unit: str = "M elements", beside: Callable[[], str] = lambda: ""
) -> Iterator[Advance]:
    """Show how far the work on `total` things is, while the context lasts.

    `unit` is a million of what they consist of, and `beside` tells what is to stand behind the speed.
    """
    with (_bar if sys.stderr.isatty() else _lines)(title, total, noun + plural(total)) as show:
        lock, begin = Lock(), time.monotonic()
        done, elements = 0, 0

        def advance(more: int, elements_more: int) -> None:
            nonlocal done, elements
            with lock:
                done += more
                elements += elements_more
                show(done, f"{elements / max(time.monotonic() - begin, 1e-3) / 1e6:,.0f} {unit}/s{beside()}")

        yield advance


@contextmanager
def _bar(title: str, total: int, things: str) -> Iterator[_Show]:
    from rich.console import Console  # late: only for a person who looks on
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(things),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, speed="")
        yield lambda done, speed: bar.update(task, completed=done, speed=speed)


@contextmanager
def _lines(title: str, total: int, things: str) -> Iterator[_Show]:
    last = time.monotonic()

    def show(done: int, speed: str) -> None:
        nonlocal last
        if time.monotonic() - last > _PLAIN_SECONDS:
            last = time.monotonic()
            say(f"{title}: {done:,} of {total:,} {things}, {speed}")

    yield show
