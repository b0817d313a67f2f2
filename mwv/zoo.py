"""A `zoo.toml` in, the models that it names and how each is to be shown out."""

import fnmatch
import glob
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final

from mwv.checkpoint.shards import shard_name
from mwv.checkpoint.wording import printable
from mwv.errors import UsageError
from mwv.hub.address import Address, Origin, is_address, origin_of
from mwv.settings import ModelSettings, Zoo, folder_address
from mwv.site.text import is_slug

MOST_BYTES: Final = 256 * 1024
LONGEST_LINE: Final = 2_000
"""Characters; tomllib takes time with the square of the parts of a key."""
LONGEST_PATH: Final = 1_024
MOST_ENTRIES: Final = 100_000
"""Files and folders that a pattern may lead through."""
_ZOO_KEYS: Final = ("title", "out", "model")
_MODEL_KEYS: Final = ("source", "title", "slug", "tags", "group", "only", "columns", "url", "layout", "against")
_LONGEST: Final = 200
"""Characters of a title, group, tag or pattern."""
_TOP: Final = -1
"""Stands for the zoo itself where a model's index could be."""
_MODEL_LINE: Final = re.compile(r"\[\[\s*model\s*\]\]")
_KEY_LINE: Final = re.compile(r"""\[{0,2}\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*[=.\]]""")


def read_zoo(path: Path) -> Zoo:
    """The zoo that a file describes, as README.md says; raises UsageError, a line that names line and key.

    A pattern stands for what no entry above it and none without a pattern names; of each set of shards it takes the first file.
    """
    document = _Document(path, _text(path))
    table = document.table
    document.check_keys(_TOP, table, _ZOO_KEYS)
    entries = table.get("model")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise document.error(_TOP, "model", "is missing: begin each model with [[model]]")
    wanted = [_model(document, index, entry) for index, entry in enumerate(entries)]
    taken = {model.view for model in wanted if not _is_pattern(model.source)}
    models: list[ModelSettings] = []
    unmatched: list[str] = []
    slugs: set[str] = set()
    for index, model in enumerate(wanted):
        if model.slug in slugs:
            raise document.error(index, "slug", f"{model.slug} is another model's; a folder holds one")
        slugs.update(filter(None, [model.slug]))
        if isinstance(model.source, Address) or not _is_pattern(model.source):
            models.append(model)  # patterns on the Hub are followed when it is asked
            continue
        places = (place for place in _matches(document, index, model.source) if place != model.against)
        found = [place for place in places if replace(model, source=place).view not in taken]
        matched = _expanded(document, index, model, found)
        taken.update(one.view for one in matched)
        models += matched
        if not found:
            unmatched.append(
                f"{path}, line {document.line(index, 'source')}: nothing (more) matches {printable(entries[index]['source'])}"
            )
    return Zoo(
        path=path,
        title=document.word(_TOP, table, "title") or "mwv",
        out=_place(path.parent, document.word(_TOP, table, "out", LONGEST_PATH) or "site"),
        models=tuple(models),
        unmatched=tuple(unmatched),
    )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"{path}: is larger than {MOST_BYTES:,} bytes; split the zoo")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is no UTF-8 at byte {error.start:,}") from None
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            raise UsageError(f"{path}, line {number}: is longer than {LONGEST_LINE:,} characters; break the line")
    return text


def _model(document: "_Document", index: int, entry: Mapping[str, Any]) -> ModelSettings:
    document.check_keys(index, entry, _MODEL_KEYS)
    source = document.word(index, entry, "source", LONGEST_PATH)
    if source is None:
        raise document.error(index, "source", "is missing: name a file or folder, relative to this file, or hf://owner/repo")
    slug = document.word(index, entry, "slug")
    if slug is not None and not is_slug(slug):
        raise document.error(index, "slug", "names a folder: use lower-case letters, digits, '.', '-' and '_'")
    layout = document.word(index, entry, "layout") or "arch"
    against = document.word(index, entry, "against", LONGEST_PATH)
    if layout not in ("arch", "hilbert"):
        raise document.error(index, "layout", 'is "arch" or "hilbert"')
    for key in ("only", "columns", "url"):
        if key in entry and ((layout == "hilbert" and key != "url") or (against is not None and key == "url")):
            raise document.error(index, key, "means nothing for bytes, or for a difference")
    columns = entry.get("columns", 1)
    if columns != "auto" and (type(columns) is not int or not 1 <= columns <= 100_000):
        raise document.error(index, "columns", 'takes a whole number from 1 or "auto"')
    url = document.word(index, entry, "url", LONGEST_PATH)
    address = "" if url is None else folder_address(url)
    if address is None:
        raise document.error(index, "url", "takes the http(s) address of a folder without user, query or fragment")
    return ModelSettings(
        source=_origin(document.path.parent, source),
        title=document.word(index, entry, "title"),
        slug=slug,
        tags=document.words(index, entry, "tags"),
        group=document.word(index, entry, "group") or "",
        only=document.words(index, entry, "only"),
        columns=None if columns == "auto" else columns,
        url=address,
        layout="hilbert" if layout == "hilbert" else "arch",
        against=None if against is None else _origin(document.path.parent, against),
    )


def _origin(folder: Path, text: str) -> Origin:
    """A place relative to the zoo's file, or on the Hub."""
    return origin_of(text) if is_address(text) else folder / text


def _place(folder: Path, out: str) -> Path:
    """Where the site is to lie: relative to the zoo's file, or on the Hub."""
    return Path(out) if is_address(out) else folder / out


def _is_pattern(origin: Origin) -> bool:
    return glob.has_magic(str(origin)) and (isinstance(origin, Address) or not os.path.lexists(origin))


def _matches(document: "_Document", index: int, pattern: Path) -> Iterator[Path]:
    """What a pattern names, by name; of the shards of one set the first."""
    found = _named(pattern)
    if found is None:
        raise document.error(index, "source", f"leads through more than {MOST_ENTRIES:,} files and folders: name more of it")
    sets: set[tuple[Path, str, int, str]] = set()
    for place in found:
        shard = shard_name(place.name)
        if shard is not None:
            which = (place.parent, shard.stem, shard.count, shard.rest)
            if which in sets:
                continue
            sets.add(which)
        yield place


def _named(pattern: Path) -> list[Path] | None:
    """What a pattern names, as `glob.glob` finds it, which may walk a whole disk; None if that are too many files."""
    places, looked = [Path(pattern.anchor)], 0
    for part in pattern.relative_to(pattern.anchor).parts:
        if not glob.has_magic(part):
            places = [place / part for place in places]
            continue
        found: list[Path] = []
        for place in places:
            with suppress(OSError), os.scandir(place) as entries:
                names = [entry.name for entry in islice(entries, MOST_ENTRIES + 1 - looked)]
                looked += len(names)
                shown = names if part.startswith(".") else [name for name in names if not name.startswith(".")]
                found += [place / name for name in fnmatch.filter(shown, part)]
            if looked > MOST_ENTRIES:
                return None
        places = found
    return sorted(filter(os.path.lexists, places), key=str)


def _expanded(document: "_Document", index: int, model: ModelSettings, found: Sequence[Path]) -> list[ModelSettings]:
    """A model for each place that a pattern stands for."""
    for key in ("title", "slug", "url"):
        if len(found) > 1 and getattr(model, key):
            raise document.error(index, key, f"names one model, and {len(found)} match the source")
    return [replace(model, source=place) for place in found]


@dataclass(frozen=True)
class _Document:
    """The text of a zoo, which can say where a key stands."""

    path: Path
    text: str

    @cached_property
    def table(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.text)
        except RecursionError:
            raise UsageError(f"{self.path}: is nested too deeply") from None
        except ValueError as error:
            raise UsageError(f"{self.path}: is no TOML: {error}") from None

    @cached_property
    def _lines(self) -> dict[tuple[int, str], int]:
        """Line of each key of each model, and of the model itself under ""; as people write TOML, not in all its forms."""
        lines: dict[tuple[int, str], int] = {}
        index = _TOP
        for number, line in enumerate(map(str.strip, self.text.split("\n")), 1):
            if _MODEL_LINE.match(line):
                index += 1
                lines[index, ""] = number
            elif match := _KEY_LINE.match(line):
                table = _TOP if line.startswith("[") else index
                lines.setdefault((table, next(filter(None, match.groups()), "")), number)
        return lines

    def line(self, index: int, key: str) -> int:
        """Line of a key, or where its model begins: tomllib does not tell."""
        return self._lines.get((index, key)) or self._lines.get((index, "")) or 1

    def error(self, index: int, key: str, what: str) -> UsageError:
        return UsageError(f"{self.path}, line {self.line(index, key)}: {key} {what}")

    def check_keys(self, index: int, table: Mapping[str, Any], known: Sequence[str]) -> None:
        for key in table:
            if key not in known:
                line = self.line(index, key)
                kind = "a zoo" if index == _TOP else "a model"
                raise UsageError(f"{self.path}, line {line}: unknown key {key[:60]!r}; {kind} has {', '.join(known)}")

    def word(self, index: int, table: Mapping[str, Any], key: str, longest: int = _LONGEST) -> str | None:
        """The text under a key, or None; it is not empty."""
        value = table.get(key)
        if value is not None and not _is_word(value, longest):
            raise self.error(index, key, f"takes text of 1 to {longest:,} characters")
        return value

    def words(self, index: int, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """The texts under a key, each once."""
        value = table.get(key, [])
        if not isinstance(value, list) or len(value) > 100 or not all(_is_word(item, _LONGEST) for item in value):
            raise self.error(index, key, f"takes a list of at most 100 texts of 1 to {_LONGEST:,} characters")
        return tuple(dict.fromkeys(value))


def _is_word(value: object, longest: int) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= longest and "\0" not in value
