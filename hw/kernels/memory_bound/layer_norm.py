"""Layer norm over the last dim: a block a row, which sums it by Welford's method and reads it once more."""

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

TABLE = "memory_bound/layer_norm"

_BLOCK_THREADS = 128
_TURN_COLS = 4 * _BLOCK_THREADS
"""Columns that a block takes in one turn of its loop, a vector of four a thread: vectorized_layer_norm_kernel
in aten/src/ATen/native/cuda/layer_norm_kernel.cu."""

_UNROLLED_TURNS = 4
"""Turns that the compiler unrolls together; rows of exactly so many, or a multiple, do worse than their
neighbours on all of P4, P100, V100, T4 and A100 (NeuSight 6945927)."""


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """Layer norm of each row of [rows, cols], with weight and bias.

    The coefficients, besides those of `memory_coefficients`, in cycles of an SM a row:

    - row_cycles: the reduction across warps and the two ends of the block.
    - turn_cycles: one turn of the loop over 512 columns.
    - unrolled_cycles: what rows of a multiple of four turns take more.
    - spill_fraction: see `row_reduction.row_estimate`.
    """

    @property
    def kind(self) -> KernelKind:
        """`layer_norm`."""
        return "layer_norm"

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work: three operations for mean and variance and four to apply them, an element."""
        return row_counts(dtype, dims, pointwise=7, special=0)

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
        turns = np.ceil(cols / _TURN_COLS)
        row_pass = RowPass(
            sm_cycles=c["row_cycles"]
            + c["turn_cycles"] * turns
            + c["unrolled_cycles"] * (turns % _UNROLLED_TURNS == 0),
            resident_elements=cols * (sm_limits(device).threads // _BLOCK_THREADS),
            further_reads=np.ones_like(cols),
        )
        counts = self.counts(dtype, dims)
        return row_estimate(self.kind, device, dtype, context, dims, counts, row_pass, c)
