"""In: layers that hqq, quanto and torchao saved (`references/`), larger ones packed by hand. Out: their values, with notes."""

import json
from pathlib import Path

import numpy as np
import pytest
from packingkit import assert_equal_digests_mean_equal_values, digests, info, values, written
from safetensors.numpy import save_file
from safetensors.torch import load_file

from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.open import open_checkpoint

REFERENCES = Path(__file__).parent / "references"
LAYER = "model.layers.0.mlp.up_proj"
WEIGHT = f"{LAYER}.weight"
SLICES = {8: 1, 4: 2, 3: 10, 2: 4, 1: 8}


def saved(file: str, *prefixes: str) -> dict[str, np.ndarray]:
    """Tensors of a reference whose names begin so; numpy has no type for some of the others."""
    return {name: part.numpy() for name, part in load_file(REFERENCES / file).items() if name.startswith(prefixes)}


def numbered(number):
    return np.array(number, np.int32)


def hqq_layer(bits, axis, outputs=200, inputs=96, group=32):
    """Parts of a layer, and its values in float64: the formula of hqq's documentation."""
    random = np.random.default_rng(0)
    slices, count = SLICES[bits], outputs * inputs // group
    codes = random.integers(0, 2**bits, (count, group) if axis else (group, count))
    scale, zero = (random.uniform(0.01, 0.1, (count, 1) if axis else (1, count)).astype(np.float32) for _ in range(2))
    height = -(-len(codes) // slices)
    padded = np.zeros((slices * height, codes.shape[1]), np.int64)
    padded[: len(codes)] = codes
    words = sum(part << bits * (slices - 1 - i) for i, part in enumerate(padded.reshape(slices, height, -1)))
    packing = "3bit_32" if bits == 3 else f"{bits}bit_u8"
    parts = {
        f"{LAYER}.W_q": words.astype(np.int32 if bits == 3 else np.uint8),
        f"{LAYER}.scale": scale,
        f"{LAYER}.zero": zero,
        f"{LAYER}.shape": np.array([outputs, inputs]),
        f"{LAYER}.group_size": numbered(group),
        f"{LAYER}.axis": numbered(axis),
        f"{LAYER}.nbits": numbered(bits),
        f"{LAYER}.packing": np.frombuffer(packing.encode(), np.uint8),
    }
    return parts, ((codes - zero.astype(np.float64)) * scale).reshape(outputs, inputs)


@pytest.mark.parametrize("file", ["hqq.safetensors", "quanto.safetensors", "torchao.safetensors"])
def test_values_are_those_of_the_package(file: str) -> None:
    checkpoint = open_checkpoint(REFERENCES / file)
    for key, reference in saved(file, "expected.").items():
        name = key.removeprefix("expected.")
        found = info(checkpoint, name)
        assert found.dtype.kind == "packed", (name, found.note)
        for columns in (0, 7):
            drawn = values(checkpoint, name, columns)
            np.testing.assert_allclose(drawn.ravel(), _as_drawn(reference).ravel(), rtol=2e-6, atol=1e-6, err_msg=name)
        if name == "shapeless.weight":
            assert found.shape == (10, 96) and "how many groups" in found.note
        else:
            assert found.shape == reference.shape and found.note.startswith("values made of"), name


def _as_drawn(reference):
    """A convolution's kernels side by side, an output channel after the other."""
    if reference.ndim == 4:
        return reference.transpose(0, 2, 1, 3)
    return reference


def test_labels_say_package_and_bits() -> None:
    names = {t.name: t.dtype.name for f in ("hqq", "quanto") for t in open_checkpoint(REFERENCES / f"{f}.safetensors").tensors}
    assert names["bits3axis0.weight"] == "HQQ 3-bit" and names["six.weight"] == "HQQ 6-bit"
    assert names["int2.weight"] == "quanto 2-bit" and names["e4m3.weight"] == "quanto F8_E4M3"


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("bits", SLICES)
def test_hqq_gives_the_values_of_the_formula(tmp_path: Path, bits: int, axis: int) -> None:
    parts, reference = hqq_layer(bits, axis)
    checkpoint = written(tmp_path, parts)
    for columns in (0, 33):
        np.testing.assert_array_equal(values(checkpoint, WEIGHT, columns), reference.astype(np.float32))
    assert {t.part_of for t in checkpoint.tensors if t.name != WEIGHT} == {WEIGHT}


@pytest.mark.parametrize(("outputs", "inputs", "group"), [(256, 128, 128), (130, 60, 40), (512, 64, 8), (6, 1030, 10)])
@pytest.mark.parametrize("axis", [0, 1])
def test_groups_need_not_end_where_rows_or_bands_do(tmp_path: Path, axis: int, outputs: int, inputs: int, group: int) -> None:
    parts, reference = hqq_layer(4, axis, outputs, inputs, group)
    drawn = values(written(tmp_path, parts), WEIGHT, 50)
    np.testing.assert_array_equal(drawn.ravel()[: reference.size], reference.astype(np.float32).ravel())


@pytest.mark.parametrize("part", ["W_q", "scale", "zero"])
@pytest.mark.parametrize("axis", [0, 1])
def test_every_part_changes_the_digest(tmp_path: Path, axis: int, part: str) -> None:
    parts, _ = hqq_layer(4, axis, outputs=256)
    before = digests(written(tmp_path / "a", parts), WEIGHT)
    changed = parts[f"{LAYER}.{part}"].copy()
    changed[0, 0] += 1
    after = digests(written(tmp_path / "b", {**parts, f"{LAYER}.{part}": changed}), WEIGHT)
    different = [a != b for a, b in zip(before, after, strict=True)]
    if axis == 0 and part != "W_q":  # a column of the groups goes through all bands
        assert all(different)
    else:  # two bands share a word
        assert different == [True, False, part == "W_q", False]


def test_bands_with_equal_bytes_that_meet_groups_elsewhere_are_not_equal(tmp_path: Path) -> None:
    parts, _ = hqq_layer(8, 1, outputs=640, inputs=48, group=40)
    parts[f"{LAYER}.W_q"][:] = 7
    parts[f"{LAYER}.zero"][:] = 1
    parts[f"{LAYER}.scale"][:, 0] = np.arange(768) % 2 + 1
    assert_equal_digests_mean_equal_values(written(tmp_path, parts), WEIGHT)


@pytest.mark.parametrize("key", ["axis", "packing"])
def test_what_the_numbers_mean_changes_the_digest(tmp_path: Path, key: str) -> None:
    parts, _ = hqq_layer(4, 1, outputs=64, inputs=64, group=64)
    before = digests(written(tmp_path / "a", parts), WEIGHT)
    other = {"axis": numbered(0), "packing": np.frombuffer(b"8bit_u8", np.uint8)}
    parts[f"{LAYER}.{key}"] = other[key]
    if key == "packing":
        parts[f"{LAYER}.W_q"] = np.repeat(parts[f"{LAYER}.W_q"], 2, 0)
    assert before != digests(written(tmp_path / "b", parts), WEIGHT)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("packing", None, "does not say how its codes are packed"),
        ("packing", np.frombuffer(b"4bit_u\xff", np.uint8), "is not known"),
        ("packing", np.zeros(5000, np.uint8), "does not say how its codes are packed"),
        ("packing", np.zeros(500, np.int64), "does not say how its codes are packed"),
        ("shape", None, "does not say its shape or axis"),
        ("shape", np.array([-200, -96]), "does not say its shape or axis"),
        ("shape", np.array([2**62, 2**62]), "contradict each other"),
        ("shape", np.array([1] * 100), "does not say its shape or axis"),
        ("shape", np.array([200.0, 96.0]), "does not say its shape or axis"),
        ("axis", numbered(2), "does not say its shape or axis"),
        ("axis", numbered([]), "does not say its shape or axis"),
        ("group_size", numbered(0), "contradict each other"),
        ("group_size", numbered(-32), "contradict each other"),
        ("group_size", numbered(31), "contradict each other"),
        ("group_size", numbered(64), "contradict each other"),
        ("scale", None, "scales or zero points are missing"),
        ("zero", np.zeros((600, 1), np.uint8), "scales or zero points are missing"),
        ("zero", np.zeros((599, 1), np.float32), "contradict each other"),
        ("W_q", np.zeros((299, 32), np.uint8), "contradict each other"),
        ("W_q", np.zeros((0, 32), np.uint8), "contradict each other"),
    ],
)
def test_numbers_that_lie_leave_integers_with_a_note(tmp_path: Path, key: str, value: object, reason: str) -> None:
    parts, _ = hqq_layer(4, 1)
    del parts[f"{LAYER}.{key}"]
    if value is not None:
        parts[f"{LAYER}.{key}"] = value
    found = info(written(tmp_path, parts), f"{LAYER}.W_q")
    assert found.dtype.name == "U8" and reason in found.note


@pytest.mark.parametrize(
    "part", ["int4.weight._data._data", "int4.weight._scale", "int4.weight._shift", "int8.weight._data", "int8.weight._scale"]
)
def test_every_part_of_quanto_changes_the_digest(tmp_path: Path, part: str) -> None:
    parts = saved("quanto.safetensors", "int4.", "int8.")
    weight = part.partition("._")[0]
    before = digests(written(tmp_path / "a", parts), weight)
    parts[part][0, 0] += 1
    assert before != digests(written(tmp_path / "b", parts), weight)


def test_shifts_that_are_whole_numbers_are_zero_points(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    codes, zero = random.integers(0, 16, (70, 40)), random.integers(0, 16, (70, 1))
    scale = random.uniform(0.01, 0.1, (70, 1)).astype(np.float32)
    parts = {
        f"{WEIGHT}._data._data": (codes[:35] | codes[35:] << 4).astype(np.uint8),
        f"{WEIGHT}._scale": scale,
        f"{WEIGHT}._shift": zero.astype(np.int8),
    }
    reference = ((codes - zero) * scale.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(values(written(tmp_path, parts), WEIGHT), reference)


@pytest.mark.parametrize(
    ("part", "value", "reason"),
    [
        ("int4.weight._data._data", np.zeros((5, 40), np.uint8), "how many bits"),
        ("int4.weight._data._data", np.zeros((6, 40), np.int16), "contradict each other"),
        ("int4.weight._scale", np.zeros((11, 1), np.float32), "scales or shifts are missing"),
        ("int4.weight._shift", None, "scales or shifts are missing"),
        ("int8.weight._scale", np.zeros((11, 1), np.float32), "another shape than its rows"),
        ("int8.weight._scale", np.zeros((1, 40), np.float32), "another shape than its rows"),
        ("int8.weight._data", np.zeros((12, 40), np.int32), "a type that is not known"),
    ],
)
def test_parts_of_quanto_that_do_not_fit_leave_integers(tmp_path: Path, part: str, value: object, reason: str) -> None:
    parts = saved("quanto.safetensors", "int4.", "int8.")
    del parts[part]
    if value is not None:
        parts[part] = value
    main = f"{part.partition('._')[0]}._data" + ("._data" if part.startswith("int4") else "")
    assert reason in info(written(tmp_path, parts), main).note


def torchao(folder: Path, changes: dict[str, object], said: str = "") -> Checkpoint:
    """The reference layer `int4`, its parts or what the metadata says of it changed."""
    meta = {"_type": "IntxUnpackedToInt8Tensor", "_data": {"target_dtype": {"_type": "torch.dtype", "_data": "int4"}}}
    parts = {**saved("torchao.safetensors", "int4."), **changes}
    folder.mkdir(exist_ok=True)
    kept = {name: part for name, part in parts.items() if part is not None}
    save_file(kept, folder / "model.safetensors", {"int4.weight": said or json.dumps(meta)})
    return open_checkpoint(folder)


@pytest.mark.parametrize("part", ["qdata", "scale", "zero_point"])
def test_every_part_of_torchao_changes_the_digest(tmp_path: Path, part: str) -> None:
    name = f"int4._weight_{part}"
    before = torchao(tmp_path / "a", {})
    assert info(before, "int4.weight").dtype.name == "torchao int4"
    assert {t.part_of for t in before.tensors if t.name != "int4.weight"} == {"int4.weight"}
    changed = saved("torchao.safetensors", name)[name]
    changed[0, 0] += 1
    assert digests(before, "int4.weight") != digests(torchao(tmp_path / "b", {name: changed}), "int4.weight")


@pytest.mark.parametrize(
    ("part", "value", "said", "reason"),
    [
        ("scale", None, "", "its scales are missing"),
        ("scale", np.ones((12, 5), np.float32), "", "or of another shape"),
        ("scale", np.ones((3, 3), np.float32), "", "blocks of rows"),
        ("zero_point", np.ones((12, 2), np.int8), "", "zero points have another shape"),
        ("qdata", np.ones((12, 96), np.uint8), "", "IntxUnpackedToInt8Tensor of U8"),
        ("bias", np.ones(12, np.float32), '{"_type": "Int4TilePackedTo4dTensor"}', "Int4TilePackedTo4dTensor of I8"),
        ("bias", np.ones(12, np.float32), "[1]", "metadata does not say"),
        ("bias", np.ones(12, np.float32), "[" * 100_000, "metadata does not say"),
        ("bias", np.ones(12, np.float32), '{"_type": 1}', "metadata does not say"),
    ],
)
def test_what_torchao_may_not_mean_stays_integers(tmp_path: Path, part: str, value: object, said: str, reason: str) -> None:
    found = info(torchao(tmp_path, {f"int4._weight_{part}": value}, said), "int4._weight_qdata")
    assert found.dtype.kind in ("int", "uint") and reason in found.note


def test_eetq_stays_integers_with_a_note(tmp_path: Path) -> None:
    parts = {WEIGHT: np.zeros((64, 64), np.int8), f"{WEIGHT}_scales": np.ones(64, np.float16)}
    found = info(written(tmp_path, parts), WEIGHT)
    assert found.dtype.name == "I8" and "EETQ's kernel" in found.note
