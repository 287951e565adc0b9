"""The vector lanes of a device, as matrix products use them."""

from dataclasses import dataclass

from steelyard.hw.base.dtypes import element_bytes
from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import FALLBACK
from steelyard.hw.devices.nvidia_sm import fma_fraction
from steelyard.hw.kernels.common.memory_system import unit_cycles_per_s
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
        bandwidth = device.memory_bandwidth_bytes_per_s
        for each in FALLBACK[dtype]:
            peak = device.matrix_peak_flops_per_s.get(each) or device.vector_peak_flops_per_s.get(each)
            if peak is None or bandwidth is None or each == "tf32":
                continue
            return SimtDevice(
                count=device.compute_units.value,
                crowding=max(1.0, (device.lanes_per_unit.value if device.lanes_per_unit else 0) / FED_LANES),
                peak_flops_per_s=peak.value,
                fma_fraction=fma_fraction(device),
                cycle_s=device.compute_units.value / unit_cycles_per_s(device),
                sustained_fraction=sustained_fraction(device, each, "vector", power_fraction),
                bytes_per_s=bandwidth.value,
                cache_bytes=device.l2_bytes.value if device.l2_bytes else 0.0,
                element_bytes=element_bytes(dtype),
            )
        raise DeviceError(
            what=f"a matrix product in {dtype} on {device.name!r} cannot be priced",
            why="that needs a peak for the type and memory_bandwidth_bytes_per_s",
            fix="choose another type or device, or add both from the data sheet",
        )
