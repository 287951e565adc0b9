"""Fused attention, prefill and decode: tasks on the SMs, keys and values from memory, the cache write."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_cost import KernelCost, KernelCosts
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import ExecutionUnit
from steelyard.hw.devices.typical_factors import LAUNCH_OVERHEAD_S, matrix_fraction
from steelyard.hw.kernels.attention.shape import attentions
from steelyard.hw.kernels.attention.time import Parts, parts
from steelyard.hw.kernels.common.architecture_constants import family_coefficients
from steelyard.hw.kernels.common.dispatch import after_dispatch
from steelyard.hw.kernels.common.kernel_model import Coefficients, Estimate, Launches
from steelyard.hw.kernels.common.kernel_queries import Column, Floats

NVIDIA_MATRIX_FRACTION = 0.80
"""What `hw/devices/typical_factors.py` says of large bf16 GEMMs on the vendor whose devices were fitted."""

_SCORE_POINTWISE, _SCORE_TRANSCENDENTAL = 3, 2
"""FLOPs of the softmax per score, as of a softmax by itself."""

BACKWARD_FLOPS = 2.5
"""Five products where the forward pass has two (FlashAttention-2, arXiv 2307.08691, section 4.1)."""

BACKWARD_FRACTION = 63 / 73
"""Its part of the peak over that of the forward pass: up to 63 and 73 % on A100 (the same, section 3)."""

_BACKWARD_KERNELS = 3
"""Row sums of the gradient times the result, the gradients, and the queries' gradient rounded."""


@dataclass(frozen=True, slots=True)
class FusedAttention:
    """Attention that keeps its scores on chip.

    seconds = launch + sequences + max(on_chip, memory), softly, + combine + cache write, at least the floor.
    The coefficients, which are those of the kind's own table:

    - launch_s: the kernels of one attention that do nothing, in a graph.
    - matrix_fraction: part of the peak that an SM reaches in the two products.
    - softmax_flops: what a score costs besides, in f32 operations of the vector lanes.
    - task_s: a task that does nothing; fill_bytes_per_clock: operands and results of the first and last
      tile of a task, which nothing hides, per SM.
    - split_slowdown: by how much longer a key tile takes in the kernel that can split them.
    - combine_s: adding up what splits found, besides the traffic.
    - memory_fraction: part of the pin rate.
    - sequence_s (decode): planning one more sequence; token_s (prefill): writing one more token to the cache.

    In a CUDA graph the time includes writing the new keys and values to the cache, since serving engines
    capture both; elsewhere it is the kernel alone. A CPU, and what else has no SMs, does the FLOPs at its
    sustained rate or streams the bytes.
    """

    kind: Literal["attention_prefill", "attention_decode"]

    def counts(self, dtype: DType, dims: Mapping[str, Column]) -> KernelCosts:
        """Return the work of the definition, masked pairs included; the time leaves out what is skipped.

        Raises:
            DeviceError: Attention is not computed in this type.
        """
        shape = attentions(dtype, dims)
        return KernelCost(
            contraction_flops=4 * shape.d * shape.pairs,
            pointwise_flops=_SCORE_POINTWISE * shape.pairs,
            transcendental_flops=_SCORE_TRANSCENDENTAL * shape.pairs,
            bytes_read=shape.query_bytes + shape.kv_bytes,
            bytes_written=shape.query_bytes,
        )

    def coefficients(self, device: Device, dtype: DType) -> Coefficients:
        """Return the constants of the architecture; fractions of the type's peak, fitted in bf16.

        Raises:
            DeviceError: The device has no unit for the type, or no boost clock.
        """
        ExecutionUnit.of(device, dtype)
        if device.boost_clock_hz is None:  # fill_bytes_per_clock is of the true one
            raise DeviceError(
                what=f"attention on {device.name!r} cannot be priced",
                why="its file lacks boost_clock_hz",
                fix="add it from the data sheet",
            )
        constants = family_coefficients(f"attention/{self.kind}", "bf16", _family(device))
        if device.vendor == "nvidia":
            return constants
        # Other vendors' units are taken to fall short as they do in large GEMMs.
        shortfall = matrix_fraction(device, "bf16") / NVIDIA_MATRIX_FRACTION
        return {**constants, "matrix_fraction": constants["matrix_fraction"] * shortfall}

    def estimate(self, batch: Launches) -> Estimate:
        """Return the time of each row.

        Raises:
            DeviceError: The device has no unit for the type, or its memory is not described.
        """
        time = parts(
            attentions(batch.dtype, batch.dims), batch.device, batch.dtype, batch.context, batch.coefficients
        )
        serving = batch.context.mode == "graph"
        launch_s = batch.coefficients["launch_s"] + (LAUNCH_OVERHEAD_S[batch.device.kind] if serving else 0.0)
        written_s = time.cache_write_s if serving else 0.0
        return _timed(batch.device, batch.context, time, launch_s, time.body_s + time.combine_s + written_s)

    def backward(self, batch: Launches) -> Estimate:
        """Return the time of the backward pass of each row, from that of the forward kernel.

        It has 2.5 times the FLOPs at 63/73 of the rate, and reads and writes twice the bytes.

        Raises:
            DeviceError: The device has no unit for the type, or its memory is not described.
        """
        time = parts(
            attentions(batch.dtype, batch.dims), batch.device, batch.dtype, batch.context, batch.coefficients
        )
        launch_s = (
            batch.coefficients["launch_s"] + (_BACKWARD_KERNELS - 1) * LAUNCH_OVERHEAD_S[batch.device.kind]
        )
        backward_s = time.body_s * BACKWARD_FLOPS / BACKWARD_FRACTION
        return _timed(batch.device, batch.context, time, launch_s, backward_s, BACKWARD_FLOPS)


def _family(device: Device) -> str:
    # The data center's Blackwell has other tensor cores than the workstation's, and kernels of its own.
    return "sm100" if (device.compute_capability or "").startswith("10.") else device.architecture


def _timed(
    device: Device,
    context: ExecutionContext,
    time: Parts,
    launch_s: float,
    busy_s: Floats,
    times_flops: float = 1.0,
) -> Estimate:
    floor_s = np.maximum(time.compute_floor_s * times_flops, time.memory_floor_s)
    seconds = np.maximum(launch_s + busy_s, floor_s)
    limiter = np.where(time.memory_s > time.on_chip_s, "memory", "compute")
    limiter = np.where(launch_s > busy_s, "launch", limiter)
    seconds, limiter = after_dispatch(device, context, seconds, limiter)
    return Estimate(seconds=seconds, floor_s=floor_s, limiter=limiter)
