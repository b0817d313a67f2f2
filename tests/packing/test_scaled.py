"""In: FP8 and 8-bit integers with scales of every shape. Out: their products, by torch in float64 and by compressed-tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.entrypoints.convert.converters import FP8BlockDequantizer
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from packingkit import digests, info, tensor, values, written

from mwv.checkpoint.open import open_checkpoint
from mwv.decode.open import open_tensor
from mwv.layout.grid import grid_of, panels_of

LAYER = "model.layers.0.self_attn.q_proj"
WEIGHT = f"{LAYER}.weight"
EXPERTS = "model.layers.0.mlp.experts.gate_up_proj"
FLOATS = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2}


def codes(*shape: int, dtype: torch.dtype = torch.float8_e4m3fn) -> torch.Tensor:
    """Every byte there is, NaN and Inf included."""
    random = np.random.default_rng(0)
    return torch.from_numpy(random.integers(0, 256, shape, np.uint8)).view(dtype)


def scales(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).uniform(1e-4, 1e-2, shape)).to(dtype)


def products(left: torch.Tensor, right: torch.Tensor) -> np.ndarray:
    """The product in float64, rounded to float32."""
    return (left.double() * right.double()).float().numpy()


def shaped(checkpoint, name: str) -> np.ndarray:
    """All values in the tensor's shape, however its grid is folded."""
    found = info(checkpoint, name)
    return values(checkpoint, name).reshape(-1)[: found.elements].reshape(found.shape)


@pytest.mark.parametrize(
    ("shape", "spread"),
    [
        ((), "one scale"),
        ((1,), "one scale"),
        ((1, 1), "one scale"),
        ((136, 1), "row scales"),
        ((136,), "row scales"),
        ((1, 192), "column scales"),
    ],
)
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_scale_for_all_for_each_row_and_for_each_column(tmp_path: Path, dtype: str, shape: tuple, spread: str) -> None:
    weight, scale = codes(136, 192, dtype=FLOATS[dtype]), scales(*shape)
    checkpoint = written(tmp_path, {WEIGHT: weight, f"{WEIGHT}_scale": scale})
    expected = products(weight, scale[:, None] if shape == (136,) else scale)
    for columns in (0, 37):
        np.testing.assert_array_equal(values(checkpoint, WEIGHT, columns), expected)
    assert info(checkpoint, WEIGHT).dtype.name == f"{dtype} × {spread}"
    assert info(checkpoint, f"{WEIGHT}_scale").part_of == WEIGHT


@pytest.mark.parametrize(
    ("block", "config"),
    [
        ((128, 128), {}),
        ((128, 128), {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}),
        ((96, 80), {"quantization_config": {"quant_method": "fp8", "weight_block_size": [96, 80]}}),
        ((96, 80), {"quantization_config": {"config_groups": {"g": {"weights": {"block_structure": [96, 80]}}}}}),
    ],
)
def test_blocks_as_deepseek_has_them(tmp_path: Path, block: tuple, config: dict) -> None:
    """Sides that no block divides; a band begins within a block."""
    weight = codes(300, 200)
    scale = scales(-(-300 // block[0]), -(-200 // block[1]))
    checkpoint = written(tmp_path, {WEIGHT: weight, f"{WEIGHT}_scale_inv": scale}, config)
    oracle = FP8BlockDequantizer(weight_block_size=block, dtype=torch.float32)
    expected = oracle.process({WEIGHT: weight, f"{WEIGHT}_scale_inv": scale})[WEIGHT].numpy()
    for columns in (0, 37):
        np.testing.assert_array_equal(values(checkpoint, WEIGHT, columns), expected)
    assert info(checkpoint, WEIGHT).dtype.name == f"F8_E4M3 × {block[0]}×{block[1]} scales"


def test_the_configuration_goes_before_the_usual_block(tmp_path: Path) -> None:
    weight, scale = codes(300, 250), scales(3, 2)
    config = {"quantization_config": {"weight_block_size": [100, 125]}}
    checkpoint = written(tmp_path, {WEIGHT: weight, f"{WEIGHT}_scale_inv": scale}, config)
    expected = products(weight, scale.repeat_interleave(100, 0).repeat_interleave(125, 1))
    np.testing.assert_array_equal(values(checkpoint, WEIGHT), expected)


def test_blocks_whose_sides_are_powers_of_two_that_divide_need_no_configuration(tmp_path: Path) -> None:
    weight, scale = codes(192, 256), scales(6, 4)
    checkpoint = written(tmp_path, {WEIGHT: weight, f"{WEIGHT}_scale_inv": scale})
    expected = products(weight, scale.repeat_interleave(32, 0).repeat_interleave(64, 1))
    np.testing.assert_array_equal(values(checkpoint, WEIGHT), expected)


@pytest.mark.parametrize(
    ("name", "dtype"), [("scale", "float8_e8m0fnu"), ("weight_scale_inv", "float8_e8m0fnu"), ("weight_scale_inv", "uint8")]
)
def test_exponents_as_scales(tmp_path: Path, name: str, dtype: str) -> None:
    """DeepSeek's later files, and its own names."""
    exponents = torch.from_numpy(np.random.default_rng(2).integers(100, 140, (2, 2), np.uint8))
    weight = codes(200, 256)
    config = {"quantization_config": {"quant_method": "fp8", "scale_fmt": "ue8m0"}} if dtype == "uint8" else {}
    checkpoint = written(tmp_path, {WEIGHT: weight, f"{LAYER}.{name}": exponents.view(getattr(torch, dtype))}, config)
    whole = exponents.repeat_interleave(128, 0)[:200].repeat_interleave(128, 1)
    np.testing.assert_array_equal(values(checkpoint, WEIGHT), products(weight, 2.0 ** (whole.double() - 127)))


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 1, 1), (3, 200), (3, 200, 1), (3, 1, 192), (3, 2, 2), (3, 200, 6)])
@pytest.mark.parametrize("suffix", ["_scale", "_scale_inv"])
def test_fused_experts(tmp_path: Path, suffix: str, shape: tuple) -> None:
    """Experts of 200 rows, so that blocks of 128 begin anew in each."""
    weight, scale = codes(3, 200, 192), scales(*shape)
    checkpoint = written(tmp_path, {EXPERTS: weight, f"{EXPERTS}{suffix}": scale})
    if len(shape) < 3:
        whole = scale.reshape(3, -1, 1)
    elif shape == (3, 2, 2):
        whole = scale.repeat_interleave(128, 1)[:, :200].repeat_interleave(128, 2)[:, :, :192]
    elif shape == (3, 200, 6):
        whole = scale.repeat_interleave(32, 2)
    else:
        whole = scale
    expected = products(weight, whole)
    np.testing.assert_array_equal(shaped(checkpoint, EXPERTS), expected)
    found = info(checkpoint, EXPERTS)
    assert panels_of(found.name, found.shape) == 3
    one = grid_of(found.shape[1:], panel=True)
    panel = open_tensor(checkpoint.shards, found, one.row_elements, one.patch, 2 * one.elements, one.elements)
    read = [panel.numbers(band, panel.read(band), 0, 192) for band in range(panel.bands)]
    np.testing.assert_array_equal(np.concatenate(read), expected[2])


def test_convolutions_and_vectors_with_one_scale(tmp_path: Path) -> None:
    kernel, bias, scale = codes(8, 4, 3, 3), codes(70), scales()
    parts = {"a.weight": kernel, "a.weight_scale": scale, "b.weight": bias, "b.weight_scale": scale.clone()}
    checkpoint = written(tmp_path, parts)
    mosaic = products(kernel, scale).transpose(0, 2, 1, 3).reshape(24, 12)
    np.testing.assert_array_equal(values(checkpoint, "a.weight"), mosaic)
    np.testing.assert_array_equal(values(checkpoint, "b.weight")[0], products(bias, scale))


def test_files_of_comfyui(tmp_path: Path) -> None:
    weight, scale = codes(136, 192), scales()
    marker = torch.empty(0, dtype=torch.float8_e4m3fn)
    checkpoint = written(tmp_path, {WEIGHT: weight, f"{LAYER}.scale_weight": scale, "scaled_fp8": marker})
    np.testing.assert_array_equal(values(checkpoint, WEIGHT), products(weight, scale))


@pytest.mark.parametrize(
    "said", [{"quant_method": "fp8"}, {"quant_method": "modelopt", "quant_algo": "FP8"}, {"format": "float-quantized"}]
)
def test_without_the_scales_that_the_configuration_promises_a_note_says_so(tmp_path: Path, said: dict) -> None:
    parts = {WEIGHT: codes(136, 192), f"{LAYER}.bias": codes(136), "other.weight": torch.ones(8, 8, dtype=torch.bfloat16)}
    checkpoint = written(tmp_path, parts, {"quantization_config": said})
    found = info(checkpoint, WEIGHT)
    assert found.dtype.name == "F8_E4M3" and found.packing is None
    assert found.note == "stored numbers of a packed weight, not decoded: its scales were not found"
    assert not info(checkpoint, f"{LAYER}.bias").note and not info(checkpoint, "other.weight").note


def test_plain_fp8_stays_as_it_is_stored(tmp_path: Path) -> None:
    """A scale of another meaning, or none, makes nothing of it."""
    checkpoint = written(tmp_path, {WEIGHT: codes(136, 192), f"{LAYER}.scale": scales(192), f"{LAYER}.input_scale": scales()})
    found = info(checkpoint, WEIGHT)
    assert found.dtype.name == "F8_E4M3" and found.packing is None and not found.note
    assert not any(t.part_of for t in checkpoint.tensors)


SCHEMES = {
    "float-quantized": [
        {"num_bits": 8, "type": "float", "strategy": "tensor"},
        {"num_bits": 8, "type": "float", "strategy": "channel"},
        {"num_bits": 8, "type": "float", "strategy": "group", "group_size": 48},
        {"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [64, 96]},
    ],
    "int-quantized": [
        {"num_bits": 8, "type": "int", "strategy": "tensor", "symmetric": False},
        {"num_bits": 8, "type": "int", "strategy": "channel"},
        {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": False},
    ],
    "naive-quantized": [{"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": False}],
    "mxfp8-quantized": [{"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32, "scale_dtype": torch.uint8}],
}


@pytest.mark.parametrize(("form", "said"), [(form, said) for form, many in SCHEMES.items() for said in many])
def test_what_compressed_tensors_writes(tmp_path: Path, form: str, said: dict) -> None:
    args = QuantizationArgs(**said)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    shape = {"tensor": (1,), "channel": (136, 1), "block": (3, 2)}.get(said["strategy"])
    shape = shape or (136, 192 // said["group_size"])
    scale = torch.exp2(torch.round(torch.log2(scales(*shape)))) if form == "mxfp8-quantized" else scales(*shape)
    zeros = torch.from_numpy(np.random.default_rng(3).integers(-8, 8, shape).astype(np.int8))
    state = {"weight": torch.randn(136, 192) / 50, "weight_scale": scale, "weight_zero_point": zeros}
    compressor = BaseCompressor.get_value_from_registry(form)
    packed = compressor.compress(state, scheme)
    weights = {key: str(word) if isinstance(word, torch.dtype) else word for key, word in said.items()}
    config = {"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": {"weights": weights}}}
    checkpoint = written(tmp_path, {f"{LAYER}.{n}": t for n, t in packed.items()}, {"quantization_config": config})
    expected = compressor.decompress(packed, scheme)["weight"].float().numpy()
    assert ("weight_zero_point" in packed) == (said.get("symmetric") is False)
    np.testing.assert_array_equal(values(checkpoint, WEIGHT), expected)


@pytest.mark.parametrize("part", ["weight", "weight_scale", "weight_zero_point", "weight_g_idx"])
def test_every_part_changes_the_digest(tmp_path: Path, part: str) -> None:
    parts = {
        "weight": codes(160, 64, dtype=torch.int8),
        "weight_scale": scales(160, 2),
        "weight_zero_point": torch.zeros(160, 2, dtype=torch.int8),
        "weight_g_idx": torch.arange(64, dtype=torch.int32) // 32,
    }
    before = digests(written(tmp_path / "a", {f"{LAYER}.{n}": t for n, t in parts.items()}), WEIGHT)
    parts[part] = parts[part].clone()
    parts[part].view(-1)[0] += 1
    after = digests(written(tmp_path / "b", {f"{LAYER}.{n}": t for n, t in parts.items()}), WEIGHT)
    assert before[0] != after[0]
    if part != "weight_g_idx":  # all rows depend on the index, one band on the others' first row
        assert before[1:] == after[1:]


def test_the_type_of_a_part_is_in_the_digest(tmp_path: Path) -> None:
    """The same bytes are other values as E5M2."""
    found = []
    for name, dtype in FLOATS.items():
        checkpoint = written(tmp_path / name, {WEIGHT: codes(64, 64, dtype=dtype), f"{WEIGHT}_scale": scales(1)})
        found.append(digests(checkpoint, WEIGHT))
    assert found[0] != found[1]


@pytest.mark.parametrize("shape", [(1,), (320, 1), (3, 2)])
def test_rows_at_the_end_change_no_digest_above(tmp_path: Path, shape: tuple) -> None:
    weight, scale = codes(320, 192), scales(*shape)
    longer = torch.cat([weight.view(torch.uint8), weight[:128].view(torch.uint8)]).view(torch.float8_e4m3fn)
    more = scale if shape == (1,) else torch.cat([scale, scale[: 128 if shape == (320, 1) else 1]])
    before = digests(written(tmp_path / "a", {WEIGHT: weight, f"{WEIGHT}_scale": scale}), WEIGHT)
    after = digests(written(tmp_path / "b", {WEIGHT: longer, f"{WEIGHT}_scale": more}), WEIGHT)
    assert after[: len(before)] == before


def test_blocks_that_begin_elsewhere_are_another_digest(tmp_path: Path) -> None:
    """Bands 1 and 3 have the same codes and the same two scales, but the first of these for 16 and for 48 rows."""
    config = {"quantization_config": {"weight_block_size": [80, 96]}}
    weight, scale = torch.ones(320, 96).to(torch.float8_e4m3fn), torch.tensor([[1.0], [2.0], [1.0], [2.0]])
    checkpoint = written(tmp_path, {WEIGHT: weight, f"{WEIGHT}_scale_inv": scale}, config)
    found = digests(checkpoint, WEIGHT)
    assert found[1] != found[3]
    assert values(checkpoint, WEIGHT)[:, 0].tolist() == [1] * 80 + [2] * 80 + [1] * 80 + [2] * 80


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"weight_scale": torch.ones(7)}, "its scales do not fit its shape"),
        ({"weight_scale": torch.ones(136, 5)}, "its scales do not fit its shape"),
        ({"weight_scale": torch.ones(2, 136, 1)}, "its scales do not fit its shape"),
        ({"weight_scale": torch.ones(136, 0)}, "its scales do not fit its shape"),
        ({"weight_scale": torch.ones(0)}, "its scales do not fit its shape"),
        ({"weight_scale": torch.ones(136, 2)}, "its scales do not fit its shape"),  # groups of 96, or of 128 and 64?
        ({"weight_scale": torch.ones(136, 1, dtype=torch.int32)}, "its scales are integers"),
        ({"weight_scale": torch.ones(136, 1, dtype=torch.uint8)}, "its scales are integers"),
        ({"weight_scale": torch.ones(136, 1), "weight_scale_2": torch.ones(1)}, "it has two scales"),
        ({"weight_scale": torch.ones(136, 1), "weight_scale_inv": torch.ones(136, 1)}, "it has two scales"),
        (
            {"weight_scale": torch.ones(136, 1), "weight_zero_point": torch.ones(136, dtype=torch.int8)},
            "its zero points have another shape than its scales",
        ),
        (
            {"weight_scale": torch.ones(136, 6), "weight_g_idx": torch.ones(64, dtype=torch.int32)},
            "the index of its groups has another shape",
        ),
        (
            {"weight_scale": torch.ones(136, 6), "comfy_quant": torch.ones(9, dtype=torch.uint8)},
            "its scales may be in the order of ComfyUI's kernel",
        ),
    ],
)
def test_what_does_not_fit_stays_as_it_is_stored(tmp_path: Path, parts: dict, why: str) -> None:
    checkpoint = written(tmp_path, {WEIGHT: codes(136, 192), **{f"{LAYER}.{n}": t for n, t in parts.items()}})
    found = info(checkpoint, WEIGHT)
    assert found.packing is None and found.dtype.name == "F8_E4M3"
    assert found.note == f"stored numbers of a packed weight, not decoded: {why}"


def test_a_row_without_end_is_not_unpacked_for_each_of_its_bands(tmp_path: Path) -> None:
    checkpoint = written(
        tmp_path, {"a": codes(1, (1 << 20) + 1), "a_scale": scales(1), "b": codes(1, 1 << 20), "b_scale": scales(1)}
    )
    assert info(checkpoint, "a").note.endswith("not decoded: its rows are too long")
    assert info(checkpoint, "b").packing is not None


@pytest.mark.parametrize(
    "said",
    [[], "x", {"weight_block_size": "x"}, {"weight_block_size": [0, -1]}, {"weight_block_size": [10**30] * 3}]
    + [{"config_groups": x} for x in ([1], {"a": 1}, {"a": {"weights": [3]}}, {"a": {"weights": {"group_size": -(10**40)}}})],
)
def test_a_foolish_configuration_does_no_harm(tmp_path: Path, said: object) -> None:
    weight, scale = codes(136, 192), scales(2, 2)
    checkpoint = written(tmp_path, {WEIGHT: weight, f"{WEIGHT}_scale_inv": scale}, {"quantization_config": said})
    whole = scale.repeat_interleave(128, 0)[:136].repeat_interleave(128, 1)[:, :192]
    np.testing.assert_array_equal(values(checkpoint, WEIGHT), products(weight, whole))


def test_a_block_without_end_is_not_believed(tmp_path: Path) -> None:
    weight, scale = codes(136, 256), scales(1, 2)
    config = {"quantization_config": {"weight_block_size": [10**30, 128], "group_size": 10**30}}
    checkpoint = written(tmp_path, {WEIGHT: weight, f"{WEIGHT}_scale_inv": scale}, config)
    np.testing.assert_array_equal(values(checkpoint, WEIGHT), products(weight, scale.repeat_interleave(128, 1)))


def test_scales_that_are_no_numbers_and_groups_that_are_not_there(tmp_path: Path) -> None:
    """What an index puts outside of the scales is NaN, as in GPTQ; NaN and Inf come through."""
    parts = {
        WEIGHT: torch.ones(4, 64, dtype=torch.int8),
        f"{WEIGHT}_scale": torch.tensor([[1.0, 2.0], [torch.nan, 3.0], [torch.inf, 4.0], [0.0, 5.0]]),
        f"{WEIGHT}_g_idx": torch.tensor([0] * 32 + [2**31 - 1] * 32, dtype=torch.int32),
    }
    found = values(written(tmp_path, parts), WEIGHT)
    np.testing.assert_array_equal(found[:, 0], [1, np.nan, np.inf, 0])
    np.testing.assert_array_equal(found[:, 63], [np.nan] * 4)


def test_views_in_files_of_torch(tmp_path: Path) -> None:
    """A transposed weight is read by its strides; so are transposed panels."""
    weight, scale = codes(192, 136).view(torch.uint8).T, scales(136, 1)
    experts = codes(2, 32, 64).view(torch.uint8).transpose(1, 2)
    factors = torch.tensor([0.5, 4.0])[:, None, None]
    parts = {
        WEIGHT: weight.view(torch.float8_e4m3fn),
        f"{WEIGHT}_scale": scale,
        EXPERTS: experts.view(torch.float8_e4m3fn),
        f"{EXPERTS}_scale": factors,
    }
    torch.save(parts, tmp_path / "model.pt")
    checkpoint = open_checkpoint(tmp_path / "model.pt")
    np.testing.assert_array_equal(values(checkpoint, WEIGHT, 37), products(parts[WEIGHT], scale))
    expected = products(parts[EXPERTS], factors).reshape(-1, 32)
    np.testing.assert_array_equal(values(checkpoint, EXPERTS, 13).reshape(-1, 32), expected)


def test_the_unit_is_one(tmp_path: Path) -> None:
    """Integers with a scale are real values, not integers of a shifted scale."""
    checkpoint = written(tmp_path, {WEIGHT: torch.full((64, 64), 3, dtype=torch.int8), f"{WEIGHT}_scale": torch.tensor([0.5])})
    opened = tensor(checkpoint, WEIGHT)
    assert opened.exponent == 0
    assert float(opened.samples(0, opened.read(0), 0, 64).values[0, 0]) == 1.5
