"""An HDF5 file (Keras's .h5) in, its datasets out that are stored as plain ranges of bytes; needs the extra `h5`.

libhdf5 is written in C and trusts files more than strangers deserve. So h5py lists the datasets in a process of its own
(`hdf5_list.py`), whose time and memory are bounded and whose crash is a line; what it says is proven like any header.
"""

import re
import subprocess
import sys
from importlib.util import find_spec
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from mwv.checkpoint.checks import check_count, check_name, check_overlaps, check_shape, parse_json
from mwv.checkpoint.dtypes import PLAIN, DType
from mwv.checkpoint.info import Header, TensorInfo
from mwv.checkpoint.numpy_files import dtype_of
from mwv.checkpoint.source import FileSource, Range, Source
from mwv.checkpoint.state_dict import named
from mwv.checkpoint.torch_objects import Storage, Unreadable, View
from mwv.checkpoint.wording import printable, shown
from mwv.errors import FormatError, UnsupportedError

_MAGIC: Final = b"\x89HDF\r\n\x1a\n"
_TYPE: Final = re.compile(r"[<>|][fiucbV]\d{1,2}")
# By the clock; on the processor the process bounds its own time.
_SECONDS: Final = 60


class _Dataset(NamedTuple):
    """What the list says of a dataset; `fault` tells why it is no range of bytes."""

    name: str
    dtype: DType
    byteorder: Literal["little", "big"]
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    fault: str


def is_hdf5(source: Source) -> bool:
    """Whether the file begins as HDF5 files do."""
    return source.size >= len(_MAGIC) and source.read(0, len(_MAGIC)) == _MAGIC


def read_hdf5(source: Source, shard: int = 0) -> Header:
    """Tensors in order of offset, named by the groups that lead to them; notes on what is stored in other ways."""
    place = source.place
    if not is_hdf5(source):
        raise FormatError(f"{place}: no HDF5 file; fetch it again")
    if find_spec("h5py") is None:
        raise UnsupportedError(f"{place}: an HDF5 file, which is read by a package that is missing: pip install 'mwv[h5]'")
    datasets = {dataset.name: dataset for dataset in _datasets(place, source)}
    check_count(place, len(datasets))
    found = named([(tuple(name.split("/")), _leaf(dataset)) for name, dataset in datasets.items()])
    tensors = [
        _tensor(place, check_name(place, name), datasets[view.storage.key], shard, source.size) for name, view in found.tensors
    ]
    check_overlaps(place, (Range(t.offset, t.offset + t.nbytes, t.name) for t in tensors if t.nbytes))
    return Header(tuple(sorted(tensors, key=lambda t: (t.offset, t.name))), found.notes)


def _datasets(place: str, source: Source) -> list[_Dataset]:
    """What a process of its own finds in the file."""
    if not isinstance(source, FileSource):
        raise UnsupportedError(
            f"{place}: HDF5 is read from local files alone; download it (--download; from a bucket: hf buckets cp)"
        )
    # -P: no module of that name in the current folder is taken for ours.
    command = [sys.executable, "-P", "-m", "mwv.checkpoint.hdf5_list", str(source.path.absolute())]
    try:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=True).stdout
        said = parse_json(place, "the list of datasets", answer)
        if "fault" in said:
            raise FormatError(f"{place}: cannot be read ({printable(said['fault'], 200)}); fetch the file again")
        return [_dataset(entry) for entry in said["datasets"]]
    except (subprocess.SubprocessError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{place}: libhdf5 fails to read it ({_cause(error)}); fetch the file again") from None


def _cause(error: Exception) -> str:
    return f"exit code {error.returncode}" if isinstance(error, subprocess.CalledProcessError) else type(error).__name__


def _dataset(entry: dict[str, Any]) -> _Dataset:
    kind = str(entry["type"])
    dtype = dtype_of(np.dtype(kind)) if _TYPE.fullmatch(kind) else "elements of no known type"
    fault = entry.get("fault") or (f"of {dtype}" if isinstance(dtype, str) else "")
    return _Dataset(
        str(entry["name"]),
        PLAIN["U8"] if isinstance(dtype, str) else dtype,
        "big" if kind.startswith(">") else "little",
        tuple(map(int, entry["shape"])),
        int(entry.get("offset", 0)),
        int(entry.get("bytes", 0)),
        str(fault),
    )


def _leaf(dataset: _Dataset) -> View | Unreadable:
    """The dataset as what PyTorch's tensors are before they have names, so that the same rules give them."""
    if dataset.fault:
        return Unreadable(printable(dataset.fault, 200))
    return View(Storage(dataset.dtype, "", dataset.name, 0), 0, dataset.shape, (), dataset.dtype, "")


def _tensor(place: str, name: str, dataset: _Dataset, shard: int, size: int) -> TensorInfo:
    """The dataset in a file of `size` bytes, proven to lie there."""
    needed, end = dataset.dtype.nbytes(check_shape(place, name, dataset.shape)), dataset.offset + dataset.nbytes
    if needed != dataset.nbytes:
        raise FormatError(
            f"{place}: tensor {shown(name)}: needs {needed} bytes, it is stored in {dataset.nbytes}; the file is damaged"
        )
    if dataset.offset < 0 or end > size:
        raise FormatError(f"{place}: tensor {shown(name)}: ends at byte {end}, the file has {size}; fetch it again")
    return TensorInfo(name, dataset.dtype, dataset.shape, shard, dataset.offset, needed, byteorder=dataset.byteorder)
