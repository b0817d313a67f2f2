"""A PyTorch checkpoint in, its tensors out: nothing is executed.

`pytorch_zip.py` and `pytorch_legacy.py` know how files are made; their pickles are read by `pickle_machine.py`. Here
tensors get names and their bytes are proven to lie in their storages.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

from mwv.checkpoint.checks import check_name, check_overlaps, check_shape
from mwv.checkpoint.dtypes import DType
from mwv.checkpoint.info import Header, TensorInfo
from mwv.checkpoint.packing.affine import affine
from mwv.checkpoint.pytorch_legacy import is_legacy, is_tar, read_legacy
from mwv.checkpoint.pytorch_zip import has_pickle, read_zip
from mwv.checkpoint.source import Range, Source
from mwv.checkpoint.state_dict import MAX_NOTES, named_tensors
from mwv.checkpoint.torch_objects import View
from mwv.checkpoint.wording import printable, shown
from mwv.checkpoint.zip_archive import is_zip
from mwv.errors import FormatError, UnsupportedError

# An expanded tensor may have more elements than its storage, which costs nothing to write; beyond this it is an attack.
MAX_EXPANDED: Final = 2**28


def is_pytorch(source: Source) -> bool:
    """Whether the content is a checkpoint of torch's, of today's or a former format."""
    return has_pickle(source) if is_zip(source) else is_legacy(source) or is_tar(source)


def read_pytorch(source: Source, shard: int = 0) -> Header:
    """Tensors in order of offset; tied ones each. Views are proven to lie in their storage, it in the file."""
    place = source.place
    if is_zip(source):
        saved = read_zip(source)
    elif is_legacy(source):
        saved = read_legacy(source)
    elif is_tar(source):
        raise UnsupportedError(f"{place}: a tar archive, as torch's first versions wrote; load it with torch and save it again")
    else:
        kind = "a pickle, but not of torch.save" if source.size and source.read(0, 1) == b"\x80" else "not of torch.save"
        raise FormatError(f"{place}: {kind}; no PyTorch checkpoint")
    named = named_tensors(place, saved.root)
    tensors = [
        _tensor(place, saved.range_of, check_name(place, name), view, shard, saved.byteorder) for name, view in named.tensors
    ]
    check_overlaps(place, {saved.range_of(view.storage.key) for _, view in named.tensors})
    tensors, notes = _dequantised([view for _, view in named.tensors], tensors)
    return Header(tuple(sorted(tensors, key=lambda t: (t.offset, t.name))), (*named.notes, *notes))


def _dequantised(views: Sequence[View], tensors: Sequence[TensorInfo]) -> tuple[list[TensorInfo], list[str]]:
    """The tensors with quantised ones as their values where these can be made, and notes on the others."""
    of_view = {id(view): info for view, info in zip(views, tensors, strict=True)}
    found: list[TensorInfo] = []
    owners: dict[str, str] = {}
    notes = []
    for view, info in zip(views, tensors, strict=True):
        whole = None
        if view.quantizer:
            scale, zero = (
                of_view.get(id(n)) if isinstance(n, View) else n for n in (view.quantizer.scale, view.quantizer.zero_point)
            )
            whole = None if scale is None or zero is None else affine(info, scale, zero, view.quantizer.axis)
            if whole is None:
                notes.append(f"{shown(info.name)}: its scales and zero points are not applied, the stored integers are shown")
            elif whole.packing is not None:
                owners |= {part.name: info.name for part in whole.packing.parts.values() if part.name != info.name}
        found.append(whole or info)
    if more := len(notes[MAX_NOTES:]):
        notes[MAX_NOTES:] = [f"scales and zero points of {more} more tensors are not applied"]
    return [replace(info, part_of=owners[info.name]) if info.name in owners else info for info in found], notes


def _tensor(
    place: str, range_of: Callable[[str], Range], name: str, view: View, shard: int, byteorder: Literal["little", "big"]
) -> TensorInfo:
    dtype, shape, strides, first = view.dtype, view.shape, view.strides, view.storage.start + view.offset
    if dtype is None:
        raise UnsupportedError(f"{place}: tensor {shown(name)}: dtype {printable(view.dtype_name, 60)} is unknown; convert it")
    elements = check_shape(place, name, shape)
    begin, end, _ = range_of(view.storage.key)
    capacity = (end - begin) // dtype.block_bytes
    promised = view.storage.dtype.nbytes(view.storage.numel) if view.storage.dtype else 0
    if promised > end - begin:
        raise FormatError(
            f"{place}: tensor {shown(name)}: its storage needs {promised} bytes, it has {end - begin}; fetch it again"
        )
    contiguous = _is_contiguous(shape, strides)
    if dtype.block_elements > 1:
        return _packed(place, name, view, dtype, shard, begin, end, contiguous)
    if not elements:
        return TensorInfo(name, dtype, shape, shard, begin, 0, None, byteorder)
    span = 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if first + span > capacity:
        raise FormatError(
            f"{place}: tensor {shown(name)}: needs elements {first} to {first + span} of its storage, which has "
            f"{capacity}; the file is damaged"
        )
    if elements > max(span, MAX_EXPANDED):
        raise UnsupportedError(
            f"{place}: tensor {shown(name)}: {elements} elements repeat {span} stored ones; save a contiguous copy"
        )
    kept = None if contiguous else tuple(s if n > 1 else 0 for n, s in zip(shape, strides, strict=True))
    offset = begin + first * dtype.block_bytes
    return TensorInfo(name, dtype, shape, shard, offset, span * dtype.block_bytes, kept, byteorder)


def _packed(place: str, name: str, view: View, dtype: DType, shard: int, begin: int, end: int, contiguous: bool) -> TensorInfo:
    """Two elements to a byte: torch counts bytes in the shapes of float4_e2m1fn_x2, elements in those of quantised types."""
    pairs = view.dtype_name.endswith("fn_x2")
    shape = (*view.shape[:-1], view.shape[-1] * 2) if pairs and view.shape else view.shape
    elements = check_shape(place, name, shape) * (2 if pairs and not view.shape else 1)
    nbytes = dtype.nbytes(elements)
    if not contiguous or view.offset or view.storage.start or (pairs and not view.shape):
        raise UnsupportedError(f"{place}: tensor {shown(name)}: a view of {dtype.name} elements; save a contiguous copy")
    if nbytes > end - begin:
        raise FormatError(f"{place}: tensor {shown(name)}: needs {nbytes} bytes, its storage has {end - begin}; fetch it again")
    return TensorInfo(name, dtype, shape, shard, begin, nbytes)


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the elements follow each other in row-major order."""
    step = 1
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        if n > 1 and stride != step:
            return False
        step *= n
    return True
