"""The CAS: chunks and hashes against hf_xet, both reconstruction calls, exact ranges, real sharing, tokens that end."""

import itertools
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

import hf_xet
import httpx2
import numpy as np
import pytest
from huggingface_hub import HfApi
from loophub import Hub, status
from loophub.xetformat import Malformed, chunk_hash, file_hash, lz4_frame, parse_shard, parse_xorb, to_hex, ungroup4

BIG = np.random.default_rng(2).integers(0, 256, 1_000_000, np.uint8).tobytes()
WORDS = json.dumps([random.Random(3).choice(["attention", "mlp", "norm", "weight"]) for _ in range(30_000)]).encode()
FLOATS = np.random.default_rng(4).normal(size=60_000).astype(np.float32).tobytes()


@pytest.mark.parametrize("data", [BIG, WORDS, FLOATS, bytes(500_000), b"\0", BIG[:8192]], ids=len)
def test_files_are_hashed_as_hf_xet_does(hub: Hub, tmp_path: Path, data: bytes):
    """Chunks cut and compressed by hf_xet, decoded and hashed here, give the hash that hf_xet gives to the file."""
    (tmp_path / "f").write_bytes(data)
    (expected,) = hf_xet.hash_files([f"{tmp_path / 'f'}"])
    blob = hub.put("ann/m", {"f.bin": data}).tree["f.bin"]
    assert blob.xet == expected.hash
    chunks = hub.cas.chunks(blob.xet)
    assert sum(chunk.length for chunk in chunks) == len(data)
    at = 0
    for chunk in chunks:
        assert chunk.hash == chunk_hash(data[at : at + chunk.length])
        at += chunk.length
    assert to_hex(file_hash([(chunk.hash, chunk.length) for chunk in chunks])) == expected.hash
    assert hub.read("ann/m", "f.bin") == data


def test_compressed_chunks_are_among_them(hub: Hub):
    blobs = hub.put("ann/m", {"w.bin": WORDS, "f.bin": FLOATS, "r.bin": BIG}).tree
    schemes = {path: {chunk.scheme for chunk in hub.cas.chunks(blobs[path].xet)} for path in ("w.bin", "f.bin", "r.bin")}
    assert schemes == {"w.bin": {1}, "f.bin": {2}, "r.bin": {0}}


def test_ungrouping_takes_bytes_back_to_their_places():
    for length in range(9):
        data = bytes(range(length))
        assert ungroup4(b"".join(data[place::4] for place in range(4))) == data


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_both_reconstruction_calls_serve_the_client(hub: Hub, version: str, tmp_path: Path):
    hub.cas_versions = {version}
    hub.put("ann/m", {"big.bin": BIG + WORDS})
    path = HfApi().hf_hub_download("ann/m", "big.bin")
    assert Path(path).read_bytes() == BIG + WORDS
    answered = {seen.path.split("/")[3] for seen in hub.log.of("cas", path="*/reconstructions/*", status=200)}
    assert answered == {version}


Reconstruct = Callable[..., httpx2.Response]


@pytest.fixture
def reconstruct(hub: Hub, http: httpx2.Client) -> Reconstruct:
    """`reconstruct(name, asked, version="v2", token=None)` asks the CAS how this range of a file is put together."""

    def ask(name: str, asked: str | None, version: str = "v2", token: str | None = None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token or hub.xet_token()}"} | ({"Range": asked} if asked else {})
        return http.get(f"{hub.cas_url}/{version}/reconstructions/{name}", headers=headers)

    return ask


def build(http: httpx2.Client, told: dict, start: int, stop: int) -> bytes:
    """Put a range together from a v2 answer, by its addresses alone."""
    out = b""
    for term in told["terms"]:
        (fetch,) = told["xorbs"][term["hash"]]
        (inside,) = [
            part
            for part in fetch["ranges"]
            if part["chunks"]["start"] <= term["range"]["start"] and term["range"]["end"] <= part["chunks"]["end"]
        ]
        asked = ",".join(f"{part['bytes']['start']}-{part['bytes']['end']}" for part in fetch["ranges"])
        answer = http.get(fetch["url"], headers={"Range": f"bytes={asked}"})
        assert answer.status_code == 206
        parts = [answer.content]
        if len(fetch["ranges"]) > 1:
            parts = [part.split(b"\r\n\r\n", 1)[1][:-2] for part in answer.content.split(b"--loophub-part")[1:-1]]
        body = parts[fetch["ranges"].index(inside)]
        data, at = b"", 0
        for number in range(inside["chunks"]["start"], term["range"]["end"]):
            stored = int.from_bytes(body[at + 1 : at + 4], "little")
            assert body[at + 4] == 0, "only chunks that are not compressed"
            if number >= term["range"]["start"]:
                data += body[at + 8 : at + 8 + stored]
            at += 8 + stored
        assert len(data) == term["unpacked_length"]
        out += data
    return out[told["offset_into_first_range"] :][: stop - start]


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (0, 1_000_000), (123_456, 654_321), (999_999, 1_000_000), (500_000, 500_001)]
)
def test_a_range_s_reconstruction_is_exact(hub: Hub, http: httpx2.Client, reconstruct: Reconstruct, start: int, stop: int):
    """The terms hold the range, and no chunk more than that."""
    blob = hub.put("ann/m", {"big.bin": BIG}).tree["big.bin"]
    told = reconstruct(blob.xet, f"bytes={start}-{stop - 1}").json()
    assert build(http, told, start, stop) == BIG[start:stop]
    ends = np.cumsum([chunk.length for chunk in hub.cas.chunks(blob.xet)])
    first, last = np.searchsorted(ends, [start, stop - 1], side="right")
    assert sum(term["range"]["end"] - term["range"]["start"] for term in told["terms"]) == last - first + 1


def test_ranges_beyond_the_end(hub: Hub, http: httpx2.Client, reconstruct: Reconstruct):
    blob = hub.put("ann/m", {"big.bin": BIG}).tree["big.bin"]
    assert reconstruct(blob.xet, "bytes=1000000-1000001").status_code == 416
    told = reconstruct(blob.xet, "bytes=999990-2000000").json()
    assert build(http, told, 999_990, 1_000_000) == BIG[-10:]
    assert reconstruct("0" * 64, None).status_code == 404


def test_only_the_signed_range_of_a_xorb_is_served(hub: Hub, http: httpx2.Client, reconstruct: Reconstruct):
    blob = hub.put("ann/m", {"big.bin": BIG}).tree["big.bin"]
    told = reconstruct(blob.xet, "bytes=0-99", "v1").json()
    ((fetch,),) = told["fetch_info"].values()
    span = fetch["url_range"]
    assert http.get(fetch["url"], headers={"Range": f"bytes={span['start']}-{span['end']}"}).status_code == 206
    assert http.get(fetch["url"], headers={"Range": f"bytes={span['start']}-{span['end'] + 1}"}).status_code == 403
    assert http.get(fetch["url"]).status_code == 403


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_chunks_of_one_xorb_in_another_order_come_to_the_client(hub: Hub, version: str):
    hub.put("ann/m", {"big.bin": BIG})
    turned = BIG[600_000:] + BIG[:400_000]
    blob = hub.put("ann/m", {"turned.bin": turned}).tree["turned.bin"]
    (runs,) = [runs for runs in hub.cas.reconstruction(blob.xet, 0, len(turned)).runs().values() if len(runs) > 1]
    assert len(runs) == 2
    hub.cas_versions = {version}
    assert Path(HfApi().hf_hub_download("ann/m", "turned.bin")).read_bytes() == turned


def test_files_that_share_chunks_share_terms(hub: Hub, reconstruct: Reconstruct):
    """A finetune with a changed middle: what comes before and after lies in the xorbs of the first model."""
    changed = BIG[:400_000] + BIG[::-1][:100_000] + BIG[500_000:]
    base = hub.put("ann/base", {"w.bin": BIG}).tree["w.bin"]
    tuned = hub.put("ann/tuned", {"w.bin": changed}).tree["w.bin"]
    assert hub.read("ann/tuned", "w.bin") == changed
    for asked in ("bytes=0-199999", "bytes=700000-999999"):
        one, two = (reconstruct(blob.xet, asked).json() for blob in (base, tuned))
        assert one["terms"] == two["terms"]
        assert one["offset_into_first_range"] == two["offset_into_first_range"]
    assert {term["hash"] for term in reconstruct(tuned.xet, "bytes=430000-460000").json()["terms"]}.isdisjoint(
        term["hash"] for term in reconstruct(base.xet, None).json()["terms"]
    )


def test_an_upload_sends_only_what_is_new(hub: Hub):
    api = HfApi(token=hub.token())
    api.create_repo("ann/m")
    api.upload_file(repo_id="ann/m", path_or_fileobj=BIG, path_in_repo="a.bin")
    assert hub.log.received("cas", "POST", "*/xorbs/*") > len(BIG)
    hub.log.clear()
    api.upload_file(repo_id="ann/m", path_or_fileobj=BIG + FLOATS, path_in_repo="b.bin")
    assert hub.log.received("cas", "POST", "*/xorbs/*") < len(BIG) // 2
    assert hub.read("ann/m", "b.bin") == BIG + FLOATS


@pytest.mark.parametrize("answers", [True, False])
def test_an_upload_learns_from_the_cas_alone_what_others_have_put(hub: Hub, answers: bool):
    """The client asks for the first chunk, finds its own in the keyed list that comes, and sends the rest alone."""
    hub.put("bob/m", {"a.bin": BIG})
    assert list(hub.log) == []
    if not answers:
        hub.fail(status(404), path="*/chunks/*", times=None)
    api = HfApi(token=hub.token())
    api.create_repo("ann/m")
    api.upload_file(repo_id="ann/m", path_or_fileobj=BIG[:800_000] + FLOATS, path_in_repo="a.bin")
    assert hub.log.of("cas", "GET", "*/chunks/default/*", status=200 if answers else 404)
    sent = hub.log.received("cas", "POST", "*/xorbs/*")
    assert sent < len(FLOATS) * 1.6 if answers else sent > 900_000
    assert hub.read("ann/m", "a.bin") == BIG[:800_000] + FLOATS


def test_only_some_chunks_may_be_asked_for(hub: Hub, http: httpx2.Client):
    blob = hub.put("ann/m", {"big.bin": BIG}).tree["big.bin"]
    first, *others = (chunk.hash for chunk in hub.cas.chunks(blob.xet))
    headers = {"Authorization": f"Bearer {hub.xet_token()}"}
    ask = lambda chunk: http.get(f"{hub.cas_url}/v1/chunks/default-merkledb/{to_hex(chunk)}", headers=headers)  # noqa: E731
    assert ask(first).status_code == 200
    assert ask(first).content != ask(first).content, "a key of its own for each answer"
    assert {ask(chunk).status_code for chunk in others if chunk[24] or chunk[25] % 4} == {404}


def test_tokens(hub: Hub, http: httpx2.Client, reconstruct: Reconstruct):
    """Those of the Hub are not taken by the CAS, those for reading do not write, and all of them end."""
    blob = hub.put("ann/m", {"big.bin": BIG}).tree["big.bin"]
    read = hub.xet_token()
    assert reconstruct(blob.xet, None, token=read).status_code == 200
    assert reconstruct(blob.xet, None, token="hf_other").status_code == 401
    shards = f"{hub.cas_url}/v1/shards"
    assert http.post(shards, headers={"Authorization": f"Bearer {read}"}, content=b"").status_code == 403
    assert http.post(shards, headers={"Authorization": f"Bearer {hub.xet_token('write')}"}, content=b"").status_code == 400
    hub.signer.expire_tokens()
    assert reconstruct(blob.xet, None, token=read).status_code == 401
    hub.signer.token_seconds = -1
    assert reconstruct(blob.xet, None).status_code == 401


def test_a_file_that_repeats_itself_fetches_its_chunks_once(hub: Hub, reconstruct: Reconstruct):
    blob = hub.put("ann/m", {"f.bin": BIG[:300_000] * 2 + BIG[300_000:]}).tree["f.bin"]
    told = reconstruct(blob.xet, None).json()
    assert len(told["terms"]) > len(told["xorbs"])
    for (fetch,) in told["xorbs"].values():
        spans = [(part["bytes"]["start"], part["bytes"]["end"]) for part in fetch["ranges"]]
        assert all(end + 1 < start for (_, end), (start, _) in itertools.pairwise(spans))


def shard(name: str, xorb: str, first: int, last: int, length: int) -> bytes:
    """A shard with one file of one term, as clients write it."""

    def raw(digest: str) -> bytes:
        return b"".join(int(digest[at : at + 16], 16).to_bytes(8, "little") for at in range(0, 64, 16))

    head = b"HFRepoMetaData\0".ljust(48, b"\0")
    file = raw(name) + struct.pack("<IIQ", 0, 1, 0)
    term = raw(xorb) + struct.pack("<IIII", 0, length, first, last)
    return head + file + term + b"\xff" * 32 + bytes(16)


def test_a_shard_is_held_to_its_xorbs(hub: Hub):
    blob = hub.put("ann/m", {"f.bin": BIG[:300_000]}).tree["f.bin"]
    ((xorb, chunks),) = hub.cas.xorbs.items()
    hub.cas.files.clear()
    hub.cas.add_shard(shard(blob.xet, xorb, 0, len(chunks), 300_000))
    assert hub.cas.size(blob.xet) == 300_000
    hub.cas.files.clear()
    for bad in (
        shard(blob.xet[::-1], xorb, 0, len(chunks), 300_000),
        shard(blob.xet, xorb[::-1], 0, len(chunks), 300_000),
        shard(blob.xet, xorb, 0, len(chunks) + 1, 300_000),
        shard(blob.xet, xorb, 0, len(chunks), 299_999),
    ):
        with pytest.raises(Malformed):
            hub.cas.add_shard(bad)
    assert not hub.cas.files


def test_what_is_not_sound_is_not_stored(hub: Hub):
    blob = hub.put("ann/m", {"f.bin": BIG[:100_000]}).tree["f.bin"]
    (name,) = hub.cas.xorbs
    body = hub.cas.xorb_bytes(name, 0, hub.cas.xorb_size(name))
    assert len(parse_xorb(body, name)) == len(hub.cas.chunks(blob.xet))
    for bad in (body[:-1], body[:50] + b"x" + body[51:], b"\1" + body[1:], body + b"\0"):
        with pytest.raises(Malformed):
            parse_xorb(bad, name)
    with pytest.raises(Malformed):
        parse_shard(b"x" * 200)
    with pytest.raises(Malformed):
        lz4_frame(b"x" * 20)
