"""The files of a model as xet stores them in, `chunks-<hash>.json` out, and back.

What a site needs to say how the bytes of its models are stored and shared, without their sources.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from mwv.checkpoint.checks import MAX_ELEMENTS
from mwv.errors import SiteError
from mwv.hub.terms import Term
from mwv.site.text import canonical
from mwv.xet.chunks import LARGEST
from mwv.xet.stored import StoredFile

FORMAT: Final = "mwv-chunks"


def encode_chunks(files: Sequence[StoredFile]) -> bytes:
    """The text of the file."""
    value = {"format": FORMAT, "version": 1, "files": [_record(file) for file in files]}
    return (canonical(value) + "\n").encode("ascii")


def decode_chunks(content: bytes, where: Path | str) -> tuple[StoredFile, ...]:
    """The files in it; raises SiteError if it is damaged."""
    try:
        return tuple(map(_file, json.loads(content)["files"]))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise SiteError(f"{where}: damaged; build its model again") from None


def _record(file: StoredFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "hash": file.hash,
        "lengths": file.lengths.tolist(),
        "ids": file.ids.astype(">u8").tobytes().hex(),
        "terms": [[term.xorb, term.first, term.last, term.length] for term in file.terms],
        "guessed": list(file.guessed),
    }


def _file(value: Any) -> StoredFile:
    lengths = np.array(value["lengths"], np.uint32)
    ids = np.frombuffer(bytes.fromhex(value["ids"]), ">u8").astype(np.uint64)
    terms = tuple(Term(*entry) for entry in value["terms"])
    guessed = tuple(value["guessed"])
    numbers = [*guessed, *(number for term in terms for number in (term.first, term.last, term.length))]
    texts = [value["name"], value["hash"], *(term.xorb for term in terms)]
    if lengths.shape != ids.shape or (lengths > LARGEST).any() or not all(type(text) is str for text in texts):
        raise TypeError
    if not all(type(number) is int and 0 <= number <= MAX_ELEMENTS for number in numbers):
        raise ValueError
    if any(number >= len(terms) for number in guessed) or (terms and len(ids) not in (0, sum(t.last - t.first for t in terms))):
        raise ValueError
    return StoredFile(value["name"], value["hash"], lengths, ids, terms, guessed)
