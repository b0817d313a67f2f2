"""Refusals of the Hub are one line, faults are waited out or leave the site as it was, and no token shows anywhere."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from loophub import Hub, cut, drop, expired_token, expired_url, slow, status
from test_hub_input import CONFIG, saved, weights

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def mwv(*arguments: str, **settings: str) -> tuple[int, str, float]:
    """Exit code, all that was printed, and seconds."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", "from mwv.cli import main; main()", *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr, time.monotonic() - begin


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("hf://ann/none", "no such model repository, or a private one; if it is yours, log in"),
        ("hf://datasets/ann/none", "no such dataset repository"),
        ("hf://buckets/ann/none", "no such bucket"),
        ("hf://ann/secret", "no such model repository, or a private one; if it is yours, log in"),
        ("hf://ann/gate", "gated; ask for access on its page"),
        ("hf://ann/tiny@nowhere", "no revision nowhere"),
        ("hf://ann/tiny/none.safetensors", "no such file or folder"),
        ("hf://ann/tiny/none/deep", "no such file or folder"),
        ("hf://ann/empty", "holds no weights"),
        ("hf://tiny", "Name it as hf://owner/repo"),
    ],
)
def test_what_is_not_there_is_one_line(hub: Hub, tmp_path: Path, source: str, said: str) -> None:
    hub.put("ann/tiny", {"model.safetensors": saved(weights(0, 1))})
    hub.put("ann/secret", {"model.safetensors": saved(weights(0, 1))}, private=True)
    hub.put("ann/gate", {"model.safetensors": saved(weights(0, 1))}, gated="manual")
    hub.put("ann/empty", {"README.md": b"nothing"})
    code, text, _ = mwv("build", source, "-o", str(tmp_path / "site"), "--cache", str(tmp_path / "cache"))
    assert code in (1, 2)
    assert text.count("\n") == 1, text
    assert said in text
    assert not (tmp_path / "site/index.html").exists()


def test_no_network_is_told_soon(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        code, text, _ = mwv("inspect", "hf://ann/tiny", HF_ENDPOINT=endpoint)
    assert code == 1
    assert text.count("\n") == 1
    assert "cannot be reached" in text
    code, text, _ = mwv("inspect", "hf://ann/tiny", HF_HUB_OFFLINE="1")
    assert code == 1
    assert text.count("\n") == 1
    assert "HF_HUB_OFFLINE is set" in text


def test_a_token_opens_and_is_seen_nowhere(hub: Hub, tmp_path: Path) -> None:
    hub.put("ann/secret", {"model.safetensors": saved(weights()), "config.json": CONFIG}, private=True)
    token = hub.token("ann")
    report = tmp_path / "report.json"
    arguments = ("build", "hf://ann/secret", "-o", str(tmp_path / "site"), "--cache", str(tmp_path / "cache"))
    code, text, _ = mwv(*arguments, "--report", str(report), HF_TOKEN=token)
    assert code == 0, text
    wrong, more, _ = mwv("build", "hf://ann/other", "-o", str(tmp_path / "site"), HF_TOKEN=token)
    assert wrong == 1
    assert "the token of this machine gives no access" in more
    assert token not in text + more
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert token.encode() not in path.read_bytes(), path
    record = json.loads(next((tmp_path / "site/secret").glob("model-*.js")).read_bytes()[len("mwv.model(") : -3])
    assert record["url"] == "", "who has no token cannot ask there"


@pytest.mark.parametrize("kind", ["api", "resolve", "cdn", "cas"])
@pytest.mark.parametrize(
    "faults", [(status(429, retry_after=0), cut(100), slow(1)), (drop(), status(500), status(503))], ids=["busy", "broken"]
)
def test_what_passes_is_waited_out(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, faults: tuple[Any, ...]
) -> None:
    hub.put("ann/tiny", {"model.safetensors": saved(weights()), "config.json": CONFIG})
    rules = [hub.fail(fault, kind, after=after) for after in (0, 1) for fault in faults]
    build(tmp_path, monkeypatch)
    assert [rule.hits for rule in rules[:3]] == [1, 1, 1]
    assert b"LlamaForCausalLM" in (tmp_path / "site/site.json").read_bytes()


def test_addresses_and_tokens_expire(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put("ann/tiny", {"model.safetensors": saved(weights())})
    for fault, kind in ((expired_url(), "cdn"), (expired_token(), "cas")):
        rule = hub.fail(fault, kind, after=1)  # type: ignore[arg-type]
        build(tmp_path / kind, monkeypatch)
        assert rule.hits == 1


@pytest.mark.parametrize("kind", ["api", "resolve", "cdn"])
def test_what_does_not_pass_leaves_the_site(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    from mwv.errors import MwvError

    hub.put("ann/tiny", {"model.safetensors": saved(weights()), "config.json": CONFIG})
    build(tmp_path, monkeypatch)
    before = contents(tmp_path / "site")
    for code in (401, 403, 404, 503):
        for after in (0, 1):
            hub.put("ann/tiny", {"model.safetensors": saved(weights(code + after)), "config.json": b" " * after + CONFIG})
            rule = hub.fail(status(code), kind, times=None, after=after)
            with pytest.raises(MwvError) as caught:
                build(tmp_path, monkeypatch)
            assert rule.hits
            assert len(caught.value.lines) == 1
            assert contents(tmp_path / "site") == before
            hub.faults.clear()
    build(tmp_path, monkeypatch)
    assert contents(tmp_path / "site") != before


def contents(site: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}


def test_a_cas_that_fails_only_costs_what_it_would_have_saved(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put("ann/tiny", {"model.safetensors": saved(weights())})
    hub.fail(status(503), "cas", times=None)
    build(tmp_path, monkeypatch)
    assert (tmp_path / "site/tiny/index.html").exists()


def build(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build ann/tiny in this process, without long pauses."""
    from mwv import build as builder
    from mwv.hub import client
    from mwv.hub.address import parse_address
    from mwv.hub.patience import Limits
    from mwv.settings import ModelSettings, Settings

    monkeypatch.setattr(client.Hub.__init__, "__defaults__", (Limits(pause=0.01),))
    source = parse_address("hf://ann/tiny")
    builder.build(Settings((ModelSettings(source),), folder / "site", folder / "cache", jobs=2))


@pytest.mark.parametrize("kind", ["cas", "cdn"])
@pytest.mark.parametrize("fault", [status(403), status(500), cut(100), drop()], ids=["403", "500", "cut", "drop"])
def test_a_download_that_fails_is_one_line(hub: Hub, tmp_path: Path, kind: Any, fault: Any) -> None:
    hub.put("ann/tiny", {"model.safetensors": saved(weights())})
    rule = hub.fail(fault, kind, times=None)
    command = ("build", "hf://ann/tiny", "--download", "-o", f"{tmp_path / 'site'}", "--no-cache")
    code, text, _ = mwv(*command)
    assert (code, text.count("\n")) == (1, 1) and rule.hits
    assert text.startswith("mwv: hf://ann/tiny/model.safetensors: the transfer failed (") and "try again later" in text
    hub.faults.clear()
    assert mwv(*command)[0] == 0


def test_an_endpoint_that_is_no_address_is_told_at_once(tmp_path: Path) -> None:
    for endpoint, said in (("nonsense", "nonsense/api/"), ("ftp://host", "ftp://host/api/"), ("", "api/")):
        code, text, _ = mwv("build", "hf://ann/tiny", "-o", f"{tmp_path}/site", HF_ENDPOINT=endpoint)
        assert code == 1
        assert text == f"mwv: {said}models/ann/tiny: no http(s) address; is HF_ENDPOINT right?\n"
