"""In: small numbers. Out: keys, PNG files made by Pillow, and programs that run in processes of their own."""

import builtins
import fcntl
import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from typing import Any
sys.path.insert(0, {str(Path(__file__).parent)!r})
from cachekit import Faults, key, png
from mwv.store.store import Store
args = sys.argv[1:]
"""


def start(program: str, *args: object) -> "subprocess.Popen[str]":
    """Run Python source in a process of its own; `args`, `Store`, `key` and `png` are there."""
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(program), *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Faults:
    """Counts the steps that change something below a folder, and lets one go wrong, or it and all after it.

    A step is a call of the operating system that creates, writes, locks, renames or removes. What goes wrong is up to `act`:
    raise an OSError, or kill the process.
    """

    def __init__(self, folder: Path, act: Callable[[], None], at: int, on: bool = False) -> None:
        self.folder, self.act, self.at, self.on = f"{folder}", act, at, on
        self.steps = 0
        self._fds: set[int] = set()
        self._saved: list[tuple[Any, str, Any]] = []

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at or (self.on and self.steps > self.at):
            self.act()

    def below(self, path: object) -> bool:
        return f"{path}" == self.folder or f"{path}".startswith(self.folder + "/")

    def __enter__(self) -> "Faults":
        real_open, real_write, real_close, real_flock, builtin_open = os.open, os.write, os.close, fcntl.flock, open

        def os_open(path: Any, flags: int, *args: Any, **options: Any) -> int:
            if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) and self.below(path):
                self.step()
                fd = real_open(path, flags, *args, **options)
                self._fds.add(fd)
                return fd
            return real_open(path, flags, *args, **options)

        def write(fd: int, data: bytes) -> int:
            if fd in self._fds:
                half = real_write(fd, data[: len(data) // 2])  # a write may stop halfway
                self.step()
                return half + real_write(fd, data[len(data) // 2 :])
            return real_write(fd, data)

        def close(fd: int) -> None:
            self._fds.discard(fd)
            real_close(fd)

        def flock(fd: int, how: int) -> None:
            if how != fcntl.LOCK_UN and fd in self._fds:
                self.step()
            real_flock(fd, how)

        def file_open(path: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
            if "x" in mode and self.below(path):
                self.step()
            return builtin_open(path, mode, *args, **options)

        def on_path(name: str) -> Callable[..., Any]:
            real = getattr(os, name)

            def call(path: Any, *args: Any, **options: Any) -> Any:
                if self.below(path):
                    self.step()
                return real(path, *args, **options)

            return call

        patches = [(os, "open", os_open), (os, "write", write), (os, "close", close), (fcntl, "flock", flock)]
        patches += [(os, name, on_path(name)) for name in ("rename", "mkdir", "unlink", "link")]
        for module, name, function in [*patches, (builtins, "open", file_open)]:
            self._saved.append((module, name, getattr(module, name)))
            setattr(module, name, function)
        return self

    def __exit__(self, *exception: object) -> None:
        for module, name, function in self._saved:
            setattr(module, name, function)
