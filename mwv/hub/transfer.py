"""Failures of the clients that move whole files in, HubErrors of one line out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mwv.errors import HubError
from mwv.hub.address import Address
from mwv.hub.client import Hub

_SECRET: Final = re.compile(r"hf_[A-Za-z0-9]+|(?i:bearer)\s+\S+|(?<=\?)\S+")
"""What no message may repeat: tokens, and queries of addresses, which may hold signatures."""
_ANSWER: Final = re.compile(r"\(([45][0-9]{2}) [^)]*\), domain: https?://([^/ ]+)")
_BROKEN: Final = re.compile(r"error sending request for url \(https?://([^/ ]+)")
"""How hf_xet words an answer, and the lack of one."""


@contextmanager
def moving(hub: Hub, address: Address) -> Iterator[None]:
    """Turn what huggingface_hub and hf_xet raise within into HubErrors.

    hf_xet, which moves the bytes, tries again by itself (5 times, from 3 s on); what it raises at the end are RuntimeErrors,
    OSErrors and errors of its own, with texts that may be long.
    """
    import hf_xet  # late: takes a while to load

    try:
        with hub.asking(address):
            yield
    except hf_xet.XetAuthenticationError as error:
        raise HubError(f"{address}: the Hub's storage took no token ({_reason(error)}); log in again (hf auth login)") from None
    except (RuntimeError, OSError, ValueError, hf_xet.XetObjectNotFoundError) as error:
        raise HubError(f"{address}: the transfer failed ({_reason(error)}); try again later") from None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if answer := _ANSWER.search(text):
        return f"{answer[2]} answered {answer[1]}"
    if broken := _BROKEN.search(text):
        return f"no answer from {broken[1]}"
    return _SECRET.sub("…", text)[:200]
