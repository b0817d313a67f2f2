"""A range of a file that lies in xorbs in, the chunks that make it out: one request, of which none of its bytes come.

GET {CAS}/v2/reconstructions/{file} with a Range; a CAS that knows no v2 answers to v1, which gives the same terms.
"""

import json

import httpx2

from mwv.errors import HubError
from mwv.hub.address import Address
from mwv.hub.cas import Cas
from mwv.hub.client import Hub, RemoteFile
from mwv.hub.terms import Reconstruction, Term


class Reconstructions:
    """Asks the CAS of a repository or bucket; safe from several threads."""

    def __init__(self, hub: Hub, address: Address) -> None:
        """Nothing is asked yet."""
        self._cas = Cas(hub, address)
        self._version = "v2"

    def of(self, file: RemoteFile, begin: int, end: int) -> Reconstruction:
        """What makes the bytes from `begin` to before `end`, at least one; HubError if that cannot be found out."""
        assert file.xet is not None
        response = self._ask(file.xet, begin, end)
        endpoint = self._cas.endpoint
        try:
            if response is None:
                raise ValueError("no such file")
            return _parsed(endpoint, response.content, end - begin, file.xet)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise HubError(f"{endpoint}: tells no chunks of {file.path}") from None

    def _ask(self, name: str, begin: int, end: int) -> httpx2.Response | None:
        while True:
            version = self._version
            response = self._cas.get(f"{version}/reconstructions/{name}", {"Range": f"bytes={begin}-{end - 1}"})
            if response is not None or version == "v1":
                return response
            self._version = "v1"


def _parsed(cas: str, body: bytes, length: int, file: str) -> Reconstruction:
    """An answer's terms, which must hold the range."""
    said = json.loads(body)
    terms = tuple(
        Term(str(term["hash"]), int(term["range"]["start"]), int(term["range"]["end"]), int(term["unpacked_length"]))
        for term in said["terms"]
    )
    offset = int(said.get("offset_into_first_range", 0))
    if not terms or offset < 0 or offset + length > sum(term.length for term in terms):
        raise ValueError
    return Reconstruction(cas, offset, length, terms, file)
