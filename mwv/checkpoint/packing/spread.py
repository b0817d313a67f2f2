"""Shapes of a weight and of its scales in, how the scales spread over it, and the weight, out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Final

from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.packing.stored import Block, whole

_USUAL: Final[Block] = (128, 128)


@dataclass(frozen=True)
class Spread:
    """Scales as a matrix, the blocks that they are for, and the rows after which blocks begin anew (0: never)."""

    scales: TensorInfo
    block: Block
    panel: int
    words: str
    """For people, such as "128×128 scales"."""


def spread(shape: tuple[int, ...], scales: TensorInfo, said: Iterable[Block] = ()) -> Spread | None:
    """How `scales` spread over a weight of `shape`, None if they do not; `said` are the blocks that a configuration names.

    There can be one scale, one for each index of the first axis or of all but the last, or one for each block of the last
    two axes, where the blocks at the end may be short.
    """
    if not shape:
        return None
    if scales.elements == 1:
        return _spread(scales, 1, 1, (0, 0), 0, "one scale")
    lines = _stripped(scales.shape)
    if len(shape) > 1 and lines == shape[:1]:
        high = prod(shape[1:-1])
        return _spread(scales, shape[0], 1, (high, 0), 0, "row scales" if high == 1 else "a scale for each panel")
    if len(shape) > 2 and lines == shape[:-1]:
        return _spread(scales, prod(lines), 1, (1, 0), 0, "row scales")
    if len(shape) not in (2, 3) or len(scales.shape) != len(shape) or scales.shape[:-2] != shape[:-2]:
        return None
    block = _block(shape[-2:], scales.shape[-2:], said)
    if block is None:
        return None
    rows, (high, broad) = shape[-2], block
    panel = rows if len(shape) == 3 and rows % (high or rows + 1) else 0
    words = "column scales" if block == (0, 1) else f"{high or rows}×{broad or shape[-1]} scales"
    return _spread(scales, prod(scales.shape[:-1]), scales.shape[-1], block, panel, words)


def product(
    name: str,
    shape: tuple[int, ...],
    label: str,
    parts: Mapping[str, TensorInfo | None],
    across: Spread | None,
    bits: int = 0,
    divide: bool = False,
) -> TensorInfo:
    """The tensor that `Scaled` makes of parts and of scales spread across it."""
    high, broad = across.block if across else (0, 0)
    numbers = {
        "block_rows": high,
        "block_cols": broad,
        "panel": across.panel if across else 0,
        "bits": bits,
        "divide": int(divide),
    }
    return whole(name, shape, label, "scaled", numbers, "codes", {**parts, "scales": across.scales if across else None})


def _block(shape: tuple[int, ...], scales: tuple[int, ...], said: Iterable[Block]) -> Block | None:
    """The block that makes so many scales: one that is named, the usual one, or else the only power of two that divides."""
    for high, broad in (*said, _USUAL):
        if (-(-shape[0] // high), -(-shape[1] // broad)) == scales:
            return high, broad
    found = []
    for size, count in zip(shape, scales, strict=True):
        if count == 1:
            found.append(0)
        elif count and size % count == 0 and (size // count).bit_count() == 1:
            found.append(size // count)
        else:
            return None
    return found[0], found[1]


def _stripped(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without axes of length 1 at its end."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _spread(scales: TensorInfo, rows: int, cols: int, block: Block, panel: int, words: str) -> Spread | None:
    """None if the scales lie in no order that a matrix of so many rows and columns has."""
    if scales.strides is not None and scales.shape != (rows, cols):
        return None
    return Spread(replace(scales, shape=(rows, cols)), block, panel, words)
