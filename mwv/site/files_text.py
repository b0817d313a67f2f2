"""The record of two models' files in, lines for a terminal out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mwv.checkpoint.wording import counted
from mwv.site.text import aligned, size, thousands, visible


def file_lines(record: Mapping[str, Any], names: tuple[str, str], most: int | None) -> Iterator[str]:
    """What `mwv.files.record.files_record` gave: counts, what matters most, and at most so many files of each kind."""
    counts = record["counts"]
    sides = tuple(zip(("only_a", "only_b"), (f"only in {name}" for name in names), strict=True))
    kinds = (("changed", "changed"), ("equal", "equal"), *sides, ("unread", "not compared"))
    told = [f"{thousands(counts[status])} {title}" for status, title in kinds if counts[status]]
    yield f"files: {', '.join(told) or 'none beside the weights'}"
    for section in record["summary"]:
        if section["facts"]:
            yield f"  {section['title']} ({visible(section['path'])}):"
            yield from (f"    {visible(_fact(fact))}" for fact in section["facts"])
            if section["more"]:
                yield f"    and {thousands(section['more'])} more"
    for status, title in (("changed", "changed"), *sides):
        files = [file for file in record["files"] if file["status"] == status]
        if files:
            yield f"  {title}:"
            yield from (f"    {line}" for line in aligned([("", ""), *map(_row, files[:most])], left=(0, 1)) if line)
            if most is not None and len(files) > most:
                yield f"    and {thousands(len(files) - most)} more; --all shows them"
    unread = [file for file in record["files"] if file["status"] == "unread"]
    yield from (f"  not compared: {visible(file['path'])}: {visible(file['note'])}" for file in unread[:most])
    if most is not None and len(unread) > most:
        yield f"  and {thousands(len(unread) - most)} more not compared; --all shows them"
    yield from (f"  {visible(note)}" for note in record["notes"])


def _fact(fact: Mapping[str, str]) -> str:
    if fact["before"] == fact["after"]:
        return f"{fact['label']}: {fact['before']}"
    return f"{fact['label']}: {fact['before'] or '–'} → {fact['after'] or '–'}"


def _row(file: Mapping[str, Any]) -> tuple[str, str]:
    """A file, and how much of it changed, or how long it is."""
    found: list[str] = []
    if "json" in file:
        found += (f"{thousands(count)} {kind}" for kind, count in file["json"]["counts"].items())
    if "text" in file and (file["text"]["added"] or file["text"]["removed"]):
        found.append(f"{counted(file['text']['removed'], 'line')} removed, {thousands(file['text']['added'])} added")
    if "bytes" in file:
        found.append(f"{size(file['bytes']['differing'])} differ")
    if file["status"] != "changed":
        found += _sizes(file["sizes"])
    if file["note"]:
        found.append(visible(file["note"]))
    return visible(file["path"]), ", ".join(found)


def _sizes(sizes: Sequence[int | None]) -> list[str]:
    return [size(nbytes) for nbytes in sizes if nbytes is not None]
