"""Vector extensions of x86 CPUs, by which PyTorch and oneDNN choose their kernels."""

from typing import Literal

InstructionSet = Literal["sse41", "avx", "avx2", "avx512", "avx512_amx"]
"""In the order in which each includes the ones before it; `avx512` without the matrix units of AMX."""
