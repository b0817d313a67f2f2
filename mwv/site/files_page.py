"""The record of two models' files in, the page that tells what sets them apart out; it needs no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mwv.site.templates import Templates


@dataclass(frozen=True)
class FilesPage:
    """The context of `files.html`."""

    title: str
    names: tuple[str, str]
    """Of the two models, as pages call them."""
    record: Mapping[str, Any]
    changed: Sequence[Mapping[str, Any]]
    alone: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]
    equal: Sequence[Mapping[str, Any]]
    unread: Sequence[Mapping[str, Any]]


def files_page(templates: Templates, title: str, names: tuple[str, str], record: Mapping[str, Any]) -> bytes:
    """`files.html` of a folder of the site, from what `mwv.files.record.files_record` gave, straight or through JSON."""

    def of(status: str) -> list[Mapping[str, Any]]:
        return [file for file in record["files"] if file["status"] == status]

    page = FilesPage(title, names, record, of("changed"), (of("only_a"), of("only_b")), of("equal"), of("unread"))
    return templates.render("files.html", "../", vars(page))
