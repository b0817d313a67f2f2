"""Options and the entries of a zoo in, what the user asked for as one frozen record out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from mwv.hub.address import Address, Origin

TileFormat = Literal["png", "avif"]
SpaceSdk = Literal["static", "docker"]
TileStore = Literal["files", "xyz", "pmtiles"]
Layout = Literal["arch", "hilbert"]
DiffMetric = Literal["rms", "abs-log", "exact"]


@dataclass(frozen=True)
class ModelSettings:
    """One model, and how it is to be shown."""

    source: Origin
    """A file, a shard index or a directory, here or on the Hub."""
    title: str | None = None
    """By default the name of its file, or of its repository."""
    slug: str | None = None
    """Its folder in the site; by default made from the title."""
    tags: tuple[str, ...] = ()
    group: str = ""
    """Heading under which the gallery shows it."""
    only: tuple[str, ...] = ()
    """Glob patterns; when given, only tensors whose name matches one are shown."""
    columns: int | None = 1
    """Columns into which stacks are folded; None to choose."""
    url: str = ""
    """Address of the folder where anyone finds its files, with a slash at its end; see `folder_address`."""
    layout: Layout = "arch"
    """`arch` shows the tensors of a model, `hilbert` the bytes of any files along a curve."""
    more: tuple[Origin, ...] = ()
    """For `hilbert`: what else is shown on the same page, behind the source."""
    against: Origin | None = None
    """What it is compared with; its difference from that is then shown, and not itself alone."""

    @property
    def view(self) -> tuple[Origin, Origin | None, Layout]:
        """What is shown, in which way: a pattern names no view that is named otherwise."""
        return self.source, self.against, self.layout


def folder_address(text: str) -> str | None:
    """An http(s) address of a folder, with a slash at its end; None for what is none, or may hold a secret."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    public = parts.scheme in ("http", "https") and parts.hostname and not (parts.username or parts.query or parts.fragment)
    return text.rstrip("/") + "/" if public else None


@dataclass(frozen=True)
class Zoo:
    """What a `zoo.toml` says: its models stand in the site in this order, and those that it names no longer are taken out."""

    path: Path
    title: str
    """Heading of the gallery."""
    out: Path
    """The site's folder, unless the user names another."""
    models: tuple[ModelSettings, ...]
    unmatched: tuple[str, ...] = ()
    """A line for each pattern that names nothing now."""


@dataclass(frozen=True)
class Settings:
    """The options of `mwv build`."""

    models: tuple[ModelSettings, ...]
    destination: Path
    """The site's folder."""
    cache: Path | None
    """The cache folder; None to keep nothing after the build."""
    remote: Address | None = None
    """Where the site lies on the Hub, instead of in a folder."""
    space: Address | None = None
    """The Space that is to serve the site."""
    space_sdk: SpaceSdk = "static"
    stream: bool = False
    """Whether tiles go to the Hub while they are rendered."""
    pages: Path | None = None
    """A folder for pages that show the site on the Hub from here; its tiles stay there."""
    private: bool = False
    """Whether what is made on the Hub is private."""
    zoo: Zoo | None = None
    """Where the models come from a zoo: that zoo."""
    metric: DiffMetric = "rms"
    """In what differences are measured."""
    finetune: bool | None = None
    """Whether what is compared is a finetune of the other; None to ask its model card."""
    allow_new: bool = False
    """Whether a finetune may have tensors and rows that its base lacks."""
    tile_format: TileFormat = "png"
    """`png` are codes, coloured in the page; `avif` are pictures."""
    tiles: TileStore = "files"
    """How tiles lie in the site."""
    xorbs: bool = False
    """Show how xet stores the files, and what models share."""
    jobs: int = 1
    """Threads."""
    png: Path | None = None
    """Where to write the whole canvas as one coloured picture."""
    png_size: int | None = None
    """Longest side of that picture in pixels; by default it has at most 64 megapixels."""
    download: bool = False
    """Whether files of the Hub are downloaded rather than read by ranges."""
    remove: tuple[str, ...] = ()
    """Slugs of models to take out of the site."""
    report: Path | None = None
    """Where to write what was done as JSON."""
    dry_run: bool = False
    """Say what would be done, from headers alone."""
