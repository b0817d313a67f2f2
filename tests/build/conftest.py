"""What tests of whole builds share: processes that build, and that do not outlive a test."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

Spawn = Callable[..., BaseProcess]


@pytest.fixture(scope="session")
def forks() -> Any:
    """A server, itself without threads, that forks processes in which mwv is loaded already."""
    here = str(Path(__file__).parent)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, before)))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["buildwarm"])
    first = context.Process(target=int)  # starts the server while the path is set
    first.start()
    first.join()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before
    return context


@pytest.fixture
def spawn(forks: Any) -> Iterator[Spawn]:
    started: list[BaseProcess] = []

    def spawn(target: Callable[..., object], *args: object) -> BaseProcess:
        process = forks.Process(target=target, args=args)
        process.start()
        started.append(process)
        return process

    yield spawn
    for process in started:
        process.kill()
        process.join()
