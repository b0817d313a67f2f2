"""Names of element types in, DType records out: sizes, packing and the unit of the tile code."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["float", "int", "uint", "bool", "complex", "block", "raw", "packed"]
"""`block` and `packed` elements become float32: by the gguf package, or from several tensors (see `Packing`)."""
WEIGHTS: Final = frozenset({"float", "complex", "block", "packed"})
"""Kinds of real and complex values, as weights have them."""


@dataclass(frozen=True)
class DType:
    """An element type as it lies in a file.

    Elements are packed in blocks of `block_elements` elements and `block_bytes` bytes; plain types are blocks of one.
    The unit by which stored values are multiplied for the tile code is 2**`exponent`.
    """

    name: str
    kind: Kind
    block_elements: int
    block_bytes: int
    exponent: int = 0

    def nbytes(self, elements: int) -> int:
        """Bytes that hold `elements` elements; the last block may be partly filled."""
        return -(-elements // self.block_elements) * self.block_bytes

    @property
    def is_raw(self) -> bool:
        """Whether the type is unknown and its elements are shown as the integers of their bits."""
        return self.kind == "raw"


def _plain(name: str, kind: Kind, size: int, exponent: int = 0) -> DType:
    return DType(name, kind, 1, size, exponent)


def _integer_exponent(size: int) -> int:
    """The unit of an integer type, so that its full range maps to magnitudes up to about 1."""
    return {1: -8, 2: -16}.get(size, -32)


PLAIN: Final[dict[str, DType]] = {
    d.name: d
    for d in (
        _plain("F64", "float", 8),
        _plain("F32", "float", 4),
        _plain("F16", "float", 2),
        _plain("BF16", "float", 2),
        # OCP 8-bit formats: E4M3 is the "FN" variant (no infinities), as safetensors and torch mean it.
        _plain("F8_E4M3", "float", 1),
        _plain("F8_E4M3FNUZ", "float", 1),
        _plain("F8_E5M2", "float", 1),
        _plain("F8_E5M2FNUZ", "float", 1),
        _plain("F8_E8M0", "float", 1),
        DType("F6_E2M3", "float", 4, 3),
        DType("F6_E3M2", "float", 4, 3),
        DType("F4", "float", 2, 1),
        *(_plain(f"I{8 * n}", "int", n, _integer_exponent(n)) for n in (1, 2, 4, 8)),
        *(_plain(f"U{8 * n}", "uint", n, _integer_exponent(n)) for n in (1, 2, 4, 8)),
        _plain("BOOL", "bool", 1),
        _plain("C32", "complex", 4),
        _plain("C64", "complex", 8),
        _plain("C128", "complex", 16),
    )
}


def raw_dtype(name: str, bits: int) -> DType | None:
    """The DType that shows elements of an unknown type `name` of `bits` bits as unsigned integers; None if it cannot."""
    if bits in (8, 16, 32, 64):
        return DType(name, "raw", 1, bits // 8, _integer_exponent(bits // 8))
    if bits == 4:
        return DType(name, "raw", 2, 1, -8)
    return None
