"""A site and the checkpoints it was made from in, stored values of its elements out, each proven to be what the picture shows.

The proof is the digest of the tensor in the site's own table: a source that was changed since answers with word of that, and
never with a value. A site is a folder that anyone may have written to, so nothing in it is believed unchecked.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from mwv.checkpoint.info import Checkpoint, TensorInfo
from mwv.checkpoint.open import open_checkpoint
from mwv.decode.open import FileTensor, open_tensor
from mwv.decode.tensor import BAND_ROWS
from mwv.errors import MwvError, SourceChangedError, SourceError
from mwv.hub.address import Address, Origin
from mwv.layout.grid import LONGEST_ROW
from mwv.site.data import parse
from mwv.site.folder import content_of
from mwv.site.identity import identity_of, side_of
from mwv.site.manifest import ModelEntry, decode
from mwv.site.values import ValuesError, Window

SIDE: Final = 64
"""Most rows, and most columns, of one answer."""
HASHED: Final = 1 << 30
"""Bytes of the largest tensor that is hashed for a reader who waits, where no build remembers its digests."""
OPEN: Final = 8
"""Models whose sources are held open."""
SIDES: Final = (1, 2)
"""Scenes of a page that compares models which show one of the two; the first shows what sets them apart."""

_DAMAGE: Final = (ValueError, KeyError, TypeError, IndexError, AttributeError, ArithmeticError)
"""What comes of data that is not as we write it."""

Remembered = Callable[[str], Origin | None]
"""Identity of a model → where its files lay when it was built."""
Open = Callable[[Origin], Checkpoint]
"""Opens a source."""
Digests = Callable[[FileTensor], tuple[bytes, ...] | None]
"""Value digests of all bands of a tensor, where they are known without reading it."""


def open_local(origin: Origin) -> Checkpoint:
    """Open what lies on this machine."""
    if isinstance(origin, Address):
        raise SourceError(f"{origin}: the Hub is not asked")
    return open_checkpoint(origin)


@dataclass(frozen=True, eq=False)
class _Model:
    """A model of the site beside its source."""

    entry: ModelEntry
    scenes: Sequence[Mapping[str, Any]]
    side: int
    """Of a page that compares: the scene of the one whose source this is; else 0, and the source is that of all scenes."""
    checkpoint: Checkpoint
    tensors: Sequence[TensorInfo | None]
    """In the order of the site's table; None for what the scenes of this source do not show as it is stored."""
    proven: dict[int, Mapping[int, tuple[bytes, ...]]] = field(default_factory=dict)
    """Tensor → placement in the first scene of this source → digests of its bands."""


class Values:
    """Reads the sources of one site, one request at a time; safe from several threads."""

    def __init__(
        self,
        root: Path,
        remembered: Remembered,
        named: Sequence[Origin] = (),
        digests: Digests = lambda _: None,
        opens: Open = open_local,
    ) -> None:
        """`named` are sources that may lie elsewhere than at the build; they are known by their table of tensors."""
        self._root = root
        self._remembered = remembered
        self._named = named
        self._digests = digests
        self._open = opens
        self._models: dict[tuple[str, int], _Model] = {}
        self._lock = threading.Lock()

    def offers(self, slug: str) -> bool:
        """Whether the source of a model, or of one that a page compares, is at hand and has the tensors of the site's table."""
        with self._lock:
            return any(self._has(slug, side) for side in (0, *SIDES))

    def _has(self, slug: str, side: int) -> bool:
        try:
            self._model(slug, side)
        except ValuesError:
            return False
        return True

    def read(self, slug: str, window: Window) -> dict[str, Any]:
        """Type and stored values, rows of text, of a window that reaches as far as the grid does.

        Raises ValuesError when there is no such window, or the source cannot be read or is another than the picture shows.
        """
        with self._lock:
            side = window.scene if self._entry(slug).compares_weights else 0
            try:
                model = self._model(slug, side)
                for shard in model.checkpoint.shards:
                    shard.check_unchanged()
                return _read(model, window, self._digests)
            except SourceChangedError:
                self._models.pop((slug, side), None)
                raise ValuesError("The source has changed since this picture was made.") from None
            except (MwvError, OSError):
                raise ValuesError("The source cannot be read.") from None
            except _DAMAGE:
                raise ValuesError("There is no such element.") from None

    def _model(self, slug: str, side: int) -> _Model:
        entry = self._entry(slug)
        if (side in SIDES) != entry.compares_weights:
            raise ValuesError("There is no such element.")
        known = self._models.pop((slug, side), None)
        if known is None or known.entry != entry:
            known = self._opened(entry, side)
        self._models[slug, side] = known
        while len(self._models) > OPEN:
            del self._models[next(iter(self._models))]
        return known

    def _entry(self, slug: str) -> ModelEntry:
        path = self._root / "site.json"
        try:
            return decode(content_of(path), path).models[slug]
        except (MwvError, OSError, KeyError):
            raise ValuesError("There is no such model.") from None

    def _opened(self, entry: ModelEntry, side: int) -> _Model:
        try:
            scenes = [parse(content_of(self._root / entry.slug / name), "scene") for name in entry.scenes]
            for checkpoint in self._candidates(entry, side):
                tensors = _of_side(checkpoint, scenes[side]) if side else _matched(checkpoint, scenes[0]["tensors"])
                if tensors is not None:
                    return _Model(entry, scenes, side, checkpoint, tensors)
        except (OSError, *_DAMAGE):
            raise ValuesError("The site's data is damaged.") from None
        raise ValuesError("The source is not at hand, or has changed since this picture was made.")

    def _candidates(self, entry: ModelEntry, side: int) -> Iterator[Checkpoint]:
        """What may be the source: first what a build remembers, if it still is what the identity says, then what was named."""
        identity = side_of(entry.identity, side) if side else entry.identity
        place = self._remembered(identity)
        for origin in (*([place] if place else []), *self._named):
            try:
                checkpoint = self._open(origin)
            except MwvError:
                continue
            # A commit is what it was; on this machine something else may lie there by now. That of two tells of neither.
            known = isinstance(origin, Address) or origin is not place or side
            if known or entry.identity in [identity_of(checkpoint, origin, slug) for slug in (None, entry.slug)]:
                yield checkpoint


def _of_side(checkpoint: Checkpoint, scene: Mapping[str, Any]) -> list[TensorInfo | None] | None:
    """The same for a side of a comparison, whose table has other names: by places in files; None unless all it has are there.

    An expert that is a part of a tensor has another shape than this, and is left out.
    """
    table = scene["tensors"]
    by_place = {(checkpoint.shards[one.shard].name, one.offset, one.nbytes, one.dtype.name): one for one in checkpoint.tensors}
    found: list[TensorInfo | None] = [None] * len(table["name"])
    for index in {index for index in scene["placements"]["tensor"] if index >= 0}:
        place = table["shards"][table["shard"][index]], table["offset"][index], table["bytes"][index]
        info = by_place.get((*place, table["dtypes"][table["dtype"][index]]))
        if info is None:
            return None
        if tuple(table["shapes"][table["shape"][index]]) == info.shape:
            found[index] = info
    return found


def _matched(checkpoint: Checkpoint, table: Mapping[str, Any]) -> list[TensorInfo | None] | None:
    """The checkpoint's tensors in the order of the site's table; None unless each lies where the table says."""
    by_name = {info.name: info for info in checkpoint.tensors}
    found: list[TensorInfo | None] = []
    columns = (table[name] for name in ("name", "dtype", "shape", "shard", "offset", "bytes"))
    for name, dtype, shape, shard, offset, nbytes in zip(*columns, strict=True):
        info = by_name.get(name)
        told = (table["dtypes"][dtype], tuple(table["shapes"][shape]), table["shards"][shard], offset, nbytes)
        if info is None or told != (
            info.dtype.name,
            info.shape,
            checkpoint.shards[info.shard].name,
            info.offset,
            info.nbytes,
        ):
            return None
        found.append(info)
    return found


def _read(model: _Model, window: Window, digests: Digests) -> dict[str, Any]:
    scene = model.scenes[window.scene]
    tensor = _stored(model, scene, window.placement)
    rows, cols, row_elements, elements, high = _grid(scene, window.placement)[:5]
    end_row, end_col = min(window.row + window.rows, rows), min(window.col + window.cols, cols)
    if not (0 <= window.row < end_row <= window.row + SIDE and 0 <= window.col < end_col <= window.col + SIDE):
        raise IndexError
    height = BAND_ROWS * high
    proven = _proven(model, scene["placements"]["tensor"][window.placement], digests)[window.placement]
    lines: list[list[str]] = []
    for band in range(window.row // height, (end_row - 1) // height + 1):
        raw = tensor.read(band)
        if tensor.digest(band, raw) != proven[band]:
            raise SourceChangedError("")
        values = tensor.numbers(band, raw, window.col, end_col - window.col)
        lines += [list(map(_text, line)) for line in values[max(window.row - band * height, 0) : end_row - band * height]]
    if elements < rows * cols:  # only the last row of a folded grid is short
        for row, line in enumerate(lines, window.row):
            del line[max(elements - row * row_elements - window.col, 0) :]
    return {"dtype": tensor.info.dtype.name, "row": window.row, "col": window.col, "values": lines}


def _grid(scene: Mapping[str, Any], placement: int) -> list[int]:
    placements = scene["placements"]
    grid: list[int] = placements["grids"][placements["grid"][placement]]
    return grid


def _stored(model: _Model, scene: Mapping[str, Any], placement: int) -> FileTensor:
    """A placement as it lies in the source; its band is never longer than one that a build would read."""
    placements = scene["placements"]
    index = placements["tensor"][placement]
    if placement < 0 or index < 0 or scene["kind"] != "values":
        raise IndexError
    _, _, row_elements, elements, high, wide = _grid(scene, placement)[:6]
    info = _info(model, index)
    if row_elements > LONGEST_ROW:
        raise ValueError
    first = max(placements["panel"][placement], 0) * elements
    return open_tensor(model.checkpoint.shards, info, row_elements, (high, wide), first, elements)


def _info(model: _Model, index: int) -> TensorInfo:
    info = model.tensors[index]
    if info is None:
        raise ValuesError("This tensor is stored in a way that is not read out here.")
    return info


def _proven(model: _Model, index: int, digests: Digests) -> Mapping[int, tuple[bytes, ...]]:
    """Digests of the bands of all placements of a tensor, once they give the digest that the site's table tells."""
    if index not in model.proven:
        scene = model.scenes[model.side]
        bands: dict[int, tuple[bytes, ...]] = {}
        left = _info(model, index).elements
        for placement, owner in enumerate(scene["placements"]["tensor"]):
            if owner == index:
                stored = _stored(model, scene, placement)
                left -= stored.count
                if left < 0:  # a tensor that is placed again and again would be read as often
                    raise ValueError
                bands[placement] = digests(stored) or _hashed(stored)
        joined = b"".join(digest for panel in bands.values() for digest in panel)
        if blake3(joined).hexdigest()[:16] != scene["tensors"]["digest"][index]:
            raise SourceChangedError("")
        model.proven[index] = bands
    return model.proven[index]


def _hashed(tensor: FileTensor) -> tuple[bytes, ...]:
    if tensor.info.nbytes > HASHED:
        raise ValuesError("This tensor is too large to be checked now; build the site again on this machine.")
    return tuple(tensor.digest(band, tensor.read(band)) for band in range(tensor.bands))


def _text(value: Any) -> str:
    """The shortest text that gives the value again in its own type."""
    return str(value).strip("()") if value.dtype != bool else str(int(value))
