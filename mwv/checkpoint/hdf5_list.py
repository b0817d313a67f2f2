"""The path of an HDF5 file in, a JSON list of its datasets out, as a program of its own; see `hdf5.py`.

Names, types, shapes and places are told, no values are read. Links are told and not followed; of the names of one object the
first stands for it.
"""

import json
import resource
import sys
from typing import Any, Final

import h5py

MAX_CHARACTERS: Final = 16_000_000
_SECONDS: Final = 3
_MEMORY: Final = 512 * 2**20
_LINKS: Final = {
    h5py.HardLink: "another name of what is shown under its first",
    h5py.SoftLink: "a link to another place in the file",
    h5py.ExternalLink: "a link into another file",
}


def main(path: str) -> None:
    """Write `{"datasets": […]}` or `{"fault": "…"}` to standard output, within bounds of time and memory."""
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer: dict[str, Any]
    try:
        answer = {"datasets": _datasets(path)}
    except Exception as error:  # whatever h5py makes of what the library in C says
        answer = {"fault": str(error)}
    json.dump(answer, sys.stdout)


def _datasets(path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    met: set[str] = set()
    characters = 0

    def count(name: str) -> None:
        nonlocal characters
        characters += len(name)
        if characters > MAX_CHARACTERS:
            raise ValueError("its names are longer than those of any model")

    def note(name: str, item: Any) -> None:
        count(name)
        met.add(name)
        if isinstance(item, h5py.Dataset):
            found.append({"name": name, **_described(item)})

    def note_link(name: str, link: Any) -> None:
        if name not in met:
            count(name)
            found.append(
                {"name": name, "type": "|u1", "shape": [], "fault": _LINKS.get(type(link), "a link of an unknown kind")}
            )

    # Locks are for writers, and some file systems have none.
    with h5py.File(path, "r", locking=False) as file:
        file.visititems(note)
        file.visititems_links(note_link)
    return found


def _described(dataset: Any) -> dict[str, Any]:
    """Type and shape of a dataset, and its place; or what keeps it from being a range of bytes."""
    created = dataset.id.get_create_plist()
    dtype = dataset.dtype
    kind = {"type": dtype.str, "shape": list(dataset.shape or ())}
    if dataset.shape is None:
        return {**kind, "fault": "it has no values"}
    if dtype.names is not None or dtype.subdtype is not None:
        return {**kind, "fault": "of records"}
    if h5py.h5t.py_create(dtype) != dataset.id.get_type():
        return {**kind, "fault": "of text, or another type that is no number of NumPy's"}
    if created.get_external_count():
        return {**kind, "fault": "its values lie in other files"}
    if 0 in dataset.shape:
        return {**kind, "offset": 0, "bytes": 0}
    if created.get_layout() != h5py.h5d.CONTIGUOUS:
        return {**kind, "fault": "stored in chunks or compressed; copy it into a file without them (h5repack -l CONTI)"}
    offset = dataset.id.get_offset()
    if offset is None:
        return {**kind, "fault": "nothing was written to it"}
    return {**kind, "offset": offset, "bytes": dataset.id.get_storage_size()}


if __name__ == "__main__":
    main(sys.argv[1])
