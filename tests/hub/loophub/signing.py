"""In: paths and scopes. Out: signed addresses of the CDN and xet tokens, both with an end that can be brought forward."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from .wire import Request


class Signer:
    """Signs for one Hub. `token_seconds` and `url_seconds` are how long what is signed from now on will be good."""

    def __init__(self) -> None:
        self.token_seconds = 3600.0
        self.url_seconds = 3600.0
        self._key = secrets.token_bytes(16)
        self._voided = {"token": 0, "url": 0}

    def expire_tokens(self) -> None:
        """All xet tokens given so far are refused from now on."""
        self._voided["token"] += 1

    def expire_urls(self) -> None:
        """All addresses signed so far are refused from now on."""
        self._voided["url"] += 1

    def _mac(self, what: str, message: str) -> str:
        return hmac.new(self._key, f"{what} {self._voided[what]} {message}".encode(), hashlib.sha256).hexdigest()[:32]

    def token(self, scope: str, seconds: float | None = None) -> tuple[str, int]:
        """A xet token of scope "read" or "write", and the second of its end."""
        end = int(time.time() + (self.token_seconds if seconds is None else seconds))
        return f"xet_{scope}_{end}_{self._mac('token', f'{scope} {end}')}", end

    def scope(self, token: str | None) -> str | None:
        """The scope of a good token; None if it is not one of ours or over."""
        match (token or "").split("_"):
            case ["xet", scope, end, mac] if mac == self._mac("token", f"{scope} {end}") and time.time() < int(end):
                return scope
        return None

    def address(self, path: str, query: Mapping[str, str]) -> str:
        """Path and query with an end and a signature over both."""
        end = f"{time.time() + self.url_seconds:.3f}"
        signed = {**query, "Expires": end}
        return f"{quote(path)}?{urlencode({**signed, 'Signature': self._mac('url', self._message(path, signed))})}"

    def good(self, request: Request) -> bool:
        """Whether the address of a request is signed and not over."""
        signed = {name: value for name, value in request.query.items() if name != "Signature"}
        mac = self._mac("url", self._message(request.path, signed))
        return request.query.get("Signature") == mac and time.time() < float(signed["Expires"])

    @staticmethod
    def _message(path: str, query: Mapping[str, str]) -> str:
        return f"{path}?{urlencode(sorted(query.items()))}"
