"""A bfloat16 file and the tiles of its site in, seconds of each part of the work out: the floor under a build.

Every part is timed alone, in this one process and thread, over the same data: reading bands, BLAKE3 of bands, the table
from bits to codes and values with the 2 × 2 sums, ISA-L on the codes of all tiles, writing the tiles. Beside them, and no
part of the floor, mwv's own encoder on the same codes. Run as a program.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from isal import igzip_lib

from mwv.checkpoint.open import open_checkpoint
from mwv.decode.stored import StoredTensor
from mwv.decode.tensor import BAND_ROWS, Coded
from mwv.pyramid import code, png
from mwv.pyramid.deflate import count_bytes
from mwv.pyramid.plan import BLOCK, STRIP, TILE
from mwv.pyramid.reduce import Sums, leaf_coded, reduce_leaf


def bands(path: Path) -> list[tuple[StoredTensor, int]]:
    """All bands of all tensors, in the order of the file."""
    checkpoint = open_checkpoint(path)
    tensors = [StoredTensor(checkpoint.shards[t.shard], t, t.shape[-1]) for t in checkpoint.tensors]
    return [(tensor, band) for tensor in tensors for band in range(tensor.bands)]


def look_up(every: list[tuple[StoredTensor, int]], raw: list[bytes], coded: Coded) -> None:
    """Codes, values and 2 × 2 sums of all elements, a strip of a block at a time."""
    codes, values = code.leaf_codes(coded.table.values), code.summands(coded.table.values)
    out, summand = np.empty((STRIP, BLOCK), np.uint8), np.empty((STRIP, BLOCK), np.float32)
    sums = Sums.empty(STRIP // 2, BLOCK // 2)
    for (tensor, _), band in zip(every, raw, strict=True):
        rows = np.frombuffer(band, coded.bits.dtype).reshape(-1, tensor.row_elements)
        for begin in range(0, tensor.row_elements, BLOCK):
            bits = rows[:, begin : begin + BLOCK]
            height, width = bits.shape
            leaf_coded(bits, codes, values, out[:height, :width], summand[:height, :width])
            reduce_leaf(out[:height, :width], summand[:height, :width], sums.window(0, 0, height // 2, width // 2))


def scan_lines(files: list[Path]) -> list[Any]:
    """The tiles as the encoder takes them: every line led by its filter byte."""
    tiles = []
    for file in files:
        lines = np.zeros((TILE, TILE + 1), np.uint8)
        lines[:, 1:] = png.decode_gray(file.read_bytes())
        tiles.append(lines)
    return tiles


def isal(lines: Any) -> bytes:
    """The zlib stream of ISA-L at its fastest, with the window that suits weights: the measure for any encoder."""
    level = igzip_lib.MEM_LEVEL_EXTRA_LARGE
    return bytes(igzip_lib.compress(lines, 1, flag=igzip_lib.COMP_ZLIB, mem_level=level, hist_bits=9))


def new_folders(place: Path) -> Path:
    """A folder with the 256 folders of a cache."""
    for index in range(256):
        (place / f"{index:02x}").mkdir(parents=True)
    return place


def write_files(folder: Path, pictures: list[bytes]) -> None:
    """One file a tile, in 256 folders."""
    for index, data in enumerate(pictures):
        (folder / f"{index % 256:02x}" / str(index)).write_bytes(data)


def timed(work: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each repeat."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return seconds


def main(path: Path, site: Path, repeats: int) -> dict[str, list[float]]:
    """Seconds of each part."""
    every = bands(path)
    raw = [tensor.read(band) for tensor, band in every]
    tensor, band = max(every, key=lambda entry: entry[0].row_elements)
    coded = tensor.samples(band, tensor.read(band), 0, min(BAND_ROWS, tensor.row_elements))
    assert isinstance(coded, Coded)
    look_up(every[:1], raw[:1], coded)  # compiles
    found = {
        "pread": timed(lambda: [len(tensor.read(band)) for tensor, band in every], repeats),
        "blake3": timed(lambda: [blake3(data).digest() for data in raw], repeats),
        "table": timed(lambda: look_up(every, raw, coded), repeats),
    }
    tiles = scan_lines(sorted(site.glob("tiles/*/*.png")))
    found["isal"] = timed(lambda: [len(isal(tile)) for tile in tiles], repeats)
    found["png"] = timed(lambda: [len(png.encode_scanlines(tile, count_bytes(tile))) for tile in tiles], repeats)
    pictures = [png.encode_scanlines(tile, count_bytes(tile)) for tile in tiles]
    folders = iter([new_folders(site.parent / f"alone-{number}") for number in range(repeats)])
    found["write"] = timed(lambda: write_files(next(folders), pictures), repeats)
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))
