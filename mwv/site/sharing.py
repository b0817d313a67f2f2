"""The models of a site and what each consists of in, what each shares with the others out, in its entry."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mwv.site.manifest import ModelEntry
from mwv.site.shared import NO_CHUNKS, Content, Shares, shares
from mwv.site.storing import content_of
from mwv.xet.stored import StoredFile

_FIELDS = (*vars(Shares()), *(f"chunk_{name}" for name in vars(Shares())))


def still_share(models: Mapping[str, ModelEntry], old: Mapping[str, ModelEntry]) -> bool:
    """Whether models share what they did: none came or went, and the tensors and chunks of each are the same."""
    told, before = ({slug: (m.content, m.chunks, m.met) for slug, m in entries.items()} for entries in (models, old))
    return told == before


def with_shares_of(models: Mapping[str, ModelEntry], old: Mapping[str, ModelEntry]) -> dict[str, ModelEntry]:
    """The models with what the old entries say of sharing."""
    return {slug: replace(m, **{name: getattr(old[slug], name) for name in _FIELDS}) for slug, m in models.items()}


def with_shares(
    models: Mapping[str, ModelEntry], contents: Mapping[str, Content], stored: Mapping[str, Sequence[StoredFile]]
) -> dict[str, ModelEntry]:
    """The models with what they share: tensors by `contents`, and chunks by the files that are `stored`, if two are."""
    by_tensor = shares(contents)
    by_chunk = shares({slug: content_of(files) for slug, files in stored.items()}) if len(stored) > 1 else {}
    chunks = {slug: {f"chunk_{name}": value for name, value in vars(by_chunk.get(slug, NO_CHUNKS)).items()} for slug in models}
    return {slug: replace(m, **vars(by_tensor[slug]), **chunks[slug]) for slug, m in models.items()}
