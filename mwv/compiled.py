"""A function of arrays in, the same compiled to machine code out."""

from collections.abc import Callable
from typing import Any, cast

import numba

Kernel = Callable[..., Any]


def compiled(*signatures: Any) -> Callable[[Kernel], Kernel]:
    """Compile without the interpreter's lock: at once for `signatures`, else when first called.

    The result is kept in a file beside the source or in the user's cache folder, so that only the first use ever takes
    seconds; where neither can be written, it is compiled anew in every process.
    """

    def wrap(function: Kernel) -> Kernel:
        types = list(signatures) or None
        try:
            return cast("Kernel", numba.njit(types, nogil=True, error_model="numpy", cache=True)(function))
        except RuntimeError:  # numba finds no folder that it may write to
            return cast("Kernel", numba.njit(types, nogil=True, error_model="numpy")(function))

    return wrap
