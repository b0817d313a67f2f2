"""A range of a file that lies in xorbs in, the chunks that make it out: one request, of which none of its bytes come.

The one call of the CAS that neither huggingface_hub nor hf_xet exposes: GET {CAS}/v2/reconstructions/{file} with a Range; a CAS
that knows no v2 answers to v1, which gives the same terms. https://huggingface.co/docs/xet/api
"""

import json
import threading
from typing import Final

import httpx2
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]
from huggingface_hub.utils._xet import (
    XET_CONNECTION_INFO_CACHE,
    XetConnectionInfo,
    XetFileData,
    XetTokenType,
    refresh_xet_connection_info,
    xet_connection_info_refresh_url,
)

from mwv.errors import HubError
from mwv.hub.client import Hub, Place, RemoteFile
from mwv.hub.patience import patient_client
from mwv.hub.terms import Reconstruction, Term

_LONGEST: Final = 64 << 20
"""Bytes of an answer."""


class Reconstructions:
    """Asks the CAS of a repository or bucket; safe from several threads."""

    def __init__(self, hub: Hub, place: Place) -> None:
        """Nothing is asked yet."""
        self._hub, self._place = hub, place
        self._version = "v2"
        self._lock = threading.Lock()

    def of(self, file: RemoteFile, begin: int, end: int) -> Reconstruction:
        """What makes the bytes from `begin` to before `end`, at least one; HubError if that cannot be found out."""
        assert file.xet is not None
        with self._hub.told(self._place.address):
            connection = self._connection(file.xet)
            response = self._ask(connection, file.xet, begin, end)
            if response.status_code == 401:  # over before its time
                self._forget(connection)
                connection = self._connection(file.xet)
                response = self._ask(connection, file.xet, begin, end)
            hf_raise_for_status(response)
        try:
            return _parsed(connection.endpoint, response.content, end - begin)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise HubError(f"{connection.endpoint}: tells no chunks of {file.path}") from None

    def _ask(self, connection: XetConnectionInfo, name: str, begin: int, end: int) -> httpx2.Response:
        client = patient_client()
        headers = {"Authorization": f"Bearer {connection.access_token}", "Range": f"bytes={begin}-{end - 1}"}
        while True:
            version = self._version
            url = f"{connection.endpoint.rstrip('/')}/{version}/reconstructions/{name}"
            response = client.fetch(client.build_request("GET", url, headers=headers), _LONGEST)
            if response.status_code != 404 or version == "v1":
                return response
            self._version = "v1"

    def _connection(self, name: str) -> XetConnectionInfo:
        """The CAS, and a token for it; huggingface_hub remembers both until the token is over."""
        address = self._place.address
        route = xet_connection_info_refresh_url(
            token_type=XetTokenType.READ,
            repo_id=address.repo,
            repo_type=address.kind,
            revision=address.revision,
            endpoint=self._place.endpoint,
        )
        return refresh_xet_connection_info(file_data=XetFileData(name, route), headers=build_hf_headers())

    def _forget(self, connection: XetConnectionInfo) -> None:
        with self._lock:
            for key in [key for key, known in list(XET_CONNECTION_INFO_CACHE.items()) if known == connection]:
                XET_CONNECTION_INFO_CACHE.pop(key, None)


def _parsed(cas: str, body: bytes, length: int) -> Reconstruction:
    """An answer's terms, which must hold the range."""
    said = json.loads(body)
    terms = tuple(
        Term(str(term["hash"]), int(term["range"]["start"]), int(term["range"]["end"]), int(term["unpacked_length"]))
        for term in said["terms"]
    )
    offset = int(said.get("offset_into_first_range", 0))
    if not terms or offset < 0 or offset + length > sum(term.length for term in terms):
        raise ValueError
    return Reconstruction(cas, offset, length, terms)
