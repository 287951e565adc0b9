"""Memory traffic time: cached bytes at the rate of the last-level cache, others at that of memory."""

from dataclasses import dataclass
from math import inf

import numpy as np

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_cost import KernelCosts
from steelyard.hw.devices.device import Device
from steelyard.hw.kernels.common.architecture_constants import family_coefficients
from steelyard.hw.kernels.common.dispatch import call_coefficients
from steelyard.hw.kernels.common.kernel_model import Coefficients
from steelyard.hw.kernels.common.kernel_queries import Floats

TABLE = "common/memory_system"

_RAMP = 0.25
"""How far around the size at which half of it misses a footprint goes from all in the cache to none."""


@dataclass(frozen=True, slots=True)
class MemorySystem:
    """Memory and last cache of a GPU.

    Attributes:
        bytes_per_s: Streaming rate of memory, reads and writes together.
        peak_bytes_per_s: Its pin rate.
        cache_bytes: Size of the last cache.
        cache_bytes_per_s: Rate of that cache.
        resident_fraction: Size over that of the cache at which, of all that a kernel touches, half is still
            there when the next one touches it again.
    """

    bytes_per_s: float
    peak_bytes_per_s: float
    cache_bytes: float
    cache_bytes_per_s: float
    resident_fraction: float

    @staticmethod
    def of(device: Device, coefficients: Coefficients) -> "MemorySystem":
        """Return the memory of a device.

        Raises:
            DeviceError: Its file lacks the bandwidth.
        """
        bandwidth = device.memory_bandwidth_bytes_per_s
        if bandwidth is None:
            raise DeviceError(
                what=f"a memory-bound kernel on {device.name} cannot be priced",
                why="its file lacks memory_bandwidth_bytes_per_s",
                fix="add it from the data sheet",
            )
        cycles_per_s = unit_cycles_per_s(device)
        return MemorySystem(
            bytes_per_s=bandwidth.value * min(1.0, coefficients["memory_fraction"]),
            peak_bytes_per_s=bandwidth.value,
            cache_bytes=device.l2_bytes.value if device.l2_bytes else 0.0,
            cache_bytes_per_s=coefficients["cache_bytes_per_cycle"] * cycles_per_s,
            resident_fraction=coefficients["resident_fraction"],
        )

    def missed(self, footprint_bytes: Floats) -> Floats:
        """Return the part of what kernels touch, between 0 and 1, that is no longer in the cache.

        It rises from none to all over a stretch of sizes around `resident_fraction` of the cache.
        """
        half_bytes = max(self.resident_fraction * self.cache_bytes, 1.0)
        return np.clip(0.5 + (footprint_bytes / half_bytes - 1) / (2 * _RAMP), 0, 1)

    def seconds(self, memory_bytes: Floats, moved_bytes: Floats) -> Floats:
        """Return the time of traffic, the slower of memory and cache.

        Args:
            memory_bytes: What goes through memory.
            moved_bytes: What goes through the cache, the former included.
        """
        return np.maximum(memory_bytes / self.bytes_per_s, moved_bytes / self.cache_bytes_per_s)

    def floor_s(self, counts: KernelCosts) -> Floats:
        """Return the time at the pin rate of what no cache can have kept."""
        unique_bytes = counts.touched_bytes
        return np.maximum(unique_bytes - self.cache_bytes, 0) / self.peak_bytes_per_s


def memory_coefficients(device: Device) -> dict[str, float]:
    """Return the constants of a device's memory, cache and launches, for models of memory-bound kernels.

    - memory_fraction: part of the pin rate that streaming reaches; where the device's file has a measured
      rate, that.
    - cache_bytes_per_cycle: what the last cache gives each SM in a cycle.
    - resident_fraction: see `MemorySystem`.
    - overlap_exponent: p of (memory^p + arithmetic^p)^(1/p).
    - lead_fraction, call_s, launch_s: see `overhead.timed`.

    Raises:
        DeviceError: The device is no GPU.
    """
    if device.kind not in ("gpu", "soc"):
        raise DeviceError(
            what=f"{device.name} has no model of memory-bound kernels",
            why=f"it is a {device.kind}; the constants are those of GPUs",
            fix="price it by the roofline of its own calibration",
        )
    family = family_coefficients(TABLE, "f32", f"{device.architecture}-{device.memory_kind}")
    coefficients = {**family, **call_coefficients(device)}
    measured = device.sustained_with(None).memory_bandwidth_bytes_per_s
    if measured and device.memory_bandwidth_bytes_per_s:
        peak_bytes_per_s = device.memory_bandwidth_bytes_per_s.value
        coefficients["memory_fraction"] = min(1.0, measured.at(peak_bytes_per_s) / peak_bytes_per_s)
    return coefficients


def unit_cycles_per_s(device: Device) -> float:
    """Return the cycles of all SMs together in a second, at the boost clock."""
    clock = device.boost_clock_hz or device.base_clock_hz
    return device.compute_units.value * (clock.value if clock else 1e9)


def overlapped_s(first_s: Floats, second_s: Floats, exponent: float) -> Floats:
    """Return the time of two activities at once: (first^p + second^p)^(1/p), the longer one for large p."""
    longer = np.maximum(np.maximum(first_s, second_s), 1e-30)  # scaled by it, no power overflows
    return longer * ((first_s / longer) ** exponent + (second_s / longer) ** exponent) ** (1 / exponent)


def vector_floor_s(device: Device, counts: KernelCosts) -> Floats:
    """Return the time of the pointwise arithmetic at the peak of the f32 lanes."""
    peak = device.vector_peak_flops_per_s.get("f32")
    return (counts.pointwise_flops + counts.transcendental_flops) / (peak.value if peak else inf)


def lanes_s(device: Device, lane_cycles: Floats) -> Floats:
    """Return the time of work that takes one f32 lane so many cycles."""
    lanes = device.lanes_per_unit.value if device.lanes_per_unit else 64
    return lane_cycles / (lanes * unit_cycles_per_s(device))
