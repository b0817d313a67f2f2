"""Two files or folders of any kind in, the page of how their bytes differ out: `--layout hilbert` with `--diff`."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any, Final

from mwv.adding import Added, Adding
from mwv.byte_page import byte_label, called, check_length, spool
from mwv.byte_scenes import byte_model
from mwv.changed_bytes import draw_changes, sides
from mwv.checkpoint.formats import by_name
from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.opener import Opener
from mwv.checkpoint.stream import STDIN, Files, Found, let_open, shortened
from mwv.errors import SourceError, UsageError
from mwv.files import pairing
from mwv.files.beside import ABSENT, OpenPair, Side, open_pair
from mwv.files.record import files_record
from mwv.hub.address import Address, Origin
from mwv.places import check_room
from mwv.progress import say
from mwv.pyramid.picture import overview, write_picture
from mwv.rendering import Means
from mwv.report import ModelReport
from mwv.settings import ModelSettings
from mwv.site.model import Label, Place
from mwv.site.text import slugify
from mwv.site.writer import SiteWriter

_SITE_BYTES: Final = 4.8
"""Bytes of a site, and of sums in the cache, for each byte of noise that stands at another: three scenes."""


def build_byte_difference(wanted: ModelSettings, place: Place, site: SiteWriter, means: Means) -> ModelReport:
    """Compare files byte by byte, and add the page to the site, unless the site has it already as it would become."""
    adding = Adding(place, site, means)
    memory = adding.memory
    assert wanted.against is not None
    origins = wanted.against, wanted.source
    titles = called(origins[0]), called(origins[1])
    with ExitStack() as stack:
        folder = spool(means.settings, stack)
        named = [means.opener.files(origin, folder) for origin in origins]
        pairs, notes = _pairs(named[0], named[1], titles)
        title = wanted.title or f"{titles[0]} → {titles[1]}"
        label = replace(
            byte_label(wanted, title, None, place, means.settings),
            slug=wanted.slug or slugify(f"{titles[0]}-to-{titles[1]}"),
            source=f"{titles[0]} → {titles[1]}",
        )
        others = _other_files(origins, means.opener)
        sources = tuple(source for pair in pairs for source in pair.present)
        joint = Checkpoint(title, "bytes", sources, (), left_out=notes)
        where = [(pair.name, pair.a is ABSENT, pair.b is ABSENT) for pair in pairs]
        inputs = memory.inputs(joint, where, asdict(replace(label, place=Place())), others)

        def add() -> Added:
            both = sides(title, pairs, memory)
            check_length(title, both[0].length)
            check_room(title, int(both[0].length * _SITE_BYTES), means.settings)
            return _added(both, titles, label, notes, others, adding)

        return adding.run(label, inputs, add)


def _pairs(a: Files, b: Files, titles: tuple[str, str]) -> tuple[list[OpenPair], tuple[str, ...]]:
    """Two files, whatever they are called, or those of two folders by their paths; and notes on what is left out.

    Raises UsageError for a file and a folder, SourceError if there are no bytes.
    """
    if (a.folder is None) != (b.folder is None):
        raise UsageError(f"{titles[0]} and {titles[1]}: one is a file and one a folder; compare two files, or two folders")
    let_open(len(a.found) + len(b.found), f"{titles[0]} and {titles[1]}")
    notes = [*a.notes, *b.notes]
    of_a, of_b = _by_path(a, titles), _by_path(b, titles)
    alone = a.folder is None
    found = (
        open_pair(path, of_a.get(path), of_b.get(path), titles if alone else _in_folders(titles, path), notes)
        for path in sorted(of_a.keys() | of_b.keys())
    )
    pairs = [pair for pair in found if pair is not None]
    if not pairs:
        raise SourceError(f"{titles[0]} and {titles[1]}: hold no bytes; there is nothing to compare")
    notes = list(dict.fromkeys(notes))  # a folder may stand on both sides
    for line in notes:
        say(f"left out {line}")
    return pairs, shortened(notes)


def _in_folders(titles: tuple[str, str], path: str) -> tuple[str, str]:
    return f"{titles[0]}: {path}", f"{titles[1]}: {path}"


def _by_path(files: Files, titles: tuple[str, str]) -> Mapping[str, Found]:
    """Files by their paths in the folder; one that was named alone by what the pair is called."""
    if files.folder is None:
        return {titles[1] if titles[0] == titles[1] else " → ".join(titles): files.found[0]}
    return {found.name.removeprefix(files.folder): found for found in files.found}


def _other_files(origins: tuple[Origin, Origin], opener: Opener) -> Mapping[str, Any] | None:
    """What sets files apart that hold no weights, as their formats tell it.

    None for standard input, and where one of two files holds weights.
    """
    folders = [opener.whole_folder(origin) for origin in origins]
    if folders[0] is not None and folders[1] is not None:
        return files_record(pairing.pair(folders[0], folders[1]))
    places = [pairing.Place(opener.folder(origin), _name(origin)) for origin in origins if origin != STDIN]
    if len(places) < 2 or any(by_name(place.name) for place in places):
        return None
    return files_record(pairing.Pairing([pairing.Pair(places[1].name, places[0], places[1])], ()))


def _name(origin: Origin) -> str:
    return origin.path.rpartition("/")[2] if isinstance(origin, Address) else origin.name


def _added(
    both: tuple[Side, Side],
    titles: tuple[str, str],
    label: Label,
    notes: Sequence[str],
    others: Mapping[str, Any] | None,
    adding: Adding,
) -> Added:
    """The page, in the site; raises LostError if the cache loses a result on the way."""
    settings, store = adding.means.settings, adding.means.store
    changes = draw_changes(label.title, titles, both, adding.means, adding.memory)
    pyramid, canvas = changes.drawn.pyramids[0], changes.drawn.canvas
    if settings.png is not None:
        write_picture(pyramid, canvas, store.get, settings.png, settings.png_size, changes.look)
    nbytes = sum(source.size for side in both for source in side.sources)
    model = replace(byte_model(label, changes.scenes, nbytes, notes), compares=titles, others=others)
    slug = adding.site.add_model(model, changes.tiles, overview(pyramid, canvas, store, "png", changes.look))
    return Added(model, slug, both[0].length, changes.drawn.tally, changes.drawn.traffic)
