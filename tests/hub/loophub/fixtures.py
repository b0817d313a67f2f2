"""In: a test session. Out: the fixtures `hub` and `waits`, and an environment in which no client finds any other Hub.

The clients read their settings once, when they are imported: so the port and the folders are the same for all tests of a
process, and every `hub` starts empty. Child processes inherit all of it.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .hub import Hub
from .wire import Server

SETTINGS = {
    "DO_NOT_TRACK": "1",  # hf_xet sends /v1/telemetry without it
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # hf_xet would wait 3 s before the first of 5 new tries, doubling, for up to 6 min.
    "HF_XET_CLIENT_RETRY_BASE_DELAY": "10ms",
    "HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "3",
    "HF_XET_CLIENT_RETRY_MAX_DURATION": "5s",
    "HF_XET_CLIENT_CONNECT_TIMEOUT": "5s",
    "HF_XET_CLIENT_READ_TIMEOUT": "10s",
}
OTHERS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HF_XET_CACHE", "HF_HUB_DISABLE_XET")
_server = pytest.StashKey[Server]()
_home = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    server = config.stash[_server] = Server()
    home = config.stash[_home] = Path(tempfile.mkdtemp(prefix="loophub-home-"))
    for name in OTHERS:
        os.environ.pop(name, None)
    os.environ |= SETTINGS | {"HF_ENDPOINT": f"http://127.0.0.1:{server.port}", "HF_HOME": f"{home}"}


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_server].stop()
    shutil.rmtree(config.stash[_home], ignore_errors=True)


@pytest.fixture
def hub(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """An empty Hub at HF_ENDPOINT, and clients that remember nothing; nobody is logged in (set HF_TOKEN to be).

    Afterwards: no token may have gone where it must not, and the Hub itself must not have failed.
    """
    import huggingface_hub
    from huggingface_hub.utils import _http, _xet

    home = pytestconfig.stash[_home]
    for path in home.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    _xet.XET_CONNECTION_INFO_CACHE.clear()
    huggingface_hub.HfFileSystem.clear_instance_cache()
    huggingface_hub.set_client_factory(_http.default_client_factory)
    server = pytestconfig.stash[_server]
    folder = tmp_path_factory.mktemp("loophub")
    hub = Hub(server, folder)
    server.start(hub)
    yield hub
    server.pause()
    hub.close()
    shutil.rmtree(folder)
    failures, server.failures = server.failures, []
    assert not failures, f"the loopback Hub failed: {failures!r}"
    assert not hub.log.leaks(), "a token went where it must not:\n" + "\n".join(map(str, hub.log.leaks()))


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long huggingface_hub wanted to wait before it tried again (seconds); it does not wait.

    It has no setting for that: 1, 2, 4, 8, 8 s, or Retry-After + 1 s.
    """
    from huggingface_hub import file_download
    from huggingface_hub.utils import _http

    waited: list[float] = []

    class Clock:
        def __getattr__(self, name: str) -> Any:
            return getattr(time, name)

        def sleep(self, seconds: float) -> None:
            waited.append(seconds)

    monkeypatch.setattr(_http, "time", Clock())
    monkeypatch.setattr(file_download, "time", Clock())
    return waited
