"""The options of `mwv serve` in, a server that runs until it is interrupted out."""

import os
import sys
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from mwv.cli.surroundings import PATH, SOURCE, here
from mwv.errors import StoreError, UsageError
from mwv.hub.address import Origin


@click.command()
@click.argument("directory", type=PATH, default=Path("site"))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; the default is this machine alone.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; default: the first free one from 8000 on.")
@click.option("--open", "open_browser", is_flag=True, help="Open the site in a browser.")
@click.option("--cache", type=PATH, help="Cache folder that remembers where the sources lie; default: as for mwv build.")
@click.option(
    "--source",
    "sources",
    type=SOURCE,
    multiple=True,
    help="Where a source lies, if not where it was built from; may be repeated.",
)
@click.option("--public", is_flag=True, help="Serve to everybody, on all addresses, and the site's files alone: no values.")
@click.pass_context
def serve(
    context: click.Context,
    /,
    directory: Path,
    host: str,
    port: int | None,
    open_browser: bool,
    cache: Path | None,
    sources: tuple[Origin, ...],
    public: bool,
) -> None:
    """Serve a site over http until interrupted.

    Where the sources of the site are still at hand, its pages read out exact values from them, on this machine alone.
    """
    if public:
        if cache is not None or sources:
            raise UsageError("--public serves no values: leave out --cache and --source")
        named = context.get_parameter_source("host") is ParameterSource.COMMANDLINE
        serve_files(directory, host=host if named else "0.0.0.0", port=port, open_browser=open_browser)
    serve_folder(directory, cache, sources, host=host, port=port, open_browser=open_browser)


def serve_files(directory: Path, **options: Any) -> NoReturn:
    """Serve the files of a site, with no cache and no source."""
    from mwv.site.serve import serve as serve_site

    with suppress(KeyboardInterrupt):
        serve_site(directory, announce=_announce, **options)
    sys.exit(130)


def serve_folder(directory: Path, cache: Path | None, sources: tuple[Origin, ...], **options: Any) -> NoReturn:
    """Serve a site, with the values of its sources as far as the cache remembers where they are, or `sources` tells."""
    from mwv.aliases import Heads
    from mwv.checkpoint.opener import Opener
    from mwv.memory import Memory, recall_source
    from mwv.site.exact import Values
    from mwv.site.serve import serve as serve_site
    from mwv.store.store import Store, cache_root

    with ExitStack() as stack, suppress(KeyboardInterrupt):
        opener = Opener(_notice)
        stack.callback(opener.close)
        try:
            store = stack.enter_context(Store.open(cache_root(cache, os.environ, here())))
        except StoreError as error:
            if cache is not None:
                raise
            click.echo(f"mwv: {error}; until then exact values come from --source alone", err=True)
            values = Values(directory, lambda _: None, sources, opens=opener.open)
        else:
            opener.heads = Heads(store)
            remembered = partial(recall_source, store)
            values = Values(directory, remembered, sources, Memory(store).digests, opener.open)
        serve_site(directory, values=values, announce=_announce, **options)
    sys.exit(130)


def _notice(line: str) -> None:
    click.echo(f"mwv: {line}", err=True)


def _announce(address: str) -> None:
    click.echo(f"serving at {address} (Ctrl-C ends it)")
