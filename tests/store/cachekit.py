"""In: small numbers. Out: keys, PNG files made by Pillow, and programs that run in processes of their own."""

import io
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Spawn = Callable[..., "subprocess.Popen[str]"]


def key(number: int) -> str:
    """Keys that differ in their first two characters."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}"[::-1]


def png(number: int, side: int = 48) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (side, side), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "png")
    return out.getvalue()


PRELUDE = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from cachekit import key, png
from mwv.store import Store
args = sys.argv[1:]
"""


def start(program: str, *args: object) -> "subprocess.Popen[str]":
    """Run Python source in a process of its own; `args`, `Store`, `key` and `png` are there."""
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(program), *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
