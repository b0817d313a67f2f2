"""A model, its picture and the names of its files in, its entry in the manifest out; and digests over such entries."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from blake3 import blake3

from mwv.site.data import DataFile, digest
from mwv.site.manifest import FileEntry, ModelEntry, TileList
from mwv.site.model import Model, TileFiles
from mwv.site.shared import NO_CHUNKS, Shares
from mwv.site.text import canonical

_OF_THE_SITE: Final = {
    **vars(Shares()),
    **{f"chunk_{name}": value for name, value in vars(NO_CHUNKS).items()},
    "order": -1,
    "met": "",
    "stored": (),
    "stored_tiles": "",
    "stored_from": "",
}
"""What an entry says of its model among the others, as long as that is not known."""


def file_entry(content: bytes, kind: str) -> FileEntry:
    """What the manifest says of a file."""
    return FileEntry(len(content), kind, digest(content))


def listing_of(stem: str, content: bytes) -> DataFile:
    """A JSON file whose name carries its hash."""
    return DataFile(f"{stem}-{digest(content)}.json", content)


def seal_of(entry: ModelEntry, files: Mapping[str, FileEntry]) -> str:
    """A digest of all that a model's folder holds but its pages, and nothing of the site around it."""
    facts = asdict(entry)
    for name in ("zoo", "rank", *_OF_THE_SITE):
        del facts[name]
    picture = files.get(f"{entry.slug}/{entry.overview}")
    return digest(canonical([facts, picture and picture.hash]).encode("ascii"))


def identity_in(model: Model) -> str:
    """What tells a model that is built again."""
    return model.identity or model.source


def model_digest(model: Model) -> str:
    """Equal for equal weights."""
    names = [(t.name, t.dtype, t.shape, t.digest) for t in model.tensors]
    return blake3(canonical(names).encode("ascii")).hexdigest()


def picture_suffix(content: bytes) -> str:
    """By its first bytes."""
    return "png" if content.startswith(b"\x89PNG") else "avif"


def _picture_size(content: bytes) -> tuple[int, int]:
    """Width and height of a PNG by its IHDR, of an AVIF by its `ispe` box (ISO/IEC 23008-12, 6.5.3)."""
    at = 16 if content.startswith(b"\x89PNG") else content.index(b"ispe") + 8
    return int.from_bytes(content[at : at + 4], "big"), int.from_bytes(content[at + 4 : at + 8], "big")


def model_entry(model: Model, names: list[str], picture: DataFile, files: TileFiles, tiles: TileList) -> ModelEntry:
    """The entry of a model; `names` are those of its data files in the order of the writer."""
    return ModelEntry(
        slug=model.slug,
        identity=identity_in(model),
        title=model.title,
        source=model.source,
        format=model.format,
        architecture=model.architecture,
        parameters=model.parameters,
        bytes=model.nbytes,
        tensors=len(model.tensors),
        dtypes=dict(sorted(model.dtypes.items())),
        date=model.date,
        tags=model.tags,
        group=model.group,
        zoo=model.place.zoo,
        rank=model.place.rank,
        options=model.options,
        compares=model.compares,
        others="" if model.others is None else names[-3],
        **_OF_THE_SITE,
        digest=model_digest(model),
        layout=tuple(scene.layout_digest for scene in model.scenes),
        model=names[0],
        scenes=tuple(name for name in names if name.startswith("scene-")),
        overview=picture.name,
        overview_size=_picture_size(picture.content),
        content=names[-2],
        chunks=names[-3] if model.files else "",
        tile_mode=files.mode,
        tile_list=names[-1],
        tile_count=len(tiles.files),
        tile_bytes=sum(tiles.files.values()),
    )
