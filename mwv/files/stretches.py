"""Runs of two files in, how their bytes lie beside each other out: stretches that are equal, replaced, or on one side alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mwv.files.runs import Run

VERSION: Final = 1
"""Of how files are laid side by side."""
EQUAL: Final = 0
REPLACED: Final = 1
ONLY_A: Final = 2
ONLY_B: Final = 3
KINDS: Final = 4
LACKING: Final = (ONLY_B, ONLY_A)
"""The kind of stretches that side 0, or 1, has nothing of."""
_ROW: Final = np.dtype([("kind", "<u1"), ("length", "<i8"), ("differing", "<i8")])


@dataclass(frozen=True, eq=False)
class Stretches:
    """Stretches in order, as columns: (stretches,) each. A replaced byte of one file stands at one of the other; what one side
    alone has stands at nothing. Sides are 0 (a) and 1 (b).
    """

    kinds: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    """Bytes of each, those that stand at each other counted once."""
    differing: NDArray[np.int64]
    """Bytes of each that are not the same in both."""

    @classmethod
    def of(cls, runs: Iterable[Run]) -> "Stretches":
        """Of runs that cover both files."""
        return cls._of([row for run in runs for row in _rows(run)])

    @classmethod
    def alone(cls, side: int, size: int) -> "Stretches":
        """Of a file that only side 0 or 1 has."""
        return cls._of([(LACKING[1 - side], size, size)])

    @classmethod
    def equal(cls, size: int) -> "Stretches":
        """Of two files that are the same."""
        return cls._of([(EQUAL, size, 0)])

    @classmethod
    def _of(cls, rows: list[tuple[int, int, int]]) -> "Stretches":
        kinds, lengths, differing = np.array(rows, np.int64).reshape(-1, 3).T
        return cls(kinds.astype(np.uint8), lengths.copy(), differing.copy())

    @property
    def length(self) -> int:
        """Bytes of both files, those that stand at each other counted once."""
        return int(self.lengths.sum())

    def bytes_of(self, kind: int) -> int:
        """Bytes in stretches of a kind; of replaced ones those that differ, of equal ones also the rest of the replaced."""
        if kind == EQUAL:
            return int((self.lengths - self.differing).sum())
        return int(self.differing[self.kinds == kind].sum())

    def there(self, side: int) -> NDArray[np.bool_]:
        """Which stretches the file of side 0 or 1 has bytes of."""
        found: NDArray[np.bool_] = self.kinds != LACKING[side]
        return found

    def starts(self, side: int) -> NDArray[np.int64]:
        """Where each stretch begins in the file of side 0 or 1."""
        own = self.lengths * self.there(side)
        return np.cumsum(own) - own

    def to_bytes(self) -> bytes:
        """For the cache."""
        rows = np.empty(self.kinds.size, _ROW)
        rows["kind"], rows["length"], rows["differing"] = self.kinds, self.lengths, self.differing
        return rows.tobytes()

    @classmethod
    def from_bytes(cls, body: bytes) -> "Stretches":
        """Raises ValueError if it is no such thing."""
        rows = np.frombuffer(body, _ROW)
        if (rows["kind"] >= KINDS).any() or (rows["length"] <= 0).any():
            raise ValueError("no stretches")
        return cls(rows["kind"].copy(), rows["length"].astype(np.int64), rows["differing"].astype(np.int64))


def _rows(run: Run) -> Iterator[tuple[int, int, int]]:
    if run.kind == "equal":
        yield EQUAL, run.a_length, 0
        return
    both, over = min(run.a_length, run.b_length), abs(run.a_length - run.b_length)
    if both:
        yield REPLACED, both, run.differing - over
    if over:
        yield (ONLY_A if run.a_length > run.b_length else ONLY_B), over, over
