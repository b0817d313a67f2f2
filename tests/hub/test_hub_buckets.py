"""Buckets and Spaces as huggingface_hub uses them."""

from pathlib import Path

import httpx2
import numpy as np
import pytest
from huggingface_hub import HfApi, HfFileSystem, Volume
from huggingface_hub.errors import BucketNotFoundError, HfHubHTTPError
from loophub import Hub

BIG = np.random.default_rng(5).integers(0, 256, 300_000, np.uint8).tobytes()


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(token=hub.token("ann"))


def test_a_bucket_s_life(hub: Hub, api: HfApi):
    url = api.create_bucket("ann/b", private=True)
    assert url.bucket_id == "ann/b"
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_bucket("ann/b")
    assert api.create_bucket("ann/b", exist_ok=True) == url
    assert [bucket.id for bucket in api.list_buckets("ann")] == ["ann/b"]
    for other in (HfApi(token=False), HfApi(token=hub.token("bob"))):
        with pytest.raises(BucketNotFoundError):
            other.bucket_info("ann/b")
    api.update_bucket_settings("ann/b", private=False)
    assert not HfApi(token=False).bucket_info("ann/b").private
    with pytest.raises(ConnectionError, match="403"):  # hf_xet asks for the token itself
        HfApi(token=hub.token("bob")).batch_bucket_files("ann/b", add=[(b"x", "x")])
    with pytest.raises(HfHubHTTPError, match="403"):
        HfApi(token=hub.token("bob")).batch_bucket_files("ann/b", delete=["x"])
    api.delete_bucket("ann/b")
    with pytest.raises(BucketNotFoundError):
        api.bucket_info("ann/b")


def test_files_up_and_down(hub: Hub, api: HfApi, tmp_path: Path):
    api.create_bucket("ann/b")
    (tmp_path / "big").write_bytes(BIG)
    api.batch_bucket_files("ann/b", add=[(BIG[:999], "t/0/a.png"), (tmp_path / "big", "t/big.bin"), (b"x", "x.txt")])
    assert hub.read("ann/b", "t/big.bin", "bucket") == BIG
    assert hub.buckets["ann/b"].files["t/0/a.png"].content_type == "image/png"
    hub.page_size = 2
    assert {entry.path for entry in api.list_bucket_tree("ann/b")} == {"t", "x.txt"}
    files = {entry.path: entry for entry in api.list_bucket_tree("ann/b", recursive=True) if entry.type == "file"}
    assert {path: entry.size for path, entry in files.items()} == {"t/0/a.png": 999, "t/big.bin": len(BIG), "x.txt": 1}
    assert {entry.path for entry in api.list_bucket_tree("ann/b", prefix="t/", recursive=True)} == {
        "t/0",
        "t/0/a.png",
        "t/big.bin",
    }
    assert [entry.path for entry in api.get_bucket_paths_info("ann/b", ["x.txt", "none"])] == ["x.txt"]
    api.download_bucket_files("ann/b", files=[("t/big.bin", tmp_path / "down")])
    assert (tmp_path / "down").read_bytes() == BIG
    assert api.bucket_info("ann/b").total_files == 3
    api.batch_bucket_files("ann/b", delete=["x.txt"])
    assert set(hub.buckets["ann/b"].files) == {"t/0/a.png", "t/big.bin"}


def test_a_copy_sends_nothing(hub: Hub, api: HfApi):
    hub.put_bucket("ann/b", {"a.bin": BIG})
    hub.put("ann/m", {"w.bin": BIG[::-1]})
    api.copy_files("hf://buckets/ann/b/a.bin", "hf://buckets/ann/b/copy.bin")
    api.copy_files("hf://ann/m/w.bin", "hf://buckets/ann/b/w.bin")
    assert hub.read("ann/b", "copy.bin", "bucket") == BIG
    assert hub.read("ann/b", "w.bin", "bucket") == BIG[::-1]
    assert hub.log.of("cas") == []


def test_ranges_of_a_bucket_file(hub: Hub, api: HfApi):
    hub.put_bucket("ann/b", {"d/a.bin": BIG})
    files = HfFileSystem(token=hub.token("bob"))
    assert files.cat_file("buckets/ann/b/d/a.bin", start=5, end=50) == BIG[5:50]
    assert files.ls("buckets/ann/b/d", detail=False) == ["buckets/ann/b/d/a.bin"]
    told = api.get_bucket_file_metadata("ann/b", "d/a.bin")
    assert (told.size, told.xet_file_data.file_hash) == (len(BIG), hub.buckets["ann/b"].files["d/a.bin"].xet)
    assert [seen.token for seen in hub.log.of("cdn")] == [""]


def test_a_static_space(hub: Hub, http: httpx2.Client, api: HfApi):
    api.create_repo("ann/site", repo_type="space", space_sdk="static")
    assert api.get_space_runtime("ann/site").stage == "NO_APP_FILE"
    with pytest.raises(ValueError, match="space_sdk"):
        api.create_repo("ann/other", repo_type="space")
    files = {"index.html": b"<h1>hi</h1>", "tiles/a.pmtiles": BIG}
    for path, data in files.items():
        api.upload_file(repo_id="ann/site", repo_type="space", path_or_fileobj=data, path_in_repo=path)
    info = api.space_info("ann/site")
    assert (info.sdk, info.runtime.stage, info.card_data.sdk) == ("static", "RUNNING", "static")
    page = http.get(f"{hub.url}/space-pages/ann/site/")
    assert (page.headers["content-type"], page.content) == ("text/html", b"<h1>hi</h1>")
    part = http.get(f"{hub.url}/space-pages/ann/site/tiles/a.pmtiles", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, BIG[100:200])


def test_a_docker_space_with_a_bucket(hub: Hub, http: httpx2.Client, api: HfApi):
    volume = Volume(type="bucket", source="ann/b", mount_path="/data", read_only=True)
    variables = [{"key": "A", "value": "1"}]
    api.create_repo("ann/app", repo_type="space", space_sdk="docker", space_variables=variables, space_volumes=[volume])
    api.add_space_variable("ann/app", "B", "2")
    api.delete_space_variable("ann/app", "A")
    api.add_space_secret("ann/app", "S", "secret")
    assert {key: item.value for key, item in api.get_space_variables("ann/app").items()} == {"B": "2"}
    assert api.get_space_runtime("ann/app").volumes == [volume]
    api.delete_space_volumes("ann/app")
    assert api.get_space_runtime("ann/app").volumes == []
    assert api.request_space_hardware("ann/app", "t4-small").requested_hardware == "t4-small"
    assert api.restart_space("ann/app").stage == "NO_APP_FILE"
    hub.put("ann/app", {"index.html": b"hi"}, kind="space")
    assert http.get(f"{hub.url}/space-pages/ann/app/index.html").status_code == 404
    with pytest.raises(HfHubHTTPError, match="403"):
        HfApi(token=hub.token("bob")).add_space_variable("ann/app", "B", "3")
