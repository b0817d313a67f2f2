"""Work done in, a progress bar on a terminal or plain lines elsewhere out; all on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_PLAIN_SECONDS: Final = 10.0
"""How often a plain line is written where there is no terminal."""


Advance = Callable[[int, int], None]
"""Takes note of so many tiles and leaf elements more; safe from any thread."""


def say(text: str) -> None:
    """One line for the user, apart from the output proper."""
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(text)


@contextmanager
def progress(title: str, tiles: int) -> Iterator[Advance]:
    """Show how far the rendering of `tiles` tiles is, while the context lasts."""
    lock, begin = Lock(), time.monotonic()
    done, elements, last = 0, 0, begin
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tiles"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=tiles, speed="")

        def advance(tiles_more: int, elements_more: int) -> None:
            nonlocal done, elements, last
            with lock:
                done += tiles_more
                elements += elements_more
                now = time.monotonic()
                speed = f"{elements / max(now - begin, 1e-3) / 1e6:,.0f} M elements/s"
                bar.update(task, completed=done, speed=speed)
                if not console.is_terminal and now - last > _PLAIN_SECONDS:
                    last = now
                    print(f"{title}: {done:,} of {tiles:,} tiles, {speed}", file=sys.stderr, flush=True)

        yield advance
