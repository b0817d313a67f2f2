"""A zip file in, the byte ranges of its entries out: only entries that are stored as they are, nothing is unpacked."""

import io
import struct
import zipfile
from collections.abc import Iterable
from typing import Final

from mwv.checkpoint.source import Range, Source
from mwv.checkpoint.wording import printable, shown
from mwv.errors import FormatError, UnsupportedError

# The list of a hundred thousand entries; a larger archive is no checkpoint.
MAX_DIRECTORY: Final = 8 * 2**20

_ZIP: Final = b"PK\3\4"
_LOCAL_HEADER: Final = 30
_EXTRA: Final = 128
"""Bytes of an entry's header behind its name, in most files fewer."""


def is_zip(source: Source) -> bool:
    """Whether the file begins as a zip archive does."""
    return source.size >= len(_ZIP) and source.read(0, len(_ZIP)) == _ZIP


def first_name(source: Source) -> bytes:
    """The name of the entry that a zip file begins with, without a look at its directory; empty for other files."""
    if source.size < _LOCAL_HEADER or not is_zip(source):
        return b""
    (length,) = struct.unpack("<H", source.read(26, 2))
    return source.read(_LOCAL_HEADER, min(length, source.size - _LOCAL_HEADER))


class Archive:
    """The directory of a zip file; `remedy` is what to do about an entry that is not stored as it is."""

    def __init__(self, source: Source, remedy: str) -> None:
        """Read the directory; FormatError if it is damaged or longer than that of any checkpoint."""
        self._source = source
        self._place = source.place
        self._remedy = remedy
        try:
            # The directory is all that zipfile reads; the entries' bytes we read where they lie.
            with zipfile.ZipFile(_View(source)) as archive:
                entries, self._end = archive.infolist(), archive.start_dir
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, IndexError, struct.error) as error:
            reason = printable(str(error), 100)
            raise FormatError(f"{self._place}: the zip directory cannot be read ({reason}); fetch the file again") from None
        self._entries = {entry.filename: entry for entry in entries}
        if len(self._entries) < len(entries):
            raise FormatError(f"{self._place}: two entries of the archive have one name; the file is damaged")
        self._ranges: dict[str, Range] = {}

    @property
    def names(self) -> Iterable[str]:
        """Names of all entries."""
        return self._entries.keys()

    def info(self, name: str) -> zipfile.ZipInfo:
        """What the directory says of an entry, which must be stored as it is."""
        if name not in self._entries:
            raise FormatError(f"{self._place}: {shown(name)} is not in the archive; fetch the file again")
        entry = self._entries[name]
        if entry.flag_bits & 1:
            raise UnsupportedError(f"{self._place}: {shown(name)} is encrypted; decrypt the archive")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise UnsupportedError(f"{self._place}: {shown(name)} is compressed; {self._remedy}")
        if entry.file_size != entry.compress_size:
            raise FormatError(f"{self._place}: {shown(name)} has two sizes; the file is damaged")
        return entry

    def range(self, name: str) -> Range:
        """Where an entry's bytes lie, proven to be before the directory."""
        if name not in self._ranges:
            entry = self.info(name)
            begin = entry.header_offset
            if 0 <= begin <= self._end - _LOCAL_HEADER:
                header = self._source.read(begin, _LOCAL_HEADER)
                if header.startswith(_ZIP):
                    begin += _LOCAL_HEADER + sum(struct.unpack_from("<HH", header, 26))
                    if begin + entry.file_size <= self._end:
                        self._ranges[name] = Range(begin, begin + entry.file_size, name)
                        return self._ranges[name]
            raise FormatError(f"{self._place}: {shown(name)} does not lie in the archive; fetch the file again")
        return self._ranges[name]

    def expect(self, more: int = 0) -> None:
        """Say that `range` is going to be asked for all entries, each of which has a header, and `more` bytes of each read."""
        self._source.expect(
            Range(begin, min(begin + _LOCAL_HEADER + (len(name) + _EXTRA + more if more else 0), self._end), name)
            for name, entry in self._entries.items()
            if 0 <= (begin := entry.header_offset) <= self._end - _LOCAL_HEADER
        )

    def read(self, name: str) -> bytes:
        """The bytes of a small entry."""
        begin, end, _ = self.range(name)
        return self._source.read(begin, end - begin)


class _View(io.RawIOBase):
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
            raise FormatError(f"{self._source.place}: a zip directory of {length} bytes is impossible; no checkpoint")
        self._position += length
        return self._source.read(self._position - length, length)
