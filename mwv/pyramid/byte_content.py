"""A stream of bytes in; the plan of their curve, and for each tile its bytes and their digest, out, read a tile at a time.

A tile of the curve is `CHUNK` consecutive bytes. They are read, hashed and counted once, kept until their block is drawn, and
read again only where that cannot be; then they must give the digest they gave before.
"""

import struct
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Final, NamedTuple, cast

import numpy as np
from blake3 import blake3
from isal import isal_zlib
from numpy.typing import NDArray

from mwv.checkpoint.source import Range
from mwv.checkpoint.stream import Part, Stream
from mwv.errors import SourceChangedError
from mwv.layout.canvas import Canvas, Grid, Piece, Placement, Role
from mwv.layout.hilbert import Curve, Turn, box
from mwv.pyramid.byte_kernels import unroll
from mwv.pyramid.bytes import Unrolled
from mwv.pyramid.deflate import count_bytes
from mwv.pyramid.plan import BLOCK, STRIP, TILE, Plan, Window, make_plan
from mwv.pyramid.survey import Traffic

CHUNK: Final = TILE * TILE
VERSION: Final = 1
"""Of what is learnt about streams."""
_DIGEST: Final = 32
_HEADER: Final = struct.Struct("<4sII")
_MAGIC: Final = b"mwvF"
_DAMAGE: Final = cast("type[Exception]", isal_zlib.error)


@dataclass(frozen=True, eq=False)
class Learnt:
    """What reading a stream tells of it."""

    chunks: tuple[bytes, ...]
    """Digest of each chunk."""
    files: tuple[bytes, ...]
    """Digest of each file: of the digests of its parts in the chunks."""
    counts: NDArray[np.int64]
    """How often each byte occurs in each file: (files, 256)."""

    def to_bytes(self) -> bytes:
        """For the cache."""
        head = _HEADER.pack(_MAGIC, len(self.chunks), len(self.files))
        return head + b"".join((*self.chunks, *self.files)) + isal_zlib.compress(self.counts.astype("<i8").tobytes(), 1)

    @classmethod
    def from_bytes(cls, body: bytes) -> "Learnt":
        """Raises ValueError if it is no such thing."""
        if len(body) < _HEADER.size:
            raise ValueError("too short")
        magic, chunks, files = _HEADER.unpack_from(body)
        end = _HEADER.size + (chunks + files) * _DIGEST
        if magic != _MAGIC or len(body) < end:
            raise ValueError("damaged")
        try:
            counts = np.frombuffer(isal_zlib.decompress(body[end:]), "<i8").reshape(files, 256)
        except _DAMAGE:
            raise ValueError("damaged") from None
        digests = [body[at : at + _DIGEST] for at in range(_HEADER.size, end, _DIGEST)]
        return cls(tuple(digests[:chunks]), tuple(digests[chunks:]), counts.astype(np.int64))


def byte_canvas(length: int) -> Canvas:
    """The canvas of so many bytes: a placement for each block that has any, its pieces whole tiles."""
    curve = Curve(length)
    high, wide = min(BLOCK, curve.height), min(BLOCK, curve.width)
    grid = Grid(high, wide, wide, high * wide)
    tiles: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for chunk in range(-(-length // CHUNK)):
        x, y = curve.point(chunk * CHUNK)
        x, y = x - x % TILE, y - y % TILE
        tiles.setdefault((x // wide * wide, y // high * high), []).append((x, y))
    placements = []
    for (left, top), found in tiles.items():
        pieces = tuple(Piece(x, y, y - top, x - left, TILE, TILE) for x, y in sorted(found, key=lambda at: (at[1], at[0])))
        if len(found) * CHUNK == high * wide:
            pieces = (Piece(left, top, 0, 0, high, wide),)
        placements.append(Placement(f"{left},{top}", 0, None, grid, Role("", None, ""), pieces))
    return Canvas(box(list(curve.squares(0, length))), tuple(placements), ())


@lru_cache(maxsize=4)
def _places(turn: Turn) -> NDArray[np.int32]:
    """Which byte of its chunk each pixel of a tile shows: (512, 512)."""
    x, y = np.meshgrid(np.arange(TILE), np.arange(TILE))
    if turn.mirrored:
        x, y = TILE - 1 - x, TILE - 1 - y
    if turn.swapped:
        x, y = y, x
    found = np.zeros((TILE, TILE), np.int32)
    half = TILE >> 1
    while half:  # as Curve.offset, for all pixels at once
        across, down = (x & half) > 0, (y & half) > 0
        found += half * half * ((3 * across) ^ down)
        x, y = x & (half - 1), y & (half - 1)
        turned = across & ~down
        x, y = np.where(turned, half - 1 - x, x), np.where(turned, half - 1 - y, y)
        x, y = np.where(down, x, y), np.where(down, y, x)
        half >>= 1
    return found


class _Chunk(NamedTuple):
    """What a tile shows: its bytes, 0 in holes, and where there are any; None if everywhere."""

    codes: NDArray[np.uint8]
    there: NDArray[np.bool_] | None

    @property
    def nbytes(self) -> int:
        """Bytes that are there."""
        return self.codes.size if self.there is None else int(np.count_nonzero(self.there))

    def digest(self) -> bytes:
        """Of the bytes, and of where holes are."""
        hashed = blake3(self.codes.data)
        if self.there is not None:
            hashed.update(np.packbits(self.there).data)
        return hashed.digest()


@dataclass(eq=False)
class ByteContent:
    """What scenes of bytes show. Safe from several threads as long as no two work on one block."""

    stream: Stream
    known: Learnt | None = None
    """What an earlier build learnt, if the files are unchanged."""
    room: int = 64 << 20
    """Bytes that may be held for drawing."""
    traffic: Traffic = field(default_factory=Traffic)

    def __post_init__(self) -> None:
        """Nothing is read yet."""
        stream = self.stream
        self._length = stream.length
        self._curve = Curve(self._length)
        self.canvas = byte_canvas(self._length)
        self.plan: Plan = make_plan(self.canvas)
        self._corners = [tuple(map(int, placement.name.split(","))) for placement in self.canvas.placements]
        self._lock = Lock()
        self._held: OrderedDict[int, _Chunk] = OrderedDict()
        self._drawn: set[int] = set()
        self._digests: dict[int, bytes] = dict(enumerate(self.known.chunks)) if self.known else {}
        self._parts: dict[tuple[int, int], bytes] = {}
        """Digest of the bytes of a file in a chunk."""
        self._counts = np.zeros((len(stream.sources), 256), np.int64)

    def expect_all(self) -> None:
        """Tell the files that all of them is going to be read, if nothing is known of them."""
        if self.known is None:
            for source, name in zip(self.stream.sources, self.stream.names, strict=True):
                source.expect([Range(0, source.size, name)])

    def blocks(self) -> list[tuple[int, int]]:
        """The blocks of the plan as the curve comes to them."""
        return sorted(self.plan.blocks, key=lambda at: self._curve.part(at[0] * BLOCK, at[1] * BLOCK, TILE)[0] // BLOCK**2)

    def content(self, window: Window) -> list[object]:
        """What the key of a leaf says of it: its bytes, and how the curve lies in it."""
        chunk, turn = self._chunk(window.placement, window.row, window.col)
        return ["chunk", self._digest(chunk).hex(), min(CHUNK, self._length - chunk * CHUNK), *turn]

    def samples(self, index: int, band: int, col: int, cols: int) -> Unrolled:
        """The pixels of 64 rows of a block, whole tiles across."""
        codes, real = np.empty((STRIP, cols), np.uint8), np.empty((STRIP, cols), np.uint8)
        row = band * STRIP
        for x in range(0, cols, TILE):
            chunk, turn = self._chunk(index, row, col + x)
            place = _places(turn)[row % TILE : row % TILE + STRIP]
            shown = self._shown(chunk)
            unroll(shown.codes, place, codes[:, x : x + TILE], real[:, x : x + TILE])
            if shown.there is not None:
                real[:, x : x + TILE] &= np.pad(shown.there, (0, CHUNK - shown.there.size))[place]
        return Unrolled(codes, real)

    def expect(self, bands: Iterable[tuple[int, int]]) -> None:
        """Tell files what of a block is going to be read."""
        chunks = {chunk for index, band in bands for chunk in self._chunks_of(index, band)}
        with self._lock:
            lacking = sorted(chunks - self._held.keys())
        for chunk in lacking:
            for part in self._stream_parts(chunk):
                if part.there:
                    source = self.stream.sources[part.file]
                    source.expect([Range(part.begin, part.end, self.stream.names[part.file])])

    def release(self, index: int, band: int) -> None:
        """Nothing: several scenes are drawn from a block; `done` lets go of it."""

    def done(self, at: tuple[int, int]) -> None:
        """Let go of a block."""
        with self._lock:
            for index in {window.placement for window in self.plan.blocks[at]}:
                for band in range(self.canvas.placements[index].grid.rows // STRIP):
                    for chunk in self._chunks_of(index, band):
                        self._held.pop(chunk, None)

    def learnt(self) -> Learnt:
        """What there is to know once all has been drawn."""
        if self.known is not None:
            return self.known
        files: list[blake3] = [blake3() for _ in self.stream.sources]
        for (_, file), digest in sorted(self._parts.items()):
            files[file].update(digest)
        chunks = tuple(self._digests[chunk] for chunk in range(-(-self._length // CHUNK)))
        return Learnt(chunks, tuple(file.digest() for file in files), self._counts)

    def _chunk(self, index: int, row: int, col: int) -> tuple[int, Turn]:
        """The chunk that the tile at a place of a placement shows, and how the curve lies in it."""
        left, top = self._corners[index]
        first, turn = self._curve.part(left + col - col % TILE, top + row - row % TILE, TILE)
        return first // CHUNK, turn

    def _chunks_of(self, index: int, band: int) -> Iterator[int]:
        for col in range(0, self.canvas.placements[index].grid.cols, TILE):
            chunk, _ = self._chunk(index, band * STRIP, col)
            if chunk * CHUNK < self._length:
                yield chunk

    def _stream_parts(self, chunk: int) -> Iterator[Part]:
        return self.stream.parts(chunk * CHUNK, min((chunk + 1) * CHUNK, self._length))

    def _digest(self, chunk: int) -> bytes:
        """The digest of a chunk; the first time it is read, and what there is to learn of its files is learnt."""
        digest = self._digests.get(chunk)
        if digest is not None:
            return digest
        parts = list(self._stream_parts(chunk))
        pieces = list(map(self._read, parts))
        shown = _joined(parts, pieces)
        digest = shown.digest()
        found = _by_file(parts, pieces)
        counts = {file: count_bytes(np.frombuffer(own, np.uint8)) for file, own in found.items()}
        with self._lock:
            for file, own in found.items():
                self._parts[chunk, file] = digest if len(parts) == 1 else blake3(own).digest()
                self._counts[file] += counts[file]
            self._digests[chunk] = digest
            self.traffic.hashed += shown.nbytes
            self._hold(chunk, shown)
        return digest

    def _read(self, part: Part) -> bytes:
        return self.stream.sources[part.file].read(part.begin, part.end - part.begin) if part.there else b""

    def _hold(self, chunk: int, shown: _Chunk) -> None:
        self._held[chunk] = shown
        while len(self._held) * CHUNK > self.room and len(self._held) > 1:
            self._held.popitem(last=False)

    def _shown(self, chunk: int) -> _Chunk:
        """The bytes of a chunk, which give its digest."""
        digest = self._digest(chunk)
        with self._lock:
            shown = self._held.get(chunk)
            if shown is not None:
                if chunk not in self._drawn:
                    self._drawn.add(chunk)
                    self.traffic.hashed -= shown.nbytes
                    self.traffic.read += shown.nbytes
                return shown
        parts = list(self._stream_parts(chunk))
        shown = _joined(parts, list(map(self._read, parts)))
        if shown.digest() != digest:
            name = self.stream.names[parts[0].file]
            raise SourceChangedError(f"{name}: its bytes changed while they were being read; build again")
        with self._lock:
            self._drawn.add(chunk)
            self.traffic.read += shown.nbytes
            self._hold(chunk, shown)
        return shown


def _by_file(parts: Sequence[Part], pieces: Sequence[bytes]) -> dict[int, bytes]:
    """The bytes of each file that are there, without the holes between them."""
    found: defaultdict[int, list[bytes]] = defaultdict(list)
    for part, piece in zip(parts, pieces, strict=True):
        if part.there:
            found[part.file].append(piece)
    return {file: b"".join(own) for file, own in found.items()}


def _joined(parts: Sequence[Part], pieces: Sequence[bytes]) -> _Chunk:
    """Bytes one after the other, with holes between them."""
    filled = (piece if part.there else bytes(part.end - part.begin) for part, piece in zip(parts, pieces, strict=True))
    codes = np.frombuffer(pieces[0] if len(parts) == 1 and parts[0].there else b"".join(filled), np.uint8)
    if all(part.there for part in parts):
        return _Chunk(codes, None)
    return _Chunk(codes, np.repeat([part.there for part in parts], [part.end - part.begin for part in parts]))
