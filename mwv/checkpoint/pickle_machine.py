"""Pickle bytes in, inert objects out: nothing is imported, called or built, whatever the pickle asks for.

A machine of our own rather than a `pickle.Unpickler` with a harmless `find_class`: that one still allocates a memo as
large as any index the pickle names, calls the methods of what it builds, and hashes the keys of dictionaries. Here a
class is a name, a call is a record of itself, and a dictionary a list of pairs. The standard library's pickletools has
the table of opcodes and the readers of their arguments, which read no more than there is.
"""

import gc
import io
import pickletools
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from mwv.errors import FormatError

MAX_STEPS: Final = 1_500_000
"""Opcodes; a tensor takes about thirty."""


# Not frozen: a pickle may name a million, and making a frozen one takes three times as long.
@dataclass(slots=True)
class Global:
    """A class or function that the pickle names."""

    module: str
    name: str


@dataclass(eq=False, slots=True)
class Pairs:
    """A dictionary, not hashed; of equal keys the last counts."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Inert:
    """What would have been made by calling something: what, with which arguments, and what was then put into it."""

    called: Any
    arguments: Any
    state: Any = None
    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)


Call = Callable[[Global, tuple[Any, ...]], Any]
Persistent = Callable[[Any], Any]

_MADE: Final[dict[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": Pairs,
    "EMPTY_SET": list,
}
_LITERALS: Final = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    )
)
_IGNORED: Final = frozenset(("PROTO", "FRAME", "STOP"))
_STOP: Final = b"."


def load(place: str, data: bytes, call: Call, persistent: Persistent) -> Any:
    """The object that `data` describes.

    `call` decides what a call of a named class or function gives, `persistent` what a persistent id gives.
    """
    return load_next(place, io.BytesIO(data), call, persistent)


def load_next(place: str, stream: io.BytesIO, call: Call, persistent: Persistent, most: int = MAX_STEPS) -> Any:
    """The object that the pickle at the stream's position describes, in at most `most` steps; moves behind the pickle."""
    machine = _Machine(call, persistent)
    steps = machine.steps
    collecting = gc.isenabled()
    # Looking for circles in what only grows would take four times as long as making it.
    gc.disable()
    try:
        with warnings.catch_warnings():
            # Texts are decoded with escapes that Python warns of.
            warnings.simplefilter("ignore", DeprecationWarning)
            for _ in range(most):
                opcode = stream.read(1)
                handler, read = steps[opcode]
                handler(read(stream) if read else None)
                if opcode == _STOP:
                    return machine.stack.pop()
        raise FormatError(f"{place}: the pickle takes more than {most} steps; no checkpoint")
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, struct.error) as error:
        raise FormatError(f"{place}: the pickle is damaged ({type(error).__name__}); fetch the file again") from None
    finally:
        if collecting:
            gc.enable()


class _Machine:
    """Stack, marks and memo of a pickle being read; faults of the pickle show as IndexError, KeyError or TypeError."""

    def __init__(self, call: Call, persistent: Persistent) -> None:
        self.stack: list[Any] = []
        self._below: list[list[Any]] = []
        # A dictionary: an index of 2**32 costs as much as one of 0.
        self._memo: dict[int, Any] = {}
        self._call = call
        self._persistent = persistent
        # Missing on purpose: extension codes, buffers outside of the pickle, persistent ids as text. torch writes none.
        methods = ((opcode.name, getattr(self, f"_{opcode.name.lower()}", None)) for opcode in pickletools.opcodes)
        handlers: dict[str, Callable[[Any], None]] = {
            **{name: method for name, method in methods if method},
            **dict.fromkeys(_LITERALS, self._push),
            **dict.fromkeys(_IGNORED, self._ignore),
            **{name: partial(self._make, maker) for name, maker in _MADE.items()},
        }
        self.steps = {
            opcode.code.encode("latin-1"): (handlers[opcode.name], opcode.arg.reader if opcode.arg else None)
            for opcode in pickletools.opcodes
            if opcode.name in handlers
        }
        """Opcode → what it does, and what reads its argument from the stream."""

    def _push(self, value: Any) -> None:
        self.stack.append(value)

    def _make(self, maker: Callable[[], Any], _: None) -> None:
        self.stack.append(maker())

    def _ignore(self, _: Any) -> None: ...

    def _mark(self, _: None) -> None:
        self._below.append(self.stack)
        self.stack = []

    def _to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self._below.pop()
        return items

    def _pop(self, _: None) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._to_mark()

    def _pop_mark(self, _: None) -> None:
        self._to_mark()

    def _dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def _tuple(self, _: None) -> None:
        items = self._to_mark()
        self.stack.append(tuple(items))

    def _list(self, _: None) -> None:
        items = self._to_mark()
        self.stack.append(items)

    _frozenset = _tuple

    def _tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def _tuple1(self, _: None) -> None:
        self._tuple_of(1)

    def _tuple2(self, _: None) -> None:
        self._tuple_of(2)

    def _tuple3(self, _: None) -> None:
        self._tuple_of(3)

    def _dict(self, _: None) -> None:
        items = self._to_mark()
        self.stack.append(Pairs(list(zip(items[::2], items[1::2], strict=True))))

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Inert):
            target.items += items
        elif isinstance(target, list):
            target += items
        else:
            raise TypeError

    def _append(self, _: None) -> None:
        self._extend([self.stack.pop()])

    def _appends(self, _: None) -> None:
        self._extend(self._to_mark())

    _additems = _appends

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, Inert | Pairs):
            raise TypeError
        target.pairs += zip(items[::2], items[1::2], strict=True)

    def _setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _setitems(self, _: None) -> None:
        self._set(self._to_mark())

    def _get(self, index: int) -> None:
        self.stack.append(self._memo[index])

    _binget = _long_binget = _get

    def _put(self, index: int) -> None:
        self._memo[index] = self.stack[-1]

    _binput = _long_binput = _put

    def _memoize(self, _: None) -> None:
        self._put(len(self._memo))

    def _global(self, names: str) -> None:
        module, name = names.split(" ", 1)
        self.stack.append(Global(module, name))

    def _stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError
        self.stack.append(Global(module, name))

    def _reduce(self, _: None) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        known = isinstance(called, Global) and isinstance(arguments, tuple)
        self.stack.append(self._call(called, arguments) if known else Inert(called, arguments))

    def _newobj(self, _: None) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        self.stack.append(Inert(called, arguments))

    def _newobj_ex(self, _: None) -> None:
        self.stack.pop()
        self._newobj(None)

    def _inst(self, names: str) -> None:
        arguments = self._to_mark()
        self._global(names)
        self.stack.append(Inert(self.stack.pop(), tuple(arguments)))

    def _obj(self, _: None) -> None:
        called, *arguments = self._to_mark()
        self.stack.append(Inert(called, tuple(arguments)))

    def _build(self, _: None) -> None:
        # Of all others (an OrderedDict with `_metadata`, a parameter with attributes) the state tells nothing we need.
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Inert):
            target.state = state

    def _binpersid(self, _: None) -> None:
        self.stack.append(self._persistent(self.stack.pop()))
