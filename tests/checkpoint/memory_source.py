"""Bytes in, a Source out that notes how much was read of it; behind the bytes may lie zeros without end."""

from collections.abc import Iterable

from mwv.checkpoint.source import Range
from mwv.errors import SourceChangedError


class MemorySource:
    def __init__(self, data: bytes, size: int | None = None, name: str = "test.file") -> None:
        self.data = data
        self.size = len(data) if size is None else size
        self.name = self.place = name
        self.identity = None
        self.read_bytes = 0

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0, "a reader asked for bytes before the file"
        assert length >= 0, "a reader asked for less than nothing"
        assert length <= 128 * 2**20, "a reader asked for more than any header has"
        if offset + length > self.size:
            raise SourceChangedError(f"{self.name}: ends early")
        self.read_bytes += length
        return self.data[offset : offset + length].ljust(length, b"\0")

    def expect(self, ranges: Iterable[Range]) -> None: ...

    def check_unchanged(self) -> None: ...

    def close(self) -> None: ...
