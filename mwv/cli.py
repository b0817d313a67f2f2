"""The command line in, Settings and calls out; everything heavy is imported only when a command runs."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from mwv import __version__
from mwv.errors import MwvError, UsageError
from mwv.settings import Settings

_PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mwv")
def cli() -> None:
    """Every weight of a model on a static web page: one pixel per element, layers lined up."""


@cli.command()
@click.argument("sources", nargs=-1, type=_PATH)
@click.option("-o", "--out", "destination", type=_PATH, default=Path("site"), show_default=True, help="Folder of the site; models are added to it.")
@click.option("-l", "--file-list", type=click.File(), help="File with one source per line; - is standard input.")
@click.option("--demo", is_flag=True, help="Build a small built-in pair of models: a transformer and a finetune of it.")
@click.option("--title", help="Title of the model, instead of its file's name.")
@click.option("--columns", metavar="N|auto", default="1", show_default=True, help="Fold every stack of layers into N columns.")
@click.option("--only", metavar="PATTERN", multiple=True, help="Show only tensors whose name matches; may be repeated.")
@click.option("--tile-format", type=click.Choice(["png", "avif"]), default="png", show_default=True, help="png: codes, coloured live in the page. avif: pictures with baked-in colours.")
@click.option("--tiles", type=click.Choice(["files", "xyz", "pmtiles"]), default="files", show_default=True, help="How tiles lie in the site.")
@click.option("--png", type=_PATH, help="Write the whole canvas as one coloured picture, too.")
@click.option("--png-size", type=click.IntRange(min=1), metavar="PIXELS", help="Longest side of that picture at most; default: 64 megapixels in all.")
@click.option("--remove", metavar="SLUG", multiple=True, help="Take a model out of the site; may be repeated.")
@click.option("--regen-html", type=_PATH, metavar="DIR", help="Write the pages of an existing site anew, without its sources.")
@click.option("--cache", type=_PATH, help="Cache folder; default: $MWV_CACHE, ./cache if it is ours, or the user's cache folder.")
@click.option("--no-cache", is_flag=True, help="Keep nothing for the next build.")
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Threads; default: one per processor.")
@click.option("--dry-run", is_flag=True, help="Say what would be built, from headers alone.")
@click.option("--report", type=_PATH, help="Write what was done as JSON.")
@click.option("--serve", is_flag=True, help="Serve the site when it is built, and open it in a browser.")
def build(**options: Any) -> None:
    """Turn checkpoints into a site that shows every weight.

    SOURCE is a safetensors, GGUF or PyTorch file, a shard or a shard index, or a directory that holds a model.
    """
    from mwv import build as builder

    regen, serve_it = options.pop("regen_html"), options.pop("serve")
    settings = _settings(**options)
    if regen is not None:
        if settings.sources or settings.remove:
            raise UsageError("--regen-html takes no sources and no --remove: it only writes the pages of a site anew")
        builder.regenerate(regen)
        return
    if not settings.sources and not settings.remove:
        raise UsageError("nothing to build: name a checkpoint (mwv build model.safetensors), or try mwv build --demo --serve")
    builder.build(settings)
    if serve_it and not settings.dry_run:
        _serve(settings.destination, port=8000, open_browser=True)


def _settings(
    *, sources: tuple[Path, ...], file_list: Any, demo: bool, cache: Path | None, no_cache: bool, columns: str, jobs: int | None, **rest: Any
) -> Settings:
    """Settings from options; contradictions are errors before any work."""
    from mwv.store import cache_root

    listed = tuple(Path(line.strip()) for line in file_list if line.strip()) if file_list else ()
    if file_list and not listed:
        raise UsageError(f"{file_list.name}: lists no source")
    sources = sources + listed
    if demo:
        from mwv.demo import write_demo

        sources += write_demo(_demo_folder(rest["destination"]))
    if cache is not None and no_cache:
        raise UsageError("--cache and --no-cache contradict each other")
    if rest["title"] is not None and len(sources) != 1:
        raise UsageError("--title names one model: give exactly one source with it")
    if rest["png"] is not None and len(sources) != 1:
        raise UsageError("--png shows one model: give exactly one source with it")
    if rest["png_size"] is not None and rest["png"] is None:
        raise UsageError("--png-size says how large --png is; give both")
    if rest["tile_format"] == "avif" and rest["png"] is not None and rest["dry_run"]:
        raise UsageError("--dry-run writes nothing, so --png has no effect with it")
    if columns != "auto" and not (columns.isdecimal() and int(columns) > 0):
        raise UsageError(f"--columns takes a whole number from 1 or auto, not {columns!r}")
    root = None if no_cache else cache_root(cache, os.environ, Path.cwd())
    return Settings(
        sources=sources,
        cache=root,
        columns=None if columns == "auto" else int(columns),
        jobs=jobs or len(os.sched_getaffinity(0)),
        **rest,
    )


def main() -> None:
    """Run the command; errors of the user's or the machine's become one line and an exit code."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("interrupted; what is done is kept in the cache, start again to go on", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except UsageError as error:
        click.echo(f"mwv: {error}", err=True)
        sys.exit(2)
    except MwvError as error:
        click.echo(f"mwv: {error}", err=True)
        sys.exit(1)
