"""The leaf tiles of a site in, seconds that libvips' dzsave takes to make a pyramid of the same codes out.

It gets the codes as one picture in memory: nothing is read, hashed or measured, and its overviews are means of codes. Only
the call itself is timed. The number of threads is that of VIPS_CONCURRENCY. Run as a program.
"""

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from mwv.pyramid.plan import TILE
from mwv.pyramid.png import decode_gray

SUFFIX = ".png[compression=1,filter=none,keep=none]"


def mosaic(files: list[Path]) -> Any:
    """The tiles side by side in a nearly square picture; those that would not fill a row are left out."""
    across = math.isqrt(len(files))
    down = len(files) // across
    picture = np.empty((down * TILE, across * TILE), np.uint8)
    for index, file in enumerate(files[: down * across]):
        y, x = divmod(index, across)
        picture[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE] = decode_gray(file.read_bytes())
    return picture


def main(level: Path, repeats: int) -> dict[str, Any]:
    """Seconds of each repeat, and what was made; `level` is the folder of a site's leaf tiles as --tiles xyz writes it."""
    codes = mosaic(sorted(level.glob("*/*.png")))
    seconds: list[float] = []
    nbytes = 0
    for number in range(repeats):
        folder = level.parents[2] / f"dzsave-{number}"
        image = pyvips.Image.new_from_memory(codes.data, codes.shape[1], codes.shape[0], 1, "uchar")
        begin = time.perf_counter()
        image.dzsave(str(folder), layout="google", tile_size=TILE, overlap=0, suffix=SUFFIX)
        seconds.append(time.perf_counter() - begin)
        nbytes = sum(file.stat().st_size for file in folder.rglob("*.png"))
    return {"seconds": seconds, "tiles": codes.size // TILE**2, "bytes": nbytes, "suffix": SUFFIX}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
