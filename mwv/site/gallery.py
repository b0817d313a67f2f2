"""The models of a site in, its front page out."""

from collections.abc import Sequence
from dataclasses import dataclass

from mwv.site.manifest import ModelEntry
from mwv.site.templates import Templates


@dataclass(frozen=True)
class GalleryPage:
    """The context of `gallery.html`."""

    title: str
    cards: Sequence[ModelEntry]
    parameters: int
    nbytes: int


def gallery_page(templates: Templates, title: str, models: Sequence[ModelEntry]) -> bytes:
    """`index.html`: a card per model, by title."""
    page = GalleryPage(
        title=title,
        cards=sorted(models, key=lambda model: (model.title.casefold(), model.slug)),
        parameters=sum(model.parameters for model in models),
        nbytes=sum(model.bytes for model in models),
    )
    return templates.render("gallery.html", "", vars(page))
