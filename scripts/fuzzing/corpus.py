"""The inputs that are kept: a folder for each reader, files named by their content.

They are small valid files, what reached places that others did not, and every input that a reader once failed on.
"""

import hashlib
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).resolve().parents[2] / "tests" / "corpus"


def name_of(data: bytes) -> str:
    """The name of an input."""
    return hashlib.sha256(data).hexdigest()[:16]


def inputs(reader: str, corpus: Path = CORPUS) -> dict[str, bytes]:
    """All inputs of a reader by name, in order of name."""
    folder = corpus / reader
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def keep(reader: str, data: bytes, corpus: Path = CORPUS) -> Path:
    """Put an input into the corpus, unless it is there."""
    path = corpus / reader / name_of(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
