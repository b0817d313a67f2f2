"""Names and arguments of torch's own pickled calls in, stand-ins out: storages, and views of them that are tensors."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple

from mwv.checkpoint.checks import MAX_DIMENSIONS
from mwv.checkpoint.dtypes import PLAIN, QUANTISED, DType, raw_dtype
from mwv.checkpoint.pickle_machine import Global, Inert, Pairs
from mwv.checkpoint.source import Range

# Names of torch's dtypes (and, in camel case with "Storage", of its storages) → names in dtypes.py.
_DTYPES: Final = {
    "float64": "F64",
    "double": "F64",
    "float32": "F32",
    "float": "F32",
    "float16": "F16",
    "half": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2": "F8_E5M2",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
    # Two elements in each of torch's; see `pytorch.py`.
    "float4_e2m1fn_x2": "F4",
    "int64": "I64",
    "long": "I64",
    "int32": "I32",
    "int": "I32",
    "int16": "I16",
    "short": "I16",
    "int8": "I8",
    "char": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "byte": "U8",
    "bool": "BOOL",
    "complex32": "C32",
    "chalf": "C32",
    "complex64": "C64",
    "cfloat": "C64",
    "complexfloat": "C64",
    "complex128": "C128",
    "cdouble": "C128",
    "complexdouble": "C128",
}
# Types that mean nothing but bits.
_RAW_BITS: Final = {"bits8": 8, "bits16": 16}


MAPPING: Final = "a mapping"
"""What is called for a dictionary that is made of a list of pairs, or of another dictionary."""

# A pickle can name one long tuple again and again; what is copied of it must be short.
MAX_ARGUMENTS: Final = 16


@dataclass(frozen=True, slots=True)
class Storage:
    """A block of memory, which the file has under `key`: `numel` elements of `dtype`, which is None for classes we do not know.

    What is called its first element is its element `start`; old files have storages that are parts of others.
    """

    dtype: DType | None
    dtype_name: str
    key: str
    numel: int
    start: int = 0


@dataclass(frozen=True, slots=True)
class Quantizer:
    """How stored integers become values, scale × (integer − zero point): one pair of them, or one for each index of `axis`."""

    scale: "float | View"
    zero_point: "int | View"
    axis: int | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A tensor: elements of a storage from `offset`, along `strides`; `dtype` overrides the storage's."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: DType | None
    dtype_name: str
    quantizer: Quantizer | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A tensor that is there, but not as a view of a storage."""

    what: str


class Saved(NamedTuple):
    """A file of torch's: its object, where each storage lies in it by its key, and the order of bytes."""

    root: Any
    range_of: Callable[[str], Range]
    byteorder: Literal["little", "big"]


def dtype_named(name: str) -> DType | None:
    """The DType of torch's dtype `name`, or None if it cannot be shown."""
    if name in _DTYPES:
        return PLAIN[_DTYPES[name]]
    if name.upper() in QUANTISED:
        return QUANTISED[name.upper()]
    return raw_dtype(name, _RAW_BITS[name]) if name in _RAW_BITS else None


def persistent(folder: str, identity: Any) -> Storage | Global:
    """What a persistent id stands for: ("storage", class, key, device, length), or in old files ("module", class, its source).

    `folder` is put before the key. In old files a storage may be a part of the one that is named: (key, first element,
    length) follows then.
    """
    if identity[0] == "module" and isinstance(identity[1], Global):
        return identity[1]
    tag, kind, key, _, numel = identity[:5]
    start = identity[5][1] if len(identity) > 5 and isinstance(identity[5], tuple) else 0
    natural = _natural(numel) and _natural(start)
    if tag != "storage" or not isinstance(kind, Global) or not isinstance(key, str) or not natural:
        raise TypeError
    if kind.name == "UntypedStorage":
        return Storage(PLAIN["U8"], "uint8", folder + key, numel, start)
    name = kind.name.removesuffix("Storage").lower()
    return Storage(dtype_named(name), name, folder + key, numel, start)


def call(called: Global, arguments: tuple[Any, ...]) -> Any:
    """What calling `called` gives: a stand-in if it is known and harmless, else a record of the call."""
    handler = _CALLS.get((called.module, called.name))
    return handler(arguments) if handler and len(arguments) <= MAX_ARGUMENTS else Inert(called, arguments)


def _natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _naturals(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or len(value) > MAX_DIMENSIONS or not all(map(_natural, value)):
        raise TypeError
    return tuple(value)


def _tensor(arguments: tuple[Any, ...]) -> View | Unreadable:
    """`_rebuild_tensor` and its versions 2 and 3: storage, offset, shape, strides come first."""
    storage, offset, shape, strides, *rest = arguments
    shape, strides = _naturals(shape), _naturals(strides)
    if not isinstance(storage, Storage) or not _natural(offset) or len(shape) != len(strides):
        raise TypeError
    if any(isinstance(part, Pairs) and ("neg", True) in part.pairs[:MAX_ARGUMENTS] for part in rest):
        return Unreadable("a view that negates on reading")
    given = next((part.name for part in rest if isinstance(part, Global) and part.module == "torch"), None)
    if given is None:
        return View(storage, offset, shape, strides, storage.dtype, storage.dtype_name)
    return View(storage, offset, shape, strides, dtype_named(given), given)


def _quantised(arguments: tuple[Any, ...]) -> View | Unreadable:
    """`_rebuild_qtensor`: after the strides come the scheme, scale, zero point and, if there are many of them, their axis."""
    view, parameters = _tensor(arguments), arguments[4]
    if not isinstance(view, View) or not isinstance(parameters, tuple):
        raise TypeError
    scheme, scale, zero_point, *axis = parameters
    if not isinstance(scheme, Global) or [type(value) for value in axis] not in ([], [int]):
        raise TypeError
    kinds = (View, View) if axis else (float, int)
    if not isinstance(scale, kinds[0]) or not isinstance(zero_point, kinds[1]):
        raise TypeError
    return replace(view, quantizer=Quantizer(scale, zero_point, *axis))


def _first(arguments: tuple[Any, ...]) -> Any:
    return arguments[0]


def _subclass(arguments: tuple[Any, ...]) -> Any:
    """`_rebuild_from_type_v2`: the function that makes the tensor, its class, the arguments, its attributes."""
    function, _, inner = arguments[:3]
    if not isinstance(function, Global) or not isinstance(inner, tuple) or (function.module, function.name) in _SUBCLASS:
        raise TypeError
    return call(function, inner)


def _mapping(arguments: tuple[Any, ...]) -> Any:
    """An OrderedDict or its like: items are put into it later, or it is made of others, as in Python 2, and not copied here."""
    return Inert(MAPPING, arguments) if any(isinstance(given, list | Pairs) for given in arguments) else Pairs()


def _unreadable(what: str) -> Callable[[tuple[Any, ...]], Unreadable]:
    return lambda _: Unreadable(what)


_SUBCLASS: Final = {("torch._tensor", "_rebuild_from_type"), ("torch._tensor", "_rebuild_from_type_v2")}
_CALLS: Final[dict[tuple[str, str], Callable[[tuple[Any, ...]], Any]]] = {
    ("collections", "OrderedDict"): _mapping,
    ("collections", "defaultdict"): _mapping,
    ("builtins", "dict"): _mapping,
    ("__builtin__", "dict"): _mapping,
    ("torch", "Size"): _first,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor,
    ("torch._utils", "_rebuild_qtensor"): _quantised,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._utils", "_rebuild_sparse_tensor"): _unreadable("a sparse tensor; save it dense to show it"),
    ("torch._utils", "_rebuild_sparse_csr_tensor"): _unreadable("a sparse tensor; save it dense to show it"),
    ("torch._utils", "_rebuild_nested_tensor"): _unreadable("a nested tensor"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): _unreadable("a tensor without data (device meta)"),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): _unreadable("a tensor kept as a numpy array"),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): _first,
    ("torch._utils", "_rebuild_wrapper_subclass"): _unreadable("a tensor subclass of its own making"),
    ("numpy.core.multiarray", "_reconstruct"): _unreadable("a numpy array"),
    ("numpy._core.multiarray", "_reconstruct"): _unreadable("a numpy array"),
    **dict.fromkeys(_SUBCLASS, _subclass),
}
