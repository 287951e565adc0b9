"""The vector lanes of a device, as matrix products use them."""

from dataclasses import dataclass

from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import ExecutionUnit, clock_hz
from steelyard.hw.devices.nvidia_sm import fma_fraction
from steelyard.hw.kernels.common.power import sustained_fraction

FED_LANES = 64
"""Lanes of an SM that its shared memory and its issue slots feed without a wait: those of P100, V100, T4 and
A100. SMs of 128 have as much of both (CUDA programming guide: 128 bytes and four instructions a cycle)."""


@dataclass(frozen=True, slots=True)
class SimtDevice:
    """The vector lanes of a device in one type, and its memory.

    Attributes:
        count: SMs.
        crowding: Lanes of an SM over those that it feeds without a wait, at least 1.
        peak_flops_per_s: Peak of the data sheet.
        fma_fraction: Part of it that the main loop of a product can reach.
        cycle_s: Cycle of the boost clock.
        sustained_fraction: Part of the boost clock that the power limit leaves.
        bytes_per_s: Peak (pin) bandwidth of memory.
        cache_bytes: Size of the last cache.
        element_bytes: Size of an operand.
    """

    count: float
    crowding: float
    peak_flops_per_s: float
    fma_fraction: float
    cycle_s: float
    sustained_fraction: float
    bytes_per_s: float
    cache_bytes: float
    element_bytes: int

    @staticmethod
    def of(device: Device, dtype: DType, power_fraction: float) -> "SimtDevice":
        """Return the lanes that multiply a type.

        Raises:
            DeviceError: The device has none, or its bandwidth is not known.
        """
        unit = ExecutionUnit.of(device, dtype)
        lanes = device.lanes_per_unit.value if device.lanes_per_unit else 0
        return SimtDevice(
            count=unit.count,
            crowding=max(1.0, lanes / FED_LANES),
            peak_flops_per_s=unit.peak_flops_per_s,
            fma_fraction=fma_fraction(device),
            cycle_s=1 / clock_hz(device),
            sustained_fraction=sustained_fraction(device, unit.dtype, "vector", power_fraction),
            bytes_per_s=unit.memory_bytes_per_s,
            cache_bytes=unit.cache_bytes,
            element_bytes=element_bytes(dtype),
        )
