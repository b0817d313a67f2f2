"""The options of `mwv build` in, Settings and calls out."""

import os
import sys
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from mwv.cli.serve import serve_folder
from mwv.cli.surroundings import PATH, SOURCE, STDIN, here, processors
from mwv.errors import UsageError
from mwv.hub.address import Address, Origin, is_address, parse_address
from mwv.settings import Layout, ModelSettings, Settings, SpaceSdk, TileStore, Zoo, folder_address

_MAX_LIST: Final = 10_000_000


@click.command()
@click.argument("sources", nargs=-1, type=SOURCE)
@click.option(
    "-o",
    "--out",
    "destination",
    type=PATH,
    default=Path("site"),
    show_default=True,
    help="Folder of the site, or hf://[datasets/|spaces/|buckets/]OWNER/NAME[@BRANCH][/PATH]; models are added to it.",
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
@click.option(
    "--layout",
    type=click.Choice(["arch", "hilbert"]),
    default="arch",
    show_default=True,
    help="arch: the tensors of models. hilbert: the bytes of any files, all on one page; - is standard input.",
)
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
@click.option("--download", is_flag=True, help="Download files of the Hub into its cache, instead of reading what is needed.")
@click.option("--png", type=PATH, help="Write the whole canvas as one coloured picture, too.")
@click.option(
    "--png-size",
    type=click.IntRange(min=1),
    metavar="PIXELS",
    help="Longest side of that picture at most; default: 64 megapixels in all.",
)
@click.option("--diff", is_flag=True, help="Show how the second source, and each further one, differs from the first.")
@click.option(
    "--diff-metric",
    "metric",
    type=click.Choice(["rms", "abs-log", "exact"]),
    default="rms",
    show_default=True,
    help="Differences over the RMS of the original tensor, absolute ones, or only which values changed, and which way.",
)
@click.option(
    "--finetune", is_flag=True, help="What is compared is a finetune, with no new tensors; default: what its model card says."
)
@click.option("--no-finetune", is_flag=True, help="It is none, whatever its card says.")
@click.option("--allow-new", is_flag=True, help="Compare a finetune that has new tensors or rows all the same.")
@click.option("--show-xet-xorbs", "xorbs", is_flag=True, help="Show how xet stores the files, and which bytes models share.")
@click.option("--remove", metavar="SLUG", multiple=True, help="Take a model out of the site; may be repeated.")
@click.option("--regen-html", type=PATH, metavar="DIR", help="Write the pages of an existing site anew, without its sources.")
@click.option(
    "--cache", type=PATH, help="Cache folder; default: $MWV_CACHE, ./cache if it is ours, or the user's cache folder."
)
@click.option("--no-cache", is_flag=True, help="Keep nothing for the next build.")
@click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Threads; default: one per processor.")
@click.option("--dry-run", is_flag=True, help="Say what would be built, from headers alone.")
@click.option("--report", type=PATH, help="Write what was done as JSON.")
@click.option("--space", metavar="OWNER/NAME", help="Have a Space serve the site; without SOURCE the one in --out as it is.")
@click.option(
    "--space-sdk",
    type=click.Choice(["static", "docker"]),
    help="static (default): the Space holds the site. docker: it serves a bucket, OWNER/NAME-site or that of --out.",
)
@click.option("--stream", is_flag=True, help="Send tiles to the Hub (-o hf://…) while they are rendered, so that few lie here.")
@click.option(
    "--pages", type=PATH, metavar="DIR", help="Write pages here that show a streamed site; its tiles stay on the Hub."
)
@click.option("--private", is_flag=True, help="Make what has to be made on the Hub private.")
@click.option("--serve", is_flag=True, help="Serve the site when it is built, and open it in a browser.")
@click.pass_context
def build(context: click.Context, /, **options: Any) -> None:
    """Turn checkpoints into a site that shows every weight.

    SOURCE is a safetensors, GGUF, PyTorch, NumPy or HDF5 file, a shard, a shard index or a directory with a model; or one
    zoo.toml, which names models and how each is to be shown. What lies on the Hub is named as hf://owner/repo, with
    @revision and /path if need be.
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
        if options["stream"]:
            options["tiles"] = _stream_tiles(_given(context), options)
        settings = _settings(serve=serve_it, zoo=zoo, **options)
        folder = settings.destination
        from mwv import build as builder

        if settings.dry_run:
            builder.dry_run(settings)
        elif settings.remote is not None or settings.space is not None:
            from mwv.publish import publish_site

            publish_site(settings)
        else:
            builder.build(settings)
    if serve_it:
        serve_folder(folder, None if options["no_cache"] else options["cache"], options["sources"], open_browser=True)


def _given(context: click.Context) -> dict[str, str]:
    """The parameters that are on the command line by name, and what the user calls each."""
    return {
        parameter.name or "": parameter.opts[-1] if isinstance(parameter, click.Option) else "a source"
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    }


def _stream_tiles(given: dict[str, str], options: dict[str, Any]) -> TileStore:
    """How tiles lie in a streamed site; raises UsageError for what cannot be streamed."""
    if not is_address(str(options["destination"])):
        raise UsageError("--stream sends tiles to the Hub while they are rendered: name a place there with -o hf://…")
    if options["tile_format"] != "png" or "png" in given or ("tiles" in given and options["tiles"] != "pmtiles"):
        raise UsageError("--stream keeps no tile here and sends archives: leave out --png, --tile-format avif and --tiles")
    return "pmtiles"


def _refuse_others(context: click.Context) -> None:
    """Raise UsageError if anything was given beside --regen-html that it would have to ignore."""
    for name, given in _given(context).items():
        if name not in ("regen_html", "serve"):
            raise UsageError(f"--regen-html and {given} contradict each other: it only writes the pages of a site anew")


def _zoo(context: click.Context, sources: tuple[Origin, ...]) -> Zoo | None:
    """The zoo among the sources, which then must be the only one and says all about its models; None without one."""
    paths = (source for source in sources if isinstance(source, Path))
    path = next((path for path in paths if path.suffix.lower() == ".toml" and not path.is_dir()), None)
    if path is None:
        return None
    if len(sources) > 1:
        raise UsageError(f"{path}: a zoo is built alone: name its models in it, or build the others in a call of their own")
    for name, given in _given(context).items():
        if name in ("file_list", "demo", "title", "layout", "columns", "only", "source_url", "png", "png_size", "remove"):
            raise UsageError(f"{path} and {given} contradict each other: a zoo says itself which models are shown, and how")
    from mwv.zoo import read_zoo

    return read_zoo(path)


def _settings(
    *,
    zoo: Zoo | None,
    sources: tuple[Origin, ...],
    file_list: Any,
    demo: bool,
    title: str | None,
    layout: Layout,
    columns: str,
    only: tuple[str, ...],
    source_url: str | None,
    diff: bool,
    finetune: bool,
    no_finetune: bool,
    cache: Path | None,
    no_cache: bool,
    jobs: int | None,
    serve: bool,
    space: str | None,
    space_sdk: SpaceSdk | None,
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
    if finetune and no_finetune:
        raise UsageError("--finetune and --no-finetune contradict each other")
    rest["finetune"] = None if finetune == no_finetune else finetune
    if layout == "hilbert":
        _check_hilbert(rest, demo=demo, columns=columns, only=only)
    _check_diff(rest, diff=diff, sources=len(sources), layout=layout, demo=demo, only=only, source_url=source_url, zoo=zoo)
    if rest["xorbs"] and rest["tile_format"] == "avif":
        raise UsageError("--show-xet-xorbs and --tile-format avif contradict each other: classes are coloured in the page")
    if rest["dry_run"] and (serve or rest["png"] is not None or rest["remove"] or rest["report"] is not None):
        raise UsageError("--dry-run writes nothing: leave out --png, --remove, --report and --serve")

    remote, served = _places(
        rest["destination"], space, space_sdk, rest["private"], serve or rest["dry_run"], bare=rest["stream"] or not sources
    )
    if rest["pages"] is not None and (remote is None or not (rest["stream"] or not sources)):
        raise UsageError("--pages shows a streamed site: give -o hf://… with it, and --stream if there is something to build")

    text = file_list.read(_MAX_LIST + 1) if file_list else ""
    if len(text) > _MAX_LIST:
        raise UsageError(f"--file-list {file_list.name}: more than {_MAX_LIST:,} characters; it is no list of sources")
    listed = tuple(SOURCE.convert(line.strip(), None, None) for line in text.split("\n") if line.strip())
    if file_list and not listed:
        raise UsageError(f"--file-list {file_list.name}: lists no source")
    sources += listed
    _check_stdin(sources, layout, file_list)
    finished = remote is not None or (rest["destination"] / "site.json").is_file()
    if not sources and not demo and not rest["remove"] and not ((served or rest["pages"]) and finished):
        raise UsageError("nothing to build: name a checkpoint (mwv build model.safetensors), or try mwv build --demo --serve")
    for said, what in (
        (title, "--title names one model"),
        (rest["png"], "--png shows one model"),
        (source_url, "--source-url is where one model lies"),
    ):
        if said is not None and (demo or len(sources) != 1 + diff) and not (layout == "hilbert" and sources and not diff):
            raise UsageError(f"{what}: give exactly {'two sources' if diff else 'one source'} with it")
    url = "" if source_url is None else folder_address(source_url)
    if url is None:
        raise UsageError(
            f"--source-url takes the http(s) address of a folder without user, query or fragment, not {source_url!r}"
        )
    root = None if no_cache else cache_root(cache, os.environ, here())
    place = os.path.realpath(rest["destination"])
    if root is not None and os.path.commonpath((place, os.path.realpath(root))) == place:
        raise UsageError(
            f"--cache {root} lies in the site {rest['destination']}, which has room for nothing else: name another"
        )
    if demo:
        sources += _demo(root)
    folds = None if columns == "auto" else int(columns)
    if diff:
        against, sources = sources[0], sources[1:]
        models = tuple(
            ModelSettings(source, title, only=only, columns=folds, layout=layout, against=against) for source in sources
        )
    elif layout == "hilbert":  # all on one page
        sources, more = sources[:1], sources[1:]
        models = tuple(ModelSettings(source, title, url=url, layout=layout, more=more) for source in sources)
    else:
        models = tuple(ModelSettings(source, title, only=only, columns=folds, url=url) for source in sources)
    return Settings(
        models=models if zoo is None else zoo.models,
        zoo=zoo,
        cache=root,
        jobs=jobs or processors(),
        remote=remote,
        space=served,
        space_sdk=space_sdk or "static",
        **rest,
    )


def _check_hilbert(rest: dict[str, Any], *, demo: bool, columns: str, only: tuple[str, ...]) -> None:
    """Raise UsageError for what means nothing where bytes are shown."""
    for given, flag, why in (
        (demo, "--demo", "the demo is two models"),
        (columns != "1", "--columns", "the curve has none"),
        (only, "--only", "there are no tensors to choose"),
        (rest["xorbs"], "--show-xet-xorbs", "xorbs are shown over weights"),
        (rest["stream"], "--stream", "a streamed site has the weights alone"),
        (rest["tile_format"] == "avif", "--tile-format avif", "bytes are coloured in the page"),
    ):
        if given:
            raise UsageError(f"--layout hilbert and {flag} contradict each other: {why}")


def _check_stdin(sources: tuple[Origin, ...], layout: Layout, file_list: Any) -> None:
    """Raise UsageError if standard input is named where it cannot be read."""
    if STDIN not in sources:
        return
    if layout != "hilbert":
        raise UsageError("- is standard input, whose bytes --layout hilbert shows; a model has to be a file")
    if sources.count(STDIN) > 1 or (file_list and file_list.name == "<stdin>"):
        raise UsageError("- names standard input twice; it can be read once")
    if sys.stdin.isatty():
        raise UsageError("- is standard input, which is the terminal: send a file to it (mwv build --layout hilbert - < FILE)")


def _check_diff(rest: dict[str, Any], *, diff: bool, sources: int, **others: Any) -> None:
    """Raise UsageError for what does not go with a comparison, or not without one."""
    zoo: Zoo | None = others["zoo"]
    special = zoo is not None and any(model.against is not None or model.layout == "hilbert" for model in zoo.models)
    unfit = (
        ("--stream", rest["stream"]),
        ("--show-xet-xorbs", rest["xorbs"]),
        ("--tile-format avif", rest["tile_format"] == "avif"),
    )
    of_models = (
        ("--diff-metric", rest["metric"] != "rms"),
        ("--finetune", rest["finetune"] is not None),
        ("--allow-new", rest["allow_new"]),
    )
    if zoo is not None and special and (named := _first_given(unfit)):
        raise UsageError(f"{zoo.path} and {named} contradict each other: it shows differences, or bytes")
    if not diff:
        if not special and (named := _first_given(of_models)):
            raise UsageError(f"{named} is about a comparison: give --diff and what is compared with it")
        return
    if sources < 2:
        raise UsageError("--diff compares: name the original first, then what became of it (mwv build --diff A B)")
    hilbert = others["layout"] == "hilbert"
    contrary = (
        *((f"--layout hilbert with {name}", hilbert and given) for name, given in of_models),
        ("--demo", others["demo"]),
        ("--source-url", others["source_url"]),
        ("a zoo", others["zoo"] is not None),
        *unfit,
        ("--layout hilbert with --dry-run", hilbert and rest["dry_run"]),
    )
    if named := _first_given(contrary):
        raise UsageError(f"--diff and {named} contradict each other")


def _first_given(flags: tuple[tuple[str, Any], ...]) -> str | None:
    """The name of the first that was given."""
    return next((name for name, given in flags if given), None)


def _places(
    destination: Path, space: str | None, sdk: SpaceSdk | None, private: bool, here_only: bool, *, bare: bool
) -> tuple[Address | None, Address | None]:
    """Where on the Hub the site is to lie, if there, and the Space that is to serve it; contradictions are errors.

    `bare`: whether a static Space may have pages alone, whose tiles are in that other place.
    """
    from mwv.site.manifest import is_ours  # late: takes a while to load

    remote = parse_address(str(destination)) if is_address(str(destination)) else None
    if remote is not None and any(c in remote.path for c in "*?["):
        raise UsageError(f"{remote}: a site has one place: name it without patterns")
    if remote is not None and remote.path and not is_ours(remote.path):
        raise UsageError(f"{remote}: name a folder of letters, digits, '.', '-' and '_'")
    if here_only and (remote is not None or space is not None):
        raise UsageError("--serve and --dry-run stay on this machine: leave out --space, and name a folder with -o")
    if private and remote is None and space is None:
        raise UsageError("--private is about the Hub: name a place there with -o hf://… or --space")
    if space is None:
        if sdk is not None:
            raise UsageError("--space-sdk says what serves a Space: name one with --space OWNER/NAME")
        return remote, None
    served = parse_address(f"hf://spaces/{space}")
    if served.path or served.revision:
        raise UsageError(f"--space takes OWNER/NAME, not {space!r}")
    if remote is not None and (remote.kind != "bucket" if sdk == "docker" else not bare):
        raise UsageError(
            f"--space and -o {remote} contradict each other: a static Space holds the site itself, or shows a streamed one"
            " (--stream); one with docker serves a bucket"
        )
    return remote, served


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
