"""The process in, what commands take from it by default out: the current folder, and how many processors it may use."""

import os
from pathlib import Path
from typing import Final

import click

from mwv.errors import SourceError
from mwv.hub.address import Origin, origin_of

PATH: Final = click.Path(path_type=Path)


class _Source(click.ParamType[Origin]):
    """What a model is read from; - is standard input."""

    name = "source"

    def convert(self, value: str | Origin, param: click.Parameter | None, ctx: click.Context | None) -> Origin:  # noqa: ARG002
        if value == "-":
            return STDIN
        return origin_of(value) if isinstance(value, str) else value


SOURCE: Final = _Source()
STDIN: Final = Path("/dev/stdin")
"""What - stands for."""


def here() -> Path:
    """The current folder; raises SourceError if it has been deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise SourceError("the current folder has been deleted; change to another") from None


def processors() -> int:
    """How many threads can run at once."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells what this process may use
        return os.cpu_count() or 1
