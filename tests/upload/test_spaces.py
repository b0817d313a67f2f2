"""Spaces that serve a site: static ones hold it, those with a container serve a bucket."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from loophub import Hub, status
from playwright.sync_api import Page
from publishkit import Run, published

Local = Callable[..., dict[str, bytes]]


def front_matter(hub: Hub, space: str) -> dict[str, object]:
    from huggingface_hub import SpaceCard

    return SpaceCard(hub.read(space, "README.md", "space").decode()).data.to_dict()


def test_a_static_space(ann: Hub, mwv_build: Run, local: Local, model: Path, other: Path):
    done = mwv_build(model, "--space", "ann/s", "-o", "out")
    assert done.code == 0 and f"{ann.url}/spaces/ann/s" in done.err
    assert ann.repos["space", "ann/s"].sdk == "static"
    assert published(ann, "hf://spaces/ann/s") == local(model)
    assert front_matter(ann, "ann/s") == {"title": "s", "sdk": "static", "app_file": "index.html"}
    assert len(ann.repos["space", "ann/s"].at("main").history()) == 2
    assert mwv_build(other, "--space", "ann/s", "-o", "out").code == 0
    assert published(ann, "hf://spaces/ann/s") == local(model, other)


def test_what_its_owner_wrote_into_the_readme_stays(ann: Hub, mwv_build: Run, model: Path):
    text = "---\ntitle: Mine\nemoji: 🐢\nsdk: gradio\nsdk_version: 5.0\napp_file: app.py\n---\n\nMy words.\n"
    ann.put("ann/s", {"README.md": text.encode()}, "space")
    assert mwv_build(model, "--space", "ann/s", "-o", "out").code == 0
    assert front_matter(ann, "ann/s") == {"title": "Mine", "emoji": "🐢", "sdk": "static", "app_file": "index.html"}
    assert "My words." in ann.read("ann/s", "README.md", "space").decode()
    ann.log.clear()
    assert mwv_build("--space", "ann/s", "-o", "out").code == 0
    assert not ann.log.of(method="POST")


@pytest.mark.parametrize("text", ["---\nsdk: [\n---\n", "---\n- a\n---\n"])
def test_a_readme_that_is_damaged_is_told(text: str):
    from mwv.errors import HubError
    from mwv.hub.address import Address
    from mwv.upload.space import readme

    class Target:
        address, name, sizes = Address("space", "ann/s"), "hf://spaces/ann/s", {"README.md": len(text)}

        def read(self, path: str) -> bytes:
            return text.encode()

    with pytest.raises(HubError, match=r"hf://spaces/ann/s/README\.md: its front matter is no YAML"):
        readme(Target(), "static")  # type: ignore[arg-type]


def test_a_deployment_that_fails_keeps_the_site(ann: Hub, mwv_build: Run, local: Local, model: Path):
    ann.fail(status(503), "api", path="*/commit/*", times=None)
    done = mwv_build(model, "--space", "ann/s", "-o", "out")
    assert done.code == 1
    assert "the site is kept in out; to go on: mwv build --space ann/s -o out" in done.err
    ann.faults.clear()
    again = mwv_build("--space", "ann/s", "-o", "out")
    assert again.code == 0 and "rendered" not in again.err
    assert published(ann, "hf://spaces/ann/s") == local(model)


def test_a_space_without_a_site_to_serve(ann: Hub, mwv_build: Run):
    done = mwv_build("--space", "ann/s", "-o", "nothing")
    assert done.code == 2 and "nothing to build" in done.err
    assert not ann.repos


def test_a_space_of_another_kind_is_left_alone(ann: Hub, mwv_build: Run, model: Path):
    ann.put("ann/s", {"app.py": b"import gradio"}, "space")
    for sdk in ("static", "docker"):
        done = mwv_build(model, "--space", "ann/s", "--space-sdk", sdk, "-o", "out")
        assert done.code == 1 and "app.py" in done.err and not Path("out").exists()


def test_a_space_shows_the_site_in_a_browser_and_nothing_stale(
    ann: Hub, mwv_build: Run, model: Path, finetune: Path, tmp_path: Path, page: Page
):
    """The same browser, with its cache, before and after the model is changed under its name."""
    place = tmp_path / "mine.safetensors"
    place.write_bytes(model.read_bytes())
    assert mwv_build(place, "--space", "ann/s", "-o", "out").code == 0
    page.goto(f"{ann.url}/space-pages/ann/s/")
    page.locator('a[href^="mine/"]').first.click()
    before = tiles_of(page)
    place.write_bytes(finetune.read_bytes())
    assert mwv_build(place, "--space", "ann/s", "-o", "out").code == 0
    page.reload()
    now = tiles_of(page)
    assert now != before
    assert now <= {path for path in published(ann, "hf://spaces/ann/s") if path.startswith("tiles/")}


def tiles_of(page: Page) -> set[str]:
    """The tiles that a page shows when all have come."""
    page.wait_for_function("() => { const layer = window.mwv?.view?.layer; return layer && !layer.isLoading(); }")
    sources = page.evaluate("Array.from(document.querySelectorAll('.leaflet-tile'), tile => tile.src)")
    found = {re.sub(".*/tiles/", "tiles/", source) for source in sources}
    assert found
    return found


def test_a_docker_space(ann: Hub, mwv_build: Run, local: Local, model: Path, other: Path, tmp_path: Path):
    done = mwv_build(model, "--space", "ann/s", "--space-sdk", "docker", "-o", "out")
    assert done.code == 0, done
    assert published(ann, "hf://buckets/ann/s-site") == local(model)
    space = ann.repos["space", "ann/s"]
    assert space.sdk == "docker"
    assert space.volumes == [{"type": "bucket", "source": "ann/s-site", "mountPath": "/site", "readOnly": True}]
    assert front_matter(ann, "ann/s") == {"title": "s", "sdk": "docker", "app_port": 7860}
    head = space.at("main").oid
    ann.log.clear()
    assert mwv_build(other, "--space", "ann/s", "--space-sdk", "docker", "-o", "out").code == 0
    assert published(ann, "hf://buckets/ann/s-site") == local(model, other)
    assert space.at("main").oid == head and len(ann.log.of(path="*/restart")) == 1
    assert not ann.log.of("api", "PUT")


def test_a_docker_space_before_a_bucket_that_is_named(ann: Hub, mwv_build: Run, local: Local, model: Path):
    done = mwv_build(model, "--space", "ann/s", "--space-sdk", "docker", "-o", "hf://buckets/ann/b/x", "--private")
    assert done.code == 0, done
    assert published(ann, "hf://buckets/ann/b/x") == local(model)
    (volume,) = ann.repos["space", "ann/s"].volumes
    assert (volume["source"], volume["path"]) == ("ann/b", "x")
    assert ann.repos["space", "ann/s"].private and ann.buckets["ann/b"].private


def test_the_container_s_command_serves_the_bucket(ann: Hub, mwv_build: Run, model: Path, tmp_path: Path):
    """What the Dockerfile runs, with its files, the bucket's content in the place of the volume, and no package but click."""
    assert mwv_build(model, "--space", "ann/s", "--space-sdk", "docker", "-o", "out").code == 0
    for path in ann.tree("ann/s", "space"):
        file = tmp_path / "app" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(ann.read("ann/s", path, "space"))
    dockerfile = (tmp_path / "app" / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.\d+\.\d+-slim", dockerfile, re.MULTILINE)
    (packages,) = re.findall(r"pip install --no-cache-dir (\S+)", dockerfile)
    import click

    assert packages.split("==")[0] == "click"
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "click").symlink_to(Path(click.__file__).parent)
    command = [part.strip(' "') for part in re.findall(r"^CMD \[(.*)\]$", dockerfile, re.MULTILINE)[0].split(",")]
    assert command[:5] == ["python", "-m", "mwv", "serve", "/site"] and command[5:] == ["--public", "--port", "7860"]
    mounted = tmp_path / "mounted"
    for path, content in published(ann, "hf://buckets/ann/s-site").items():
        (mounted / path).parent.mkdir(parents=True, exist_ok=True)
        (mounted / path).write_bytes(content)
    environment = {"PYTHONPATH": str(tmp_path / "packages"), "PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        [sys.executable, "-S", "-m", "mwv", "serve", str(mounted), "--public", "--port", "0"],
        cwd=tmp_path / "app",
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[2]
        request = urllib.request.Request(f"{address}site.json", headers={"Host": "ann-s.hf.space"})
        with urllib.request.urlopen(request) as answer:
            assert answer.read() == (mounted / "site.json").read_bytes()
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate()
