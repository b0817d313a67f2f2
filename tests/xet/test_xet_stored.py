"""Where chunks are stored, against the real client, which uploads into a folder and leaves there what it told the server."""

import struct

import hf_xet
import numpy as np

from mwv.checkpoint.source import FileSource
from mwv.hub.terms import Term
from mwv.xet import stored
from mwv.xet.chunks import chunks_of
from mwv.xet.stored import StoredFile, local_file, store, units


def spelt(raw):
    return "".join(f"{int.from_bytes(raw[i : i + 8], 'little'):016x}" for i in range(0, 32, 8))


def uploaded(folder):
    """The terms of each file that the shards of a local CAS tell, by the file's hash."""
    found = {}
    for path in folder.rglob("*.mdb"):
        data, place = path.read_bytes(), 48
        while True:
            name, flags, count = struct.unpack_from("<32sII", data, place)
            place += 48
            if name == b"\xff" * 32:
                break
            found[spelt(name)] = [struct.unpack_from("<32sIIII", data, place + 48 * i) for i in range(count)]
            place += 48 * count * (1 + (flags >> 31 & 1)) + 48 * (flags >> 30 & 1)
    return {name: [(spelt(x), first, last, size) for x, _, size, first, last in terms] for name, terms in found.items()}


def test_uploads_one_after_the_other_are_stored_as_the_real_client_stores_them(tmp_path):
    rng = np.random.default_rng(5)
    first = rng.bytes(150 << 20)
    second = bytearray(first[: 100 << 20])
    second[40 << 20 : (40 << 20) + 100] = rng.bytes(100)
    contents = {"first": first, "second": bytes(second) + rng.bytes(20 << 20)}
    (tmp_path / "cas").mkdir()
    session = hf_xet.XetSession()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with session.new_upload_commit(endpoint=f"local://{tmp_path / 'cas'}") as commit:
            commit.start_upload_file(str(tmp_path / name))
    files = [local_file(name, chunks_of(FileSource(tmp_path / name))) for name in contents]
    want = uploaded(tmp_path / "cas")
    names = {}
    for (file,) in store([[file] for file in files]):
        got = [(names.setdefault(term.xorb, term.xorb), term.first, term.last, term.length) for term in file.terms]
        real = want[file.hash]
        assert [term[1:] for term in got] == [term[1:] for term in real]
        for ours, theirs in zip(got, real, strict=True):
            # One name of theirs for each of ours, and the other way round.
            assert names.setdefault((ours[0], "theirs"), theirs[0]) == theirs[0]
            assert names.setdefault((theirs[0], "ours"), ours[0]) == ours[0]
        assert file.size == len(contents[file.name])
    assert sum(1 for name in names if isinstance(name, str)) == 4


def local(*ids, length=1000):
    return StoredFile("f", "", np.full(len(ids), length, np.uint32), np.array(ids, np.uint64))


def test_a_xorb_holds_so_many_chunks_and_bytes(monkeypatch):
    monkeypatch.setattr(stored, "XORB_CHUNKS", 3)
    assert store([[local(1, 2, 3, 4)]])[0][0].terms == (Term("#0", 0, 3, 3000), Term("#1", 0, 1, 1000))
    monkeypatch.setattr(stored, "XORB_BYTES", 2000)
    assert [t.last for t in store([[local(1, 2, 3, 4)]])[0][0].terms] == [2, 2]


def test_files_of_a_model_fill_one_xorb_and_each_model_begins_another():
    (one, two), (three,) = store([[local(1, 2), local(2, 3)], [local(4, 1)]])
    assert one.terms == (Term("#0", 0, 2, 2000),)
    assert two.terms == (Term("#0", 1, 3, 2000),)
    assert three.terms == (Term("#1", 0, 1, 1000), Term("#0", 0, 1, 1000))


def test_chunks_that_the_hub_has_are_not_stored_again():
    remote = StoredFile("f", "", np.array([7, 8], np.uint32), np.array([1, 2], np.uint64), (Term("ab", 5, 7, 15),))
    assert store([[remote], [local(2, 3)]])[1][0].terms == (Term("ab", 6, 7, 1000), Term("#0", 0, 1, 1000))
    assert store([[remote]])[0][0] is remote


def test_units_are_chunks_or_their_places():
    ids, sizes = units(local(3, 4, 3))
    assert (ids.tolist(), sizes.tolist()) == ([3, 4, 3], [1000] * 3)
    none = np.zeros(0, np.uint32), np.zeros(0, np.uint64)
    a, b = (StoredFile("f", "", *none, terms) for terms in ((Term("x", 0, 3, 10),), (Term("y", 0, 1, 4), Term("x", 2, 3, 4))))
    (one, sizes), (two, _) = units(a), units(b)
    assert sizes.tolist() == [3, 3, 4]
    assert one[2] == two[1]
    assert len({*one.tolist(), *two.tolist()}) == 4
    assert units(StoredFile("f", "", *none))[0].size == 0
