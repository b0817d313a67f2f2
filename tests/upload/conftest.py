"""What tests of publishing share: a user who is logged in, models, and the command.

What imports huggingface_hub is imported late, for it reads the address of its Hub then, and the loopback Hub's is known only
when all these files have been read.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from loophub import Hub
from publishkit import Done, Run


@pytest.fixture
def ann(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A Hub to which `ann` is logged in."""
    monkeypatch.setenv("HF_TOKEN", hub.token("ann"))
    return hub


@pytest.fixture
def mwv_build(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`mwv build` in this process, with a cache of the test's own and short waits; nothing that it says may hold a token."""
    import mwv.publish
    from mwv.cli import main
    from mwv.hub.client import Hub as Client
    from mwv.hub.patience import Limits

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mwv.publish, "Hub", partial(Client, limits=Limits(pause=0.001)))

    def run(*arguments: str | Path) -> Done:
        code = 0
        try:
            main(["build", "--cache", "cache", *map(str, arguments)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        assert "hf_" not in said.err + said.out
        assert "Traceback" not in said.err
        return Done(code, said.err)

    return run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    from buildkit import write_model

    return write_model(tmp_path / "models" / "one.safetensors")


@pytest.fixture
def finetune(tmp_path: Path) -> Path:
    """Differs from `model` in one of six tensors."""
    from buildkit import write_model

    return write_model(tmp_path / "models" / "one-tuned.safetensors", 3)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    from buildkit import write_tiny

    return write_tiny(tmp_path / "models" / "two.safetensors", 3)


@pytest.fixture
def local(tmp_path: Path, mwv_build: Run) -> Callable[..., dict[str, bytes]]:
    """The site of some models as a folder that is built here: what has to be on the Hub, byte by byte."""
    from buildkit import tree

    def build(*sources: Path) -> dict[str, bytes]:
        folder = tmp_path / f"site-of-{'-'.join(source.stem for source in sources)}"
        assert mwv_build(*sources, "-o", folder).code == 0
        return tree(folder)

    return build
