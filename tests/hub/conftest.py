"""In: nothing. Out: a plain HTTP client, for what the Hub's own clients do not show."""

from collections.abc import Iterator

import httpx2
import pytest


@pytest.fixture(scope="session")
def http() -> Iterator[httpx2.Client]:
    """Keeps connections, follows no redirects, knows no token."""
    with httpx2.Client(verify=False, trust_env=False) as client:
        yield client
