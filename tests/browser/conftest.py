"""In: synthetic models. Out: a site of them on disk and over http, as a reader would open it."""

import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "site"))

import synthetic

from mwv.site.writer import SiteWriter


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, synthetic.Built]:
    folder = tmp_path_factory.mktemp("browser-tiles")
    odd = synthetic.build(folder, slug="odd", layers=8)
    return {"odd": odd, "large": synthetic.many_tiles(odd)}


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
    """The site's address on the loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["http", "file"])
def root(request: pytest.FixtureRequest, site: Path) -> str:
    """The site's address, once over http and once from disk."""
    return request.getfixturevalue("http") if request.param == "http" else site.as_uri()
