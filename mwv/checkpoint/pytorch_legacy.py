"""A file of torch.save from before version 1.6 in, the object it holds and where its storages lie out.

Pickles follow each other: a magic number, the version of the protocol, facts about the machine, the object, the keys
of its storages. Then comes each storage: how many elements it has, in 8 bytes, and these. torch turns elements to
little-endian whatever the machine, and so does the reader of the file (torch/csrc/serialization.cpp); what the facts
say of the byte order is of no account.
"""

import io
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

from mwv.checkpoint.pickle_machine import Global, load, load_next
from mwv.checkpoint.source import Range, Source
from mwv.checkpoint.torch_objects import Saved, Storage, call, persistent
from mwv.checkpoint.wording import printable, shown
from mwv.errors import FormatError, UnsupportedError

# All pickles together: what follows the last is data.
MAX_PICKLES: Final = 32 * 2**20
_FIRST: Final = 2**20
"""What is looked into at first; the pickles of most files have fewer bytes."""
_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
# Enough for the magic number in every protocol of pickle.
_HEAD: Final = 64
_HEAD_STEPS: Final = 100
# About as many storages as the object can name in its own steps.
_MAX_KEY_STEPS: Final = 150_000


def is_legacy(source: Source) -> bool:
    """Whether a file begins with the pickled magic number."""
    head = source.read(0, min(source.size, _HEAD))
    if head[:1] not in (b"\x80", b"L"):  # how a pickled number begins from protocol 2 on, and before
        return False
    try:
        return bool(load("", head, call, partial(persistent, "")) == _MAGIC)
    except FormatError:
        return False


def is_tar(source: Source) -> bool:
    """Whether a file is of the format of torch's first versions."""
    head = source.read(0, min(source.size, 512))
    return head[257:262] == b"ustar" and head[:100].rstrip(b"\0") in (b"storages", b"tensors", b"pickle")


def read_legacy(source: Source) -> Saved:
    """What the file holds."""
    place = source.place
    try:
        return _saved(place, source, _FIRST)
    except FormatError:
        if source.size <= _FIRST:
            raise
    return _saved(place, source, MAX_PICKLES)


def _saved(place: str, source: Source, most: int) -> Saved:
    """What the file holds, if its pickles have at most so many bytes."""
    stream = io.BytesIO(source.read(0, min(source.size, most)))
    storages: dict[Any, Storage] = {}

    def found(identity: Any) -> Storage | Global:
        known = persistent("", identity)
        if isinstance(known, Storage):
            storages.setdefault(known.key, known)
        return known

    try:
        _, version, _ = (load_next(place, stream, call, found, _HEAD_STEPS) for _ in range(3))
        if version != _PROTOCOL:
            raise FormatError(f"{place}: of an unknown version of torch's format; load the file with torch and save it again")
        root = load_next(place, stream, call, found)
        keys = load_next(place, stream, call, found, _MAX_KEY_STEPS)
    except FormatError:
        if source.size > MAX_PICKLES and not stream.read(1):
            raise UnsupportedError(
                f"{place}: its pickles have more than {MAX_PICKLES} bytes, which are not read; save the tensors alone"
            ) from None
        raise
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in storages for key in keys):
        raise FormatError(f"{place}: no list of storages follows the pickled object; the file is damaged")
    ranges = _ranges(source, stream.tell(), [storages[key] for key in keys])

    def range_of(key: str) -> Range:
        if key not in ranges:
            raise FormatError(f"{place}: the storage {shown(key)} is not in the file; fetch it again")
        return ranges[key]

    return Saved(root, range_of, "little")


def _ranges(source: Source, begin: int, storages: list[Storage]) -> dict[str, Range]:
    """Where storages that follow each other from `begin` on lie, by their keys."""
    place = source.place
    ranges: dict[str, Range] = {}
    source.expect(_counts(begin, storages))
    for storage in storages:
        named = f"{place}: the storage {shown(storage.key)}"
        if storage.key in ranges:
            raise FormatError(f"{named} is listed twice; the file is damaged")
        if storage.dtype is None:
            kind = printable(storage.dtype_name, 60)
            raise UnsupportedError(
                f"{named} has elements of an unknown type ({kind}); load the file with torch and convert them"
            )
        begin += 8
        end = begin + storage.numel * storage.dtype.block_bytes
        if end > source.size:
            raise FormatError(f"{named} needs bytes {begin} to {end}, the file has {source.size}; fetch it again")
        count = source.read(begin - 8, 8)
        # Only elements were turned to little-endian by early versions on big-endian machines, not their number.
        if storage.numel not in (int.from_bytes(count, "little"), int.from_bytes(count, "big")):
            raise FormatError(f"{named} should have {storage.numel} elements and says otherwise; the file is damaged")
        ranges[storage.key] = Range(begin, end, storage.key)
        begin = end
    return ranges


def _counts(begin: int, storages: Iterable[Storage]) -> Iterator[Range]:
    """Where the number of elements of each storage stands, before its bytes."""
    for storage in storages:
        yield Range(begin, begin + 8, storage.key)
        begin += 8 + storage.numel * (storage.dtype.block_bytes if storage.dtype else 0)
