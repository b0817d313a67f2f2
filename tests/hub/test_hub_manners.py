"""The one client of all requests to the Hub: its limits, its patience, and what it tells a user."""

import threading
import time
from collections.abc import Iterator

import httpx2
import pytest
from loophub import Hub, drop, status

from mwv.errors import HubError
from mwv.hub.patience import Limits, Wire, be_done, be_patient, patient_client

QUICK = Limits(requests=3, tries=4, pause=0.01)


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def wire(hub: Hub, notices: list[str]) -> Iterator[Wire]:
    yield be_patient(QUICK, notices.append)
    be_done()


def test_no_more_requests_at_once_than_the_limit(hub: Hub, wire: Wire) -> None:
    hub.put("ann/tiny", {"a.txt": b"a"})
    now, most, lock = 0, 0, threading.Lock()
    answer = hub.answer

    def watched(request: object) -> object:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        try:
            return answer(request)  # type: ignore[arg-type]
        finally:
            with lock:
                now -= 1

    hub.answer = watched  # type: ignore[method-assign, assignment]
    client = patient_client()
    threads = [threading.Thread(target=client.get, args=(f"{hub.url}/api/models/ann/tiny",)) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == QUICK.requests
    assert wire.requests == 9
    assert wire.nbytes == hub.log.sent()


def test_while_the_hub_asks_to_wait_all_wait(hub: Hub, wire: Wire, notices: list[str]) -> None:
    hub.put("ann/tiny", {"a.txt": b"a"})
    hub.fail(status(429, retry_after=1))
    client, url = patient_client(), f"{hub.url}/api/models/ann/tiny"
    begin = time.monotonic()
    first = threading.Thread(target=client.get, args=(url,))
    first.start()
    while not hub.log.of(status=429):
        time.sleep(0.01)
    time.sleep(0.1)
    assert client.get(url).status_code == 200
    first.join()
    assert time.monotonic() - begin >= 1
    assert len(hub.log.of(status=200)) == 2


def test_after_the_last_try_a_line_says_what_failed(hub: Hub, wire: Wire) -> None:
    hub.fail(status(503), times=None)
    with pytest.raises(HubError, match="answered 503 4 times; try again later"):
        patient_client().get(f"{hub.url}/api/models/ann/tiny?token=secret")
    assert len(list(hub.log)) == QUICK.tries
    with pytest.raises(HubError) as caught:
        patient_client().get(f"{hub.url}/api/models/ann/tiny?signature=secret")
    assert "secret" not in str(caught.value)


def test_a_wait_that_is_too_long_is_told_at_once(hub: Hub, wire: Wire) -> None:
    hub.fail(status(429, retry_after=100_000), times=None)
    with pytest.raises(HubError, match="asks to wait 100000 s"):
        patient_client().get(f"{hub.url}/api/models/ann/tiny")


def test_what_changes_something_is_not_sent_twice(hub: Hub, wire: Wire) -> None:
    rule = hub.fail(drop(), method="POST", times=None)
    with pytest.raises(HubError, match="broke the connection"):
        patient_client().post(f"{hub.url}/api/something", content=b"{}")
    assert rule.hits == 1


def test_who_waits_gives_up_when_the_build_is_over(hub: Hub, wire: Wire) -> None:
    hub.fail(status(429, retry_after=60), times=None)
    threading.Timer(0.3, wire.over.set).start()
    with pytest.raises(HubError, match="stopped"):
        patient_client().get(f"{hub.url}/api/models/ann/tiny")


def test_a_body_that_is_longer_than_it_may_be_is_not_read(hub: Hub, wire: Wire) -> None:
    hub.put("ann/tiny", {"a.txt": b"a" * 100_000})
    client = patient_client()
    url = f"{hub.url}/ann/tiny/resolve/main/a.txt"
    moved = client.fetch(client.build_request("GET", url), 10)
    with pytest.raises(HubError, match="answers 100000 bytes, 10 were asked for"):
        client.fetch(client.build_request("GET", str(httpx2.URL(url).join(moved.headers["Location"]))), 10)
