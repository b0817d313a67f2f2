"""A palette's name and a window of magnitudes in, 256 colours out: what a code looks like on the screen.

Every step is integer arithmetic on tables that the page is given too, so that its script arrives at the same colours:
see `export` and the section on colours in FORMAT.md.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mwv.pyramid.code import INF, MISSING, NAN, ZERO, magnitude, sign

STEPS: Final = 66
"""Steps an octave in which windows and magnitudes are counted: every bin centre of the code is a whole number of them."""

GROUND: Final = "23262e"
"""Padding, and the page behind the tiles."""
ZERO_COLOUR: Final = "000000"
MISSING_COLOUR: Final = "2b2f38"

_NEUTRAL: Final = ("484845", "5c5b59", "71706d", "868583", "9c9b99", "b2b2af", "cac9c6", "e1e0dd", "f9f8f5")


@dataclass(frozen=True)
class Palette:
    """Three ramps from small to large magnitude as evenly spaced anchors (RRGGBB), and what is no magnitude.

    The neutral and the signed ramps of `signed` rise evenly in lightness (OKLab) and together, but for the brightest tones,
    which would lose their hue. The smallest magnitude stays well above the ground, and zero below it, so that neither is
    taken for padding. NaN and Inf keep their distance from every ramp for normal, deuteranopic and protanopic eyes.
    """

    name: str
    title: str
    negative: tuple[str, ...]
    balanced: tuple[str, ...]
    positive: tuple[str, ...]
    nan: str
    inf: str

    def ramp(self, code: int) -> tuple[str, ...]:
        """The anchors for the class of a code."""
        return (self.balanced, self.positive, self.negative)[sign(code)]


def _magnitude_only(name: str, title: str, ramp: str, inf: str) -> Palette:
    anchors = tuple(ramp.split())
    return Palette(name, title, anchors, anchors, anchors, "d000ff", inf)


PALETTES: Final[dict[str, Palette]] = {
    p.name: p
    for p in (
        Palette(
            "signed",
            "Signed (blue − / orange +)",
            ("1e487a", "285a95", "336db0", "3f80cc", "4e94e6", "64a8f9", "87bdff", "acd1ff", "d0e5ff"),
            _NEUTRAL,
            ("673c0d", "804a0e", "9a5a11", "b46a14", "ce7a1d", "e78d2d", "f9a34f", "ffbf87", "ffdbbe"),
            "d000ff",
            "ffff00",
        ),
        # cividis and viridis: ten samples of the published maps (Nuñez et al. 2018; van der Walt and Smith 2015, CC0).
        _magnitude_only(
            "cividis",
            "Cividis (colour-blind safe)",
            "00204d 00336f 39486b 575c6d 707173 8a8779 a69d75 c4b56c e4cf5b ffea46",
            "00ffff",
        ),
        _magnitude_only(
            "viridis", "Viridis", "440154 482878 3e4a89 31688e 26828e 1f9e89 35b779 6dcd59 b4de2c fde725", "00ffff"
        ),
        Palette(
            "difference",
            "Difference (red − / green +)",
            ("45141a", "701f27", "9c2c34", "c84044", "ea6461", "ffa09a"),
            ("392f0d", "5c4c14", "83691c", "ac8b26", "d1ad36", "f0cf52"),
            ("0b3a20", "12572f", "197741", "259a58", "45bd76", "78dfa0"),
            "ffffff",
            "e000ff",
        ),
        _magnitude_only("gray", "Gray", " ".join(_NEUTRAL), "ffff00"),
    )
}


DIFFERENCE: Final = "difference"
"""The palette of differences before another is chosen: what grew is green, what shrank red, and black what is identical."""
DEFAULT: Final = "signed"
"""The palette of pictures with baked-in colours, and of pages before another is chosen."""


def rgb(colour: str) -> tuple[int, int, int]:
    """RRGGBB as three bytes."""
    red, green, blue = bytes.fromhex(colour)
    return red, green, blue


def steps(value: float) -> int:
    """log2 of a magnitude in whole steps, halves up."""
    return math.floor(math.log2(value) * STEPS + 0.5)


def fitted(low: float, high: float) -> tuple[float, float]:
    """The window that shows a level best whose magnitudes lie between `low` and `high` (5th and 95th percentile).

    A third of an octave below leaves tones for the darkest parts, two thirds above for those that are brighter than most:
    without them whole tensors become white, and the heads in them invisible.
    """
    return low * 2 ** (-1 / 3), high * 2 ** (2 / 3)


@cache
def positions() -> tuple[int | None, ...]:
    """For each code, log2 of its bin's centre in steps; None for codes that stand for no magnitude."""
    return tuple(steps(magnitude(code)) if magnitude(code) > 0 else None for code in range(256))


def blend(anchors: tuple[str, ...], index: int) -> tuple[int, ...]:
    """Colour 0…255 of a ramp: linear between anchors in sRGB bytes, halves up."""
    place, fraction = divmod(index * (len(anchors) - 1), 255)
    left, right = rgb(anchors[place]), rgb(anchors[min(place + 1, len(anchors) - 1)])
    return tuple((a * (255 - fraction) + b * fraction + 127) // 255 for a, b in zip(left, right, strict=True))


def table(name: str, low: float, high: float) -> NDArray[np.uint8]:
    """Colours (256 × 3) of all codes when a palette's ramps are spread over the magnitudes from `low` to `high`."""
    palette = PALETTES[name]
    first = steps(low)
    width = max(1, steps(high) - first)
    colours = np.empty((256, 3), np.uint8)
    colours[:] = rgb(GROUND)
    for code, position in enumerate(positions()):
        if position is not None:
            index = (2 * 255 * min(max(position - first, 0), width) + width) // (2 * width)
            colours[code] = blend(palette.ramp(code), index)
    for code, colour in ((ZERO, ZERO_COLOUR), (MISSING, MISSING_COLOUR), (INF, palette.inf), (NAN, palette.nan)):
        colours[code] = rgb(colour)
    return colours


def export() -> dict[str, Any]:
    """All that a page needs to compute `table` by itself, ready for JSON."""
    return {
        "steps": STEPS,
        "positions": positions(),
        "signs": tuple(sign(code) for code in range(256)),
        "ground": GROUND,
        "zero": ZERO_COLOUR,
        "missing": MISSING_COLOUR,
        "palettes": tuple(vars(palette) for palette in PALETTES.values()),
    }
