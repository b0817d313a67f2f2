"""Differences of models on the Hub: the pages of their files, what cards say, and what comes over the wire."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from loophub import Hub

from mwv.cli import main

NAMES = [f"model.layers.{i}.self_attn.{part}_proj.weight" for i in range(24) for part in "qkvo"]
CARD = b"---\nbase_model: Ann/Base\n---\n# tuned\n"


def weights(changed: bool, **more: Any) -> dict[str, Any]:
    random = np.random.default_rng(0)
    made = {name: random.standard_normal((256, 512)).astype(np.float32) for name in NAMES}
    if changed:
        made[NAMES[40]] = made[NAMES[40]] + np.float32(0.01)
    return made | more


def put(hub: Hub, folder: Path, repo: str, tensors: dict[str, Any], **files: bytes) -> Path:
    """The same model on the Hub and here."""
    contents = {"model.safetensors": safetensors.numpy.save(tensors, {"format": "pt"})}
    contents |= {name.replace("_", "."): content for name, content in files.items()}
    hub.put(repo, contents)
    here = folder / repo.rpartition("/")[2]
    here.mkdir()
    for name, content in contents.items():
        (here / name).write_bytes(content)
    return here


def run(tmp_path: Path, *arguments: str | Path, out: str = "site", cache: str = "cache") -> dict[str, Any]:
    report = tmp_path / "report.json"
    more = ["-o", tmp_path / out, "--cache", tmp_path / cache, "--report", report, "-j", "2"]
    main(["build", "--diff", *map(str, arguments), *map(str, more)])
    found: dict[str, Any] = json.loads(report.read_text())["models"][0]
    return found


def first_scene(site: Path) -> dict[str, Any]:
    (path,) = site.glob("*/scene-0-*.js")
    text = path.read_text()
    found: dict[str, Any] = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    return found


def tiles(site: Path) -> set[str]:
    return {path.name for path in (site / "tiles").rglob("*.png")}


def test_models_on_the_hub_give_the_page_of_their_files(hub: Hub, tmp_path: Path) -> None:
    a = put(hub, tmp_path, "ann/base", weights(False))
    b = put(hub, tmp_path, "bob/tuned", weights(True), README_md=CARD)
    size = sum(t.nbytes for t in weights(False).values())
    first = run(tmp_path, "hf://ann/base", "hf://bob/tuned")
    run(tmp_path, a, b, "--finetune", out="local", cache="other")
    assert tiles(tmp_path / "site") == tiles(tmp_path / "local")
    remote, local = first_scene(tmp_path / "site")["difference"], first_scene(tmp_path / "local")["difference"]
    assert remote == local and remote["finetune"] and remote["identical"] == remote["compared"] - 1
    # The second has one changed tensor, and is hashed but for what shares its chunks with the first.
    assert first["hub"]["bytes"] < 2.1 * size
    again = run(tmp_path, "hf://ann/base", "hf://bob/tuned", out="again")
    assert again["tiles"]["rendered"] == 0 and again["hub"]["bytes"] < 100_000


def test_the_numbers_of_known_models_need_no_byte_of_their_tensors(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(hub, tmp_path, "ann/base", weights(False))
    put(hub, tmp_path, "bob/tuned", weights(True))
    arguments = ["diff", "hf://ann/base", "hf://bob/tuned", "--cache", str(tmp_path / "cache"), "--json"]
    main(arguments)
    first = json.loads(capsys.readouterr().out)
    assert first["read_bytes"] > 0 and first["tensors"][0]["name"] == NAMES[40]
    hub.log.clear()
    main(arguments)
    second = json.loads(capsys.readouterr().out)
    assert second["read_bytes"] == 0
    assert second["tensors"] == first["tensors"]


@pytest.mark.parametrize("way", ["diff", "build"])
def test_each_repository_and_its_folder_are_asked_for_once(hub: Hub, tmp_path: Path, way: str) -> None:
    repos = ["ann/base", "bob/tuned", "bob/other"][: 2 if way == "diff" else 3]
    for repo in repos:
        put(hub, tmp_path, repo, {"a.w": np.ones((3, 4), np.float32)}, README_md=CARD, config_json=b"{}")
    hub.log.clear()
    addresses = [f"hf://{repo}" for repo in repos]
    if way == "diff":
        main(["diff", *addresses, "--no-cache"])
    else:
        run(tmp_path, *addresses)
    asked = sorted(seen.path.split("/tree/")[0] for seen in hub.log.of("api", "GET") if "token" not in seen.path)
    assert asked == sorted(2 * [f"/api/models/{repo}" for repo in repos])


def test_a_new_tensor_of_a_finetune_is_refused(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(hub, tmp_path, "ann/base", weights(False))
    put(hub, tmp_path, "bob/tuned", weights(True, extra=np.ones(3, np.float32)), README_md=CARD)
    with pytest.raises(SystemExit):
        run(tmp_path, "hf://ann/base", "hf://bob/tuned")
    assert "finetune with 1 tensor new or of another shape: 'extra'" in capsys.readouterr().err
    run(tmp_path, "hf://ann/base", "hf://bob/tuned", "--allow-new")
