"""Folders of two models: which files are compared and how, what is summed up, and how long the record may get."""

import json
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwv.checkpoint.folder import LocalFolder
from mwv.checkpoint.opener import Opener
from mwv.files import compare as compare_module
from mwv.files import pairing as pairing_module
from mwv.files import record as record_module
from mwv.files.pairing import pair
from mwv.files.record import files_record
from mwv.hub.address import origin_of


def record_of(a, b):
    found = files_record(pair(LocalFolder(a), LocalFolder(b)))
    assert json.loads(json.dumps(found)) == found
    return found


def written(folder, **files):
    """A folder with these files; __ in a name stands for a folder, _ before the last part for its dot."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_name(".".join(path.name.rsplit("_", 1)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            content
            if isinstance(content, bytes)
            else content.encode()
            if isinstance(content, str)
            else json.dumps(content).encode()
        )
    return folder


def file(found, path):
    return next(one for one in found["files"] if one["path"] == path)


def section(found, path):
    return next(one for one in found["summary"] if one["path"] == path)


def facts(found, path):
    return {fact["label"]: (fact["before"], fact["after"]) for fact in section(found, path)["facts"]}


@pytest.fixture
def tuned(bert, tmp_path):
    """A real model's folder, and one of a finetune with three tokens more, other labels, another card."""
    a, b = tmp_path / "a", tmp_path / "b"
    for folder in (a, b):
        shutil.copytree(bert.parent, folder, ignore=shutil.ignore_patterns("*.safetensors"))
        (folder / "model.safetensors").write_bytes(folder.name.encode())
    tokenizer = json.loads((b / "tokenizer.json").read_text())
    size = len(tokenizer["model"]["vocab"])
    for i, token in enumerate(["<|user|>", "<|end|>", "<b>"]):
        tokenizer["added_tokens"].insert(i, {"id": size + i, "content": token, "special": True})
    (b / "tokenizer.json").write_text(json.dumps(tokenizer))
    config = json.loads((b / "config.json").read_text())
    config |= {"vocab_size": config["vocab_size"] + 3, "architectures": ["BertForSequenceClassification"]}
    (b / "config.json").write_text(json.dumps(config))
    card = (
        (b / "README.md")
        .read_text()
        .replace("license: apache-2.0", "license: mit")
        .replace("384 dimensional", "384-dimensional")
    )
    (b / "README.md").write_text(card)
    (b / "LICENSE").unlink()
    (b / "notes.txt").write_text("new")
    return a, b


def test_a_finetune_is_summed_up(tuned):
    found = record_of(*tuned)
    assert found["counts"] == {"equal": found["counts"]["equal"], "changed": 3, "only_a": 1, "only_b": 1, "unread": 0}
    names = {path.name for path in tuned[0].iterdir()} - {"model.safetensors"}
    assert {one["path"] for one in found["files"]} == names | {"notes.txt"}
    assert facts(found, "config.json") == {
        "architectures[0]": ("BertModel", "BertForSequenceClassification"),
        "vocab_size": ("30522", "30525"),
    }
    assert facts(found, "tokenizer.json") == {
        "Added tokens": ("5", "8"),
        "Tokens on one side alone": ("none", "3: <|user|>, <|end|>, <b>"),
    }
    assert facts(found, "README.md")["license"] == ("apache-2.0", "mit")
    assert section(found, "tokenizer_config.json")["status"] == "equal"
    assert [one["title"] for one in found["summary"]] == ["Configuration", "Tokenizer", "Tokenizer’s settings", "Model card"]
    assert file(found, "tokenizer.json")["json"]["counts"] == {"added": 3}
    assert file(found, "README.md")["json"]["counts"] == {"changed": 1}
    assert {row["text"][:4] for row in file(found, "README.md")["text"]["rows"] if row["kind"] in "+-"} == {"This"}


def test_files_are_compared_as_what_they_are(tmp_path):
    a = written(
        tmp_path / "a", x_json={"a": 1}, rows_jsonl="1\n2\n3\n", n_txt="a\nb\n", raw_model=b"\0\1\2", pool__config_json={"p": 1}
    )
    b = written(
        tmp_path / "b",
        x_json={"a": 2},
        rows_jsonl="1\n9\n2\n3\n",
        n_txt="a\nc\n",
        raw_model=b"\0\3\2",
        pool__config_json={"p": 2},
    )
    found = record_of(a, b)
    assert file(found, "x.json")["json"]["rows"] == [{"kind": "changed", "a": "a", "b": "a", "before": "1", "after": "2"}]
    assert file(found, "rows.jsonl")["json"]["rows"] == [{"kind": "added", "a": None, "b": "[1]", "before": "", "after": "9"}]
    assert [row["kind"] for row in file(found, "n.txt")["text"]["rows"]] == [" ", "-", "+"]
    assert file(found, "raw.model")["bytes"]["rows"] == [
        {"kind": "replaced", "a": 1, "a_length": 1, "b": 1, "b_length": 1, "differing": 1}
    ]
    assert [part["kind"] for part in file(found, "raw.model")["bytes"]["bar"]] == ["equal", "replaced", "equal"]
    assert facts(found, "pool/config.json") == {"p": ("1", "2")}


def test_weights_indices_and_hidden_folders_are_left_out(tmp_path):
    for side in "ab":
        for name in (
            "model.safetensors",
            "x.gguf",
            "model.safetensors.index.json",
            "t.bin",
            ".git/config",
            "sub/y.pt",
            "kept.txt",
        ):
            path = tmp_path / side / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(side)
    found = record_of(tmp_path / "a", tmp_path / "b")
    assert [one["path"] for one in found["files"]] == ["kept.txt"] and not found["notes"]


@pytest.mark.parametrize(
    ("name", "a", "b", "how", "note"),
    [
        ("x_json", "[" * 5000, "[" * 5001, "text", "Not compared as JSON: nested too deeply."),
        (
            "x_json",
            '{"a": 1, "b": 2}',
            '{"b": 2, "a": 1}',
            "json",
            "Only spaces, the order of keys or the spelling of values differ.",
        ),
        ("x_json", b"\0\1", b"\0\2", "bytes", "Not compared as JSON: "),
        ("x_txt", b"\xff\xfe", b"\xff", "bytes", ""),
        ("README_md", "---\na: 'x'\n---\nt", "---\na: x\n---\nt", "json", "Only the spelling of the front matter differs."),
    ],
)
def test_what_is_not_what_it_claims_is_compared_otherwise(tmp_path, name, a, b, how, note):
    (one,) = record_of(written(tmp_path / "a", **{name: a}), written(tmp_path / "b", **{name: b}))["files"]
    assert how in one and one["note"].startswith(note) and bool(one["note"]) == bool(note)


def test_long_files_are_compared_by_bytes_and_longer_ones_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(compare_module, "MOST_TEXT", 100)
    monkeypatch.setattr(compare_module, "MOST_READ", 1000)
    monkeypatch.setattr(compare_module, "_READ", 7)
    a = written(tmp_path / "a", text_txt="a" * 101, same_txt="s" * 500, tail_txt="t" * 500, huge_txt="h" * 1001)
    b = written(tmp_path / "b", text_txt="a" * 50 + "b" * 51, same_txt="s" * 500, tail_txt="t" * 499 + "u", huge_txt="h" * 1001)
    found = record_of(a, b)
    assert {one["path"]: one["status"] for one in found["files"]} == {
        "huge.txt": "unread",
        "same.txt": "equal",
        "tail.txt": "changed",
        "text.txt": "changed",
    }
    assert file(found, "text.txt")["bytes"]["differing"] == 51


def test_a_chat_template_is_compared_by_lines(tmp_path):
    a = written(tmp_path / "a", tokenizer_config_json={"chat_template": "{% for %}\n{{ a }}\n{% endfor %}"})
    b = written(tmp_path / "b", tokenizer_config_json={"chat_template": "{% for %}\n{{ b }}\n{{ c }}\n{% endfor %}"})
    found = record_of(a, b)
    (row,) = file(found, "tokenizer_config.json")["json"]["rows"]
    assert [line["kind"] for line in row["text"]["rows"]] == [" ", "-", "+", "+", " "]
    assert facts(found, "tokenizer_config.json") == {"chat_template": ("1 line removed, 2 lines added",) * 2}


def test_the_record_is_bounded_and_says_what_it_leaves_out(tmp_path, monkeypatch):
    monkeypatch.setattr(record_module, "_TEXT", 100_000)
    long = {f"k{i}": "v" * 5000 for i in range(2000)}
    texts = ("\n".join(f"{side} {i}" + "x" * 3000 for i in range(1000)) for side in "ab")
    a = written(tmp_path / "a", big_json={}, list_json=[], many_txt=next(texts), z_json={"k": list(range(10**6))})
    b = written(tmp_path / "b", big_json=long, list_json=[1], many_txt=next(texts), z_json={"k": None})
    found = record_of(a, b)
    assert len(json.dumps(found)) < 150_000
    big = file(found, "big.json")["json"]
    assert len(big["rows"]) > 0 and len(big["rows"]) + big["more"] == 2000
    assert big["rows"][0]["after"].endswith("… (5,000 characters)")
    text = file(found, "many.txt")["text"]
    assert sum(row["kind"] in "+-" for row in text["rows"]) + text["more"] == 2000
    assert file(found, "z.json")["json"]["more"] == 1


def test_many_runs_make_a_bar_of_bounded_length(tmp_path):
    noise = random.Random(4).randbytes(400_000)
    other = b"".join(noise[at : at + 1000] + b"<inserted>" for at in range(0, len(noise), 1000))
    found = record_of(written(tmp_path / "a", x_model=noise), written(tmp_path / "b", x_model=other))
    data = file(found, "x.model")["bytes"]
    assert len(data["rows"]) > 300 and len(data["bar"]) <= record_module._STRIPES + 1
    assert sum(part["differing"] for part in data["bar"]) == data["differing"]


def test_too_many_files_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(pairing_module, "MOST_FILES", 3)
    found = record_of(written(tmp_path / "a", **{f"f{i}_txt": "x" for i in range(5)}), written(tmp_path / "b", x_txt="x"))
    assert found["notes"] == ["a: only the first 3 files were compared"] and len(found["files"]) == 4


@pytest.mark.parametrize(
    "tokenizer",
    [[], 1, {"model": 3}, {"model": {"vocab": [1, [2], ["a"]]}, "added_tokens": [1, {"content": 2}]}, {"added_tokens": {}}],
)
def test_odd_tokenizers_and_configurations_are_summed_up(tmp_path, tokenizer):
    a = written(tmp_path / "a", tokenizer_json=tokenizer, config_json=[1])
    b = written(
        tmp_path / "b",
        tokenizer_json={"model": {"vocab": {"a": 1}}, "normalizer": {"type": "Sequence", "normalizers": [3]}},
        config_json=5,
    )
    assert section(record_of(a, b), "tokenizer.json")["facts"]


keys = st.text("ab\n\0\ud800<", max_size=3)
jsons = st.recursive(
    st.none() | st.floats() | st.text("a\n\ud800", max_size=4),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(keys, x, max_size=3),
)


@settings(deadline=None, max_examples=80)
@given(jsons, jsons)
def test_any_json_under_any_known_name_gives_a_record(tmp_path_factory, a, b):
    folder = tmp_path_factory.mktemp("any")
    names = ("config_json", "tokenizer_json", "tokenizer_config_json", "README_md")
    record_of(*(written(folder / side, **{name: {"x": value} for name in names}) for side, value in (("a", a), ("b", b))))


def test_repositories_are_compared_like_folders(hub, tuned, tmp_path):
    a, b = tuned
    for side in tuned:
        files = {str(path.relative_to(side)): path.read_bytes() for path in side.rglob("*") if path.is_file()}
        hub.put(f"ann/{side.name}", files)
    opener = Opener(print)
    folders = [opener.whole_folder(origin_of(f"hf://ann/{name}")) for name in "ab"]
    assert files_record(pair(*folders)) == record_of(a, b)
    # What the listing shows to be equal is not asked for.
    assert hub.log.of("resolve", path="*/config.json")
    assert not hub.log.of("resolve", path="*/vocab.txt")
    assert opener.whole_folder(origin_of("hf://ann/a/config.json")) is None
    assert opener.whole_folder(Path(a)) == LocalFolder(a) and opener.whole_folder(a / "config.json") is None
    opener.close()
