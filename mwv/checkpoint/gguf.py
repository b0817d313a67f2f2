"""A GGUF file in, its tensors and key/values out: only the header is read.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 1 to 3, both byte orders. The gguf package
gives the table of types. Its GGUFReader is not used: it maps the file and trusts every count and length in it, makes
numpy views of each token of a vocabulary, and does not read version 1.
"""

import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from mwv.checkpoint.checks import MAX_NAME, MAX_TENSORS, check_name, check_shape, check_unique
from mwv.checkpoint.dtypes import PLAIN, DType
from mwv.checkpoint.info import TensorInfo
from mwv.checkpoint.source import Source
from mwv.checkpoint.wording import shown
from mwv.errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType

MAGIC: Final = b"GGUF"
_ALIGNMENT: Final = 32
# Limits far above any real file: headers are some megabytes, vocabularies below a million tokens, ggml knows 4 dimensions.
MAX_HEADER: Final = 256 * 2**20
MAX_KEYS: Final = 100_000
MAX_STRINGS: Final = 4_000_000
MAX_DIMENSIONS: Final = 8
MAX_NESTING: Final = 4
MAX_NESTED: Final = 100_000
"""Arrays within arrays, of all key/values together."""
# What is kept of key/values: this much of one text, of all texts together, arrays of at most so many items, and so many
# items of all arrays of numbers, and of texts, together.
KEPT_TEXT: Final = 65_536
KEPT_TOTAL: Final = 16 * 2**20
KEPT_ITEMS: Final = 4096
KEPT_NUMBERS: Final = 1_000_000
KEPT_STRINGS: Final = 100_000

_WINDOW: Final = 65_536
_STRING_BYTES: Final = 64  # what to read for each string of an array; most are shorter
_STRING: Final = 8
_ARRAY: Final = 9
_NUMBERS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

Scalar = int | float | bool | str


@dataclass(frozen=True)
class Array:
    """An array of the key/values: its length, and its items unless they are many or arrays themselves."""

    length: int
    items: tuple[Scalar, ...] = ()


Value = Scalar | Array


class GgufHeader(NamedTuple):
    """What the header of one file says."""

    tensors: tuple[TensorInfo, ...]
    values: dict[str, Value]


class _Entry(NamedTuple):
    offset: int
    nbytes: int
    name: str
    dtype: DType
    shape: tuple[int, ...]


def is_gguf(source: Source) -> bool:
    """Whether the file begins with GGUF's magic number."""
    return source.size >= len(MAGIC) and source.read(0, len(MAGIC)) == MAGIC


def read_gguf(source: Source, shard: int = 0) -> GgufHeader:
    """Tensors in order of offset, shapes as in Hugging Face (slowest dimension first), and key/values."""
    cursor = _Cursor(source)
    if cursor.take(4) != MAGIC:
        raise FormatError(f"{cursor.place}: does not begin with GGUF; no GGUF file")
    version = cursor.version()
    tensor_count, key_count = cursor.length(), cursor.length()
    cursor.check_count("key/values", key_count, MAX_KEYS, 13)
    cursor.check_count("tensors", tensor_count, MAX_TENSORS, 20 if version == 1 else 24)
    values: dict[str, Value] = {}
    for _ in range(key_count):
        key = cursor.name("key")
        if key in values:
            raise FormatError(f"{cursor.place}: key {shown(key)} occurs twice; the file is damaged")
        values[key] = cursor.value(cursor.number("I"))
    alignment = _alignment(cursor.place, values)
    entries = [_entry(cursor) for _ in range(tensor_count)]
    check_unique((cursor.place, entry.name) for entry in entries)
    data = _align(cursor.position, alignment)
    entries.sort()
    _check_ranges(cursor.place, entries, source.size - data, alignment)
    tensors = tuple(
        TensorInfo(e.name, e.dtype, e.shape, shard, data + e.offset, e.nbytes, None, cursor.byteorder) for e in entries
    )
    return GgufHeader(tensors, values)


def _alignment(place: str, values: dict[str, Value]) -> int:
    alignment = values.get("general.alignment", _ALIGNMENT)
    if type(alignment) is not int or alignment <= 0 or alignment & (alignment - 1):
        raise FormatError(f"{place}: general.alignment must be a power of two; the file is damaged")
    return alignment


def _align(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _entry(cursor: "_Cursor") -> _Entry:
    name = check_name(cursor.place, cursor.name("tensor name"))
    dimensions = cursor.number("I")
    if dimensions > MAX_DIMENSIONS:
        raise FormatError(
            f"{cursor.place}: tensor {shown(name)}: {dimensions} dimensions, GGUF has at most 4; the file is damaged"
        )
    # GGUF writes the fastest dimension first.
    shape = tuple(reversed([cursor.length() for _ in range(dimensions)]))
    elements = check_shape(cursor.place, name, shape)
    dtype = _dtype(cursor, name, cursor.number("I"))
    offset = cursor.number("Q")
    if dtype.block_elements > 1 and (not shape or shape[-1] % dtype.block_elements):
        raise FormatError(
            f"{cursor.place}: tensor {shown(name)}: rows of {shape[-1] if shape else 1} elements are not whole blocks "
            f"of {dtype.block_elements} ({dtype.name}); the file is damaged"
        )
    return _Entry(offset, dtype.nbytes(elements), name, dtype, shape)


def _dtype(cursor: "_Cursor", name: str, number: int) -> DType:
    import gguf  # late: it takes 0.2 s, and other formats do without

    place = cursor.place
    try:
        kind = gguf.GGMLQuantizationType(number)
        block_elements, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError):
        raise UnsupportedError(
            f"{place}: tensor {shown(name)}: GGUF type {number} is unknown to gguf; a newer gguf package may know it"
        ) from None
    if plain := PLAIN.get(kind.name):
        return plain
    if not _dequantises(kind):
        raise UnsupportedError(
            f"{place}: tensor {shown(name)}: type {kind.name} cannot be dequantised by gguf; quantise to another"
        )
    if cursor.byteorder == "big":
        raise UnsupportedError(
            f"{place}: tensor {shown(name)}: {kind.name} in big-endian files is not supported; convert the file"
        )
    return DType(kind.name, "block", block_elements, block_bytes)


@cache
def _dequantises(kind: "GGMLQuantizationType") -> bool:
    """Whether gguf can turn blocks of this type into numbers; asked with a block of zeros."""
    import gguf

    try:
        gguf.dequantize(np.zeros((1, gguf.GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def _check_ranges(place: str, entries: list[_Entry], size: int, alignment: int) -> None:
    """Entries in order of offset must follow each other with nothing but alignment between them, as ggml demands."""
    position = 0
    for entry in entries:
        if entry.offset != position:
            fault = "overlap others" if entry.offset < position else "leave a hole before them"
            raise FormatError(
                f"{place}: tensor {shown(entry.name)}: bytes from {entry.offset} {fault}; expected to begin at {position}; "
                "the file is damaged"
            )
        if entry.offset + entry.nbytes > size:
            raise FormatError(
                f"{place}: tensor {shown(entry.name)}: its data ends at byte {entry.offset + entry.nbytes}, "
                f"the file has {max(size, 0)} bytes of data; fetch it again"
            )
        position = _align(entry.offset + entry.nbytes, alignment)


class _Cursor:
    """Reads a header from front to back; every length is checked against the file before it is followed."""

    def __init__(self, source: Source) -> None:
        self.place = source.place
        self.position = 0
        self.byteorder: Literal["little", "big"] = "little"
        self._order = "<"
        self._length = "Q"
        self._source = source
        self._window = b""
        self._start = 0
        self._text_left = KEPT_TOTAL
        self._strings_left = MAX_STRINGS
        self._kept_strings_left = KEPT_STRINGS
        self._nested_left = MAX_NESTED
        self._numbers_left = KEPT_NUMBERS

    def version(self) -> int:
        """Read the version; it tells the byte order and the width of lengths."""
        raw = self.take(4)
        if raw[:2] == b"\0\0":
            self.byteorder, self._order = "big", ">"
        version = int.from_bytes(raw, self.byteorder)
        if not 1 <= version <= 3:
            raise UnsupportedError(f"{self.place}: GGUF version {version}; versions 1 to 3 can be read")
        if version == 1:
            self._length = "I"
        return version

    def _skip(self, count: int) -> int:
        """Go on by `count` bytes; returns where they begin."""
        begin, end = self.position, self.position + count
        if end > self._source.size:
            raise FormatError(f"{self.place}: the header goes on beyond the end of the file, at byte {begin}; fetch it again")
        if end > MAX_HEADER:
            raise FormatError(f"{self.place}: the header is longer than {MAX_HEADER} bytes; the file is damaged")
        self.position = end
        return begin

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        begin = self._skip(count)
        at = begin - self._start
        if at < 0 or at + count > len(self._window):
            length = min(max(count, _WINDOW), self._source.size - begin)
            self._window, self._start, at = self._source.read(begin, length), begin, 0
        return self._window[at : at + count]

    def number(self, code: str) -> int:
        """The next integer, of a struct code."""
        return int(struct.unpack(self._order + code, self.take(struct.calcsize(code)))[0])

    def length(self) -> int:
        """The next length, count or dimension."""
        return self.number(self._length)

    def check_count(self, what: str, count: int, most: int, smallest: int) -> None:
        """Raise FormatError for more than `most` things, or if the file cannot hold `count` of at least `smallest` bytes."""
        if count > most:
            raise FormatError(f"{self.place}: the header promises {count} {what}, at most {most} are read; the file is damaged")
        if count * smallest > self._source.size - self.position:
            raise FormatError(f"{self.place}: the header promises {count} {what}, more than the file can hold; fetch it again")

    def name(self, what: str) -> str:
        """The next string, which must be short and UTF-8."""
        length = self.length()
        if length > MAX_NAME:
            raise FormatError(f"{self.place}: a {what} of {length} bytes is impossible; the file is damaged")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise FormatError(
                f"{self.place}: a {what} is not UTF-8, before byte {self.position}; the file is damaged"
            ) from None

    def _text(self) -> str:
        """The next string; only the beginning of a long one."""
        length = self.length()
        kept = min(length, KEPT_TEXT, self._text_left)
        self._text_left -= kept
        text = self.take(kept).decode(errors="replace")
        self._skip(length - kept)
        return text

    def value(self, kind: int) -> Value:
        """The next value, of a type number."""
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            return self._array(1)
        code = self._code(kind)
        result: Scalar = struct.unpack(self._order + code, self.take(struct.calcsize(code)))[0]
        return result

    def _code(self, kind: int) -> str:
        if kind not in _NUMBERS:
            raise FormatError(f"{self.place}: value type {kind} before byte {self.position} is unknown; the file is damaged")
        return _NUMBERS[kind]

    def _array(self, depth: int) -> Array:
        kind, count = self.number("I"), self.length()
        if kind == _STRING:
            return self._strings(count)
        if kind == _ARRAY:
            if depth == MAX_NESTING:
                raise FormatError(f"{self.place}: arrays nested more than {MAX_NESTING} deep; the file is damaged")
            self.check_count("arrays", count, self._nested_left, 4 + struct.calcsize(self._length))
            self._nested_left -= count
            for _ in range(count):
                self._array(depth + 1)
            return Array(count)
        code = self._code(kind)
        size = struct.calcsize(code)
        if count > min(KEPT_ITEMS, self._numbers_left):
            self._skip(count * size)
            return Array(count)
        self._numbers_left -= count
        return Array(count, struct.unpack(f"{self._order}{count}{code}", self.take(count * size)))

    def _strings(self, count: int) -> Array:
        self.check_count("strings", count, self._strings_left, struct.calcsize(self._length))
        self._strings_left -= count
        if count <= min(KEPT_ITEMS, self._kept_strings_left):
            self._kept_strings_left -= count
            return Array(count, tuple(self._text() for _ in range(count)))
        unpack = struct.Struct(self._order + self._length)
        left = count
        # A vocabulary: half a million strings are common, so this loop avoids a call for each.
        while left:
            window = self.take(min(_WINDOW, _STRING_BYTES * left, self._source.size - self.position))
            at, last = 0, len(window) - unpack.size
            while left and at <= last:
                at += unpack.size + unpack.unpack_from(window, at)[0]
                left -= 1
            self.position -= len(window)
            if not at:
                raise FormatError(f"{self.place}: an array of strings goes on beyond the end of the file; fetch it again")
            self._skip(at)
        return Array(count)
