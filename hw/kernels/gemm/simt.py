"""Matrix products on vector lanes: tiles and waves on the SMs, operands past the last cache, the host."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.kernel_cost import KernelCost, KernelCosts
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.architecture_constants import family_coefficients
from steelyard.hw.kernels.common.dispatch import CALL_RATIOS, call_coefficients, timed
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate
from steelyard.hw.kernels.common.kernel_queries import Column
from steelyard.hw.kernels.common.power import usual_power_fraction
from steelyard.hw.kernels.gemm.shape import Products, products
from steelyard.hw.kernels.gemm.simt_device import SimtDevice
from steelyard.hw.kernels.gemm.simt_operand_layout import layout
from steelyard.hw.kernels.gemm.simt_tiles import splits, tiles
from steelyard.hw.kernels.gemm.simt_time import busy_s

SLOT_W = 75.0
"""What a slot supplies: boards of no more have no fan of their own, and got hot in sweeps of products."""


@dataclass(frozen=True, slots=True)
class SimtGemm:
    """Products of a `gemm` (with the bias of a linear layer) or a `bmm` on vector lanes.

    The fastest of the tiles that cuBLAS has for the device. The coefficients, besides `call_s`, `launch_s`
    and `lead_fraction` of `steelyard.hw.kernels.common.dispatch`:

    - cycles_per_step: cycles of an SM for the multiply-adds that its lanes can do in one.
    - operand_load_cycles: its growth with the loads for a tile of a x b, times (1/a + 1/b).
    - prologue_steps: start and end of a tile, in multiply-adds of its sums.
    - unaligned_cycles: what operands add to `cycles_per_step` whose rows are no multiple of 16 bytes.
    - wait_cycles: what a tile that is alone on its SM waits in each step of its sums.
    - power_fraction: part of the power limit that the arithmetic gets, of
      `steelyard.hw.kernels.common.power`.
    - memory_fraction: part of memory's pin rate at which results are written and near rows are read.
    - operand_fraction: the same for operands of whose rows, far apart, a step of the sums reads 32 bytes.
    - cache_fraction: part of the last cache within which operands are found again.

    Of a gemm alone, whose operands can be larger than any cache and whose sums are cut:

    - far_load_cycles: what operands that together spread over more than `far_bytes`, more pages than the TLB
      holds, add to `operand_load_cycles`.
    - long_row_cycles: what rows of operands that lie far apart in memory add to `cycles_per_step`.
    - split_s: the cost of cutting the sums in parts, besides the partial sums.
    """

    kind: Literal["gemm", "bmm"]

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work; each operand is read once."""
        shape, size = products(self.kind, dims), element_bytes(dtype)
        return KernelCost(
            contraction_flops=2 * shape.macs,
            bytes_read=size * shape.read_elements,
            bytes_written=size * shape.written_elements,
        )

    def coefficients(self, device: Device, dtype: DType) -> Coefficients:
        """Return the constants of the device's compute capability, fitted in f32; cycles hold for all types.

        Raises:
            DeviceError: The device has no lanes for the type.
        """
        SimtDevice.of(device, dtype, power_fraction=1.0)
        family = family_coefficients(f"gemm/{self.kind}_simt", "f32", _family(device))
        return {**call_coefficients(device), **family}

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
            DeviceError: The device has no lanes for the type, or its memory is not described.
        """
        shape, c = products(self.kind, dims), coefficients
        lanes = SimtDevice.of(device, dtype, _power_fraction(context, c))
        extra = layout(shape, lanes.element_bytes, c)
        fastest_s = np.full_like(shape.m, np.inf)
        bound = np.zeros(len(fastest_s), bool)
        for tile in tiles(device, batched=self.kind == "bmm"):
            for parts in splits(tile, batched=self.kind == "bmm"):
                time_s, memory_bound = busy_s(shape, lanes, tile, parts, extra, c)
                bound = np.where(time_s < fastest_s, memory_bound, bound)
                fastest_s = np.minimum(fastest_s, time_s)
        limiter = np.where(bound, "memory", "compute")
        seconds, limiter = timed(context, fastest_s, limiter, CALL_RATIOS[self.kind], c)
        floor_s = _floor_s(shape, lanes)
        return Estimate(seconds=np.maximum(seconds, floor_s), floor_s=floor_s, limiter=limiter)


def _family(device: Device) -> str:
    capability = (device.compute_capability or "").replace(".", "")
    slot_powered = device.tdp_w is not None and device.tdp_w.value <= SLOT_W
    return f"sm{capability}-slot" if slot_powered else f"sm{capability}"


def _power_fraction(context: ExecutionContext, coefficients: Coefficients) -> float:
    """The part of the power limit that a product gets.

    Boards of `SLOT_W` got hot while single products were swept for the measurements that the constants are
    from: T4 lost a third of its rate within minutes, P4 a tenth. In models of the same source, where kernels
    that draw less come in between, they reach what other such boards do (T4: 4.1 instead of 3.1 TFLOP/s).
    """
    fitted = coefficients["power_fraction"]
    return fitted if context.host_overhead else max(fitted, usual_power_fraction())


def _floor_s(shape: Products, lanes: SimtDevice) -> Column:
    streamed = (shape.read_elements + shape.written_elements) * lanes.element_bytes - lanes.cache_bytes
    compute_s = 2 * shape.macs / lanes.peak_flops_per_s
    return np.maximum(compute_s, np.maximum(streamed, 0) / lanes.bytes_per_s)
