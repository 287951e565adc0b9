"""Elementwise functions by name: bytes and FLOPs per element."""

from dataclasses import dataclass

import numpy as np

from steelyard.hw.base.errors import UsageError, did_you_mean
from steelyard.hw.kernels.common.kernel_queries import Column, Floats

STREAM_LANE_CYCLES = 2.0
"""Cycles of an f32 lane for each word that moves: address, load or store, and loop, spread over four elements
as in ATen's vectorised kernels (aten/src/ATen/native/cuda/CUDALoops.cuh, 128 threads of four elements)."""

LANE_CYCLES = 1.0
"""Cycles of an f32 lane for each addition, multiplication or comparison; CUDA programming guide, throughput
of arithmetic instructions."""

SPECIAL_LANE_CYCLES = 16.0
"""Cycles of an f32 lane for each exp, log, tanh or division: one instruction at a quarter to an eighth of the
rate (the same table) and the range reduction around it."""


@dataclass(frozen=True, slots=True)
class Function:
    """One elementwise function, for each element of its output.

    Attributes:
        reads: Elements of its type that it reads.
        writes: Elements that it writes.
        pointwise: Additions, multiplications and the like.
        special: Transcendental operations and divisions.
        call_ratio: The host's time for the call over that of `torch.add`.
    """

    reads: float
    writes: float = 1
    pointwise: float = 1
    special: float = 0
    call_ratio: float = 1.0

    @property
    def lane_cycles(self) -> float:
        """Cycles of an f32 lane for an element, its loads and stores included."""
        moved = STREAM_LANE_CYCLES * (self.reads + self.writes)
        return moved + LANE_CYCLES * self.pointwise + SPECIAL_LANE_CYCLES * self.special


# Host times: medians over P4, V100, T4 and A100 in NeuSight's rows (6945927). A Python scalar becomes a
# tensor first; relu and gelu go through torch.nn.functional.
_SCALAR = 1.17
_FUNCTIONAL = 1.15

# powf is some 80 instructions (CUDA math library); erf and tanh are short polynomials beside one special one.
_POW = {"pointwise": 16.0, "special": 4.0}

FUNCTIONS: dict[str, Function] = {
    "add": Function(2),
    "sub": Function(2),
    "mul": Function(2),
    "div": Function(2, special=1, pointwise=0),
    "pow": Function(2, **_POW),
    "addu": Function(1, call_ratio=_SCALAR),
    "subu": Function(1, call_ratio=_SCALAR),
    "mulu": Function(1, call_ratio=_SCALAR),
    "divu": Function(1, call_ratio=_SCALAR),
    "powu": Function(1, **_POW, call_ratio=1.11),
    "relu": Function(1, call_ratio=1.22),
    "gelu": Function(1, pointwise=12, special=1, call_ratio=_FUNCTIONAL),
    "silu": Function(1, pointwise=2, special=2, call_ratio=_FUNCTIONAL),
    "tanh": Function(1, pointwise=8, special=1, call_ratio=0.98),
    "sigmoid": Function(1, pointwise=2, special=2, call_ratio=0.98),
    "exp": Function(1, pointwise=0, special=1, call_ratio=0.98),
    "log": Function(1, pointwise=0, special=1, call_ratio=0.98),
    "sqrt": Function(1, pointwise=0, special=1, call_ratio=0.98),
    "rsqrt": Function(1, pointwise=0, special=1, call_ratio=0.98),
    "neg": Function(1, call_ratio=0.98),
    "abs": Function(1, call_ratio=0.98),
    "copy": Function(1, pointwise=0),
    # To a type of half or of twice the size: between the two.
    "cast": Function(1, pointwise=1),
    # One byte of condition or mask beside elements of four.
    "where": Function(2.25),
    "dropout": Function(1, writes=1.25, pointwise=12, call_ratio=_FUNCTIONAL),
}


@dataclass(frozen=True, slots=True)
class FunctionColumns:
    """Columns of `Function`, one row a kernel."""

    reads: Floats
    writes: Floats
    pointwise: Floats
    special: Floats
    lane_cycles: Floats
    call_ratio: Floats


def function_columns(names: Column) -> FunctionColumns:
    """Return what is known of the functions of many rows.

    Raises:
        UsageError: A name is not known.
    """
    known, index = np.unique(names, return_inverse=True)
    functions = [_function(str(name)) for name in known]

    def column(values: list[float]) -> Floats:
        return np.array(values, dtype=np.float64)[index]

    return FunctionColumns(
        reads=column([each.reads for each in functions]),
        writes=column([each.writes for each in functions]),
        pointwise=column([each.pointwise for each in functions]),
        special=column([each.special for each in functions]),
        lane_cycles=column([each.lane_cycles for each in functions]),
        call_ratio=column([each.call_ratio for each in functions]),
    )


def _function(name: str) -> Function:
    if name not in FUNCTIONS:
        raise UsageError(
            what=f"there is no elementwise function {name!r}",
            why=f"{len(FUNCTIONS)} are known; a scalar operand is marked by u, as in 'addu'",
            fix=did_you_mean(name, FUNCTIONS),
        )
    return FUNCTIONS[name]
