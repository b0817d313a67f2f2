"""The command line in, calls and an exit code out; everything heavy is imported only when a command runs."""

import gc
import os
import sys
from contextlib import suppress

import click

from mwv import __version__
from mwv.cli import build, cache, diff, inspect, serve
from mwv.errors import MwvError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mwv")
def cli() -> None:
    """Every weight of a model on a static web page: one pixel per element, layers lined up."""


for _command in (build.build, serve.serve, inspect.inspect, diff.diff, cache.cache):
    cli.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command with these arguments, by default the process's.

    Errors of the user's or the machine's become one line and an exit code.
    """
    # numpy's library for algebra, which mwv does without, starts its threads when it is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A model is many small records that stay; to look through them often took a third of the time.
    gc.set_threshold(100_000, 20, 20)
    _open_streams()
    try:
        cli(arguments, standalone_mode=False, prog_name="mwv")
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("mwv: interrupted; a build that is started again goes on where it was", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except MwvError as error:
        from mwv.site.text import visible

        for i, line in enumerate(error.lines):  # a path may hold what ends a line or moves the cursor
            click.echo(f"{'' if i else 'mwv: '}{visible(line)}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:  # what touches sources, site and cache has said so in words of its own; output is left
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or its end would be a second failure
        with suppress(OSError):
            click.echo(f"mwv: {error.filename or 'standard output'}: cannot be used: {error.strerror}", err=True)
        sys.exit(1)


def _open_streams() -> None:
    """Streams that were closed become empty ones, lest a file of ours gets their number; what cannot be encoded is escaped."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.fstat(number)
                continue  # it is something else by now
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "w" if number else "r"))
        elif number:
            getattr(sys, name).reconfigure(errors="backslashreplace")
