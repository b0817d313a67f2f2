"""The compiled loops: one signature each, whatever array comes, and no wait for a folder that cannot be written."""

import subprocess
import sys

import numpy as np

from mwv.measure import kernels


def test_kernels_are_compiled_for_no_more_types_than_named() -> None:
    assert [len(f.load().signatures) for f in (kernels.add_patterns, kernels.add_buckets, kernels.add_sums)] == [1, 1, 2]


def test_extremes_of_all_patterns() -> None:
    bits = np.arange(0, 2**32, 65521, dtype=np.uint64).astype(np.uint32).reshape(1, -1)
    values = bits.view(np.float32)[np.isfinite(bits.view(np.float32))]
    buckets = np.zeros(65536, np.int64)
    nan, inf, zeros, low, least, greatest = kernels.add_buckets(bits, buckets)
    assert nan == np.isnan(bits.view(np.float32)).sum() and inf == np.isinf(bits.view(np.float32)).sum() and zeros == 1
    assert low == 0xFFFF and buckets.sum() == bits.size
    assert np.float32(values.max()).view(np.int32) == greatest
    assert np.float32(values.min()).view(np.int32) == np.int32(least) ^ 0x7FFFFFFF


def test_the_command_line_need_not_load_numba() -> None:
    code = "import sys; import mwv.build; print('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
