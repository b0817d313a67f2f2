"""Options in, rows of measured figures out: one function for each name that `scripts/bench` takes."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.runs import MWV, ROOT, MeasureError, Run, Series, build, cold_builds, module, run, size_of

GIB = 1 << 30


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    what: str
    figure: str
    target: str = ""
    met: bool | None = None
    """None where there is no target, or it is for another size than was measured."""
    how: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """What the JSON keeps."""
        return asdict(self)


@dataclass(frozen=True)
class Bench:
    """The options, and what rows share: models and builds are made when first asked for."""

    folder: Path
    elements: int
    repeats: int
    jobs: int
    full: bool

    def model(self, kind: str, argument: object) -> Path:
        """A synthetic model, written unless it is there."""
        place = self.folder / (kind if isinstance(argument, Path) else f"{kind}-{argument}")
        path = place / ("model.gguf" if kind == "q4_k" else "model.safetensors")
        if not path.exists():
            say(f"writing a synthetic model ({path.parent.name})")
            module("models", kind, path, str(argument))
        return path

    def builds(self, source: Path, jobs: int) -> Series:
        """Cold builds of a model, after one that is thrown away: it fills the page cache and numba's cache of compiled code."""
        say(f"building {source.parent.name}, {self.repeats} × with {jobs} threads, after one that does not count")
        build([source], self.place(source, jobs, 0), jobs)
        return cold_builds([source], [self.place(source, jobs, i + 1) for i in range(self.repeats)], jobs)

    def place(self, source: Path, jobs: int, number: int = 1) -> Path:
        """Where site and cache of one of a model's builds lie."""
        return self.folder / f"built-{source.parent.name}-{jobs}-{number}"

    @cached_property
    def llama(self) -> Path:
        """The bfloat16 model that most rows use."""
        return self.model("bf16", self.elements)

    @cached_property
    def alone(self) -> Series:
        """Its builds with one thread."""
        return self.builds(self.llama, 1)

    @cached_property
    def together(self) -> Series:
        """Its builds with all threads."""
        return self.builds(self.llama, self.jobs)

    @property
    def warm(self) -> Path:
        """Site and cache that those left."""
        assert self.together.runs
        return self.place(self.llama, self.jobs)

    @cached_property
    def real(self) -> tuple[Path, Path]:
        """BERT and SmolLM2."""
        say("fetching the real models")
        bert, smollm2 = run(ROOT / "scripts" / "fetch-models", "").output.splitlines()[-2:]
        return Path(bert), Path(smollm2)

    @cached_property
    def bert(self) -> Series:
        """Builds of the BERT with all threads."""
        return self.builds(self.real[0], self.jobs)

    @cached_property
    def smollm2(self) -> Series:
        """Builds of SmolLM2 with all threads."""
        return self.builds(self.real[1], self.jobs)


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def speed(found: Run) -> float:
    """Elements a second."""
    return found.of_models("elements") / found.seconds


def millions(number: float) -> str:
    return f"{number / 1e6:,.0f} M"


def speed_row(name: str, what: str, series: Series, jobs: int, least: float) -> Row:
    """Elements a second and core, from the start of the command to the finished site."""
    each = speed(series.least) / jobs
    by_cpu = series.least.of_models("elements") / series.cpu
    threads = "1 thread" if jobs == 1 else f"{jobs} threads"
    return Row(
        name,
        f"{what}, {threads}",
        f"{millions(each)} elements/s and core",
        f"≥ {millions(least)}",
        each >= least,
        f"whole command: {series.text()} ({millions(by_cpu)} elements per s of CPU)",
        {"value": each, "per_cpu_second": by_cpu, "runs": series.facts()},
    )


def bf16(bench: Bench) -> Iterator[Row]:
    """bfloat16 file to finished site."""
    what = f"bf16 safetensors ({millions(bench.alone.least.of_models('elements'))} elements) to finished site"
    yield speed_row("bf16", what, bench.alone, 1, 120e6)
    yield speed_row("bf16", what, bench.together, bench.jobs, 120e6)
    gain = bench.alone.least.seconds / bench.together.least.seconds
    met = gain >= 1.7 if bench.jobs == 2 else None
    what = f"the same, {bench.jobs} threads against 1"
    yield Row("bf16", what, f"{gain:.2f} ×", "≥ 1.7 × with 2", met, "ratio of the minima", {"value": gain})


def parts(bench: Bench) -> Iterator[Row]:
    """The same against the sum of its parts alone."""
    whole = bench.alone.least
    say("timing the parts alone")
    found = json.loads(module("parts", bench.llama, bench.place(bench.llama, 1) / "site", str(bench.repeats)))
    least = {name: min(seconds) for name, seconds in found.items()}
    encoder = least.pop("png")
    floor = sum(least.values())
    per_element = ", ".join(f"{name} {1e9 * s / whole.of_models('elements'):.2f}" for name, s in least.items())
    ratio = whole.seconds / floor
    detail = {"value": ratio, "cpu_value": bench.alone.cpu / floor, "seconds": found, "floor": floor, "build": whole.seconds}
    how = f"{whole.seconds:.2f} s against {floor:.2f} s in one thread; ns an element: {per_element}"
    how += f" (mwv's own encoder on the same codes {1e9 * encoder / whole.of_models('elements'):.2f})"
    yield Row("parts", "bf16 build against the sum of its parts alone", f"{ratio:.2f} ×", "≤ 1.7 ×", ratio <= 1.7, how, detail)


def dzsave(bench: Bench) -> Iterator[Row]:
    """Against libvips' dzsave of the same codes."""
    series, place = bench.together, bench.warm
    build([bench.llama], place, bench.jobs, "--tiles", "xyz", site="xyz")
    top = max(place.glob("xyz/*/tiles/[0-9]*"), key=lambda level: int(level.name))
    leaves = sum(1 for _ in top.glob("*/*.png"))
    say("running libvips dzsave")
    found = json.loads(module("dzsave", top, str(bench.repeats), environment={"VIPS_CONCURRENCY": str(bench.jobs)}))
    theirs = min(found["seconds"]) / found["tiles"]
    mine = series.least.seconds / leaves
    ratio = theirs / mine
    how = (
        f"{1e3 * theirs:.2f} ms a leaf tile (min {min(found['seconds']):.2f} s, median {median(found['seconds']):.2f} s, "
        f"the call alone, codes in memory, {found['suffix']}) against {1e3 * mine:.2f} ms (whole command), "
        f"{bench.jobs} threads each; "
        f"{found['bytes'] / found['tiles'] / 1024:.0f} KiB a leaf tile against {size_of(top) / leaves / 1024 * 4 / 3:.0f}"
    )
    detail = {"value": ratio, "dzsave": found, "leaves": leaves, "build": series.least.seconds}
    yield Row("dzsave", "bf16 build against libvips dzsave", f"{ratio:.1f} × faster", "≥ 3 ×", ratio >= 3, how, detail)


def q4_k(bench: Bench) -> Iterator[Row]:
    """Q4_K GGUF to finished site."""
    series = bench.builds(bench.model("q4_k", bench.elements), 1)
    yield speed_row("q4_k", f"Q4_K GGUF ({millions(series.least.of_models('elements'))} elements)", series, 1, 80e6)


def gptq(bench: Bench) -> Iterator[Row]:
    """GPTQ (4 bits, groups of 128) to finished site."""
    series = bench.builds(bench.model("gptq", bench.elements), 1)
    yield speed_row("gptq", f"GPTQ 4-bit ({millions(series.least.of_models('elements'))} elements)", series, 1, 80e6)


def smollm2(bench: Bench) -> Iterator[Row]:
    """SmolLM2-135M GGUF to finished site."""
    seconds = bench.smollm2.least.seconds
    how = f"whole command, {bench.jobs} threads: {bench.smollm2.text()}"
    detail = {"value": seconds, "runs": bench.smollm2.facts()}
    yield Row("smollm2", "SmolLM2-135M GGUF to finished site", f"{seconds:.2f} s", "≤ 3 s", seconds <= 3, how, detail)


def bert(bench: Bench) -> Iterator[Row]:
    """BERT (F32) to finished site."""
    how = f"whole command, {bench.jobs} threads: {bench.bert.text()}"
    detail = {"value": bench.bert.least.seconds, "runs": bench.bert.facts()}
    yield Row("bert", "BERT (23 M, F32) to finished site", f"{bench.bert.least.seconds:.2f} s", how=how, detail=detail)


def second(bench: Bench) -> Iterator[Row]:
    """A second build, which has nothing to render."""
    if bench.full:
        model = bench.model("bf16", 10**9)
        place = bench.place(model, bench.jobs)
        say("building a model of 1 G parameters")
        cold_builds([model], [place], bench.jobs)
    else:
        model, place = bench.llama, bench.warm
    series = Series(tuple(build([model], place, bench.jobs) for _ in range(bench.repeats)))
    rendered, read = (series.least.of_models(*path) for path in (("tiles", "rendered"), ("bytes", "read")))
    seconds, elements = series.least.seconds, series.least.of_models("elements")
    sized = bench.full or elements >= 1e9
    yield Row(
        "second",
        f"second build, {millions(elements)} elements",
        f"{seconds:.2f} s, {rendered} tiles rendered, {read} bytes read",
        "≤ 2 s, 0 tiles for 1 G",
        seconds <= 2 and rendered == 0 if sized else None,
        f"whole command: {series.text()}" + ("" if sized else "; --full takes 1 G"),
        {"value": seconds, "runs": series.facts()},
    )


def finetune(bench: Bench) -> Iterator[Row]:
    """A copy with one matrix changed, after its base."""
    base, changed = bench.llama, bench.model("finetune", bench.llama)
    place, full = bench.warm, bench.together.least
    still = build([base], place, bench.jobs)
    tuned = build([changed], place, bench.jobs)
    path = ("tiles", "rendered")
    share = tuned.of_models(*path) / full.of_models(*path)
    hashing = float(module("hashing", changed, str(bench.jobs)))
    expected = still.seconds + hashing + share * full.seconds
    ratio = tuned.seconds / expected
    how = (
        f"whole command, once, {bench.jobs} threads; expected {expected:.2f} s = second build {still.seconds:.2f} s + "
        f"reading and hashing {hashing:.2f} s + {share:.1%} of the first build's {full.seconds:.2f} s"
    )
    yield Row(
        "finetune",
        f"finetune, 1 of {tuned.of_models('tensors')} tensors changed",
        f"{tuned.seconds:.2f} s, {tuned.of_models(*path)} of {tuned.of_models('tiles', 'total'):,} tiles rendered",
        "hashing the file + time in proportion",
        ratio <= 1.25,
        how,
        {"value": ratio, "expected": expected, "second": still.facts(), "finetune": tuned.facts()},
    )


def diff(bench: Bench) -> Iterator[Row]:
    """How far two models differ of which every tensor changed: the numbers, and the page of three scenes."""
    base, tuned = bench.llama, bench.model("tuned", bench.llama)
    place = bench.folder / "difference"
    elements = bench.together.least.of_models("elements")
    say("comparing two models")
    run(MWV, "diff", base, tuned, "--no-cache", "--jobs", "1")
    runs = (run(MWV, "diff", base, tuned, "--cache", place / f"cache-{i}", "--jobs", "1") for i in range(bench.repeats))
    numbers = Series(tuple(runs))
    again = run(MWV, "diff", base, tuned, "--cache", place / "cache-0", "--jobs", "1")
    floor = min(float(module("differing", base, tuned)) for _ in range(bench.repeats))
    each, ratio = elements / numbers.least.seconds, numbers.least.seconds / floor
    how = f"whole command, both files hashed and measured: {numbers.text()}; {ratio:.1f} × what numpy takes for the sums alone"
    detail = {"value": each, "ratio": ratio, "floor": floor, "runs": numbers.facts()}
    yield Row("diff", "mwv diff, every tensor changed, 1 thread", f"{millions(each)} elements/s", "", None, how, detail)
    yield Row("diff", "the same again", f"{again.seconds:.2f} s", "", None, "whole command, once; reads headers alone")
    page = build(["--diff", base, tuned], place, bench.jobs)
    alone = 2 * bench.together.least.seconds
    how = f"whole command, once: {page.seconds:.1f} s; a build of each model alone takes {alone:.1f} s for two scenes"
    figure, detail = f"{millions(elements / page.seconds)} elements/s", {"value": page.seconds / alone, "run": page.facts()}
    yield Row("diff", f"page of their difference and both sides, {bench.jobs} threads", figure, "", None, how, detail)


def hilbert(bench: Bench) -> Iterator[Row]:
    """Bytes of a file, and of two beside each other."""
    base, tuned = bench.llama, bench.model("tuned", bench.llama)
    nbytes = base.stat().st_size
    hashing = float(module("hashing", base, str(bench.jobs)))
    for what, sources, scenes in (("bytes of a file", [base], 2), ("bytes of two files", ["--diff", base, tuned], 3)):
        say(f"showing {what}")
        found = build(sources, bench.folder / f"bytes-{scenes}", bench.jobs, "--layout", "hilbert")
        how = f"whole command, once: {found.seconds:.1f} s for {scenes} scenes of noise; hashing a file: {hashing:.2f} s"
        figure, detail = f"{nbytes / found.seconds / 1e6:,.0f} MB/s", {"value": nbytes / found.seconds, "run": found.facts()}
        yield Row("hilbert", f"{what}, {bench.jobs} threads", figure, "", None, how, detail)


def memory(bench: Bench) -> Iterator[Row]:
    """Peak memory."""
    peaks = [run.peak for run in bench.together.runs]
    yield _peak_row(bench, "bf16 build", max(peaks), {"value": max(peaks), "all": peaks}, "largest of the builds")
    kind = "70B" if bench.full else "8B"
    place = bench.folder / "canvas"
    filled = bench.elements // 2
    model = bench.model(kind, filled)
    say(f"building a canvas of {kind[:-1]} G elements")
    done = build([model], place, bench.jobs)
    how = f"sparse file of zeros, {millions(filled)} elements of weights in it: {done.seconds:.0f} s"
    how += "" if bench.full else "; --full takes 70 G"
    what = f"a canvas of {done.of_models('elements') / 1e9:.0f} G elements"
    yield _peak_row(bench, what, done.peak, {"value": done.peak, "run": done.facts()}, how)


def _peak_row(bench: Bench, what: str, peak: int, detail: dict[str, Any], how: str) -> Row:
    figure = f"{peak / (1 << 20):,.0f} MiB"
    met = peak <= GIB if bench.jobs == 2 else None
    return Row("memory", f"peak memory, {what}, {bench.jobs} threads", figure, "≤ 1 GiB with 2", met, how, detail)


def size(bench: Bench) -> Iterator[Row]:
    """Bytes of site per element."""
    for name, series, source in (("BERT", bench.bert, bench.real[0]), ("SmolLM2", bench.smollm2, bench.real[1])):
        yield _size_row(name, bench.place(source, bench.jobs), series.least)
    place = bench.folder / "demo"
    say("building the demo")
    yield _size_row("demo, two models with shared tiles", place, build(["--demo"], place, bench.jobs))


def _size_row(name: str, place: Path, done: Run) -> Row:
    nbytes, elements = size_of(place / "site"), done.of_models("elements")
    cached = size_of(place / "cache") - size_of(place / "cache" / "demo") - size_of(place / "site" / "tiles")
    how = f"all files of the site, {nbytes / 1e6:.1f} MB; {cached / elements:.2f} more in the cache"
    each = nbytes / elements
    return Row("size", f"bytes of site per element, {name}", f"{each:.2f}", "≤ 1.0", each <= 1, how, {"value": each})


def page(bench: Bench) -> Iterator[Row]:
    """A page of 20,000 tensors in Chromium."""
    model = bench.model("experts", 10**9 if bench.full else bench.elements)
    place = bench.place(model, bench.jobs)
    built = build([model], place, bench.jobs)
    elements = built.of_models("elements")
    [slug] = [folder.parent.name for folder in (place / "site").glob("*/index.html")]
    say("opening its page, panning and zooming")
    found = json.loads(module("page", place / "site", slug, str(bench.repeats), str(300 if bench.full else 0)))
    first, frames, heap = found["first"], sorted(found["frames"]), found["heap"]
    slow = frames[len(frames) * 95 // 100]
    what = f"page of {millions(elements)} elements in 20,000 tensors"
    sized = elements >= 0.95e9
    other = "" if sized else "; --full takes 1 G"
    how = f"all tiles of the first view, cache empty: min of {len(first)}, median {median(first) / 1e3:.2f} s{other}"
    met = min(first) <= 1000 if sized else None
    yield Row(
        "page", f"{what}: first picture", f"{min(first) / 1e3:.2f} s", "≤ 1 s", met, how, {"value": min(first), "all": first}
    )
    how = f"95th percentile of {len(frames)} frames, median {median(frames):.0f} ms, without a graphics card{other}"
    met = slow <= 33.4 if sized else None  # two frames of 60 a second
    yield Row("page", f"{what}: panning and zooming", f"{slow:.0f} ms a frame", "≤ 33 ms", met, how, {"value": slow})
    met = heap <= 300e6 if sized else None
    how = f"JavaScript heap after {'five minutes' if bench.full else 'that'}, garbage collected{other}"
    yield Row("page", f"{what}: heap", f"{heap / 1e6:.0f} MB", "≤ 300 MB", met, how, {"value": heap})


def help_(bench: Bench) -> Iterator[Row]:
    """`mwv --help`."""
    run(MWV, "--help")
    series = Series(tuple(run(MWV, "--help") for _ in range(max(5, bench.repeats))))
    seconds = series.least.seconds
    detail = {"value": seconds, "seconds": [run.seconds for run in series.runs]}
    yield Row("help", "mwv --help", f"{seconds:.2f} s", "≤ 0.3 s", seconds <= 0.3, series.text(), detail)


ROWS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "bf16": bf16,
    "parts": parts,
    "dzsave": dzsave,
    "q4_k": q4_k,
    "gptq": gptq,
    "smollm2": smollm2,
    "bert": bert,
    "second": second,
    "finetune": finetune,
    "diff": diff,
    "hilbert": hilbert,
    "memory": memory,
    "size": size,
    "page": page,
    "help": help_,
}
"""In the order in which they run."""


def measure(bench: Bench, names: list[str]) -> Iterator[Row]:
    """The rows named, one after the other; one that fails says why."""
    for name in names:
        try:
            yield from ROWS[name](bench)
        except MeasureError as error:
            yield Row(name, (ROWS[name].__doc__ or name).rstrip("."), f"not measured: {error}")
