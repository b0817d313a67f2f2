"""Parts of packed weights in, their values out: a module for each scheme."""

from collections.abc import Callable
from typing import Final

from mwv.checkpoint.info import TensorInfo
from mwv.decode.schemes.affine import Affine
from mwv.decode.schemes.four_bit import FourBit
from mwv.decode.schemes.gptq import Awq, Gptq
from mwv.decode.schemes.rotary import Rotary
from mwv.decode.schemes.scaled import Scaled
from mwv.decode.schemes.scheme import Scheme
from mwv.decode.schemes.sliced import Sliced

_SCHEMES: Final[dict[str, Callable[[TensorInfo], Scheme]]] = {
    "gptq": Gptq,
    "awq": Awq,
    "affine": Affine,
    "four_bit": FourBit,
    "sliced": Sliced,
    "scaled": Scaled,
    "rotary": Rotary,
}
"""By the name in `Packing.scheme`."""


def scheme_of(info: TensorInfo) -> Scheme:
    """What makes the values of a logical tensor."""
    assert info.packing is not None
    return _SCHEMES[info.packing.scheme](info)
