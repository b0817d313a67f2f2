"""A reader's name and files in, the same files in its corpus out: `python -m fuzzing.keep NAME FILE…`."""

import sys
from pathlib import Path

from fuzzing.corpus import keep

if __name__ == "__main__":
    for file in sys.argv[2:]:
        print(keep(sys.argv[1], Path(file).read_bytes()))
