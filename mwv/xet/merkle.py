"""Hashes and lengths of chunks in, the hash of what they make out: of a xorb (`root`), of a file.

The tree of huggingface.co/docs/xet, "Hashing": nodes are taken together in groups whose ends follow from their hashes, until
one is left.
"""

from collections.abc import Iterator
from typing import Final

from blake3 import blake3

from mwv.xet.chunks import Chunks

_NODE_KEY: Final = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
_FILE_KEY: Final = bytes(32)
_SMALLEST: Final = 3
_LARGEST: Final = 9
"""Nodes of a group at least, but for the last of a level, and at most."""
_MEAN: Final = 4
"""A group of enough nodes ends with one of so many."""

Node = tuple[bytes, int]
"""A hash, and the bytes of the file under it."""


def root(nodes: list[Node]) -> bytes:
    """The hash over all nodes, 32 bytes; zeros for none."""
    while len(nodes) > 1:
        nodes = [_node(group) for group in _groups(nodes)]
    return nodes[0][0] if nodes else bytes(32)


def file_hash(chunks: Chunks) -> bytes:
    """The hash (32 bytes) of a file of these chunks; zeros for an empty one."""
    nodes = list(zip(map(bytes, chunks.hashes), chunks.lengths.tolist(), strict=True))
    return blake3(root(nodes), key=_FILE_KEY).digest() if nodes else bytes(32)


def hash_text(value: bytes) -> str:
    """A hash as xet writes it: each 8 bytes as a little-endian number in 16 hex digits."""
    return "".join(value[i : i + 8][::-1].hex() for i in range(0, 32, 8))


def _groups(nodes: list[Node]) -> Iterator[list[Node]]:
    begin = 0
    while begin < len(nodes):
        end = min(begin + _LARGEST, len(nodes))
        for i in range(begin + _SMALLEST - 1, end):
            # The last 8 bytes as a little-endian number, divided by the mean size of a group.
            if nodes[i][0][24] % _MEAN == 0:
                end = i + 1
                break
        yield nodes[begin:end]
        begin = end


def _node(group: list[Node]) -> Node:
    text = "".join(f"{hash_text(value)} : {length}\n" for value, length in group)
    return blake3(text.encode("ascii"), key=_NODE_KEY).digest(), sum(length for _, length in group)
