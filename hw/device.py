"""A device as software sees it: what its data sheet says, and what it reaches in practice."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, cast

from steelyard.hw.errors import DeviceError
from steelyard.hw.fitted import Fit, require_fits_of_kinds
from steelyard.hw.kernels.kinds import KernelKind
from steelyard.hw.learned import Learned, LearnedKind, require_features_of_kinds
from steelyard.hw.quantity import Quantity, Rate
from steelyard.hw.work import DType, ExecutionMode, WorkKind

DeviceKind = Literal["gpu", "cpu", "tpu", "soc", "accelerator"]
MemoryKind = Literal["hbm", "gddr", "lpddr", "ddr"]
PeakDType = Literal["f64", "f32", "tf32", "f16", "bf16", "f8", "i8"]
"""The types that a data sheet gives a peak for; i8 counts an integer operation as a FLOP."""

RateKind = Literal[
    "contraction", "convolution", "depthwise_convolution", "attention", "pointwise", "transcendental"
]
"""The kinds of arithmetic whose sustained rate can be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sustained:
    """What a device reaches in practice, for one number of threads where that matters; all of it optional.

    Attributes:
        threads: The CPU threads that this was measured with; None where threads do not matter.
        flops_per_s: Rates of arithmetic by kind and type; a curve runs over the FLOPs of one kernel.
        memory_bandwidth_bytes_per_s: Streaming rate, reads and writes together; a curve runs over the bytes
            that one kernel touches, so that its left end is the rate inside the caches.
        allocation_bandwidth_bytes_per_s: Rate of writing freshly allocated memory, page faults included; a
            curve runs over the bytes allocated. None where fresh memory costs no more than other memory.
        memory_efficiency: The part of the streaming rate that a kind of kernel reaches; a curve runs over
            the bytes that it touches.
        operand_bandwidth_bytes_per_s: Rate at which library kernels bring operands into the layout that they
            compute on, and results back, which comes on top of the arithmetic; by kind, or by the name of an
            operation where it is apart. A curve runs over the bytes that one kernel touches.
        op_bandwidth_bytes_per_s: Rate of one operation on f32 by its name ("aten.tanh"), its arithmetic
            included; a curve runs over the bytes that it touches.
        launch_overhead_s: Time that a kernel takes on the device besides its work.
        kernel_overhead_s: The same for library kernels, by kind or operation as their operands' bandwidth.
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
    allocation_bandwidth_bytes_per_s: Rate | None = None
    memory_efficiency: Mapping[WorkKind, Rate] = field(default_factory=dict[WorkKind, Rate])
    operand_bandwidth_bytes_per_s: Mapping[str, Rate] = field(default_factory=dict[str, Rate])
    op_bandwidth_bytes_per_s: Mapping[str, Rate] = field(default_factory=dict[str, Rate])
    launch_overhead_s: Quantity | None = None
    kernel_overhead_s: Mapping[str, Quantity] = field(default_factory=dict[str, Quantity])
    dispatch_overhead_s: Quantity | None = None
    call_overhead_s: Quantity | None = None
    view_overhead_s: Quantity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device SKU. What is not known is None or absent, never 0.

    A device is what software schedules on: of a card with two dies it is one die, and every number here is
    that of one die.

    Attributes:
        name: The short name, as in `h100-sxm`.
        title: The full name.
        vendor: Who sells it, in lower case.
        kind: What sort of device it is.
        architecture: The vendor's name of the architecture.
        compute_capability: NVIDIA's version of it, as in "9.0".
        dies_per_card: How many such devices one card holds.
        memory_kind: The sort of memory, which says how much of its bandwidth is reached.
        compute_units: SMs, CUs, Xe cores, TensorCores or CPU cores.
        lanes_per_unit: f32 lanes in each unit; every lane does one multiply-add a clock.
        simd_bits: Width of a CPU's vector registers.
        base_clock_hz: Guaranteed clock.
        boost_clock_hz: The clock of the vector peaks.
        matrix_clock_hz: The clock of the matrix peaks, where it is another.
        matrix_peak_flops_per_s: Dense peaks of the matrix units, by type; with f32 accumulation.
        vector_peak_flops_per_s: Peaks of the vector lanes, by type.
        memory_capacity_bytes: Nominal size of its memory.
        memory_bandwidth_bytes_per_s: Peak (pin rate) bandwidth of its memory.
        l2_bytes: Size of the last cache before memory.
        tdp_w: Power limit of this device; of a card, its part.
        link_bandwidth_bytes_per_s: One-way rate to its peers.
        host_bandwidth_bytes_per_s: One-way rate to the memory of its host; None where that is its own.
        price_usd_per_h: What renting one costs.
        sustained: What it reaches in practice, at most once per number of threads.
        fitted: What kernel models were fitted to on it, by kind, type and context.
        learned: What regressors were learned from kernels that were measured on it, by kind and type.

    Raises:
        ValueError: Two entries of `sustained` are for the same number of threads, or a fit or a
            regressor is of another kind than its place says.
    """

    name: str
    title: str
    vendor: str
    kind: DeviceKind
    architecture: str
    compute_capability: str | None = None
    dies_per_card: int = 1
    memory_kind: MemoryKind
    compute_units: Quantity
    lanes_per_unit: Quantity | None = None
    simd_bits: Quantity | None = None
    base_clock_hz: Quantity | None = None
    boost_clock_hz: Quantity | None = None
    matrix_clock_hz: Quantity | None = None
    matrix_peak_flops_per_s: Mapping[PeakDType, Quantity] = field(default_factory=dict[PeakDType, Quantity])
    vector_peak_flops_per_s: Mapping[PeakDType, Quantity] = field(default_factory=dict[PeakDType, Quantity])
    memory_capacity_bytes: Quantity
    memory_bandwidth_bytes_per_s: Quantity | None = None
    l2_bytes: Quantity | None = None
    tdp_w: Quantity | None = None
    link_bandwidth_bytes_per_s: Quantity | None = None
    host_bandwidth_bytes_per_s: Quantity | None = None
    price_usd_per_h: Quantity | None = None
    sustained: tuple[Sustained, ...] = ()
    fitted: Mapping[KernelKind, Mapping[DType, Mapping[ExecutionMode, Fit]]] = field(
        default_factory=dict[KernelKind, Mapping[DType, Mapping[ExecutionMode, Fit]]]
    )
    learned: Mapping[LearnedKind, Mapping[DType, Learned]] = field(
        default_factory=dict[LearnedKind, Mapping[DType, Learned]]
    )

    def __post_init__(self) -> None:
        if len({entry.threads for entry in self.sustained}) < len(self.sustained):
            raise ValueError("sustained: every entry must be for another number of threads")
        require_fits_of_kinds(self.fitted)
        require_features_of_kinds(self.learned)

    def __hash__(self) -> int:
        # Cheap, since latencies are asked for by device tens of thousands of times; equality is exact.
        return hash(self.name)

    def sustained_with(self, threads: int | None) -> Sustained:
        """Return what the device reaches with this many threads.

        Args:
            threads: The number of CPU threads; None for the largest number that is known.

        Raises:
            DeviceError: The device was calibrated, but with other numbers of threads.
        """
        if not self.sustained:
            return Sustained(threads=threads)
        if threads is None:
            return max(self.sustained, key=lambda entry: entry.threads or 0)
        for entry in self.sustained:
            if entry.threads in (threads, None):
                return entry
        known = ", ".join(str(entry.threads) for entry in self.sustained)
        raise DeviceError(
            what=f"device {self.name!r} was not calibrated with {threads} threads",
            why=f"it was with {known}",
            fix=f"choose one of these, or calibrate it with {threads} threads",
        )

    def quantities(self) -> Iterator[tuple[str, Quantity | Rate]]:
        """Yield every number of the device with its dotted key, in the order of the fields."""
        yield from _quantities(self, "")


def _quantities(node: object, path: str) -> Iterator[tuple[str, Quantity | Rate]]:
    if isinstance(node, Quantity | Rate):
        yield path, node
        return
    children: dict[str, object] = {}
    if isinstance(node, Device | Sustained):
        children = {each.name: getattr(node, each.name) for each in fields(node)}
    elif isinstance(node, Mapping):
        children = dict(cast("Mapping[str, object]", node))
    elif isinstance(node, tuple):
        children = {str(index): child for index, child in enumerate(cast("tuple[object, ...]", node))}
    for key, child in children.items():
        yield from _quantities(child, f"{path}.{key}" if path else key)
