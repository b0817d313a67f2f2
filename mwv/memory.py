"""What earlier builds learnt in, what this build need not read again out: digests of bands, statistics, chunks.

Digests are remembered for a file as it was: path, size, times, inode and device. A file whose time of change lay less than
two seconds back when the build began to read could change again unseen, so nothing is remembered about it. Statistics belong to
digests. All of it is advice: `Survey` checks every byte that is drawn against the digest it relies on.
What a whole model became is remembered, too: its pages need not be made again while files, options and program are the same.
"""

import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

from blake3 import blake3

from mwv.aliases import Aliases, Index, hash_key
from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.source import SETTLED_NS, Source, spelt
from mwv.decode.banded import RECIPE_VERSION
from mwv.decode.tensor import Tensor
from mwv.hub.address import Address, Origin, origin_of
from mwv.layout.grid import Grid
from mwv.measure import slabs
from mwv.measure.stats import TensorStats
from mwv.pyramid.keys import key_of
from mwv.pyramid.survey import Subject
from mwv.site.text import canonical
from mwv.store.index import OUTCOMES
from mwv.xet.chunks import VERSION as CHUNKS_VERSION
from mwv.xet.chunks import Chunks
from mwv.xet.merkle import file_hash, hash_text

_DIGEST: Final = 32
EVERY: Final = 2.0
"""Seconds after which what was noted is remembered: a build that is killed has lost no more."""


class Memory:
    """Recalls and remembers for tensors whose files are opened after it was made."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._aliases = Aliases(index)
        self._opened_ns = time.time_ns()
        self._lock = Lock()
        self._noted: list[tuple[Subject, Sequence[bytes], TensorStats]] = []
        self._settled_at = time.monotonic()

    def recall(self, subjects: Sequence[Subject | None]) -> list[Subject | None]:
        """Subjects with what is remembered about them: by their files, else by the chunks that they are made of."""
        found = [None if subject is None else subject.digests or self.digests(subject.tensor) for subject in subjects]
        unknown = [i for i, subject in enumerate(subjects) if subject is not None and found[i] is None]
        tensors = [subject.tensor for i in unknown if (subject := subjects[i]) is not None]
        again: dict[str, bytes] = {}
        for i, tensor, joined in zip(unknown, tensors, self._aliases.recall(tensors), strict=True):
            found[i] = _split(joined, tensor.bands)
            if found[i] is not None and joined is not None and (key := self._file_key(tensor)) is not None:
                again[key] = joined
        self._index.remember_many("digests", again)
        return [self._with(subject, digests) for subject, digests in zip(subjects, found, strict=True)]

    def _with(self, subject: Subject | None, digests: tuple[bytes, ...] | None) -> Subject | None:
        if subject is None or digests is None:
            return subject
        return replace(subject, digests=digests, stats=subject.stats or self._stats(digests, subject.grid))

    def digests(self, tensor: Tensor) -> tuple[bytes, ...] | None:
        """Value digests of all bands, if the file is unchanged since they were remembered."""
        key = self._file_key(tensor)
        return _split(self._index.recall("digests", key) if key is not None else None, tensor.bands)

    def note(self, subject: Subject, bands: Sequence[bytes], numbers: TensorStats) -> None:
        """Remember a subject soon, together with others; it counts when its sources are seen not to have changed."""
        with self._lock:
            self._noted.append((subject, bands, numbers))
            if time.monotonic() - self._settled_at < EVERY:
                return
            noted, self._noted, self._settled_at = self._noted, [], time.monotonic()
        self._remember(noted)

    def settle(self) -> None:
        """Remember all that was noted."""
        with self._lock:
            noted, self._noted = self._noted, []
        self._remember(noted)

    def _remember(self, learnt: Sequence[tuple[Subject, Sequence[bytes], TensorStats]]) -> None:
        """Keep digests and statistics; raises SourceChangedError if a source has changed meanwhile."""
        for source in {source for subject, _, _ in learnt for source, _ in subject.tensor.extents}:
            source.check_unchanged()
        digests: dict[str, bytes] = {}
        stats: dict[str, bytes] = {}
        hashed = []
        for subject, bands, numbers in learnt:
            joined = b"".join(bands)
            if subject.digests is None:
                hashed.append((subject.tensor, joined))
                key = self._file_key(subject.tensor)
                if key is not None:
                    digests[key] = joined
            stats[_stats_key(bands, subject.grid)] = numbers.to_bytes()
        self._index.remember_many("digests", digests)
        self._index.remember_many("stats", stats)
        self._aliases.remember(hashed)

    def chunks(self, source: Source) -> Chunks | None:
        """The chunks of a file, if it is unchanged since they were remembered."""
        name = self._index.recall("xet", hash_key(source.identity)) if self._settled(source) and source.identity else None
        found = None if name is None else recall_chunks(self._index, name.decode())
        return found if found is not None and found.size == source.size else None

    def remember_chunks(self, source: Source, chunks: Chunks) -> None:
        """Keep the chunks of a file that was seen not to have changed meanwhile."""
        name = hash_text(file_hash(chunks))
        self._index.remember_many("chunks", {_chunks_key(name): chunks.to_bytes()})
        if self._settled(source) and source.identity:
            self._index.remember_many("xet", {hash_key(source.identity): name.encode()})

    def stream(self, sources: Sequence[Source], how: object) -> bytes | None:
        """What was learnt in some way of files, if all are unchanged since."""
        key = self._stream_key(sources, how)
        return None if key is None else self._index.recall("streams", key)

    def remember_stream(self, sources: Sequence[Source], how: object, learnt: bytes) -> None:
        """Keep what was learnt of files that were seen not to have changed meanwhile."""
        self.remember_streams([(sources, how, learnt)])

    def remember_streams(self, found: Iterable[tuple[Sequence[Source], object, bytes]]) -> None:
        """The same of several, at once."""
        keyed = ((self._stream_key(sources, how), learnt) for sources, how, learnt in found)
        self._index.remember_many("streams", {key: learnt for key, learnt in keyed if key is not None})

    def _stream_key(self, sources: Sequence[Source], how: object) -> str | None:
        if not all(map(self._settled, sources)):
            return None
        return key_of("stream", how, [spelt(source.identity) for source in sources if source.identity])

    def inputs(self, checkpoint: Checkpoint, *others: Any) -> str | None:
        """Key of all that a model's pages follow from: files, `others`, this program; None if a file may still change."""
        if not all(map(self._settled, checkpoint.shards)):
            return None
        files = [spelt(shard.identity) for shard in checkpoint.shards if shard.identity]
        said = (checkpoint.name, checkpoint.config, checkpoint.index_names, checkpoint.left_out)
        return key_of("model", _program(), canonical((files, said, others)))

    def outcome(self, inputs: str) -> Any:
        """What a model with these inputs became, if it is remembered."""
        body = self._index.recall(OUTCOMES, inputs)
        return None if body is None else json.loads(body)

    def remember_outcome(self, inputs: str, outcome: Any) -> None:
        """Keep what a model with these inputs became: something that JSON can hold."""
        self._index.remember_many(OUTCOMES, {inputs: json.dumps(outcome).encode()})

    def _settled(self, source: Source) -> bool:
        """Whether a file has an identity, and could not have changed unseen since it was written."""
        return source.identity is not None and self._opened_ns - source.identity.mtime_ns >= SETTLED_NS

    def _stats(self, digests: Sequence[bytes], grid: Grid) -> TensorStats | None:
        """Statistics of a tensor with these digests, drawn on this grid."""
        body = self._index.recall("stats", _stats_key(digests, grid))
        try:
            return None if body is None else TensorStats.from_bytes(body)
        except ValueError:
            return None

    def _file_key(self, tensor: Tensor) -> str | None:
        if not all(self._settled(source) for source, _ in tensor.extents):
            return None
        places = [(spelt(source.identity), extent.begin, extent.end) for source, extent in tensor.extents if source.identity]
        return key_of("digests", RECIPE_VERSION, places, tensor.form)


def _split(joined: bytes | None, bands: int) -> tuple[bytes, ...] | None:
    """Digests that were joined, if there is one for each band."""
    if joined is None or len(joined) != bands * _DIGEST:
        return None
    return tuple(joined[i : i + _DIGEST] for i in range(0, len(joined), _DIGEST))


def remember_source(index: Index, identity: str, origin: Origin) -> None:
    """Keep where the files of a model lie, so that `mwv serve` finds them; sites only know the identity."""
    place = str(origin).encode() if isinstance(origin, Address) else os.fsencode(origin.absolute())
    index.remember_many("sources", {identity: place})


def recall_source(index: Index, identity: str) -> Origin | None:
    """Where the files of a model lay when it was last built."""
    place = index.recall("sources", identity)
    return None if place is None else origin_of(os.fsdecode(place))


@cache
def _program() -> str:
    """Digest of the sources of this package: whatever draws or writes otherwise is another program."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    return blake3(b"".join(blake3(path.read_bytes()).digest() for path in sources)).hexdigest()


def recall_chunks(index: Index, name: str) -> Chunks | None:
    """The chunks of any file with this hash, as xet writes it, that was cut here."""
    body = index.recall("chunks", _chunks_key(name))
    try:
        return None if body is None else Chunks.from_bytes(body)
    except ValueError:
        return None


def _chunks_key(name: str) -> str:
    return key_of("chunks", CHUNKS_VERSION, name)


def _stats_key(digests: Sequence[bytes], grid: Grid) -> str:
    shape = (grid.rows, grid.cols, grid.patch, grid.elements)
    return key_of("stats", slabs.VERSION, blake3(b"".join(digests)).hexdigest(), shape)
