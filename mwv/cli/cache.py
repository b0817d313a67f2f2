"""The options of `mwv cache` in, what was done to the cache on standard output out."""

import os
from pathlib import Path
from typing import Any

import click

from mwv.cli.surroundings import PATH, here
from mwv.errors import MwvError, UsageError


@click.group()
@click.option("--cache", "folder", type=PATH, help="Cache folder; default: as for mwv build.")
@click.pass_context
def cache(context: click.Context, folder: Path | None) -> None:
    """Look after the cache."""
    from mwv.store.store import Store, cache_root

    context.obj = context.with_resource(Store.open(cache_root(folder, os.environ, here())))


@cache.command()
@click.pass_obj
def info(store: Any) -> None:
    """Say what the cache holds."""
    from mwv.site.text import size, thousands
    from mwv.store.upkeep import info as look

    found = look(store)
    click.echo(f"folder    {found.root}")
    click.echo(f"results   {thousands(found.blobs)} in {size(found.nbytes)}")
    click.echo(f"shared    {thousands(found.shared_blobs)} of them in {size(found.shared_nbytes)} are linked from sites, too")
    click.echo(f"index     {thousands(found.index_entries)} entries in {size(found.index_nbytes)}")
    click.echo(f"running   {found.running} builds")


@cache.command()
@click.option(
    "--limit", default="10G", show_default=True, metavar="SIZE", help="Size to shrink to: bytes, or with K, M, G or T."
)
@click.pass_obj
def prune(store: Any, limit: str) -> None:
    """Remove what was used least recently, until the cache alone takes no more than a limit."""
    from mwv.site.text import size, thousands
    from mwv.store.upkeep import prune as shrink

    done = shrink(store, _bytes(limit))
    click.echo(f"removed {thousands(done.blobs)} results, {size(done.nbytes)}; {size(done.left_nbytes)} are left")
    if done.needed_blobs:
        click.echo(f"{thousands(done.needed_blobs)} were left because a running build needs them")


@cache.command()
@click.pass_obj
def verify(store: Any) -> None:
    """Check every byte of the cache and remove what is damaged."""
    from mwv.site.text import size, thousands
    from mwv.store.upkeep import verify as check

    done = check(store)
    click.echo(f"{thousands(done.blobs)} results in {size(done.nbytes)} checked, {len(done.bad)} damaged")
    for key in done.bad:
        click.echo(f"{key}: damaged, {'kept, it cannot be removed now' if key in done.kept else 'removed'}")
    if done.bad:
        raise MwvError(f"{len(done.bad)} damaged results; what was removed is made again when it is needed")


@cache.command()
@click.pass_obj
def clear(store: Any) -> None:
    """Remove everything from the cache."""
    from mwv.site.text import size, thousands
    from mwv.store.upkeep import clear as empty

    done = empty(store)
    click.echo(f"removed {thousands(done.blobs)} results, {size(done.nbytes)}")


def _bytes(text: str) -> int:
    """A size such as 500M or 10G in bytes."""
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    factors = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
    if unit not in factors or not number.isdecimal():
        raise UsageError(f"--limit takes a size such as 500M or 10G, not {text!r}")
    return int(number) * factors[unit]
