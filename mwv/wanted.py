"""What the user says of models in, the models that are meant and what pages call them out."""

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.opener import Opener
from mwv.errors import MwvError, UsageError
from mwv.hub.address import Address, Origin
from mwv.progress import say
from mwv.pyramid.keys import key_of
from mwv.settings import ModelSettings, Settings
from mwv.site.identity import difference_identity, identities, identity_of
from mwv.site.model import Label, Place
from mwv.site.text import slugify


def chosen(models: Sequence[ModelSettings], opener: Opener, failures: list[str]) -> list[ModelSettings]:
    """The models, for each address on the Hub with a pattern those that it names and no other does; notes what fails."""
    taken = {model.view for model in models}
    found: list[ModelSettings] = []
    for model in models:
        if not isinstance(model.source, Address) or model.layout == "hilbert":
            found.append(model)
            continue
        try:
            matches = opener.expand(model.source)
        except MwvError as error:
            failures.append(str(error))
            continue
        named = [key for key in ("title", "slug", "url") if getattr(model, key)]
        if len(matches) > 1 and named:
            raise UsageError(f"{model.source}: {named[0]} is for one model, and {len(matches)} match")
        named_so = [replace(model, source=place) for place in matches if place != model.against]
        found += [one for one in named_so if one.source == model.source or one.view not in taken]
        taken.update(one.view for one in named_so)
    return found


def open_model(origin: Origin, opener: Opener) -> Checkpoint:
    """Read the headers of a checkpoint, and tell the user what is left out of it."""
    checkpoint = opener.open(origin)
    for line in checkpoint.left_out:
        say(f"{checkpoint.name}: left out {line}")
    return checkpoint


def label_of(wanted: ModelSettings, checkpoint: Checkpoint, place: Place, settings: Settings) -> Label:
    """What the user says about a model; its options are all that its data depends on beside its files."""
    title = wanted.title or checkpoint.name
    pinned = checkpoint.pinned
    how = (
        wanted.title,
        wanted.tags,
        wanted.group,
        wanted.url,
        wanted.only,
        wanted.columns,
        settings.tile_format,
        settings.tiles,
        *(("xorbs",) if settings.xorbs else ()),
    )
    return Label(
        slug=wanted.slug or slugify(title),
        title=title,
        source=last_name(wanted.source),
        identity=identity_of(checkpoint, wanted.source, wanted.slug),
        url=wanted.url or (pinned.files if pinned else ""),
        page=pinned.page if pinned else "",
        date=source_date() or (pinned.date if pinned else None),
        tags=wanted.tags,
        group=wanted.group,
        options=key_of("options", how),
        place=place,
    )


def known_as(wanted: ModelSettings) -> Collection[str]:
    """What its page may be known as in a site when its files cannot be read."""
    if wanted.layout == "hilbert":
        return [byte_identity(wanted)]
    own = identities(wanted.source, wanted.slug)
    if wanted.against is None:
        return own
    return [difference_identity(base, other) for base in identities(wanted.against) for other in own]


def byte_identity(wanted: ModelSettings) -> str:
    """The identity of a page of bytes: the places of all that was named tell it from others, and from a model's page."""
    origins = (wanted.source, *wanted.more) if wanted.against is None else (wanted.against, wanted.source)
    places = [str(one) if isinstance(one, Address) else os.path.normpath(one.absolute()) for one in origins]
    chosen = () if wanted.slug is None else (wanted.slug,)
    return key_of("bytes of" if wanted.against is None else "difference of bytes", places, *chosen)


def last_name(origin: Origin) -> str:
    """What pages call the source: the name of its file or folder, without the folders above; on the Hub its repository, too."""
    if isinstance(origin, Address):
        return f"{origin.repo}/{origin.path}".rstrip("/")
    return origin.name or origin.resolve().name


def source_date() -> str | None:
    """The date of SOURCE_DATE_EPOCH, if that is set: a build has no date of its own."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return datetime.fromtimestamp(int(epoch), UTC).date().isoformat() if epoch else None
    except (ValueError, OverflowError, OSError):  # beyond the year 9999, or what the machine can count
        raise UsageError(f"SOURCE_DATE_EPOCH must be seconds since 1970 of a real date, not {epoch[:40]}") from None
