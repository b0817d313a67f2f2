"""Files over the wire: downloads, ranges, redirects, signed addresses, LFS; and tokens only where they belong."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import numpy as np
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, HfFileSystem, get_hf_file_metadata, hf_hub_url, snapshot_download
from loophub import Hub

BIG = np.random.default_rng(1).integers(0, 256, 400_000, np.uint8).tobytes()


def test_download_of_a_xet_file_byte_for_byte(hub: Hub):
    hub.put("ann/m", {"w/big.bin": BIG})
    path = HfApi().hf_hub_download("ann/m", "w/big.bin")
    assert Path(path).read_bytes() == BIG
    assert [seen.status for seen in hub.log.of("resolve", "HEAD")] == [302]
    assert hub.log.sent("cdn") >= len(BIG) > hub.log.sent("cdn") - 8 * 100
    assert hub.log.of("cdn", path="/cdn/xet/*") == []


def test_second_download_costs_one_request(hub: Hub):
    hub.put("ann/m", {"w/big.bin": BIG})
    HfApi().hf_hub_download("ann/m", "w/big.bin")
    hub.log.clear()
    HfApi().hf_hub_download("ann/m", "w/big.bin")
    assert [(seen.method, seen.kind) for seen in hub.log] == [("HEAD", "resolve")]


def test_snapshot_with_patterns(hub: Hub):
    hub.put("ann/d", {"a.txt": b"a", "w/big.bin": BIG, "w/x.json": b"{}"}, kind="dataset")
    folder = Path(snapshot_download("ann/d", repo_type="dataset", allow_patterns=["w/*"]))
    assert (folder / "w/big.bin").read_bytes() == BIG
    assert (folder / "w/x.json").read_bytes() == b"{}"
    assert not (folder / "a.txt").exists()


def test_ranges_of_the_file_system(hub: Hub):
    hub.put("ann/m", {"w/big.bin": BIG, "c.txt": b"0123456789"})
    files = HfFileSystem(token=hub.token())
    assert files.cat_file("ann/m/w/big.bin", start=1000, end=1500) == BIG[1000:1500]
    assert files.cat_file("ann/m/c.txt", start=2, end=5) == b"234"
    assert files.glob("ann/m/**/*.bin") == ["ann/m/w/big.bin"]
    hub.log.clear()
    with files.open("ann/m/w/big.bin", cache_type="none") as file:
        file.seek(300_000)
        assert file.read(777) == BIG[300_000:300_777]
    (asked,) = hub.log.of("cdn")
    assert (asked.range, asked.status, asked.sent, asked.token) == ("bytes=300000-300776", 206, 777, "")
    assert [seen.token for seen in hub.log.of("resolve")] == ["hub"]


def test_what_a_large_file_s_address_says(hub: Hub, http: httpx2.Client):
    commit = hub.put("ann/m", {"big.bin": BIG})
    blob = commit.tree["big.bin"]
    url = hf_hub_url("ann/m", "big.bin")
    told = get_hf_file_metadata(url)
    assert (told.commit_hash, told.etag, told.size) == (commit.oid, blob.sha256, len(BIG))
    assert told.xet_file_data.file_hash == blob.xet
    assert told.location.startswith(f"{hub.cdn_url}/cdn/xet/{blob.xet}?")
    answer = http.get(url, headers={"Origin": "https://a.example"})
    assert answer.status_code == 302
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert "X-Linked-Size" in answer.headers["access-control-expose-headers"]
    behind = http.get(answer.headers["location"], headers={"Range": "bytes=10-19", "Origin": "https://a.example"})
    assert (behind.status_code, behind.content) == (206, BIG[10:20])
    assert behind.headers["content-range"] == f"bytes 10-19/{len(BIG)}"
    assert behind.headers["access-control-allow-origin"] == "*"
    assert "Content-Range" in behind.headers["access-control-expose-headers"]


def test_small_files_stay_on_the_hub(hub: Hub, http: httpx2.Client):
    commit = hub.put("ann/m", {"d/a.html": b"<b>hi</b>"})
    url = hf_hub_url("ann/m", "d/a.html")
    told = get_hf_file_metadata(url)
    assert (told.commit_hash, told.etag, told.size, told.xet_file_data) == (commit.oid, commit.tree["d/a.html"].oid, 9, None)
    answer = http.get(url, follow_redirects=True)
    assert (answer.history[0].status_code, answer.content) == (307, b"<b>hi</b>")
    # Repos do not serve HTML.
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=10-12", 416, b""),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
def test_ranges(hub: Hub, http: httpx2.Client, asked: str, status: int, body: bytes):
    hub.put("ann/m", {"a.txt": b"0123456789"})
    answer = http.get(hf_hub_url("ann/m", "a.txt"), headers={"Range": asked}, follow_redirects=True)
    assert (answer.status_code, answer.content) == (status, body)
    if status == 416:
        assert answer.headers["content-range"] == "bytes */10"


def test_several_ranges_at_once(hub: Hub, http: httpx2.Client):
    hub.put("ann/m", {"a.txt": b"0123456789"})
    answer = http.get(hf_hub_url("ann/m", "a.txt"), headers={"Range": "bytes=1-2, 5-6"}, follow_redirects=True)
    parts = answer.content.split(b"--loophub-part")[1:-1]
    assert [part.split(b"\r\n\r\n")[1][:2] for part in parts] == [b"12", b"56"]


def test_signed_addresses_end_and_cannot_be_changed(hub: Hub, http: httpx2.Client):
    hub.put("ann/m", {"big.bin": BIG, "other.bin": BIG[::-1]})
    blobs = hub.tree("ann/m")
    url = hf_hub_url("ann/m", "big.bin")
    address = http.get(url).headers["location"]
    assert http.get(address).content == BIG
    assert http.get(address.replace(blobs["big.bin"].xet, blobs["other.bin"].xet)).status_code == 403
    assert http.get(address.split("?")[0]).status_code == 403
    assert http.get(address, headers={"Authorization": "Bearer some"}).status_code == 400
    hub.signer.expire_urls()
    assert http.get(address).status_code == 403
    assert http.get(http.get(url).headers["location"]).content == BIG
    hub.signer.url_seconds = -1
    assert http.get(http.get(url).headers["location"]).status_code == 403


def test_a_token_on_the_cdn_is_noticed(hub: Hub, http: httpx2.Client):
    token = hub.token()
    hub.put("ann/m", {"big.bin": BIG})
    http.get(http.get(hf_hub_url("ann/m", "big.bin")).headers["location"], headers={"Authorization": f"Bearer {token}"})
    http.get(f"{hub.url}/api/models/ann/m?token={token}")
    assert [seen.kind for seen in hub.log.leaks()] == ["cdn", "api"]
    assert token not in str(hub.log)
    hub.log.clear()


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # huggingface_hub's own call of httpx2
def test_lfs_without_xet(hub: Hub):
    api = HfApi(token=hub.token())
    api.create_repo("ann/m")
    # A file object cannot go to xet.
    operations = [CommitOperationAdd("big.bin", io.BytesIO(BIG))]
    api.create_commit("ann/m", operations, commit_message="lfs")
    blob = hub.tree("ann/m")["big.bin"]
    assert (blob.xet, hub.read("ann/m", "big.bin")) == (None, BIG)
    (put,) = hub.log.of("cdn", "PUT")
    assert (put.received, put.token) == (len(BIG), "")
    path = api.hf_hub_download("ann/m", "big.bin")
    assert Path(path).read_bytes() == BIG
    assert hub.log.of("cdn", "GET", "/cdn/lfs/*")[0].token == ""
    hub.log.clear()
    api.create_commit("ann/m", [CommitOperationAdd("again.bin", io.BytesIO(BIG))], commit_message="known")
    assert hub.log.of("cdn") == []


def test_a_process_of_its_own_finds_the_hub(hub: Hub, tmp_path: Path):
    hub.put("ann/m", {"big.bin": BIG}, private=True)
    program = """
import json, os, sys
from huggingface_hub import hf_hub_download, upload_folder, whoami
path = hf_hub_download("ann/m", "big.bin")
upload_folder(repo_id="ann/m", folder_path=sys.argv[1])
print(json.dumps([whoami()["name"], os.path.getsize(path), path]))
"""
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "new.bin").write_bytes(BIG[:5000])
    environment = os.environ | {"HF_TOKEN": hub.token()}
    done = subprocess.run(
        [sys.executable, "-c", program, f"{tmp_path / 'up'}"], env=environment, capture_output=True, text=True, check=True
    )
    name, size, path = json.loads(done.stdout)
    assert (name, size) == ("ann", len(BIG))
    assert path.startswith(os.environ["HF_HOME"])
    assert hub.read("ann/m", "new.bin") == BIG[:5000]
