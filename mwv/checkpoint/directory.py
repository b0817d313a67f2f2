"""A folder in, the files of the one model in it out, with a line for each weight file that was left out.

The rules, in this order:

1. Only files of the folder itself count; links are followed, as caches of the Hub are made of them. What is no
   regular file is left out.
2. Never weights: optimizer, scheduler, scaler and random states, training arguments, importance matrices.
3. safetensors comes before PyTorch, then GGUF, NumPy, HDF5. Adapters and projectors count only if there is nothing else.
4. In a format, a shard index comes first (`model.safetensors.index.json` before others) if any of its shards is there;
   then sets and single files by their names: model, pytorch_model, diffusion_pytorch_model, open_clip_model,
   open_clip_pytorch_model, consolidated. A sole set or file may be called anything.
5. Several that none of these names tells apart, such as quantisations of one model, are an error that lists them.

Files that never hold weights (texts, tokenizers, pictures) are not mentioned. What a file is, its content tells; on the Hub,
where each look is a request, a name that promises a format is believed, and one that promises none is passed over.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Final

from mwv.checkpoint.folder import Folder
from mwv.checkpoint.formats import FOREIGN, Format, by_content, by_name
from mwv.checkpoint.shards import INDEX_SUFFIX, MAX_INDICES, Selection, read_index, select_index, select_set, shard_name
from mwv.checkpoint.source import why
from mwv.checkpoint.wording import printable
from mwv.errors import UNUSABLE, SourceError

# More notes than these nobody reads.
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


def select_directory(folder: Folder) -> Selection:
    """The files of the one model in a folder; SourceError if there is none, or several."""
    listing = folder.listing()
    notes = dict(listing.others)
    found: dict[Format, list[str]] = {kind: [] for kind in _ORDER}
    last: dict[Format, list[str]] = {kind: [] for kind in _ORDER}
    for name in listing.files:
        kind = _kind(folder, name, notes)
        if kind is None:
            continue
        if never := _reason(_NEVER, name):
            notes[name] = never
        elif _reason(_LAST_RESORT, name):
            last[kind].append(name)
        else:
            found[kind].append(name)
    choice = found if any(found.values()) else last
    kind = next((kind for kind in _ORDER if choice[kind]), None)
    if kind is None:
        raise SourceError(_nothing(folder))
    indices = [name for name in listing.files if name.endswith(INDEX_SUFFIX)]
    selection = _select(folder, choice[kind], indices, notes)
    for other in _ORDER:
        for name in (*found[other], *last[other]):
            if name not in selection.files:
                what = "another model or variant" if other == kind else f"the {kind} weights were taken"
                notes[name] = _reason(_LAST_RESORT, name) or f"{what}; name it to show it"
    lines = [f"{printable(name, 200)}: {reason}" for name, reason in sorted(notes.items())[:MAX_NOTES]]
    if more := len(notes) - len(lines):
        lines.append(f"{more} more files that are not of this model")
    return replace(selection, notes=(*selection.notes, *lines))


def _kind(folder: Folder, name: str, notes: dict[str, str]) -> Format | None:
    """The format of a file that may be weights; a note if it has the looks but not the content."""
    promised = by_name(name)
    if promised == "pytorch" and _stem(name) not in _USUAL and not shard_name(name):
        promised = None
    if folder.near or (promised is None and by_name(name)):
        try:
            source = folder.open(name)
            try:
                kind = by_content(source)
            finally:
                source.close()
        except UNUSABLE as error:
            notes[name] = why(error, folder.place(name))
            return None
        if kind:
            return kind
    if promised is None and (PurePath(name).suffix.lower() in FOREIGN or by_name(name)):
        notes[name] = "of a format that mwv does not read"
    # A broken model.safetensors must be an error, not a reason to show something else.
    return promised


def _stem(name: str) -> str:
    return PurePath(name).stem


def _reason(rules: Iterable[tuple[re.Pattern[str], str]], name: str) -> str | None:
    return next((reason for pattern, reason in rules if pattern.search(name)), None)


def _select(folder: Folder, names: Sequence[str], indices: Sequence[str], notes: dict[str, str]) -> Selection:
    """Rules 4 and 5 for the files of one format."""
    indexed = []
    for index in indices[:MAX_INDICES]:
        try:
            if not set(read_index(folder, index).values()).isdisjoint(names):
                indexed.append((_stem(index.removesuffix(INDEX_SUFFIX)), index))
        except UNUSABLE as error:
            notes[index] = f"ignored: {why(error, folder.place(index))}"
    if indexed:
        return select_index(folder, _only(folder, indexed))
    sets: dict[str, tuple[str, str]] = {}
    files = []
    for name in names:
        if parts := shard_name(name):
            sets.setdefault(parts.sibling(1), (parts.stem, name))
        else:
            files.append((_stem(name), name))
    name = _only(folder, [*files, *sets.values()])
    parts = shard_name(name)
    return select_set(folder, parts) if parts else Selection((name,))


def _only(folder: Folder, named: Sequence[tuple[str, str]]) -> str:
    """The sole name, or the one with the most usual stem; of a file and a set with one stem the file, as Hugging Face does."""
    if len(named) == 1:
        return named[0][1]
    for usual in _USUAL:
        matches = [name for stem, name in named if stem == usual]
        files = [name for name in matches if not shard_name(name)]
        if len(files) == 1 or len(matches) == 1:
            return (files or matches)[0]
        if matches:
            named = [(usual, name) for name in matches]
            break
    listed = ", ".join(printable(name, 100) for _, name in named[:8]) + (", …" if len(named) > 8 else "")
    raise SourceError(f"{folder.place()}: holds several models ({listed}); name the one to show")


def _nothing(folder: Folder) -> str:
    """What to say of a folder without weights; helpful for pipelines, whose parts lie in folders of their own."""
    hint = [below for below, names in folder.below().items() if any(map(by_name, names))]
    advice = f"name one of its directories ({printable(', '.join(hint), 200)})" if hint else "name a checkpoint"
    return f"{folder.place()}: holds no weights of a format that mwv reads; {advice}"
