"""The path of an HDF5 file in, a JSON list of its datasets out, as a program of its own; see `hdf5.py`.

Names, types, shapes and places are told, no values are read. Soft and external links are not followed.
"""

import json
import resource
import sys
from typing import Any, Final

import h5py

MAX_CHARACTERS: Final = 16_000_000
_SECONDS: Final = 3
_MEMORY: Final = 512 * 2**20


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
    characters = 0

    def note(name: str, item: Any) -> None:
        nonlocal characters
        characters += len(name)
        if characters > MAX_CHARACTERS:
            raise ValueError("its names are longer than those of any model")
        if isinstance(item, h5py.Dataset):
            found.append({"name": name, **_described(item)})

    # Locks are for writers, and some file systems have none.
    with h5py.File(path, "r", locking=False) as file:
        file.visititems(note)
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
