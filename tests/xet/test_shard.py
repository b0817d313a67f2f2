"""What a CAS answers for a chunk, against shards that the real client writes and the loopback Hub's own writer."""

import random
import struct

import hf_xet
import numpy as np
import pytest
from blake3 import blake3
from loophub.xetformat import Chunk, chunk_hash, from_hex, shard_of_xorbs, to_hex

from mwv.checkpoint.source import FileSource
from mwv.xet.chunks import chunks_of
from mwv.xet.shard import XorbList, is_asked_for, keyed, parse_shard

KEY = bytes(range(1, 33))


def some(count, seed=0):
    rng = random.Random(seed)
    return [Chunk(0, 9000 * i + 9000, 0, rng.randbytes(32), 8192 + i) for i in range(count)]


XORBS = {to_hex(bytes([7] * 32)): some(5), to_hex(bytes(range(32))): some(3, 1)}


def test_each_xorb_has_its_chunks_under_the_key():
    found = parse_shard(shard_of_xorbs(XORBS, KEY, 2_000_000_000))
    assert [told.xorb for told in found] == list(XORBS)
    for told, chunks in zip(found, XORBS.values(), strict=True):
        assert told.key == KEY
        assert told.chunks.lengths.tolist() == [chunk.length for chunk in chunks]
        assert [bytes(row) for row in told.chunks.hashes] == list(keyed([chunk.hash for chunk in chunks], KEY))
        assert bytes(told.chunks.hashes[0]) == blake3(chunks[0].hash, key=KEY).digest()
        again = XorbList.from_bytes(told.xorb, told.to_bytes())
        assert again.key == KEY
        np.testing.assert_array_equal(again.chunks.lengths, told.chunks.lengths)
        np.testing.assert_array_equal(again.chunks.hashes, told.chunks.hashes)
    assert parse_shard(shard_of_xorbs(XORBS, bytes(32), 0))[0].key == b""
    assert list(keyed([b"chunk"], b"")) == [b"chunk"]


def test_shards_of_the_real_client_are_read(tmp_path):
    """It keeps those that it has sent, files with checks and sums; xorbs under no key; some with tables."""
    data = np.random.default_rng(3).bytes(70 << 20)
    (tmp_path / "file").write_bytes(data)
    (tmp_path / "cas").mkdir()
    with hf_xet.XetSession().new_upload_commit(endpoint=f"local://{tmp_path / 'cas'}") as commit:
        commit.start_upload_file(str(tmp_path / "file"), sha256=hf_xet.COMPUTE_SHA256)
    chunks = chunks_of(FileSource(tmp_path / "file"))
    shards = list((tmp_path / "cas").rglob("*.mdb"))
    assert len(shards) >= 2
    for shard in shards:
        told = {found.chunks.hashes[0].tobytes(): found for found in parse_shard(shard.read_bytes())}
        assert len(told) == 2
        one = told.pop(chunk_hash(data[: int(chunks.lengths[0])]))
        (two,) = told.values()
        np.testing.assert_array_equal(np.concatenate([one.chunks.hashes, two.chunks.hashes]), chunks.hashes)
        np.testing.assert_array_equal(np.concatenate([one.chunks.lengths, two.chunks.lengths]), chunks.lengths)


def test_one_chunk_in_1024_may_be_asked_for():
    assert is_asked_for(bytes(24) + struct.pack("<Q", 5 * 1024))
    assert not is_asked_for(bytes(24) + struct.pack("<Q", 5 * 1024 + 512))
    assert from_hex(to_hex(KEY)) == KEY


def test_whatever_is_no_shard_is_one_error():
    body = shard_of_xorbs(XORBS, KEY, 0)
    many = struct.pack("<I", 1 << 31)
    damaged = [
        b"",
        b"<html>",
        body[:47],
        body[:200],
        body.replace(b"\xff" * 32, bytes(32)),
        body[:32] + struct.pack("<Q", 3) + body[40:],
        body[:40] + struct.pack("<Q", 7) + body[48:],
        body[:-200] + struct.pack("<Q", 2) + body[-192:],
        body[: 96 + 36] + many + body[96 + 40 :],
        body[: 144 + 36] + many + body[144 + 40 :],
        body[: 144 + 36] + bytes(4) + body[144 + 40 :],
        body[:48] + bytes(36) + many + bytes(8) + body[48:],
    ]
    for bad in damaged:
        with pytest.raises(ValueError, match="no shard"):
            parse_shard(bad)
    rng = random.Random(1)
    for _ in range(3000):
        bad = bytearray(body[: rng.randrange(len(body) + 1)] if rng.random() < 0.3 else body)
        for _ in range(rng.randrange(1, 4)):
            if bad:
                bad[rng.randrange(len(bad))] = rng.randrange(256)
        try:
            found = parse_shard(bytes(bad))
        except ValueError:
            continue
        assert sum(len(told.chunks.lengths) for told in found) <= len(body) // 48
    for bad in (b"", bytes(31), KEY + b"x", KEY + bytes(36)):
        with pytest.raises(ValueError):
            XorbList.from_bytes("x", bad)
