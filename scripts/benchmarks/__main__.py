"""Arguments in, the table on standard output and, if asked for, a JSON file out."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.bench import ROWS, Bench, Row, measure, say

HEAD = ("what", "measured", "target", "met", "how")
METHOD = """\
Every build is a process of its own, timed from the start of the command to its end, with an empty cache folder of its own;
the page cache is warm and numba's compiled code is there (one build before each series does not count). Figures are minima.
"""


def number(text: str) -> int:
    """A count such as 300M or 1G."""
    factor = {"K": 10**3, "M": 10**6, "G": 10**9}.get(text[-1:].upper(), 0)
    count = int(float(text[:-1]) * factor) if factor else int(text)
    if count < 1:
        raise ValueError(text)
    return count


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    names = "\n".join(f"  {name:9} {(row.__doc__ or '').rstrip('.')}" for name, row in ROWS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure mwv's speed, memory and size.",
        epilog=f"rows:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows to measure; all of them by default")
    parser.add_argument("--elements", type=number, default=number("300M"), metavar="N", help="size of synthetic models (300M)")
    parser.add_argument("--repeats", type=number, default=3, metavar="N", help="how often a build is repeated (3)")
    parser.add_argument("--jobs", type=number, default=2, metavar="N", help="threads where there are several (2)")
    parser.add_argument("--full", action="store_true", help="second build and page of 1 G and a canvas of 70 G elements, too")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where to work; what is made there is deleted at the end")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures, options and facts about the machine")
    options = parser.parse_args(argv)
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row is called {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return options


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table whose columns line up, too."""
    met = {True: "yes", False: "no", None: ""}
    lines: list[tuple[str, ...]] = [HEAD, *((row.what, row.figure, row.target, met[row.met], row.how) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD) - 1)] + [3]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def main() -> int:
    options = arguments()
    names = [name for name in ROWS if name in options.rows] if options.rows else list(ROWS)
    begin = time.monotonic()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mwv-bench-", dir=options.folder) as folder:
        facts = machine.facts(Path(folder))
        bench = Bench(Path(folder), options.elements, options.repeats, options.jobs, options.full)
        rows: list[Row] = []
        for row in measure(bench, names):
            say(f"{row.what}: {row.figure}")
            rows.append(row)
    used: dict[str, Any] = {name: getattr(options, name) for name in ("elements", "repeats", "jobs", "full")}
    print(f"\n{table(rows)}\n\n{METHOD}")
    print(f"Options: {', '.join(f'{name} {value}' for name, value in used.items())}. {time.monotonic() - begin:.0f} s in all.")
    print(f"Machine: {machine.line(facts)}.")
    if options.json is not None:
        record = {"options": used, "machine": facts, "method": METHOD, "rows": [row.record() for row in rows]}
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    return int(any(row.figure.startswith("not measured") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
