"""A PyTorch checkpoint (a zip archive of a pickle and storages) in, its tensors out: nothing is executed.

The archive holds `<top>/data.pkl`, a storage in each `<top>/data/<key>`, and `<top>/byteorder`. torch stores them
without compression, so tensors are byte ranges of the file. The pickle is read by `pickle_machine.py`.
"""

import io
import struct
import zipfile
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from mwv.checkpoint.checks import check_name, check_shape
from mwv.checkpoint.dtypes import DType
from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.pickle_machine import load
from mwv.checkpoint.source import Source, where
from mwv.checkpoint.state_dict import named_tensors
from mwv.checkpoint.torch_objects import View, call, storage_of
from mwv.checkpoint.wording import printable, shown
from mwv.errors import FormatError, UnsupportedError

# The list of a hundred thousand storages; a larger archive is no checkpoint.
MAX_DIRECTORY: Final = 8 * 2**20
MAX_PICKLE: Final = 32 * 2**20
# An expanded tensor may have more elements than its storage, which costs nothing to write; beyond this it is an attack.
MAX_EXPANDED: Final = 2**28

_ZIP: Final = b"PK\3\4"
# The pickled number with which torch.save began files before version 1.6.
_LEGACY: Final = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
_LOCAL_HEADER: Final = 30


class PytorchHeader(NamedTuple):
    """What one file holds."""

    tensors: tuple[TensorInfo, ...]
    notes: tuple[str, ...]


class _Range(NamedTuple):
    """Where the bytes of an archive's entry lie in the file."""

    begin: int
    end: int
    name: str


def is_pytorch(source: Source) -> bool:
    """Whether the content is a checkpoint of torch.save, of today's or the legacy format."""
    if source.size < 16:
        return False
    head = source.read(0, 16)
    if _is_legacy(head):
        return True
    try:
        return head.startswith(_ZIP) and _Archive(source).pickle is not None
    except FormatError:
        return False


def read_pytorch(source: Source, shard: int = 0) -> PytorchHeader:
    """Tensors in order of offset; tied ones each. Views are proven to lie in their storage, it in the file."""
    place = where(source)
    head = source.read(0, min(16, source.size))
    if _is_legacy(head):
        raise UnsupportedError(f"{place}: written by torch.save before version 1.6; load it with torch and save it again")
    if not head.startswith(_ZIP):
        kind = "a pickle, but not of torch.save" if head[:1] == b"\x80" else "not of torch.save"
        raise FormatError(f"{place}: {kind}; no PyTorch checkpoint")
    archive = _Archive(source)
    if archive.pickle is None:
        raise FormatError(f"{place}: a zip archive without data.pkl; no PyTorch checkpoint")
    size = archive.info(archive.pickle).file_size
    if size > MAX_PICKLE:
        raise UnsupportedError(f"{place}: data.pkl has {size} bytes, at most {MAX_PICKLE} are read; save the tensors alone")
    named = named_tensors(place, load(place, archive.read(archive.pickle), call, storage_of))
    byteorder = archive.byteorder()
    tensors = [_tensor(place, archive, check_name(place, name), view, shard, byteorder) for name, view in named.tensors]
    archive.check_overlaps(view.storage.key for _, view in named.tensors)
    return PytorchHeader(tuple(sorted(tensors, key=lambda t: (t.offset, t.name))), named.notes)


def _is_legacy(head: bytes) -> bool:
    # PROTO 2, LONG1 of ten bytes.
    return head[:1] == b"\x80" and head[2:4] == b"\x8a\x0a" and head[4:14] == _LEGACY


class _Archive:
    """The zip directory, and what torch means by it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._place = where(source)
        try:
            # The directory is all that zipfile reads; the entries' bytes we read where they lie.
            with zipfile.ZipFile(_ZipView(source)) as archive:
                entries, self._end = archive.infolist(), archive.start_dir
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, IndexError, struct.error) as error:
            reason = printable(str(error), 100)
            raise FormatError(f"{self._place}: the zip directory cannot be read ({reason}); fetch the file again") from None
        self._entries = {entry.filename: entry for entry in entries}
        if len(self._entries) < len(entries):
            raise FormatError(f"{self._place}: two entries of the archive have one name; the file is damaged")
        pickles = [name for name in self._entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        self.pickle = pickles[0] if len(pickles) == 1 else None
        self._top = self.pickle.removesuffix("data.pkl") if self.pickle else ""
        self._ranges: dict[str, _Range] = {}

    def info(self, name: str) -> zipfile.ZipInfo:
        """What the directory says of an entry, which must be stored as it is."""
        if name not in self._entries:
            raise FormatError(f"{self._place}: {shown(name)} is not in the archive; fetch the file again")
        entry = self._entries[name]
        if entry.flag_bits & 1:
            raise UnsupportedError(f"{self._place}: {shown(name)} is encrypted; decrypt the archive")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise UnsupportedError(f"{self._place}: {shown(name)} is compressed; load the file with torch and save it again")
        if entry.file_size != entry.compress_size:
            raise FormatError(f"{self._place}: {shown(name)} has two sizes; the file is damaged")
        return entry

    def range(self, name: str) -> _Range:
        """Where an entry's bytes lie, proven to be before the directory."""
        if name not in self._ranges:
            entry = self.info(name)
            begin = entry.header_offset
            if 0 <= begin <= self._end - _LOCAL_HEADER:
                header = self._source.read(begin, _LOCAL_HEADER)
                if header.startswith(_ZIP):
                    begin += _LOCAL_HEADER + sum(struct.unpack_from("<HH", header, 26))
                    if begin + entry.file_size <= self._end:
                        self._ranges[name] = _Range(begin, begin + entry.file_size, name)
                        return self._ranges[name]
            raise FormatError(f"{self._place}: {shown(name)} does not lie in the archive; fetch the file again")
        return self._ranges[name]

    def read(self, name: str) -> bytes:
        """The bytes of a small entry."""
        begin, end, _ = self.range(name)
        return self._source.read(begin, end - begin)

    def storage(self, key: str) -> _Range:
        """Where a storage's bytes lie."""
        return self.range(f"{self._top}data/{key}")

    def byteorder(self) -> Literal["little", "big"]:
        """The order of the machine that saved the file; before it was written down that was little-endian."""
        name = f"{self._top}byteorder"
        text = self.read(name) if name in self._entries and self.info(name).file_size < 16 else b"little"
        if text not in (b"little", b"big"):
            raise FormatError(f"{self._place}: byteorder must be little or big; the file is damaged")
        return "little" if text == b"little" else "big"

    def check_overlaps(self, keys: Iterable[str]) -> None:
        """Raise FormatError if two storages share bytes."""
        position, before = 0, ""
        for begin, end, name in sorted(self.storage(key) for key in set(keys)):
            if begin < position:
                raise FormatError(
                    f"{self._place}: {shown(before)} and {shown(name)} overlap in the archive; the file is damaged"
                )
            position, before = end, name


class _ZipView(io.RawIOBase):
    """A Source as the file that zipfile wants; refuses to read more than a directory may have."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}[whence]
        if self._position < 0:
            raise ValueError("an offset before the file")
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = max(self._source.size - self._position, 0)
        length = left if size is None or size < 0 else min(size, left)
        if length > MAX_DIRECTORY:
            raise FormatError(f"{where(self._source)}: a zip directory of {length} bytes is impossible; no PyTorch checkpoint")
        self._position += length
        return self._source.read(self._position - length, length)


def _tensor(
    place: str, archive: _Archive, name: str, view: View, shard: int, byteorder: Literal["little", "big"]
) -> TensorInfo:
    dtype, shape, strides = view.dtype, view.shape, view.strides
    if dtype is None:
        raise UnsupportedError(f"{place}: tensor {shown(name)}: dtype {printable(view.dtype_name, 60)} is unknown; convert it")
    elements = check_shape(place, name, shape)
    begin, end, _ = archive.storage(view.storage.key)
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
    if view.offset + span > capacity:
        raise FormatError(
            f"{place}: tensor {shown(name)}: needs elements {view.offset} to {view.offset + span} of its storage, which has "
            f"{capacity}; the file is damaged"
        )
    if elements > max(span, MAX_EXPANDED):
        raise UnsupportedError(
            f"{place}: tensor {shown(name)}: {elements} elements repeat {span} stored ones; save a contiguous copy"
        )
    kept = None if contiguous else tuple(s if n > 1 else 0 for n, s in zip(shape, strides, strict=True))
    offset = begin + view.offset * dtype.block_bytes
    return TensorInfo(name, dtype, shape, shard, offset, span * dtype.block_bytes, kept, byteorder)


def _packed(place: str, name: str, view: View, dtype: DType, shard: int, begin: int, end: int, contiguous: bool) -> TensorInfo:
    """Two elements to a byte: torch counts bytes in the shapes of float4_e2m1fn_x2, elements in those of quantised types."""
    pairs = view.dtype_name.endswith("fn_x2")
    shape = (*view.shape[:-1], view.shape[-1] * 2) if pairs and view.shape else view.shape
    elements = check_shape(place, name, shape) * (2 if pairs and not view.shape else 1)
    nbytes = dtype.nbytes(elements)
    if not contiguous or view.offset or (pairs and not view.shape):
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
