"""Files, folders and standard input in, a Stream out: their bytes as one sequence, each file under a name of its own."""

import os
import resource
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

from blake3 import blake3

from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.source import Content, FileSource, Source, is_file, why
from mwv.checkpoint.wording import printable
from mwv.errors import UNUSABLE, SourceError
from mwv.hub.address import Pinned

STDIN: Final = Path("/dev/stdin")
"""How standard input is called among sources."""
MOST_FILES: Final = 10_000
_MOST_NOTES: Final = 100
_COPIED: Final = 1 << 20
"""Bytes that are copied at a time."""
_SPARE: Final = 200
"""Files that may be open beside those of a stream."""


class Part(NamedTuple):
    """Bytes of one file; or, where they are not there, as many of nothing."""

    file: int
    begin: int
    end: int
    there: bool = True


@dataclass(frozen=True)
class Stream:
    """Files one after the other, none of them empty: one sequence of bytes."""

    sources: tuple[Source, ...]
    names: tuple[str, ...]
    """What pages call them: no two are alike."""
    left_out: tuple[str, ...] = ()
    """One line for each file that is not among them, and why."""
    pinned: Pinned | None = None
    """Where they lie on the Hub, if all of them lie in one place."""

    @property
    def form(self) -> str:
        """What tells it from other ways to lay the same files one after the other."""
        return ""

    @property
    def lengths(self) -> list[int]:
        """Bytes of the sequence that each file takes up."""
        return [source.size for source in self.sources]

    @cached_property
    def ends(self) -> list[int]:
        """The byte after the last of each file."""
        return list(accumulate(self.lengths))

    @property
    def length(self) -> int:
        """Bytes in all."""
        return self.ends[-1]

    def parts(self, begin: int, end: int) -> Iterator[Part]:
        """What the bytes from `begin` to `end` are made of, in order; a part of each file that has some of them."""
        ends = self.ends
        file = bisect_right(ends, begin)
        while begin < end:
            start = ends[file - 1] if file else 0
            last = min(end, ends[file])
            yield Part(file, begin - start, last - start)
            begin, file = last, file + 1

    def check_unchanged(self) -> None:
        """Raise SourceChangedError if a file has been replaced."""
        for source in self.sources:
            source.check_unchanged()

    def checkpoint(self, name: str) -> Checkpoint:
        """The files as if they were those of a model without tensors."""
        return Checkpoint(name, "bytes", self.sources, (), left_out=self.left_out, pinned=self.pinned)


class Found(NamedTuple):
    """A file that was named, or lies in a folder that was."""

    name: str
    """With its folders."""
    opens: Callable[[], Source]
    place: str
    """How messages call it."""


def gather(found: Sequence[Found], notes: Sequence[str], what: str, pinned: Pinned | None = None) -> Stream:
    """Open files in this order; those that cannot be opened or are empty are left out with a note.

    Raises SourceError if nothing is left; `what` is what the user named.
    """
    let_open(len(found), what)
    left_out = list(notes)
    opened = [(one.name, source) for one in found if (source := open_or_note(one, one.name, left_out)) is not None]
    if not opened:
        raise SourceError(f"{what}: holds no bytes; there is nothing to show" + (f" ({left_out[0]})" if left_out else ""))
    names, sources = zip(*opened, strict=True)
    return Stream(sources, told_apart(names), shortened(left_out), pinned)


def open_or_note(found: Found, name: str, notes: list[str]) -> Source | None:
    """A file; None, and a note under a name, if it cannot be opened or is empty."""
    try:
        source = found.opens()
    except UNUSABLE as error:
        notes.append(f"{printable(name)}: {why(error, found.place)}")
        return None
    if source.size:
        return source
    notes.append(f"{printable(name)}: is empty")
    source.close()
    return None


def shortened(notes: Sequence[str]) -> tuple[str, ...]:
    """The first of many notes, and how many more there are."""
    more = len(notes) - _MOST_NOTES
    return tuple(notes) if more <= 0 else (*notes[:_MOST_NOTES], f"{more} more files")


def let_open(count: int, what: str) -> None:
    """See that so many files can be open at once; raises SourceError if the system does not allow it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _SPARE
    if count > MOST_FILES or (hard != resource.RLIM_INFINITY and wanted > hard):
        raise SourceError(f"{what}: {count:,} files are more than can be open at once; name some of them")
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def told_apart(paths: Sequence[str]) -> tuple[str, ...]:
    """For each path the shortest end of it, whole parts, that no other has; what is twice there gets a number behind it."""
    parts = [path.strip("/").split("/") for path in paths]
    depth = [1] * len(paths)
    names = [part[-1] for part in parts]
    while True:
        uses = Counter(names)
        longer = [i for i, name in enumerate(names) if uses[name] > 1 and depth[i] < len(parts[i])]
        if not longer:
            break
        for i in longer:
            depth[i] += 1
            names[i] = "/".join(parts[i][-depth[i] :])
    seen: dict[str, int] = {}
    told = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        told.append(printable(name if seen[name] == 1 else f"{name} ({seen[name]})"))
    return tuple(told)


class Spooled(FileSource):
    """What came through a pipe, in a file: read once, known by its content."""

    def __init__(self, pipe: Path, folder: Path, name: str) -> None:
        """Copy all that comes into a file in `folder`; raises SourceError."""
        path, hashed = folder / name, blake3()
        try:
            with pipe.open("rb") as coming, path.open("wb") as file:
                while data := coming.read(_COPIED):
                    hashed.update(data)
                    file.write(data)
        except OSError as error:
            raise SourceError(f"{name}: cannot be kept in {printable(str(folder))}: {error.strerror}") from None
        super().__init__(path, name)
        self._content = Content(f"{hashed.hexdigest()} {self.size}")

    @property
    def identity(self) -> Content:  # type: ignore[override]
        """What came."""
        return self._content


class Files(NamedTuple):
    """What an address or a path names."""

    found: Sequence[Found]
    notes: Sequence[str]
    """What was left out, and why."""
    folder: str | None
    """What the names begin with, if a folder was named."""
    pinned: Pinned | None = None


def files_below(path: Path, folder: Callable[[], Path]) -> Files:
    """A file, or all files in a folder and in those below, by name; links are followed, but into no folder twice.

    What comes through a pipe is kept in a `folder` first, so that it can be read more than once.
    """
    if path == STDIN:
        piped = not is_file(path)
        opens = lambda: Spooled(STDIN, folder(), "stdin") if piped else FileSource(STDIN, "stdin")  # noqa: E731
        return Files([Found("stdin", opens, "stdin")], [], None)
    if is_file(path):
        return Files([Found(str(path.absolute()), lambda: FileSource(path), printable(str(path)))], [], None)
    if not path.is_dir():
        FileSource(path)  # says what is wrong
    notes: list[str] = []
    top = path.absolute().name
    names = sorted(_names_below(path, notes))
    found = [Found(str(Path(top, name.relative_to(path))), _opens(name), printable(str(name))) for name in names]
    return Files(found, notes, f"{top}/")


def _names_below(path: Path, notes: list[str]) -> Sequence[Path]:
    """All files in a folder and in those below; notes on folders that cannot be listed. Raises SourceError for too many."""
    names: list[Path] = []
    seen: set[tuple[int, int]] = set()

    def refused(error: OSError) -> None:
        below = Path(os.fsdecode(error.filename)).relative_to(path)
        notes.append(f"{printable(str(path.absolute().name / below))}: cannot be listed: {error.strerror}")

    for at, below, files in os.walk(path, onerror=refused, followlinks=True):
        status = os.stat(at)
        if (status.st_dev, status.st_ino) in seen:
            below.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        names += [Path(at) / name for name in files]
        if len(names) > MOST_FILES:
            raise SourceError(f"{printable(str(path))}: more than {MOST_FILES:,} files; name some of them")
    return names


def _opens(path: Path) -> Callable[[], Source]:
    return lambda: FileSource(path)
