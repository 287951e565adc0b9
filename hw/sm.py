"""What one streaming multiprocessor of an NVIDIA GPU can hold, by compute capability."""

from dataclasses import dataclass

from steelyard.hw.device import Device


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
