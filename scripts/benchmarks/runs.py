"""Commands in, what they took out: every build and every part runs in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MWV = Path(sys.executable).with_name("mwv")


class MeasureError(Exception):
    """A command failed, so there is nothing to report."""


@dataclass(frozen=True)
class Run:
    """One process from start to end."""

    seconds: float
    """Wall clock, with the start of Python and the imports."""
    cpu: float
    """Seconds of processor time of all threads, user and system: steadier than the clock on a busy machine."""
    output: str
    report: Mapping[str, Any] = field(default_factory=dict)

    def of_models(self, *path: str) -> int:
        """A number of the report, summed over its models."""
        total = 0
        for model in self.report["models"]:
            for name in path:
                model = model[name]
            total += model
        return total

    @property
    def peak(self) -> int:
        """Most memory ever resident, in bytes."""
        return int(self.report["peak_rss_bytes"])

    def facts(self) -> dict[str, Any]:
        """What the JSON keeps."""
        return {"seconds": round(self.seconds, 3), "cpu_seconds": round(self.cpu, 3), "report": self.report}


@dataclass(frozen=True)
class Series:
    """The same thing several times."""

    runs: tuple[Run, ...]

    @property
    def least(self) -> Run:
        """The run that was disturbed least."""
        return min(self.runs, key=lambda run: run.seconds)

    @property
    def cpu(self) -> float:
        """Least processor time of a run."""
        return min(run.cpu for run in self.runs)

    def text(self) -> str:
        """How steady the figure is, and what it took."""
        times = f"{self.least.seconds:.2f} s"
        if len(self.runs) > 1:
            times = f"min {times} of {len(self.runs)}, median {median(run.seconds for run in self.runs):.2f} s"
        return f"{times}, {self.cpu:.2f} s of CPU"

    def facts(self) -> list[dict[str, Any]]:
        """What the JSON keeps."""
        return [run.facts() for run in self.runs]


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end; raises MeasureError with its last line if it fails."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(environment or {})},  # else Python compiles mwv in every run
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - begin
    if process.returncode:
        raise MeasureError(f"{Path(command[0]).name} {command[1]} failed: {(output.strip() or 'no output').splitlines()[-1]}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, output)


def module(name: str, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """The last line that a module beside this one prints when it is run as a program."""
    answer = run(sys.executable, "-B", "-m", f"benchmarks.{name}", *arguments, environment=environment)
    return (answer.output.splitlines() or [""])[-1]


def build(sources: Sequence[str | Path], place: Path, jobs: int, *options: str, site: str = "site") -> Run:
    """`mwv build` into a site and with the cache that lie in `place`."""
    report = place / "report.json"
    place.mkdir(parents=True, exist_ok=True)
    where: tuple[str | Path, ...] = ("--out", place / site, "--cache", place / "cache", "--report", report)
    done = run(MWV, "build", *sources, *where, "--jobs", str(jobs), *options)
    return Run(done.seconds, done.cpu, done.output, json.loads(report.read_text()))


def cold_builds(sources: Sequence[str | Path], places: Sequence[Path], jobs: int) -> Series:
    """A build in each of some new folders.

    Nothing is deleted between them: ext4 is slow to make files where some were deleted a moment ago.
    """
    return Series(tuple(build(sources, place, jobs) for place in places))


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
