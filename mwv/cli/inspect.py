"""The options of `mwv inspect` in, a list of tensors on standard output out, and what is odd about them."""

import click

from mwv.checkpoint.wording import counted
from mwv.cli.surroundings import SOURCE, processors
from mwv.errors import ConditionMetError, UsageError
from mwv.hub.address import Origin
from mwv.measure.odd import KINDS


@click.command()
@click.argument("source", type=SOURCE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--stats", is_flag=True, help="Read and measure every tensor, and say what is odd; otherwise only headers are read."
)
@click.option(
    "--fail-on",
    metavar="KIND[,KIND…]",
    multiple=True,
    help=f"Measure, and exit with 3 if anything of these kinds is found: {', '.join(KINDS)}, or any; may be repeated.",
)
@click.option("--download", is_flag=True, help="Download files of the Hub into its cache, instead of reading what is needed.")
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Threads; default: one per processor.")
def inspect(source: Origin, as_json: bool, stats: bool, fail_on: tuple[str, ...], download: bool, jobs: int | None) -> None:
    """List the tensors of a checkpoint, how they are decoded, and what is odd about them."""
    kinds = _kinds(fail_on)
    from mwv import inspect as inspector

    found = inspector.inspect(source, stats=stats, odd=bool(kinds), jobs=jobs or processors(), download=download)
    click.echo(inspector.as_json(found) if as_json else "\n".join(found.lines()))
    bad = [finding for finding in found.findings if finding.kind in kinds]
    if bad:
        count = counted(len(bad), "finding")
        raise ConditionMetError(f"{source}: {count} of the kinds that --fail-on names:", list(inspector.finding_lines(bad)))


def _kinds(fail_on: tuple[str, ...]) -> set[str]:
    """The kinds that were named, all of them for `any`; raises UsageError for what is none."""
    named = [kind.strip().lower() for text in fail_on for kind in text.split(",")]
    for kind in named:
        if kind not in (*KINDS, "any"):
            raise UsageError(f"--fail-on takes {', '.join(KINDS)} or any, not {kind!r}")
    return set(KINDS) if "any" in named else set(named)
