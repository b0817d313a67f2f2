"""What the report says of an upload is what the loopback Hub has seen and holds: files before and after, its log."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from loophub import Hub, status
from publishkit import Run, published

REPO, BUCKET = "hf://datasets/ann/x", "hf://buckets/ann/x"


def build(mwv_build: Run, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    done = mwv_build("--report", "report.json", *arguments)
    assert done.code == code, done.err
    return json.loads(Path("report.json").read_text())


def differences(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> dict[str, int]:
    added = [path for path, content in after.items() if before.get(path) != content]
    return {"added": len(added), "kept": len(after) - len(added), "deleted": len(before.keys() - after.keys())}


def asked(hub: Hub) -> int:
    """Requests that were not hf_xet's own, which is asked for tokens by itself, too."""
    return len([seen for seen in hub.log if seen.kind not in ("cas", "cdn") and "-write-token/" not in f"{seen.path}/"])


@pytest.mark.parametrize("more", [(), ("--stream",)])
@pytest.mark.parametrize("where", [REPO, BUCKET])
def test_files_bytes_and_requests(ann: Hub, mwv_build: Run, model: Path, other: Path, where: str, more: tuple[str, ...]):
    own = {".gitattributes"} if where == REPO else set()
    for step in ((model,), (other,), ("--remove", "one")):
        options = () if step[0] == "--remove" else more
        before = published(ann, where)
        ann.log.clear()
        report = build(mwv_build, *step, *options, "-o", where)
        after = published(ann, where)
        (upload,) = report["uploads"]
        wanted = differences(before, after)
        assert upload["to"] == where
        assert upload["files"] == wanted | {"kept": wanted["kept"] + len(own)}
        assert upload["bytes"] == sum(len(content) for path, content in after.items() if before.get(path) != content)
        route = "*/commit/*" if where == REPO else "*/batch"
        assert upload["commits"] == len(ann.log.of(method="POST", path=route))
        if where == REPO:  # of buckets the rights are asked for by the same address as hf_xet's tokens
            assert report["hub"]["requests"] == asked(ann)
        sent = ann.log.received() - ann.log.received(path="*/shards")
        most = 1.02 * sent if where == REPO else sent + upload["bytes"]  # hf_xet counts texts before it packs them
        assert 0.98 * sent - 2000 < report["hub"]["sent"] < most + 2000


def test_a_space_beside_the_site_is_an_upload_of_its_own(ann: Hub, mwv_build: Run, model: Path):
    report = build(mwv_build, model, "--stream", "-o", REPO, "--space", "ann/show")
    assert [upload["to"] for upload in report["uploads"]] == [REPO, "hf://spaces/ann/show"]
    assert all(upload["files"]["added"] for upload in report["uploads"])


def test_an_upload_that_failed_is_reported_as_far_as_it_came(ann: Hub, mwv_build: Run, model: Path):
    ann.fail(status(403), "api", path="*/commit/*", times=None)
    report = build(mwv_build, model, "-o", REPO, code=1)
    assert report["models"][0]["change"] == "new"
    assert report["uploads"] == [
        {"to": REPO, "files": {"added": 0, "kept": 1, "deleted": 0}, "bytes": 0, "commits": 0},
    ]
