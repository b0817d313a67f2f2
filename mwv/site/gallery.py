"""The models of a site in, its front page out, and what every page may ask about all models."""

from collections.abc import Sequence
from dataclasses import dataclass

from mwv.site.manifest import ModelEntry
from mwv.site.templates import Templates
from mwv.site.text import canonical


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


def site_script(title: str, models: Sequence[ModelEntry]) -> bytes:
    """`site.js`: title and models of the site for its pages, which may not read `site.json` when they lie on a disk."""
    facts = [
        {
            "slug": model.slug,
            "title": model.title,
            "architecture": model.architecture,
            "parameters": model.parameters,
            "digest": model.digest,
            "layout": list(model.layout),
            "model": model.model,
            "scenes": list(model.scenes),
            "overview": model.overview,
        }
        for model in models
    ]
    return f"mwv.site({canonical({'title': title, 'models': facts})});\n".encode("ascii")
