"""What is known of the chunks of xorbs in, files of the Hub with their chunks out: so they meet files of this machine.

A reconstruction tells in which chunks of which xorbs a file lies, not which chunks these are. That comes from lists of xorbs,
and from files of which terms and chunks are known.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mwv.xet.chunks import Chunks
from mwv.xet.shard import XorbList, keyed
from mwv.xet.stored import StoredFile, id_of, units


@dataclass(frozen=True, eq=False)
class Known:
    """The chunks of a xorb by their places in it."""

    lengths: NDArray[np.uint32]
    """0 where it is not known."""
    ids: NDArray[np.uint64]
    """As in `StoredFile`; 0 where it is not known, or a chunk that no file of this machine has."""


@dataclass(frozen=True, eq=False)
class Places:
    """The xorbs of some files."""

    xorbs: dict[str, Known] = field(default_factory=dict)
    placed: set[int] = field(default_factory=set)
    """Ids of chunks of this machine whose places are known."""

    @classmethod
    def of(cls, files: Iterable[StoredFile]) -> "Places":
        """Nothing is known yet of the xorbs that these files of the Hub name."""
        chunks: dict[str, int] = {}
        for term in (term for file in files for term in file.terms):
            chunks[term.xorb] = max(chunks.get(term.xorb, 0), term.last)
        return cls({xorb: Known(np.zeros(n, np.uint32), np.zeros(n, np.uint64)) for xorb, n in chunks.items()})

    @property
    def unknown(self) -> set[str]:
        """Xorbs with chunks of unknown length."""
        return {xorb for xorb, known in self.xorbs.items() if not known.lengths.all()}

    def learn_file(self, file: StoredFile) -> None:
        """Take note of a file with terms and chunks, as far as they agree and nothing is known yet."""
        at = 0
        for number, term in enumerate(file.terms):
            end = at + term.last - term.first
            lengths, ids = file.lengths[at:end], file.ids[at:end]
            known, at = self.xorbs.get(term.xorb), end
            if known is None or number in file.guessed or end > len(file.ids) or lengths.sum(dtype=np.int64) != term.length:
                continue
            here = slice(term.first, term.last)
            known.lengths[here] = np.where(known.lengths[here] == 0, lengths, known.lengths[here])
            known.ids[here] = np.where(known.ids[here] == 0, ids, known.ids[here])
            self.placed.update(ids.tolist())

    def learn_list(self, told: XorbList, chunks: dict[bytes, bytes]) -> None:
        """Take note of a xorb's list; `chunks` of this machine by what the list says of them, see `keyed`."""
        known = self.xorbs.get(told.xorb)
        if known is None or len(known.ids) > len(told.chunks.lengths):
            return
        n = len(known.ids)
        known.lengths[:] = told.chunks.lengths[:n]
        for place, row in enumerate(told.chunks.hashes[:n]):
            if (chunk := chunks.get(row.tobytes())) is not None:
                known.ids[place] = id_of(chunk)
                self.placed.add(id_of(chunk))

    def refined(self, file: StoredFile) -> StoredFile:
        """A file of the Hub with its chunks, as far as its terms are known; the file itself if none is."""
        ids, lengths, guessed = [], [], []
        for number, term in enumerate(file.terms):
            found, parts = units(replace(file, terms=(term,)))
            known = self.xorbs[term.xorb]
            own, sizes = known.ids[term.first : term.last], known.lengths[term.first : term.last]
            if sizes.all() and int(sizes.sum(dtype=np.int64)) == term.length:
                found, parts = np.where(own != 0, own, found), sizes.astype(np.int64)
            else:
                guessed.append(number)
            ids.append(found)
            lengths.append(parts)
        if len(guessed) == len(file.terms):
            return file
        return replace(file, ids=np.concatenate(ids), lengths=np.concatenate(lengths).astype(np.uint32), guessed=tuple(guessed))


def by_lists(chunks: Iterable[Chunks], key: bytes) -> dict[bytes, bytes]:
    """All chunks of some files, by what lists under a key say of them."""
    hashes = [row.tobytes() for found in chunks for row in found.hashes]
    return dict(zip(keyed(hashes, key), hashes, strict=True))
