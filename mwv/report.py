"""What a build did in, one line for the user and one JSON object for programs out."""

import json
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mwv.errors import SiteError
from mwv.pyramid.render import Tally
from mwv.pyramid.survey import Traffic
from mwv.site.model import Model
from mwv.site.text import amount, size

REPORT_HEAD: Final = b'{\n  "models"'
"""How every report begins; one may be written over another, and over nothing else."""


@dataclass(frozen=True)
class ModelReport:
    """What rendering one model took."""

    model: Model
    width: int
    height: int
    tally: Tally
    traffic: Traffic
    seconds: float

    def record(self) -> dict[str, Any]:
        """The model's entry in the report."""
        scene = self.model.scenes[0]
        return {
            "name": self.model.title,
            "slug": self.model.slug,
            "source": self.model.source,
            "tensors": len(self.model.tensors),
            "elements": sum(self.model.dtypes.values()),
            "canvas": {"width": self.width, "height": self.height, "levels": scene.levels},
            "tiles": {"total": len(scene.tiles), "rendered": self.tally.rendered, "reused": self.tally.reused},
            "bytes": {
                "source": self.model.nbytes,
                "read": self.traffic.read,
                "hashed": self.traffic.hashed,
                "written": self.tally.written,
            },
            "seconds": {"total": round(self.seconds, 3)},
        }

    def line(self) -> str:
        """What happened, in a line."""
        done = f"{self.tally.rendered:,} tiles rendered, {self.tally.reused:,} reused"
        bad = sum(any(stats.nan or stats.inf for stats in row.stats) for row in self.model.tensors)
        damage = f"; NaN or Inf in {bad} tensors" if bad else ""
        read = self.traffic.read + self.traffic.hashed
        parameters = amount(self.model.parameters)
        return f"{self.model.title}: {parameters} parameters, {done}, {size(read)} read, {self.seconds:.1f} s{damage}"


@dataclass
class Outcome:
    """What a build did so far."""

    models: list[ModelReport] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def write(self, path: Path, seconds: float) -> None:
        """Write the report of the whole build; raises SiteError where that fails."""
        report = {
            "models": [model.record() for model in self.models],
            "failures": self.failures,
            "seconds": round(seconds, 3),
            "peak_rss_bytes": peak_memory(),
        }
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
