"""Opening what a user names: files, shards, indices and directories, as repositories and caches really look."""

import contextlib
import gc
import json
import os
import pickle
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import safetensors.numpy
import torch

from mwv.checkpoint.config import architecture
from mwv.checkpoint.folder import LocalFolder
from mwv.checkpoint.info import Checkpoint
from mwv.checkpoint.open import checkpoint_name, open_checkpoint
from mwv.errors import FormatError, MwvError, SourceError, UnsupportedError

ONE = np.ones((2, 3), np.float32)


def save(path: Path, *names: str) -> Path:
    """A checkpoint with these tensors, of the format that the file's extension says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: ONE.copy() for name in names or ("w",)}
    if path.suffix == ".safetensors":
        safetensors.numpy.save_file(tensors, path)
    elif path.suffix == ".npz":
        np.savez(path, **tensors)
    elif path.suffix == ".gguf":
        writer = gguf.GGUFWriter(path, "llama")
        for name, array in tensors.items():
            writer.add_tensor(name, array)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    else:
        values = {name: torch.from_numpy(array) for name, array in tensors.items()}
        torch.save(values, path, _use_new_zipfile_serialization=path.suffix != ".pth")
    return path


def save_sharded(
    directory: Path, stem: str = "model", suffix: str = ".safetensors", count: int = 3, index: bool = True
) -> dict[str, str]:
    """Tensor names and files of a sharded set."""
    files = {f"layers.{i}.w": f"{stem}-{i + 1:05d}-of-{count:05d}{suffix}" for i in range(count)}
    for name, file in files.items():
        save(directory / file, name)
    if index:
        (directory / f"{stem}{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return files


def names(checkpoint: Checkpoint) -> list[str]:
    return [tensor.name for tensor in checkpoint.tensors]


def files(checkpoint: Checkpoint) -> list[str]:
    return [shard.name for shard in checkpoint.shards]


def refused(path: Path, kind: type[MwvError], expected: str) -> None:
    with pytest.raises(kind, match=expected) as error:
        open_checkpoint(path)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value) or path.parent.name in str(error.value)


# ---- one file


@pytest.mark.parametrize("written", [".safetensors", ".gguf", ".bin", ".pth", ".npz"])
@pytest.mark.parametrize("called", ["x.safetensors", "x.gguf", "x.bin", "x.pt", "x.dat", "x"])
def test_formats_are_recognised_by_content(tmp_path: Path, written: str, called: str) -> None:
    path = save(tmp_path / f"w{written}", "a.b").rename(tmp_path / called)
    checkpoint = open_checkpoint(path)
    assert checkpoint.format == {".safetensors": "safetensors", ".gguf": "gguf", ".npz": "numpy"}.get(written, "pytorch")
    assert names(checkpoint) == ["a.b"]
    info = checkpoint.tensors[0]
    assert checkpoint.shards[0].read(info.offset, info.nbytes) == ONE.tobytes()


@pytest.mark.parametrize("name", ["x.safetensors", "x.gguf", "x.bin", "x.pth", "x.txt"])
@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}.", b"PK\3\4" + bytes(50), b"\xff" * 100, b'{"a": 1}'])
def test_files_that_are_no_checkpoint(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, FormatError, rf"{name}: .+(; |no )")


def test_a_pointer_of_git_lfs_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    refused(path, FormatError, "run git lfs pull")


def test_a_checkpoint_without_tensors(tmp_path: Path) -> None:
    safetensors.numpy.save_file({}, tmp_path / "x.safetensors")
    refused(tmp_path / "x.safetensors", FormatError, "holds no tensors")


@pytest.mark.parametrize("name", ["absent.safetensors", "absent", "absent.index.json", "sub/absent-00001-of-00002.gguf"])
def test_files_that_are_not_there(tmp_path: Path, name: str) -> None:
    refused(tmp_path / name, SourceError, "cannot be opened: No such file")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "x" * 5000 + "/y.gguf"])
def test_paths_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match="cannot be opened") as error:
        open_checkpoint(tmp_path / name)
    assert "\n" not in str(error.value)
    assert "\0" not in str(error.value)


def test_a_pipe_or_a_socket_is_no_checkpoint_and_nothing_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    refused(tmp_path / "pipe.safetensors", SourceError, "not a regular file")
    refused(Path("/dev/zero"), SourceError, "not a regular file")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "x.safetensors")

    def denied(*_: Any, **__: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    refused(path, SourceError, "cannot be opened: Permission denied")


def test_no_descriptor_stays_open_after_an_error(tmp_path: Path) -> None:
    save(tmp_path / "m-00001-of-00002.safetensors", "a")
    save(tmp_path / "m-00002-of-00002.safetensors", "a")
    before = len(list(Path("/proc/self/fd").iterdir()))
    refused(tmp_path / "m-00001-of-00002.safetensors", FormatError, "occurs twice")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# ---- sharded sets


@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".pth"])
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("named", ["directory", "index", "first", "last"])
def test_all_shards_are_found(tmp_path: Path, suffix: str, index: bool, named: str) -> None:
    expected = save_sharded(tmp_path / "Tiny", suffix=suffix, index=index)
    paths = {
        "directory": "",
        "index": f"model{suffix}.index.json",
        "first": min(expected.values()),
        "last": max(expected.values()),
    }
    if named == "index" and not index:
        return
    checkpoint = open_checkpoint(tmp_path / "Tiny" / paths[named])
    assert {tensor.name: files(checkpoint)[tensor.shard] for tensor in checkpoint.tensors} == expected
    assert files(checkpoint) == sorted(expected.values())
    assert checkpoint.index_names == (tuple(sorted(expected)) if index else ())
    assert (checkpoint.name, checkpoint.left_out) == ("Tiny", ())
    keys = [(t.shard, t.offset, t.name) for t in checkpoint.tensors]
    assert keys == sorted(keys)


@pytest.mark.parametrize("index", [True, False])
def test_missing_shards_are_told_and_the_rest_is_shown(tmp_path: Path, index: bool) -> None:
    expected = save_sharded(tmp_path, index=index)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    for path in (tmp_path, tmp_path / "model-00003-of-00003.safetensors"):
        checkpoint = open_checkpoint(path)
        assert names(checkpoint) == ["layers.0.w", "layers.2.w"]
        assert checkpoint.left_out == ("model-00002-of-00003.safetensors: missing, a shard of this model",)
        assert checkpoint.index_names == (tuple(sorted(expected)) if index else ())


def test_an_index_without_any_shard_is_an_error(tmp_path: Path) -> None:
    for file in save_sharded(tmp_path).values():
        (tmp_path / file).unlink()
    refused(tmp_path / "model.safetensors.index.json", SourceError, "none of the 3 shards")
    refused(tmp_path, SourceError, "holds no")


def test_shards_need_not_be_named_like_shards(tmp_path: Path) -> None:
    save(tmp_path / "a.safetensors", "a")
    save(tmp_path / "b.safetensors", "b")
    save(tmp_path / "c.safetensors", "c")
    (tmp_path / "x.index.json").write_text(json.dumps({"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}))
    for path in (tmp_path, tmp_path / "a.safetensors", tmp_path / "x.index.json"):
        assert names(open_checkpoint(path)) == ["a", "b"]
    assert names(open_checkpoint(tmp_path / "c.safetensors")) == ["c"]
    assert open_checkpoint(tmp_path).left_out == ("c.safetensors: another model or variant; name it to show it",)


BAD_INDICES = {
    "parent": ({"weight_map": {"a": "../x.safetensors"}}, "is no file beside it"),
    "absolute": ({"weight_map": {"a": "/etc/passwd"}}, "is no file beside it"),
    "dots": ({"weight_map": {"a": ".."}}, "is no file beside it"),
    "zero": ({"weight_map": {"a": "a\0b"}}, "is no file beside it"),
    "numbers": ({"weight_map": {"a": 1}}, "weight_map"),
    "list": ({"weight_map": ["a"]}, "weight_map"),
    "absent": ({"metadata": {}}, "weight_map"),
    "no object": ([1], "weight_map"),
    "name too long": ({"weight_map": {"a": "x" * 5000}}, "none of the 1 shards"),
    "many": ({"weight_map": {str(i): str(i) for i in range(10_001)}}, "10001 shards"),
    "empty": ({"weight_map": {}}, "none of the 0 shards"),
}


@pytest.mark.parametrize("case", BAD_INDICES)
def test_bad_indices_are_one_line(tmp_path: Path, case: str) -> None:
    index, expected = BAD_INDICES[case]
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    refused(path, MwvError, expected)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b'{"weight_map": {"a": "x", "a": "y"}}'])
def test_an_index_that_is_no_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_bytes(content)
    refused(path, FormatError, "the index is n")
    # Beside a whole model it is only told of.
    save(tmp_path / "model.safetensors")
    for named in (tmp_path, tmp_path / "model.safetensors"):
        checkpoint = open_checkpoint(named)
        assert names(checkpoint) == ["w"]
        assert len(checkpoint.left_out) == 1
        assert "model.safetensors.index.json" in checkpoint.left_out[0]


def test_an_index_of_endless_length_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.touch()
    os.truncate(path, 2**40)
    refused(path, FormatError, "an index of 1099511627776 bytes")


def test_one_name_in_two_shards(tmp_path: Path) -> None:
    for i in (1, 2):
        save(tmp_path / f"model-0000{i}-of-00002.safetensors", "w")
    with pytest.raises(
        FormatError, match=r"model-00001-of-00002\.safetensors and .*model-00002-of-00002\.safetensors: tensor 'w' occurs twice"
    ):
        open_checkpoint(tmp_path)


def test_shards_of_two_formats(tmp_path: Path) -> None:
    save(tmp_path / "model-00001-of-00002.safetensors", "a")
    save(tmp_path / "x.bin", "b").rename(tmp_path / "model-00002-of-00002.safetensors")
    refused(tmp_path / "model-00001-of-00002.safetensors", FormatError, "is pytorch, but .* is safetensors")


def test_a_split_gguf(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama", split_max_tensors=2)
    writer.add_block_count(7)
    for i in range(5):
        writer.add_tensor(f"blk.{i}.w", ONE.copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parts = sorted(path.name for path in tmp_path.iterdir())
    assert len(parts) == 3
    for named in ("", *parts):
        checkpoint = open_checkpoint(tmp_path / named)
        assert (names(checkpoint), files(checkpoint)) == ([f"blk.{i}.w" for i in range(5)], parts)
        assert (checkpoint.name, checkpoint.config["num_hidden_layers"], checkpoint.format) == ("m", 7, "gguf")


# ---- directories


def test_a_training_directory(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors")
    for name in (
        "optimizer.pt",
        "optimizer.bin",
        "scheduler.pt",
        "scaler.pt",
        "rng_state_0.pth",
        "training_args.bin",
        "random_states_0.pkl",
    ):
        save(tmp_path / name)
    for name in ("README.md", "tokenizer.json", "config.json", "vocab.txt", "trainer_state.json", ".gitattributes"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "sub").mkdir()
    save(tmp_path / "adapter_model.safetensors")
    save(tmp_path / "pytorch_model.bin")
    save(tmp_path / "model.Q4.gguf")
    np.save(tmp_path / "mean.npy", ONE)
    (tmp_path / "tf_model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "flax_model.msgpack").write_bytes(b"\x81")
    (tmp_path / "spiece.bin").write_bytes(b"words")
    checkpoint = open_checkpoint(tmp_path)
    assert files(checkpoint) == ["model.safetensors"]
    assert checkpoint.left_out == (
        "adapter_model.safetensors: adapter beside the model; name it to show it",
        "flax_model.msgpack: of a format that mwv does not read",
        "mean.npy: the safetensors weights were taken; name it to show it",
        "model.Q4.gguf: the safetensors weights were taken; name it to show it",
        "optimizer.bin: optimizer state",
        "optimizer.pt: optimizer state",
        "pytorch_model.bin: the safetensors weights were taken; name it to show it",
        "random_states_0.pkl: state of a random generator",
        "rng_state_0.pth: state of a random generator",
        "scaler.pt: state of a gradient scaler",
        "scheduler.pt: scheduler state",
        "spiece.bin: of a format that mwv does not read",
        "tf_model.h5: the safetensors weights were taken; name it to show it",
        "training_args.bin: training arguments",
    )


@pytest.mark.parametrize(
    ("present", "chosen"),
    [
        (["model.safetensors", "pytorch_model.bin", "m.gguf"], ["model.safetensors"]),
        (["pytorch_model.bin", "m.gguf"], ["pytorch_model.bin"]),
        (["m.gguf", "mmproj-m.gguf"], ["m.gguf"]),
        (["m.gguf", "weights.npz"], ["m.gguf"]),
        (["weights.npz"], ["weights.npz"]),
        (["mmproj-m.gguf"], ["mmproj-m.gguf"]),
        (["model.safetensors", "model.fp16.safetensors"], ["model.safetensors"]),
        (["model.safetensors", "consolidated.safetensors"], ["model.safetensors"]),
        (["consolidated.safetensors", "extra.safetensors"], ["consolidated.safetensors"]),
        (["diffusion_pytorch_model.safetensors", "x.safetensors"], ["diffusion_pytorch_model.safetensors"]),
        (["finetuned-by-me.safetensors"], ["finetuned-by-me.safetensors"]),
        (["adapter_model.safetensors"], ["adapter_model.safetensors"]),
        (["adapter_model.safetensors", "pytorch_model.bin"], ["pytorch_model.bin"]),
        (["model.pt", "optimizer.pt"], ["model.pt"]),
        (["model.safetensors", "m-00001-of-00001.safetensors"], ["model.safetensors"]),
        (["imatrix.gguf", "m.imatrix.gguf", "m-imatrix-Q4_0.gguf"], ["m-imatrix-Q4_0.gguf"]),
        (["tiny-optimized.safetensors", "zero_optim_states.pt", "optimizer_0.bin"], ["tiny-optimized.safetensors"]),
        (["model.safetensors", "model-00001-of-00001.safetensors"], ["model.safetensors"]),
    ],
)
def test_which_files_are_the_model(tmp_path: Path, present: list[str], chosen: list[str]) -> None:
    for name in present:
        save(tmp_path / name)
    checkpoint = open_checkpoint(tmp_path)
    assert files(checkpoint) == chosen
    assert [line.split(":")[0] for line in checkpoint.left_out] == sorted(set(present) - set(chosen))


def test_an_index_comes_before_a_consolidated_file(tmp_path: Path) -> None:
    expected = save_sharded(tmp_path)
    save(tmp_path / "consolidated.safetensors", *expected)
    save(tmp_path / "model.safetensors", *expected)
    assert files(open_checkpoint(tmp_path)) == sorted(expected.values())


def test_the_usual_index_comes_before_others(tmp_path: Path) -> None:
    save_sharded(tmp_path, "other")
    expected = save_sharded(tmp_path)
    assert files(open_checkpoint(tmp_path)) == sorted(expected.values())


def test_the_index_of_a_variant_comes_last(tmp_path: Path) -> None:
    save_sharded(tmp_path, "model.fp16")
    expected = save_sharded(tmp_path)
    assert files(open_checkpoint(tmp_path)) == sorted(expected.values())


def test_quantisations_of_one_model_are_listed(tmp_path: Path) -> None:
    for kind in ("Q4_K_M", "Q8_0", "F16"):
        save(tmp_path / f"tiny.{kind}.gguf")
    refused(
        tmp_path,
        SourceError,
        r"holds several models \(tiny\.F16\.gguf, tiny\.Q4_K_M\.gguf, tiny\.Q8_0\.gguf\); name the one to show",
    )


def test_stray_files_without_an_index_are_listed(tmp_path: Path) -> None:
    save(tmp_path / "a.safetensors", "a")
    save(tmp_path / "b.safetensors", "b")
    refused(tmp_path, SourceError, "holds several models")


def test_two_sets_of_one_name_are_told_apart(tmp_path: Path) -> None:
    save_sharded(tmp_path, index=False, count=2)
    save_sharded(tmp_path, index=False, count=3)
    refused(tmp_path, SourceError, "holds several models")


def test_a_broken_model_is_an_error_and_not_a_reason_to_show_another(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 50)
    save(tmp_path / "pytorch_model.bin")
    refused(tmp_path, FormatError, r"model\.safetensors: a header of")


@pytest.mark.parametrize("content", [b"", b"text"])
def test_a_bin_file_that_is_no_pytorch_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    refused(tmp_path, FormatError, r"pytorch_model\.bin: ")


def test_what_is_no_regular_file_is_told_and_nothing_waits(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors")
    os.mkfifo(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").symlink_to(tmp_path / "nowhere")
    (tmp_path / "c.safetensors").symlink_to("/dev/zero")
    (tmp_path / "d.safetensors").symlink_to(tmp_path / "d.safetensors")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        checkpoint = open_checkpoint(tmp_path)
    assert names(checkpoint) == ["w"]
    assert checkpoint.left_out == (
        "a.safetensors: not a regular file",
        "b.safetensors: a link to nothing",
        "c.safetensors: not a regular file",
        "d.safetensors: a link to nothing",
        "s: not a regular file",
    )


def test_a_shard_that_is_a_pipe_counts_as_missing(tmp_path: Path) -> None:
    save_sharded(tmp_path)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    os.mkfifo(tmp_path / "model-00002-of-00003.safetensors")
    assert names(open_checkpoint(tmp_path / "model-00001-of-00003.safetensors")) == ["layers.0.w", "layers.2.w"]


def test_the_cache_of_the_hub_is_made_of_links(tmp_path: Path) -> None:
    repository = tmp_path / "models--owner--Tiny-1B"
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    expected = save_sharded(repository / "real")
    for i, path in enumerate((repository / "real").iterdir()):
        path.rename(repository / f"blob{i}")
        (snapshot / path.name).symlink_to(f"../../blob{i}")
    for named in (snapshot, snapshot / "model-00002-of-00003.safetensors", snapshot / "model.safetensors.index.json"):
        checkpoint = open_checkpoint(named)
        assert (names(checkpoint), checkpoint.name) == (sorted(expected), "Tiny-1B")


def test_an_empty_directory(tmp_path: Path) -> None:
    refused(tmp_path, SourceError, "holds no weights of a format that mwv reads; name a checkpoint$")
    save(tmp_path / "optimizer.pt")
    refused(tmp_path, SourceError, "holds no")


def test_a_pipeline_names_the_directories_of_its_parts(tmp_path: Path) -> None:
    save(tmp_path / "unet" / "diffusion_pytorch_model.safetensors")
    save(tmp_path / "vae" / "diffusion_pytorch_model.safetensors")
    (tmp_path / "scheduler").mkdir()
    refused(tmp_path, SourceError, r"name one of its directories \(unet, vae\)")


@pytest.mark.parametrize("name", ["a\nb.safetensors", "<b>.safetensors", "\udcff.safetensors", "é.safetensors"])
def test_odd_file_names(tmp_path: Path, name: str) -> None:
    save(tmp_path / "x.safetensors").rename(tmp_path / name)
    assert names(open_checkpoint(tmp_path)) == ["w"]
    assert "\n" not in open_checkpoint(tmp_path).name
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(FormatError) as error:
        open_checkpoint(tmp_path)
    assert "\n" not in str(error.value)
    str(error.value).encode()


# ---- names, configuration, metadata


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/x/Tiny/model.safetensors", "Tiny"),
        ("/x/Tiny/model-00001-of-00002.safetensors", "Tiny"),
        ("/x/Tiny/pytorch_model.bin", "Tiny"),
        ("/x/Tiny/model.fp16.safetensors", "Tiny"),
        ("/x/Tiny/consolidated.00.pth", "Tiny"),
        ("/x/Tiny/tiny-1.5b.Q4_K_M.gguf", "tiny-1.5b.Q4_K_M"),
        ("/x/Tiny/tiny-1.5b-Q4_0-00001-of-00003.gguf", "tiny-1.5b-Q4_0"),
        ("/x/Tiny/v1.5", "v1.5"),
        ("/x/Tiny/tiny_e30.pth.tar", "tiny_e30"),
        ("/x/Tiny/tiny.jit", "tiny"),
        ("/x/Tiny/tiny.tar", "tiny.tar"),
        ("/x/Tiny/pretrained.pt", "Tiny"),
        ("/x/models--me--Big/snapshots/abc/model.safetensors", "Big"),
        ("/model.safetensors", "model"),
    ],
)
def test_names_of_models(path: str, name: str) -> None:
    assert checkpoint_name(LocalFolder(Path(path).parent), Path(path).name) == name


def test_the_current_directory_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "Tiny" / "model.safetensors")
    monkeypatch.chdir(tmp_path / "Tiny")
    assert open_checkpoint(Path()).name == open_checkpoint(Path("model.safetensors")).name == "Tiny"


def test_configuration_metadata_and_architecture(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"w": ONE}, tmp_path / "model.safetensors", {"format": "pt"})
    config = {"architectures": ["TinyForCausalLM"], "model_type": "tiny", "num_hidden_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    checkpoint = open_checkpoint(tmp_path)
    assert (checkpoint.config, checkpoint.metadata, architecture(checkpoint)) == (config, {"format": "pt"}, "TinyForCausalLM")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "tiny"}, "tiny"),
        ({"architectures": [], "model_type": "tiny"}, "tiny"),
        ({"architectures": "Tiny", "model_type": 3}, ""),
        ({"architectures": [{"a": 1}]}, ""),
        ({"_class_name": "UNet"}, "UNet"),
        ({"architecture": "vit_base"}, "vit_base"),
        ({"model_type": "a\nb"}, "a\\nb"),
        ({}, ""),
    ],
)
def test_architectures(tmp_path: Path, config: Any, expected: str) -> None:
    save(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert architecture(open_checkpoint(tmp_path)) == expected


BAD_CONFIGS: dict[str, Callable[[Path], Any]] = {
    "no JSON": lambda path: path.write_text("{"),
    "a list": lambda path: path.write_text("[1]"),
    "binary": lambda path: path.write_bytes(b"\xff\xfe"),
    "nested": lambda path: path.write_bytes(b'{"a":' * 100_000),
    "endless": lambda path: (path.touch(), os.truncate(path, 2**40)),
    "key twice": lambda path: path.write_text('{"num_hidden_layers": 1, "num_hidden_layers": 2}'),
    "half a surrogate pair": lambda path: path.write_text('{"model_type": "\\ud800"}'),
    "digits": lambda path: path.write_text('{"num_hidden_layers": ' + "9" * 10_000 + "}"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_broken_configuration_is_told_and_the_weights_are_shown(tmp_path: Path, case: str) -> None:
    save(tmp_path / "model.safetensors")
    BAD_CONFIGS[case](tmp_path / "config.json")
    checkpoint = open_checkpoint(tmp_path)
    assert (names(checkpoint), checkpoint.config) == (["w"], {})
    (line,) = checkpoint.left_out
    assert line.startswith("config.json: ignored: ")
    assert "\n" not in line


def test_numbers_that_json_cannot_write_stay_text(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"a": Infinity, "b": -Infinity, "c": NaN, "d": 1e999, "e": 0.5}')
    config = open_checkpoint(tmp_path).config
    assert config == {"a": "Infinity", "b": "-Infinity", "c": "NaN", "d": "1e999", "e": 0.5}
    json.dumps(config, allow_nan=False)


def test_a_pipe_as_configuration_is_not_opened(tmp_path: Path) -> None:
    save(tmp_path / "model.safetensors")
    os.mkfifo(tmp_path / "config.json")
    assert open_checkpoint(tmp_path).config == {}


def test_tensors_left_out_of_a_pytorch_file_are_told(tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.ones(1)}, "optimizer": {"m": torch.ones(1)}}, tmp_path / "last.ckpt")
    checkpoint = open_checkpoint(tmp_path / "last.ckpt")
    assert (names(checkpoint), checkpoint.left_out) == (["w"], ("'optimizer': left out, state of training (tensors: 1)",))


def test_unsupported_is_said_of_the_right_file(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "old.pth", "w") as tar:
        tar.addfile(tarfile.TarInfo("storages"))
    refused(tmp_path / "old.pth", UnsupportedError, r"old\.pth: a tar archive, as torch's first versions wrote")
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1]))
    refused(tmp_path / "list.pkl", FormatError, r"files of type \.pkl are not read; convert it")


def test_an_index_of_more_tensors_than_any_model_has_is_refused(tmp_path: Path) -> None:
    save_sharded(tmp_path, count=2)
    promised = {f"layers.{i}.w": "model-00002-of-00002.safetensors" for i in range(1, 200_001)}
    index = {"weight_map": {"layers.0.w": "model-00001-of-00002.safetensors", **promised}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(FormatError, match="200001 tensors, at most"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors.index.json"])
@pytest.mark.parametrize("named", ["", "model.safetensors"])
def test_notes_name_no_place_of_this_machine(tmp_path: Path, file: str, named: str) -> None:
    save(tmp_path / "model.safetensors")
    (tmp_path / file).write_text("[]")
    (line,) = open_checkpoint(tmp_path / named).left_out
    assert line.startswith(f"{file}: ignored: ") and str(tmp_path) not in line


@pytest.mark.parametrize("whole", [True, False])
def test_records_of_many_tensors_are_not_gone_through_again_and_again(tmp_path: Path, whole: bool) -> None:
    entries = {f"t.{i}": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(20_000)}
    header = json.dumps(entries).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(20_000 if whole else 19_999))
    started: list[str] = []
    gc.callbacks.append(lambda phase, _: started.append(phase))
    try:
        with contextlib.nullcontext() if whole else pytest.raises(FormatError):
            open_checkpoint(path)
    finally:
        gc.callbacks.pop()
    assert len(started) < 20  # before and after; otherwise more than a hundred
    assert gc.isenabled()
