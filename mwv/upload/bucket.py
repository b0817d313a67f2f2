"""An Address of a bucket in, a Target out that changes it in batches; buckets know no commits."""

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from huggingface_hub import BucketFile

from mwv.errors import HubError
from mwv.hub.address import Address
from mwv.hub.client import Hub, RemoteFile
from mwv.hub.transfer import moving
from mwv.upload.plan import SITE, Limits, Step
from mwv.upload.reading import file_at, listed
from mwv.upload.target import Advance, Changed, Source, Stored, changes, size_of


class BucketTarget:
    """A bucket, or a folder in it. A batch may come to pass in part; of two publishers the second to finish is told so."""

    # The Hub takes a thousand operations a batch; the bytes are few, for progress is shown after each.
    limits: Final = Limits(files=1000, nbytes=256 << 20, texts=256 << 20, atomic=False)

    def __init__(self, hub: Hub, address: Address, scratch: Path) -> None:
        """Nothing is looked up yet; files that are read come to lie in `scratch`, named by their content."""
        self.address = address
        self.name = str(address)
        self._hub, self._scratch = hub, scratch
        self._prefix = f"{address.path}/" if address.path else ""
        self._stored: set[str] = set()
        self.changed = Changed()

    @property
    def place(self) -> str:
        """See Target."""
        return f"{self._hub.api.endpoint} {self.name}"

    @property
    def root(self) -> str:
        """See Target."""
        return f"{self._hub.api.endpoint}/{self.address.home}/resolve/{self._prefix}"

    @cached_property
    def sizes(self) -> dict[str, int]:
        """See Target."""
        found = self._files
        self._site = found[SITE].content if SITE in found else None
        return {path: file.size for path, file in found.items()}

    @cached_property
    def _files(self) -> dict[str, RemoteFile]:
        """All that is there."""
        return listed(self._hub, self.address)

    def expect(self, paths: Collection[str]) -> None:
        """See Target."""
        self._fetch({self._here(path): path for path in paths if path in self._files})

    def read(self, path: str) -> bytes:
        """See Target."""
        place = self._here(path)
        self._fetch({place: path})
        return place.read_bytes()

    def _here(self, path: str) -> Path:
        """Where a file that is there comes to lie when it is read."""
        return self._scratch / file_at(self._files, path, self.name).content

    def _fetch(self, wanted: Mapping[Path, str]) -> None:
        lacking = {place: path for place, path in wanted.items() if not place.exists()}
        files: list[tuple[str | BucketFile, str | Path]] = [(self._prefix + path, place) for place, path in lacking.items()]
        if files:
            with moving(self._hub, self.address):
                self._hub.api.download_bucket_files(self.address.repo, files, raise_on_missing_files=True)

    def store(self, path: str, content: Path, journal: bytes) -> None:
        """See Target; a bucket shows at once what it is given."""
        self.apply(Step(journal=journal), lambda _: content, lambda *_: None)
        self.apply(Step((path,)), lambda _: content, lambda *_: None)
        self._stored.add(path)

    def resume(self, stored: Mapping[str, Stored], journal: bytes) -> bool:
        """See Target: there is never anything to add."""
        del journal
        return not stored

    def apply(self, step: Step, source: Source, advance: Advance) -> None:
        """See Target: one batch."""
        contents, delete = changes(step, source, self.sizes, self._stored)
        add: list[tuple[str | Path | bytes, str]] = [(content, self._prefix + path) for path, content in contents.items()]
        with moving(self._hub, self.address):
            if SITE in contents:
                self._check_unchanged()
            self._hub.api.batch_bucket_files(self.address.repo, add=add, delete=[self._prefix + path for path in delete])
        self.__dict__.pop("_files", None)
        for path in delete:
            self.sizes.pop(path, None)
        sizes = {path: size_of(content) for path, content in contents.items()}
        self.sizes.update(sizes)
        self.changed.note(sizes, delete)
        for size in sizes.values():
            advance(1, size)

    def _check_unchanged(self) -> None:
        """Raise HubError if the site is not the one that was there when the target was looked at."""
        found = list(self._hub.api.get_bucket_paths_info(self.address.repo, [self._prefix + SITE]))
        if (found[0].xet_hash if found else None) != self._site:
            raise HubError(f"{self.name}: someone else has changed it meanwhile; run the same command again")
