"""A CAS's answer for a chunk in, the xorbs that it tells of out: the hash and the length of each of their chunks.

The answer is a shard as huggingface.co/docs/xet/shard specifies it. Hashes in it are keyed, so that it says only to those who
have a chunk where it lies: blake3 of the chunk's hash, under a key at the shard's end.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from blake3 import blake3

from mwv.xet.chunks import HASH, Chunks
from mwv.xet.merkle import hash_text
from mwv.xet.stored import XORB_CHUNKS

_TAG: Final = b"HFRepoMetaData\0" + bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
_RECORD: Final = 48
"""Bytes of each record: a hash, and numbers."""
_END: Final = b"\xff" * HASH
_VERIFIED: Final = 1 << 31
_DESCRIBED: Final = 1 << 30
"""Flags of a file: a record more for each of its terms, one more for itself."""
_FOOTER: Final = 200
_KEY_AT: Final = 72
_ASKED: Final = 1024
"""One chunk of so many may be asked for wherever it lies in its file."""


@dataclass(frozen=True, eq=False)
class XorbList:
    """The chunks of a xorb in their order."""

    xorb: str
    """Its hash as xet writes it."""
    key: bytes
    """Under which the hashes are keyed; empty if they are plain."""
    chunks: Chunks

    def to_bytes(self) -> bytes:
        """As `from_bytes` takes it: the key, or zeros, then the chunks."""
        return self.key.ljust(HASH, b"\0") + self.chunks.to_bytes()

    @classmethod
    def from_bytes(cls, xorb: str, body: bytes) -> "XorbList":
        """What `to_bytes` gave; raises ValueError for anything that cannot be that."""
        return cls(xorb, _key(body[:HASH]), Chunks.from_bytes(body[HASH:]))


def is_asked_for(chunk: bytes) -> bool:
    """Whether a chunk that begins no file may be asked for: the last 8 bytes of its hash, little-endian, decide."""
    return int.from_bytes(chunk[24:], "little") % _ASKED == 0


def keyed(chunks: Iterable[bytes], key: bytes) -> Iterator[bytes]:
    """What lists under a key (empty: none) say of these chunks."""
    return (blake3(chunk, key=key).digest() for chunk in chunks) if key else iter(chunks)


def parse_shard(body: bytes) -> list[XorbList]:
    """The xorbs in a shard; raises ValueError for whatever is no shard."""
    try:
        if not body.startswith(_TAG):
            raise ValueError("no tag")
        version, footer = struct.unpack_from("<QQ", body, HASH)
        if version != 2 or footer not in (0, _FOOTER):
            raise ValueError("another version")
        return list(_xorbs(body, _behind_files(body), _key_of(body) if footer else b""))
    except (ValueError, struct.error) as error:
        raise ValueError(f"no shard: {error}") from None


def _key_of(body: bytes) -> bytes:
    begin = len(body) - _FOOTER
    if struct.unpack_from("<Q", body, begin)[0] != 1:
        raise ValueError("another version of its end")
    return _key(body[begin + _KEY_AT : begin + _KEY_AT + HASH])


def _key(text: bytes) -> bytes:
    if len(text) != HASH:
        raise ValueError("no key")
    return text if any(text) else b""


def _behind_files(body: bytes) -> int:
    """Where the list of xorbs begins."""
    at = _RECORD
    while body[at : at + HASH] != _END:
        flags, terms = struct.unpack_from("<II", body, at + HASH)
        at += _RECORD * (1 + terms * (1 + bool(flags & _VERIFIED)) + bool(flags & _DESCRIBED))
    return at + _RECORD


def _xorbs(body: bytes, at: int, key: bytes) -> Iterator[XorbList]:
    while body[at : at + HASH] != _END:
        (count,) = struct.unpack_from("<I", body, at + HASH + 4)
        xorb, at = hash_text(body[at : at + HASH]), at + _RECORD
        end = at + count * _RECORD
        if count > XORB_CHUNKS or end > len(body):
            raise ValueError("a xorb that is cut or too large")
        rows = np.frombuffer(body, np.uint8, count * _RECORD, at).reshape(count, _RECORD)
        yield XorbList(xorb, key, Chunks.of_columns(rows[:, 36:40], rows[:, :HASH]))
        at = end
