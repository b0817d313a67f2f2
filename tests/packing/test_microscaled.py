"""In: MXFP4, MXFP6 and NVFP4 as their tools write them. Out: values by compressed-tensors and by the gguf package."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
from compressed_tensors.entrypoints.convert.converters import ModelOptNvfp4Converter
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.lifecycle.forward import dequantize
from packingkit import digests, info, values, written

from mwv.decode.open import open_tensor
from mwv.layout.grid import grid_of, panels_of

LAYER = "model.layers.0.self_attn.q_proj"
WEIGHT = f"{LAYER}.weight"
EXPERTS = "model.layers.0.mlp.experts.gate_up_proj"
ROWS, COLS = 136, 192


def octets(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def exponents(*shape: int) -> torch.Tensor:
    return octets(*shape, seed=1) % 30 + 110


def e4m3(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(2).uniform(1, 400, shape).astype(np.float32)).to(torch.float8_e4m3fn)


def mx(bits: int, state: dict) -> np.ndarray:
    """What compressed-tensors makes of parts of an MX format."""
    args = QuantizationArgs(num_bits=bits, type="float", strategy="group", group_size=32)
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    return (
        BaseCompressor.get_value_from_registry(f"mxfp{bits}-pack-quantized").decompress(state, scheme)["weight"].float().numpy()
    )


def gguf_blocks(blocks: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Values of 32 codes each by the gguf package, whose blocks have the first 16 in the low nibbles."""
    codes = np.stack((blocks & 15, blocks >> 4), -1).reshape(-1, 32)
    packed = np.concatenate((scales.reshape(-1, 1), codes[:, :16] | codes[:, 16:] << 4), axis=1)
    return gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.MXFP4)


def test_experts_of_gpt_oss(tmp_path: Path) -> None:
    blocks, scales = octets(3, ROWS, COLS // 32, 16), exponents(3, ROWS, COLS // 32)
    bias = torch.zeros(3, ROWS)
    parts = {f"{EXPERTS}_blocks": blocks, f"{EXPERTS}_scales": scales, f"{EXPERTS}_bias": bias}
    checkpoint = written(tmp_path, parts, {"quantization_config": {"quant_method": "mxfp4"}})
    found = info(checkpoint, EXPERTS)
    assert found.shape == (3, ROWS, COLS)
    assert found.dtype.name == "MXFP4"
    assert info(checkpoint, f"{EXPERTS}_scales").part_of == EXPERTS
    expected = gguf_blocks(blocks.numpy(), scales.numpy()).reshape(3, ROWS, COLS)
    np.testing.assert_array_equal(values(checkpoint, EXPERTS, 1000), expected.reshape(3, -1))
    assert panels_of(found.name, found.shape) == 3
    grid = grid_of(found.shape[1:], panel=True)
    for expert in range(3):
        panel = open_tensor(checkpoint.shards, found, grid.row_elements, grid.patch, expert * grid.elements, grid.elements)
        read = [panel.numbers(band, panel.read(band), 32, 100) for band in range(panel.bands)]
        np.testing.assert_array_equal(np.concatenate(read), expected[expert, :, 32:132])


@pytest.mark.parametrize("sign", "._")
def test_a_matrix_of_blocks(tmp_path: Path, sign: str) -> None:
    blocks, scales = octets(ROWS, COLS // 32, 16), exponents(ROWS, COLS // 32).view(torch.float8_e8m0fnu)
    checkpoint = written(tmp_path, {f"w{sign}blocks": blocks, f"w{sign}scales": scales})
    expected = gguf_blocks(blocks.numpy(), scales.view(torch.uint8).numpy()).reshape(ROWS, COLS)
    np.testing.assert_array_equal(values(checkpoint, "w", 37), expected)


def test_an_exponent_of_all_ones_is_nan(tmp_path: Path) -> None:
    """As OCP's formats mean it."""
    scales = torch.tensor([[0, 254, 255]], dtype=torch.uint8)
    found = values(written(tmp_path, {"w_blocks": torch.full((1, 3, 16), 0x12, dtype=torch.uint8), "w_scales": scales}), "w")
    np.testing.assert_array_equal(found[0, ::32], [2.0**-127, 2.0**127, np.nan])
    np.testing.assert_array_equal(found[0, 1::32], [2.0**-128, 2.0**126, np.nan])


@pytest.mark.parametrize("bits", [4, 6])
def test_mx_formats_of_compressed_tensors(tmp_path: Path, bits: int) -> None:
    state = {"weight_packed": octets(ROWS, COLS * bits // 8), "weight_scale": exponents(ROWS, COLS // 32)}
    checkpoint = written(tmp_path, {f"{LAYER}.{n}": t for n, t in state.items()})
    expected = mx(bits, state)
    for columns in (0, 37):
        np.testing.assert_array_equal(values(checkpoint, WEIGHT, columns), expected)
    assert info(checkpoint, WEIGHT).dtype.name.startswith(f"MXFP{bits}")


@pytest.mark.parametrize("method", ["quark", "modelopt"])
def test_mxfp4_whose_packing_the_configuration_tells(tmp_path: Path, method: str) -> None:
    packed, scale = octets(ROWS, COLS // 2), exponents(ROWS, COLS // 32)
    config = {"quantization_config": {"quant_method": method}}
    checkpoint = written(tmp_path, {WEIGHT: packed, f"{WEIGHT}_scale": scale}, config)
    expected = mx(4, {"weight_packed": packed, "weight_scale": scale})
    np.testing.assert_array_equal(values(checkpoint, WEIGHT), expected)


def nvfp4() -> tuple[dict, np.ndarray]:
    """Parts as compressed-tensors has them, and what it makes of them in float32: rounded twice, ours only once."""
    state = {
        "weight_packed": octets(ROWS, COLS // 2),
        "weight_scale": e4m3(ROWS, COLS // 16),
        "weight_global_scale": torch.tensor([3719.25]),
    }
    args = QuantizationArgs(num_bits=4, type="float", strategy="tensor_group", group_size=16)
    codes = unpack_fp4_from_uint8(state["weight_packed"], ROWS, COLS, dtype=torch.float32)
    expected = dequantize(codes, state["weight_scale"].float(), args=args, global_scale=state["weight_global_scale"])
    return {f"{LAYER}.{n}": t for n, t in state.items()}, expected.numpy()


def test_nvfp4_of_compressed_tensors(tmp_path: Path) -> None:
    parts, expected = nvfp4()
    checkpoint = written(tmp_path, parts)
    for columns in (0, 37):
        np.testing.assert_array_max_ulp(values(checkpoint, WEIGHT, columns), expected, 2)
    assert info(checkpoint, WEIGHT).dtype.name == "NVFP4"
    assert {t.part_of for t in checkpoint.tensors if t.name != WEIGHT} == {WEIGHT}


@pytest.mark.parametrize("shape", [(), (1,)])
def test_nvfp4_of_modelopt(tmp_path: Path, shape: tuple) -> None:
    parts, expected = nvfp4()
    ours = {
        WEIGHT: parts[f"{WEIGHT}_packed"],
        f"{WEIGHT}_scale": parts[f"{WEIGHT}_scale"],
        f"{WEIGHT}_scale_2": (1 / parts[f"{WEIGHT}_global_scale"]).reshape(shape),
        f"{LAYER}.input_scale": torch.ones(1),
    }
    back = ModelOptNvfp4Converter(targets=["re:.*"]).process(dict(ours))
    assert torch.equal(back[f"{WEIGHT}_packed"], parts[f"{WEIGHT}_packed"])
    checkpoint = written(tmp_path, ours, hf_quant_config={"quantization": {"quant_algo": "NVFP4", "group_size": 16}})
    np.testing.assert_array_max_ulp(values(checkpoint, WEIGHT), expected, 2)
    assert not info(checkpoint, f"{LAYER}.input_scale").part_of


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 1, 1), ()])
@pytest.mark.parametrize("divide", [True, False])
def test_nvfp4_of_fused_experts(tmp_path: Path, divide: bool, shape: tuple) -> None:
    """One scale for each expert, of which a band may touch two; the product is rounded once."""
    name = f"{EXPERTS}.weight"
    packed, scale = octets(2, 70, COLS // 2), e4m3(2, 70, COLS // 16)
    whole = torch.tensor([3.1, 0.07])[: 2 if shape else 1].reshape(shape)
    main, second = (f"{name}_packed", f"{name}_global_scale") if divide else (name, f"{name}_scale_2")
    checkpoint = written(tmp_path, {main: packed, f"{name}_scale": scale, second: whole})
    codes = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
    each = codes[np.stack((packed & 15, packed >> 4), -1).reshape(2, 70, COLS)]
    factor = whole.double().numpy().reshape(-1, 1, 1)
    expected = each * scale.double().numpy().repeat(16, 2) * (1 / factor if divide else factor)
    np.testing.assert_array_max_ulp(values(checkpoint, name).reshape(2, 70, COLS), expected.astype(np.float32), 1)


@pytest.mark.parametrize("part", ["weight_packed", "weight_scale", "weight_global_scale"])
def test_every_part_changes_the_digest(tmp_path: Path, part: str) -> None:
    parts, _ = nvfp4()
    before = digests(written(tmp_path / "a", parts), WEIGHT)
    changed = parts[f"{LAYER}.{part}"].clone()
    changed.view(-1).view(torch.uint8)[0] += 1
    after = digests(written(tmp_path / "b", {**parts, f"{LAYER}.{part}": changed}), WEIGHT)
    assert before[0] != after[0]
    assert (before[1:] == after[1:]) == (part != "weight_global_scale")


@pytest.mark.parametrize("part", ["blocks", "scales"])
def test_every_part_of_blocks_changes_the_digest(tmp_path: Path, part: str) -> None:
    parts = {f"{EXPERTS}_blocks": octets(3, ROWS, 6, 16), f"{EXPERTS}_scales": exponents(3, ROWS, 6)}
    before = digests(written(tmp_path / "a", parts), EXPERTS)
    parts[f"{EXPERTS}_{part}"] = parts[f"{EXPERTS}_{part}"].clone()
    parts[f"{EXPERTS}_{part}"].view(-1)[-1] ^= 1
    assert before != digests(written(tmp_path / "b", parts), EXPERTS)


def test_dividing_and_multiplying_are_different_digests(tmp_path: Path) -> None:
    parts, _ = nvfp4()
    ours = dict(zip((WEIGHT, f"{WEIGHT}_scale", f"{WEIGHT}_scale_2"), parts.values(), strict=True))
    assert digests(written(tmp_path / "a", parts), WEIGHT) != digests(written(tmp_path / "b", ours), WEIGHT)


@pytest.mark.parametrize(
    ("main", "parts", "why"),
    [
        ("weight_packed", {"weight_scale": e4m3(ROWS, 12)}, "the scale of the whole tensor is missing or of another shape"),
        (
            "weight_packed",
            {"weight_scale": e4m3(ROWS, 12), "weight_global_scale": torch.ones(ROWS)},
            "the scale of the whole tensor is missing or of another shape",
        ),
        (
            "weight_packed",
            {"weight_scale": e4m3(ROWS, 12), "weight_global_scale": torch.ones(0)},
            "the scale of the whole tensor is missing or of another shape",
        ),
        (
            "weight_packed",
            {"weight_scale": e4m3(ROWS, 11), "weight_global_scale": torch.ones(1)},
            "its scales are not for groups of its rows",
        ),
        (
            "weight_packed",
            {"weight_scale": e4m3(ROWS, 0), "weight_global_scale": torch.ones(1)},
            "its scales are not for groups of its rows",
        ),
        ("weight_packed", {"weight_scale": exponents(ROWS, 5)}, "its scales are not for groups of its rows"),
        ("weight_packed", {"weight_scale": exponents(ROWS - 1, 6)}, "its scales are not for groups of its rows"),
        ("weight_packed", {"weight_scale": torch.ones(())}, "its scales are not for groups of its rows"),
        ("weight_packed", {"weight_scale": torch.ones(ROWS, 6)}, "its packing is not known"),
        ("weight", {"weight_scale": exponents(ROWS, 6)}, "its packing is not known"),
        (
            "weight",
            {"weight_scale": e4m3(ROWS, 12), "weight_scale_2": torch.ones(1), "comfy_quant": octets(8)},
            "its scales may be in the order of ComfyUI's kernel",
        ),
        ("experts.up_proj", {"experts.up_proj_weight_scale": e4m3(ROWS, 12)}, "its packing is not known"),
        ("x_blocks", {"x_scales": exponents(ROWS, 96)}, "its scales are for blocks of another size"),
    ],
)
def test_what_does_not_fit_stays_integers(tmp_path: Path, main: str, parts: dict, why: str) -> None:
    checkpoint = written(tmp_path, {main: octets(ROWS, COLS // 2), **parts})
    found = info(checkpoint, main)
    assert found.dtype.name == "U8" and found.packing is None
    assert found.note == f"stored integers of a packed weight, not decoded: {why}"


def test_bytes_without_scales_are_bytes(tmp_path: Path) -> None:
    checkpoint = written(tmp_path, {WEIGHT: octets(ROWS, COLS), "x_blocks": octets(ROWS, 16), "y.weight_packed": octets(3, 3)})
    assert not any(t.note or t.packing for t in checkpoint.tensors)


def test_no_name_is_taken_twice(tmp_path: Path) -> None:
    parts, _ = nvfp4()
    checkpoint = written(tmp_path, {**parts, WEIGHT: torch.ones(3)})
    assert info(checkpoint, f"{WEIGHT}_packed").note.endswith("there is another tensor of the name that its values would have")
