"""The bytes of a blob in, a verdict out: is it what was written, judged from the blob alone.

A blob is one of two things. A PNG proves itself by the CRC of each chunk. Anything else ends in a seal of 40 bytes: the
header of an ISO-BMFF box named `free`, and in it the BLAKE3 of everything before the seal. An AVIF with such a box at its
end is still an AVIF, and a PMTiles archive, whose offsets are absolute, is still a PMTiles archive; so both can be
linked into a site as they are. The fixed box header at a fixed distance from the end is what tells a truncated blob cheaply.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from blake3 import blake3
from isal import isal_zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SEAL_BYTES = 40
_SEAL_HEADER = SEAL_BYTES.to_bytes(4, "big") + b"free"
_IEND = b"\0\0\0\0IEND\xaeB`\x82"
_IHDR_BYTES = 33  # with the signature before it
_PIECE = 1 << 20


def seal(body: bytes) -> bytes:
    """The 40 bytes that follow `body` in a blob that is no PNG."""
    return _SEAL_HEADER + blake3(body).digest()


@dataclass(frozen=True)
class Sealed:
    """The parts of what is no PNG, which may be gone through more than once, and its seal behind them."""

    parts: Iterable[bytes]

    def __iter__(self) -> Iterator[bytes]:
        """All parts of the blob."""
        hasher = blake3()
        for part in self.parts:
            hasher.update(part)
            yield part
        yield _SEAL_HEADER + hasher.digest()


def body_of(data: bytes) -> bytes:
    """What was put: a PNG as it is, anything else without its seal."""
    return data if data.startswith(PNG_SIGNATURE) else data[:-SEAL_BYTES]


def plausible(fd: int) -> bool:
    """The cheap check of each reuse, in three system calls: length, and both ends. Raises OSError."""
    size = os.fstat(fd).st_size
    head = os.pread(fd, _IHDR_BYTES, 0)
    if head.startswith(PNG_SIGNATURE):
        return (
            size >= _IHDR_BYTES + len(_IEND)
            and head[8:16] == b"\0\0\0\rIHDR"
            and isal_zlib.crc32(head[12:29]) == int.from_bytes(head[29:33], "big")
            and os.pread(fd, len(_IEND), size - len(_IEND)) == _IEND
        )
    return size >= SEAL_BYTES and os.pread(fd, len(_SEAL_HEADER), size - SEAL_BYTES) == _SEAL_HEADER


def intact(stream: BinaryIO, size: int) -> bool:
    """The whole check of a blob of `size` bytes, read from its start in pieces of at most 1 MiB. Raises OSError."""
    signature = stream.read(len(PNG_SIGNATURE))
    if signature == PNG_SIGNATURE:
        return _png_intact(stream, size)
    if size < SEAL_BYTES:
        return False
    hasher = blake3()
    stream.seek(0)
    left = size - SEAL_BYTES
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            return False
        hasher.update(piece)
        left -= len(piece)
    return stream.read(SEAL_BYTES) == _SEAL_HEADER + hasher.digest()


def _png_intact(stream: BinaryIO, size: int) -> bool:
    """Every chunk's CRC (PNG specification, section 5), IHDR first, IEND last and nothing after it."""
    left = size - len(PNG_SIGNATURE)
    kind, first = b"", True
    while left >= 12:
        header = stream.read(8)
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        left -= 12 + length
        if left < 0 or first is not (kind == b"IHDR"):
            return False
        first = False
        crc = isal_zlib.crc32(kind)
        while length:
            piece = stream.read(min(length, _PIECE))
            if not piece:
                return False
            crc = isal_zlib.crc32(piece, crc)
            length -= len(piece)
        if stream.read(4) != crc.to_bytes(4, "big"):
            return False
        if kind == b"IEND":
            break
    return kind == b"IEND" and left == 0
