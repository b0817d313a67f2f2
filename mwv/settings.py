"""What the user asked for, as one frozen record."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TileFormat = Literal["png", "avif"]
TileStore = Literal["files", "xyz", "pmtiles"]


@dataclass(frozen=True)
class Settings:
    """The options of `mwv build`."""

    sources: tuple[Path, ...]
    """Checkpoints: files, shard indexes or directories."""
    destination: Path
    """The site's folder."""
    cache: Path | None
    """The cache folder; None to keep nothing after the build."""
    title: str | None = None
    """Title of the model (with one source) and of nothing else; by default its name."""
    source_url: str | None = None
    """Address of the folder where anyone finds the files of the source (with one source), with a slash at its end."""
    columns: int | None = 1
    """Columns into which stacks are folded; None to choose."""
    only: tuple[str, ...] = ()
    """Glob patterns; when given, only tensors whose name matches one are shown."""
    tile_format: TileFormat = "png"
    """`png` are codes, coloured in the page; `avif` are pictures."""
    tiles: TileStore = "files"
    """How tiles lie in the site."""
    jobs: int = 1
    """Threads."""
    png: Path | None = None
    """Where to write the whole canvas as one coloured picture."""
    png_size: int | None = None
    """Longest side of that picture in pixels; by default it has at most 64 megapixels."""
    remove: tuple[str, ...] = ()
    """Slugs of models to take out of the site."""
    report: Path | None = None
    """Where to write what was done as JSON."""
    dry_run: bool = False
    """Say what would be done, from headers alone."""
