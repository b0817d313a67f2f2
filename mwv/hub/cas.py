"""A repository or bucket and a path of its CAS in, the CAS's answer out: calls that no library of the Hub exposes.

huggingface_hub gives the address of the CAS and a token for it. https://huggingface.co/docs/xet/api
"""

import threading
from collections.abc import Mapping
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

from mwv.hub.address import Address
from mwv.hub.client import Hub
from mwv.hub.patience import patient_client

_LONGEST: Final = 64 << 20
"""Bytes of an answer."""
_NO_HEADERS: Final[Mapping[str, str]] = {}


class Cas:
    """What the Hub says is the CAS of a repository at a commit, or of a bucket; safe from several threads."""

    def __init__(self, hub: Hub, address: Address) -> None:
        """Nothing is asked yet."""
        self._hub, self._address = hub, address
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        """Its address; HubError if the Hub does not tell."""
        with self._hub.asking(self._address):
            return self._connection().endpoint

    def get(self, path: str, headers: Mapping[str, str] = _NO_HEADERS) -> httpx2.Response | None:
        """A good answer with its body, or None for 404; raises HubError for any other."""
        with self._hub.asking(self._address):
            connection = self._connection()
            response = self._ask(connection, path, headers)
            if response.status_code == 401:  # over before its time
                self._forget(connection)
                response = self._ask(self._connection(), path, headers)
            if response.status_code == 404:
                return None
            hf_raise_for_status(response)
            return response

    def chunk(self, chunk: str) -> bytes | None:
        """What the CAS tells of the place of a chunk, by its hash as xet writes it: a shard; None if it does not know it.

        Only chunks that begin a file, and one in 1,024 of all, are known to it (huggingface.co/docs/xet/deduplication).
        """
        response = self.get(f"v1/chunks/default-merkledb/{chunk}")
        return None if response is None else response.content

    def _ask(self, connection: XetConnectionInfo, path: str, headers: Mapping[str, str]) -> httpx2.Response:
        client = patient_client()
        named = {**headers, "Authorization": f"Bearer {connection.access_token}"}
        request = client.build_request("GET", f"{connection.endpoint.rstrip('/')}/{path}", headers=named)
        return client.fetch(request, _LONGEST)

    def _connection(self) -> XetConnectionInfo:
        """The CAS, and a token for it; huggingface_hub remembers both until the token is over."""
        address = self._address
        route = xet_connection_info_refresh_url(
            token_type=XetTokenType.READ,
            repo_id=address.repo,
            repo_type=address.kind,
            revision=address.revision,
            endpoint=self._hub.api.endpoint,
        )
        return refresh_xet_connection_info(file_data=XetFileData("", route), headers=build_hf_headers())

    def _forget(self, connection: XetConnectionInfo) -> None:
        with self._lock:
            for key in [key for key, known in list(XET_CONNECTION_INFO_CACHE.items()) if known == connection]:
                XET_CONNECTION_INFO_CACHE.pop(key, None)
