"""Two texts in, the lines that differ out, in hunks with some lines around them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Final, Literal, NamedTuple

from mwv.errors import FormatError
from mwv.files.align import Gap, align, gaps

AROUND: Final = 3
"""Equal lines shown before and after one that differs."""
MOST_LINES: Final = 1_000_000


class Line(NamedTuple):
    """A line of a hunk, without its end; … is what was left out between two."""

    kind: Literal[" ", "-", "+", "…"]
    a: int | None
    b: int | None
    """Its number on each side, from 1; None where it is not."""
    text: str


@dataclass(frozen=True)
class TextDiff:
    """Where two texts differ."""

    a: Sequence[str]
    b: Sequence[str]
    """All lines, with their ends."""
    gaps: Sequence[Gap]
    """Lines removed and added, by their numbers from 0."""

    @property
    def removed(self) -> int:
        """Lines of the first that the second has not."""
        return sum(gap.a_end - gap.a for gap in self.gaps)

    @property
    def added(self) -> int:
        """Lines of the second that the first has not."""
        return sum(gap.b_end - gap.b for gap in self.gaps)

    def hunks(self) -> Iterator[list[Line]]:
        """Runs of lines: what differs, and up to AROUND equal lines on either side. What lies close is in one."""
        near: list[Gap] = []
        for gap in self.gaps:
            if near and gap.a - near[-1].a_end > 2 * AROUND:
                yield list(self._lines(near))
                near = []
            near.append(gap)
        if near:
            yield list(self._lines(near))

    def _lines(self, near: Sequence[Gap]) -> Iterator[Line]:
        i, j = near[0].a - min(AROUND, near[0].a), near[0].b - min(AROUND, near[0].a)
        last = near[-1]
        around = min(AROUND, len(self.a) - last.a_end)
        for gap in (*near, Gap(last.a_end + around, last.a_end + around, last.b_end + around, last.b_end + around)):
            for k in range(gap.a - i):
                yield Line(" ", i + k + 1, j + k + 1, _bare(self.a[i + k]))
            for i in range(gap.a, gap.a_end):
                yield Line("-", i + 1, None, _bare(self.a[i]))
            for j in range(gap.b, gap.b_end):
                yield Line("+", None, j + 1, _bare(self.b[j]))
            i, j = gap.a_end, gap.b_end


def compare_texts(a: str, b: str) -> TextDiff:
    """Where the lines of two texts differ; FormatError for more lines than a text has."""
    if max(a.count("\n"), b.count("\n")) > MOST_LINES:
        raise FormatError(f"more than {MOST_LINES:,} lines")
    # Only line feeds end lines here: str.splitlines knows ten more ends, which are text to everything else.
    of_a, of_b = list(StringIO(a, newline="\n")), list(StringIO(b, newline="\n"))
    numbers: dict[str, int] = {}
    ids = [[numbers.setdefault(line, len(numbers)) for line in lines] for lines in (of_a, of_b)]
    return TextDiff(of_a, of_b, tuple(gaps(align(*ids), Gap(0, len(of_a), 0, len(of_b)))))


def _bare(line: str) -> str:
    """A line without its line feed; a carriage return is left, so that one sees what differs."""
    return line.removesuffix("\n")
