"""What a build did in, lines for the user and one JSON object for programs out."""

import json
import resource
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mwv.checkpoint.wording import counted, plural
from mwv.errors import SiteError
from mwv.pyramid.render import Tally
from mwv.pyramid.survey import Traffic
from mwv.site.model import Model
from mwv.site.text import amount, size, visible

if TYPE_CHECKING:
    from mwv.pyramid.stream import Haul

REPORT_HEAD: Final = b'{\n  "models"'
"""How every report begins; one may be written over another, and over nothing else."""


@dataclass(frozen=True)
class ModelFacts:
    """What a model is, whatever it took to show it."""

    name: str
    source: str
    parameters: int
    tensors: int
    elements: int
    nbytes: int
    width: int
    height: int
    levels: int
    tiles: int
    damaged: int
    """Tensors with NaN or infinite elements."""
    told: str = ""
    """What else its line says: how far two models differ."""

    @classmethod
    def of(cls, model: Model, elements: int, damaged: int = 0, told: str = "") -> "ModelFacts":
        """What the page of a model says of it, which shows so many elements."""
        bounds = model.scenes[0].canvas.bounds
        return cls(
            name=model.title,
            source=model.source,
            parameters=model.parameters,
            tensors=len(model.tensors),
            elements=elements,
            nbytes=model.nbytes,
            width=bounds.width,
            height=bounds.height,
            levels=model.scenes[0].levels,
            tiles=sum(len(scene.tiles) for scene in model.scenes),
            damaged=damaged,
            told=told,
        )


@dataclass(frozen=True)
class HubTraffic:
    """What went between the Hub and this machine."""

    requests: int = 0
    """Requests that were answered, redirects and refusals too."""
    nbytes: int = 0
    """That came."""
    sent: int = 0

    @classmethod
    def since(cls, before: tuple[int, int], now: tuple[int, int]) -> "HubTraffic":
        """What came between two looks at requests and bytes."""
        return cls(*(after - earlier for after, earlier in zip(now, before, strict=True)))

    def record(self) -> dict[str, int]:
        """Its entry in the report."""
        sent = {"sent": self.sent} if self.sent else {}
        return {"requests": self.requests, "bytes": self.nbytes, **sent}


@dataclass(frozen=True)
class ModelReport:
    """What building one model took."""

    facts: ModelFacts
    slug: str
    change: str
    """What has become of its pages, and why."""
    tally: Tally
    traffic: Traffic
    hub: HubTraffic
    seconds: float
    haul: "Haul | None" = None
    """What became of the archives of a streamed model."""

    def record(self) -> dict[str, Any]:
        """The model's entry in the report."""
        facts = self.facts
        archives = {} if self.haul is None else {"archives": asdict(self.haul)}
        return {
            **archives,
            "name": facts.name,
            "slug": self.slug,
            "change": self.change,
            "source": facts.source,
            "tensors": facts.tensors,
            "elements": facts.elements,
            "canvas": {"width": facts.width, "height": facts.height, "levels": facts.levels},
            "tiles": {"total": facts.tiles, "rendered": self.tally.rendered, "reused": self.tally.reused},
            "bytes": {
                "source": facts.nbytes,
                "read": self.traffic.read,
                "hashed": self.traffic.hashed,
                "written": self.tally.written,
            },
            "hub": self.hub.record(),
            "seconds": {"total": round(self.seconds, 3)},
        }

    def line(self) -> str:
        """What happened, in a line."""
        done = f"{counted(self.tally.rendered, 'tile')} rendered, {self.tally.reused:,} reused"
        damage = f"; NaN or Inf in {counted(self.facts.damaged, 'tensor')}" if self.facts.damaged else ""
        told = f"; {self.facts.told}" if self.facts.told else ""
        read = f"{size(self.traffic.read + self.traffic.hashed)} read"
        if self.hub.requests:
            read += f", {size(self.hub.nbytes)} fetched"
        what = f"{amount(self.facts.parameters)} parameter{plural(self.facts.parameters)}"
        if not self.facts.parameters:  # a page of bytes
            what = size(self.facts.nbytes)
        return f"{visible(self.facts.name)}: {self.change}; {what}, {done}, {read}, {self.seconds:.1f} s{damage}{told}"


@dataclass(frozen=True)
class Upload:
    """What was brought to a place on the Hub."""

    to: str
    """Its address."""
    added: int
    """Files, those that were replaced too."""
    kept: int
    deleted: int
    nbytes: int
    """Of the files added, whatever of them the Hub had already."""
    commits: int
    """Of a bucket: batches."""

    def record(self) -> dict[str, Any]:
        """Its entry in the report."""
        files = {"added": self.added, "kept": self.kept, "deleted": self.deleted}
        return {"to": self.to, "files": files, "bytes": self.nbytes, "commits": self.commits}


@dataclass
class Outcome:
    """What a build did so far."""

    models: list[ModelReport] = field(default_factory=list)
    taken_out: list[str] = field(default_factory=list)
    """Slugs of models that the zoo names no longer."""
    failures: list[str] = field(default_factory=list)
    hub: HubTraffic = HubTraffic()
    stored: Tally = field(default_factory=Tally)
    """Tiles of the scenes that show how all models are stored."""
    uploads: list[Upload] = field(default_factory=list)
    spool: int | None = None
    """Most bytes in the spools of a stream."""

    def line(self, seconds: float) -> str:
        """What happened to all models, in a line."""
        kinds = Counter(model.change.partition(":")[0] for model in self.models)
        kinds.update({"taken out": len(self.taken_out), "failed": len(self.failures)})
        counts = [f"{kinds[kind]} {kind}" for kind in ("new", "changed", "unchanged", "taken out", "failed") if kinds[kind]]
        rendered = sum(model.tally.rendered for model in self.models)
        reused = sum(model.tally.reused for model in self.models)
        return f"models: {', '.join(counts)}; {counted(rendered, 'tile')} rendered, {reused:,} reused, {seconds:.1f} s"

    def write(self, path: Path, seconds: float) -> None:
        """Write the report of the whole build; raises SiteError where that fails."""
        report: dict[str, Any] = {
            "models": [model.record() for model in self.models],
            "taken_out": self.taken_out,
            "failures": self.failures,
            "hub": self.hub.record(),
            "xorbs": {"rendered": self.stored.rendered, "reused": self.stored.reused},
            "seconds": round(seconds, 3),
            "peak_rss_bytes": peak_memory(),
        }
        if self.uploads:
            report["uploads"] = [upload.record() for upload in self.uploads]
        if self.spool is not None:
            report["peak_spool_bytes"] = self.spool
        try:
            path.write_text(json.dumps(report, indent=2) + "\n")
        except OSError as error:
            raise SiteError(f"{path}: the report cannot be written: {error.strerror}") from None


def peak_memory() -> int:
    """The most memory (bytes) that this process held; where Linux tells it, without what a parent held before it."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
