"""A Source in, its chunks out: where xet's rolling hash cuts its bytes, and the hash of each piece.

Chunking and hashing as huggingface.co/docs/xet specifies them. A cut depends on the 64 bytes before it alone, so equal runs of
bytes are cut alike wherever they stand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mwv.checkpoint.source import Source
from mwv.compiled import compiled
from mwv.xet.gear import GEAR

SMALLEST: Final = 8 << 10
LARGEST: Final = 128 << 10
"""Bytes of a chunk at least, but for the last of a file, and at most; 64 KiB on average."""
HASH: Final = 32
"""Bytes of a hash."""
VERSION: Final = 1
"""Of how files are cut and hashed; belongs in the key of what is remembered."""
_MASK: Final = 0xFFFF << 48
_WINDOW: Final = 64
"""A hash of 64 bits that is shifted by one at each byte forgets what lies farther back."""
_DATA_KEY: Final = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
_READ: Final = 8 << 20


@dataclass(frozen=True, eq=False)
class Chunks:
    """The chunks of a file in their order."""

    lengths: NDArray[np.uint32]
    hashes: NDArray[np.uint8]
    """(chunks, 32)"""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return int(self.lengths.sum(dtype=np.int64))

    def to_bytes(self) -> bytes:
        """As `from_bytes` takes it: a row of 36 bytes for each chunk, its length (little-endian) and its hash."""
        return np.hstack([self.lengths.astype("<u4").view(np.uint8).reshape(-1, 4), self.hashes]).tobytes()

    @classmethod
    def from_bytes(cls, body: bytes) -> "Chunks":
        """What `to_bytes` gave; raises ValueError for anything that cannot be that."""
        rows = np.frombuffer(body, np.uint8).reshape(-1, 4 + HASH)
        return cls.of_columns(rows[:, :4], rows[:, 4:])

    @classmethod
    def of_columns(cls, lengths: NDArray[np.uint8], hashes: NDArray[np.uint8]) -> "Chunks":
        """From the bytes of lengths (chunks, 4; little-endian) and hashes (chunks, 32); ValueError for lengths of no chunks."""
        found = np.ascontiguousarray(lengths).view("<u4")[:, 0].astype(np.uint32)
        if not ((found > 0) & (found <= LARGEST)).all():
            raise ValueError("lengths of no chunks")
        return cls(found, np.ascontiguousarray(hashes))


def chunks_of(source: Source) -> Chunks:
    """Cut a whole file, in memory for two reads and 36 bytes a chunk."""
    lengths: list[int] = []
    hashes: list[bytes] = []
    for piece in _pieces(source):
        lengths.append(len(piece))
        hashes.append(blake3(piece, key=_DATA_KEY).digest())
    return Chunks(np.array(lengths, np.uint32), np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, HASH))


def _pieces(source: Source) -> Iterator[memoryview]:
    rest: bytes | memoryview = b""
    for offset in range(0, source.size, _READ):
        length = min(_READ, source.size - offset)
        data = b"".join((rest, source.read(offset, length)))
        ends = np.empty(len(data) // SMALLEST + 1, np.int64)
        found = cuts(np.frombuffer(data, np.uint8), GEAR, SMALLEST, LARGEST, _MASK, offset + length == source.size, ends)
        view, begin = memoryview(data), 0
        for end in ends[:found].tolist():
            yield view[begin:end]
            begin = end
        rest = view[begin:]


@compiled()
def cuts(data: Any, gear: Any, smallest: int, largest: int, mask: Any, last: bool, ends: Any) -> int:
    """Put the ends of the chunks in `data`, which begins with one, into `ends`; how many. The `last` data end with the file.

    A chunk has `smallest` bytes at least, which are 64 or more, and `largest` at most; it ends where the hash has no bit of
    `mask`.
    """
    found = begin = 0
    while True:
        stop = min(begin + largest, data.size)
        end = 0
        h = np.uint64(0)
        for i in range(begin + smallest - _WINDOW, min(begin + smallest - 1, stop)):
            h = (h << np.uint64(1)) + gear[data[i]]
        for i in range(begin + smallest - 1, stop):
            h = (h << np.uint64(1)) + gear[data[i]]
            if h & np.uint64(mask) == 0:
                end = i + 1
                break
        if end == 0 and (stop - begin == largest or (last and stop > begin)):
            end = stop
        if end == 0:
            return found
        ends[found] = end
        found += 1
        begin = end
