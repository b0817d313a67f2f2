"""Bytes in, a folder of odd files out: entries of any kind, described in a form that mutations keep readable.

An entry is a letter for its kind, the length of its name (a byte), the name, the length of its content (two bytes,
big-endian) and the content. Whatever is cut short or has a name that cannot be is left out.
"""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MOST: Final = 40


def entry(kind: str, name: bytes, content: bytes = b"") -> bytes:
    """The description of an entry: f file, d folder, l link, p pipe, s socket, h file with a hole, its size in hex."""
    return kind.encode() + bytes([len(name)]) + name + len(content).to_bytes(2, "big") + content


def entries(data: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """Kind, name and content of each entry."""
    at = 0
    while at + 2 <= len(data):
        kind, end = chr(data[at]), at + 2 + data[at + 1]
        name, at = data[at + 2 : end], end + 2 + int.from_bytes(data[end : end + 2], "big")
        yield kind, name.replace(b"/", b"_").replace(b"\0", b"_"), data[end + 2 : at]


def plant(folder: Path, data: bytes) -> list[Path]:
    """Make the entries in a folder of their own; the paths that were made, in order."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    made = []
    for (kind, name, content), _ in zip(entries(data), range(MOST), strict=False):
        path = folder / os.fsdecode(name)
        with contextlib.suppress(OSError, ValueError):  # a name that is there already, too long, or a dot
            if name not in (b"", b".", b".."):
                _make(path, kind, content)
                made.append(path)
    return made


def _make(path: Path, kind: str, content: bytes) -> None:
    if kind == "d":
        path.mkdir()
    elif kind == "l":
        path.symlink_to(os.fsdecode(content.replace(b"\0", b"_")))
    elif kind == "p":
        os.mkfifo(path)
    elif kind == "s":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "h":
        with path.open("xb") as file:
            file.truncate(min(int(content[:16] or b"0", 16), 1 << 42))
    elif kind == "f":
        with path.open("xb") as file:
            file.write(content)
