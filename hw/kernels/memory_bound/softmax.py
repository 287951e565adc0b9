"""Softmax over the last dim: a warp a row, kept in registers, or a block a row, which is read three times."""

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

WARP_COLS = 1024
"""The longest row of ATen's persistent kernel (dispatch_softmax_forward in PersistentSoftmax.cuh), which pads
it to a power of two and keeps it in the registers of one warp."""

_BLOCK_THREADS = 1024
_ELEMENTS_PER_THREAD = 6.0
"""Of a row in the block kernel: between 4 and 8, since a block has the largest power of two of threads, at
most 1024, that leaves each four elements (SoftMaxForward_getBlockSize in ATen's SoftMax.cu)."""


class Softmax(RowKernel):
    """Softmax of each row of [rows, cols].

    The coefficients, besides those of `RowKernel`:

    - warp_cycles_per_element: cycles of an SM for an element of a padded row in the warp kernel.
    - block_cycles_per_element: the same in the block kernel, over its three passes.
    """

    kind: str = "softmax"
    call_ratio: ClassVar[float] = 1.26

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work: a maximum, a difference and a sum, an exponential and a quotient an element."""
        elements = dims["rows"].astype(np.float64) * dims["cols"]
        return KernelCost(
            pointwise_flops=3 * elements,
            transcendental_flops=2 * elements,
            bytes_read=element_bytes(dtype) * elements,
            bytes_written=element_bytes(dtype) * elements,
        )

    def row_pass(self, device: Device, cols: Floats, coefficients: Coefficients) -> RowPass:
        """Return one pass over rows that a warp holds, three over longer ones."""
        c = coefficients
        in_warp = cols <= WARP_COLS
        padded = np.exp2(np.ceil(np.log2(cols)))
        return RowPass(
            sm_cycles=np.where(
                in_warp, c["warp_cycles_per_element"] * padded, c["block_cycles_per_element"] * cols
            ),
            resident_elements=sm_limits(device).threads
            * np.maximum(_ELEMENTS_PER_THREAD, cols / _BLOCK_THREADS),
            further_reads=np.where(in_warp, 0.0, 2.0),
        )
