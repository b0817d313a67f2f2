"""Models of the Hub and of this machine in one site with --show-xet-xorbs: what they share, against chunks counted apart."""

import json
import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from loophub import Fault, cut, status
from loophub.xetformat import chunk_hash
from safetensors.numpy import save

from mwv.build import build
from mwv.hub import client
from mwv.hub.address import parse_address
from mwv.hub.patience import Limits
from mwv.settings import ModelSettings, Settings
from mwv.site.chunks import decode_chunks
from mwv.site.data import parse
from mwv.site.shared import common
from mwv.site.storing import content_of
from mwv.site.text import size
from mwv.xet.chunks import chunks_of

LONG_AGO = 1_600_000_000


class Bytes:
    def __init__(self, data):
        self.data, self.size = data, len(data)

    def read(self, offset, length):
        return self.data[offset : offset + length]


def contents():
    """A base, a finetune with a header of its own and one matrix changed, and a finetune of that with another one changed."""
    rng = np.random.default_rng(0)
    base = {f"model.layers.{i}.mlp.up_proj.weight": rng.standard_normal((600, 400)).astype(np.float32) for i in range(4)}
    tuned = {**base, "model.layers.2.mlp.up_proj.weight": rng.standard_normal((600, 400)).astype(np.float32)}
    again = {**tuned, "model.layers.3.mlp.up_proj.weight": rng.standard_normal((600, 400)).astype(np.float32)}
    mine, theirs = {"format": "pt"}, {"kind": "tuned"}
    return {"base": save(base, mine), "tuned": save(tuned, theirs), "again": save(again, theirs)}


CONTENTS = contents()


def oracle(data):
    """Bytes of each distinct chunk, by its hash; cuts are tested against the specification elsewhere, hashes here anew."""
    found, at = {}, 0
    for length in chunks_of(Bytes(data)).lengths.tolist():
        found[chunk_hash(data[at : at + length])] = length
        at += length
    assert at == len(data)
    return found


def shared(one, two):
    a, b = oracle(CONTENTS[one]), oracle(CONTENTS[two])
    return sum(a[chunk] for chunk in a.keys() & b.keys())


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(client.Hub.__init__, "__defaults__", (Limits(pause=0.01),))


@pytest.fixture
def here(tmp_path):
    """Files of this machine."""
    for name, data in CONTENTS.items():
        path = tmp_path / f"my-{name}.safetensors"
        path.write_bytes(data)
        os.utime(path, (LONG_AGO, LONG_AGO))
    return tmp_path


def put(hub, *names):
    for name in names:
        hub.put(f"ann/{name}", {"model.safetensors": CONTENTS[name]})
    hub.log.clear()


def run(here, *names, site="site", cache="cache", **options):
    """Build models by name: `my-…` of this machine, others of the Hub."""
    sources = [here / f"{name}.safetensors" if name.startswith("my-") else parse_address(f"hf://ann/{name}") for name in names]
    report = here / "report.json"
    options = {"xorbs": True, **options}
    build(Settings(tuple(map(ModelSettings, sources)), here / site, here / cache, report=report, **options))
    return json.loads(report.read_text())


def stored(site):
    models = json.loads((site / "site.json").read_text())["models"]
    return {m["slug"]: decode_chunks((site / m["slug"] / (m["met"] or m["chunks"])).read_bytes(), Path()) for m in models}


def matrix(site):
    found = common({slug: content_of(files) for slug, files in stored(site).items()})
    return {(a, b): int(found.between[i, j]) for (i, a), (j, b) in product(enumerate(found.slugs), repeat=2) if a != b}


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def scene(site, slug, index):
    (path,) = (site / slug).glob(f"scene-{index}-*.js")
    return parse(path.read_bytes(), "scene")


def hashes_sent(hub):
    return {seen.path.rpartition("/")[2] for seen in hub.log.of("cas", "GET", "*/chunks/*")}


ALL = ("my-base", "base", "tuned", "my-again")


def test_local_and_remote_models_share_what_their_chunks_say(hub, here):
    put(hub, "base", "tuned")
    run(here, *ALL)
    site = here / "site"
    found = matrix(site)
    assert found == {(a, b): shared(a.removeprefix("my-"), b.removeprefix("my-")) for a, b in found}
    assert 0 < found["my-again", "base"] < found["my-again", "tuned"] < found["my-base", "base"]
    page = (site / "sharing.html").read_text()
    assert "could not be checked" not in page and "equally long" not in page
    assert size(shared("again", "tuned")) in page
    for slug in ALL:
        others = [oracle(CONTENTS[other.removeprefix("my-")]) for other in ALL if other != slug]
        own = oracle(CONTENTS[slug.removeprefix("my-")])
        (entry,) = (m for m in json.loads((site / "site.json").read_text())["models"] if m["slug"] == slug)
        assert entry["chunk_shared"] == sum(n for chunk, n in own.items() if any(chunk in other for other in others))
        (file,) = scene(site, slug, 1)["files"]
        assert file["chunks"], "lengths of chunks are known"
        told = [n for name in file["chunks"] for n in parse((site / slug / name).read_bytes(), "chunks")["lengths"]]
        assert told == chunks_of(Bytes(CONTENTS[slug.removeprefix("my-")])).lengths.tolist()
    xorbs = {slug: {x["hash"] for x in scene(site, slug, 1)["xorbs"]} for slug in ALL}
    assert xorbs["my-base"] == xorbs["base"] < xorbs["tuned"] and "" not in xorbs["tuned"]
    assert xorbs["my-again"] == xorbs["tuned"] | {""}, "its own matrix alone is nowhere on the Hub"


def test_only_hashes_that_may_be_asked_for_are_sent_and_each_once(hub, here, capfd):
    put(hub, "base", "tuned")
    run(here, *ALL)
    sent = hashes_sent(hub)
    local = [chunks_of(Bytes(CONTENTS[name])).hashes for name in ("base", "again")]
    spelt = lambda row: "".join(row.tobytes()[i : i + 8][::-1].hex() for i in range(0, 32, 8))  # noqa: E731
    may = {spelt(rows[0]) for rows in local} | {spelt(r) for rows in local for r in rows if r[24] == r[25] % 4 == 0}
    assert sent and sent <= may
    assert spelt(local[0][0]) not in sent, "the copy of a whole file tells more than an answer"
    assert f"{len(sent)} chunk hash" in capfd.readouterr().err
    before = tree(here / "site")
    hub.log.clear()
    report = run(here, *ALL)
    assert not hub.log.of("cas") and not hub.log.of("cdn")
    assert report["xorbs"] == {"rendered": 0, "reused": 0}
    assert all(model["bytes"]["read"] == model["bytes"]["hashed"] == 0 for model in report["models"])
    assert tree(here / "site") == before
    run(here, *ALL, site="fresh", cache="other", jobs=2)
    assert tree(here / "fresh") == before


def test_without_models_of_both_kinds_or_without_the_flag_nothing_is_sent(hub, here):
    put(hub, "base", "tuned")
    run(here, "base", "tuned")
    run(here, "my-base", "my-again", site="mine")
    run(here, "my-again", site="plain", xorbs=False)
    run(here, "base", site="plain", xorbs=False)
    run(here, "base", "my-base", "my-again", site="copy")
    assert not hashes_sent(hub), "in the last site because the copy of the whole file tells all"
    assert matrix(here / "copy")["base", "my-again"] == shared("base", "again")
    page = (here / "site/sharing.html").read_text()
    assert "equally long" in page and "could not be checked" not in page


def test_models_that_come_and_go_meet_and_part(hub, here):
    put(hub, "tuned", "base")
    run(here, "tuned")
    alone = tree(here / "site")
    run(here, "my-again")
    assert matrix(here / "site") == {
        ("my-again", "tuned"): shared("again", "tuned"),
        ("tuned", "my-again"): shared("again", "tuned"),
    }
    run(here, "tuned", "my-again", site="at-once")
    assert tree(here / "site") == tree(here / "at-once")
    met = tree(here / "site")
    hub.log.clear()
    run(here, "base", xorbs=False)
    run(here, remove=("base",))
    assert tree(here / "site") == met, "a build without the flag asks nothing, and forgets nothing"
    run(here, "base", cache="elsewhere", xorbs=False)
    run(here, remove=("base",), cache="elsewhere", xorbs=False)
    assert tree(here / "site") == met, "nor does one that knows no hashes"
    assert not hashes_sent(hub)
    run(here, remove=("my-again",))
    assert tree(here / "site") == alone


FAULTS = {
    "403": status(403),
    "404": status(404),
    "500": status(500),
    "cut": cut(100),
    "garbage": Fault(200, {"Content-Type": "application/octet-stream"}, b"HFRepoMetaData\0 and no more", done=False),
    "page": Fault(200, {"Content-Type": "text/html"}, b"<html>", done=False),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_cas_that_does_not_say_leaves_a_right_site_and_a_remark(hub, here, name):
    put(hub, "tuned")
    hub.fail(FAULTS[name], path="*/chunks/*", times=None)
    run(here, "tuned", "my-again")
    site = here / "site"
    assert set(matrix(site).values()) == {0}
    page = (site / "sharing.html").read_text()
    assert "equally long" in page and "could not be checked" in page
    assert scene(site, "tuned", 1)["files"][0]["chunks"] == []
    hub.faults.clear()
    run(here, "tuned", "my-again")
    if name != "404":  # that is an answer
        assert set(matrix(site).values()) == {shared("again", "tuned")}
        assert "equally long" not in (site / "sharing.html").read_text()


def test_a_xorb_of_which_no_chunk_may_be_asked_for_stays_unknown(hub, here):
    """The second upload's first chunk lies in the xorb of the first one: nobody can ask for what the second brought."""
    base = CONTENTS["base"]
    tuned = base[:1_000_000] + np.random.default_rng(1).bytes(900_000) + base[1_900_000:]
    rows = chunks_of(Bytes(tuned)).hashes
    assert not any(row[24] == row[25] % 4 == 0 for row in rows)
    hub.put("ann/base", {"model.safetensors": base})
    hub.put("ann/tuned", {"model.safetensors": tuned})
    run(here, "tuned", "my-base")
    (file,) = stored(here / "site")["tuned"]
    assert [number for number, term in enumerate(file.terms) if term.xorb not in {file.terms[0].xorb}] == list(file.guessed)
    a, b = oracle(base), oracle(tuned)
    assert set(matrix(here / "site").values()) == {sum(a[chunk] for chunk in a.keys() & b.keys())}
    page = (here / "site/sharing.html").read_text()
    assert f"tuned ({size(file.guessed_bytes)} of {size(len(tuned))})" in page and "could not be checked" in page
    (told,) = scene(here / "site", "tuned", 1)["files"]
    scripts = [parse((here / "site/tuned" / name).read_bytes(), "chunks") for name in told["chunks"]]
    ends = np.cumsum(chunks_of(Bytes(tuned)).lengths)
    assert len(scripts) == 2
    for script in scripts:
        assert script["offset"] in (0, *ends.tolist())
        assert set(np.cumsum(script["lengths"]) + script["offset"]) <= set(ends.tolist())


def test_a_copy_that_is_read_in_the_place_of_a_file_lies_in_its_xorbs(hub, here):
    put(hub, "base")
    run(here, "base", site="remote", cache="other")
    run(here, "my-base", site="mine", xorbs=False)
    hub.log.clear()
    run(here, "base", site="copied")
    assert not hub.log.of("cdn")
    assert tree(here / "copied") == tree(here / "remote")
