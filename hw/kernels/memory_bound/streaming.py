"""Any kernel that reads and writes each byte once: copies, gathers, reductions, optimizer steps."""

import numpy as np

from steelyard.hw.base.kernel_cost import KernelCosts
from steelyard.hw.base.kernel_work import ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.dispatch import timed
from steelyard.hw.kernels.common.kernel_model import Estimate
from steelyard.hw.kernels.common.kernel_queries import Floats
from steelyard.hw.kernels.common.memory_system import (
    MemorySystem,
    lanes_s,
    memory_coefficients,
    overlapped_s,
    vector_floor_s,
)
from steelyard.hw.kernels.memory_bound.elementwise_functions import (
    LANE_CYCLES,
    SPECIAL_LANE_CYCLES,
    STREAM_LANE_CYCLES,
)

_WORD_BYTES = 4


def streaming_estimate(
    device: Device, context: ExecutionContext, counts: KernelCosts, call_ratio: Floats | float = 1.0
) -> Estimate:
    """Return the time of memory-bound kernels from their work alone, a row each.

    Args:
        device: A GPU.
        context: How they are run.
        counts: Their work; contractions are left out.
        call_ratio: The host's time over that of `torch.add`.

    Raises:
        DeviceError: The device is no GPU, or its bandwidth is not known.
    """
    c = memory_coefficients(device)
    memory = MemorySystem.of(device, c)
    moved_bytes = counts.touched_bytes
    memory_s = memory.seconds(moved_bytes * memory.missed(moved_bytes), moved_bytes)
    lane_cycles = (
        STREAM_LANE_CYCLES * moved_bytes / _WORD_BYTES
        + LANE_CYCLES * counts.pointwise_flops
        + SPECIAL_LANE_CYCLES * counts.transcendental_flops
    )
    arithmetic_s = lanes_s(device, lane_cycles)
    busy_s = overlapped_s(memory_s, arithmetic_s, c["overlap_exponent"])
    limiter = np.where(arithmetic_s > memory_s, "compute", "memory")
    seconds, limiter = timed(context, busy_s, limiter, call_ratio, c)
    floor_s = np.maximum(memory.floor_s(counts), vector_floor_s(device, counts))
    return Estimate(np.maximum(seconds, floor_s), floor_s, limiter)
