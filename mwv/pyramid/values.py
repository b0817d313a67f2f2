"""The kind of scene that shows values: samples of tensors in, codes of the tile code and sums of values and squares out."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from mwv.decode.tensor import Coded, Samples, Table
from mwv.pyramid import code, summary
from mwv.pyramid.kind import Kind, Summary, Target
from mwv.pyramid.plan import BLOCK_LEVEL, STRIP
from mwv.pyramid.reduce import Sums, leaf_coded, leaf_float, overview_codes, reduce_leaf, reduce_sums


@dataclass(frozen=True, eq=False)
class _Strip:
    codes: tuple[NDArray[np.uint8], ...]
    """By level."""
    summands: NDArray[np.float32]
    sums: tuple[Sums, ...]
    """By level from 1 on."""

    @classmethod
    def of_width(cls, width: int) -> Self:
        """For strips of `width` leaf pixels."""
        shapes = [(STRIP >> level, width >> level) for level in range(BLOCK_LEVEL + 1)]
        codes = tuple(np.zeros(shape, np.uint8) for shape in shapes)
        return cls(codes, np.zeros(shapes[0], np.float32), tuple(Sums.empty(*shape) for shape in shapes[1:]))

    def clear(self) -> None:
        self.codes[0].fill(code.PADDING)
        self.summands.fill(0)

    def draw(self, samples: Samples, rows: slice, thick: tuple[int, int], target: Target) -> None:
        _draw(samples, rows, thick, self.codes[0][target], self.summands[target])

    def reduce(self) -> Sums:
        reduce_leaf(self.codes[0], self.summands, self.sums[0])
        for below, sums in pairwise(self.sums):
            reduce_sums(below, sums)
        for sums, codes in zip(self.sums, self.codes[1:], strict=True):
            overview_codes(sums, codes)
        return self.sums[-1]


class _Values:
    name = "values"

    def strip(self, width: int) -> _Strip:
        return _Strip.of_width(width)

    def empty(self, height: int, width: int) -> Sums:
        return Sums.empty(height, width)

    def put(self, part: Sums, whole: Sums, y: int, x: int) -> None:
        for plane, target in zip(part.planes, whole.window(y, x, *part.total.shape).planes, strict=True):
            target[...] = plane

    def reduce(self, below: Sums, whole: Sums, y: int, x: int) -> None:
        height, width = below.total.shape
        reduce_sums(below, whole.window(y, x, height // 2, width // 2))

    def codes(self, sums: Sums, out: NDArray[np.uint8]) -> None:
        overview_codes(sums, out)

    def pack(self, summed: Summary[Sums]) -> bytes:
        return summary.pack(summed)

    def unpack(self, body: bytes) -> Summary[Sums] | None:
        return summary.unpack(body)


VALUES: Final[Kind[Samples, Sums]] = _Values()


def _draw(
    samples: Samples, rows: slice, thick: tuple[int, int], codes: NDArray[np.uint8], summands: NDArray[np.float32]
) -> None:
    if thick != (1, 1):
        thin = (slice(None, None, thick[0]), slice(None, None, thick[1]))
        thin_codes, thin_summands = np.empty(codes[thin].shape, np.uint8), np.empty(codes[thin].shape, np.float32)
        _draw(samples, rows, (1, 1), thin_codes, thin_summands)
        codes[...] = thin_codes.repeat(thick[0], 0).repeat(thick[1], 1)
        summands[...] = thin_summands.repeat(thick[0], 0).repeat(thick[1], 1)
    elif isinstance(samples, Coded):
        leaf_coded(samples.bits[rows], *_coded_tables(samples.table), codes, summands)
    else:
        leaf_float(samples.values[rows], codes, summands)


@lru_cache(maxsize=64)
def _coded_tables(table: Table) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    return code.leaf_codes(table.values), code.summands(table.values)
