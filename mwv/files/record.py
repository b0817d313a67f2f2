"""Pairs of files in, one record of what sets their files apart out: JSON of bounded size, of which alone pages are made."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Final

from mwv.files.compare import CardDiff, FileDiff, compare_pair
from mwv.files.lines import Line, TextDiff, compare_texts
from mwv.files.pairing import Pairing
from mwv.files.runs import ByteDiff, Run
from mwv.files.structure import Change, JsonDiff, spelt
from mwv.files.summary import TITLES, facts, sides

VERSION: Final = 2
"""Of records and of how files are compared; belongs in the key of a record that is kept."""
_TEXT: Final = 4_000_000
"""Characters of all rows of all files."""
_ROWS: Final = 500
"""Rows of a file, be they changes, lines or runs."""
_VALUE: Final = 2_000
"""Characters of a value or line."""
_PROSE: Final = 200_000
"""Characters of strings of several lines, such as chat templates, that are compared by lines."""
_FACTS: Final = 12
"""Facts that sum up a file."""
_SECTIONS: Final = 20
"""Files that are summed up."""
_STRIPES: Final = 200
"""Parts of the bar that shows how bytes are aligned."""
_ROW: Final = 50
"""Characters that a row costs beside its text."""

Record = dict[str, Any]


def files_record(pairing: Pairing) -> Record:
    """Everything about pairs of files that hold no weights.

    Each file is compared and forgotten, so memory is that of the largest pair.
    """
    room = _Room(_TEXT)
    files, sections = [], []
    counts: Counter[str] = Counter()
    for one in pairing.pairs:
        diff = compare_pair(one)
        counts[diff.status] += 1
        files.append(_file(diff, room))
        if PurePosixPath(diff.path).name in TITLES:
            sections.append(_section(diff))
    return {
        "version": VERSION,
        "counts": {status: counts[status] for status in ("equal", "changed", "only_a", "only_b", "unread")},
        "summary": sorted(sections, key=_importance)[:_SECTIONS],
        "files": files,
        "notes": list(pairing.notes),
    }


@dataclass(eq=False)
class _Room:
    """Characters that may still be written."""

    left: int

    def rows(self, rows: Iterable[tuple[Record, int]]) -> list[Record]:
        """As many rows as there is room for, each given with its characters."""
        taken = []
        for row, characters in islice(rows, _ROWS):
            self.left -= characters + _ROW
            if self.left < 0:
                break
            taken.append(row)
        return taken


def _importance(section: Record) -> tuple[int, int, str]:
    path = section["path"]
    return path.count("/"), list(TITLES).index(PurePosixPath(path).name), path


def _section(diff: FileDiff) -> Record:
    found = facts(diff)
    return {
        "title": TITLES[PurePosixPath(diff.path).name],
        "path": diff.path,
        "status": diff.status,
        "facts": [fact._asdict() for fact in found[:_FACTS]],
        "more": max(len(found) - _FACTS, 0),
    }


def _file(diff: FileDiff, room: _Room) -> Record:
    record: Record = {"path": diff.path, "status": diff.status, "sizes": list(diff.sizes), "note": diff.note}
    match diff.detail:
        case JsonDiff():
            record["json"] = _json(diff.detail, room)
        case TextDiff():
            record["text"] = _text(diff.detail, room)
        case CardDiff():
            record["json"], record["text"] = _json(diff.detail.front, room), _text(diff.detail.text, room)
        case ByteDiff():
            record["bytes"] = _bytes(diff.detail, room)
    return record


def _json(diff: JsonDiff, room: _Room) -> Record:
    rows = room.rows(map(_change, diff.changes))
    return {"counts": diff.counts, "rows": rows, "more": len(diff.changes) - len(rows)}


def _change(change: Change) -> tuple[Record, int]:
    a, b = (None if path is None else _cut(spelt(path)) for path in (change.a, change.b))
    row: Record = {"kind": change.kind, "a": a, "b": b}
    texts = [value for value in (change.before, change.after) if isinstance(value, str) and "\n" in value[:_PROSE]]
    if len(texts) == 2 and change.kind == "changed" and max(map(len, texts)) <= _PROSE:
        room = _Room(_PROSE)
        row["text"] = _text(compare_texts(*texts), room)
        return row, _PROSE - room.left
    before, after = sides(change, _VALUE)
    return {**row, "before": before, "after": after}, sum(len(text or "") for text in (a, b, before, after))


def _text(diff: TextDiff, room: _Room) -> Record:
    rows = room.rows(_lines(diff))
    shown = Counter(row["kind"] for row in rows)
    return {
        "removed": diff.removed,
        "added": diff.added,
        "rows": rows,
        "more": diff.removed + diff.added - shown["-"] - shown["+"],
    }


def _lines(diff: TextDiff) -> Iterator[tuple[Record, int]]:
    """Lines of all hunks, between two of them a row of kind `…`."""
    for index, hunk in enumerate(diff.hunks()):
        for line in (*((Line("…", None, None, ""),) if index else ()), *hunk):
            text = _cut(line.text)
            yield {"kind": line.kind, "a": line.a, "b": line.b, "text": text}, len(text)


def _bytes(diff: ByteDiff, room: _Room) -> Record:
    other = [run for run in diff.runs if run.kind != "equal"]
    rows = room.rows((run._asdict(), 0) for run in other)
    return {
        "equal": diff.equal,
        "differing": diff.differing,
        "rows": rows,
        "more": len(other) - len(rows),
        "bar": list(_bar(diff.runs)),
    }


def _bar(runs: Sequence[Run]) -> Iterator[Record]:
    """Stretches of the two files laid side by side: how long each is and what of it differs; of many runs, several in one."""
    whole = sum(max(run.a_length, run.b_length) for run in runs)
    length = differing = 0
    kinds: set[str] = set()
    for index, run in enumerate(runs):
        length += max(run.a_length, run.b_length)
        differing += run.differing
        kinds.add(run.kind)
        if len(runs) <= _STRIPES or length * _STRIPES >= whole or index == len(runs) - 1:
            yield {"kind": kinds.pop() if len(kinds) == 1 else "mixed", "length": length, "differing": differing}
            length = differing = 0
            kinds = set()


def _cut(text: str) -> str:
    return text if len(text) <= _VALUE else f"{text[:_VALUE]}… ({len(text):,} characters)"
