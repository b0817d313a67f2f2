import io
import os
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from pmtiles.reader import MemorySource, Reader
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

from mwv.store.blob import body_of, intact, plausible, seal

SEALED = b"sums of a block" * 9
SEALED += seal(SEALED)


def picture(chunked: bool = False) -> bytes:
    out = io.BytesIO()
    image = Image.effect_noise((29, 23), 80)
    facts = PngImagePlugin.PngInfo()
    facts.add_text("comment", "a chunk between the others")
    image.save(out, "png", pnginfo=facts if chunked else None)
    return out.getvalue()


PICTURE = picture(chunked=True)


def is_intact(data: bytes) -> bool:
    return intact(io.BytesIO(data), len(data))


def is_plausible(data: bytes, path: Path) -> bool:
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        return plausible(fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize("data", [PICTURE, picture(), SEALED, seal(b"")])
def test_whole_blobs_pass_both_checks(data: bytes, tmp_path: Path) -> None:
    assert is_intact(data)
    assert is_plausible(data, tmp_path / "blob")


@pytest.mark.parametrize("data", [PICTURE, SEALED])
def test_a_blob_cut_at_any_length_fails_both_checks(data: bytes, tmp_path: Path) -> None:
    assert not [end for end in range(len(data)) if is_intact(data[:end])]
    assert not [end for end in range(len(data)) if is_plausible(data[:end], tmp_path / "blob")]


@pytest.mark.parametrize("data", [PICTURE, SEALED])
def test_a_blob_followed_by_anything_fails_both_checks(data: bytes, tmp_path: Path) -> None:
    for more in (b"\0", b"\0" * 4096, data):
        assert not is_intact(data + more)
        if more != data:  # two blobs on end have the right ends; only the whole check sees that
            assert not is_plausible(data + more, tmp_path / "blob")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_flipped_bit_passes_the_whole_check(data: st.DataObject) -> None:
    blob = bytearray(data.draw(st.sampled_from([PICTURE, SEALED])))
    bit = data.draw(st.integers(0, len(blob) * 8 - 1))
    blob[bit // 8] ^= 1 << bit % 8
    assert not is_intact(bytes(blob))


def test_a_blob_of_zeros_is_what_a_power_cut_leaves(tmp_path: Path) -> None:
    for size in (0, 8, 40, 57, 4096):
        assert not is_intact(b"\0" * size)
        assert not is_plausible(b"\0" * size, tmp_path / "blob")


def test_a_png_without_its_last_chunk_or_with_chunks_out_of_order_is_not_intact() -> None:
    signature, rest = PICTURE[:8], PICTURE[8:]
    chunks = []
    while rest:
        length = 12 + int.from_bytes(rest[:4], "big")
        chunks.append(rest[:length])
        rest = rest[length:]
    assert len(chunks) >= 4
    assert is_intact(signature + b"".join(chunks))
    assert not is_intact(signature + b"".join(chunks[:-1]))
    assert not is_intact(signature + b"".join(chunks[1:]))
    assert not is_intact(signature + b"".join([chunks[1], chunks[0], *chunks[2:]]))
    assert not is_intact(signature + chunks[0] + b"".join(chunks))


def test_a_chunk_that_claims_two_gigabytes_is_refused_without_reading_them() -> None:
    assert not is_intact(PICTURE[:33] + b"\x7f\xff\xff\xffIDAT" + PICTURE[41:])


def test_large_blobs_are_read_in_pieces() -> None:
    class Pieces(io.BytesIO):
        largest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.largest = max(self.largest, size if size is not None and size >= 0 else 1 << 60)
            return super().read(size)

    body = os.urandom(5 << 20)
    image = io.BytesIO()
    Image.frombytes("L", (2048, 2048), body[: 4 << 20]).save(image, "png")
    for data in (body + seal(body), image.getvalue()):
        stream = Pieces(data)
        assert intact(stream, len(data))
        assert stream.largest <= 1 << 20


def test_any_body_ends_in_the_blake3_of_itself_and_comes_back() -> None:
    assert SEALED[-32:] == blake3(SEALED[:-40]).digest()
    assert body_of(SEALED) == SEALED[:-40]
    assert body_of(PICTURE) == PICTURE


def test_a_sealed_avif_is_still_an_avif() -> None:
    out = io.BytesIO()
    Image.effect_noise((64, 64), 60).convert("RGB").save(out, "avif", quality=80)
    plain = out.getvalue()
    sealed = plain + seal(plain)
    assert is_intact(sealed)
    with Image.open(io.BytesIO(plain)) as before, Image.open(io.BytesIO(sealed)) as after:
        assert after.format == "AVIF"
        assert after.tobytes() == before.tobytes()


def test_a_sealed_pmtiles_archive_is_still_an_archive() -> None:
    out = io.BytesIO()
    writer = Writer(out)
    writer.write_tile(zxy_to_tileid(3, 1, 2), PICTURE)
    writer.finalize({"tile_type": TileType.PNG, "tile_compression": Compression.NONE}, {"name": "a"})
    plain = out.getvalue()
    sealed = plain + seal(plain)
    assert is_intact(sealed)
    assert Reader(MemorySource(sealed)).get(3, 1, 2) == PICTURE
