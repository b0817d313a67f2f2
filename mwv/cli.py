"""The command line in, Settings and calls out; everything heavy is imported only when a command runs."""

import gc
import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from mwv import __version__
from mwv.errors import MwvError, SourceError, StoreError, UsageError
from mwv.settings import ModelSettings, Settings, Zoo, folder_address

_PATH = click.Path(path_type=Path)
_MAX_LIST = 10_000_000


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="mwv")
def cli() -> None:
    """Every weight of a model on a static web page: one pixel per element, layers lined up."""


@cli.command()
@click.argument("sources", nargs=-1, type=_PATH)
@click.option(
    "-o",
    "--out",
    "destination",
    type=_PATH,
    default=Path("site"),
    show_default=True,
    help="Folder of the site; models are added to it.",
)
@click.option(
    "-l",
    "--file-list",
    type=click.File(errors="surrogateescape"),
    help="File with one source per line; - is standard input.",
)
@click.option("--demo", is_flag=True, help="Build a small built-in pair of models: a transformer and a finetune of it.")
@click.option("--title", help="Title of the model, instead of its file's name.")
@click.option("--source-url", metavar="URL", help="Public address of the folder of the source's files, for exact values.")
@click.option("--columns", metavar="N|auto", default="1", show_default=True, help="Fold every stack of layers into N columns.")
@click.option("--only", metavar="PATTERN", multiple=True, help="Show only tensors whose name matches; may be repeated.")
@click.option(
    "--tile-format",
    type=click.Choice(["png", "avif"]),
    default="png",
    show_default=True,
    help="png: codes, coloured live in the page. avif: pictures with baked-in colours.",
)
@click.option(
    "--tiles",
    type=click.Choice(["files", "xyz", "pmtiles"]),
    default="files",
    show_default=True,
    help="How tiles lie in the site.",
)
@click.option("--png", type=_PATH, help="Write the whole canvas as one coloured picture, too.")
@click.option(
    "--png-size",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="Longest side of that picture at most; default: 64 megapixels in all.",
)
@click.option("--remove", metavar="SLUG", multiple=True, help="Take a model out of the site; may be repeated.")
@click.option("--regen-html", type=_PATH, metavar="DIR", help="Write the pages of an existing site anew, without its sources.")
@click.option(
    "--cache", type=_PATH, help="Cache folder; default: $MWV_CACHE, ./cache if it is ours, or the user's cache folder."
)
@click.option("--no-cache", is_flag=True, help="Keep nothing for the next build.")
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Threads; default: one per processor.")
@click.option("--dry-run", is_flag=True, help="Say what would be built, from headers alone.")
@click.option("--report", type=_PATH, help="Write what was done as JSON.")
@click.option("--serve", is_flag=True, help="Serve the site when it is built, and open it in a browser.")
@click.pass_context
def build(context: click.Context, /, **options: Any) -> None:
    """Turn checkpoints into a site that shows every weight.

    SOURCE is a safetensors, GGUF or PyTorch file, a shard or a shard index, or a directory that holds a model; or one
    zoo.toml, which names models and how each is to be shown.
    """
    folder, serve_it = options.pop("regen_html"), options.pop("serve")
    if folder is not None:
        _refuse_others(context)
        from mwv.site.writer import regenerate

        regenerate(folder)
    else:
        zoo = _zoo(context, options["sources"])
        if zoo is not None and "destination" not in _given(context):
            options["destination"] = zoo.out
        settings = _settings(serve=serve_it, zoo=zoo, **options)
        folder = settings.destination
        from mwv import build as builder

        if settings.dry_run:
            builder.dry_run(settings)
        else:
            builder.build(settings)
    if serve_it:
        _serve(folder, None if options["no_cache"] else options["cache"], options["sources"], open_browser=True)


def _given(context: click.Context) -> dict[str, str]:
    """The parameters that are on the command line by name, and what the user calls each."""
    return {
        parameter.name or "": parameter.opts[-1] if isinstance(parameter, click.Option) else "a source"
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    }


def _refuse_others(context: click.Context) -> None:
    """Raise UsageError if anything was given beside --regen-html that it would have to ignore."""
    for name, given in _given(context).items():
        if name not in ("regen_html", "serve"):
            raise UsageError(f"--regen-html and {given} contradict each other: it only writes the pages of a site anew")


def _zoo(context: click.Context, sources: tuple[Path, ...]) -> Zoo | None:
    """The zoo among the sources, which then must be the only one and says all about its models; None without one."""
    path = next((source for source in sources if source.suffix.lower() == ".toml" and not source.is_dir()), None)
    if path is None:
        return None
    if len(sources) > 1:
        raise UsageError(f"{path}: a zoo is built alone: name its models in it, or build the others in a call of their own")
    for name, given in _given(context).items():
        if name in ("file_list", "demo", "title", "columns", "only", "source_url", "png", "png_size", "remove"):
            raise UsageError(f"{path} and {given} contradict each other: a zoo says itself which models are shown, and how")
    from mwv.zoo import read_zoo

    return read_zoo(path)


def _settings(
    *,
    zoo: Zoo | None,
    sources: tuple[Path, ...],
    file_list: Any,
    demo: bool,
    title: str | None,
    columns: str,
    only: tuple[str, ...],
    source_url: str | None,
    cache: Path | None,
    no_cache: bool,
    jobs: int | None,
    serve: bool,
    **rest: Any,
) -> Settings:
    """Settings from options; contradictions are errors before any work."""
    from mwv.store.store import cache_root

    if cache is not None and no_cache:
        raise UsageError("--cache and --no-cache contradict each other")
    if columns != "auto" and not (columns.isdecimal() and int(columns) > 0):
        raise UsageError(f"--columns takes a whole number from 1 or auto, not {columns!r}")
    if rest["png_size"] is not None and rest["png"] is None:
        raise UsageError("--png-size says how large --png is; give both")
    if rest["dry_run"] and (serve or rest["png"] is not None or rest["remove"] or rest["report"] is not None):
        raise UsageError("--dry-run writes nothing: leave out --png, --remove, --report and --serve")

    text = file_list.read(_MAX_LIST + 1) if file_list else ""
    if len(text) > _MAX_LIST:
        raise UsageError(f"--file-list {file_list.name}: more than {_MAX_LIST:,} characters; it is no list of sources")
    listed = tuple(Path(line.strip()) for line in text.split("\n") if line.strip())
    if file_list and not listed:
        raise UsageError(f"--file-list {file_list.name}: lists no source")
    sources += listed
    if not sources and not demo and not rest["remove"]:
        raise UsageError("nothing to build: name a checkpoint (mwv build model.safetensors), or try mwv build --demo --serve")
    if title is not None and (demo or len(sources) != 1):
        raise UsageError("--title names one model: give exactly one source with it")
    if rest["png"] is not None and (demo or len(sources) != 1):
        raise UsageError("--png shows one model: give exactly one source with it")
    if source_url is not None and (demo or len(sources) != 1):
        raise UsageError("--source-url is where one model lies: give exactly one source with it")
    url = "" if source_url is None else folder_address(source_url)
    if url is None:
        raise UsageError(
            f"--source-url takes the http(s) address of a folder without user, query or fragment, not {source_url!r}"
        )
    root = None if no_cache else cache_root(cache, os.environ, _here())
    place = os.path.realpath(rest["destination"])
    if root is not None and os.path.commonpath((place, os.path.realpath(root))) == place:
        raise UsageError(
            f"--cache {root} lies in the site {rest['destination']}, which has room for nothing else: name another"
        )
    if demo:
        sources += _demo(root)
    folds = None if columns == "auto" else int(columns)
    models = tuple(ModelSettings(source, title, only=only, columns=folds, url=url) for source in sources)
    return Settings(
        models=models if zoo is None else zoo.models,
        zoo=zoo,
        cache=root,
        jobs=jobs or _processors(),
        **rest,
    )


@cli.command()
@click.argument("directory", type=_PATH, default=Path("site"))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; the default is this machine alone.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; default: the first free one from 8000 on.")
@click.option("--open", "open_browser", is_flag=True, help="Open the site in a browser.")
@click.option("--cache", type=_PATH, help="Cache folder that remembers where the sources lie; default: as for mwv build.")
@click.option(
    "--source",
    "sources",
    type=_PATH,
    multiple=True,
    help="Where a source lies, if not where it was built from; may be repeated.",
)
def serve(
    directory: Path, host: str, port: int | None, open_browser: bool, cache: Path | None, sources: tuple[Path, ...]
) -> None:
    """Serve a site over http until interrupted.

    Where the sources of the site are still at hand, its pages read out exact values from them, on this machine alone.
    """
    _serve(directory, cache, sources, host=host, port=port, open_browser=open_browser)


def _serve(directory: Path, cache: Path | None, sources: tuple[Path, ...], **options: Any) -> NoReturn:
    """Serve a site, with the values of its sources as far as the cache remembers where they are, or `sources` tells."""
    from mwv.memory import Memory, recall_source
    from mwv.site.exact import Values
    from mwv.site.serve import serve as serve_site
    from mwv.store.store import Store, cache_root

    with ExitStack() as stack, suppress(KeyboardInterrupt):
        try:
            store = stack.enter_context(Store.open(cache_root(cache, os.environ, _here())))
        except StoreError as error:
            if cache is not None:
                raise
            click.echo(f"mwv: {error}; until then exact values come from --source alone", err=True)
            values = Values(directory, lambda _: None, sources)
        else:
            values = Values(directory, lambda identity: recall_source(store, identity), sources, Memory(store).digests)
        serve_site(directory, values=values, announce=_announce, **options)
    sys.exit(130)


@cli.command()
@click.argument("source", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--stats", is_flag=True, help="Read and measure every tensor; without it only headers are read.")
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Threads; default: one per processor.")
def inspect(source: Path, as_json: bool, stats: bool, jobs: int | None) -> None:
    """List the tensors of a checkpoint."""
    from mwv import inspect as inspector

    found = inspector.inspect(source, stats=stats, jobs=jobs or _processors())
    click.echo(inspector.as_json(found) if as_json else "\n".join(found.lines()))


@cli.group()
@click.option("--cache", "folder", type=_PATH, help="Cache folder; default: as for mwv build.")
@click.pass_context
def cache(context: click.Context, folder: Path | None) -> None:
    """Look after the cache."""
    from mwv.store.store import Store, cache_root

    context.obj = context.with_resource(Store.open(cache_root(folder, os.environ, _here())))


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


def _demo(root: Path | None) -> tuple[Path, ...]:
    """The demonstration models, kept beside the cache's results, or for this build alone if there is no cache."""
    import tempfile

    from mwv.demo import write_demo
    from mwv.store.store import prepare

    if root is not None:
        try:
            prepare(root)
            return write_demo(root / "demo")
        except OSError:
            pass
    folder = tempfile.TemporaryDirectory(prefix="mwv-demo-")
    click.get_current_context().call_on_close(folder.cleanup)
    return write_demo(Path(folder.name))


def _here() -> Path:
    """The current folder; raises SourceError if it has been deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise SourceError("the current folder has been deleted; change to another") from None


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells what this process may use
        return os.cpu_count() or 1


def _announce(address: str) -> None:
    click.echo(f"serving at {address} (Ctrl-C ends it)")


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
        sys.exit(2 if isinstance(error, UsageError) else 1)
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
