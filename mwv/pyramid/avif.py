"""Coloured pixels in, a lossy AVIF out."""

import io
from typing import Final

import numpy as np
from numpy.typing import NDArray

QUALITY: Final = 85


def encode_avif(pixels: NDArray[np.uint8]) -> bytes:
    """An AVIF of a picture (height × width × 3)."""
    from PIL import Image  # late: a build that makes no such picture does without

    out = io.BytesIO()
    Image.fromarray(pixels, "RGB").save(out, "AVIF", quality=QUALITY, speed=8, max_threads=1)
    return out.getvalue()
