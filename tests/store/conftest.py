"""What the tests of the cache share: two folders, and processes that do not outlive a test."""

from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest
from cachekit import Spawn, start


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def spare(tmp_path: Path) -> Path:
    folder = tmp_path / "spare"
    folder.mkdir()
    return folder


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    started: list[Popen[str]] = []

    def spawn(program: str, *args: object) -> Popen[str]:
        started.append(start(program, *args))
        return started[-1]

    yield spawn
    for process in started:
        process.kill()
        process.communicate()
