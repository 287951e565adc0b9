"""Occupancy limits of an NVIDIA streaming multiprocessor (SM), by compute capability."""

from dataclasses import dataclass

from steelyard.hw.devices.device import Device


@dataclass(frozen=True, slots=True)
class SmLimits:
    """Limits of one SM.

    Attributes:
        threads: Resident threads.
        blocks: Resident thread blocks.
        registers: 32-bit registers.
        shared_bytes: Shared memory that resident blocks can have together.
        block_shared_bytes: Shared memory that one block can have.
    """

    threads: int
    blocks: int
    registers: int
    shared_bytes: int
    block_shared_bytes: int

    def resident_blocks(self, threads: int, registers_per_thread: int, shared_bytes: int) -> int:
        """Return how many equal blocks an SM holds at once; 0 where one is too large for it.

        From the CUDA occupancy calculator, without the granularity in which registers and shared memory are
        handed out.
        """
        fits = (
            self.threads // threads,
            self.blocks,
            self.registers // (threads * registers_per_thread),
            self.shared_bytes // max(shared_bytes, 1),
        )
        return 0 if shared_bytes > self.block_shared_bytes else min(fits)


_KIB = 1024
_REGISTERS = 64 * _KIB

# CUDA C++ programming guide, "Technical Specifications per Compute Capability".
_LIMITS: dict[str, SmLimits] = {
    "3.7": SmLimits(2048, 16, 2 * _REGISTERS, 112 * _KIB, 48 * _KIB),
    "5.2": SmLimits(2048, 32, _REGISTERS, 96 * _KIB, 48 * _KIB),
    "5.3": SmLimits(2048, 32, _REGISTERS, 64 * _KIB, 48 * _KIB),
    "6.0": SmLimits(2048, 32, _REGISTERS, 64 * _KIB, 48 * _KIB),
    "6.1": SmLimits(2048, 32, _REGISTERS, 96 * _KIB, 48 * _KIB),
    "6.2": SmLimits(2048, 32, _REGISTERS, 64 * _KIB, 48 * _KIB),
    "7.0": SmLimits(2048, 32, _REGISTERS, 96 * _KIB, 96 * _KIB),
    "7.5": SmLimits(1024, 16, _REGISTERS, 64 * _KIB, 64 * _KIB),
    "8.0": SmLimits(2048, 32, _REGISTERS, 164 * _KIB, 163 * _KIB),
    "8.6": SmLimits(1536, 16, _REGISTERS, 100 * _KIB, 99 * _KIB),
    "8.9": SmLimits(1536, 24, _REGISTERS, 100 * _KIB, 99 * _KIB),
    "9.0": SmLimits(2048, 32, _REGISTERS, 228 * _KIB, 227 * _KIB),
    "10.0": SmLimits(2048, 32, _REGISTERS, 228 * _KIB, 227 * _KIB),
    "12.0": SmLimits(1536, 24, _REGISTERS, 100 * _KIB, 99 * _KIB),
}
_TYPICAL = _LIMITS["8.0"]


def sm_limits(device: Device) -> SmLimits:
    """Return the limits of the device's SMs; those of an A100 where its compute capability is not listed."""
    return _LIMITS.get(device.compute_capability or "", _TYPICAL)


# The fastest f32 product of square matrices over the data sheet's peak (github.com/zzc0721/torch-performance-
# test-data, issues and database.md, 2025-26, PyTorch 2.0 to 2.11), over that of A100 (19.2 of 19.5 TFLOP/s):
# V100 14.5 of 15.7; P40 10.1 of 11.8; A10G 23.4 of 35, RTX 3090 24.8 of 35.6; RTX 4090 54.7 of 82.6, L20 37.3
# of 59.8; H100 SXM 52.1 of 66.9; B200 66.2 of 74.5; RTX 5090 69.8 of 104.8. SMs of 128 lanes have no issue
# slots left for the loads, and from 8.6 on half of these lanes are shared with integers. Kepler's four
# schedulers each issue to 32 of its 192 lanes a cycle, to more only where instructions pair up.
_FMA_FRACTION = {
    "3.7": 128 / 192,
    "6.1": 0.87,
    "8.6": 0.69,
    "8.9": 0.68,
    "9.0": 0.795,
    "10.0": 0.905,
    "12.0": 0.68,
}


def fma_fraction(device: Device) -> float:
    """Return the part of its peak that a device can reach in the main loop of a product on vector lanes."""
    return _FMA_FRACTION.get(device.compute_capability or "", 1.0)


# NVIDIA's white papers of each architecture: 16-bit multiply-accumulates of the tensor cores of one SM.
_HALF_MACS_PER_CYCLE = {
    "7.0": 512,
    "7.5": 512,
    "8.0": 1024,
    "8.6": 512,
    "8.9": 512,
    "9.0": 2048,
    "10.0": 4096,
    "12.0": 512,
}


def half_macs_per_cycle(device: Device) -> int:
    """Return the 16-bit multiply-accumulates of one SM's tensor cores per cycle; 0 where unknown.

    Some boards are slowed below that where sums are in f32, which their data sheet's peaks are for.
    """
    return _HALF_MACS_PER_CYCLE.get(device.compute_capability or "", 0)
