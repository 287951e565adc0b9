"""Cost of operand layouts of a matrix product on vector lanes (SIMT)."""

from dataclasses import dataclass

import numpy as np

from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.gemm.shape import Products

VECTOR_BYTES = 16
"""What one load of a thread takes where the rows of an operand are a multiple of it apart."""

LONG_ROW_BYTES = 80e3
"""Rows this far apart in memory have half of their full cost. On P100 products with sums of 8,000 f32 are 8 %
slower than with short ones, of 24,000 2.2 times and of 48,000 2.6 times, whatever m and n (NeuSight 6945927):
each row of a tile then lies on a page of its own, of which the TLB holds few."""

PAGE_BYTES = 1e3
"""Rows this long, about a page of DRAM, have half of the full cost of rows that are read 32 bytes at a time.
Batched products with few columns stream their first operand at 58 % of V100's pin rate where its rows are 32
f32 long, 48 % with 128, 36 % with 256 and 30 % from 512 on; T4 at 52, 46, 39 and 31 to 35 %, P4 at 43, 43, 36
and 27 %, and 17 % where a linear layer's have thousands (medians, NeuSight 6945927)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Extra cost of layouts, one row a kernel.

    Attributes:
        step: Cycles on top of `cycles_per_step`.
        load: Cycles on top of `operand_load_cycles`.
        first: Time to read the first operand over that at the pin rate of memory.
        second: The same of the second.
    """

    step: Floats
    load: Floats
    first: Floats
    second: Floats


def layout(shape: Products, element_bytes: int, c: Coefficients) -> Layout:
    """Return what operands cost by their place, with the coefficients of `SimtGemm`.

    The rows of both operands of a linear layer are as long as the sums. Of a batched product those of the
    second are as long as the rows of the result; its operands are too small to be far apart.
    """
    linear = "far_bytes" in c
    lengths = (shape.k,) if linear else (shape.k, shape.n)
    unaligned = [length * element_bytes % VECTOR_BYTES != 0 for length in lengths]
    step = c["unaligned_cycles"] * np.mean(unaligned, axis=0)
    far_apart = _saturating(shape.k * element_bytes / PAGE_BYTES)
    near, apart = 1 / c["memory_fraction"], 1 / c["operand_fraction"]
    along_k = near + (apart - near) * far_apart
    if not linear:
        return Layout(step, np.zeros_like(step), along_k, np.full_like(step, near))
    rows = _saturating(shape.k * element_bytes / LONG_ROW_BYTES)
    far = _saturating((shape.m + shape.n) * shape.k * element_bytes / c["far_bytes"])
    return Layout(step + c["long_row_cycles"] * rows, c["far_load_cycles"] * far, along_k, along_k)


def _saturating(ratio: Floats) -> Floats:
    """Return what rises with the square of a small ratio, is half at 1 and approaches 1."""
    return ratio**2 / (1 + ratio**2)
