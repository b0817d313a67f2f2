"""Chunks against their definition, byte by byte, and their hashes against the file hash of the real client."""

import os

import hf_xet
import numpy as np
import pytest

from mwv.checkpoint.source import FileSource
from mwv.xet import chunks as module
from mwv.xet.chunks import Chunks, chunks_of
from mwv.xet.gear import GEAR
from mwv.xet.merkle import file_hash, hash_text

KIB = 1024


def cut(data):
    """Lengths of the chunks of bytes, by the words of the specification."""
    lengths, begin, h = [], 0, 0
    table = [int(n) for n in GEAR]
    for i, byte in enumerate(data):
        h = (2 * h + table[byte]) % 2**64
        size = i + 1 - begin
        if size >= 8 * KIB and (size >= 128 * KIB or h < 2**48):
            lengths.append(size)
            begin, h = i + 1, 0
    return lengths + [len(data) - begin] * (begin < len(data))


def samples():
    rng = np.random.default_rng(1)
    block = rng.bytes(1000)
    return {
        "empty": b"",
        "one byte": b"x",
        "less than a chunk": rng.bytes(5000),
        "the smallest chunk": rng.bytes(8 * KIB),
        "one more": rng.bytes(8 * KIB + 1),
        "the largest chunk": bytes(128 * KIB),
        "random": rng.bytes(1_000_000),
        "one byte for ever": bytes(1_000_000),
        "a block for ever": block * 900,
        "few values": rng.choice([0, 128], 700_000).astype(np.uint8).tobytes(),
    }


@pytest.mark.parametrize("name", samples())
def test_cuts_are_where_the_specification_says(tmp_path, name):
    data = samples()[name]
    (tmp_path / "file").write_bytes(data)
    chunks = chunks_of(FileSource(tmp_path / "file"))
    assert chunks.lengths.tolist() == cut(data)
    assert chunks.size == len(data)
    assert hash_text(file_hash(chunks)) == hf_xet.hash_files([str(tmp_path / "file")])[0].hash


@pytest.mark.parametrize("read", [1, 4096, 200_000])
def test_reads_of_any_length_give_the_same_chunks(tmp_path, monkeypatch, read):
    data = np.random.default_rng(2).bytes(500_000 if read > 1 else 30_000)
    (tmp_path / "file").write_bytes(data)
    monkeypatch.setattr(module, "_READ", read)
    assert chunks_of(FileSource(tmp_path / "file")).lengths.tolist() == cut(data)


def test_a_large_file_has_the_hash_that_the_real_client_gives_it(tmp_path):
    data = np.random.default_rng(3).bytes(40 << 20)
    (tmp_path / "file").write_bytes(data[: 20 << 20] + data[5 << 20 :])
    chunks = chunks_of(FileSource(tmp_path / "file"))
    assert hash_text(file_hash(chunks)) == hf_xet.hash_files([str(tmp_path / "file")])[0].hash
    # What stands there twice is cut alike, but for where it begins.
    assert len(np.unique(chunks.hashes, axis=0)) < 0.8 * len(chunks.hashes)


def test_real_models_have_the_hashes_that_the_real_client_gives_them(bert, smollm2):
    for path in (bert, smollm2):
        assert hash_text(file_hash(chunks_of(FileSource(path)))) == hf_xet.hash_files([str(path)])[0].hash


def test_what_is_remembered_is_what_was_found_or_nothing(tmp_path):
    (tmp_path / "file").write_bytes(os.urandom(300_000))
    chunks = chunks_of(FileSource(tmp_path / "file"))
    again = Chunks.from_bytes(chunks.to_bytes())
    np.testing.assert_array_equal(again.lengths, chunks.lengths)
    np.testing.assert_array_equal(again.hashes, chunks.hashes)
    assert Chunks.from_bytes(b"").size == 0
    for damaged in (chunks.to_bytes()[:-1], bytes(36), b"\xff" * 36):
        with pytest.raises(ValueError):
            Chunks.from_bytes(damaged)
