"""The options of `mwv diff` in, how far two checkpoints differ on standard output out, and exit code 3 beyond a limit."""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from mwv.checkpoint.wording import counted
from mwv.cli.surroundings import PATH, SOURCE, here, processors
from mwv.errors import ConditionMetError, UsageError
from mwv.hub.address import Origin

_FURTHEST = ("relative", "rms", "max", "changed", "odd", "snr", "cosine")
_OVER = ("relative", "rms", "max", "changed", "odd", "unmatched")
_UNDER = ("snr", "cosine")
_ROWS = 50
"""Rows of the table unless all are asked for."""
_LINES = 20
"""Lines about limits."""


@click.command()
@click.argument("a", type=SOURCE)
@click.argument("b", type=SOURCE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--sort",
    type=click.Choice([*_FURTHEST, "name"]),
    default="relative",
    show_default=True,
    help="What the table begins with: where this is furthest apart.",
)
@click.option("--all", "everything", is_flag=True, help=f"Lists in full, not only {_ROWS} lines of each.")
@click.option(
    "--fail-over",
    metavar="METRIC=X",
    multiple=True,
    help=f"Exit with 3 if this is more than X for any tensor: {', '.join(_OVER[:-1])}; or if more tensors are unmatched.",
)
@click.option("--fail-under", metavar="METRIC=X", multiple=True, help=f"The same if this is less: {' or '.join(_UNDER)}.")
@click.option("--only", metavar="PATTERN", multiple=True, help="Compare only tensors whose name matches; may be repeated.")
@click.option("--cache", type=PATH, help="Cache folder; default: as for mwv build.")
@click.option("--no-cache", is_flag=True, help="Keep nothing for the next comparison.")
@click.option("--download", is_flag=True, help="Download files of the Hub into its cache, instead of reading what is needed.")
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Threads; default: one per processor.")
def diff(
    a: Origin,
    b: Origin,
    as_json: bool,
    sort: str,
    everything: bool,
    fail_over: tuple[str, ...],
    fail_under: tuple[str, ...],
    only: tuple[str, ...],
    cache: Path | None,
    no_cache: bool,
    download: bool,
    jobs: int | None,
) -> None:
    """Say how far two checkpoints differ, tensor by tensor: what A was, and what became of it in B."""
    over, under = _limits(fail_over, _OVER, "--fail-over", min), _limits(fail_under, _UNDER, "--fail-under", max)
    if cache is not None and no_cache:
        raise UsageError("--cache and --no-cache contradict each other")
    from mwv import diff as differ
    from mwv.store.store import cache_root

    root = None if no_cache else cache_root(cache, os.environ, here())
    found = differ.diff(a, b, jobs=jobs or processors(), cache=root, download=download, only=only)
    text = differ.as_json(found, sort) if as_json else "\n".join(found.lines(sort, None if everything else _ROWS))
    click.echo(text)
    if beyond := found.beyond(over, under):
        more = [f"and {len(beyond) - _LINES} more"] if len(beyond) > _LINES else []
        raise ConditionMetError(f"{b}: {counted(len(beyond), 'value')} beyond what was asked for:", beyond[:_LINES] + more)


def _limits(
    texts: Sequence[str], known: Sequence[str], option: str, stricter: Callable[[float, float], float]
) -> dict[str, float]:
    """What was asked for, by metric, of several limits the strictest; raises UsageError for what is none."""
    limits: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if not equals or name not in known or math.isnan(limit):
            raise UsageError(
                f"{option} takes METRIC=X with {', '.join(known)} and a number, such as {known[0]}=0.01, not {text!r}"
            )
        limits[name] = stricter(limit, limits.get(name, limit))
    return limits
