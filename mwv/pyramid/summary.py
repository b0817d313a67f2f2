"""A Summary in, the body of a cached blob out, and back."""

import struct
from typing import Final, cast

import numpy as np
from isal import igzip_lib, isal_zlib

from mwv.pyramid.draw import Summary
from mwv.pyramid.plan import TILE
from mwv.pyramid.reduce import Sums

_HEADER: Final = struct.Struct("<4sI")
_MAGIC: Final = b"mwvS"
# The stubs of isal take this class for an instance.
_DEFLATE_ERROR: Final = cast("type[Exception]", igzip_lib.IsalError)
_PLANES: Final = tuple(np.dtype(t) for t in ("<f4", "<f4", "<u4", "u1"))
_PIXELS: Final = TILE * TILE
_LENGTH: Final = _PIXELS * sum(t.itemsize for t in _PLANES)


def pack(summary: Summary) -> bytes:
    """Magic, number of levels, then deflated: the four planes of the sums and the counts as int64, all little-endian."""
    planes = [plane.astype(t, copy=False).tobytes() for plane, t in zip(summary.sums.planes, _PLANES, strict=True)]
    counts = summary.counts.astype("<i8", copy=False)
    return _HEADER.pack(_MAGIC, len(counts)) + isal_zlib.compress(b"".join([*planes, counts.tobytes()]), 1)


def unpack(body: bytes) -> Summary | None:
    """The summary that was packed, or None if the body is not one."""
    try:
        magic, levels = _HEADER.unpack_from(body)
        data = isal_zlib.decompress(body[_HEADER.size :], bufsize=_LENGTH + levels * 2048)
    except (struct.error, _DEFLATE_ERROR):
        return None
    if magic != _MAGIC or len(data) != _LENGTH + levels * 2048:
        return None
    planes, offset = [], 0
    for t in _PLANES:
        planes.append(np.frombuffer(data, t, _PIXELS, offset).reshape(TILE, TILE))
        offset += _PIXELS * t.itemsize
    return Summary(Sums(*planes), np.frombuffer(data, "<i8", offset=offset).reshape(levels, 256))
