"""In: FORMAT.md and a page of bytes. Out: proof that each says what the other does."""

from pathlib import Path

import pytest
from test_format import check, script

from mwv.build import build
from mwv.settings import ModelSettings, Settings


@pytest.mark.parametrize(("index", "kind"), [(0, "bytes"), (1, "entropy")])
def test_every_field_of_scenes_of_bytes_is_specified(tmp_path: Path, index: int, kind: str) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 1000)
    build(Settings((ModelSettings(tmp_path / "a", layout="hilbert"),), tmp_path / "site", tmp_path / "cache"))
    scene = script(tmp_path / "site", f"a/scene-{index}-*.js", "scene")
    check("Scenes of kinds `bytes` and `entropy / field of a scene of bytes", scene, set() if index else {"local"})
    assert scene["kind"] == kind
    details = script(tmp_path / "site", f"a/details-{index}-*.js", "details")
    check("Scenes of kinds `bytes` and `entropy / field of the details of a file", details["tensors"][0])
    assert scene["classes"] == [[0, 0, 3000, 0, 0]]
    assert scene["entropy"] == [round(1.584962500721156, 4)]
