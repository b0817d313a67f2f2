"""A family's file in, names and shapes of its tensors out: as real files have them, few layers, true widths.

The first line of a file says whose names they are. Every other one is a name and a shape, in which `{0..2}` and `{1,3}`
stand for several numbers or words, as in a shell. The names are those of the state dicts that transformers 4.57, diffusers 0.35
and peft 0.21 make of the published configurations, where the first line names a class; else those of the published file.
"""

import re
from itertools import product
from pathlib import Path

Tensors = list[tuple[str, tuple[int, ...]]]

FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))


def read(family: str) -> Tensors:
    """All tensors of a family."""
    tensors: Tensors = []
    for line in (FOLDER / f"{family}.txt").read_text(encoding="utf-8").splitlines()[1:]:
        pattern, shape = line.split()
        sizes = () if shape == "scalar" else tuple(map(int, shape.split("×")))
        parts = re.split(r"\{(.*?)\}", pattern)
        choices = [_choices(part) if i % 2 else [part] for i, part in enumerate(parts)]
        tensors += [("".join(name), sizes) for name in product(*choices)]
    return tensors


def _choices(text: str) -> list[str]:
    first, dots, last = text.partition("..")
    return [str(n) for n in range(int(first), int(last) + 1)] if dots else text.split(",")
