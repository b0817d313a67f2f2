"""The nouns of layout: where every tensor stands on the pixel plane of a scene."""

from dataclasses import dataclass
from typing import Literal

from mwv.layout.grid import Grid, Piece

__all__ = ["Canvas", "Grid", "Piece", "Placement", "Rect", "Region", "Role"]


@dataclass(frozen=True)
class Rect:
    """A rectangle of pixels; x to the right, y downward."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Role:
    """What a tensor is in its model: `layer` and `expert` are None where they mean nothing."""

    stack: str
    layer: int | None
    slot: str
    expert: int | None = None


@dataclass(frozen=True)
class Placement:
    """A tensor on the canvas, cut into pieces where its grid is folded.

    `tensor` is the index in the list given to the layout, None for a tensor that the configuration promises and the
    files lack. `panel` tells which of the equal parts of a fused tensor, one after the other, an expert is, else None.
    """

    name: str
    tensor: int | None
    panel: int | None
    grid: Grid
    role: Role
    pieces: tuple[Piece, ...]

    def rect(self, piece: Piece) -> Rect:
        """The pixels that a piece covers."""
        high, wide = self.grid.thick
        return Rect(piece.x, piece.y, piece.cols * wide, piece.rows * high)


@dataclass(frozen=True)
class Region:
    """A rectangle with a name: a whole stack, one column of it when folded, or one layer."""

    kind: Literal["stack", "column", "layer"]
    label: str
    stack: str
    layer: int | None
    rect: Rect


@dataclass(frozen=True)
class Canvas:
    """The pixel plane of a scene. All placements lie within `bounds`; the plane itself starts at (0, 0)."""

    bounds: Rect
    placements: tuple[Placement, ...]
    regions: tuple[Region, ...]

    @property
    def width(self) -> int:
        """Pixels from the origin to the right edge of what is drawn."""
        return self.bounds.x + self.bounds.width

    @property
    def height(self) -> int:
        """Pixels from the origin to the lower edge of what is drawn."""
        return self.bounds.y + self.bounds.height
