"""Sizes of matrix products, plain and batched, and the bytes of their elements."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.kernel_cost import KernelCost, KernelCosts
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.measured_rates import PeakDType
from steelyard.hw.kernels.common.kernel_queries import Column, Floats

MATRIX_DTYPES: tuple[PeakDType, ...] = ("tf32", "f16", "bf16", "f8")
"""Types that tensor cores multiply in products and convolutions."""

ALIGNMENT_BYTES = 16
"""Rows of an operand that are no multiple of this are read element by element: one asynchronous copy of a
thread moves at most 16 bytes (cp.async in NVIDIA's PTX ISA), and TMA asks for strides of 16 (ibid.)."""


@dataclass(frozen=True, slots=True)
class Products:
    """Products [m, k] @ [k, n], `batch` of them a row.

    Attributes:
        batch: Products with operands of their own.
        m: Rows of the left operand and of the result.
        n: Columns of the right operand and of the result.
        k: The length of the sums.
        operand_bytes: Bytes of an element of an operand.
        result_bytes: Bytes of an element of the result; f8 products are written in 16 bits, as
            torch._scaled_mm does by default.
        weight: Whether the right operand is a weight, that is read again only after all others.
    """

    batch: Floats
    m: Floats
    n: Floats
    k: Floats
    operand_bytes: int
    result_bytes: int
    weight: bool

    @property
    def macs(self) -> Floats:
        """Multiply-accumulates."""
        return self.batch * self.m * self.n * self.k

    @property
    def cost(self) -> KernelCosts:
        """Work of the definition: each operand is read once."""
        return KernelCost(
            contraction_flops=2 * self.macs,
            bytes_read=self.left_bytes + self.right_bytes,
            bytes_written=self.written_bytes,
        )

    @property
    def left_bytes(self) -> Floats:
        """Bytes of the left operands."""
        return self.batch * self.m * self.k * self.operand_bytes

    @property
    def right_bytes(self) -> Floats:
        """Bytes of the right operands."""
        return self.batch * self.n * self.k * self.operand_bytes

    @property
    def written_bytes(self) -> Floats:
        """Bytes of the results."""
        return self.batch * self.m * self.n * self.result_bytes

    @property
    def aligned(self) -> NDArray[np.bool_]:
        """Whether the rows of both operands and of the result start at multiples of 16 bytes."""
        elements = ALIGNMENT_BYTES // self.operand_bytes
        return (self.n % elements == 0) & (self.k % elements == 0)


def products(kind: str, dtype: DType, dims: Mapping[str, Column]) -> Products:
    """Return the dims of a `gemm` or a `bmm` as products.

    The rows of a gemm share one weight, so that its `b` times `m` rows are one product.
    """
    b, m, n, k = (np.asarray(dims[name], dtype=np.float64) for name in ("b", "m", "n", "k"))
    weight, size_bytes = kind == "gemm", element_bytes(dtype)
    return Products(
        batch=np.ones_like(b) if weight else b,
        m=b * m if weight else m,
        n=n,
        k=k,
        operand_bytes=size_bytes,
        result_bytes=2 if dtype == "f8" else size_bytes,
        weight=weight,
    )
