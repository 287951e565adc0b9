"""Kernel work and execution context: the input of every latency model."""

from dataclasses import dataclass
from typing import Literal

from steelyard.hw.base.kernel_cost import KernelCost

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


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelWork(KernelCost[int]):
    """Cost of one kernel, with what decides the rates at which a device does it.

    Attributes:
        kind: The kind of kernel.
        dtype: The type that arithmetic is done in.
    """

    kind: WorkKind
    dtype: DType


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionContext:
    """Execution context of a program, without which a latency is undefined.

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
