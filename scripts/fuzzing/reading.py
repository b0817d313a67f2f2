"""Readers and their inputs in, a line for each fault out; runs in a process of its own, which a fault may end.

Lines on standard output, parts separated by tabs: `reading`, reader, input; `fault`, reader, input, what it did.
"""

import argparse
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fuzzing.corpus import CORPUS, inputs, keep, name_of
from fuzzing.guard import Guard, patience

# Kernels as Python runs them, which checks every index; machine code does not, and libFuzzer could not see its branches.
os.environ["NUMBA_DISABLE_JIT"] = "1"

LONGEST_INPUT = 4096


def tell(*parts: str) -> None:
    """A line to the process that started this one."""
    print("\t".join(parts), flush=True)


def folder() -> tempfile.TemporaryDirectory[str]:
    """Where readers put their inputs; in memory where there is such a place."""
    shared = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="mwv-fuzz-", dir=shared if os.access(shared, os.W_OK) else None)


def known(readers: dict[str, Any], names: Iterable[str], corpus: Path) -> None:
    """Read all that is in the corpus."""
    with folder() as place:
        from fuzzing.checkpoints import load_late

        load_late()
        given = {name: readers[name](_made(Path(place) / name)) for name in names}
        guard = Guard(Path(place))
        for name, take in given.items():
            for number, data in inputs(name, corpus).items():
                tell("reading", name, number)
                with patience():
                    if fault := guard.fault(take(data)):
                        tell("fault", name, number, fault)


def new(readers: dict[str, Any], name: str, corpus: Path, options: list[str]) -> None:
    """Read what libFuzzer makes of the corpus; what fails is kept there, of each kind of fault the shortest."""
    import atheris

    with folder() as place:
        from fuzzing.checkpoints import load_late

        load_late()
        take = readers[name](_made(Path(place) / name))
        guard = Guard(Path(place))
        kept: dict[str, bytes] = {}

        def read(data: bytes) -> None:
            if fault := guard.fault(take(data)):
                kind = f"{fault.split(':')[0]} {fault.rpartition(' at ')[2]}"
                if kind not in kept or len(data) < len(kept[kind]):
                    if kind in kept:
                        (corpus / name / name_of(kept[kind])).unlink(missing_ok=True)
                    kept[kind] = data
                    keep(name, data, corpus)
                    tell("fault", name, name_of(data), fault)

        atheris.Setup(["fuzz", *options], read)
        atheris.Fuzz()


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--new", metavar="READER")
    parser.add_argument("--option", action="append", default=[])
    parser.add_argument("readers", nargs="*")
    options = parser.parse_args()
    if options.new is None:
        from fuzzing.readers import READERS

        known(READERS, options.readers, options.corpus)
    else:
        new(_followed(), options.new, options.corpus, options.option)


def _followed() -> dict[str, Any]:
    """The readers, with the branches that they take seen by libFuzzer."""
    import atheris

    with atheris.instrument_imports(include=["mwv", "pickletools", "tomllib"]):
        from fuzzing.readers import READERS
    return READERS


if __name__ == "__main__":
    main()
