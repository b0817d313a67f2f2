"""Whole real models, every element and every pixel of every level, against values read by safetensors and gguf."""

from functools import lru_cache

import gguf
import numpy as np
import oracle
import scenes
from safetensors import safe_open

STRIP = 256
"""Rows at a time: memory of this size is used again and again, larger is asked of the system each time."""
HEADS = {"attn_q": 9, "attn_k": 3}
"""Of SmolLM2-135M."""


class SafetensorsValues:
    def __init__(self, path):
        self.file = safe_open(path, framework="numpy")

    @lru_cache(maxsize=12)  # noqa: B019
    def __getitem__(self, name):
        return self.file.get_tensor(name)


class GgufValues:
    def __init__(self, path):
        self.tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}

    @lru_cache(maxsize=12)  # noqa: B019
    def __getitem__(self, name):
        tensor = self.tensors[name]
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        values = values.reshape(tuple(int(n) for n in reversed(tensor.shape)))
        heads = next((n for slot, n in HEADS.items() if f".{slot}." in name), None)
        return values if heads is None else oracle.without_rotary(values, heads)


def test_bert_is_drawn_as_safetensors_reads_it(bert):
    blobs, drawing = scenes.DictBlobs(), scenes.draw(bert)
    pyramid, _, survey = scenes.rendered(drawing, blobs, jobs=2)
    values = SafetensorsValues(bert)
    units = {t.name: 2.0**-32 for t in drawing.shown if t.dtype.name == "I64"}
    assert scenes.check_levels(drawing, values, units, pyramid, blobs, strip=STRIP) > 22_000_000 / 4
    check_stats(drawing, survey, values)


def test_smollm2_is_drawn_as_gguf_reads_it(smollm2):
    blobs, drawing = scenes.DictBlobs(), scenes.draw(smollm2)
    pyramid, _, survey = scenes.rendered(drawing, blobs, jobs=2)
    values = GgufValues(smollm2)
    assert scenes.check_levels(drawing, values, {}, pyramid, blobs, strip=STRIP) > 134_000_000 / 4
    check_stats(drawing, survey, values)


def check_stats(drawing, survey, values):
    """Statistics of every tensor against numpy in float64."""
    for index, placement in enumerate(drawing.canvas.placements):
        _, stats = survey.result(index)
        want = np.asarray(values[placement.name], np.float64)
        assert stats.elements == want.size
        assert stats.zeros == np.count_nonzero(want == 0)
        assert (stats.nan, stats.inf) == (0, 0)
        assert (stats.minimum, stats.maximum) == (want.min(), want.max())
        scale = np.abs(want).max() or 1.0
        np.testing.assert_allclose(stats.mean, want.mean(), atol=1e-9 * scale)
        np.testing.assert_allclose(stats.rms, np.sqrt((want**2).mean()), rtol=1e-9, atol=1e-30)
        np.testing.assert_allclose(stats.std, want.std(), rtol=1e-7, atol=1e-9 * scale)
