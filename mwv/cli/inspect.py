"""The options of `mwv inspect` in, a list of tensors on standard output out."""

from pathlib import Path

import click

from mwv.cli.surroundings import PATH, processors


@click.command()
@click.argument("source", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--stats", is_flag=True, help="Read and measure every tensor; without it only headers are read.")
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Threads; default: one per processor.")
def inspect(source: Path, as_json: bool, stats: bool, jobs: int | None) -> None:
    """List the tensors of a checkpoint."""
    from mwv import inspect as inspector

    found = inspector.inspect(source, stats=stats, jobs=jobs or processors())
    click.echo(inspector.as_json(found) if as_json else "\n".join(found.lines()))
