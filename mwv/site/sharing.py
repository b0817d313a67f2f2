"""A folder with a site and the models of the new one in, these with what each shares with the others out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mwv.site.chunks import decode_chunks
from mwv.site.folder import Folder
from mwv.site.manifest import ModelEntry
from mwv.site.shared import NO_CHUNKS, Content, Shares, decode_content, shares
from mwv.site.storing import content_of
from mwv.xet.stored import StoredFile

_FIELDS = (*vars(Shares()), *(f"chunk_{name}" for name in vars(Shares())))


def with_shares(folder: Folder, models: Mapping[str, ModelEntry]) -> dict[str, ModelEntry]:
    """The models with what they share; what all consist of is looked at only where that of one has changed.

    Raises SiteError if a list of tensors or chunks is damaged.
    """
    old = folder.manifest.models
    if _still_share(models, old):
        return {slug: replace(m, **{name: getattr(old[slug], name) for name in _FIELDS}) for slug, m in models.items()}
    folder.expect(f"{slug}/{m.content}" for slug, m in models.items())
    contents = {slug: decode_content(*folder.found(f"{slug}/{m.content}")) for slug, m in models.items()}
    return _with_shares(models, contents, stored_files(folder, models))


def stored_files(folder: Folder, models: Mapping[str, ModelEntry]) -> dict[str, tuple[StoredFile, ...]]:
    """The files of all models whose chunks are known, with all that is known of them; SiteError if a list is damaged."""
    known = {slug: f"{slug}/{m.met or m.chunks}" for slug, m in models.items() if m.chunks}
    folder.expect(known.values())
    return {slug: decode_chunks(*folder.found(path)) for slug, path in known.items()}


def _still_share(models: Mapping[str, ModelEntry], old: Mapping[str, ModelEntry]) -> bool:
    """Whether models share what they did: none came or went, and the tensors and chunks of each are the same."""
    told, before = ({slug: (m.content, m.chunks, m.met) for slug, m in entries.items()} for entries in (models, old))
    return told == before


def _with_shares(
    models: Mapping[str, ModelEntry], contents: Mapping[str, Content], stored: Mapping[str, Sequence[StoredFile]]
) -> dict[str, ModelEntry]:
    """Tensors by `contents`, and chunks by the files that are `stored`, if two are."""
    by_tensor = shares(contents)
    by_chunk = shares({slug: content_of(files) for slug, files in stored.items()}) if len(stored) > 1 else {}
    chunks = {slug: {f"chunk_{name}": value for name, value in vars(by_chunk.get(slug, NO_CHUNKS)).items()} for slug in models}
    return {slug: replace(m, **vars(by_tensor[slug]), **chunks[slug]) for slug, m in models.items()}
