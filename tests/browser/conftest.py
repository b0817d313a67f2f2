"""In: models, synthetic and real. Out: sites of them on disk and over http, as a reader would open them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
from numpy.typing import NDArray
from safetensors.numpy import save_file
from serving import served

from mwv.build import build
from mwv.pyramid.archive import archives
from mwv.settings import ModelSettings, Settings
from mwv.site.writer import SiteWriter


class Files:
    """Results by key, each a file of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, key: str) -> bool:
        return (self.folder / key).exists()

    def get(self, key: str) -> bytes | None:
        return (self.folder / key).read_bytes()

    def put(self, key: str, body: bytes) -> None:
        (self.folder / key).write_bytes(body)

    put_png = put

    def put_parts(self, key: str, parts: Iterable[bytes]) -> None:
        self.put(key, b"".join(parts))


def archived(built: synthetic.Built, folder: Path) -> synthetic.Built:
    """The same with its tiles in PMTiles archives."""
    scene = built.model.scenes[0]
    names = archives(scene.tiles, scene.levels, True, Files(folder), 1)
    model = replace(
        built.model, slug="archived", title="archived", identity="archived", scenes=(replace(scene, archives=names),)
    )
    files = replace(built.files, mode="pmtiles", paths={name: folder / name for name in names.values()})
    return replace(built, model=model, files=files)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, synthetic.Built]:
    folder = tmp_path_factory.mktemp("browser-tiles")
    odd = synthetic.build(folder, slug="odd", layers=8)
    grid = synthetic.renamed(odd, slug="grid", title="grid", identity="grid")
    return {
        "odd": odd,
        "large": synthetic.many_tiles(odd),
        "grid": replace(grid, files=replace(odd.files, mode="xyz")),
        "archived": archived(odd, folder),
    }


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, models: dict[str, synthetic.Built]) -> Path:
    where = tmp_path_factory.mktemp("browser") / "site"
    with SiteWriter(where) as writer:
        for built in models.values():
            writer.add_model(built.model, built.files, built.overview)
        writer.finish()
    return where


@pytest.fixture(scope="session")
def http(site: Path) -> Iterator[str]:
    with served(site) as address:
        yield address


@pytest.fixture(params=["http", "file"])
def root(request: pytest.FixtureRequest, site: Path) -> str:
    """The site's address, once over http and once from disk."""
    return str(request.getfixturevalue("http")) if request.param == "http" else site.as_uri()


@pytest.fixture(scope="session")
def real_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache that all sites of real models share."""
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="session")
def real_site(real_folder: Path, bert: Path, smollm2: Path) -> Path:
    """Both real models in one site."""
    build(Settings((ModelSettings(bert.parent), ModelSettings(smollm2)), real_folder / "site", real_folder / "cache", jobs=2))
    return real_folder / "site"


@pytest.fixture(scope="session")
def real_http(real_site: Path) -> Iterator[str]:
    with served(real_site) as address:
        yield address


@pytest.fixture(params=["http", "file"])
def real_root(request: pytest.FixtureRequest, real_site: Path) -> str:
    return str(request.getfixturevalue("real_http")) if request.param == "http" else real_site.as_uri()


@pytest.fixture(params=["xyz", "pmtiles", "avif"])
def other_http(request: pytest.FixtureRequest, real_site: Path, real_folder: Path, bert: Path) -> Iterator[tuple[str, str]]:
    """(how its tiles lie, address) of a site of the BERT; its tiles come from the cache that `real_site` filled."""
    how = request.param
    options = {"tile_format": "avif"} if how == "avif" else {"tiles": how}
    build(Settings((ModelSettings(bert.parent),), real_folder / how, real_folder / "cache", jobs=2, **options))  # type: ignore[arg-type]
    with served(real_folder / how) as address:
        yield how, address


@pytest.fixture(scope="session")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The address of a site of a model with four fused experts in each of three layers, and its tensor of layer 1; in another
    tensor of each layer they stand one under the other."""
    folder = tmp_path_factory.mktemp("experts")
    rng = np.random.default_rng(5)
    tensors = {}
    for layer in range(3):
        values = rng.normal(0, 0.02, (4, 96, 128)).astype(np.float32)
        tensors[f"model.layers.{layer}.mlp.experts.up_proj"] = values * np.arange(1, 5, dtype=np.float32)[:, None, None]
        tensors[f"model.layers.{layer}.mlp.experts.mlp.w2"] = rng.normal(0, 0.02, (4 * 32, 96)).astype(np.float32)
        tensors[f"model.layers.{layer}.self_attn.q_proj.weight"] = rng.normal(0, 0.02, (64, 64)).astype(np.float32)
    save_file(tensors, folder / "experts.safetensors")
    (folder / "config.json").write_text('{"num_experts": 4}')
    build(Settings((ModelSettings(folder / "experts.safetensors"),), folder / "site", folder / "cache", jobs=1))
    with served(folder / "site") as address:
        yield address, tensors["model.layers.1.mlp.experts.up_proj"]
