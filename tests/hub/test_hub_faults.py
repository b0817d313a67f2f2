"""Every fault once, and what the unmodified clients make of it."""

import itertools
from pathlib import Path

import httpx2
import numpy as np
import pytest
from huggingface_hub import HfApi, HfFileSystem, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError
from loophub import Fault, Hub, cut, drop, expired_token, expired_url, limited, lost, slow, status

BIG = np.random.default_rng(6).integers(0, 256, 300_000, np.uint8).tobytes()


@pytest.fixture
def api(hub: Hub) -> HfApi:
    hub.put("ann/m", {"a.txt": b"0123456789", "big.bin": BIG})
    hub.put("ann/m", {"lfs.bin": BIG[::-1]}, xet=False)
    return HfApi(token=hub.token("ann"))


PASSING = {
    "cut": cut(5000),
    "drop": drop(),
    "lost": lost(),
    "503": status(503),
    "429": status(429),
    "500": status(500),
    "expired": expired_url(),
}


def some(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", [PASSING[name] for name in names], ids=names)


def down(api: HfApi, path: str) -> bytes:
    return Path(api.hf_hub_download("ann/m", path)).read_bytes()


def up(api: HfApi, data: bytes = BIG[1:]) -> None:
    api.upload_file(repo_id="ann/m", path_or_fileobj=data, path_in_repo="new.bin")


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_passing_refusal_is_tried_again(hub: Hub, api: HfApi, waits: list[float], code: int):
    rule = hub.fail(status(code), "api", "GET", "*/tree/*", times=2)
    assert "a.txt" in [entry.path for entry in api.list_repo_tree("ann/m")]
    assert (rule.hits, waits) == (2, [1, 2])


def test_retry_after_is_honoured(hub: Hub, api: HfApi, waits: list[float]):
    hub.fail(status(429, retry_after=7), "resolve", "GET")
    assert HfFileSystem(token=api.token).cat_file("ann/m/a.txt", start=1, end=3) == b"12"
    hub.fail(limited(42), "resolve", "GET")
    assert HfFileSystem(token=api.token).cat_file("ann/m/a.txt", start=1, end=3) == b"12"
    assert waits == [8, 43]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (status(401, error="RepoNotFound"), RepositoryNotFoundError),
        (status(403, error="GatedRepo"), GatedRepoError),
        (status(403, message="no"), HfHubHTTPError),
        (status(404, error="RepoNotFound"), RepositoryNotFoundError),
    ],
)
def test_a_final_refusal_has_the_client_s_own_error(hub: Hub, api: HfApi, fault: Fault, error: type[Exception]):
    hub.fail(fault, "api", path="/api/models/ann/m")
    with pytest.raises(error):
        api.model_info("ann/m")
    assert api.model_info("ann/m").id == "ann/m"


def test_a_cut_download_goes_on_where_it_was(hub: Hub, api: HfApi, waits: list[float], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)
    hub.fail(cut(100_000), "cdn", path="/cdn/lfs/*")
    assert down(api, "lfs.bin") == BIG[::-1]
    first, second = hub.log.of("cdn")
    assert (first.sent, first.faulty, second.range) == (100_000, True, "bytes=100000-")
    assert waits == [1]


def test_a_cut_answer_is_never_whole(hub: Hub, http: httpx2.Client, api: HfApi):
    hub.fail(cut(10_000_000), path="*/resolve-cache/*")
    with pytest.raises(httpx2.RemoteProtocolError):
        http.get(f"{hub.url}/ann/m/resolve/main/a.txt", follow_redirects=True)
    assert hub.log.sent() == 9


@some(*PASSING)
def test_a_xorb_that_does_not_come_is_asked_for_again(hub: Hub, api: HfApi, fault: Fault):
    rule = hub.fail(fault, "cdn", path="/cdn/xorb/*")
    assert down(api, "big.bin") == BIG
    assert rule.hits == 1
    assert len(hub.log.of("cdn")) == 2


@some("drop", "503", "429")
def test_a_reconstruction_that_does_not_come_is_asked_for_again(hub: Hub, api: HfApi, fault: Fault):
    rule = hub.fail(fault, "cas", path="*/reconstructions/*")
    assert down(api, "big.bin") == BIG
    assert rule.hits == 1


def test_addresses_that_are_over_are_asked_for_anew(hub: Hub, api: HfApi):
    hub.fail(expired_url(), "cdn", path="/cdn/xorb/*")
    assert down(api, "big.bin") == BIG
    assert len(hub.log.of("cas", path="*/reconstructions/*")) == 2


def test_a_token_that_is_over_is_asked_for_anew(hub: Hub, api: HfApi):
    """By the clock: tokens that end within a minute are never used twice."""
    hub.signer.token_seconds = 30
    assert down(api, "big.bin") == BIG
    hub.put("ann/m", {"big.bin": BIG[1:]})
    assert down(api, "big.bin") == BIG[1:]
    assert len(hub.log.of("api", path="*/xet-read-token/*")) >= 2


def test_a_token_refused_before_its_time(hub: Hub, api: HfApi):
    rule = hub.fail(expired_token(), "cas", path="*/reconstructions/*", times=None)
    with pytest.raises(Exception, match="401"):
        down(api, "big.bin")
    assert rule.hits >= 1


@pytest.mark.parametrize("path", ["*/xorbs/*", "*/v1/shards"])
@some("drop", "lost", "503", "429")
def test_an_upload_survives(hub: Hub, api: HfApi, path: str, fault: Fault):
    rule = hub.fail(fault, "cas", "POST", path)
    up(api)
    assert rule.hits == 1
    assert hub.read("ann/m", "new.bin") == BIG[1:]


def test_an_upload_that_is_refused_changes_nothing(hub: Hub, api: HfApi):
    before = hub.repos["model", "ann/m"].at("main").oid
    for kind, path in (("cas", "*/xorbs/*"), ("cas", "*/v1/shards"), ("api", "*/commit/*")):
        rule = hub.fail(status(403), kind, "POST", path, times=None)  # type: ignore[arg-type]
        with pytest.raises(Exception, match="403"):
            up(api)
        assert rule.hits >= 1
        hub.faults.clear()
    assert hub.repos["model", "ann/m"].at("main").oid == before


def test_a_commit_whose_answer_is_lost_is_there(hub: Hub, api: HfApi):
    before = hub.repos["model", "ann/m"].at("main").oid
    hub.fail(drop(), "api", path="*/commit/*")
    with pytest.raises(httpx2.RemoteProtocolError):
        up(api)
    assert hub.repos["model", "ann/m"].at("main").oid == before
    hub.fail(lost(), "api", path="*/commit/*")
    with pytest.raises(httpx2.RemoteProtocolError):
        up(api)
    assert hub.read("ann/m", "new.bin") == BIG[1:]


def test_a_slow_answer(hub: Hub, api: HfApi, waits: list[float]):
    rule = hub.fail(slow(0.4), "resolve", "HEAD")
    path = api.hf_hub_download("ann/m", "a.txt", etag_timeout=0.2)
    assert (Path(path).read_bytes(), rule.hits) == (b"0123456789", 1)
    # hf_hub_download would now try 6 times more, for 60 s each.
    hub.fail(slow(3600), "resolve", "HEAD")
    with pytest.raises(httpx2.ReadTimeout):
        get_hf_file_metadata(hf_hub_url("ann/m", "big.bin"), timeout=0.05)


def test_which_requests_a_rule_hits(hub: Hub, http: httpx2.Client, api: HfApi):
    rule = hub.fail(status(500), path="/api/models/ann/m", after=1, times=2)
    codes = [http.get(f"{hub.url}/api/models/ann/m").status_code for _ in range(4)]
    assert codes == [200, 500, 500, 200]
    assert (rule.matched, rule.hits) == (4, 2)
    hub.fail(status(418), method="HEAD", times=None)
    assert http.get(f"{hub.url}/api/models/ann/m").status_code == 200
    assert [http.head(f"{hub.url}/{name}").status_code for name in itertools.repeat("x", 3)] == [418] * 3
