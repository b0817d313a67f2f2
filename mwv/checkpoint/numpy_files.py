"""A file of NumPy's (.npy, .npz) in, its arrays out: headers only, nothing is unpacked or unpickled.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. An .npy file is a header and the elements
of one array, in order of rows or of columns; an .npz file a zip archive of such files. NumPy's own reader takes headers
apart (by ast.literal_eval, which makes nothing but literals).
"""

import io
import warnings
from math import prod
from pathlib import PurePath
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.lib import format as npy

from mwv.checkpoint.checks import check_name, check_overlaps, check_shape
from mwv.checkpoint.dtypes import PLAIN, DType, raw_dtype
from mwv.checkpoint.info import Header, TensorInfo
from mwv.checkpoint.source import Range, Source
from mwv.checkpoint.wording import printable, shown
from mwv.checkpoint.zip_archive import Archive, first_name, is_zip
from mwv.errors import FormatError, UnsupportedError

# 64 dimensions of 2^63 - 1 elements need 1,300 characters. Python's parser is not made for long texts of strangers.
MAX_HEADER: Final = 2_000
# Of all arrays of a file, without padding: those of about ten thousand arrays.
MAX_HEADERS: Final = 600_000
MAX_NOTES: Final = 10
_SUFFIX: Final = ".npy"
_MAGIC: Final = b"\x93NUMPY"
_READERS: Final = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_LETTERS: Final = {"f": "F", "i": "I", "u": "U", "c": "C"}
# What numpy calls elements that are of no use here.
_OTHERS: Final = {"S": "text", "U": "text", "M": "dates", "m": "times"}


class _Array(NamedTuple):
    """What the header of an array says in `length` bytes, and where its elements lie."""

    length: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    by_columns: bool
    data: Range


def is_numpy(source: Source) -> bool:
    """Whether the content is an array, or a zip archive that begins with one."""
    return _starts_array(source) or first_name(source).endswith(_SUFFIX.encode())


def read_numpy(source: Source, shard: int = 0) -> Header:
    """Tensors in order of offset: a sole array is called like its file."""
    return _archive(source, shard) if is_zip(source) else _sole(source, shard)


def _sole(source: Source, shard: int) -> Header:
    place = source.place
    if not _starts_array(source):
        raise FormatError(f"{place}: neither an array nor a zip archive of arrays; no file of NumPy's")
    array = _header(place, source, Range(0, source.size, source.name))
    dtype = dtype_of(array.dtype)
    if isinstance(dtype, str):
        raise UnsupportedError(f"{place}: an array of {dtype}, which cannot be shown")
    tensor = _tensor(place, PurePath(source.name).stem, dtype, array, shard)
    rest = array.data.end - tensor.offset - tensor.nbytes
    return Header((tensor,), (f"{shown(source.name)}: {rest} bytes after the array are left out",) if rest else ())


def _archive(source: Source, shard: int) -> Header:
    place = source.place
    archive = Archive(source, "load it with numpy and save it again by numpy.savez")
    archive.expect(MAX_HEADER + 12)
    check_overlaps(place, map(archive.range, archive.names))
    tensors: list[TensorInfo] = []
    notes: list[str] = []
    headers = 0
    for file in archive.names:
        name = file.removesuffix(_SUFFIX)
        if name == file:
            notes.append(f"{shown(file)}: left out, no array")
            continue
        array = _header(place, source, archive.range(file))
        headers += array.length
        if headers > MAX_HEADERS:
            raise FormatError(f"{place}: the headers of its arrays are longer than {MAX_HEADERS} bytes; no checkpoint")
        dtype = dtype_of(array.dtype)
        if isinstance(dtype, str):
            notes.append(f"{shown(name)}: left out, an array of {dtype}")
        else:
            tensors.append(_tensor(place, check_name(place, name), dtype, array, shard))
    if len(notes) > MAX_NOTES:
        notes[MAX_NOTES:] = [f"{len(notes) - MAX_NOTES} more entries are left out"]
    return Header(tuple(sorted(tensors, key=lambda t: (t.offset, t.name))), tuple(notes))


def _starts_array(source: Source) -> bool:
    return source.size >= len(_MAGIC) and source.read(0, len(_MAGIC)) == _MAGIC


def _header(place: str, source: Source, file: Range) -> _Array:
    """What the header at the beginning of `file` says."""
    stream = io.BytesIO(source.read(file.begin, min(file.end - file.begin, MAX_HEADER + 12)))
    try:
        with warnings.catch_warnings():
            # Headers written by Python 2 are read, with a warning.
            warnings.simplefilter("ignore")
            version = npy.read_magic(stream)
            if version not in _READERS:
                raise ValueError(f"version {version[0]}.{version[1]}")
            shape, by_columns, dtype = _READERS[version](stream, max_header_size=MAX_HEADER)
            if any(type(n) is not int for n in shape):  # NumPy takes truth values for numbers
                raise ValueError(f"shape is not valid: {shape}")
    except Exception as error:  # also what Python's parser and tokenizer raise, whichever they will
        raise FormatError(
            f"{place}: the header of {shown(file.name)} cannot be read ({printable(str(error), 100)}); fetch the file again"
        ) from None
    length = len(stream.getvalue()[: stream.tell()].rstrip())
    return _Array(length, dtype, shape, by_columns, Range(file.begin + stream.tell(), file.end, file.name))


def dtype_of(dtype: np.dtype[Any]) -> DType | str:
    """The elements as we know them, or what they are if they cannot be shown.

    Opaque ones are raw integers: NumPy writes bfloat16 and fp8 so.
    """
    if dtype.hasobject:
        return "pickled Python objects"
    if dtype.names is not None or dtype.subdtype is not None:
        return "records"
    if dtype.kind == "V":
        known = raw_dtype(f"V{dtype.itemsize}", 8 * dtype.itemsize)
    else:
        known = PLAIN.get("BOOL" if dtype.kind == "b" else f"{_LETTERS.get(dtype.kind)}{8 * dtype.itemsize}")
    return known or _OTHERS.get(dtype.kind, f"elements of type {printable(str(dtype), 40)}")


def _tensor(place: str, name: str, dtype: DType, array: _Array, shard: int) -> TensorInfo:
    shape, (begin, end, _) = array.shape, array.data
    nbytes = dtype.nbytes(check_shape(place, name, shape))
    if nbytes > end - begin:
        raise FormatError(f"{place}: tensor {shown(name)}: needs {nbytes} bytes, there are {end - begin}; fetch the file again")
    strides = None
    if array.by_columns and sum(n > 1 for n in shape) > 1 and nbytes:
        strides = tuple(prod(shape[:i]) if n > 1 else 0 for i, n in enumerate(shape))
    return TensorInfo(name, dtype, shape, shard, begin, nbytes, strides, "big" if array.dtype.byteorder == ">" else "little")
