"""An Address of a bucket in, a Target out that changes it in batches; buckets know no commits."""

import tempfile
from functools import cached_property
from pathlib import Path
from typing import Final

from huggingface_hub import BucketFile

from mwv.errors import HubError
from mwv.hub.address import Address
from mwv.hub.client import Hub
from mwv.upload.plan import SITE, Limits, Step
from mwv.upload.target import Advance, Source, changes, size_of
from mwv.upload.transfer import sending


class BucketTarget:
    """A bucket, or a folder in it. A batch may come to pass in part; of two publishers the second to finish is told so."""

    # The Hub takes a thousand operations a batch; the bytes are few, for progress is shown after each.
    limits: Final = Limits(files=1000, nbytes=256 << 20, texts=256 << 20, atomic=False)

    def __init__(self, hub: Hub, address: Address, scratch: Path) -> None:
        """Nothing is looked up yet; files that are read come to lie in `scratch`."""
        self.address = address
        self.name = str(address)
        self._hub, self._scratch = hub, scratch
        self._prefix = f"{address.path}/" if address.path else ""
        self._stored: set[str] = set()

    @property
    def root(self) -> str:
        """See Target."""
        return f"{self._hub.api.endpoint}/{self.address.home}/resolve/{self._prefix}"

    @cached_property
    def sizes(self) -> dict[str, int]:
        """See Target."""
        found = {
            file.path.removeprefix(self._prefix): file
            for file in self._hub.files(self.address, self.address.path, recursive=True)
            if file.path.startswith(self._prefix)
        }
        self._site = found[SITE].content if SITE in found else None
        return {path: file.size for path, file in found.items()}

    def read(self, path: str) -> bytes:
        """See Target."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder, sending(self._hub, self.address):
            place = Path(folder, "file")
            files: list[tuple[str | BucketFile, str | Path]] = [(self._prefix + path, place)]
            self._hub.api.download_bucket_files(self.address.repo, files, raise_on_missing_files=True)
            return place.read_bytes()

    def store(self, path: str, content: Path, journal: bytes) -> None:
        """See Target; a bucket shows at once what it is given."""
        self.apply(Step(journal=journal), lambda _: content, lambda *_: None)
        self.apply(Step((path,)), lambda _: content, lambda *_: None)
        self._stored.add(path)

    def apply(self, step: Step, source: Source, advance: Advance) -> None:
        """See Target: one batch."""
        contents, delete = changes(step, source, self.sizes, self._stored)
        add: list[tuple[str | Path | bytes, str]] = [(content, self._prefix + path) for path, content in contents.items()]
        with sending(self._hub, self.address):
            if SITE in contents:
                self._check_unchanged()
            self._hub.api.batch_bucket_files(self.address.repo, add=add, delete=[self._prefix + path for path in delete])
        for path in delete:
            self.sizes.pop(path, None)
        for path, content in contents.items():
            self.sizes[path] = size_of(content)
            advance(1, self.sizes[path])

    def _check_unchanged(self) -> None:
        """Raise HubError if the site is not the one that was there when the target was looked at."""
        found = list(self._hub.api.get_bucket_paths_info(self.address.repo, [self._prefix + SITE]))
        if (found[0].xet_hash if found else None) != self._site:
            raise HubError(f"{self.name}: someone else has changed it meanwhile; run the same command again")
