"""How a page is made in, a report on it out: the site keeps the page if it has it as it would become, else it is added."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from mwv.errors import LostError
from mwv.memory import Memory
from mwv.pyramid.render import Tally
from mwv.pyramid.survey import Traffic
from mwv.rendering import Means
from mwv.report import HubTraffic, ModelFacts, ModelReport
from mwv.site.model import Label, Model, Place
from mwv.site.writer import SiteWriter

if TYPE_CHECKING:
    from mwv.pyramid.stream import Haul


@dataclass(frozen=True, eq=False)
class Added:
    """A page that was added to the site, and what that took."""

    model: Model
    slug: str
    elements: int
    tally: Tally
    traffic: Traffic
    damaged: int = 0
    """Tensors with NaN or infinite elements."""
    haul: "Haul | None" = None
    told: str = ""
    """What else its line says."""


@dataclass(eq=False)
class Adding:
    """A page that is about to be made; its time begins now, and what is learnt from now on may be remembered."""

    place: Place
    site: SiteWriter
    means: Means
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        """Note what time it is, and what was fetched before."""
        self.memory = Memory(self.means.store)
        self._begin, self._fetched = time.monotonic(), self.means.opener.fetched

    def run(self, label: Label, inputs: str | None, add: Callable[[], Added]) -> ModelReport:
        """Keep the page if the site has what these `inputs` become, else `add` it; again if the cache loses a result meanwhile.

        Inputs None: one of its files may still change, so nothing is remembered of it.
        """
        site, means = self.site, self.means
        known = self.memory.outcome(inputs) if inputs is not None and means.settings.png is None else None
        if known is not None and (slug := site.keep(label.identity, label.slug, known["seal"], self.place)) is not None:
            facts = ModelFacts(**known["facts"])
            return self._report(facts, slug, Tally(reused=facts.tiles), Traffic())
        try:
            added = add()
        except LostError:  # a damaged result came to light, and there may be more
            means.store.distrust()
            added = add()
        facts = ModelFacts.of(added.model, added.elements, added.damaged, added.told)
        if inputs is not None:
            self.memory.remember_outcome(inputs, {"seal": site.seal(added.slug), "facts": asdict(facts)})
        return self._report(facts, added.slug, added.tally, added.traffic, added.haul)

    def _report(self, facts: ModelFacts, slug: str, tally: Tally, traffic: Traffic, haul: "Haul | None" = None) -> ModelReport:
        hub = HubTraffic.since(self._fetched, self.means.opener.fetched)
        return ModelReport(facts, slug, self.site.change(slug), tally, traffic, hub, time.monotonic() - self._begin, haul)
