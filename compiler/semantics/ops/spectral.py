"""Fast Fourier transforms."""

from math import ceil, log2, prod

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.fused import Step, fused
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import OpWork

_BUTTERFLY = 5
"""Real operations of a complex transform of n points, by n log2(n): FFTW's convention (fftw.org/speed)."""


@work("aten._fft_c2c", "aten._fft_r2c", "aten._fft_c2r")
def transform(call: OpCall) -> OpWork:
    """A transform along some dims: 5 n log2(n) operations for n points, half of that of real ones."""
    is_real = "c2c" not in call.name
    largest = max((call.arg("self"), call.result()), key=lambda each: each.type.numel)
    shape = largest.type.shape
    dims: list[int] = call.properties["dim"]
    points = prod(shape[dim] for dim in dims)
    total = _BUTTERFLY * points * log2(points) / (1 + is_real) if points > 1 else 0
    others = largest.type.numel // max(points, 1)
    return fused(call, "reduction", (Step({"line": others, "op": ceil(total)}, Flops(pointwise=1)),))
