"""In: methods and path patterns. Out: the handler of a request, with the named parts of its path decoded."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .wire import Request, Response

if TYPE_CHECKING:
    from .hub import Hub

Handle = Callable[..., Response]
Wrap = Callable[[Handle], Handle]

REPO = r"/(?P<kind>model|dataset|space)s/(?P<repo_id>[^/]+/[^/]+)"
SPACE = r"/spaces/(?P<repo_id>[^/]+/[^/]+)"
BUCKET = r"/buckets/(?P<bucket_id>[^/]+/[^/]+)"


class Routes:
    """Patterns are matched against the path as it was sent, so that %2F in a revision is not a slash."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handle]] = []

    def on(self, methods: str, pattern: str) -> Wrap:
        """Register `handle(hub, request, **named groups)` for these methods (space between them)."""

        def register(handle: Handle) -> Handle:
            self._routes.extend((method, re.compile(pattern), handle) for method in methods.split())
            return handle

        return register

    def answer(self, hub: "Hub", request: Request) -> Response | None:
        """The answer of the first route that fits; None if there is none."""
        for method, pattern, handle in self._routes:
            if method == request.method and (match := pattern.fullmatch(request.raw_path)):
                parts = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
                return handle(hub, request, **parts)
        return None
