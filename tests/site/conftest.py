"""In: nothing. Out: synthetic models, drawn once for all tests of the site."""

from pathlib import Path

import pytest
import synthetic


@pytest.fixture(scope="session")
def tile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiles")


@pytest.fixture(scope="session")
def tiny(tile_folder: Path) -> synthetic.Built:
    return synthetic.build(tile_folder, layers=1, names=())


@pytest.fixture(scope="session")
def tuned(tile_folder: Path) -> synthetic.Built:
    """The same model with other weights, under the same slug."""
    built = synthetic.build(tile_folder, layers=1, names=(), seed=2)
    return synthetic.renamed(built, identity="tiny-1")


@pytest.fixture(scope="session")
def odd(tile_folder: Path) -> synthetic.Built:
    """A model whose tensors have names that want to break out of pages and scripts."""
    return synthetic.build(tile_folder, slug="odd", layers=len(synthetic.ODD_NAMES), seed=3)
