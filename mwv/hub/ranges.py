"""A file on the Hub in, ranges of its bytes out: the signed address that the Hub redirects to serves until it expires."""

import threading
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

import httpx2
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

from mwv.errors import HubError, SourceChangedError
from mwv.hub.client import Hub, Place, RemoteFile
from mwv.hub.patience import patient_client

_HOPS: Final = 5
_EXPIRED: Final = (400, 401, 403, 404, 410)
"""What stores answer to a signed address whose time is over."""
_ATTEMPTS: Final = 3
"""How often the Hub is asked for an address that is not refused at once."""


class RemoteRanges:
    """Reads ranges of one file; safe from several threads."""

    def __init__(self, hub: Hub, place: Place, file: RemoteFile) -> None:
        """Nothing is asked yet."""
        self._hub, self._place, self._file = hub, place, file
        self._address = replace(place.named, path=file.path)
        self._url = place.files("") + quote(file.path, safe="" if place.address.kind == "bucket" else "/")
        self._signed: str | None = None
        self._lock = threading.Lock()

    def fetch(self, begin: int, end: int) -> bytes:
        """The bytes from `begin` to before `end`, all of them.

        Raises SourceChangedError if the Hub says that the file is another by now, HubError if it does not give the bytes.
        """
        with self._hub.asking(self._address):
            for _ in range(_ATTEMPTS):
                if (signed := self._signed) is not None:
                    response = _get(signed, begin, end, {})
                    if response.status_code not in _EXPIRED:
                        return self._body(response, begin, end)
                    with self._lock:
                        if self._signed == signed:
                            self._signed = None
                response = self._resolve(begin, end)
                if response.is_success or self._signed is None:
                    return self._body(response, begin, end)
            return self._body(response, begin, end)

    def _resolve(self, begin: int, end: int) -> httpx2.Response:
        """Ask the Hub itself, and go where it redirects to; the token goes to the Hub alone."""
        url, home = self._url, urlsplit(self._url)[:2]
        for _ in range(_HOPS):
            own = urlsplit(url)[:2] == home
            response = _get(url, begin, end, build_hf_headers() if own else {})
            if own:
                self._check_same(response)
            if not response.is_redirect:
                with self._lock:
                    self._signed = None if own else url
                return response
            url = urljoin(url, response.headers["Location"])
        raise HubError(f"{self._address}: redirected {_HOPS} times; try again later")

    def _check_same(self, response: httpx2.Response) -> None:
        """What the Hub says of the file must be what the listing said: it may have been replaced since."""
        said = response.headers.get("X-Linked-ETag") or response.headers.get("ETag")
        xet, size = response.headers.get("X-Xet-Hash"), response.headers.get("X-Linked-Size")
        if response.is_error or self._file.agrees_with(said, xet, size):
            return
        raise SourceChangedError(f"{self._address}: changed while it was being read; build again")

    def _body(self, response: httpx2.Response, begin: int, end: int) -> bytes:
        """The body of an answer that is exactly the range."""
        hf_raise_for_status(response)
        body, size = response.content, self._file.size
        if response.status_code == 200 and (begin, end) != (0, size):
            raise HubError(f"{self._address}: the Hub gives no ranges of it; download it (--download)")
        told = response.headers.get("Content-Range", f"bytes {begin}-{end - 1}/{size}").rpartition("/")
        if told[2] not in (str(size), "*"):
            raise SourceChangedError(f"{self._address}: has {told[2]} bytes, it had {size}; build again")
        if len(body) != end - begin or told[0] != f"bytes {begin}-{end - 1}":
            raise HubError(f"{self._address}: answered with other bytes than {begin} to {end}; try again later")
        return body


def _get(url: str, begin: int, end: int, headers: dict[str, str]) -> httpx2.Response:
    # Compressed answers would be of another length than what was asked for.
    headers = {**headers, "Range": f"bytes={begin}-{end - 1}", "Accept-Encoding": "identity"}
    client = patient_client()
    return client.fetch(client.build_request("GET", url, headers=headers), end - begin)
