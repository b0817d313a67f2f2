"""A Summary of values in, the body of a cached blob out, and back."""

import struct
from typing import Final, cast

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from mwv.pyramid.kind import Summary
from mwv.pyramid.plan import TILE
from mwv.pyramid.reduce import Sums

_HEADER: Final = struct.Struct("<4s5I")
_MAGIC: Final = b"mwvS"
_MOST_LEVELS: Final = 64
_DAMAGE: Final = cast("type[Exception]", isal_zlib.error)


def pack(summary: Summary[Sums]) -> bytes:
    """The sums of a tile and the counts below it, little-endian.

    Magic, number of levels and the rectangle (y, x, height, width) that holds all pixels that are not padding; Σv and Σv² of
    that rectangle as float32, which are noise and stay as they are; then deflated, since nearly constant: n as uint32 and
    the flags as bytes of that rectangle, and the counts as int64 (levels × 256).
    """
    sums = summary.sums
    shown = (sums.count > 0) | (sums.flags > 0)
    y, height = _extent(np.any(shown, axis=1))
    x, width = _extent(np.any(shown, axis=0))
    part = sums.window(y, x, height, width)
    plain = part.total.astype("<f4").tobytes() + part.square.astype("<f4").tobytes()
    rest = part.count.astype("<u4").tobytes() + part.flags.tobytes() + summary.counts.astype("<i8").tobytes()
    return _HEADER.pack(_MAGIC, len(summary.counts), y, x, height, width) + plain + isal_zlib.compress(rest, 1)


def _extent(shown: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the true entries begin, and the length up to the last."""
    places = np.flatnonzero(shown)
    return (int(places[0]), int(places[-1] - places[0] + 1)) if places.size else (0, 0)


def unpack(body: bytes) -> Summary[Sums] | None:
    """The summary that was packed, or None if the body is not one."""
    if len(body) < _HEADER.size:
        return None
    magic, levels, y, x, height, width = _HEADER.unpack_from(body)
    if magic != _MAGIC or levels > _MOST_LEVELS or y + height > TILE or x + width > TILE:
        return None
    pixels = height * width
    packed = _HEADER.size + 8 * pixels
    wanted = 5 * pixels + levels * 2048
    try:
        rest = isal_zlib.decompressobj().decompress(body[packed:], wanted + 1)
    except _DAMAGE:
        return None
    if len(rest) != wanted:
        return None
    sums = Sums.empty(TILE, TILE)
    target = sums.window(y, x, height, width)
    shape = (height, width)
    target.total[...] = np.frombuffer(body, "<f4", pixels, _HEADER.size).reshape(shape)
    target.square[...] = np.frombuffer(body, "<f4", pixels, _HEADER.size + 4 * pixels).reshape(shape)
    target.count[...] = np.frombuffer(rest, "<u4", pixels).reshape(shape)
    target.flags[...] = np.frombuffer(rest, "u1", pixels, 4 * pixels).reshape(shape)
    return Summary(sums, np.frombuffer(rest, "<i8", levels * 256, 5 * pixels).reshape(levels, 256))
