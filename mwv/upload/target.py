"""A place for a site on the Hub as a Target: what lies there, one file of it, and steps that change it.

Whoever brings files to the Hub goes through this protocol: `publish` with a finished site, and `Stream` with archives while
others are rendered. A stream stores each, and now and then applies a step that adds some: they are durable when `apply`
returns, no page names them yet, and the plan that is made at the end finds them there. Its steps write the journal, too, for
what that announces is deleted by the next publication if it never gets named. `site.json` and pages go last, by the steps of
`mwv.upload.plan.steps`.
"""

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mwv.hub.address import Address
from mwv.site.journal import JOURNAL, decode_journal
from mwv.upload.plan import Limits, Step

Source = Callable[[str], Path | bytes]
"""Where the content of a file of the site is at hand: a path of this machine, or the bytes themselves."""
Advance = Callable[[int, int], None]
"""Takes note of so many files and bytes more that have arrived."""


@dataclass(frozen=True)
class Stored:
    """What a commit says of a file whose content the Hub's storage has: so it can be named by another process, too."""

    sha256: str
    size: int


@dataclass
class Changed:
    """What steps have changed at a target so far; the journal does not count."""

    added: dict[str, int] = field(default_factory=dict)
    """Path → bytes."""
    deleted: set[str] = field(default_factory=set)
    steps: int = 0

    def note(self, added: Mapping[str, int], deleted: Iterable[str]) -> None:
        """Take note of a step."""
        self.steps += 1
        self.added |= added
        self.deleted = self.deleted.union(deleted) - self.added.keys() - {JOURNAL}
        self.added.pop(JOURNAL, None)


class Target(Protocol):
    """A repository or bucket, or a folder in it, at the state in which it was opened or left by the last step.

    All paths are relative to that folder, as in the site. Everything raises HubError, in one line that says what to do.
    """

    @property
    def address(self) -> Address:
        """Where it is."""

    @property
    def name(self) -> str:
        """What the user calls it: the address as text."""

    @property
    def place(self) -> str:
        """Tells it from any other, also of another Hub."""

    @property
    def root(self) -> str:
        """The address below which browsers find the files that are there now, with a slash at its end."""

    @property
    def limits(self) -> Limits:
        """How much a step takes, and whether it is atomic."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Path → bytes of all files that are there; read from the Hub when first asked for, then kept up by `apply`."""

    @property
    def changed(self) -> Changed:
        """What `store`, `resume` and `apply` have changed."""

    def expect(self, paths: Collection[str]) -> None:
        """Fetch small files that are going to be read, as far as they are there: several at once."""

    def read(self, path: str) -> bytes:
        """A small file that is there."""

    def store(self, path: str, content: Path, journal: bytes) -> Stored | None:
        """Bring the content of a tile to the Hub, so that a later step that adds it needs it here no more.

        Where that can be seen before the step, the journal is made to say so first. None if the step needs nothing that gets
        lost with this process, or that could be kept.
        """

    def resume(self, stored: Mapping[str, Stored], journal: bytes) -> bool:
        """Add what an earlier process has stored, by path, in one step; False if the Hub no longer has all of it."""

    def apply(self, step: Step, source: Source, advance: Advance) -> None:
        """Add and delete what a step says; durable when it returns.

        If it fails, a target that is atomic is as before, another may have a part of it; the same step may be applied again.
        HubError if someone else has changed the target since it was opened, as far as the Hub can tell (repositories).
        """


def announced_at(target: Target) -> frozenset[str]:
    """What the journal at a target lists: a publication was cut."""
    return (decode_journal(target.read(JOURNAL)) if JOURNAL in target.sizes else None) or frozenset()


def changes(
    step: Step, source: Source, there: Container[str], stored: Container[str]
) -> tuple[dict[str, Path | bytes], list[str]]:
    """What a step has to bring, by path, with its journal and without what is stored already; and what it has to delete."""
    contents: dict[str, Path | bytes] = {path: source(path) for path in step.add if path not in stored}
    delete = [path for path in step.delete if path in there]
    if step.journal:
        contents[JOURNAL] = step.journal
    elif step.journal is not None and JOURNAL in there:
        delete.append(JOURNAL)
    return contents, delete


def size_of(content: Path | bytes) -> int:
    """Bytes of a file of the site."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size
