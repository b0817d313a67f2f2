"""Models read from the Hub: the same sites as from files, few requests, little fetched, nothing fetched twice."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from loophub import Hub

from mwv.cli import main

SIDE = 300


def weights(seed: int = 0, layers: int = 4) -> dict[str, np.ndarray[Any, Any]]:
    """Enough for several pieces: each matrix has 360 KB."""
    rng = np.random.default_rng(seed)
    names = [f"model.layers.{i}.self_attn.{part}_proj.weight" for i in range(layers) for part in "qkvo"]
    norms = {f"model.layers.{i}.input_layernorm.weight": rng.normal(size=SIDE).astype(np.float32) for i in range(layers)}
    return {name: rng.normal(0, 0.05, (SIDE, SIDE)).astype(np.float32) for name in names} | norms


def saved(tensors: Mapping[str, np.ndarray[Any, Any]]) -> bytes:
    return safetensors.numpy.save(dict(tensors), {"format": "pt"})


def many_blocks(seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """24 layers of 1 MB, so that one layer shares its block with few."""
    rng = np.random.default_rng(seed)
    names = [f"model.layers.{i}.self_attn.{part}_proj.weight" for i in range(24) for part in "qkvo"]
    return {name: rng.integers(-100, 100, (512, 512), np.int8) for name in names}


CONFIG = json.dumps({"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 4}).encode()


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Any]]:
    """Builds into a folder with a cache, in this process; gives the exit code, what was printed, and the report."""

    def run(*arguments: str, out: str = "site", cache: str = "cache") -> Any:
        report = tmp_path / "report.json"
        report.unlink(missing_ok=True)
        more = ("-o", str(tmp_path / out), "--cache", str(tmp_path / cache), "--report", str(report), "-j", "2")
        code = 0
        try:
            main(["build", *arguments, *more])
        except SystemExit as error:
            code = int(error.code or 0)
        printed = capfd.readouterr()
        said = json.loads(report.read_text()) if report.exists() else {}
        return type("Run", (), {"code": code, "text": printed.out + printed.err, "report": said, "site": tmp_path / out})

    yield run


def scenes(site: Path, slug: str) -> dict[str, bytes]:
    """Data of a model's scenes, which tells all its tiles, and the tiles themselves."""
    found = {path.name: path.read_bytes() for path in (site / slug).glob("*.js") if not path.name.startswith("model-")}
    return found | {path.name: path.read_bytes() for path in (site / "tiles").rglob("*.png")}


def test_a_repo_gives_the_site_of_its_files(hub: Hub, run: Callable[..., Any], tmp_path: Path) -> None:
    data = saved(weights())
    hub.put("ann/tiny", {"model.safetensors": data, "config.json": CONFIG, "README.md": b"# tiny\n", "tokenizer.json": b"{}"})
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/model.safetensors").write_bytes(data)
    (tmp_path / "tiny/config.json").write_bytes(CONFIG)
    hub.log.clear()
    remote = run("hf://ann/tiny")
    assert remote.code == 0, remote.text
    print(hub.log, remote.text)
    local = run(str(tmp_path / "tiny"), out="local", cache="other")
    assert local.code == 0
    assert scenes(remote.site, "tiny") == scenes(local.site, "tiny")


def test_headers_and_tensors_come_in_few_large_ranges(hub: Hub, run: Callable[..., Any]) -> None:
    data = saved(weights())
    hub.put("ann/tiny", {"model.safetensors": data, "config.json": CONFIG, "README.md": b"# tiny\n", "tokenizer.json": b"{}"})
    hub.log.clear()
    done = run("hf://ann/tiny")
    assert done.code == 0, done.text
    ranges = hub.log.of("cdn")
    assert len(ranges) == 2, "the header, then all tensors: they are small"
    assert hub.log.sent("cdn") < 1.06 * len(data)
    assert len(hub.log.of("api")) == 3, "the commit, the listing, a token for the CAS"
    assert hub.log.of(path="*tokenizer*") == hub.log.of(path="*README*") == []
    told = done.report["hub"]
    assert told == done.report["models"][0]["hub"]
    assert told["requests"] == len(list(hub.log))
    assert told["bytes"] == hub.log.sent()


def test_a_second_build_asks_for_metadata_alone(hub: Hub, run: Callable[..., Any]) -> None:
    files = {"model.safetensors": saved(weights()), "config.json": CONFIG}
    hub.put("ann/tiny", files)
    assert run("hf://ann/tiny").code == 0
    hub.log.clear()
    again = run("hf://ann/tiny")
    assert "unchanged" in again.text
    assert [seen.kind for seen in hub.log] == ["api", "api"]

    # In another repository, under another name, in another site: nothing is read either, and nothing is rendered.
    hub.put("bob/copy", {"model.safetensors": files["model.safetensors"], "config.json": CONFIG})
    hub.log.clear()
    copied = run("hf://bob/copy", out="other")
    assert copied.code == 0
    assert copied.report["models"][0]["tiles"]["rendered"] == 0
    assert hub.log.of("cdn") == hub.log.of("resolve") == hub.log.of("cas") == []


def test_a_commit_that_changes_only_the_card_costs_no_tensor(hub: Hub, run: Callable[..., Any]) -> None:
    hub.put("ann/tiny", {"model.safetensors": saved(weights()), "config.json": CONFIG})
    assert run("hf://ann/tiny").code == 0
    hub.put("ann/tiny", {"README.md": b"# better\n"})
    hub.log.clear()
    assert run("hf://ann/tiny").code == 0
    assert hub.log.of("cdn") == hub.log.of("resolve") == []


def test_a_finetune_fetches_what_it_changed(hub: Hub, run: Callable[..., Any]) -> None:
    base = many_blocks()
    changed = "model.layers.12.self_attn.k_proj.weight"
    tuned = base | {changed: base[changed] + np.int8(1)}
    hub.put("ann/base", {"model.safetensors": saved(base)})
    assert run("hf://ann/base").code == 0
    hub.put("bob/tuned", {"model.safetensors": saved(tuned)})
    hub.log.clear()
    done = run("hf://bob/tuned")
    assert done.code == 0, done.text
    # The block that it is drawn in, eight layers at most, of 24; the header, and the ends of pieces.
    print(hub.log, done.report)
    assert base[changed].nbytes < hub.log.sent("cdn") < len(saved(base)) * 0.4
    assert done.report["models"][0]["tiles"]["rendered"] < done.report["models"][0]["tiles"]["total"] * 0.2
    fresh = run("hf://bob/tuned", out="fresh", cache="fresh-cache")
    assert scenes(done.site, "tuned").items() >= scenes(fresh.site, "tuned").items()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_chunks_are_told_by_both_versions(hub: Hub, run: Callable[..., Any], version: Any) -> None:
    hub.cas_versions = {version}
    base = many_blocks()
    hub.put("ann/base", {"model.safetensors": saved(base)})
    assert run("hf://ann/base").code == 0
    hub.put("bob/longer", {"model.safetensors": saved(base | {"z.weight": np.ones((512, 512), np.int8)})})
    hub.log.clear()
    assert run("hf://bob/longer").code == 0
    assert hub.log.sent("cdn") < len(saved(base)) * 0.4


def test_a_file_of_this_machine_is_read_instead(hub: Hub, run: Callable[..., Any], tmp_path: Path) -> None:
    data = saved(weights())
    (tmp_path / "mine.safetensors").write_bytes(data)
    assert run(str(tmp_path / "mine.safetensors")).code == 0
    hub.put("ann/tiny", {"model.safetensors": data})
    hub.log.clear()
    assert run("hf://ann/tiny").code == 0
    assert hub.log.of("cdn") == []


def test_download_puts_files_into_the_hubs_cache(hub: Hub, run: Callable[..., Any]) -> None:
    from huggingface_hub import try_to_load_from_cache

    commit = hub.put("ann/tiny", {"model.safetensors": saved(weights()), "config.json": CONFIG, "more.txt": b"more"})
    assert run("hf://ann/tiny", "--download").code == 0
    assert isinstance(try_to_load_from_cache("ann/tiny", "model.safetensors", revision=commit.oid), str)
    assert try_to_load_from_cache("ann/tiny", "more.txt", revision=commit.oid) is None
    hub.log.clear()
    assert run("hf://ann/tiny", out="other", cache="more").code == 0
    assert [seen.kind for seen in hub.log] == ["api", "api"]


@pytest.mark.parametrize("xet", [True, False])
@pytest.mark.parametrize("kind", ["zip", "legacy", "gguf", "npz"])
def test_other_formats_need_no_whole_file(hub: Hub, run: Callable[..., Any], tmp_path: Path, kind: str, xet: bool) -> None:
    tensors = weights()
    if kind == "gguf":
        import gguf

        writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
        writer.add_token_list([f"token {i}" for i in range(60_000)])
        for name, values in tensors.items():
            writer.add_tensor(name, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        name = "m.gguf"
    elif kind == "npz":
        name = "m.npz"
        np.savez(tmp_path / name, **tensors)  # type: ignore[arg-type]
    else:
        import torch

        name = "pytorch_model.bin"
        state = {key: torch.from_numpy(values) for key, values in tensors.items()}
        torch.save(state, tmp_path / name, _use_new_zipfile_serialization=kind == "zip")
    data = (tmp_path / name).read_bytes()
    hub.put("ann/tiny", {name: data}, xet=xet)
    hub.log.clear()
    done = run("hf://ann/tiny", "--only", "model.layers.1.*")
    assert done.code == 0, done.text
    fetched, chosen = hub.log.sent("cdn"), sum(t.nbytes for key, t in tensors.items() if "layers.1." in key)
    print(kind, fetched, chosen, len(hub.log.of("cdn")))
    assert fetched < chosen + 2.2 * 2**20
    assert len(hub.log.of("cdn")) <= 30
    local = run(str(tmp_path / name), "--only", "model.layers.1.*", "--title", "tiny", out="local", cache="other")
    assert local.code == 0
    named = "tiny" if kind not in ("gguf", "npz") else "m"
    assert scenes(done.site, named) == scenes(local.site, "tiny")
    hub.log.clear()
    run("hf://ann/tiny", "--only", "model.layers.1.*")
    assert [seen.kind for seen in hub.log] == ["api", "api"]


def test_buckets_and_their_changes(hub: Hub, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from mwv.hub.remote import RemoteBytes

    hub.put_bucket("ann/box", {"sub/model.safetensors": saved(weights())})
    done = run("hf://buckets/ann/box/sub")
    assert done.code == 0, done.text
    hub.log.clear()
    assert "unchanged" in run("hf://buckets/ann/box/sub").text
    assert {seen.kind for seen in hub.log} == {"api"}

    hub.put_bucket("ann/box", {"sub/model.safetensors": saved(weights(1))})
    check = RemoteBytes.check_unchanged

    def replaced(self: RemoteBytes) -> None:
        hub.put_bucket("ann/box", {"sub/model.safetensors": saved(weights(2))})
        check(self)

    monkeypatch.setattr(RemoteBytes, "check_unchanged", replaced)
    before = {path: path.read_bytes() for path in done.site.rglob("*") if path.is_file()}
    failed = run("hf://buckets/ann/box/sub")
    assert failed.code == 1
    assert "model.safetensors: changed while it was being read" in failed.text
    assert {path: path.read_bytes() for path in done.site.rglob("*") if path.is_file()} == before


def test_patterns_branches_and_kinds(hub: Hub, run: Callable[..., Any], tmp_path: Path) -> None:
    one, two = saved(weights(1, 1)), saved(weights(2, 1))
    files = {"a.safetensors": one, "b.safetensors": two, "notes.md": b"x", "deep/er/c.safetensors": one}
    hub.put("ann/many", files, branch="pr/new things".replace(" ", "-"))
    done = run("hf://ann/many@pr/new-things/*")
    assert done.code == 0, done.text
    assert {path.parent.name for path in done.site.glob("*/overview.png")} == {"a", "b"}
    assert run("hf://ann/many@pr/new-things/deep/er", out="deep").code == 0
    hub.put("ann/data", {"c.safetensors": one}, kind="dataset")
    (tmp_path / "zoo.toml").write_text(
        '[[model]]\nsource = "hf://datasets/ann/data/c.safetensors"\ntitle = "C"\n[[model]]\nsource = "hf://ann/many@pr/new-things/*"\n'
    )
    zoo = run(str(tmp_path / "zoo.toml"), out="zoo")
    assert zoo.code == 0, zoo.text
    assert len(zoo.report["models"]) == 3
    none = run("hf://ann/many/*.gguf", out="none")
    assert none.code == 1
    assert "matches" in none.text


def test_pages_tell_the_commit(hub: Hub, run: Callable[..., Any]) -> None:
    commit = hub.put("ann/tiny", {"sub/model.safetensors": saved(weights(0, 1))})
    done = run("hf://ann/tiny/sub")
    record = json.loads(next((done.site / "sub").glob("model-*.js")).read_bytes()[len("mwv.model(") : -3])
    assert record["source"] == "ann/tiny/sub"
    assert record["page"] == f"{hub.url}/ann/tiny/tree/{commit.oid}"
    assert record["url"] == f"{hub.url}/ann/tiny/resolve/{commit.oid}/sub/"
    assert record["date"]
    assert f'href="{record["page"]}"' in (done.site / "sub/index.html").read_text()


def test_inspect_measures_what_lies_on_the_hub(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = saved(weights(0, 2))
    hub.put("ann/tiny", {"model.safetensors": data})
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/model.safetensors").write_bytes(data)
    main(["inspect", "hf://ann/tiny", "--stats", "--json"])
    remote = capsys.readouterr().out
    main(["inspect", str(tmp_path / "tiny"), "--stats", "--json"])
    assert remote == capsys.readouterr().out
    assert hub.log.sent("cdn") < len(data) + 2**19


def test_exact_values_come_from_the_commit_that_was_shown(hub: Hub, run: Callable[..., Any], tmp_path: Path) -> None:
    from mwv.checkpoint.opener import Opener
    from mwv.hub.address import parse_address
    from mwv.memory import Memory, recall_source
    from mwv.site.exact import Values, ValuesError, Window
    from mwv.store.store import Store

    tensors = weights(0, 1)
    hub.put("ann/tiny", {"model.safetensors": saved(tensors)})
    site = run("hf://ann/tiny").site
    opener = Opener(print)
    with Store.open(tmp_path / "cache") as store:
        hub.log.clear()
        values = Values(site, lambda identity: recall_source(store, identity), (), Memory(store).digests, opener.open)
        assert values.offers("tiny")
        scene = json.loads(next((site / "tiny").glob("scene-*.js")).read_bytes().partition(b"(")[2].rpartition(b")")[0])
        index = scene["placements"]["tensor"].index(scene["tensors"]["name"].index("model.layers.0.self_attn.q_proj.weight"))
        found = values.read("tiny", Window(0, index, 10, 20, 1, 3))
        assert found["values"] == [list(map(str, tensors["model.layers.0.self_attn.q_proj.weight"][10, 20:23]))]
        assert hub.log.sent("cdn") <= 2**19
        hub.put("ann/tiny", {"model.safetensors": saved(weights(5, 1))})
        later = Values(site, lambda identity: recall_source(store, identity), (), Memory(store).digests, opener.open)
        assert later.read("tiny", Window(0, index, 10, 20, 1, 3)) == found
        named = Values(site, lambda _: None, [parse_address("hf://ann/tiny")], opens=opener.open)
        with pytest.raises(ValuesError, match="changed"):
            named.read("tiny", Window(0, index, 10, 20))
    opener.close()
