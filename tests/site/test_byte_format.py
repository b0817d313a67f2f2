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
    check(
        "Scenes of kinds `bytes` and `entropy / field of a scene of bytes", scene, {"beside"} if index else {"local", "beside"}
    )
    assert scene["kind"] == kind
    details = script(tmp_path / "site", f"a/details-{index}-*.js", "details")
    check("Scenes of kinds `bytes` and `entropy / field of the details of a file", details["tensors"][0])
    assert scene["classes"] == [[0, 0, 3000, 0, 0]]
    assert scene["entropy"] == [round(1.584962500721156, 4)]


def test_every_field_of_files_beside_others_is_specified(tmp_path: Path) -> None:
    for name, data in (("a", b"abc" * 1000), ("b", b"abc" * 900 + b"x")):
        (tmp_path / name).write_bytes(data)
    wanted = ModelSettings(tmp_path / "b", layout="hilbert", against=tmp_path / "a")
    build(Settings((wanted,), tmp_path / "site", tmp_path / "cache"))
    for index, side in enumerate(("both", "a", "b")):
        scene = script(tmp_path / "site", f"a-to-b/scene-{index}-*.js", "scene")
        check("Scenes of kinds `bytes` and `entropy / field of a scene of bytes", scene, {"local"})
        check("Scenes of kinds `bytes` and `entropy / field of `beside`", scene["beside"], {"stretches"} if index else set())
        assert (scene["beside"]["side"], scene["beside"]["scene"]) == (side, 0)
        assert scene["beside"]["sizes"] == [[3000, 2701]]
        assert scene["beside"]["changes"] == [[2700, 1, 299, 0]]
        assert scene["tensors"]["bytes"] == [[3000], [3000], [2701]][index]
    assert script(tmp_path / "site", "a-to-b/scene-0-*.js", "scene")["beside"]["stretches"] == [[0, 2700, 1, 1, 2, 299]]
