"""What tests of publishing share: a user who is logged in, models, and the command."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from buildkit import write_model, write_tiny
from loophub import Hub

from mwv.cli import main

Make = Callable[..., Path]


@dataclass(frozen=True)
class Done:
    code: int
    err: str


@pytest.fixture
def ann(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A Hub to which `ann` is logged in."""
    monkeypatch.setenv("HF_TOKEN", hub.token("ann"))
    return hub


@pytest.fixture
def mwv(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """`mwv build` in this process, with a cache of the test's own; nothing that it says may hold a token."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Done:
        code = 0
        try:
            main(["build", "--cache", "cache", *map(str, arguments)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        assert "hf_" not in said.err + said.out
        return Done(code, said.err)

    return run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "models" / "one.safetensors")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "models" / "two.safetensors", 3)
