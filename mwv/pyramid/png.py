"""Codes of a tile in, the bytes of a grayscale PNG out, and back.

Pillow writes such a file in 1.2 ms for 256 × 256 pixels, ISA-L in 0.1 ms. A match window of 2^9 bytes is the fastest
setting and, on weights, which have no repetitions, also the smallest.
"""

import io
import struct
from typing import Any, Final

import numpy as np
from isal import igzip_lib, isal_zlib
from numpy.typing import NDArray
from PIL import Image

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HISTORY_BITS: Final = 9


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk: length, kind, body, checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", isal_zlib.crc32(body, isal_zlib.crc32(kind)))


def encode_scanlines(lines: NDArray[np.uint8]) -> bytes:
    """An 8-bit grayscale PNG of contiguous scan lines (height × (1 + width)), each led by the filter byte 0."""
    height, width = lines.shape[0], lines.shape[1] - 1
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    # The array is passed as it is: ISA-L reads any contiguous buffer.
    data: Any = igzip_lib.compress(
        lines, 1, flag=igzip_lib.COMP_ZLIB, mem_level=igzip_lib.MEM_LEVEL_EXTRA_LARGE, hist_bits=_HISTORY_BITS
    )
    return _SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def decode_gray(data: bytes) -> NDArray[np.uint8]:
    """The pixels (height × width) of a grayscale PNG."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image, np.uint8)
