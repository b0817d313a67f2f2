"""In: a small model. Out: picture tiles, decoded by Pillow, against the palette applied to the code tiles."""

import io

import numpy as np
import pytest
import scenes
from PIL import Image
from safetensors.numpy import save_file

from mwv.pyramid.paint import paint
from mwv.pyramid.palette import table
from mwv.pyramid.png import decode_gray


@pytest.mark.parametrize("window", [(2.0**-10, 2.0), (2.0**-8, 1.0)])
def test_leaves_have_the_window_that_was_asked_for_and_overviews_their_own(tmp_path, window):
    values = np.tile(np.repeat([0.01, -0.05, 0.2], 400)[:, None], (1, 1200))  # plain, as a lossy picture blurs colours of noise
    save_file({"w": values.astype(np.float32)}, tmp_path / "model.safetensors")
    drawing, blobs = scenes.draw(tmp_path / "model.safetensors"), scenes.DictBlobs()
    pyramid, _, _ = scenes.rendered(drawing, blobs)
    pictures = paint(pyramid, window, blobs, 1)
    assert {level for level, _, _ in pictures.tiles} >= {0, 1, 2}
    for (level, x, y), key in pictures.tiles.items():
        with Image.open(io.BytesIO(blobs.get(key))) as picture:
            shown = np.asarray(picture.convert("RGB")).astype(int)
        expected = table("signed", *((2**-7, 2**-2) if level else window))[decode_gray(blobs.get(pyramid.tiles[level, x, y]))]
        assert np.abs(shown - expected).mean() < (8 if level else 1e-9)
