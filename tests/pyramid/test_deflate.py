import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwv.pyramid.deflate import compress, count_bytes


def deflated(data):
    return compress(data, count_bytes(data))


runs = st.lists(st.tuples(st.integers(0, 255), st.integers(1, 600)), max_size=40)


@given(runs)
@settings(deadline=None)
def test_runs_of_any_length_survive(found):
    data = np.concatenate([np.full(n, byte, np.uint8) for byte, n in found] or [np.zeros(0, np.uint8)])
    assert zlib.decompress(deflated(data)) == data.tobytes()


@given(st.binary(max_size=5000))
@settings(deadline=None)
def test_any_bytes_survive(data):
    assert zlib.decompress(deflated(np.frombuffer(data, np.uint8))) == data


def huffman_only(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY)
    return packer.compress(data.tobytes()) + packer.flush()


@pytest.mark.parametrize("symbols", [1, 2, 3, 17, 94, 256])
def test_noise_takes_no_more_than_zlib_with_huffman_codes_alone(symbols):
    data = np.random.default_rng(symbols).integers(0, symbols, 200_000).astype(np.uint8)
    packed = deflated(data)
    assert zlib.decompress(packed) == data.tobytes()
    assert len(packed) <= len(huffman_only(data)) * 1.002


def test_counts_that_want_codes_longer_than_15_bits():
    counts = [1, 1]
    while sum(counts) < 2_000_000:
        counts.append(counts[-1] + counts[-2])
    data = np.repeat(np.arange(len(counts), dtype=np.uint8), counts)
    np.random.default_rng(0).shuffle(data)
    assert zlib.decompress(deflated(data)) == data.tobytes()


def test_every_length_of_a_match_is_coded_as_the_standard_says():
    for length in range(1, 530):
        data = np.array([1] * length + [2, 3] * 3, np.uint8)
        assert zlib.decompress(deflated(data)) == data.tobytes()


def test_padding_takes_next_to_nothing():
    assert len(deflated(np.zeros((512, 513), np.uint8))) < 700
