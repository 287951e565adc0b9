"""What a pass asks the hardware layer, and what it is told: work, context, latency."""

from dataclasses import dataclass
from typing import Literal

WorkKind = Literal[
    "contraction",
    "convolution",
    "depthwise_convolution",
    "attention",
    "pointwise",
    "reduction",
    "normalization",
    "softmax",
    "gather",
    "scatter",
    "copy",
    "view",
    "optimizer",
    "random",
    "collective",
]
"""The kind of a kernel; `depthwise_convolution` is any grouped convolution too thin for a matrix unit."""

DType = Literal["f64", "f32", "tf32", "f16", "bf16", "f8", "i64", "i32", "i16", "i8", "i1"]
"""The type that arithmetic is done in."""

ExecutionMode = Literal["eager", "graph", "compiled"]
Limiter = Literal["compute", "memory", "link", "launch", "host", "none"]
LatencySource = Literal["measured", "interpolated", "fitted", "analytic", "spec"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelWork:
    """The work of one kernel, whatever device it runs on.

    Attributes:
        kind: What kind of kernel it is.
        dtype: The type that arithmetic is done in.
        contraction_flops: Operations of multiply-accumulate chains, which a matrix unit can take (1 MAC = 2).
        pointwise_flops: Additions, multiplications, comparisons and the like.
        transcendental_flops: Calls of exp, log, tanh, sqrt, division and the like, each counted once.
        bytes_read: Bytes read from memory.
        bytes_written: Bytes written to memory.
    """

    kind: WorkKind
    dtype: DType
    contraction_flops: int = 0
    pointwise_flops: int = 0
    transcendental_flops: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    @property
    def touched_bytes(self) -> int:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionContext:
    """How a program is run; a latency means nothing without it.

    Attributes:
        mode: Kernel by kernel from the host, as one CUDA graph, or by compiled code.
        tf32: Whether f32 contractions and convolutions may round their inputs to TF32.
        host_overhead: Whether the host's time to dispatch counts.
        threads: Threads of a CPU; None for as many as the device file has (its largest calibrated count).
        resident: Whether all that the program touches stays in the last cache from one run to the next.
        keep_memory: Whether malloc keeps what is freed, as where Steelyard runs a program: no page is new.
    """

    mode: ExecutionMode = "eager"
    tf32: bool = False
    host_overhead: bool = True
    threads: int | None = None
    resident: bool = False
    keep_memory: bool = False


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a kernel takes, how sure that is, what limits it and where the number comes from."""

    value_s: float
    low_s: float
    high_s: float
    limiter: Limiter
    source: LatencySource
