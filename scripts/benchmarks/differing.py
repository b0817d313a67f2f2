"""Two bfloat16 files of one shape in, seconds that numpy takes for the sums of their difference out: a floor. A program."""

import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np

PIECE = 1 << 18
"""Elements at a time: what is made of them fits into a cache."""


def sums(a: Path, b: Path) -> float:
    """Seconds for Σ(b − a)², Σa², Σab, the largest difference and how many are not 0."""
    old, new = (np.memmap(path, ml_dtypes.bfloat16, "r", offset=_begin(path)) for path in (a, b))
    begin = time.perf_counter()
    total = np.zeros(5)
    for at in range(0, old.size, PIECE):
        x, y = (part[at : at + PIECE].astype(np.float32) for part in (old, new))
        d = y - x
        total[:3] += float(np.vdot(d, d)), float(np.vdot(x, x)), float(np.vdot(x, y))
        total[3] = max(total[3], float(np.abs(d).max()))
        total[4] += np.count_nonzero(d)
    return time.perf_counter() - begin


def _begin(path: Path) -> int:
    with open(path, "rb") as file:
        return 8 + int.from_bytes(file.read(8), "little")


if __name__ == "__main__":
    print(sums(Path(sys.argv[1]), Path(sys.argv[2])))
