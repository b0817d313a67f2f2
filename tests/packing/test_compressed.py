"""In: layers packed by compressed-tensors. Out: the values that it unpacks, and sparse ones by numpy's unpackbits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from packingkit import digests, info, values, written

from mwv.decode.open import open_tensor

LAYER = "model.layers.0.self_attn.q_proj"
WEIGHT = f"{LAYER}.weight"
PACKER = BaseCompressor.get_value_from_registry("pack-quantized")
ROWS, COLS = 152, 192


def layer(bits: int, strategy: str, *, symmetric: bool = True, cols: int = COLS) -> tuple[dict, np.ndarray, dict]:
    """Parts as compressed-tensors packs them, the values that it makes of them, and the configuration."""
    random = np.random.default_rng(bits)
    said = {"num_bits": bits, "type": "int", "strategy": strategy, "symmetric": symmetric}
    if strategy == "group":
        said["group_size"] = 32
    shape = {"tensor": (1,), "channel": (ROWS, 1), "group": (ROWS, cols // 32)}[strategy]
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**said))
    half = 2 ** (bits - 1)
    state = {
        "weight": torch.from_numpy(random.normal(0, 0.2, (ROWS, cols)).astype(np.float32)),
        "weight_scale": torch.from_numpy(random.uniform(0.01, 0.2, shape).astype(np.float32)),
        "weight_zero_point": torch.from_numpy(random.integers(-half, half, shape).astype(np.int8)),
    }
    packed = PACKER.compress(state, scheme)
    expected = PACKER.decompress(packed, scheme)["weight"].numpy()
    config = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": {"weights": said}}}
    return {f"{LAYER}.{n}": t for n, t in packed.items()}, expected, {"quantization_config": config}


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("strategy", ["tensor", "channel", "group"])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8])
def test_packed_integers(tmp_path: Path, bits: int, strategy: str, symmetric: bool) -> None:
    parts, expected, config = layer(bits, strategy, symmetric=symmetric)
    checkpoint = written(tmp_path, parts, config)
    for columns in (0, 37):
        np.testing.assert_array_equal(values(checkpoint, WEIGHT, columns), expected)
    spread = {"tensor": "one scale", "channel": "row scales", "group": "1×32 scales"}[strategy]
    assert info(checkpoint, WEIGHT).dtype.name == f"INT{bits} × {spread}"
    assert {t.part_of for t in checkpoint.tensors if t.name != WEIGHT} == {WEIGHT}


@pytest.mark.parametrize("symmetric", [True, False])
def test_bits_and_groups_follow_from_the_shapes(tmp_path: Path, symmetric: bool) -> None:
    parts, expected, _ = layer(4, "group", symmetric=symmetric)
    np.testing.assert_array_equal(values(written(tmp_path, parts), WEIGHT), expected)


def test_a_last_word_that_is_not_full(tmp_path: Path) -> None:
    parts, expected, config = layer(4, "channel", symmetric=False, cols=189)
    checkpoint = written(tmp_path, parts, config)
    assert info(checkpoint, WEIGHT).shape == (ROWS, 189)
    np.testing.assert_array_equal(values(checkpoint, WEIGHT), expected)


def test_without_its_shape_the_configuration_tells_the_bits(tmp_path: Path) -> None:
    parts, expected, config = layer(4, "group")
    del parts[f"{LAYER}.weight_shape"]
    np.testing.assert_array_equal(values(written(tmp_path, parts, config), WEIGHT), expected)


@pytest.mark.parametrize("ordered", [True, False])
def test_the_group_of_each_column(tmp_path: Path, ordered: bool) -> None:
    """An index that was never set holds -1, and columns are in order."""
    parts, _, _ = layer(4, "group")
    codes = np.stack([parts[f"{LAYER}.weight_packed"].numpy().view(np.uint32) >> 4 * i & 15 for i in range(8)], -1)
    index = np.random.default_rng(0).permutation(COLS) // 32 if ordered else np.full(COLS, -1)
    groups = index if ordered else np.arange(COLS) // 32
    expected = (codes.reshape(ROWS, -1) - 8.0) * parts[f"{LAYER}.weight_scale"].double().numpy()[:, groups]
    parts[f"{LAYER}.weight_g_idx"] = torch.from_numpy(index.astype(np.int32))
    checkpoint = written(tmp_path, parts)
    for columns in (0, 37):
        np.testing.assert_array_equal(values(checkpoint, WEIGHT, columns), expected.astype(np.float32))


@pytest.mark.parametrize("part", ["weight_packed", "weight_scale", "weight_zero_point"])
def test_every_part_changes_the_digest(tmp_path: Path, part: str) -> None:
    parts, _, _ = layer(4, "group", symmetric=False)
    before = digests(written(tmp_path / "a", parts), WEIGHT)
    changed = parts[f"{LAYER}.{part}"].clone()
    changed.view(-1)[0] += 1
    after = digests(written(tmp_path / "b", {**parts, f"{LAYER}.{part}": changed}), WEIGHT)
    assert before[0] != after[0] and before[1:] == after[1:]


def test_the_bits_are_in_the_digest(tmp_path: Path) -> None:
    """Words of 4-bit codes, 64 wide, could as well be of 8 bits, 32 wide."""
    found = []
    for cols in (32, 64):
        parts = {
            f"{WEIGHT}_packed": torch.ones(64, 8, dtype=torch.int32),
            f"{WEIGHT}_scale": torch.ones(1),
            f"{WEIGHT}_shape": torch.tensor([64, cols]),
        }
        found.append(digests(written(tmp_path / str(cols), parts), WEIGHT))
    assert found[0] != found[1]


def test_rows_that_begin_within_a_word_of_zero_points(tmp_path: Path) -> None:
    """Zero points 0, 1, 2, … of eight rows a word: equal words and codes are other values from another row on."""
    parts = {
        f"{WEIGHT}_packed": torch.zeros(64, 8, dtype=torch.int32),
        f"{WEIGHT}_scale": torch.ones(64, 1),
        f"{WEIGHT}_zero_point": torch.full((8, 1), 0x76543210, dtype=torch.int32),
        f"{WEIGHT}_shape": torch.tensor([64, 64]),
    }
    checkpoint = written(tmp_path, parts)
    found = info(checkpoint, WEIGHT)
    whole, later = (open_tensor(checkpoint.shards, found, 64, first=64 * row, elements=64 * 8) for row in (0, 11))
    assert later.numbers(0, later.read(0), 0, 64)[:, 0].tolist() == [-3, -4, -5, -6, -7, 0, -1, -2]
    assert whole.digest(0, whole.read(0)) != later.digest(0, later.read(0))


def sparse(dtype: torch.dtype) -> tuple[dict, np.ndarray]:
    """Parts of a 2:4-sparse matrix, and it itself."""
    random = np.random.default_rng(5)
    kept = random.permuted(np.tile([True, True, False, False], (ROWS, COLS // 4, 1)), axis=2).reshape(ROWS, COLS)
    codes = torch.from_numpy(random.integers(1, 120, (ROWS, COLS // 2)).astype(np.float32)).to(dtype)
    whole = np.zeros((ROWS, COLS), np.float32)
    whole[kept] = codes.float().numpy().reshape(-1)
    mask = torch.from_numpy(np.packbits(kept, axis=1, bitorder="little"))
    parts = {f"{LAYER}.compressed": codes, f"{LAYER}.bitmask": mask, f"{LAYER}.shape": torch.tensor([[ROWS], [COLS]])}
    return parts, whole


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_sparse_matrices(tmp_path: Path, dtype: torch.dtype) -> None:
    parts, expected = sparse(dtype)
    checkpoint = written(tmp_path, parts)
    for columns in (0, 37):
        np.testing.assert_array_equal(values(checkpoint, WEIGHT, columns), expected)
    assert info(checkpoint, WEIGHT).dtype.name.endswith(" 2:4 sparse")
    assert {t.part_of for t in checkpoint.tensors if t.name != WEIGHT} == {WEIGHT}


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8])
def test_sparse_matrices_of_scaled_codes(tmp_path: Path, dtype: torch.dtype) -> None:
    parts, codes = sparse(dtype)
    scale = torch.rand(ROWS, 1)
    found = values(written(tmp_path, {**parts, f"{WEIGHT}_scale": scale}), WEIGHT)
    np.testing.assert_array_equal(found, (codes * scale.double().numpy()).astype(np.float32))


@pytest.mark.parametrize("part", ["compressed", "bitmask"])
def test_every_part_of_a_sparse_matrix_changes_the_digest(tmp_path: Path, part: str) -> None:
    parts, _ = sparse(torch.float16)
    before = digests(written(tmp_path / "a", parts), WEIGHT)
    changed = parts[f"{LAYER}.{part}"].clone()
    changed.view(-1)[0] = 0
    after = digests(written(tmp_path / "b", {**parts, f"{LAYER}.{part}": changed}), WEIGHT)
    assert before[0] != after[0] and before[1:] == after[1:]


def test_a_bit_without_a_code_is_nan(tmp_path: Path) -> None:
    parts, expected = sparse(torch.float16)
    parts[f"{LAYER}.bitmask"][:] = 255
    found = values(written(tmp_path, parts), WEIGHT)
    np.testing.assert_array_equal(found[:, : COLS // 2], expected[expected != 0].reshape(ROWS, -1))
    assert np.isnan(found[:, COLS // 2 :]).all()


def test_sparse_rows_of_different_lengths_are_not_decoded(tmp_path: Path) -> None:
    parts, _ = sparse(torch.float16)
    parts[f"{LAYER}.compressed"] = parts[f"{LAYER}.compressed"].reshape(-1)
    parts[f"{LAYER}.row_offsets"] = torch.arange(ROWS) * COLS // 2
    found = info(written(tmp_path, parts), f"{LAYER}.compressed")
    assert found.note.endswith("not decoded: its rows have different numbers of codes")


CONTRADICTION = "its shape is missing or contradicts its words"
BITS = "its shapes and the configuration do not tell how many bits a code has"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"weight_scale": None}, "its scales are missing or it is no matrix"),
        ({"weight_packed": torch.ones(8, dtype=torch.int32)}, "its scales are missing or it is no matrix"),
        ({"weight_shape": None}, CONTRADICTION),
        ({"weight_shape": torch.tensor([ROWS + 1, COLS])}, CONTRADICTION),
        ({"weight_shape": torch.tensor([-ROWS, -COLS])}, CONTRADICTION),
        ({"weight_shape": torch.tensor([ROWS, 0])}, CONTRADICTION),
        ({"weight_shape": torch.tensor([ROWS])}, CONTRADICTION),
        ({"weight_shape": torch.tensor(ROWS)}, CONTRADICTION),
        ({"weight_shape": torch.ones(4096, dtype=torch.int64)}, CONTRADICTION),
        ({"weight_shape": torch.tensor([float(ROWS), float(COLS)])}, CONTRADICTION),
        ({"weight_shape": torch.tensor([ROWS, 2**62])}, BITS),
        ({"weight_shape": torch.tensor([ROWS, 23 * 24])}, BITS),
        ({"weight_packed": torch.ones(ROWS, 0, dtype=torch.int32)}, BITS),
        ({"weight_scale": torch.ones(ROWS, 5)}, "its scales do not fit its shape"),
        ({"weight_zero_point": torch.ones(ROWS, 6, dtype=torch.int32)}, "its zero points have another shape than its scales"),
        ({"weight_zero_point": torch.ones(3, dtype=torch.int8)}, "its zero points have another shape than its scales"),
        (
            {"weight_scale": torch.ones(1), "weight_zero_point": torch.ones(19, 1, dtype=torch.int32)},
            "its zero points have another shape than its scales",
        ),
        ({"scale_packed": torch.ones(3)}, "packed for the Marlin kernel"),
    ],
)
def test_what_does_not_fit_stays_integers(tmp_path: Path, changed: dict, why: str) -> None:
    parts, _, _ = layer(4, "group", symmetric=False)
    parts |= {f"{LAYER}.{name}": part for name, part in changed.items()}
    checkpoint = written(tmp_path, {name: part for name, part in parts.items() if part is not None})
    found = info(checkpoint, f"{WEIGHT}_packed")
    assert found.dtype.name == "I32" and found.packing is None
    assert found.note == f"stored integers of a packed weight, not decoded: {why}"


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        ({"num_bits": 7}, BITS),
        ({"num_bits": 4, "symmetric": False}, "its zero points are missing"),
    ],
)
def test_a_configuration_that_contradicts_is_not_overruled(tmp_path: Path, weights: dict, why: str) -> None:
    parts, _, _ = layer(4, "channel")
    config = {"quantization_config": {"config_groups": {"group_0": {"weights": weights}}}}
    assert info(written(tmp_path, parts, config), f"{WEIGHT}_packed").note.endswith(why)


def test_marlin_is_not_guessed(tmp_path: Path) -> None:
    parts, _, config = layer(4, "group")
    config["quantization_config"]["format"] = "marlin-24"
    assert info(written(tmp_path, parts, config), f"{WEIGHT}_packed").note.endswith("packed for the Marlin kernel")
