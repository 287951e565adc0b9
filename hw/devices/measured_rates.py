"""Measured rates: throughput that a device sustains in practice, beside its data sheet's peaks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from steelyard.hw.base.kernel_work import WorkKind
from steelyard.hw.base.quantity import Quantity, Rate

PeakDType = Literal["f64", "f32", "tf32", "f16", "bf16", "f8", "i8"]
"""The types that a data sheet gives a peak for; i8 counts an integer operation as a FLOP."""

RateKind = Literal[
    "contraction", "convolution", "depthwise_convolution", "attention", "pointwise", "transcendental"
]
"""The kinds of arithmetic with a sustained rate of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRates:
    """Sustained rates and overheads of a device, for one number of threads on a CPU; all optional.

    Attributes:
        threads: The CPU threads that this was measured with; None where threads do not matter.
        flops_per_s: Rates of arithmetic by kind and type; a curve runs over the FLOPs of one kernel.
        memory_bandwidth_bytes_per_s: Streaming rate, reads and writes together; a curve runs over the bytes
            that one kernel touches, so that its left end is the rate inside the caches.
        fresh_page_bytes_per_s: Rate of writing pages that the operating system has to supply first; None
            where they cost no more than others.
        memory_efficiency: The part of the streaming rate that a kind of kernel reaches, its arithmetic
            included unless it is pointwise; a curve runs over the bytes that it touches.
        resident_speedup: How many times faster a kind of kernel is where the caches hold all that it touches
            than after much else ran; a curve runs over the bytes that it touches.
        references_per_s: How many times the reference kernel of a kind ran in a second; how often it does
            later tells how far the machine has drifted.
        launch_overhead_s: Time that a kernel takes on the device besides its work.
        dispatch_overhead_s: Time that the host takes for one eager operation among many.
        call_overhead_s: Time of one eager call by itself, from its start to the end of a kernel that does
            nothing, as it is measured around a single call.
        view_overhead_s: The same for a view; None where it is not known apart.
    """

    threads: int | None = None
    flops_per_s: Mapping[RateKind, Mapping[PeakDType, Rate]] = field(
        default_factory=dict[RateKind, Mapping[PeakDType, Rate]]
    )
    memory_bandwidth_bytes_per_s: Rate | None = None
    fresh_page_bytes_per_s: Rate | None = None
    memory_efficiency: Mapping[WorkKind, Rate] = field(default_factory=dict[WorkKind, Rate])
    resident_speedup: Mapping[WorkKind, Rate] = field(default_factory=dict[WorkKind, Rate])
    references_per_s: Mapping[WorkKind, Rate] = field(default_factory=dict[WorkKind, Rate])
    launch_overhead_s: Quantity | None = None
    dispatch_overhead_s: Quantity | None = None
    call_overhead_s: Quantity | None = None
    view_overhead_s: Quantity | None = None
