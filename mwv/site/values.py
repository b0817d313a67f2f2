"""What a page asks of stored values in, the protocol of what answers out; so the server alone needs nothing else of mwv."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class ValuesError(Exception):
    """Why there is no value, in words for the reader of a page: no path, nothing of the machine."""


@dataclass(frozen=True)
class Window:
    """Rows and columns of the grid of a placement of a scene."""

    scene: int
    placement: int
    row: int
    col: int
    rows: int = 1
    cols: int = 1


class Values(Protocol):
    """Reads out what the sources of a site hold; see mwv.site.exact."""

    def offers(self, slug: str) -> bool:
        """Whether values of a model can be read."""

    def read(self, slug: str, window: Window) -> Mapping[str, Any]:
        """The answer to a page, as JSON; raises ValuesError."""
