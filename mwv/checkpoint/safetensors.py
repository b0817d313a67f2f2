"""A safetensors file in, its tensors and metadata out: only the header is read.

Format: https://huggingface.co/docs/safetensors. 8 bytes little-endian length, a JSON object of that length, then the
data. As the reference library does, we refuse data that overlaps, leaves holes or does not end with the file, so that
no byte hides. The library's own reader maps the file and tells neither offsets nor tensors of unknown type.
"""

from typing import Any, Final, NamedTuple

from mwv.checkpoint.checks import MAX_ELEMENTS, check_count, check_name, check_shape, parse_json
from mwv.checkpoint.dtypes import PLAIN, DType, raw_dtype
from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.source import Source
from mwv.checkpoint.wording import printable, shown
from mwv.errors import FormatError, UnsupportedError

MAX_HEADER: Final = 100_000_000
"""The reference library's limit in bytes."""

# Other spellings met in files; C64 is two F32.
_ALIASES: Final = {
    "F8_E4M3FN": "F8_E4M3",
    "FLOAT8_E4M3FN": "F8_E4M3",
    "FLOAT8_E5M2": "F8_E5M2",
    "F8_E8M0FNU": "F8_E8M0",
    "F6_E2M3FN": "F6_E2M3",
    "F6_E3M2FN": "F6_E3M2",
    "F4_E2M1": "F4",
    "F4_E2M1FN_X2": "F4",
    "BOOLEAN": "BOOL",
}


class SafetensorsHeader(NamedTuple):
    """What the header of one file says."""

    tensors: tuple[TensorInfo, ...]
    metadata: dict[str, str]


class _Entry(NamedTuple):
    begin: int
    end: int
    name: str
    dtype: str
    shape: tuple[int, ...]


def is_safetensors(source: Source) -> bool:
    """Whether the beginning looks like a safetensors file (there is no magic number)."""
    if source.size < 10:
        return False
    head = source.read(0, 9)
    length = int.from_bytes(head[:8], "little")
    return head[8:] == b"{" and 2 <= length <= min(MAX_HEADER, source.size - 8)


def read_safetensors(source: Source, shard: int = 0) -> SafetensorsHeader:
    """Tensors in order of offset, ranges absolute; FormatError or UnsupportedError for what cannot be trusted or shown."""
    place = source.place
    header, data = _header(source, place)
    raw_metadata = header.pop("__metadata__", None)
    if raw_metadata is None:
        raw_metadata = {}
    if not isinstance(raw_metadata, dict) or not all(isinstance(v, str) for v in raw_metadata.values()):
        raise FormatError(f"{place}: __metadata__ must be an object of strings; save the file again")
    check_count(place, len(header))
    entries = sorted(_entry(place, name, value) for name, value in header.items())
    _check_ranges(place, entries, source.size - data)
    tensors = tuple(_tensor(place, entry, shard, data) for entry in entries)
    return SafetensorsHeader(tensors, raw_metadata)


def _header(source: Source, place: str) -> tuple[dict[str, Any], int]:
    """The header's object, and where the data begins."""
    if source.size < 8:
        raise FormatError(f"{place}: {source.size} bytes are too few for a safetensors file; fetch it again")
    length = int.from_bytes(source.read(0, 8), "little")
    if length > MAX_HEADER:
        raise FormatError(f"{place}: a header of {length} bytes is impossible (limit {MAX_HEADER}); no safetensors file")
    if length > source.size - 8:
        raise FormatError(f"{place}: the header needs {length + 8} bytes, the file has {source.size}; fetch it again")
    raw = source.read(8, length)
    if not raw.startswith(b"{"):
        raise FormatError(f"{place}: the header must begin with '{{'; no safetensors file")
    header = parse_json(place, "the header", raw)
    if not isinstance(header, dict):
        raise FormatError(f"{place}: the header must be a JSON object")
    return header, 8 + length


def _entry(place: str, name: str, value: Any) -> _Entry:
    check_name(place, name)
    if not isinstance(value, dict) or not value.keys() >= {"dtype", "shape", "data_offsets"}:
        raise FormatError(f"{place}: tensor {shown(name)}: must have dtype, shape and data_offsets; the file is damaged")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or not _integers(shape) or not _integers(offsets) or len(offsets) != 2:
        raise FormatError(
            f"{place}: tensor {shown(name)}: dtype must be text, shape a list and data_offsets a pair of integers"
        )
    return _Entry(offsets[0], offsets[1], name, dtype, tuple(shape))


def _integers(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n <= MAX_ELEMENTS for n in value)


def _check_ranges(place: str, entries: list[_Entry], size: int) -> None:
    """Entries in order of offset must cover the data from its first byte to its last, each byte once."""
    position = 0
    for entry in entries:
        if entry.end < entry.begin:
            raise FormatError(f"{place}: tensor {shown(entry.name)}: ends before it begins; the file is damaged")
        if entry.begin != position:
            fault = "overlap others" if entry.begin < position else "leave a hole before them"
            raise FormatError(
                f"{place}: tensor {shown(entry.name)}: bytes {entry.begin} to {entry.end} {fault}; "
                f"expected to begin at {position}; the file is damaged"
            )
        position = entry.end
        if position > size:
            raise FormatError(
                f"{place}: tensor {shown(entry.name)}: its data ends at byte {position}, the file has {size} bytes of data; "
                "fetch it again"
            )
    if position != size:
        raise FormatError(f"{place}: {size - position} bytes after the last tensor belong to none; the file is damaged")


def _tensor(place: str, entry: _Entry, shard: int, data: int) -> TensorInfo:
    elements = check_shape(place, entry.name, entry.shape)
    nbytes = entry.end - entry.begin
    dtype = PLAIN.get(_ALIASES.get(entry.dtype, entry.dtype)) or _unknown(place, entry, elements, nbytes)
    if elements % dtype.block_elements or dtype.nbytes(elements) != nbytes:
        raise FormatError(
            f"{place}: tensor {shown(entry.name)}: {elements} elements of {dtype.name} do not fill {nbytes} bytes exactly; "
            "the file is damaged"
        )
    return TensorInfo(entry.name, dtype, entry.shape, shard, data + entry.begin, nbytes)


def _unknown(place: str, entry: _Entry, elements: int, nbytes: int) -> DType:
    """A type that we do not know, if its size is one that can be shown as integers."""
    bits, rest = divmod(8 * nbytes, elements) if elements else (8, 8 * nbytes)
    dtype = None if rest else raw_dtype(printable(entry.dtype, 40), bits)
    if dtype is None:
        raise UnsupportedError(
            f"{place}: tensor {shown(entry.name)}: unknown dtype '{printable(entry.dtype, 40)}' "
            f"of {nbytes} bytes for {elements} elements; convert it to one that safetensors names"
        )
    return dtype
