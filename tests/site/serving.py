"""In: a site on disk. Out: its address on the loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mwv.site.serve import open_server


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of a site on the loopback."""
    server = open_server(site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.url.rstrip("/")
    server.shutdown()
    server.server_close()
