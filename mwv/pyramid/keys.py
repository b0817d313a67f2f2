"""What a cached result depends on in, its key out."""

import json
from typing import Any

from blake3 import blake3


def key_of(*parts: Any) -> str:
    """32 hexadecimal characters: BLAKE3 (128 bits) of the canonical JSON of `parts`.

    128 bits: two of 2^40 tiles meet by chance with probability 2^-49.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return blake3(text.encode()).hexdigest(length=16)
