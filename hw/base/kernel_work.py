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

_VECTOR_BYTES = 32
"""What rows of a product are best aligned to on a CPU: under MKL with AVX-512, 64 bytes are no faster."""

_CACHE_WAY_BYTES = 4096
"""Lines of the first cache that lie so far apart share their few places in it, on x86 and most others."""

_APART = {
    "aten.bmm": "batched",
    "aten.baddbmm": "batched",
    "aten.convolution_backward": "backward",
    "aten.convolution_backward strided": "backward strided",
}
"""Operations that share nothing but the rate of arithmetic with others of their kind."""

_THIN_FLOPS_PER_BYTE = 24.0
"""Of what is read, in f32: a product of fewer than 48 rows has less. With 32 rows on two CPUs that share no
cache, MKL reads a weight half as fast again as with 128."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How a tensor lies in memory.

    Attributes:
        pitch_bytes: From one row to the next, or from one filter to the next; 0 where it is not known.
        total_bytes: Of all rows.
    """

    pitch_bytes: int = 0
    total_bytes: int = 0


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
        rows: Those of its largest result; of a convolution's gradients, the filters of that of the weight.
        op: The name of the operation where it is one of a framework, as in "aten.tanh".
    """

    kind: WorkKind
    dtype: DType
    contraction_flops: int = 0
    pointwise_flops: int = 0
    transcendental_flops: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    rows: Rows = Rows()
    op: str = ""

    @property
    def touched_bytes(self) -> int:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written

    @property
    def group(self) -> str:
        """The kernels of a library that it shares overhead and operands with: those of its kind.

        Apart are batched products, whose operands are too small to be packed alike; products of few rows, for
        which packing does not pay; and the gradients of a convolution, since one operation then runs a kernel
        for each, with a stride one that reads and writes other layouts.
        """
        if self.op in _APART:
            return f"{self.kind} {_APART[self.op]}"
        is_thin = self.kind == "contraction" and (
            self.contraction_flops < _THIN_FLOPS_PER_BYTE * self.bytes_read
        )
        return f"{self.kind} thin" if is_thin else self.kind

    @property
    def awkward_bytes(self) -> int:
        """What is written to rows whose distance is a bad one on a CPU.

        That is a product's where they are not whole vectors, so that most begin inside of one; and a weight's
        gradient where filters lie whole ways of a cache apart, since a library writes 16 of them at a time.
        """
        pitch_bytes = self.rows.pitch_bytes
        awkward = (self.kind == "contraction" and pitch_bytes % _VECTOR_BYTES != 0) or (
            self.kind == "convolution" and pitch_bytes > 0 and pitch_bytes % _CACHE_WAY_BYTES == 0
        )
        return self.rows.total_bytes if awkward else 0


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
