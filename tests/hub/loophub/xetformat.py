"""In: bytes of xorbs and shards as clients upload them. Out: their chunks, files and terms, checked against their hashes.

Format and hashes: the public Xet protocol specification (huggingface.co/docs/xet); the oracle is hf_xet itself.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import blake3

DATA_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
SHARD_TAG = b"HFRepoMetaData\0"
SHARD_TAIL = bytes.fromhex("556967456a7b815783a5bdd95ccdd14aa9")
RECORD = 48
BOOKEND = b"\xff" * 32
WITH_VERIFICATION, WITH_METADATA = 1 << 31, 1 << 30


class Malformed(ValueError):  # noqa: N818
    """A xorb or shard that does not follow the format, or whose hashes are not those of its content."""


def from_hex(text: str) -> bytes:
    """What `to_hex` gave."""
    return struct.pack("<4Q", *(int(text[at : at + 16], 16) for at in range(0, 64, 16)))


def to_hex(digest: bytes) -> str:
    """A hash as the protocol writes it: four 8-byte words, each read little-endian."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", digest))


def chunk_hash(data: bytes) -> bytes:
    return blake3.blake3(data, key=DATA_KEY).digest()


def merkle_root(leaves: Sequence[tuple[bytes, int]]) -> bytes:
    """Root over (hash, length): a group ends at a hash that is 0 modulo 4, after 3 at the least and 9 at the most."""
    nodes = list(leaves)
    while len(nodes) > 1:
        above, start = [], 0
        while start < len(nodes):
            stop = min(start + 9, len(nodes))
            for index in range(start + 2, stop):
                if nodes[index][0][24] % 4 == 0:
                    stop = index + 1
                    break
            lines = "".join(f"{to_hex(digest)} : {length}\n" for digest, length in nodes[start:stop])
            total = sum(length for _, length in nodes[start:stop])
            above.append((blake3.blake3(lines.encode(), key=NODE_KEY).digest(), total))
            start = stop
        nodes = above
    return nodes[0][0] if nodes else bytes(32)


def file_hash(chunks: Sequence[tuple[bytes, int]]) -> bytes:
    """The hash of a file of these chunks."""
    return blake3.blake3(merkle_root(chunks), key=bytes(32)).digest() if chunks else bytes(32)


def lz4_block(block: bytes, out: bytearray) -> None:
    """Append what one LZ4 block holds; matches may reach back into what is already there."""
    at, end = 0, len(block)
    while at < end:
        token = block[at]
        at += 1
        length = token >> 4
        if length == 15:
            while True:
                length += block[at]
                at += 1
                if block[at - 1] != 255:
                    break
        out += block[at : at + length]
        at += length
        if at >= end:
            return
        back = block[at] | block[at + 1] << 8
        at += 2
        length = (token & 15) + 4
        if length == 19:
            while True:
                length += block[at]
                at += 1
                if block[at - 1] != 255:
                    break
        start = len(out) - back
        if back == 0 or start < 0:
            raise Malformed("an LZ4 match before the start")
        if back >= length:
            out += out[start : start + length]
        else:
            piece = bytes(out[start:])
            out += (piece * (length // back + 1))[:length]


def lz4_frame(frame: bytes) -> bytes:
    """What an LZ4 frame holds (version 1, no dictionary; checksums are not looked at, the chunk's hash is)."""
    if frame[:4] != b"\x04\x22\x4d\x18":
        raise Malformed("not an LZ4 frame")
    flags = frame[4]
    at = 6 + (8 if flags & 8 else 0) + 1
    out = bytearray()
    while size := int.from_bytes(frame[at : at + 4], "little"):
        stored, size = size >> 31, size & 0x7FFFFFFF
        block = frame[at + 4 : at + 4 + size]
        if stored:
            out += block
        else:
            lz4_block(block, out)
        at += 4 + size + (4 if flags & 16 else 0)
    return bytes(out)


def ungroup4(data: bytes) -> bytes:
    """Undo byte grouping: all first bytes of four, then all second ones and so on."""
    out = bytearray(len(data))
    start = 0
    for place in range(4):
        count = (len(data) - place + 3) // 4
        out[place::4] = data[start : start + count]
        start += count
    return bytes(out)


def decode_chunk(scheme: int, stored: bytes) -> bytes:
    """A chunk's bytes: 0 as they are, 1 an LZ4 frame, 2 an LZ4 frame of bytes grouped by four."""
    if scheme == 0:
        return stored
    if scheme in (1, 2):
        data = lz4_frame(stored)
        return ungroup4(data) if scheme == 2 else data
    raise Malformed(f"unknown compression {scheme}")


@dataclass(frozen=True)
class Chunk:
    """A chunk of a xorb: its place there (header included), how it is stored, its hash and its length."""

    start: int
    stop: int
    scheme: int
    hash: bytes
    length: int


def parse_xorb(body: bytes, name: str) -> list[Chunk]:
    """The chunks of an uploaded xorb (no footer), every hash computed anew; raises Malformed unless the root is `name`."""
    chunks, at = [], 0
    while at < len(body):
        if body[at] != 0 or at + 8 > len(body):
            raise Malformed(f"no chunk header at {at}")
        stored = int.from_bytes(body[at + 1 : at + 4], "little")
        scheme, length = body[at + 4], int.from_bytes(body[at + 5 : at + 8], "little")
        data = decode_chunk(scheme, body[at + 8 : at + 8 + stored])
        if len(data) != length:
            raise Malformed(f"a chunk of {len(data)} bytes, not {length}")
        chunks.append(Chunk(at, at + 8 + stored, scheme, chunk_hash(data), length))
        at += 8 + stored
    if at != len(body) or len(chunks) > 8192 or at > 64 << 20:
        raise Malformed("a xorb that is cut or too large")
    if to_hex(merkle_root([(chunk.hash, chunk.length) for chunk in chunks])) != name:
        raise Malformed("a xorb that is not what its name says")
    return chunks


@dataclass(frozen=True)
class Term:
    """A run of chunks `first`…`last` (half open) of a xorb, with its length in the file."""

    xorb: str
    first: int
    last: int
    length: int


@dataclass(frozen=True)
class ShardFile:
    """A file of a shard; `sha256` is there when the client sent it."""

    hash: str
    terms: tuple[Term, ...]
    sha256: str | None


def parse_shard(body: bytes) -> tuple[list[ShardFile], list[str]]:
    """The files an uploaded shard describes, and the xorbs that it brought; what it says of these, they tell themselves."""
    if not body.startswith(SHARD_TAG):
        raise Malformed("not a shard")
    files, at = [], RECORD
    while body[at : at + 32] != BOOKEND:
        digest = body[at : at + 32]
        flags, count = struct.unpack_from("<II", body, at + 32)
        at += RECORD
        terms = []
        for _ in range(count):
            _, length, first, last = struct.unpack_from("<IIII", body, at + 32)
            terms.append(Term(to_hex(body[at : at + 32]), first, last, length))
            at += RECORD
        if flags & WITH_VERIFICATION:
            at += RECORD * count
        sha256 = None
        if flags & WITH_METADATA:
            sha256 = to_hex(body[at : at + 32])
            at += RECORD
        files.append(ShardFile(to_hex(digest), tuple(terms), sha256))
    xorbs, at = [], at + RECORD
    while len(body) > at and body[at : at + 32] != BOOKEND:
        xorbs.append(to_hex(body[at : at + 32]))
        at += RECORD * (1 + struct.unpack_from("<I", body, at + 36)[0])
    return files, xorbs


def is_asked_for(digest: bytes) -> bool:
    """Whether a chunk that begins no file may be asked for all the same: one in 1,024."""
    return struct.unpack("<Q", digest[24:])[0] % 1024 == 0


def keyed(digest: bytes, key: bytes) -> bytes:
    """A chunk's hash as an answer tells it: only who has the hash, finds it there."""
    return blake3.blake3(digest, key=key).digest()


def shard_of_xorbs(xorbs: Mapping[str, Sequence[Chunk]], key: bytes, expiry: int) -> bytes:
    """A shard that tells no files, and the chunks of xorbs by keyed hashes: the answer to who asks for a chunk."""
    blocks = []
    for name, chunks in xorbs.items():
        total, at = sum(chunk.length for chunk in chunks), 0
        blocks.append(from_hex(name) + struct.pack("<IIII", 0, len(chunks), total, chunks[-1].stop))
        for chunk in chunks:
            blocks.append(keyed(chunk.hash, key) + struct.pack("<IIQ", at, chunk.length, 0))
            at += chunk.length
    bookend = BOOKEND + bytes(16)
    head = SHARD_TAG + SHARD_TAIL + struct.pack("<QQ", 2, 200)
    body = head + bookend + b"".join(blocks) + bookend
    tables = struct.pack("<6Q", *(len(body), 0) * 3)  # none of the three
    times = struct.pack("<QQ", 0, expiry)
    return body + struct.pack("<QQQ", 1, 48, 96) + tables + key + times + bytes(72) + struct.pack("<Q", len(body))
