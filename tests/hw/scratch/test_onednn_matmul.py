"""Sizes seen in the allocation events of torch 2.13 on AVX-512 CPUs with one and two threads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.hw.scratch.onednn_matmul import matmul_scratch_bytes


@pytest.mark.parametrize(
    ("rows", "depth", "columns", "scratch"),
    [
        (98, 768, 3072, 182_912),
        (98, 3072, 768, 313_984),  # deeper than 1024: blocks of 1024
        (6272, 96, 384, 140_928),  # blocks of 224 rows, 28 of them
        (6272, 384, 96, 214_656),
        (394, 768, 768, 233_600),  # two blocks of 197
        (514, 768, 768, 185_472),  # five of 103 waste one row, three of 172 two
        (257, 768, 768, 198_784),
        (98, 768, 320, 157_824),  # five blocks of columns: rows are halved for the second thread
        (768, 768, 64, 231_040),  # four blocks of 192, not three of 256
        (98, 768, 16, 139_008),  # fewer columns than a block has
        (2, 768, 1000, 133_760),
        (768, 2, 1000, 140_928),
    ],
)
def test_with_two_threads(rows, depth, columns, scratch):
    assert matmul_scratch_bytes(rows, depth, columns, 2) == scratch


@pytest.mark.parametrize(("rows", "scratch"), [(131, 100_096), (331, 109_056), (3137, 85_248)])
def test_with_one_thread(rows, scratch):
    assert matmul_scratch_bytes(rows, 768, 768, 1) == scratch


def test_small_products_take_none():
    assert matmul_scratch_bytes(16, 16, 16, 2) == 0
    assert matmul_scratch_bytes(16, 16, 17, 2) > 0


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 16))
def test_a_left_matrix_that_is_packed_takes_more(rows, depth, columns, threads):
    plain, packed = (
        matmul_scratch_bytes(rows, depth, columns, threads, transposed=each) for each in (False, True)
    )
    assert packed >= plain
    assert (packed == 0) == (plain == 0) == (rows * depth * columns <= 16**3)
