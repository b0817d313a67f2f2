"""The page of files beside the weights: complete without a script, bounded, and nothing that files hold is taken as HTML."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mwv.checkpoint.folder import LocalFolder
from mwv.files import pairing
from mwv.files.record import files_record
from mwv.site.files_page import files_page
from mwv.site.files_text import file_lines
from mwv.site.templates import Templates, find_templates

EVIL = "<script>alert(1)</script>\"'&\u202e\x00"
VOID = {"meta", "link", "br", "img", "input"}


class Reader(HTMLParser):
    """Tags that are opened and closed in order, and the text."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.tags, self.hrefs = [], "", [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.hrefs += [value for name, value in attrs if name == "href"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


def read(page):
    reader = Reader()
    reader.feed(page.decode())
    reader.close()
    assert reader.open == []
    reader.text = " ".join(reader.text.split())
    return reader


def pair(folder, a, b):
    for side, files in (("a", a), ("b", b)):
        (folder / side).mkdir()
        for name, content in files.items():
            path = folder / side / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    record = files_record(pairing.pair(*(LocalFolder(folder / side) for side in "ab")))
    return json.loads(json.dumps(record))


@pytest.fixture
def record(tmp_path: Path):
    a = {
        "config.json": json.dumps({"vocab_size": 100, "old": 12345, "gone": EVIL, EVIL: 1}),
        "README.md": "---\nlicense: mit\n---\n# A\n\n" + EVIL.replace("\0", "") + "\n",
        "spiece.model": bytes(range(256)) * 50,
        "only.txt": "x",
        "same.json": "{}",
    }
    b = {
        "config.json": json.dumps({"vocab_size": 103, "new": 12345, "long": "v" * 500, EVIL: 2}),
        "README.md": "---\nlicense: apache-2.0\n---\n# B\n\n\tcode\n",
        "spiece.model": bytes(range(256)) * 20 + b"inserted" + bytes(range(256)) * 30,
        "same.json": "{}",
        "<b>.txt": EVIL,
    }
    return pair(tmp_path, a, b)


@pytest.fixture
def templates():
    return Templates(find_templates())


def test_the_page_tells_everything(record, templates):
    page = read(files_page(templates, "The pair", ("Base", "Tuned"), record))
    for text in [
        "What became of Base in Tuned : 3 changed, 1 equal, 1 only in Base, 1 only in Tuned.",
        "Configuration config.json vocab_size 100 → 103",
        "old → new",
        "license mit → apache-2.0",
        "Text 2 lines removed, 2 lines added",
        "renamed old → new 12345",
        "− # A",
        "+ ⇥ code",
        "inserted 5 120 0 5 120 8 8",
        "Only in Base only.txt 1 B",
        "Equal same.json 2 B",
    ]:
        assert text in page.text, text


def test_nothing_that_files_hold_is_taken_as_html(record, templates):
    page = files_page(templates, EVIL, (EVIL, EVIL), record)
    reader = read(page)
    # Its own two scripts, those of every page.
    assert reader.tags.count("script") == 2 and "b" in reader.tags
    assert b"<script>alert" not in page and b"<b>.txt" not in page
    assert "<script>alert(1)</script>" in reader.text and "⟨U+202E⟩" in reader.text
    assert not any(ord(c) in {0, 0x202E} for c in page.decode())
    assert all(href == "index.html" or href.startswith(("../assets/", "#")) for href in reader.hrefs)


def test_the_page_is_bounded_and_says_what_it_leaves_out(tmp_path, templates):
    a = {"big.json": "{}", "big.txt": ""}
    b = {"big.json": json.dumps({f"k{i}": "v" * 3000 for i in range(5000)}), "big.txt": "line\n" * 5000}
    page = files_page(templates, "The pair", ("Base", "Tuned"), pair(tmp_path, a, b))
    assert len(page) < 4_000_000
    text = read(page).text
    assert "4 500 more changes not shown here." in text and "4 500 more changed lines not shown here." in text


def test_equal_folders_make_a_page_too(tmp_path, templates):
    text = read(
        files_page(templates, "The pair", ("Base", "Tuned"), pair(tmp_path, {"config.json": "{}"}, {"config.json": "{}"}))
    ).text
    assert "0 changed, 1 equal" in text and "The same in both." in text


def test_a_terminal_gets_the_same_in_short(record):
    lines = list(file_lines(record, ("Base", "Tuned"), 1))
    assert lines[:4] == [
        "files: 3 changed, 1 equal, 1 only in Base, 1 only in Tuned",
        "  Configuration (config.json):",
        "    vocab_size: 100 → 103",
        "    old → new: 12345",
    ]
    text = "\n".join(lines)
    assert "    and 2 more; --all shows them" in lines
    assert "  only in Tuned:\n    <b>.txt" in text
    assert not any(ord(c) < 32 or ord(c) == 0x202E for c in text.replace("\n", ""))
    assert len(list(file_lines(record, ("Base", "Tuned"), None))) == len(lines) + 1
