"""Shapes of tensors in, two-dimensional Grids out: how elements lie in rows and columns of pixels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """The rectangle of elements that a tensor (or one panel of fused experts) is drawn as.

    A storage row holds `row_elements` consecutive elements and makes `patch[0]` grid rows: a convolution kernel of
    kh × kw becomes a patch of that size, any other tensor has patches of 1 × 1. Only the last storage row of a folded
    grid may be short, so `elements` can be less than rows × cols. An element is `thick` = (height, width) pixels.
    """

    rows: int
    cols: int
    row_elements: int
    elements: int
    patch: tuple[int, int] = (1, 1)
    thick: tuple[int, int] = (1, 1)

    @property
    def storage_rows(self) -> int:
        """Rows as they lie in the file."""
        return self.rows // self.patch[0]
