"""A file and a number of threads in, seconds to read and hash it out: what any build must pay for a new file. A program."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from blake3 import blake3

PIECE = 1 << 20


def hash_file(path: Path, threads: int) -> float:
    """Seconds for BLAKE3 over all pieces."""
    with open(path, "rb") as file, ThreadPoolExecutor(threads) as pool:
        fd, size = file.fileno(), path.stat().st_size
        begin = time.perf_counter()
        list(pool.map(lambda at: blake3(os.pread(fd, PIECE, at)).digest(), range(0, size, PIECE)))
        return time.perf_counter() - begin


if __name__ == "__main__":
    print(hash_file(Path(sys.argv[1]), int(sys.argv[2])))
