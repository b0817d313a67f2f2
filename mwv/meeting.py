"""Models of a site in, the same with what is known of their chunks on the Hub out: so files here and on the Hub meet.

A file of the Hub that this machine has, too, tells the chunks of its xorbs. For the rest the Hub is asked where chunks of this
machine lie: only for those that its global deduplication knows, only until all xorbs are known, and never twice.
"""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mwv.aliases import Index
from mwv.checkpoint.opener import Opener
from mwv.errors import MwvError
from mwv.hub.address import Address
from mwv.memory import recall_chunks, recall_source
from mwv.pyramid.keys import key_of
from mwv.site.storing import ChunkedModel
from mwv.site.writer import SiteWriter
from mwv.xet.chunks import Chunks
from mwv.xet.merkle import hash_text
from mwv.xet.places import Places, by_lists
from mwv.xet.shard import XorbList, is_asked_for, parse_shard
from mwv.xet.stored import id_of

if TYPE_CHECKING:
    from mwv.hub.cas import Cas

VERSION: Final = 1
"""Of what is remembered."""
_AT_ONCE: Final = 4
"""Questions; an answer may have 64 MiB."""
_NAME: Final = 16
"""Digits of a xorb's hash that tell it from others in what is remembered of a question."""


class Meeting:
    """Finds out what the models of a site have in common across machines."""

    def __init__(self, index: Index, opener: Opener | None) -> None:
        """Without an `opener` nothing is asked, and only what is remembered counts."""
        self._index, self._opener = index, opener
        self._cases: dict[str, Cas] | None = None
        """By their addresses; none once one has refused, for they only help."""
        self.sent = 0
        """Hashes of chunks of this machine that the Hub was asked for."""

    def of(self, site: SiteWriter) -> list[ChunkedModel]:
        """The models of the site whose chunks are known, in the order of storing; the site is told what was learnt."""
        models = site.chunked()
        files = [file for model in models for file in model.files]
        places = Places.of(file for file in files if file.terms)
        local = {file.hash: file for file in files if not file.terms and len(file.ids)}
        if places.xorbs and local:
            for file in files:
                if file.terms and file.hash in local:
                    places.learn_file(replace(local[file.hash], terms=file.terms))
            chunks = [recall_chunks(self._index, name) for name in local]
            all_told = self._ask(site, models, places, [found for found in chunks if found is not None])
            if not all_told or None in chunks:
                for file in (file for model in models for file in site.met(model.slug)):
                    places.learn_file(file)
        met = [replace(model, files=tuple(places.refined(f) if f.terms else f for f in model.files)) for model in models]
        for model in met:
            site.add_met(model.slug, model.files if any(len(file.ids) for file in model.files if file.terms) else ())
        return met

    def _ask(self, site: SiteWriter, models: Sequence[ChunkedModel], places: Places, local: Sequence[Chunks]) -> bool:
        """Learn where chunks of this machine lie, until all xorbs are known; whether every question was answered."""
        first = [found.hashes[0].tobytes() for found in local]
        others = [row.tobytes() for found in local for row in found.hashes[1:] if is_asked_for(row.tobytes())]
        key, keyed = b"", dict[bytes, bytes]()
        answered = True
        for group in (*_groups(first), *_groups(others)):
            if not places.unknown:
                break
            questions = [chunk for chunk in group if id_of(chunk) not in places.placed]
            answers = {chunk: self._recall(chunk, places.xorbs) for chunk in questions}
            unknown = [chunk for chunk, lists in answers.items() if lists is None]
            if unknown and self._opener is not None:
                answers |= self._asked(site, models, unknown, places.xorbs)
            for lists in answers.values():
                answered = answered and lists is not None
                for told in lists or ():
                    if told.key != key or not keyed:
                        key, keyed = told.key, by_lists(local, told.key)
                    places.learn_list(told, keyed)
        return answered

    def _asked(
        self, site: SiteWriter, models: Sequence[ChunkedModel], chunks: Sequence[bytes], xorbs: Iterable[str]
    ) -> dict[bytes, list[XorbList] | None]:
        """Answers of all CASes together, remembered; None where one refuses."""
        if self._cases is None:
            self._cases = self._found_cases(site, models)
        if not self._cases:
            return dict.fromkeys(chunks)
        self.sent += len(chunks)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found: dict[bytes, list[XorbList] | None] = dict(zip(chunks, pool.map(self._question, chunks), strict=True))
        wanted = set(xorbs)
        for chunk, lists in found.items():
            if lists is not None:
                found[chunk] = kept = [told for told in lists if told.xorb in wanted]
                self._remember(chunk, wanted, kept)
        return found

    def _question(self, chunk: bytes) -> list[XorbList] | None:
        lists: list[XorbList] = []
        cases = self._cases or {}
        for cas in cases.values():
            try:
                body = cas.chunk(hash_text(chunk))
                lists += parse_shard(body) if body is not None else []
            except (MwvError, ValueError):
                self._cases = {}
                return None
        return lists if cases else None

    def _found_cases(self, site: SiteWriter, models: Sequence[ChunkedModel]) -> "dict[str, Cas]":
        """The CAS of each model of the Hub, as far as it is remembered where that lies, and the Hub tells."""
        found: dict[str, Cas] = {}
        for model in models:
            origin = recall_source(self._index, site.models[model.slug].identity)
            if isinstance(origin, Address) and self._opener is not None and any(file.terms for file in model.files):
                cas = self._opener.cas(origin)
                try:
                    found.setdefault(cas.endpoint, cas)
                except MwvError:
                    return {}
        return found

    def _recall(self, chunk: bytes, xorbs: Iterable[str]) -> list[XorbList] | None:
        """What a question gave, if it was asked for all these xorbs."""
        body = self._index.recall("questions", _question_key(chunk))
        try:
            said = {"for": "", "gave": []} if body is None else json.loads(body)
            names = {said["for"][i : i + _NAME] for i in range(0, len(said["for"]), _NAME)}
            if body is None or not names >= {xorb[:_NAME] for xorb in xorbs}:
                return None
            lists = [(xorb, self._index.recall("xorbs", _xorb_key(xorb))) for xorb in said["gave"]]
            return [XorbList.from_bytes(xorb, told or b"") for xorb, told in lists if xorb in xorbs]
        except (ValueError, KeyError, TypeError):
            return None

    def _remember(self, chunk: bytes, wanted: set[str], lists: Sequence[XorbList]) -> None:
        """What a question for these xorbs gave."""
        self._index.remember_many("xorbs", {_xorb_key(told.xorb): told.to_bytes() for told in lists})
        said = {"for": "".join(sorted(xorb[:_NAME] for xorb in wanted)), "gave": [told.xorb for told in lists]}
        self._index.remember_many("questions", {_question_key(chunk): json.dumps(said).encode()})


def _groups(chunks: Sequence[bytes]) -> list[list[bytes]]:
    once = list(dict.fromkeys(chunks))
    return [once[i : i + _AT_ONCE] for i in range(0, len(once), _AT_ONCE)]


def _hub() -> str:
    """Whose answers are remembered: a Hub that lies harms itself alone."""
    from huggingface_hub import constants  # late: most sites ask nothing

    return str(constants.ENDPOINT)


def _question_key(chunk: bytes) -> str:
    return key_of("question", VERSION, _hub(), chunk.hex())


def _xorb_key(xorb: str) -> str:
    return key_of("xorb", VERSION, _hub(), xorb)
