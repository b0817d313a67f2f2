"""The tile code straight from its definition, in float64 with logarithms: slow, and nothing shared with mwv.pyramid."""

from functools import reduce

import numpy as np


def level_of(magnitude, steps):
    """Level of a magnitude: an octave each from -14 to -11, `steps` an octave to 2, one per two octaves to 12."""
    with np.errstate(divide="ignore"):
        e = np.log2(magnitude)
    # A magnitude on a threshold belongs to the level above; log2 is exact for powers of two.
    low = np.floor(e + 14)
    middle = 3 + np.floor((e + 11) * steps)
    high = 3 + 13 * steps + np.floor((e - 2) / 2)
    level = np.where(e < -11, low, np.where(e < 2, middle, high))
    return np.clip(level, 0, 3 + 13 * steps + 4).astype(int)


def without_rotary(matrix, heads):
    """q or k of a GGUF file of llama's kind with its rows as Hugging Face has them; as transformers undoes the permutation."""
    rows, columns = matrix.shape
    return matrix.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def leaf(values):
    values = np.asarray(values, np.float64)
    level = level_of(np.where(np.isfinite(values), np.abs(values), 1.0), 3)
    out = np.where(values < 0, 2, 200) + level
    out[values == 0] = 1
    out[np.isinf(values)] = 254
    out[np.isnan(values)] = 255
    return out.astype(np.uint8)


def overviews(values, real, missing, levels):
    """Codes, mean square and sign balance of levels 1, 2, … from leaf values (float64) and masks, sides multiples of 2^levels.

    Sums are float64 throughout, so adding them level by level is as good as adding all elements at once.
    """
    finite = np.isfinite(values) & real
    v = np.where(finite & (values != 0), np.copysign(np.clip(np.abs(values), 2.0**-40, 2.0**30), values), 0.0)
    n, total, square = real.astype(np.float64), v, v * v
    flags = [np.isnan(values) & real, np.isinf(values) & real, missing]
    for _ in range(levels):
        n, total, square = (sum(quads(a)) for a in (n, total, square))
        flags = [reduce(np.logical_or, quads(a)) for a in flags]
        mean = square / np.maximum(n, 1)
        share = total**2 / np.maximum(n * square, 1e-300)
        root = np.sqrt(np.where(mean > 0, mean, 1))
        out = np.where(share > 0.3, np.where(total > 0, 200, 2) + level_of(root, 3), 49 + level_of(root, 11))
        out[square == 0] = 1
        out[n == 0] = 0
        out[(n == 0) & flags[2]] = 251
        out[flags[1]] = 254
        out[flags[0]] = 255
        yield out.astype(np.uint8), mean, share


def quads(a):
    """The four pixels of every pixel of the next level; far quicker to add than axes of two."""
    return a[::2, ::2], a[::2, 1::2], a[1::2, ::2], a[1::2, 1::2]


def disagreement(got, want, mean, share):
    """How many overview codes differ, and how many of these are not excused by lying within 10^-4 of a border."""
    differ = got != want
    got, want, mean, share = (a[differ] for a in (got, want, mean, share))
    e = np.log2(np.maximum(mean, 1e-300)) / 2
    near_level = np.zeros(got.shape, bool)
    for steps in (3, 11):
        grid = np.where(e < -11, e, np.where(e < 2, (e + 11) * steps, (e - 2) / 2))
        # 10^-4 relative in magnitude is 1.44 · 10^-4 in log2.
        near_level |= np.abs(grid - np.round(grid)) < 1.5e-4 * steps
    near_class = np.abs(share - 0.3) < 1e-4
    exact = np.isin(want, (0, 1, 251, 254, 255)) | np.isin(got, (0, 1, 251, 254, 255))
    one_level = np.abs(got.astype(int) - want.astype(int)) <= 1
    excused = ~exact & ((near_level & one_level) | near_class)
    return got.size, int((~excused).sum())
