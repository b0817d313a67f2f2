"""In: xorbs and shards. Out: a content-addressed store: files rebuilt byte for byte, and the terms of any range of them."""

import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .xetformat import (
    Chunk,
    Malformed,
    ShardFile,
    Term,
    decode_chunk,
    file_hash,
    is_asked_for,
    parse_shard,
    parse_xorb,
    shard_of_xorbs,
    to_hex,
)


@dataclass(frozen=True)
class Reconstruction:
    """How a range is put together: the terms in order, and how many bytes of the first one to leave out."""

    offset: int
    terms: tuple[Term, ...]

    def runs(self) -> dict[str, list[tuple[int, int]]]:
        """The chunk ranges to fetch of every xorb: sorted, and those that touch joined."""
        runs: dict[str, list[tuple[int, int]]] = {}
        for term in sorted(self.terms, key=lambda term: (term.first, term.last)):
            seen = runs.setdefault(term.xorb, [])
            if seen and term.first <= seen[-1][1]:
                seen[-1] = seen[-1][0], max(seen[-1][1], term.last)
            else:
                seen.append((term.first, term.last))
        return runs


class Cas:
    """Xorbs lie in a folder, what is known about them and about files in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.xorbs: dict[str, list[Chunk]] = {}
        self.files: dict[str, ShardFile] = {}
        self._by_sha256: dict[str, str] = {}
        self._told: dict[str, list[str]] = {}
        """The xorbs of the shard that a chunk came with, by its hash, for those that may be asked for."""
        self._lock = threading.Lock()

    def add_xorb(self, name: str, body: bytes) -> bool:
        """Check and store a xorb; False if it was there. Raises Malformed."""
        chunks = parse_xorb(body, name)
        with self._lock:
            fresh = name not in self.xorbs
            if fresh:
                (self.folder / name).write_bytes(body)
                self.xorbs[name] = chunks
        return fresh

    def add_shard(self, body: bytes) -> None:
        """Check all files of a shard against the xorbs that are here, then take them over. Raises Malformed."""
        files, xorbs = parse_shard(body)
        for file in files:
            self._check(file)
        if not self.xorbs.keys() >= set(xorbs):
            raise Malformed("a xorb that is not here")
        with self._lock:
            first = {self.xorbs[term.xorb][term.first].hash for file in files for term in file.terms[:1]}
            for chunk in (chunk.hash for name in xorbs for chunk in self.xorbs[name]):
                if chunk in first or is_asked_for(chunk):
                    self._told[to_hex(chunk)] = xorbs
            for file in files:
                self.files[file.hash] = file
                if file.sha256 is not None:
                    self._by_sha256[file.sha256] = file.hash

    def _check(self, file: ShardFile) -> None:
        leaves = []
        for term in file.terms:
            chunks = self.xorbs.get(term.xorb, [])[term.first : term.last]
            if len(chunks) != term.last - term.first or sum(chunk.length for chunk in chunks) != term.length:
                raise Malformed(f"a file with a term that xorb {term.xorb[:8]} does not hold")
            leaves += [(chunk.hash, chunk.length) for chunk in chunks]
        if to_hex(file_hash(leaves)) != file.hash:
            raise Malformed("a file that is not what its hash says")

    def shard_with(self, chunk: str) -> bytes | None:
        """The xorbs that came with a chunk, their chunks' hashes under a new key; None if the chunk cannot be asked for."""
        xorbs = self._told.get(chunk)
        if xorbs is None:
            return None
        return shard_of_xorbs(
            {name: self.xorbs[name] for name in xorbs}, secrets.token_bytes(32), int(time.time()) + 14 * 86_400
        )

    def by_sha256(self, sha256: str) -> str | None:
        return self._by_sha256.get(sha256)

    def size(self, name: str) -> int:
        return sum(term.length for term in self.files[name].terms)

    def xorb_bytes(self, name: str, start: int, stop: int) -> bytes:
        with (self.folder / name).open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def xorb_size(self, name: str) -> int:
        return self.xorbs[name][-1].stop

    def span(self, name: str, first: int, last: int) -> tuple[int, int]:
        """Where chunks `first`…`last` (half open) of a xorb lie in it, half open."""
        chunks = self.xorbs[name]
        return chunks[first].start, chunks[last - 1].stop

    def chunks(self, name: str) -> list[Chunk]:
        """The chunks of a file, in order."""
        return [chunk for term in self.files[name].terms for chunk in self.xorbs[term.xorb][term.first : term.last]]

    def reconstruction(self, name: str, start: int, stop: int) -> Reconstruction:
        """The terms of bytes `start`…`stop` of a file, cut to the chunks that are needed."""
        terms, offset, at = [], 0, 0
        for term in self.files[name].terms:
            first = last = term.first
            length = 0
            for number in range(term.first, term.last):
                size = self.xorbs[term.xorb][number].length
                if start < at + size and at < stop:
                    if not length:
                        first = number
                        offset = offset if terms else start - at
                    length, last = length + size, number + 1
                at += size
            if length:
                terms.append(Term(term.xorb, first, last, length))
        return Reconstruction(offset, tuple(terms))

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Bytes `start`…`stop` of a file."""
        plan = self.reconstruction(name, start, stop)
        pieces = []
        for term in plan.terms:
            chunks = self.xorbs[term.xorb][term.first : term.last]
            body = self.xorb_bytes(term.xorb, chunks[0].start, chunks[-1].stop)
            for chunk in chunks:
                place = chunk.start - chunks[0].start
                pieces.append(decode_chunk(chunk.scheme, body[place + 8 : chunk.stop - chunks[0].start]))
        return b"".join(pieces)[plan.offset : plan.offset + stop - start]
