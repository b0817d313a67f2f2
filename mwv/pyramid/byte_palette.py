"""A kind of scene of bytes in, its palettes out, with the colours of all 256 codes; the page is given the same tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mwv.pyramid.byte_kernels import RANGES
from mwv.pyramid.change_kernels import BYTE_LEVELS, CHANGE_LEVELS
from mwv.pyramid.palette import DIFFERENCE, GROUND, PALETTES, blend, rgb

_RAMPS: Final = {name: PALETTES[name].balanced for name in ("gray", "viridis", "cividis")}
_BLACK, _WHITE = ("000000",), ("ffffff",)
_ARBVIS: Final = (_BLACK, ("000000", "00ff00"), ("000000", "0000ff"), ("000000", "ff0000"), _WHITE)
"""Of each class of bytes the ramp from its first byte to its last. Space and 0x7F are as dark as 0."""
_BRIGHT: Final = (_BLACK, ("1c6b2c", "7dff8f"), ("1d3f9a", "9cc4ff"), ("8f1f1f", "ff8a7a"), _WHITE)
"""The same hues in ramps that begin well above black."""
_ENTROPY: Final = ("0a0d1f", "17265f", "1d4b8f", "1f7aa9", "20a286", "5fc14b", "c9cd36", "f6982e", "ff4040")
"""Nine anchors: whole bits from 0 to 8."""


@dataclass(frozen=True)
class Table:
    """A palette whose colours are simply listed."""

    name: str
    title: str
    colours: tuple[tuple[int, ...], ...]
    """Red, green and blue of each of the 256 codes."""

    def array(self) -> NDArray[np.uint8]:
        """(256, 3)"""
        return np.array(self.colours, np.uint8)


def _of_classes(ramps: Sequence[tuple[str, ...]]) -> tuple[tuple[int, ...], ...]:
    """The colour of each byte where each class has a ramp of its own."""
    return tuple(
        blend(ramp, (byte - first) * 255 // max(last - first, 1))
        for ramp, (first, last) in zip(ramps, RANGES, strict=True)
        for byte in range(first, last + 1)
    )


@cache
def byte_tables() -> tuple[Table, ...]:
    """Palettes of scenes of kind `bytes`, the default one first."""
    ramps = (
        Table(f"bytes-{name}", PALETTES[name].title, tuple(blend(ramp, byte) for byte in range(256)))
        for name, ramp in _RAMPS.items()
    )
    return (
        Table("bytes", "Byte classes (arbvis)", _of_classes(_ARBVIS)),
        Table("bytes-bright", "Byte classes, bright", _of_classes(_BRIGHT)),
        *ramps,
    )


@cache
def entropy_tables() -> tuple[Table, ...]:
    """Palettes of scenes of kind `entropy`; code 0 is where nothing is."""

    def table(name: str, title: str, ramp: tuple[str, ...]) -> Table:
        return Table(name, title, (rgb(GROUND), *(blend(ramp, (code - 1) * 255 // 254) for code in range(1, 256))))

    ramps = (table(f"entropy-{name}", PALETTES[name].title, ramp) for name, ramp in _RAMPS.items())
    return (table("entropy", "Entropy (blue low / red high)", _ENTROPY), *ramps)


@cache
def change_tables() -> tuple[Table, ...]:
    """Palettes of scenes of kind `byte-changes`; black is what is the same in both."""
    red_green, signed = PALETTES[DIFFERENCE], PALETTES["signed"]

    def table(name: str, title: str, changes: tuple[tuple[str, ...], ...], alone: tuple[tuple[str, ...], ...]) -> Table:
        ramps = (*((ramp, CHANGE_LEVELS) for ramp in changes), *((ramp, BYTE_LEVELS) for ramp in alone))
        colours = (blend(ramp, level * 255 // (levels - 1)) for ramp, levels in ramps for level in range(levels))
        return Table(name, title, (rgb(GROUND), (0, 0, 0), *colours))

    return (
        table(
            "byte-changes",
            "Changes (red − / green +)",
            (red_green.positive, red_green.negative, red_green.balanced),
            (("2e1760", "a77bff"), ("0b3f6e", "6cc6ff")),
        ),
        table(
            "byte-changes-safe",
            "Changes (blue − / orange +)",
            (signed.positive, signed.negative, signed.balanced[:-1]),
            (("5a1f45", "e58fc4"), ("00483c", "3fd6b0")),
        ),
    )


def export() -> dict[str, Any]:
    """All tables, ready for JSON: by kind of scene a list of [name, title, RRGGBB of each code]."""
    kinds = {"bytes": byte_tables(), "entropy": entropy_tables(), "byte-changes": change_tables()}
    return {kind: [[t.name, t.title, t.array().tobytes().hex()] for t in tables] for kind, tables in kinds.items()}
