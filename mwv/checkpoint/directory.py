"""A directory in, the files of the one model in it out, with a line for each weight file that was left out.

The rules, in this order:

1. Only files of the directory itself count; links are followed, as caches of the Hub are made of them. What is no
   regular file is left out.
2. Never weights: optimizer, scheduler, scaler and random states, training arguments, importance matrices.
3. safetensors comes before PyTorch, then GGUF, NumPy, HDF5. Adapters and projectors count only if there is nothing else.
4. In a format, a shard index comes first (`model.safetensors.index.json` before others) if any of its shards is there;
   then sets and single files by their names: model, pytorch_model, diffusion_pytorch_model, open_clip_model,
   open_clip_pytorch_model, consolidated. A sole set or file may be called anything.
5. Several that none of these names tells apart, such as quantisations of one model, are an error that lists them.

Files that never hold weights (texts, tokenizers, pictures) are not mentioned.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from mwv.checkpoint.formats import FOREIGN, Format, by_content, by_name
from mwv.checkpoint.shards import INDEX_SUFFIX, MAX_INDICES, Selection, read_index, select_index, select_set, shard_name
from mwv.checkpoint.source import FileSource, is_directory, is_file, why
from mwv.checkpoint.wording import printable
from mwv.errors import MwvError, SourceError

# Twice as many as a set may have shards; each is looked into. More notes than these nobody reads.
MAX_ENTRIES: Final = 20_000
MAX_NOTES: Final = 100
_ORDER: Final[tuple[Format, ...]] = ("safetensors", "pytorch", "gguf", "numpy", "hdf5")
_USUAL: Final = (
    "model",
    "pytorch_model",
    "diffusion_pytorch_model",
    "open_clip_model",
    "open_clip_pytorch_model",
    "consolidated",
)
_NEVER: Final = (
    (re.compile(r"(^|[._-])optim(izers?)?(_states?)?([._-]|$)", re.I), "optimizer state"),
    (re.compile(r"^(lr_)?scheduler", re.I), "scheduler state"),
    (re.compile(r"^(grad_)?scaler", re.I), "state of a gradient scaler"),
    (re.compile(r"^(rng_state|random_states?)", re.I), "state of a random generator"),
    (re.compile(r"^training_args\.", re.I), "training arguments"),
    (re.compile(r"(^|[._-])imatrix\.gguf$", re.I), "importance matrix"),
)
_LAST_RESORT: Final = (
    (re.compile(r"^adapter_model", re.I), "adapter beside the model; name it to show it"),
    (re.compile(r"^mmproj|[.-]mmproj", re.I), "projector beside the model; name it to show it"),
)


def select_directory(directory: Path) -> Selection:
    """The files of the one model in a directory; SourceError if there is none, or several."""
    notes: dict[str, str] = {}
    found: dict[Format, list[Path]] = {kind: [] for kind in _ORDER}
    last: dict[Format, list[Path]] = {kind: [] for kind in _ORDER}
    files = _regular_files(directory, notes)
    for path in files:
        kind = _kind(path, notes)
        if kind is None:
            continue
        if never := _reason(_NEVER, path.name):
            notes[path.name] = never
        elif _reason(_LAST_RESORT, path.name):
            last[kind].append(path)
        else:
            found[kind].append(path)
    choice = found if any(found.values()) else last
    kind = next((kind for kind in _ORDER if choice[kind]), None)
    if kind is None:
        raise SourceError(_nothing(directory))
    indices = [path for path in files if path.name.endswith(INDEX_SUFFIX)]
    selection = _select(directory, choice[kind], indices, notes)
    chosen = {path.name for path in selection.files}
    for other in _ORDER:
        for path in (*found[other], *last[other]):
            if path.name not in chosen:
                what = "another model or variant" if other == kind else f"the {kind} weights were taken"
                notes[path.name] = _reason(_LAST_RESORT, path.name) or f"{what}; name it to show it"
    lines = [f"{printable(name, 200)}: {reason}" for name, reason in sorted(notes.items())[:MAX_NOTES]]
    if more := len(notes) - len(lines):
        lines.append(f"{more} more files that are not of this model")
    return replace(selection, notes=(*selection.notes, *lines))


def _regular_files(directory: Path, notes: dict[str, str]) -> list[Path]:
    """Regular files, links followed, in order of name; others that could be weights are noted."""
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in islice(entries, MAX_ENTRIES + 1))
    except OSError as error:
        raise SourceError(f"{printable(str(directory))}: cannot be listed: {error.strerror}") from None
    if len(names) > MAX_ENTRIES:
        raise SourceError(f"{printable(str(directory))}: more than {MAX_ENTRIES} files; name the checkpoint itself")
    files = []
    for name in names:
        path = directory / name
        if is_file(path):
            files.append(path)
        elif not is_directory(path):
            notes[name] = _what(path)
    return files


def _what(path: Path) -> str:
    try:
        path.stat()
    except OSError as error:
        return "a link to nothing" if path.is_symlink() else f"cannot be read: {error.strerror}"
    return "not a regular file"


def _kind(path: Path, notes: dict[str, str]) -> Format | None:
    """The format of a file that may be weights; a note if it has the looks but not the content."""
    name, suffix = path.name, path.suffix.lower()
    try:
        source = FileSource(path)
        try:
            kind = by_content(source)
        finally:
            source.close()
    except MwvError as error:
        notes[name] = str(error)
        return None
    if kind:
        return kind
    promised = by_name(name)
    if promised == "pytorch" and path.stem not in _USUAL and not shard_name(name):
        promised = None
    if promised is None and (suffix in FOREIGN or by_name(name)):
        notes[name] = "of a format that mwv does not read"
    # A broken model.safetensors must be an error, not a reason to show something else.
    return promised


def _reason(rules: Iterable[tuple[re.Pattern[str], str]], name: str) -> str | None:
    return next((reason for pattern, reason in rules if pattern.search(name)), None)


def _select(directory: Path, paths: list[Path], indices: list[Path], notes: dict[str, str]) -> Selection:
    """Rules 4 and 5 for the files of one format."""
    names = {path.name for path in paths}
    indexed = []
    for index in indices[:MAX_INDICES]:
        try:
            if names & set(read_index(index).values()):
                indexed.append(index)
        except MwvError as error:
            notes[index.name] = f"ignored: {why(error, index)}"
    if indexed:
        return select_index(_only(directory, [(Path(path.name.removesuffix(INDEX_SUFFIX)).stem, path) for path in indexed]))
    sets: dict[str, tuple[str, Path]] = {}
    files = []
    for path in paths:
        if parts := shard_name(path.name):
            sets.setdefault(parts.sibling(1), (parts.stem, path))
        else:
            files.append((path.stem, path))
    path = _only(directory, [*files, *sets.values()])
    parts = shard_name(path.name)
    return select_set(directory, parts) if parts else Selection((path,))


def _only(directory: Path, named: list[tuple[str, Path]]) -> Path:
    """The sole path, or the one with the most usual name; of a file and a set with one name the file, as Hugging Face does."""
    if len(named) == 1:
        return named[0][1]
    for name in _USUAL:
        matches = [path for stem, path in named if stem == name]
        files = [path for path in matches if not shard_name(path.name)]
        if len(files) == 1 or len(matches) == 1:
            return (files or matches)[0]
        if matches:
            named = [(name, path) for path in matches]
            break
    listed = ", ".join(printable(path.name, 100) for _, path in named[:8]) + (", …" if len(named) > 8 else "")
    raise SourceError(f"{printable(str(directory))}: holds several models ({listed}); name the one to show")


def _hints(directory: Path) -> bool:
    try:
        return any(by_name(path.name) for path in islice(directory.iterdir(), 1000))
    except OSError:
        return False


def _nothing(directory: Path) -> str:
    """What to say of a directory without weights; helpful for pipelines, whose parts lie in directories of their own."""
    with os.scandir(directory) as entries:
        below = sorted(entry.name for entry in islice(entries, MAX_ENTRIES) if is_directory(Path(entry.path)))
    hint = [name for name in below[:100] if _hints(directory / name)]
    advice = f"name one of its directories ({printable(', '.join(hint), 200)})" if hint else "name a checkpoint"
    return f"{printable(str(directory))}: holds no weights of a format that mwv reads; {advice}"
