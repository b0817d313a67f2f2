"""A strided tensor and a range of its elements in, their bytes in logical order out."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LIMIT: Final = 16 << 20
"""Longest read in bytes, so that a band in scattered places needs no more memory than this beside its own bytes."""
GAP: Final = 16 << 10
"""Skipping fewer bytes than these costs more, as a further read, than reading them."""

Axis = tuple[int, int]
"""(number of indices, bytes from one to the next)."""
Read = Callable[[int, int], bytes]


def gather(
    read: Read, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], size: int, start: int, stop: int
) -> bytes:
    """Bytes of the elements `start` to `stop` of the row-major order of `shape`.

    `offset` is the byte where element (0, …, 0) lies, `strides` count elements and are not negative, `size` is an
    element's length in bytes. Neighbouring places are read together.
    """
    out = np.empty((stop - start, size), np.uint8)
    done = 0
    for corner, sizes in _boxes(shape, start, stop):
        count = prod(sizes)
        base = offset + sum(i * s for i, s in zip(corner, strides, strict=True)) * size
        axes = tuple((n, s * size) for n, s in zip(sizes, strides, strict=True))
        _fill(read, base, axes, out[done : done + count].reshape(*sizes, size))
        done += count
    return out.tobytes()


def _boxes(shape: tuple[int, ...], start: int, stop: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The range of row-major positions as boxes (corner, sizes), in order; at most two for each axis but the last."""
    if start >= stop:
        return
    if not shape:
        yield (), ()
        return
    inner = prod(shape[1:])
    first, head = divmod(start, inner)
    last, tail = divmod(stop, inner)
    if head:
        end = tail if first == last else inner
        for corner, sizes in _boxes(shape[1:], head, end):
            yield (first, *corner), (1, *sizes)
        first += 1
    if first < last:
        yield (first, *[0] * (len(shape) - 1)), (last - first, *shape[1:])
    if tail and first <= last:
        for corner, sizes in _boxes(shape[1:], 0, tail):
            yield (last, *corner), (1, *sizes)


def _fill(read: Read, base: int, axes: tuple[Axis, ...], out: NDArray[Any]) -> None:
    """Fill `out` (one dimension for each axis, then the bytes of an element) from the file at `base`."""
    size = out.shape[-1]
    span = size + sum((n - 1) * step for n, step in axes)
    if span <= LIMIT and span - out.size <= GAP * _runs(axes, size):
        raw = np.frombuffer(read(base, span), np.uint8)
        view = np.lib.stride_tricks.as_strided(raw, out.shape, (*(step for _, step in axes), 1), writeable=False)
        out[...] = view
        return
    widest = max(range(len(axes)), key=lambda k: axes[k][1] if axes[k][0] > 1 else -1)
    count, step = axes[widest]
    half = count // 2
    for begin, end in ((0, half), (half, count)):
        part = (*axes[:widest], (end - begin, step), *axes[widest + 1 :])
        _fill(read, base + begin * step, part, out[(slice(None),) * widest + (slice(begin, end),)])


def _runs(axes: tuple[Axis, ...], size: int) -> int:
    """How many runs of adjoining bytes the axes describe."""
    adjoining, runs = size, 1
    for count, step in sorted(axes, key=lambda axis: axis[1]):
        if step == adjoining:
            adjoining *= count
        else:
            runs *= count
    return runs
