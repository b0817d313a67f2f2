"""The typed facts about one model that its page, its card and its scene data are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mwv.layout.canvas import Canvas
from mwv.measure.stats import TensorStats
from mwv.pyramid.plan import TileId
from mwv.xet.stored import StoredFile


@dataclass(frozen=True)
class TensorRow:
    """One line of the tensor table; zero-element tensors are here too, without placement."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: str
    offset: int
    nbytes: int
    digest: str
    """Value digest in hex, empty for zero-element tensors."""
    stats: tuple[TensorStats, ...]
    """One per panel: one for most tensors, E for E fused experts, none when nothing is drawn."""
    note: str = ""
    """What the reader must know, such as "unknown type, shown as integers of 16 bits"."""
    strides: tuple[int, ...] | None = None
    """Elements from one index to the next of each axis, where they do not lie in row-major order."""
    big_endian: bool = False
    canonical: str = ""
    """What Hugging Face's transformers calls it, where that is another name."""
    exponent: int = 0
    """The tensor's unit is 2**exponent: codes tell value × unit, read-outs divide it out."""
    packed: bool = False
    """Whether its values are made by a recipe, so that its bytes in the file are not those of its elements."""
    part_of: str = ""
    """Name of the packed tensor that it is a part of; it has no placement then."""


@dataclass(frozen=True)
class Scene:
    """One canvas on a page, with the tiles that show it."""

    kind: Literal["values"]
    title: str
    canvas: Canvas
    layout_digest: str
    """Equal for two scenes whose placements coincide, so that they can be compared pixel by pixel."""
    levels: int
    """Number of levels; level `levels - 1` is one tile."""
    tiles: Mapping[TileId, str]
    """Key of every tile that exists; a tile of padding alone does not."""
    magnitudes: tuple[tuple[float, float], ...]
    """Per level, the 5th and 95th percentile of the magnitudes shown (value × unit)."""
    window: tuple[float, float]
    """Default window of magnitudes, e.g. (2**-10, 2**1)."""
    archives: Mapping[tuple[int, int] | None, str] = field(default_factory=dict)
    """Only for PMTiles: digest of the archive of each super-block (column, row), and of the levels above under None."""
    tensors: tuple[TensorRow, ...] | None = None
    """What its placements count in, where that is not the model's table."""
    difference: Mapping[str, Any] | None = None
    """Of a scene of differences: what its data says of them, see `site/difference.py`."""


@dataclass(frozen=True)
class ByteScene:
    """A canvas on a page that shows the bytes of files along a curve; fields as in `Scene`."""

    kind: str
    """"bytes", "entropy" or "byte-changes"."""
    title: str
    canvas: Canvas
    layout_digest: str
    levels: int
    tiles: Mapping[TileId, str]
    files: tuple["ByteFile", ...]
    archives: Mapping[tuple[int, int] | None, str] = field(default_factory=dict)
    beside: "Beside | None" = None
    """Of scenes of files that lie beside others."""


@dataclass(frozen=True)
class ByteFile:
    """One of the files whose bytes a page shows, in the order of the curve."""

    name: str
    length: int
    """Bytes that it takes up on the curve: its own, and holes."""
    size: int
    """Its bytes; of a pair of files, as `length`."""
    digest: str
    """Of its bytes as the tiles of the leaf cut them, in hex."""
    counts: tuple[int, ...]
    """How often each of the 256 bytes occurs in it; of a pair, in both."""


@dataclass(frozen=True)
class Beside:
    """How files of two sides lie beside each other. The scene of their changes is followed by those of sides a and b."""

    side: Literal["both", "a", "b"]
    titles: tuple[str, str]
    sizes: tuple[tuple[int | None, int | None], ...]
    """Of each file on both sides; None where it is not."""
    changes: tuple[tuple[int, int, int, int], ...]
    """Of each file how many bytes are equal, changed, only in a, only in b."""
    stretches: tuple[tuple[int, ...], ...]
    """Of each file kind (0 equal, 1 changed, 2 only in a, 3 only in b) and length of each stretch, one after the other."""


@dataclass(frozen=True)
class Place:
    """Where a model stands in the gallery."""

    zoo: str = ""
    """What tells the zoo that named the model from others; empty: none did."""
    rank: int = -1
    """How many models that zoo names before this one; -1 without a zoo."""


@dataclass(frozen=True)
class Label:
    """What is said about a model that its files do not say; fields as in `Model`."""

    slug: str
    title: str
    source: str
    identity: str
    url: str = ""
    page: str = ""
    date: str | None = None
    tags: tuple[str, ...] = ()
    group: str = ""
    options: str = ""
    place: Place = Place()


@dataclass(frozen=True)
class Model:
    """Everything that a model's page says."""

    slug: str
    title: str
    source: str
    """What the user named, without directories of the machine: a file or directory name."""
    format: str
    architecture: str
    parameters: int
    nbytes: int
    dtypes: Mapping[str, int]
    """Elements per dtype name."""
    facts: Mapping[str, Any]
    """Selected configuration (layers, heads, hidden size, vocabulary …) under Hugging Face's names."""
    metadata: Mapping[str, str]
    tensors: tuple[TensorRow, ...]
    scenes: tuple[Scene | ByteScene, ...]
    date: str | None = None
    notes: tuple[str, ...] = ()
    """Lines that the page must say, such as files left out or layers that are missing."""
    url: str = ""
    """Address of the folder where anyone finds the source's files, with a slash at its end; empty if it is not public."""
    page: str = ""
    """Where people look at the source: its repository on the Hub, at its commit."""
    identity: str = ""
    """What tells a rebuilt model from another one of the same slug; empty: `source` tells it."""
    tags: tuple[str, ...] = ()
    group: str = ""
    """Heading under which the gallery shows it."""
    options: str = ""
    """Digest of the options that it was built with."""
    place: Place = Place()
    compares: tuple[str, ...] = ()
    """Of a difference: what the two are called that it compares."""
    others: Mapping[str, Any] | None = None
    """Of a difference of folders: what sets apart their files that hold no weights, see `mwv/files/record.py`."""
    files: tuple[StoredFile, ...] = ()
    """Its files as xet stores them, where that is to be shown."""


@dataclass(frozen=True)
class TileFiles:
    """Where the bytes of a model's tiles lie, so that the writer can link them, and how the site addresses them."""

    suffix: Literal["png", "avif"]
    """"avif" means picture tiles: colours are baked in."""
    paths: Mapping[str, Path] = field(default_factory=dict)
    """Tile key (or digest of an archive) → complete file; what is not here lies where the site goes."""
    mode: Literal["files", "xyz", "pmtiles"] = "files"
    png: frozenset[str] = frozenset()
    """Keys of picture tiles that are PNG although `suffix` is "avif"."""
    windows: tuple[tuple[float, float], ...] = ()
    """Of picture tiles: the magnitudes that the colours of leaves, and of overviews, reach from and to."""
    fresh: frozenset[str] = frozenset()
    """Keys that this build made, as the cache lacked them: what the site has of them may be a link to what was damaged."""
