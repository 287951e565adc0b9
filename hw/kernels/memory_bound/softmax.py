"""Softmax over the last dim: a warp a row, kept in registers, or a block a row, which is read three times."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from steelyard.hw.base.kernel_cost import KernelCosts
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.nvidia_sm import sm_limits
from steelyard.hw.kernels.common.architecture_constants import family_coefficients
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate
from steelyard.hw.kernels.common.kernel_queries import Column, KernelKind
from steelyard.hw.kernels.common.memory_system import memory_coefficients
from steelyard.hw.kernels.memory_bound.row_reduction import RowPass, row_counts, row_estimate

TABLE = "memory_bound/softmax"

WARP_COLS = 1024
"""The longest row of ATen's persistent kernel (dispatch_softmax_forward in PersistentSoftmax.cuh), which pads
it to a power of two and keeps it in the registers of one warp."""

_BLOCK_THREADS = 1024
_ELEMENTS_PER_THREAD = 6.0
"""Of a row in the block kernel: between 4 and 8, since a block has the largest power of two of threads, at
most 1024, that leaves each four elements (SoftMaxForward_getBlockSize in ATen's SoftMax.cu)."""


@dataclass(frozen=True, slots=True)
class Softmax:
    """Softmax of each row of [rows, cols].

    The coefficients, besides those of `memory_coefficients`:

    - warp_cycles_per_element: cycles of an SM for an element of a padded row in the warp kernel.
    - block_cycles_per_element: the same in the block kernel, over its three passes.
    - spill_fraction: see `row_reduction.row_estimate`.
    """

    @property
    def kind(self) -> KernelKind:
        """`softmax`."""
        return "softmax"

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work: a maximum, a difference, an exponential, a sum and a quotient an element."""
        return row_counts(dtype, dims, pointwise=4, special=1)

    def coefficients(self, device: Device, dtype: DType) -> Coefficients:
        """Return the constants of the device's family; cycles hold for all types, which are summed in f32.

        Raises:
            DeviceError: The device is no GPU.
        """
        return {**memory_coefficients(device), **family_coefficients(TABLE, "f32", device.architecture)}

    def estimate(
        self,
        device: Device,
        dtype: DType,
        context: ExecutionContext,
        dims: Mapping[str, Column],
        coefficients: Coefficients,
    ) -> Estimate:
        """Return the time of each row.

        Raises:
            DeviceError: The bandwidth of the device is not known.
        """
        c = coefficients
        cols = dims["cols"].astype(np.float64)
        in_warp = cols <= WARP_COLS
        padded = np.exp2(np.ceil(np.log2(cols)))
        threads = sm_limits(device).threads
        row_pass = RowPass(
            sm_cycles=np.where(
                in_warp, c["warp_cycles_per_element"] * padded, c["block_cycles_per_element"] * cols
            ),
            resident_elements=threads * np.maximum(_ELEMENTS_PER_THREAD, cols / _BLOCK_THREADS),
            further_reads=np.where(in_warp, 0.0, 2.0),
        )
        counts = self.counts(dtype, dims)
        return row_estimate(self.kind, device, dtype, context, dims, counts, row_pass, c)
