"""Roofline latency of one kernel on a device, with its interval."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType, ExecutionContext, KernelWork, WorkKind
from steelyard.hw.base.latency import Latency, LatencyEstimate, LatencySource, Limiter
from steelyard.hw.base.quantity import Quantity, Rate
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import (
    Unit,
    contraction_unit,
    pointwise_unit,
    rate_source,
    transcendental_unit,
)
from steelyard.hw.devices.typical_factors import (
    LAUNCH_OVERHEAD_S,
    MEMORY_FRACTION,
    SPREAD_ANALYTIC,
    SPREAD_CALIBRATED,
    dispatch_overhead_s,
)


@dataclass(frozen=True, slots=True)
class _Engine:
    """Rates for kernels of one kind and dtype; None for a unit that the device lacks.

    The efficiency of a kind was measured with the arithmetic of its lanes; pointwise kernels differ in that,
    so theirs is without.
    """

    contraction: Unit | None
    pointwise: Unit | None
    transcendental: Unit | None
    memory_efficiency: Callable[[float], float] | None
    includes_lanes: bool


def roofline_latency(device: Device, work: KernelWork, context: ExecutionContext) -> Latency:
    """Return the latency of one kernel, as `Roofline(device, context).latency(work)` does.

    Raises:
        DeviceError: The device lacks what the work needs, or the work is a collective.
    """
    return _roofline(device, context).latency(work)


class Roofline:
    """The roofline of one device in one context, with everything looked up that does not depend on the work.

    A kernel takes the longer of its arithmetic and its memory traffic, each at the rate that the device
    sustains, but never less than at its peaks, and a launch. The host's dispatch runs ahead of a GPU, so that
    it only shows where it is the longer; on a CPU it comes on top.

    Raises:
        DeviceError: The device was not calibrated with the threads that the context asks for, or its memory
            bandwidth is not known.
    """

    def __init__(self, device: Device, context: ExecutionContext) -> None:
        self._device = device
        self._tf32 = context.tf32
        self._sustained = sustained = device.sustained_with(context.threads)
        self._engines: dict[tuple[WorkKind, DType], _Engine] = {}

        streaming = sustained.memory_bandwidth_bytes_per_s
        self._bandwidth = _bandwidth(device, streaming)
        self._bandwidth_source: LatencySource = rate_source(streaming)
        peak = device.memory_bandwidth_bytes_per_s
        self._peak_bytes_per_s = peak.value if peak else inf
        # What the last cache may still hold need not come from memory.
        self._cache_bytes = device.l2_bytes.value if device.l2_bytes else 0.0
        fresh = sustained.fresh_page_bytes_per_s
        self._fresh_bandwidth = fresh.evaluator() if fresh and not context.keep_memory else None
        self._speedups = {
            kind: rate.evaluator() for kind, rate in sustained.resident_speedup.items() if context.resident
        }

        launch, dispatch = sustained.launch_overhead_s, sustained.dispatch_overhead_s
        self._launch_s = launch.value if launch else LAUNCH_OVERHEAD_S[device.kind]
        self._launch_source: LatencySource = rate_source(launch)
        host_s = dispatch_overhead_s(device, context.threads)
        self._host_source: LatencySource = rate_source(dispatch)
        self._host_adds = device.kind == "cpu"
        self._host_s = host_s if context.host_overhead and context.mode == "eager" else 0.0
        # Compiled code still dispatches some operations one by one; how many is not known here.
        self._host_doubt_s = host_s if context.host_overhead and context.mode == "compiled" else 0.0
        self._view = self._view_latency(sustained.view_overhead_s or dispatch)

    def latency(self, work: KernelWork) -> Latency:
        """Return how long one kernel takes.

        Raises:
            DeviceError: The device lacks what the work needs, or the work is a collective.
        """
        if work.kind == "view":
            return self._view
        engine = self._engine(work)
        compute_s, compute_floor_s, compute_source = self._compute(work, engine)
        memory_s, memory_floor_s = self._memory(work, engine)
        speedup = self._speedups.get(work.kind)
        factor = speedup(work.touched_bytes) if speedup else 1.0
        compute_s, memory_s = compute_s / factor, memory_s / factor
        floor_s = max(compute_floor_s, memory_floor_s)
        if floor_s > max(compute_s, memory_s):
            limiter = "compute" if compute_floor_s > memory_floor_s else "memory"
            return self._with_overheads(floor_s, floor_s, limiter, "spec")
        if compute_s > memory_s:
            return self._with_overheads(compute_s, floor_s, "compute", compute_source)
        return self._with_overheads(memory_s, floor_s, "memory", self._bandwidth_source)

    def _with_overheads(
        self, busy_s: float, floor_s: float, limiter: Limiter, source: LatencySource
    ) -> Latency:
        if self._launch_s > busy_s:
            limiter, source = "launch", self._launch_source
        device_s = busy_s + self._launch_s
        if self._host_s > device_s:
            limiter, source = "host", self._host_source
        if not device_s + self._host_s:
            limiter = "none"
        spread = SPREAD_ANALYTIC if source in ("analytic", "spec") else SPREAD_CALIBRATED
        if self._host_adds:
            value_s = device_s + self._host_s
            high_s = value_s * spread + self._host_doubt_s
        else:
            value_s = max(device_s, self._host_s)
            high_s = max(value_s * spread, self._host_doubt_s)
        return LatencyEstimate(value_s, max(value_s / spread, floor_s), high_s, limiter, source)

    def _compute(self, work: KernelWork, engine: _Engine) -> tuple[float, float, LatencySource]:
        """Return the time of the arithmetic, its physical floor, and the source of the larger part of it.

        The units of one kernel are taken to work one after the other; in the floor they overlap fully.
        """
        total_s = longest_s = floor_s = 0.0
        source: LatencySource = "analytic"
        for flops, unit in (
            (work.contraction_flops, engine.contraction),
            (work.pointwise_flops, engine.pointwise),
            (work.transcendental_flops, engine.transcendental),
        ):
            if not flops or (engine.includes_lanes and unit is not engine.contraction):
                continue
            if unit is None:
                raise self._no_unit(work)
            part_s = flops / unit.rate(flops)
            total_s += part_s
            floor_s = max(floor_s, flops / unit.peak_flops_per_s)
            if part_s > longest_s:
                longest_s, source = part_s, unit.source
        return total_s, floor_s, source

    def _memory(self, work: KernelWork, engine: _Engine) -> tuple[float, float]:
        """Return the time of the memory traffic and its physical floor."""
        touched_bytes = work.touched_bytes
        if not touched_bytes:
            return 0.0, 0.0
        efficiency = engine.memory_efficiency(touched_bytes) if engine.memory_efficiency else 1.0
        time_s = touched_bytes / (self._bandwidth(touched_bytes) * efficiency)
        return time_s, max(0.0, touched_bytes - self._cache_bytes) / self._peak_bytes_per_s

    def memory_s(self, work: KernelWork) -> float:
        """Return what the memory traffic of a kernel takes by itself."""
        return self._memory(work, self._engine(work))[0]

    @property
    def counts_page_faults(self) -> bool:
        """Whether page faults cost time: their rate is known, and malloc gives memory back."""
        return self._fresh_bandwidth is not None

    def page_faults_s(self, new_bytes: float) -> float:
        """Return what writing to new pages takes longer than writing to others."""
        if not self._fresh_bandwidth or not new_bytes:
            return 0.0
        other_s = new_bytes / self._bandwidth(new_bytes)
        return max(0.0, new_bytes / self._fresh_bandwidth(new_bytes) - other_s)

    def _engine(self, work: KernelWork) -> _Engine:
        key = work.kind, work.dtype
        if key not in self._engines:
            self._engines[key] = self._new_engine(*key)
        return self._engines[key]

    def _new_engine(self, kind: WorkKind, dtype: DType) -> _Engine:
        if kind == "collective":
            raise DeviceError(
                what="a collective has no roofline on one device",
                why="its time is that of the links between devices",
                fix="ask the model of collectives",
            )
        efficiency = self._sustained.memory_efficiency.get(kind)
        return _Engine(
            contraction=contraction_unit(self._device, self._sustained, kind, dtype, self._tf32),
            pointwise=pointwise_unit(self._device, self._sustained, dtype),
            transcendental=transcendental_unit(self._device, self._sustained, dtype),
            memory_efficiency=efficiency.evaluator() if efficiency else None,
            includes_lanes=efficiency is not None and kind != "pointwise",
        )

    def _view_latency(self, overhead: Quantity | None) -> Latency:
        """Return the latency of a view: the host's time alone, which hides behind the kernels of a GPU."""
        if not self._host_adds or not self._host_s:
            return LatencyEstimate(0.0, 0.0, self._host_s or self._host_doubt_s, "none", "analytic")
        value_s = overhead.value if overhead else self._host_s
        spread = SPREAD_CALIBRATED if rate_source(overhead) == "fitted" else SPREAD_ANALYTIC
        return LatencyEstimate(value_s, value_s / spread, value_s * spread, "host", rate_source(overhead))

    def _no_unit(self, work: KernelWork) -> DeviceError:
        known = {*self._device.matrix_peak_flops_per_s, *self._device.vector_peak_flops_per_s}
        return DeviceError(
            what=f"device {self._device.name!r} has no rate for {work.kind} in {work.dtype}",
            why=f"its file knows {', '.join(sorted(known)) or 'no type at all'}",
            fix=f"choose another dtype or device, or add the {work.dtype} peak to a copy of its file",
        )


@lru_cache(maxsize=64)
def _roofline(device: Device, context: ExecutionContext) -> Roofline:
    return Roofline(device, context)


def _bandwidth(device: Device, sustained: Rate | None) -> Callable[[float], float]:
    if sustained:
        return sustained.evaluator()
    if not device.memory_bandwidth_bytes_per_s:
        raise DeviceError(
            what=f"device {device.name!r} has no memory bandwidth",
            why="its file gives neither a peak nor a sustained one",
            fix="add memory_bandwidth_bytes_per_s to its file, or calibrate it",
        )
    typical_bytes_per_s = device.memory_bandwidth_bytes_per_s.value * MEMORY_FRACTION[device.memory_kind]
    return lambda _: typical_bytes_per_s
