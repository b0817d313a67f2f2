"""Arguments in, a line for each reader on standard output out; exits with 1 if one of them did what it may not."""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzzing.corpus import CORPUS, inputs, keep
from fuzzing.readers import READERS, WORDS
from fuzzing.reading import LONGEST_INPUT

GROWN = Path(sys.prefix) / "fuzz"
"""What libFuzzer found to reach new places; it goes on from there the next time."""
READ = (sys.executable, "-B", "-m", "fuzzing.reading")
SECONDS = 60
# The process ends itself much earlier; libFuzzer's own limits are for what stops outside of Python.
LIMITS = ("-timeout=600", "-rss_limit_mb=1024", "-print_final_stats=1", "-reduce_inputs=1", f"-max_len={LONGEST_INPUT}")


@dataclass
class Finding:
    """What came of one reader."""

    name: str
    known: int
    read: int = 0
    faults: list[str] = field(default_factory=list)

    def line(self) -> str:
        made = f", {self.read:,} new ones" if self.read else ""
        return f"{self.name}: {self.known:,} inputs of the corpus{made}: {'good' if not self.faults else 'FAULTS'}"


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    about = "\n".join(f"  {name:12} {(make.__doc__ or '').splitlines()[0]}" for name, make in READERS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz",
        description="Give readers hostile inputs: they may succeed or say in one line what is wrong, within 2 s and 512 MiB.",
        epilog=f"readers:\n{about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("readers", nargs="*", metavar="READER", help="readers to fuzz; all of them by default")
    parser.add_argument("--seconds", type=int, metavar="N", help=f"time for each reader ({SECONDS}, or no end with --inputs)")
    parser.add_argument("--inputs", type=int, metavar="N", help="new inputs for each reader; 0 reads the corpus alone")
    parser.add_argument("--corpus", type=Path, default=CORPUS, metavar="DIR", help="where inputs are kept (tests/corpus)")
    options = parser.parse_args(argv)
    unknown = [name for name in options.readers if name not in READERS]
    if unknown:
        parser.error(f"no reader is called {', '.join(unknown)}; there are {', '.join(READERS)}")
    return options


def follow(*words: object, log: Path) -> Iterator[list[str]]:
    """Run the readers in a process of their own; the parts of each line that it tells, and `ended` where it broke off."""
    command = [*READ, *map(str, words)]
    with log.open("wb") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield line.rstrip("\n").split("\t")
    if process.returncode:
        yield ["ended", f"the process ended with {process.returncode}: {_last_words(log)}"]


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    told = [line.strip() for line in lines if re.search(r"ERROR|Error|File |Timeout", line)]
    return " | ".join(told[:4]) or "no word"


def read_known(names: Sequence[str], corpus: Path, work: Path) -> list[Finding]:
    """The corpus of all readers, in one process."""
    findings = {name: Finding(name, len(inputs(name, corpus))) for name in names}
    at = names[0], "the beginning"
    for kind, *parts in follow("--corpus", corpus, *names, log=work / "log"):
        if kind == "reading":
            at = parts[0], parts[1]
        else:
            name, number, fault = parts if kind == "fault" else (*at, parts[0])
            findings[name].faults.append(f"{number}: {fault}")
    return list(findings.values())


def read_new(finding: Finding, options: argparse.Namespace, work: Path) -> None:
    """What libFuzzer makes of one reader's corpus."""
    seconds = options.seconds or (SECONDS if options.inputs is None else 0)
    grown = GROWN / finding.name
    grown.mkdir(parents=True, exist_ok=True)
    limits = [*LIMITS, f"-runs={-1 if options.inputs is None else options.inputs}", f"-max_total_time={seconds}"]
    if words := WORDS.get(finding.name):
        (work / "words").write_text("".join(f'"{_escaped(word)}"\n' for word in words.split()))
        limits.append(f"-dict={work / 'words'}")
    limits += [f"-artifact_prefix={work / 'artifact-'}", str(grown), str(options.corpus / finding.name)]
    log = work / "log"
    told = follow("--corpus", options.corpus, "--new", finding.name, *(f"--option={o}" for o in limits), log=log)
    faults = {}
    for kind, *parts in told:
        if kind == "ended":
            kept = [keep(finding.name, path.read_bytes(), options.corpus).name for path in work.glob("artifact-*")]
            faults[", ".join(kept)] = parts[0]
        else:
            faults[parts[1]] = parts[2]
    finding.faults += [f"{number}: {fault}" for number, fault in faults.items()]
    if count := re.search(r"stat::number_of_executed_units:\s*(\d+)", log.read_text(errors="replace")):
        finding.read = int(count[1])


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def main() -> int:
    options = arguments()
    names = [name for name in READERS if name in options.readers] or list(READERS)
    with tempfile.TemporaryDirectory(prefix="mwv-fuzz-") as work:
        findings = read_known(names, options.corpus, Path(work))
        for finding in findings:
            if options.inputs != 0:
                with tempfile.TemporaryDirectory(dir=work) as own:
                    read_new(finding, options, Path(own))
            print("\n  ".join([finding.line(), *finding.faults]), flush=True)
    return int(any(finding.faults for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
