"""In: parts of packed weights in any combination of types and shapes. Out: values or integers with a reason, never an error."""

from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packingkit import tensor, values, written

NAMES = (
    *("weight", "weight_packed", "compressed", "weight_blocks", "qweight"),
    *("weight_scale", "weight_scale_inv", "scale_weight", "weight_scales", "scale", "weight_zero_point", "weight_g_idx"),
    *("weight_shape", "shape", "bitmask", "weight_global_scale", "weight_scale_2", "scales", "qzeros", "g_idx"),
)
TYPES = ("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "uint8", "int8", "int32", "int64", "float32", "bfloat16", "float16")
SIDES = (0, 1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 65, 96, 128)
MOST = 2**17
"""Elements of a part: four sides of 128 would be 2 GiB of what shows nothing that 128 KiB do not."""
SHAPES = st.lists(st.sampled_from(SIDES), max_size=4).filter(lambda shape: prod(shape) <= MOST)
CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "quant_method": st.sampled_from(["awq", "gptq", "quark", "modelopt", "compressed-tensors"]),
        "weight_block_size": st.lists(st.sampled_from([-1, 0, 2, 64, 2**70]), max_size=3),
        "scale_fmt": st.just("ue8m0"),
        "group_size": st.sampled_from([-1, 0, 1, 32, True, None]),
        "bits": st.sampled_from([0, 3, 4, 2**70]),
        "config_groups": st.sampled_from([[], {"a": {"weights": {"num_bits": 4, "group_size": 16, "symmetric": False}}}]),
    },
)


@st.composite
def parts(draw: st.DrawFn) -> dict[str, torch.Tensor]:
    """A main part and some others, most of them of sides that follow from its own."""
    main, *others = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    shape = draw(SHAPES)
    found = {}
    for name in (main, *others):
        if name != main and draw(st.booleans()):
            shape = draw(SHAPES)
        elif name != main and shape:
            cut = draw(st.sampled_from([0, 1, 2, 8, 16, 32, 128]))
            shape = [*shape[:-1], *([-(-shape[-1] // cut)] if cut else [])]
        size = prod(shape)
        dtype = getattr(torch, draw(st.sampled_from(TYPES)))
        octets = np.random.default_rng(draw(st.integers(0, 3))).integers(0, 256, size * dtype.itemsize, np.uint8)
        content = torch.from_numpy(octets).view(dtype).reshape(shape) if size else torch.empty(shape, dtype=dtype)
        if name in ("shape", "weight_shape") and draw(st.booleans()):
            content = torch.tensor(draw(st.lists(st.sampled_from([*SIDES, -1, 2**62]), max_size=3)), dtype=torch.int64)
        found[f"model.layers.0.experts.{name}"] = content
    return found


@settings(max_examples=80, deadline=None)
@given(parts(), CONFIG)
def test_any_parts_give_values_or_a_reason(found: dict[str, torch.Tensor], said: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        checkpoint = written(Path(folder), found, {"quantization_config": said})
        assert len(checkpoint.tensors) == len(found)
        for stored in checkpoint.tensors:
            if not stored.elements:
                assert stored.packing is None
                continue
            opened = tensor(checkpoint, stored.name)
            whole = values(checkpoint, stored.name)
            np.testing.assert_array_equal(values(checkpoint, stored.name, 7), whole)
            assert len({opened.digest(band, opened.read(band)) for band in range(opened.bands)}) >= 1
            assert stored.packing is None or whole.dtype == np.float32
