"""The sizes of matrix products, plain and batched."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from steelyard.hw.kernels.common.kernel_queries import Column, Floats


@dataclass(frozen=True, slots=True)
class Products:
    """Products [m, k] @ [k, n], a row each, `batch` of them with operands of their own."""

    batch: Floats
    m: Floats
    n: Floats
    k: Floats

    @property
    def macs(self) -> Floats:
        """Multiply-adds."""
        return self.batch * self.m * self.n * self.k

    @property
    def read_elements(self) -> Floats:
        """Elements of both operands."""
        return self.batch * (self.m + self.n) * self.k

    @property
    def written_elements(self) -> Floats:
        """Elements of the result."""
        return self.batch * self.m * self.n


def products(kind: str, dims: Mapping[str, Column]) -> Products:
    """Return the dims of a `gemm` or a `bmm`; all rows of a gemm share one weight and are one product."""
    b, m, n, k = (np.asarray(dims[name], np.float64) for name in ("b", "m", "n", "k"))
    return Products(np.ones_like(b), b * m, n, k) if kind == "gemm" else Products(b, m, n, k)
