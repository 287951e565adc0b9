"""Layer norm over the last dim: a block a row, which sums it by Welford's method and reads it once more."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.kernel_cost import KernelCost, KernelCosts
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.nvidia_sm import sm_limits
from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Column, Floats
from steelyard.hw.kernels.memory_bound.row_reduction import RowKernel, RowPass

_BLOCK_THREADS = 128
_TURN_COLS = 4 * _BLOCK_THREADS
"""Columns that a block takes in one turn of its loop, a vector of four a thread: vectorized_layer_norm_kernel
in aten/src/ATen/native/cuda/layer_norm_kernel.cu."""

_UNROLLED_TURNS = 4
"""Turns that the compiler unrolls together; rows of exactly so many, or a multiple, do worse than their
neighbours on all of P4, P100, V100, T4 and A100 (NeuSight 6945927)."""


class LayerNorm(RowKernel):
    """Layer norm of each row of [rows, cols], with weight and bias.

    The coefficients, besides those of `RowKernel`, in cycles of an SM a row:

    - row_cycles: the reduction across warps and the two ends of the block.
    - turn_cycles: one turn of the loop over 512 columns.
    - unrolled_cycles: what rows of a multiple of four turns take more.
    """

    kind: str = "layer_norm"
    call_ratio: ClassVar[float] = 1.80

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work: statistics (4), their application (2), weight and bias (2) an element.

        A row has a square root and a quotient besides, and keeps its mean and reciprocal deviation for the
        gradient, at least in f32.
        """
        rows, cols = (dims[name].astype(np.float64) for name in ("rows", "cols"))
        size_bytes = element_bytes(dtype)
        return KernelCost(
            pointwise_flops=8 * rows * cols,
            transcendental_flops=2 * rows,
            bytes_read=size_bytes * (rows + 2) * cols,
            bytes_written=size_bytes * rows * cols + 2 * max(size_bytes, 4) * rows,
        )

    def row_pass(self, device: Device, cols: Floats, coefficients: Coefficients) -> RowPass:
        """Return one pass for the statistics and one that applies them."""
        c = coefficients
        turns = np.ceil(cols / _TURN_COLS)
        return RowPass(
            sm_cycles=c["row_cycles"]
            + c["turn_cycles"] * turns
            + c["unrolled_cycles"] * (turns % _UNROLLED_TURNS == 0),
            resident_elements=cols * (sm_limits(device).threads // _BLOCK_THREADS),
            further_reads=np.ones_like(cols),
        )
