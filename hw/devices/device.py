"""Devices: data-sheet figures and measured rates of one SKU."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, cast

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.instruction_set import InstructionSet
from steelyard.hw.base.kernel_work import DType, ExecutionMode
from steelyard.hw.base.quantity import Quantity, Rate
from steelyard.hw.devices.fitted_models import Fit
from steelyard.hw.devices.learned_models import Learned
from steelyard.hw.devices.measured_rates import MeasuredRates, PeakDType
from steelyard.hw.devices.thread_scaling import sustained_between

DeviceKind = Literal["gpu", "cpu", "tpu", "soc", "accelerator"]
MemoryKind = Literal["hbm", "gddr", "lpddr", "ddr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device SKU. Unknown figures are None or absent, never 0.

    A device is the unit that software schedules on: one die of a card with two, and every number is of one
    die.

    Attributes:
        name: The short name, as in `h100-sxm`.
        title: The full name.
        vendor: The vendor, in lower case.
        kind: Kind of device.
        architecture: The vendor's name of the architecture.
        compute_capability: NVIDIA's compute capability, such as "9.0".
        dies_per_card: Number of devices on one card.
        memory_kind: Kind of memory, which determines the fraction of its bandwidth that is reached.
        compute_units: SMs, CUs, Xe cores, TensorCores or CPU cores.
        lanes_per_unit: f32 lanes in each unit; every lane does one multiply-add a clock.
        simd_bits: Width of a CPU's vector registers.
        instruction_set: The vector extension of a CPU by which libraries choose kernels.
        base_clock_hz: Guaranteed clock.
        boost_clock_hz: The clock of the vector peaks.
        matrix_clock_hz: The clock of the matrix peaks, if different.
        matrix_peak_flops_per_s: Dense peaks of the matrix units, by type; with f32 accumulation.
        vector_peak_flops_per_s: Peaks of the vector lanes, by type.
        memory_capacity_bytes: Nominal size of its memory.
        memory_bandwidth_bytes_per_s: Peak (pin rate) bandwidth of its memory.
        l2_bytes: Size of the last cache before memory.
        tdp_w: Power limit of this device; of a card, its part.
        link_bandwidth_bytes_per_s: One-way rate to its peers.
        host_bandwidth_bytes_per_s: One-way rate to host memory; None if it shares the host's memory.
        price_usd_per_h: Rental price.
        sustained: Measured rates, at most one entry per number of threads.
        fitted: Fitted kernel models, by kind, dtype and context.
        learned: Learned regressors, by kind and dtype.

    Raises:
        ValueError: Two entries of `sustained` have the same number of threads, or a fit or regressor does not
            match its kind.
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
    instruction_set: InstructionSet | None = None
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
    sustained: tuple[MeasuredRates, ...] = ()
    fitted: Mapping[str, Mapping[DType, Mapping[ExecutionMode, Fit]]] = field(
        default_factory=dict[str, Mapping[DType, Mapping[ExecutionMode, Fit]]]
    )
    learned: Mapping[str, Mapping[DType, Learned]] = field(default_factory=dict[str, Mapping[DType, Learned]])

    def __post_init__(self) -> None:
        if len({entry.threads for entry in self.sustained}) < len(self.sustained):
            raise ValueError("sustained: every entry must be for another number of threads")

    def __hash__(self) -> int:
        # Cheap, since latencies are asked for by device tens of thousands of times; equality is exact.
        return hash(self.name)

    @property
    def is_cuda(self) -> bool:
        """Whether PyTorch runs CUDA's kernels on it."""
        return self.kind == "gpu" and self.vendor == "nvidia"

    def sustained_with(self, threads: int | None) -> MeasuredRates:
        """Return the measured rates for a number of threads.

        Between two calibrated numbers they are interpolated; see `hw/devices/thread_scaling.py`.

        Args:
            threads: The number of CPU threads; None for the largest calibrated one.

        Raises:
            DeviceError: The device was calibrated only with more or only with fewer threads.
        """
        if not self.sustained:
            return MeasuredRates(threads=threads)
        ordered = sorted(self.sustained, key=lambda entry: entry.threads or 0)
        if threads is None:
            return ordered[-1]
        for entry in ordered:
            if entry.threads in (threads, None):
                return entry
        above = bisect_right([entry.threads or 0 for entry in ordered], threads)
        if 0 < above < len(ordered):
            return sustained_between(ordered[above - 1], ordered[above], threads)
        known = ", ".join(str(entry.threads) for entry in ordered)
        raise DeviceError(
            what=f"device {self.name!r} was not calibrated with {threads} threads",
            why=f"it was with {known}",
            fix=f"choose one of these or between them, or calibrate it with {threads} threads",
        )

    def quantities(self) -> Iterator[tuple[str, Quantity | Rate]]:
        """Yield every number of the device with its dotted key, in the order of the fields."""
        yield from _quantities(self, "")


def _quantities(node: object, path: str) -> Iterator[tuple[str, Quantity | Rate]]:
    if isinstance(node, Quantity | Rate):
        yield path, node
        return
    children: dict[str, object] = {}
    if isinstance(node, Device | MeasuredRates):
        children = {each.name: getattr(node, each.name) for each in fields(node)}
    elif isinstance(node, Mapping):
        children = dict(cast("Mapping[str, object]", node))
    elif isinstance(node, tuple):
        children = {str(index): child for index, child in enumerate(cast("tuple[object, ...]", node))}
    for key, child in children.items():
        yield from _quantities(child, f"{path}.{key}" if path else key)
