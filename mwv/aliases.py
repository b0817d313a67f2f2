"""What lies on the Hub in, what is known of its bytes from elsewhere out: by files opened, copies here, chunks shared."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from mwv.checkpoint.source import SETTLED_NS, Content, FileSource, Identity, Source, spelt
from mwv.decode.banded import RECIPE_VERSION
from mwv.decode.tensor import Tensor
from mwv.errors import MwvError
from mwv.pyramid.keys import key_of
from mwv.pyramid.survey import Blobs

WORTH: Final = 64 << 10
"""Bytes of the smallest tensor whose chunks are asked for; a smaller one is fetched as cheaply."""
COPY: Final = 1 << 20
"""Bytes of the smallest file of which copies are looked for."""
_THREADS: Final = 8
_COPIES: Final = 8
"""Files of one size that are remembered."""


class Index(Protocol):
    """Small values that are kept between builds; may lose any of them."""

    def recall(self, namespace: str, key: str) -> bytes | None:
        """A value that was remembered, if it still is."""

    def remember_many(self, namespace: str, values: Mapping[str, bytes]) -> None:
        """Remember values by key."""


def hash_key(identity: Identity | Content) -> str:
    """Under what xet's hash of a file is remembered, in the namespace `xet`."""
    return key_of("xet", *spelt(identity))


class Heads:
    """What was read when files of the Hub were opened, by their content: a second build need not fetch it."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def get(self, content: str) -> bytes | None:
        """What was put, or None."""
        return self._blobs.get(key_of("head", content))

    def put(self, content: str, body: bytes) -> None:
        """Keep it."""
        self._blobs.put(key_of("head", content), body)


class Copies:
    """Files of this machine that may be what lies on the Hub.

    Builds remember the files that they read by their size. When a file of the Hub is opened for the first time, those of its
    size are hashed as xet does, each once while it is unchanged: that is faster than any network, and only equal sizes cost it.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def note(self, sources: Iterable[Source]) -> None:
        """Remember files that were read."""
        for source in sources:
            if isinstance(source, FileSource) and source.size >= COPY:
                known = self._paths(source.size)
                path = str(source.path.absolute())
                if path not in known:
                    body = json.dumps([path, *known][:_COPIES]).encode()
                    self._index.remember_many("copies", {str(source.size): body})

    def find(self, size: int, xet: str) -> Path | None:
        """A file with this xet hash."""
        if size < COPY:
            return None
        for path in map(Path, self._paths(size)):
            try:
                if self._hash(path, size) == xet:
                    return path
            except (MwvError, OSError):
                continue
        return None

    def _paths(self, size: int) -> list[str]:
        body = self._index.recall("copies", str(size))
        return [] if body is None else list(json.loads(body))

    def _hash(self, path: Path, size: int) -> str | None:
        import hf_xet  # late: most builds hash nothing

        source = FileSource(path)
        try:
            if source.size != size:
                return None
            key = hash_key(source.identity)
            if (known := self._index.recall("xet", key)) is not None:
                return known.decode()
            found = str(hf_xet.hash_files([str(path)])[0].hash)
            source.check_unchanged()
        finally:
            source.close()
        if time.time_ns() - source.identity.mtime_ns >= SETTLED_NS:
            self._index.remember_many("xet", {key: found.encode()})
        return found


class Aliases:
    """Digests of tensors by the chunks of xorbs that they are made of, so that no byte of what is known is fetched.

    A key holds the CAS, the terms of each stored tensor, and all that says how its bands lie in its bytes.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._terms: dict[tuple[Source, int, int], object] = {}
        self._silent = False
        """Whether a CAS has refused: then nothing more is asked, for it is only a help."""

    def recall(self, tensors: Sequence[Tensor]) -> list[bytes | None]:
        """Joined digests of the bands of each tensor, where they are known; a request for each stored tensor on the Hub."""
        extents = dict.fromkeys((source, begin, end) for t in tensors for source, (begin, end, _) in t.extents)
        asked = [at for at in extents if at not in self._terms and isinstance(at[0].identity, Content)]
        if asked:
            with ThreadPoolExecutor(_THREADS) as pool:
                found = pool.map(self._ask, *zip(*asked, strict=True))
                self._terms |= {at: terms for at, terms in zip(asked, found, strict=True) if terms is not None}
        keys = [self._key(tensor) for tensor in tensors]
        return [None if key is None else self._index.recall("aliases", key) for key in keys]

    def remember(self, learnt: Iterable[tuple[Tensor, bytes]]) -> None:
        """Keep joined digests of tensors whose bytes were hashed here, as far as `recall` has asked for their chunks."""
        keyed = ((self._key(tensor), joined) for tensor, joined in learnt)
        self._index.remember_many("aliases", {key: joined for key, joined in keyed if key is not None})

    def _ask(self, source: Source, begin: int, end: int) -> object:
        if self._silent or end - begin < WORTH:
            return None
        try:
            made = source.reconstruction(begin, end)
        except MwvError:
            self._silent = True
            return None
        return None if made is None else (made.cas, made.offset, made.length, made.terms)

    def _key(self, tensor: Tensor) -> str | None:
        terms = [self._terms.get((source, begin, end)) for source, (begin, end, _) in tensor.extents]
        return None if None in terms else key_of("alias", RECIPE_VERSION, terms, tensor.form)
