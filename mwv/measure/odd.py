"""Tensors and what was measured of them in, what is odd about them out: findings with figures, for people and for CI."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # numpy comes with them, and the command line wants KINDS alone
    from mwv.checkpoint.info import TensorInfo
    from mwv.measure.channels import Outliers
    from mwv.measure.stats import TensorStats

KINDS: Final = ("nan", "inf", "zero", "constant", "denormal", "duplicate", "outlier")
"""Kinds of findings, in the order in which those of a tensor are told."""

_F16_SHARE: Final = 100
"""Weights of usual size have one subnormal in some hundreds as F16; so many of them lost precision when they were stored."""
_EXACT: Final = 2**53
"""Integers from here on may differ and still be the same float64."""
_NAMED: Final = 8


@dataclass(frozen=True)
class Measured:
    """A tensor with elements, what was measured of it, and how its grid lies: its rows, and the patch of a convolution."""

    info: "TensorInfo"
    stats: "TensorStats"
    digest: bytes
    """Over the value digests of its bands."""
    rows: int
    patch: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about one tensor; `kind` is one of KINDS."""

    kind: str
    tensor: str
    text: str


def findings(tensors: Sequence[Measured]) -> tuple[Finding, ...]:
    """What is odd, in the order of the tensors, then of KINDS; parts of packed weights are judged by the values they make."""
    tensors = [tensor for tensor in tensors if not tensor.info.part_of]
    twins = _duplicates(tensors)
    return tuple(
        Finding(kind, tensor.info.name, text)
        for i, tensor in enumerate(tensors)
        for kind, text in _of(tensor, tensors[twins[i]].info.name if i in twins else None)
    )


def tied(tensors: "Sequence[TensorInfo]") -> dict[int, int]:
    """Index of each tensor that is the very bytes of one before it, and the index of that one; it is no defect."""
    first: dict[object, int] = {}
    found = {}
    for i, info in enumerate(tensors):
        if info.elements and (before := first.setdefault(_place(info), i)) != i:
            found[i] = before
    return found


def _of(tensor: Measured, twin: str | None) -> Iterator[tuple[str, str]]:
    stats, info = tensor.stats, tensor.info
    if stats.nan:
        yield "nan", f"{stats.nan:,} NaN of {stats.elements:,}"
    if stats.inf:
        yield "inf", f"{stats.inf:,} infinite of {stats.elements:,}"
    if _is_zero(stats):
        yield "zero", f"all {stats.elements:,} elements are zero"
    if _is_constant(tensor):
        yield "constant", f"all {stats.elements:,} elements are {stats.minimum:.6g}"
    yield from _denormal(info.dtype.name, stats)
    if twin is not None:
        yield "duplicate", f"the same {stats.elements:,} values as {twin}"
    yield from (("outlier", text) for text in _channels(tensor))


def _is_zero(stats: "TensorStats") -> bool:
    """Whether all elements are zero; a single one says nothing."""
    return stats.zeros == stats.elements > 1


def _is_constant(tensor: Measured) -> bool:
    """Whether all elements are surely one number other than zero; a single one says nothing, magnitudes may hide signs."""
    stats, dtype = tensor.stats, tensor.info.dtype
    if stats.elements < 2 or stats.nan or stats.inf or not stats.minimum or dtype.kind == "complex":
        return False
    whole = dtype.kind in ("int", "uint", "raw") and dtype.block_bytes == 8
    return stats.minimum == stats.maximum and not (whole and abs(stats.minimum) >= _EXACT)


def _denormal(dtype: str, stats: "TensorStats") -> Iterator[tuple[str, str]]:
    """Subnormal numbers of the stored type. Types of 8 bits and fewer are made to use theirs; F64 is held to those of F32."""
    if dtype in ("F32", "BF16", "F64") and stats.below_f32:
        yield "denormal", f"{stats.below_f32:,} of {stats.elements:,} not zero but below 2^-126"
    elif dtype == "F16" and stats.below_f16 * _F16_SHARE > stats.elements:
        yield "denormal", f"{stats.below_f16:,} of {stats.elements:,} not zero but below 2^-14"


def _duplicates(tensors: Sequence[Measured]) -> dict[int, int]:
    """Index of each tensor that repeats the values of one before it, and the index of the first of them.

    Tied tensors, those of one element and those of one number in all elements do not count.
    """
    first: dict[object, int] = {}
    found = {}
    for i, tensor in enumerate(tensors):
        if tensor.stats.elements > 1 and not _is_zero(tensor.stats) and not _is_constant(tensor):
            before = first.setdefault((tensor.info.shape, tensor.digest), i)
            if _place(tensor.info) != _place(tensors[before].info):
                found[i] = before
    return found


def _place(info: "TensorInfo") -> object:
    return info.shard, info.offset, info.nbytes, info.dtype.name, info.shape, info.strides


def _channels(tensor: Measured) -> Iterator[str]:
    """Rows, then columns, that stand out."""
    shape = tensor.info.shape
    high, wide = tensor.patch
    axes = [i for i in range(1, len(shape)) if prod(shape[:i]) * high == tensor.rows]
    if not axes:  # a vector, or folded: its rows and columns are no channels
        return
    lead = shape[: axes[0]], shape[axes[0] : 2 if tensor.patch != (1, 1) else len(shape)]
    for word, found, sizes, patch in zip(
        ("row", "column"), (tensor.stats.row_outliers, tensor.stats.col_outliers), lead, (high, wide), strict=True
    ):
        if found and prod(sizes) > 1:  # else they are rows of one kernel
            yield _stand_out(word, found, sizes, patch)


def _stand_out(word: str, found: "Outliers", sizes: tuple[int, ...], patch: int) -> str:
    """Places and figures; several grid rows may be of one channel of a convolution."""
    places = list(dict.fromkeys(_index(i // patch, sizes) for i, _ in found))
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    figure = f"up to {found[0][1]:.3g}" if len(places) > 1 else f"{found[0][1]:.3g}"
    return f"{word}{'s' * (len(places) > 1)} {', '.join(places[:_NAMED])}{more}: RMS {figure} × the median"


def _index(flat: int, sizes: tuple[int, ...]) -> str:
    """A row-major index as one number, or of several axes as [3, 17]; axes of length 1 say nothing."""
    parts: list[str] = []
    for size in reversed([size for size in sizes if size > 1]):
        flat, part = divmod(flat, size)
        parts.insert(0, str(part))
    return parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"
