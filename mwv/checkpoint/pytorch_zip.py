"""A zip archive of torch.save or torch.jit.save in, the object it holds and where its storages lie out.

The archive has `<top>/data.pkl`, a storage in each `<top>/data/<key>`, and `<top>/byteorder`. TorchScript also has
`<top>/constants.pkl`, a tuple of tensors with storages in `<top>/constants/<key>`: all weights of a frozen module are
there. Its `<top>/code/` is never looked at. torch compresses nothing, so tensors are byte ranges of the file.
"""

from functools import partial
from typing import Any, Final, Literal

from mwv.checkpoint.pickle_machine import Pairs, load
from mwv.checkpoint.source import Source
from mwv.checkpoint.torch_objects import Saved, call, persistent
from mwv.checkpoint.wording import shown
from mwv.checkpoint.zip_archive import Archive
from mwv.errors import FormatError, UnsupportedError

MAX_PICKLE: Final = 32 * 2**20
_REMEDY: Final = "load the file with torch and save it again"


def has_pickle(source: Source) -> bool:
    """Whether a zip file is of torch's."""
    try:
        return _top(Archive(source, _REMEDY)) is not None
    except FormatError:
        return False


def read_zip(source: Source) -> Saved:
    """What a zip file of torch's holds."""
    place = source.place
    archive = Archive(source, _REMEDY)
    top = _top(archive)
    if top is None:
        raise FormatError(f"{place}: a zip archive without data.pkl; no PyTorch checkpoint")
    archive.expect()
    root = _object(place, archive, top, "data")
    if f"{top}constants.pkl" in archive.names:
        root = Pairs([("", root), ("constants", _object(place, archive, top, "constants"))])
    return Saved(root, archive.range, _byteorder(place, archive, f"{top}byteorder"))


def _top(archive: Archive) -> str | None:
    """The folder of the archive in which everything lies."""
    pickles = [name for name in archive.names if name.count("/") == 1 and name.endswith("/data.pkl")]
    return pickles[0].removesuffix("data.pkl") if len(pickles) == 1 else None


def _object(place: str, archive: Archive, top: str, name: str) -> Any:
    """What the pickle `name` describes, with storages in the folder of that name."""
    pickle = f"{top}{name}.pkl"
    size = archive.info(pickle).file_size
    if size > MAX_PICKLE:
        raise UnsupportedError(
            f"{place}: {shown(pickle)} has {size} bytes, at most {MAX_PICKLE} are read; save the tensors alone"
        )
    return load(place, archive.read(pickle), call, partial(persistent, f"{top}{name}/"))


def _byteorder(place: str, archive: Archive, name: str) -> Literal["little", "big"]:
    """The order of the machine that saved the file; before it was written down that was little-endian."""
    text = archive.read(name) if name in archive.names and archive.info(name).file_size < 16 else b"little"
    if text not in (b"little", b"big"):
        raise FormatError(f"{place}: byteorder must be little or big; the file is damaged")
    return "little" if text == b"little" else "big"
