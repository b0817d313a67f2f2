"""The models of a site in, its front page out, and what every page may ask about all models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from mwv.site.manifest import ModelEntry
from mwv.site.templates import Templates
from mwv.site.text import canonical

_ASPECT: Final = 16 / 10
"""Width over height of the picture on a card, as in gallery.css."""
_GAP: Final = 2.0
"""Space between the strips of a picture, in percent of the card's width."""
_MOST_STRIPS: Final = 8
_WORTH: Final = 1.2
"""A further strip must show the model so many times larger."""

_TOLD: Final = (
    "slug",
    "title",
    "architecture",
    "parameters",
    "bytes",
    "dtypes",
    "date",
    "tags",
    "group",
    "rank",
    "compares",
    "shared",
    "nearest",
    "nearest_shared",
    "chunk_shared",
    "chunk_nearest",
    "chunk_nearest_shared",
    "digest",
    "layout",
    "model",
    "scenes",
    "stored",
    "overview",
)
"""Fields of a model in `site.js`."""


@dataclass(frozen=True)
class Strip:
    """A part of a model's picture."""

    width: float
    """In percent of the card's picture."""
    aspect: float
    """Width over height."""
    position: float
    """How far down the whole it lies: 0 at the top, 100 at the bottom."""


@dataclass(frozen=True)
class Card:
    """A model in the gallery."""

    entry: ModelEntry
    strips: Sequence[Strip]
    facts: str
    """What the script of the page searches, sorts and filters by, as JSON."""
    nearest: str
    """Title of the model that shares most, or empty."""
    chunk_nearest: str
    """The same by chunks."""

    @property
    def title(self) -> str:
        """Its heading."""
        return self.entry.title


@dataclass(frozen=True)
class Group:
    """Cards under one heading, which may be empty."""

    title: str
    cards: Sequence[Card]


@dataclass(frozen=True)
class GalleryPage:
    """The context of `gallery.html`."""

    title: str
    cards: Sequence[Card]
    groups: Sequence[Group]
    ordered: bool
    """Whether a zoo says in which order the cards stand."""
    models: int
    parameters: int
    nbytes: int
    """Of the models."""
    differences: int
    """Cards that compare two models or files."""
    changes: bool
    """Whether there is a page of how models differ."""
    sharing: bool
    """Whether there is a page of what models share by chunks."""
    pixel: str
    """What one pixel of a page is."""


def gallery_page(templates: Templates, title: str, models: Sequence[ModelEntry]) -> bytes:
    """`index.html`: a card per model, those of zoos in their order, then the others by title."""
    titles = {model.slug: model.title for model in models}
    ordered = sorted(models, key=lambda m: (m.rank < 0, m.zoo, m.rank, m.title.casefold(), m.slug))
    cards = [_card(model, place, titles) for place, model in enumerate(ordered)]
    own = [model for model in models if not model.compares]
    page = GalleryPage(
        title=title,
        cards=cards,
        groups=_groups(cards),
        ordered=any(model.rank >= 0 for model in models),
        models=len(own),
        parameters=sum(model.parameters for model in own),
        nbytes=sum(model.bytes for model in own),
        differences=len(models) - len(own),
        changes=sum(model.compares_weights for model in models) > 1,
        sharing=any(model.chunk_shared >= 0 for model in models),
        pixel=_pixel(models),
    )
    return templates.render("gallery.html", "", vars(page))


def _pixel(models: Sequence[ModelEntry]) -> str:
    kinds = {"byte" if model.format == "bytes" else "weight" for model in models}
    return " or one ".join(sorted(kinds, reverse=True)) or "weight"


def _card(model: ModelEntry, place: int, titles: Mapping[str, str]) -> Card:
    facts = {
        "place": place,
        "title": model.title,
        "architecture": model.architecture,
        "types": list(model.dtypes),
        "tags": list(model.tags),
        "parameters": model.parameters,
        "bytes": model.bytes,
        "date": model.date or "",
    }
    return Card(
        model,
        strips(*model.overview_size),
        canonical(facts),
        titles.get(model.nearest, ""),
        titles.get(model.chunk_nearest, ""),
    )


def _groups(cards: Sequence[Card]) -> list[Group]:
    """Groups in the order of their first cards; the one without a name comes last."""
    groups: dict[str, list[Card]] = {}
    for card in cards:
        groups.setdefault(card.entry.group, []).append(card)
    return [Group(name, groups[name]) for name in sorted(groups, key=lambda name: not name)]


def strips(width: int, height: int) -> list[Strip]:
    """How a picture is cut so that a card shows all of it as large as can be: a tall one in strips, side by side."""

    def scale(count: int) -> float:
        """Width of a strip in percent of the card's."""
        return min((100 - _GAP * (count - 1)) / count, 100 / _ASPECT * width / ceil(height / count))

    best = 1
    for count in range(2, _MOST_STRIPS + 1):
        if scale(count) > _WORTH * scale(best):
            best = count
    wide, aspect = round(scale(best), 4), round(width / ceil(height / best), 8)
    return [Strip(wide, aspect, round(100 * place / max(best - 1, 1), 2)) for place in range(best)]


def site_script(title: str, models: Sequence[ModelEntry]) -> bytes:
    """`site.js`: title and models of the site for its pages, which may not read `site.json` when they lie on a disk."""
    return f"mwv.site({canonical({'title': title, 'models': [_told(model) for model in models]})});\n".encode("ascii")


def _told(model: ModelEntry) -> dict[str, Any]:
    return {name: getattr(model, name) for name in _TOLD}
