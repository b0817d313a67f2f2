"""A finished Pyramid in, one coloured picture of the whole canvas out."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from mwv.errors import SiteError, UsageError
from mwv.layout.canvas import Canvas, Rect
from mwv.pyramid import code
from mwv.pyramid.avif import encode_avif
from mwv.pyramid.keys import key_of
from mwv.pyramid.palette import DEFAULT, GROUND, fitted, rgb, table
from mwv.pyramid.plan import TILE
from mwv.pyramid.png import decode_gray, encode_coloured
from mwv.pyramid.render import GetBlob, Pyramid, tile_bytes
from mwv.pyramid.survey import Blobs

VERSION: Final = 1
"""Of how the overview is made; belongs in its key."""
OVERVIEW_SIDE: Final = 2048
"""Longest side of the picture on cards and previews."""
PICTURE_PIXELS: Final = 64_000_000
"""Most pixels of a picture of the whole canvas when no size is asked for."""


@dataclass(frozen=True, eq=False)
class Look:
    """How pictures are coloured that do not show values in the default palette."""

    colours: NDArray[np.uint8]
    """Of all codes."""
    rest: tuple[tuple[int, int, int], ...] = ()
    """Squares (x, y, side) of the leaf in which nothing is, though their code means something; sides are powers of two, corners
    at multiples of them. Where there are any, codes 0 and 1 have one colour."""

    @property
    def digest(self) -> str:
        """Of all of it, for keys."""
        return key_of("look", self.colours.tobytes().hex(), self.rest)

    def colour(self, codes: NDArray[np.uint8], area: Rect, level: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Codes of an area of a level, 1 in `rest`, which then has the colour of the ground; and the table."""
        if not self.rest:
            return codes, self.colours
        codes[codes == 1] = 0
        for x, y, side in (tuple(n >> level for n in square) for square in self.rest):
            left, top = max(x - area.x, 0), max(y - area.y, 0)
            codes[top : max(y + side - area.y, 0), left : max(x + side - area.x, 0)] = 1
        colours = self.colours.copy()
        colours[1] = rgb(GROUND)
        return codes, colours


def magnitude_range(counts: NDArray[np.int64]) -> tuple[float, float]:
    """5th and 95th percentile of the magnitudes of one level, from how often each of the 256 codes occurs.

    Bin centres, value × unit; (2^-10, 2) where no pixel has a magnitude.
    """
    codes = sorted((c for c in range(256) if code.magnitude(c) > 0), key=code.magnitude)
    reached = np.cumsum(counts[codes])
    if not codes or reached[-1] == 0:
        return 2.0**-10, 2.0
    low, high = (int(np.searchsorted(reached, share * reached[-1])) for share in (0.05, 0.95))
    return code.magnitude(codes[low]), code.magnitude(codes[min(high, len(codes) - 1)])


def reduced(bounds: Rect, level: int) -> Rect:
    """The pixels of a level that show `bounds` (pixels of level 0)."""
    side = 1 << level
    x, y = bounds.x // side, bounds.y // side
    return Rect(x, y, -(-(bounds.x + bounds.width) // side) - x, -(-(bounds.y + bounds.height) // side) - y)


def whole_level(pyramid: Pyramid, bounds: Rect, level: int, get: GetBlob) -> NDArray[np.uint8]:
    """The codes of all that is drawn, at one level, cropped to `bounds` (pixels of level 0)."""
    area = reduced(bounds, level)
    picture = np.zeros((area.height, area.width), np.uint8)
    for (at, x, y), key in pyramid.tiles.items():
        if at == level:
            _paste(picture, decode_gray(tile_bytes(key, get)), x * TILE - area.x, y * TILE - area.y)
    return picture


def _paste(picture: NDArray[np.uint8], tile: NDArray[np.uint8], x: int, y: int) -> None:
    height, width = picture.shape
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + TILE, width), min(y + TILE, height)
    picture[y0:y1, x0:x1] = tile[y0 - y : y1 - y, x0 - x : x1 - x]


def level_within(bounds: Rect, levels: int, fits: Callable[[int, int], bool]) -> int | None:
    """The deepest level at which a picture of `bounds` has a width and height that fit; None if none does."""
    sizes = ((k, reduced(bounds, k)) for k in range(levels))
    return next((k for k, area in sizes if fits(area.width, area.height)), None)


def coloured(
    pyramid: Pyramid, bounds: Rect, level: int, get: GetBlob, look: Look | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Codes of a level and the table (256 × 3) that colours them: by `look`, or for values the window fitted to that level."""
    codes = whole_level(pyramid, bounds, level, get)
    return (
        (codes, table(DEFAULT, *_window(pyramid, level))) if look is None else look.colour(codes, reduced(bounds, level), level)
    )


def _window(pyramid: Pyramid, level: int) -> tuple[float, float]:
    return fitted(*magnitude_range(pyramid.counts[level]))


def overview_level(canvas: Canvas, levels: int) -> int:
    """The level whose tiles that picture is made of."""
    level = level_within(canvas.bounds, levels, lambda w, h: max(w, h) <= OVERVIEW_SIDE)
    return levels - 1 if level is None else level


def overview(
    pyramid: Pyramid,
    canvas: Canvas,
    blobs: Blobs,
    form: Literal["png", "avif"],
    look: Look | None = None,
) -> bytes:
    """The picture that cards and previews show, at most `OVERVIEW_SIDE` wide and high; made only if `blobs` lacks it."""
    bounds, level = canvas.bounds, overview_level(canvas, pyramid.levels)
    tiles = [[x, y, key] for (at, x, y), key in pyramid.tiles.items() if at == level]
    window = [end.hex() for end in _window(pyramid, level)] if look is None else look.digest
    name = key_of("overview picture", VERSION, tiles, level, astuple(bounds), DEFAULT, window, form)
    kept = blobs.get(name)
    if kept is not None:
        return kept
    codes, colours = coloured(pyramid, bounds, level, blobs.get, look)
    if form == "png":
        data = encode_coloured(codes, colours)
        blobs.put_png(name, data)
    else:
        data = encode_avif(colours[codes])
        blobs.put(name, data)
    return data


def write_picture(
    pyramid: Pyramid,
    canvas: Canvas,
    get: GetBlob,
    path: Path,
    side: int | None,
    look: Look | None = None,
) -> tuple[int, int]:
    """Write the whole canvas as a palette PNG at the deepest level that fits; returns its width and height.

    `side` limits its longest side, otherwise it has at most `PICTURE_PIXELS` pixels.
    """
    fits: Any = (lambda w, h: w * h <= PICTURE_PIXELS) if side is None else (lambda w, h: max(w, h) <= side)
    level = level_within(canvas.bounds, pyramid.levels, fits)
    if level is None:
        raise UsageError(f"--png-size {side}: no level is that small; the smallest is {TILE} pixels or less")
    codes, colours = coloured(pyramid, canvas.bounds, level, get, look)
    data = encode_coloured(codes, colours)
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise SiteError(f"{path}: cannot be written: {error.strerror}") from None
    return codes.shape[1], codes.shape[0]
