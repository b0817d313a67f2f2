"""In: streams of bytes. Out: their tiles, every pixel of every level as plain Python and numpy make it from the same bytes."""

import hashlib
from fractions import Fraction

import numpy as np
import pytest

from mwv.checkpoint.source import FileSource
from mwv.checkpoint.stream import Stream
from mwv.layout.hilbert import Curve
from mwv.pyramid.byte_content import ByteContent, Learnt, byte_canvas
from mwv.pyramid.byte_kernels import information
from mwv.pyramid.byte_palette import byte_tables, entropy_tables
from mwv.pyramid.bytes import BYTES, ENTROPY
from mwv.pyramid.picture import whole_level
from mwv.pyramid.png import decode_gray
from mwv.pyramid.render import Renderer


class Blobs:
    def __init__(self):
        self.kept = {}

    def has(self, key):
        return key in self.kept

    def get(self, key):
        return self.kept.get(key)

    def put(self, key, body):
        self.kept[key] = body

    put_png = put


def mixed(length, seed=0):
    """Bytes with runs of each class, and noise."""
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, length, np.uint8)
    for at in range(0, length, 5000):
        kind = rng.integers(0, 5)
        low, high = ((0, 1), (1, 32), (32, 127), (127, 255), (255, 256))[kind]
        data[at : at + rng.integers(1, 4000)] = rng.integers(low, high)
    return data


def stream_of(folder, *parts):
    paths = []
    for i, part in enumerate(parts):
        paths.append(folder / f"part{i}")
        paths[-1].write_bytes(part.tobytes())
    return Stream(tuple(map(FileSource, paths)), tuple(path.name for path in paths))


def drawn(stream, kind, blobs=None, jobs=1, known=None):
    content = ByteContent(stream, known)
    renderer = Renderer(content.plan, content, blobs if blobs is not None else Blobs(), kind=kind)
    return content, renderer, renderer.run(jobs)


def unrolled(data):
    """The bytes on the canvas, -1 where there are none, one by one."""
    curve = Curve(len(data))
    canvas = np.full((curve.height, curve.width), -1, np.int64)
    for i, byte in enumerate(data.tolist()):
        x, y = curve.point(i)
        canvas[y, x] = byte
    return canvas


def squares(canvas, level):
    """All bytes under each pixel of a level, as lists."""
    side = 1 << level
    for y in range(0, canvas.shape[0], side):
        for x in range(0, canvas.shape[1], side):
            found = canvas[y : y + side, x : x + side]
            yield y // side, x // side, found[found >= 0]


def class_of(byte):
    return 0 if byte == 0 else 4 if byte == 255 else 1 if byte < 32 else 2 if byte < 127 else 3


def prevailing(found):
    if not len(found):
        return 0
    kinds = np.array([class_of(byte) for byte in range(256)])[found]
    counts = np.bincount(kinds, minlength=5)
    best = max((2, 1, 3, 4, 0), key=lambda kind: (counts[kind], -(2, 1, 3, 4, 0).index(kind)))
    mean = Fraction(int(found[kinds == best].sum()), int(counts[best]))
    return int(mean + Fraction(1, 2))


@pytest.fixture(scope="module")
def parts():
    return [mixed(150_000, 1), mixed(7, 2), mixed(201_333, 3)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_pixel_of_every_level_is_the_mean_of_the_class_that_prevails(tmp_path, parts, jobs):
    blobs = Blobs()
    content, _, pyramid = drawn(stream_of(tmp_path, *parts), BYTES, blobs, jobs)
    canvas = unrolled(np.concatenate(parts))
    bounds = content.canvas.bounds
    assert pyramid.levels == 2
    codes = whole_level(pyramid, bounds, 0, blobs.get)
    window = canvas[: bounds.height, : bounds.width]
    assert np.array_equal(codes, np.where(window < 0, 0, window))
    codes = whole_level(pyramid, bounds, 1, blobs.get)
    for y, x, found in squares(window, 1):
        assert codes[y, x] == prevailing(found), (x, y)


def test_equal_bytes_in_parts_that_lie_otherwise_are_tiles_of_their_own(tmp_path):
    part = mixed(1 << 18, 4)
    blobs = Blobs()
    _, _, pyramid = drawn(stream_of(tmp_path, np.tile(part, 16)), BYTES, blobs)
    leaves = {at[1:]: key for at, key in pyramid.tiles.items() if at[0] == 0}
    assert len(leaves) == 16
    assert len(set(leaves.values())) == 4  # the ways in which a part can lie
    curve = Curve(16 << 18)
    for (x, y), key in leaves.items():
        codes = decode_gray(blobs.get(key))
        for i in range(0, 512, 37):
            for j in range(0, 512, 41):
                assert codes[i, j] == part[curve.offset(x * 512 + j, y * 512 + i) % (1 << 18)]


def test_overviews_above_blocks_add_up_the_same(tmp_path):
    data = np.tile(mixed(1 << 20, 5), 20)[:-77]
    blobs = Blobs()
    content, _, pyramid = drawn(stream_of(tmp_path, data), BYTES, blobs, 2)
    assert pyramid.levels == 5
    curve, side = Curve(len(data)), 16
    codes = decode_gray(blobs.get(pyramid.tiles[4, 0, 0]))
    rng = np.random.default_rng(0)
    for x, y in rng.integers(0, (content.canvas.bounds.width // side, content.canvas.bounds.height // side), (400, 2)):
        first, _ = curve.part(int(x) * side, int(y) * side, side)
        assert codes[y, x] == prevailing(data[first : first + side * side]), (x, y)


def entropy_bits(found):
    counts = np.bincount(found, minlength=256)
    share = counts[counts > 0] / len(found)
    return float(-(share * np.log2(share)).sum())


def test_every_pixel_of_the_entropy_is_the_mean_of_local_entropies(tmp_path, parts):
    data = np.concatenate(parts)
    blobs = Blobs()
    content, _, pyramid = drawn(stream_of(tmp_path, *parts), ENTROPY, blobs)
    local = np.array([entropy_bits(data[at : at + 1024]) for at in range(0, len(data), 1024)]).repeat(1024)[: len(data)]
    curve, bounds = Curve(len(data)), content.canvas.bounds
    wanted = np.full((curve.height, curve.width), np.nan)
    for i, bits in enumerate(local.tolist()):
        x, y = curve.point(i)
        wanted[y, x] = bits
    wanted = wanted[: bounds.height, : bounds.width]
    for level in range(pyramid.levels):
        codes = whole_level(pyramid, bounds, level, blobs.get)
        side = 1 << level
        for y, x in np.ndindex(codes.shape):
            found = wanted[y * side : (y + 1) * side, x * side : (x + 1) * side]
            found = found[~np.isnan(found)]
            exact = found.mean() * 254 / 8 if found.size else -1
            assert codes[y, x] in {1 + int(exact - 1e-3), 1 + int(exact + 1e-3)} if found.size else codes[y, x] == 0, (x, y)


def test_the_table_of_n_log_n_is_the_same_everywhere():
    table = information()
    assert table[[0, 1, 2, 1024]].tolist() == [0, 0, 2 << 16, 10240 << 16]
    assert hashlib.sha256(table.astype("<i8").tobytes()).hexdigest() == INFORMATION


INFORMATION = "0d913768d222a596eff0f88c5c9ddcd716aa209f0cce069139241e17b6bc33b3"


def test_changed_bytes_are_drawn_anew_and_nothing_else(tmp_path):
    blobs = Blobs()
    data = mixed(40 * (1 << 18), 9)
    drawn(stream_of(tmp_path, data), BYTES, blobs)
    content, again, _ = drawn(stream_of(tmp_path, data), BYTES, blobs)
    assert again.tally.rendered == 0
    changed = data.copy()
    changed[5_000_000] ^= 1
    _, other, pyramid = drawn(stream_of(tmp_path, changed), BYTES, blobs)
    assert 0 < other.tally.rendered <= pyramid.levels
    _, longer, _ = drawn(stream_of(tmp_path, np.append(data, np.uint8(7))), BYTES, blobs)
    assert longer.tally.rendered <= 2 * pyramid.levels
    assert content.traffic.read == 0
    known = Learnt.from_bytes(content.learnt().to_bytes())
    unread, _, _ = drawn(stream_of(tmp_path, data), BYTES, blobs, known=known)
    assert (unread.traffic.read, unread.traffic.hashed) == (0, 0)
    assert np.array_equal(known.counts[0], np.bincount(data, minlength=256))


def test_tiles_of_padding_alone_do_not_exist():
    for length in (1, 262_144, 262_145, 3_000_000, 70_000_000):
        canvas = byte_canvas(length)
        shown = sum(piece.rows * piece.cols for placement in canvas.placements for piece in placement.pieces)
        assert shown == -(-length // 262_144) * 262_144


def test_the_colours_of_bytes_are_those_of_arbvis():
    table = byte_tables()[0].array()
    assert table[0].tolist() == [0, 0, 0]
    assert table[255].tolist() == [255, 255, 255]
    for byte in range(1, 255):
        value = ((byte - 1) * 255 // 30, (byte - 32) * 255 // 94, (byte - 127) * 255 // 127)[class_of(byte) - 1]
        assert table[byte].tolist() == [value * (class_of(byte) == k) for k in (3, 1, 2)]
    assert len(np.unique(table, axis=0)) == 253
    assert entropy_tables()[0].name == "entropy"


def test_a_file_that_changes_between_hashing_and_drawing_is_told(tmp_path):
    from mwv.errors import SourceChangedError

    data = mixed(300_000)
    stream = stream_of(tmp_path, data)
    known = drawn(stream, BYTES)[0].learnt()
    (tmp_path / "part0").write_bytes(bytes(300_000))
    with pytest.raises(SourceChangedError, match="part0"):
        drawn(stream_of(tmp_path, np.zeros(300_000, np.uint8)), BYTES, known=known)
