"""GGUF headers; oracles are gguf's own writer and reader."""

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Q
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_source import MemorySource

from mwv.checkpoint.gguf import Array, is_gguf, read_gguf
from mwv.checkpoint.gguf_config import gguf_config, gguf_metadata
from mwv.checkpoint.source import FileSource
from mwv.errors import FormatError, MwvError, UnsupportedError

# ---- files by gguf's writer


def write(path: Path, fill: Any, **options: Any) -> Path:
    writer = gguf.GGUFWriter(path, "llama", **options)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def blocks(kind: Q, rows: int = 3, count: int = 2) -> np.ndarray:
    return np.random.default_rng(int(kind)).integers(0, 64, (rows, count * gguf.GGML_QUANT_SIZES[kind][1]), np.uint8)


def dequantisable() -> list[Q]:
    """The types with a block class of gguf's, asked in another way than the reader asks."""
    return sorted((q for q in Q if q in gguf.quants._type_traits and q.name != "BF16"), key=int)


@pytest.mark.parametrize("kind", dequantisable(), ids=lambda q: q.name)
def test_every_type_that_gguf_dequantises(tmp_path: Path, kind: Q) -> None:
    data = blocks(kind)
    path = write(tmp_path / "m.gguf", lambda w: w.add_tensor("blk.0.w", data, raw_dtype=kind))
    (info,) = read_gguf(FileSource(path)).tensors
    expected = gguf.GGUFReader(path).tensors[0]
    assert (info.dtype.name, info.dtype.kind) == (kind.name, "block")
    assert (info.dtype.block_elements, info.dtype.block_bytes) == gguf.GGML_QUANT_SIZES[kind]
    assert info.shape == gguf.dequantize(data, kind).shape
    assert info.shape == tuple(reversed(expected.shape.tolist()))
    assert (info.offset, info.nbytes) == (expected.data_offset, expected.n_bytes)
    assert FileSource(path).read(info.offset, info.nbytes) == data.tobytes()


def test_the_quantised_types_are_as_many_as_known() -> None:
    assert len(dequantisable()) >= 23


PLAIN_ARRAYS = {
    "F64": np.arange(6, dtype=np.float64),
    "F32": np.arange(6, dtype=np.float32),
    "F16": np.arange(6, dtype=np.float16),
    "I8": np.arange(6, dtype=np.int8),
    "I16": np.arange(6, dtype=np.int16),
    "I32": np.arange(6, dtype=np.int32),
    "I64": np.arange(6, dtype=np.int64),
}


def fill_plain(writer: gguf.GGUFWriter) -> None:
    for name, array in PLAIN_ARRAYS.items():
        writer.add_tensor(name, array.reshape(1, 2, 3))
    writer.add_tensor("BF16", np.arange(12, dtype=np.uint8).reshape(2, 6), raw_dtype=Q.BF16)


@pytest.mark.parametrize("order", ["little", "big"])
def test_plain_types_in_both_byte_orders(tmp_path: Path, order: str) -> None:
    endian = gguf.GGUFEndian.LITTLE if order == "little" else gguf.GGUFEndian.BIG

    def fill(writer: gguf.GGUFWriter) -> None:
        for name, array in PLAIN_ARRAYS.items():
            writer.add_tensor(name, array.reshape(1, 2, 3).copy())

    path = write(tmp_path / "m.gguf", fill, endianess=endian)
    source = FileSource(path)
    header = read_gguf(source)
    assert {t.byteorder for t in header.tensors} == {order}
    assert {t.name for t in header.tensors} == set(PLAIN_ARRAYS)
    for info in header.tensors:
        assert (info.name, info.shape) == (info.dtype.name, (1, 2, 3))
        stored = np.frombuffer(
            source.read(info.offset, info.nbytes), PLAIN_ARRAYS[info.name].dtype.newbyteorder("<>"[order == "big"])
        )
        assert stored.tolist() == PLAIN_ARRAYS[info.name].tolist()
    assert header.values["general.architecture"] == "llama"


def test_bfloat16_is_plain(tmp_path: Path) -> None:
    (info,) = [t for t in read_gguf(FileSource(write(tmp_path / "m.gguf", fill_plain))).tensors if t.name == "BF16"]
    assert (info.dtype.name, info.dtype.kind, info.shape, info.nbytes) == ("BF16", "float", (2, 3), 12)


def test_quantised_big_endian_files_are_refused_by_name(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.gguf", lambda w: w.add_tensor("blk.0.w", blocks(Q.Q4_0), raw_dtype=Q.Q4_0), endianess=gguf.GGUFEndian.BIG
    )
    with pytest.raises(UnsupportedError, match=r"m\.gguf: tensor 'blk\.0\.w': Q4_0 in big-endian"):
        read_gguf(FileSource(path))


@pytest.mark.parametrize("kind", [Q.Q8_1, Q.Q8_K], ids=lambda q: q.name)
def test_types_that_gguf_cannot_dequantise_are_one_line(tmp_path: Path, kind: Q) -> None:
    path = write(tmp_path / "m.gguf", lambda w: w.add_tensor("blk.0.w", blocks(kind), raw_dtype=kind))
    with pytest.raises(UnsupportedError, match=rf"tensor 'blk\.0\.w': type {kind.name} cannot") as error:
        read_gguf(FileSource(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("alignment", [32, 64, 4096])
def test_alignment(tmp_path: Path, alignment: int) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_custom_alignment(alignment)
        fill_plain(writer)

    path = write(tmp_path / "m.gguf", fill)
    expected = {t.name: (t.data_offset, t.n_bytes) for t in gguf.GGUFReader(path).tensors}
    assert {t.name: (t.offset, t.nbytes) for t in read_gguf(FileSource(path)).tensors} == expected


def test_key_values_of_every_type(tmp_path: Path) -> None:
    def fill(w: gguf.GGUFWriter) -> None:
        for kind, value in SCALARS.items():
            getattr(w, f"add_{kind}")(f"x.{kind}", value)
        w.add_array("x.array", [1, 2, 3])
        w.add_array("x.words", ["ü", "", "c"])

    values = read_gguf(FileSource(write(tmp_path / "m.gguf", fill))).values
    assert {k: values[f"x.{k}"] for k in SCALARS} == SCALARS
    assert values["x.array"] == Array(3, (1, 2, 3))
    assert values["x.words"] == Array(3, ("ü", "", "c"))


SCALARS = {
    "uint8": 255,
    "int8": -128,
    "uint16": 65535,
    "int16": -32768,
    "uint32": 2**32 - 1,
    "int32": -(2**31),
    "uint64": 2**64 - 1,
    "int64": -(2**63),
    "float32": 0.5,
    "float64": 0.1,
    "bool": True,
    "string": "wörd\n",
}


def test_a_vocabulary_is_counted_and_not_kept(tmp_path: Path) -> None:
    def fill(writer: gguf.GGUFWriter) -> None:
        writer.add_array("tokenizer.ggml.tokens", [f"token {i}" * (i % 7) for i in range(200_000)])
        writer.add_array("tokenizer.ggml.scores", [0.5] * 200_000)
        writer.add_string("after", "it")
        fill_plain(writer)

    path = write(tmp_path / "m.gguf", fill)
    tracemalloc.start()
    header = read_gguf(FileSource(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert header.values["tokenizer.ggml.tokens"] == Array(200_000)
    assert header.values["tokenizer.ggml.scores"] == Array(200_000)
    assert header.values["after"] == "it"
    assert [t.name for t in header.tensors][:2] == ["F64", "F32"]
    assert gguf_config(header.values)["vocab_size"] == 200_000
    assert peak < 2 * 2**20


def test_configuration_under_the_names_of_hugging_face(tmp_path: Path) -> None:
    def fill(w: gguf.GGUFWriter) -> None:
        w.add_name("Tiny")
        w.add_license("apache-2.0")
        w.add_languages(["en", "de"])
        w.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
        w.add_quantization_version(2)
        w.add_block_count(4)
        w.add_embedding_length(64)
        w.add_feed_forward_length([128, 128, 128, 256])
        w.add_head_count(8)
        w.add_head_count_kv([2, 2, 2, 2])
        w.add_context_length(2048)
        w.add_layer_norm_rms_eps(float("nan"))
        w.add_expert_count(6)
        w.add_expert_used_count(2)
        w.add_token_list(["a", "b", "c"])

    values = read_gguf(FileSource(write(tmp_path / "m.gguf", fill))).values
    assert gguf_config(values) == {
        "model_type": "llama",
        "num_hidden_layers": 4,
        "hidden_size": 64,
        "intermediate_size": [128, 128, 128, 256],
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "rms_norm_eps": "nan",
        "num_local_experts": 6,
        "num_experts_per_tok": 2,
        "vocab_size": 3,
    }
    metadata = gguf_metadata(values)
    assert (
        metadata.items()
        >= {
            "general.name": "Tiny",
            "general.license": "apache-2.0",
            "general.languages": "en, de",
            "general.file_type": "Q4_K_M",
            "general.quantization_version": "2",
        }.items()
    )


def test_a_vision_tower_has_a_configuration_of_its_own() -> None:
    values = {"general.architecture": "clip", "clip.vision.block_count": 24, "clip.vision.embedding_length": 1024}
    assert gguf_config(values) == {"model_type": "clip", "vision_config": {"num_hidden_layers": 24, "hidden_size": 1024}}


# ---- files by hand, for what the writer would not write


class File:
    """A GGUF file of any version; lengths are four bytes wide in version 1 and eight later."""

    def __init__(self, version: int = 3, tensors: int | None = None, keys: int | None = None, order: str = "<") -> None:
        self.version, self.order, self.counts = version, order, (tensors, keys)
        self.kv, self.infos, self.data = [], [], b""
        self.align = True

    def length(self, n: int) -> bytes:
        return struct.pack(self.order + ("I" if self.version == 1 else "Q"), n)

    def text(self, text: str | bytes) -> bytes:
        raw = text.encode() if isinstance(text, str) else text
        return self.length(len(raw)) + raw

    def key(self, key: str, kind: int, raw: bytes) -> "File":
        self.kv.append(self.text(key) + struct.pack(self.order + "I", kind) + raw)
        return self

    def tensor(self, name: str | bytes, dims: tuple[int, ...], kind: int, offset: int, n_dims: int | None = None) -> "File":
        raw = self.text(name) + struct.pack(self.order + "I", len(dims) if n_dims is None else n_dims)
        raw += b"".join(map(self.length, dims)) + struct.pack(self.order + "IQ", kind, offset)
        self.infos.append(raw)
        return self

    def bytes(self, data: bytes = b"") -> bytes:
        tensors, keys = self.counts
        raw = b"GGUF" + struct.pack(self.order + "I", self.version)
        raw += self.length(len(self.infos) if tensors is None else tensors) + self.length(
            len(self.kv) if keys is None else keys
        )
        raw += b"".join(self.kv + self.infos)
        return raw + bytes(-len(raw) % 32) + data if data else raw


def read(data: bytes) -> Any:
    return read_gguf(MemorySource(data, name="x.gguf"))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions(version: int) -> None:
    file = File(version).key("general.architecture", 8, File(version).text("gpt2")).key("words", 9, b"")
    file.kv[1] += struct.pack("<I", 8) + file.length(2) + file.text("a") + file.text("bc")
    data = file.tensor("w", (3, 2), 0, 0).tensor("v", (2,), 1, 32).bytes(bytes(range(36)))
    header = read(data)
    assert header.values == {"general.architecture": "gpt2", "words": Array(2, ("a", "bc"))}
    assert [(t.name, t.shape, data[t.offset : t.offset + t.nbytes]) for t in header.tensors] == [
        ("w", (2, 3), bytes(range(24))),
        ("v", (2,), bytes(range(32, 36))),
    ]


@pytest.mark.parametrize("name", ['"q"', "<b>", "../x", "a\nb\0", "", "ü😀"])
def test_odd_names_scalars_and_empty_tensors_are_legal(name: str) -> None:
    header = read(File().tensor(name, (), 0, 0).tensor("empty", (0, 5), 0, 0).bytes(bytes(4)))
    assert {t.name: (t.shape, t.nbytes) for t in header.tensors} == {name: ((), 4), "empty": ((5, 0), 0)}


U32 = struct.Struct("<I").pack
U64 = struct.Struct("<Q").pack
W = File().tensor("w", (4,), 0, 0)
BAD: dict[str, tuple[bytes, str]] = {
    "no magic": (b"GGML" + bytes(100), "begin with GGUF"),
    "empty": (b"", "beyond the end"),
    "version 0": (b"GGUF" + bytes(100), "version 0"),
    "version 4": (b"GGUF" + U32(4) + bytes(100), "version 4"),
    "counts of 2^63 tensors": (File(tensors=2**63).bytes(), "promises 9223372036854775808 tensors"),
    "counts of 2^63 keys": (File(keys=2**63).bytes(), "promises 9223372036854775808 key/values"),
    "10^9 dimensions": (File().tensor("w", (), 0, 0, n_dims=10**9).bytes(bytes(64)), "tensor 'w': 1000000000 dimensions"),
    "overflow": (File().tensor("w", (2**40, 2**40), 0, 0).bytes(bytes(64)), "tensor 'w': its shape has more elements"),
    "huge dimension": (File().tensor("w", (2**64 - 1,), 0, 0).bytes(bytes(64)), "tensor 'w': a dimension of"),
    "beyond the file": (File().tensor("w", (17,), 0, 0).bytes(bytes(64)), "tensor 'w': its data ends at byte 68"),
    "no data at all": (W.bytes(), "tensor 'w': its data ends"),
    "offset of 2^63": (
        File().tensor("w", (1,), 0, 2**63).bytes(bytes(64)),
        "tensor 'w': bytes from 9223372036854775808 leave a hole",
    ),
    "hole": (
        File().tensor("v", (8,), 0, 0).tensor("w", (8,), 0, 64).bytes(bytes(96)),
        "tensor 'w': bytes from 64 leave a hole",
    ),
    "overlap": (File().tensor("v", (9,), 0, 0).tensor("w", (8,), 0, 32).bytes(bytes(64)), "tensor 'w': bytes from 32 overlap"),
    "name twice": (File().tensor("w", (8,), 0, 0).tensor("w", (8,), 0, 32).bytes(bytes(64)), "tensor 'w' occurs twice"),
    "name not UTF-8": (File().tensor(b"\xff", (8,), 0, 0).bytes(bytes(64)), "not UTF-8"),
    "name of 2^63 bytes": (File(tensors=1).bytes() + U64(2**63) + bytes(64), "tensor name of 9223372036854775808 bytes"),
    "unknown type": (File().tensor("w", (32,), 99, 0).bytes(bytes(64)), "tensor 'w': GGUF type 99 is unknown"),
    "removed type": (File().tensor("w", (32,), 31, 0).bytes(bytes(64)), "tensor 'w': GGUF type 31 is unknown"),
    "broken rows": (File().tensor("w", (31, 2), 2, 0).bytes(bytes(64)), "tensor 'w': rows of 31 elements are not whole blocks"),
    "key twice": (File().key("k", 7, b"\1").key("k", 7, b"\1").bytes(), "key 'k' occurs twice"),
    "value type": (File().key("k", 13, b"").bytes(bytes(64)), "value type 13"),
    "array type": (File().key("k", 9, U32(13) + U64(1)).bytes(bytes(64)), "value type 13"),
    "string of 2^63 bytes": (File().key("k", 8, U64(2**63)).bytes(bytes(64)), "beyond the end"),
    "array of 2^60 numbers": (File().key("k", 9, U32(10) + U64(2**60)).bytes(bytes(64)), "beyond the end"),
    "array of 2^60 strings": (File().key("k", 9, U32(8) + U64(2**60)).bytes(bytes(64)), "promises 1152921504606846976 strings"),
    "array of 2^60 arrays": (File().key("k", 9, U32(9) + U64(2**60)).bytes(bytes(64)), "promises 1152921504606846976 arrays"),
    "string in a long array": (File().key("k", 9, U32(8) + U64(5000) + (U64(2**62) * 6000)).bytes(), "beyond the end"),
    "deep arrays": (File().key("k", 9, (U32(9) + U64(1)) * 50).bytes(bytes(64)), "nested"),
    "alignment 0": (File().key("general.alignment", 4, U32(0)).bytes(bytes(64)), "alignment"),
    "alignment 24": (File().key("general.alignment", 4, U32(24)).bytes(bytes(64)), "alignment"),
    "alignment is a text": (File().key("general.alignment", 8, File().text("32")).bytes(bytes(64)), "alignment"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_headers_are_one_line_that_names_the_file(case: str) -> None:
    data, expected = BAD[case]
    with pytest.raises(MwvError, match=expected) as error:
        read(data)
    assert str(error.value).startswith("x.gguf: ")
    assert "\n" not in str(error.value)


def test_types_of_one_row_that_is_no_whole_block() -> None:
    with pytest.raises(FormatError, match="rows of 1 elements"):
        read(File().tensor("w", (), 2, 0).bytes(bytes(64)))


@pytest.mark.parametrize(
    ("kind", "count"),
    [(8, 2**40), (8, 300_000), (9, 2**40), (9, 4_000), (10, 2**36), (10, 10**7)],
)
def test_endless_zeros_behind_a_header_cost_little(kind: int, count: int) -> None:
    # As in a sparse file: every length that is read is followed by enough bytes.
    source = MemorySource(File(keys=50_000).key("k", 9, U32(kind) + U64(count)).bytes(), size=2**44)
    tracemalloc.start()
    with pytest.raises(FormatError):
        read_gguf(source)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert source.read_bytes < 300 * 2**20


def test_much_text_is_not_kept() -> None:
    file = File()
    for i in range(600):
        file.key(str(i), 8, file.text("x" * 60_000))
    values = read(file.bytes(bytes(32))).values
    assert len(values) == 600
    assert sum(len(v) for v in values.values()) <= 16 * 2**20


def test_many_numbers_are_not_kept() -> None:
    file = File()
    for i in range(400):
        file.key(str(i), 9, U32(0) + U64(4096) + bytes(4096))
    values = read(file.bytes(bytes(32))).values
    assert all(array.length == 4096 for array in values.values())
    assert sum(len(array.items) for array in values.values()) <= 1_000_000


def test_many_texts_are_not_kept() -> None:
    file = File()
    for i in range(100):
        file.key(str(i), 9, U32(8) + U64(4096) + U64(0) * 4096)
    values = read(file.bytes(bytes(32))).values
    assert all(array.length == 4096 for array in values.values())
    assert sum(len(array.items) for array in values.values()) <= 100_000
    assert values["0"].items == ("",) * 4096


def test_texts_beside_those_that_are_kept_are_counted_whatever_their_lengths() -> None:
    texts = ["x" * (i % 300) for i in range(4097)]
    file = File().key("a", 9, U32(8) + U64(len(texts)) + b"".join(map(File().text, texts))).key("b", 4, U32(7))
    assert read(file.bytes(bytes(32))).values == {"a": Array(4097), "b": 7}


def test_arrays_of_arrays_of_arrays_are_few() -> None:
    inner = U32(9) + U64(4096) + (U32(0) + U64(0)) * 4096
    source = MemorySource(File().key("k", 9, U32(9) + U64(400) + inner * 400).bytes(bytes(32)))
    with pytest.raises(FormatError, match="arrays, at most"):
        read_gguf(source)
    assert source.read_bytes < 4 * 2**20


VALID = (
    File()
    .key("general.alignment", 4, U32(32))
    .key("s", 8, File().text("text"))
    .key("a", 9, U32(8) + U64(2) + File().text("a") + File().text("b"))
    .key("n", 9, U32(5) + U64(2) + bytes(8))
    .tensor("v", (8,), 0, 0)
    .tensor("w", (32, 2), 2, 32)
    .bytes(bytes(96))
)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.tuples(st.integers(0, len(VALID) - 1), st.integers(0, 255)), max_size=4), st.integers(0, len(VALID)))
def test_damaged_headers_raise_nothing_else_and_ranges_stay_inside(changes: list[tuple[int, int]], size: int) -> None:
    data = bytearray(VALID)
    for position, value in changes:
        data[position] = value
    try:
        tensors = read_gguf(MemorySource(bytes(data[:size] if size % 3 == 0 else data))).tensors
    except MwvError as error:
        assert "\n" not in str(error)
    else:
        assert all(t.offset > 0 and t.offset + t.nbytes <= len(data) for t in tensors)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    for raw in (data, b"GGUF" + data, b"GGUF" + U32(3) + data, b"GGUF" + U32(1) + data):
        assert is_gguf(MemorySource(raw)) == raw.startswith(b"GGUF")
        try:
            read(raw)
        except MwvError as error:
            assert "\n" not in str(error)
