"""Scenes of xorbs and of sharing from lists of chunks, against counting byte by byte; and the lists there and back."""

from pathlib import Path

import numpy as np
import pytest

from mwv.errors import SiteError
from mwv.hub.terms import Term
from mwv.site.chunks import decode_chunks, encode_chunks
from mwv.site.shared import Content, common
from mwv.site.storing import MODELS, SEVERAL, UNIQUE, ChunkedModel, classified, content_of
from mwv.xet.stored import StoredFile

SIZES = {chunk: 10 + 7 * chunk for chunk in range(40)}


def stored(name, *ids, terms=()):
    return StoredFile(name, "ab" * 32, np.array([SIZES[i] for i in ids], np.uint32), np.array(ids, np.uint64), terms)


def kept(slug, *files):
    return ChunkedModel(slug, slug.upper(), files)


def plain(runs, size):
    """The code of every byte."""
    lengths = np.minimum(np.diff(runs.ends, prepend=0), size)
    return runs.codes.repeat(lengths)[:size].tolist()


def codes_of(scene, file):
    return plain(scene.runs[file.name], file.size)


A = stored("a", 1, 2, 3, 4, 2)
B1, B2 = stored("b1", 1, 5), stored("b2", 6, 3)
C = stored("c", 3, 7)


def test_a_byte_has_the_class_of_who_else_has_its_chunk():
    models = [kept("a", A), kept("b", B1, B2), kept("c", C)]
    owners = {1: "ab", 2: "a", 3: "abc", 4: "a", 5: "b", 6: "b", 7: "c"}
    for place, (model, scenes) in enumerate(zip(models, classified(models), strict=True)):
        sharing = scenes[1]
        assert (scenes[0].title, sharing.title) == ("Xorbs", "Sharing")
        counted = np.zeros(256, np.int64)
        for file in model.files:
            want = []
            for chunk in file.ids.tolist():
                others = [i for i, slug in enumerate("abc") if slug in owners[chunk] and i != place]
                code = UNIQUE if not others else SEVERAL if len(others) > 1 else MODELS + others[0]
                want += [code] * SIZES[chunk]
            assert codes_of(sharing, file) == want
            counted += np.bincount(want, minlength=256)
        assert {c.code: c.nbytes for c in sharing.classes} == {int(c): int(counted[c]) for c in np.flatnonzero(counted)}
    assert [c.label for c in classified(models)[0][1].classes] == ["only here", "with several models", "with B"]


def test_a_byte_has_the_class_of_its_xorb_which_is_one_in_all_models():
    models = [kept("a", A), kept("b", B1, B2)]
    (first,), (second,) = ([scenes[0]] for scenes in classified(models))
    assert set(codes_of(first, A)) == {1}
    assert codes_of(second, B1) == [1] * SIZES[1] + [2] * SIZES[5]
    assert codes_of(second, B2) == [2] * SIZES[6] + [1] * SIZES[3]
    assert [(x["number"], x["model"]) for x in second.facts["xorbs"]] == [(0, "a"), (1, "b")]
    assert second.facts["xorbs"][0]["bytes"] == SIZES[1] + SIZES[3]
    assert second.facts["files"][0]["terms"] == [0, 0, 1, SIZES[1], 1, 0, 1, SIZES[5]]


def test_a_model_alone_shares_nothing_and_the_hubs_xorbs_keep_their_names():
    remote = stored("r", 8, 9, terms=(Term("cd" * 32, 4, 6, SIZES[8] + SIZES[9]),))
    ((scene,),) = classified([kept("r", remote)])
    assert scene.facts["xorbs"][0] == {"number": 0, "hash": "cd" * 32, "bytes": remote.size, "chunks": 2, "model": "r"}
    assert scene.facts["files"][0]["local"] is False


def test_another_model_at_the_end_leaves_the_xorbs_of_the_others_alone():
    before = classified([kept("a", A), kept("b", B1, B2)])
    after = classified([kept("a", A), kept("b", B1, B2), kept("c", C)])
    for old, new in zip(before, after, strict=False):
        assert old[0].facts == new[0].facts
        assert {n: r.codes.tolist() for n, r in old[0].runs.items()} == {n: r.codes.tolist() for n, r in new[0].runs.items()}


def test_numbers_are_those_of_sets_of_chunks():
    rng = np.random.default_rng(0)
    sets = {slug: {int(n) for n in rng.choice(40, 25, replace=False)} for slug in "abcd"}
    contents = {}
    for slug, chunks in sets.items():
        contents[slug] = content_of([stored("f", *chunks, *list(chunks)[:5])])
        assert int(contents[slug].sizes.sum()) == sum(SIZES[n] for n in chunks)
    found = common(contents)
    weigh = lambda chunks: sum(SIZES[n] for n in chunks)  # noqa: E731
    for i, a in enumerate("abcd"):
        assert found.shared[i] == weigh(sets[a] & set().union(*(sets[b] for b in "abcd" if b != a)))
        for j, b in enumerate("abcd"):
            assert found.between[i, j] == (0 if a == b else weigh(sets[a] & sets[b]))
    assert found.stored == weigh(set().union(*sets.values()))
    assert common({}).stored == common({"a": Content(np.zeros(0, np.uint64), np.zeros(0, np.int64))}).stored == 0


def test_a_list_of_chunks_goes_there_and_back_or_is_refused():
    files = (A, stored("r", 8, terms=(Term("cd" * 32, 4, 5, SIZES[8]),)), stored("empty"))
    content = encode_chunks(files)
    again = decode_chunks(content, Path("x"))
    assert encode_chunks(again) == content
    assert [(f.name, f.hash, f.terms) for f in again] == [(f.name, f.hash, f.terms) for f in files]
    assert again[0].ids.tolist() == A.ids.tolist()
    for damage in (
        b"{}",
        b"[]",
        content[:-9],
        content.replace(b'"name":"a"', b'"name":3'),
        content.replace(b",4,5,", b",-4,5,"),
        content.replace(b'"guessed":[]', b'"guessed":[1]'),
        content.replace(b'"guessed":[]', b'"guessed":["0"]'),
        content.replace(b",4,5,", b",4,9,"),
    ):
        with pytest.raises(SiteError, match="damaged"):
            decode_chunks(damage, Path("x"))
