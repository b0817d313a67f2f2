"""The chunks of files in, where xet stores them out: which bytes of a file lie in which chunks of which xorb.

A file on the Hub has its xorbs: a reconstruction tells them. A local one has none yet, so `store` gives it those that it would
get: models uploaded one after the other, each chunk stored where it is met first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from mwv.hub.terms import Term
from mwv.xet.chunks import Chunks
from mwv.xet.merkle import file_hash, hash_text

XORB_BYTES: Final = 64 << 20
XORB_CHUNKS: Final = 8192
"""What a xorb holds at most."""


@dataclass(frozen=True, eq=False)
class StoredFile:
    """What is known of how a file is stored: its chunks, the terms of its reconstruction, or both; both in order."""

    name: str
    hash: str
    """Xet's hash of the file, as xet writes it; empty where that was not asked for."""
    lengths: NDArray[np.uint32]
    """Bytes of each chunk; none if only its terms are known."""
    ids: NDArray[np.uint64]
    """The first 8 bytes of each chunk's hash: of 2^22 chunks, two meet by chance with probability 2^-21."""
    terms: tuple[Term, ...] = ()
    """None if it was not uploaded."""
    guessed: tuple[int, ...] = ()
    """Numbers of the terms of whose chunks only the places are known: they have even parts of the term's bytes."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(term.length for term in self.terms) if self.terms else int(self.lengths.sum(dtype=np.int64))

    @property
    def guessed_bytes(self) -> int:
        """Bytes that lie in chunks of unknown length."""
        if not len(self.ids):
            return sum(term.length for term in self.terms)
        return sum(self.terms[number].length for number in self.guessed)

    def known_runs(self) -> list[tuple[int, int]]:
        """First chunk, and the one behind the last, of each run of chunks whose lengths are known."""
        if not self.guessed:
            return [(0, len(self.lengths))] if len(self.lengths) else []
        runs: list[tuple[int, int]] = []
        at, guessed = 0, set(self.guessed)
        for number, term in enumerate(self.terms):
            end = at + term.last - term.first
            if number not in guessed:
                begin = runs.pop()[0] if runs and runs[-1][1] == at else at
                runs.append((begin, end))
            at = end
        return runs


def local_file(name: str, chunks: Chunks) -> StoredFile:
    """A file of this machine."""
    ids = np.ascontiguousarray(chunks.hashes[:, :8]).view("<u8")[:, 0].astype(np.uint64)
    return StoredFile(name, hash_text(file_hash(chunks)), chunks.lengths, ids)


def id_of(chunk: bytes) -> int:
    """The id of a chunk by its hash."""
    return int.from_bytes(chunk[:8], "little")


def store(models: Sequence[Sequence[StoredFile]]) -> list[list[StoredFile]]:
    """The files of models with terms: those that have none get them as uploads would store them.

    Each model is an upload of its own, in this order, and begins a new xorb, as the Hub's client does. Chunks that the Hub is
    known to have stay where they lie.
    """
    places: dict[int, tuple[str, int]] = {}
    for file in (file for files in models for file in files):
        spots = ((term.xorb, index) for term in file.terms for index in range(term.first, term.last))
        for chunk, spot in zip(file.ids.tolist(), spots, strict=False):
            places.setdefault(chunk, spot)
    done = []
    xorb = -1
    for files in models:
        chunks, filled = XORB_CHUNKS, 0
        own = []
        for file in files:
            if file.terms:
                own.append(file)
                continue
            terms: list[Term] = []
            for chunk, length in zip(file.ids.tolist(), file.lengths.tolist(), strict=True):
                known = places.get(chunk)
                if known is None:
                    if chunks == XORB_CHUNKS or filled + length > XORB_BYTES:
                        xorb, chunks, filled = xorb + 1, 0, 0
                    known = places[chunk] = (f"#{xorb}", chunks)
                    chunks, filled = chunks + 1, filled + length
                _extend(terms, *known, length)
            own.append(replace(file, terms=tuple(terms)))
        done.append(own)
    return done


def _extend(terms: list[Term], xorb: str, chunk: int, length: int) -> None:
    """Add a chunk at the end: to the last term if it follows there, else as a term of its own."""
    last = terms[-1] if terms else None
    if last is not None and (last.xorb, last.last) == (xorb, chunk):
        terms[-1] = Term(xorb, last.first, chunk + 1, last.length + length)
    else:
        terms.append(Term(xorb, chunk, chunk + 1, length))


def units(file: StoredFile) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """What a file shares with others if it is equal, and the bytes of each: its chunks by their ids.

    Where only terms are known, a chunk is known by its xorb and its place there, and has its even part of the term's bytes.
    """
    if len(file.ids):
        return file.ids, file.lengths.astype(np.int64)
    ids = [_place_id(term.xorb, index) for term in file.terms for index in range(term.first, term.last)]
    lengths = [np.diff(np.linspace(0, term.length, term.last - term.first + 1).astype(np.int64)) for term in file.terms]
    return np.array(ids, np.uint64), np.concatenate([np.zeros(0, np.int64), *lengths])


def _place_id(xorb: str, index: int) -> int:
    return int.from_bytes(blake3(f"{xorb}/{index}".encode()).digest(length=8), "little")
