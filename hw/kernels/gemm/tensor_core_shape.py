"""Matrix products as tensor cores see them: their sizes as numbers, and the bytes of an element."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.kernels.common.kernel_queries import Column, Floats

OPERAND_BYTES: dict[DType, int] = {"f16": 2, "bf16": 2, "tf32": 4, "f8": 1}
"""Bytes of an operand's element; TF32 is read from f32."""

RESULT_BYTES: dict[DType, int] = {"f16": 2, "bf16": 2, "tf32": 4, "f8": 2}
"""Bytes of a result's element; f8 products are written in 16 bits, as torch._scaled_mm does by default."""

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
        result_bytes: Bytes of an element of the result.
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

    Raises:
        DeviceError: Tensor cores do not multiply this type.
    """
    if dtype not in OPERAND_BYTES:
        raise DeviceError(
            what=f"no tensor core multiplies {dtype}",
            why=f"they take {', '.join(OPERAND_BYTES)}",
            fix="price it on the vector lanes",
        )
    b, m, n, k = (np.asarray(dims[name], dtype=np.float64) for name in ("b", "m", "n", "k"))
    weight = kind == "gemm"
    return Products(
        batch=np.ones_like(b) if weight else b,
        m=b * m if weight else m,
        n=n,
        k=k,
        operand_bytes=OPERAND_BYTES[dtype],
        result_bytes=RESULT_BYTES[dtype],
        weight=weight,
    )
