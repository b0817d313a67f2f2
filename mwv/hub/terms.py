"""How a range of a file is made of the chunks of xorbs, as records; no requests."""

from dataclasses import dataclass
from typing import NamedTuple


class Term(NamedTuple):
    """Chunks of one xorb that follow each other."""

    xorb: str
    """Its hash as xet writes it; `#n` for the n-th that local files would fill."""
    first: int
    last: int
    """The chunk behind the last one."""
    length: int
    """Bytes that they unpack to."""


@dataclass(frozen=True)
class Reconstruction:
    """What makes a range of a file."""

    cas: str
    """The CAS whose xorbs these are."""
    offset: int
    """Where the range begins in the first term."""
    length: int
    terms: tuple[Term, ...]
    file: str = ""
    """Xet's hash of the whole file, as xet writes it."""
