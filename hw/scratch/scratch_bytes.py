"""Scratch of a kernel, by the instruction set that it is compiled for."""

from collections.abc import Callable
from dataclasses import dataclass

from steelyard.hw.base.instruction_set import InstructionSet

MEASURED: tuple[InstructionSet, ...] = ("avx2", "avx512")


@dataclass(frozen=True, slots=True)
class ScratchBytes:
    """Bytes that a kernel takes while it runs, beside its operands and results.

    Attributes:
        value: The bytes; the most that is possible where they are not known.
        low: The least that is possible.
        high: The most that is possible.
    """

    value: int
    low: int
    high: int

    @property
    def is_known(self) -> bool:
        """Whether there is one value."""
        return self.low == self.high


NO_SCRATCH = ScratchBytes(0, 0, 0)


def scratch_of_kernels(
    instruction_set: InstructionSet | None, *, is_half: bool, bytes_of: Callable[[InstructionSet], int]
) -> ScratchBytes:
    """Return the scratch of a kernel, or its interval over the instruction sets that were measured.

    Measured were AVX2 and AVX-512; the units of AMX are used with half precision alone.

    Args:
        instruction_set: Of the CPU; None where it is not known.
        is_half: Whether the operands are of half precision.
        bytes_of: The scratch under an instruction set that was measured.
    """
    if instruction_set == "avx512_amx" and not is_half:
        instruction_set = "avx512"
    possible = (instruction_set,) if instruction_set in MEASURED else MEASURED
    sizes = [bytes_of(each) for each in possible]
    return ScratchBytes(max(sizes), min(sizes), max(sizes))
