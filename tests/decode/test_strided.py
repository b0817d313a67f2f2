"""Strided tensors against torch: the same bytes, digests and values as their contiguous copies, with few, short reads."""

from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from byte_sources import BytesSource, digests, stored
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mwv.checkpoint.dtypes import PLAIN
from mwv.checkpoint.info import TensorInfo
from mwv.decode import strided
from mwv.decode.stored import StoredTensor

SLOW_OK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def of_view(view: torch.Tensor, row: int, **more: Any) -> StoredTensor:
    """The tensor as a checkpoint holds it: its whole storage, and where in it the view's elements lie."""
    data = view.untyped_storage()
    content = bytes(torch.tensor([], dtype=torch.uint8).set_(data).numpy())
    dtype = PLAIN[{4: "F32", 2: "F16", 8: "F64"}[view.element_size()]]
    offset = view.storage_offset() * view.element_size()
    info = TensorInfo("w", dtype, tuple(view.shape), 0, offset, len(content) - offset, strides=view.stride())
    return StoredTensor(BytesSource(content), info, row, **more)


def same_as_contiguous(view: torch.Tensor, row: int, **more: Any) -> None:
    copy = view.contiguous().numpy()
    dtype = {4: "F32", 2: "F16", 8: "F64"}[view.element_size()]
    expected = stored(copy.tobytes(), dtype, copy.shape, row, **more)
    tensor = of_view(view, row, **more)
    assert [tensor.read(b) for b in range(tensor.bands)] == [expected.read(b) for b in range(expected.bands)]
    assert digests(tensor) == digests(expected)


def counting(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.arange(prod(shape), dtype=torch.float64).reshape(shape).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_transposed_sliced_broadcast_and_permuted_views(dtype: torch.dtype) -> None:
    same_as_contiguous(counting(100, 150, dtype=dtype).T, 100)
    same_as_contiguous(counting(300, 40, dtype=dtype)[5:250:3, 7:33:2], 13)
    same_as_contiguous(counting(1, 40, dtype=dtype).expand(130, 40), 40)
    same_as_contiguous(counting(40, 1, dtype=dtype).expand(40, 100), 100)
    same_as_contiguous(counting(70, 4, 3, 3, dtype=dtype).to(memory_format=torch.channels_last), 36, patch=(3, 3))
    same_as_contiguous(counting(1000, dtype=dtype)[::7], 10)
    same_as_contiguous(counting(5, dtype=dtype)[3:4].expand(200, 3), 3)


def test_a_panel_of_strided_experts() -> None:
    same_as_contiguous(counting(3, 20, 90).transpose(1, 2), 20, first=1800, elements=1800)


@settings(SLOW_OK, max_examples=80)
@given(st.data())
def test_any_view_of_any_shape(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    view = counting(*shape)[tuple(slice(data.draw(st.integers(0, n - 1)), None, data.draw(st.integers(1, 3))) for n in shape)]
    view = view.permute(data.draw(st.permutations(range(len(shape)))))
    row = data.draw(st.integers(1, view.numel()))
    tensor = of_view(view, row)
    start = data.draw(st.integers(0, view.numel() - 1))
    stop = data.draw(st.integers(start, view.numel()))
    got = strided.gather(tensor.source.read, tensor.info.offset, tuple(view.shape), view.stride(), 4, start, stop)
    assert got == view.contiguous().numpy().tobytes()[4 * start : 4 * stop]
    assert tensor.read(0) == view.contiguous().numpy().tobytes()[: 4 * 64 * row]


class Sparse:
    """A file of zeros that is far larger than memory."""

    name, identity = "sparse", None

    def __init__(self, size: int) -> None:
        self.size, self.reads = size, list[tuple[int, int]]()

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0 and offset + length <= self.size
        self.reads.append((offset, length))
        return bytes(length)

    def check_unchanged(self) -> None:
        pass


@pytest.mark.parametrize(
    ("rows", "cols", "most_reads", "most_bytes"),
    [
        (2048, 1024, 1, 9 << 20),  # small: one read of everything
        (1 << 20, 300, 300, 300 << 8),  # a run of 64 elements for each column, and no more
        (16384, 4096, 4096, 1 << 20),
    ],
)
def test_a_transposed_matrix_takes_few_and_short_reads(rows: int, cols: int, most_reads: int, most_bytes: int) -> None:
    source = Sparse(rows * cols * 4)
    info = TensorInfo("w", PLAIN["F32"], (rows, cols), 0, 0, source.size, strides=(1, rows))
    assert len(StoredTensor(source, info, cols).read(1)) == 64 * cols * 4
    assert len(source.reads) <= most_reads
    assert max(length for _, length in source.reads) <= strided.LIMIT
    assert sum(length for _, length in source.reads) <= most_bytes


def test_a_dense_band_longer_than_the_limit_is_read_in_pieces() -> None:
    source = Sparse(64 * 200_000 * 4)
    info = TensorInfo("w", PLAIN["F32"], (64, 200_000), 0, 0, source.size, strides=(200_000, 1))
    assert StoredTensor(source, info, 200_000).read(0) == bytes(64 * 200_000 * 4)
    assert max(length for _, length in source.reads) <= strided.LIMIT
    assert len(source.reads) <= 8


def test_values_of_a_view_are_those_of_torch() -> None:
    view = counting(90, 70).T
    tensor = of_view(view, 90)
    bands = [tensor.samples(b, tensor.read(b), 10, 50) for b in range(tensor.bands)]
    np.testing.assert_array_equal(np.concatenate([band.values for band in bands]), view.numpy()[:, 10:60])
