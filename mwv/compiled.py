"""A function of arrays in, the same compiled to machine code out, loaded when it is first called."""

from collections.abc import Callable
from threading import RLock
from typing import Any

Kernel = Callable[..., Any]

_lock = RLock()


def compiled(*signatures: str) -> Callable[[Kernel], Kernel]:
    """Compile without the interpreter's lock: for `signatures` in the names of numba.types, else for the types of each call.

    Nothing happens before the first call: loading numba takes as long as a whole build that has nothing to draw. The code
    is kept in a file beside the source or in the user's cache folder, so that only the first use ever takes seconds; where
    neither can be written, it is compiled anew in every process.
    """
    return lambda function: _Late(function, signatures)


class _Late:
    """A function that becomes numba's when it is first called."""

    def __init__(self, function: Kernel, signatures: tuple[str, ...]) -> None:
        self._function = function
        self._types = list(signatures) or None
        self._kernel: Kernel | None = None

    def __call__(self, *arguments: Any) -> Any:
        return (self._kernel or self.load())(*arguments)

    def load(self) -> Kernel:
        """The compiled function. Kernels that this one calls take their places in its module, where numba looks for them."""
        with _lock:
            if self._kernel is None:
                names = self._function.__globals__
                for name in self._function.__code__.co_names:
                    if isinstance(called := names.get(name), _Late):
                        names[name] = called.load()
                self._kernel = self._compile()
            return self._kernel

    def _compile(self) -> Kernel:
        import numba  # late: takes 0.2 s

        try:
            kernel: Kernel = numba.njit(self._types, nogil=True, error_model="numpy", cache=True)(self._function)
        except RuntimeError:  # numba finds no folder that it may write to
            kernel = numba.njit(self._types, nogil=True, error_model="numpy")(self._function)
        return kernel
