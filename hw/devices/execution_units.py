"""Execution units: the unit of a device that runs a kernel's arithmetic, and its rate."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType, WorkKind
from steelyard.hw.base.latency import LatencySource
from steelyard.hw.base.quantity import Quantity, Rate
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.measured_rates import MeasuredRates, PeakDType, RateKind
from steelyard.hw.devices.typical_factors import TRANSCENDENTAL_FRACTION, VECTOR_FRACTION, matrix_fraction

FALLBACK: dict[DType, tuple[PeakDType, ...]] = {
    "f64": ("f64",),
    "f32": ("f32",),
    "tf32": ("tf32", "f32"),
    "f16": ("f16", "f32"),
    "bf16": ("bf16", "f32"),
    "f8": ("f8",),
    "i8": ("i8", "f32"),
    "i1": ("f32",),
    "i16": ("f32",),
    "i32": ("f32",),
    "i64": ("f32",),
}
"""The types that multiply-accumulate chains are done in; the first that the device knows is taken. Half
precision without a unit of its own is converted to f32; integers run beside the f32 lanes, at about their
rate."""

_RATE_KINDS: dict[WorkKind, tuple[RateKind, ...]] = {
    "convolution": ("convolution", "contraction"),
    "attention": ("attention", "contraction"),
}


_CLOCK_HZ = 1e9
"""Clock where none is known: any will do, since cycles are counted from the peak."""


def clock_hz(device: Device, *, matrix: bool = False) -> float:
    """Return the boost clock of a device, or the clock that its matrix units have their peak at."""
    clock = (device.matrix_clock_hz if matrix else None) or device.boost_clock_hz or device.base_clock_hz
    return clock.value if clock else _CLOCK_HZ


@dataclass(frozen=True, slots=True)
class ExecutionUnit:
    """Data-sheet peaks of the unit that does a device's multiply-accumulate chains in one type.

    Attributes:
        dtype: The type that they are done in.
        is_matrix: Whether it is a matrix unit, which also multiplies the empty rows of a tile.
        peak_flops_per_s: Peak of the whole device.
        clock_hz: The clock of that peak.
        count: SMs.
        memory_bytes_per_s: Peak (pin) bandwidth of memory.
        cache_bytes: Size of the last cache.
    """

    dtype: PeakDType
    is_matrix: bool
    peak_flops_per_s: float
    clock_hz: float
    count: float
    memory_bytes_per_s: float
    cache_bytes: float

    @staticmethod
    def of(device: Device, dtype: DType, *, tf32: bool = False, lanes: bool = False) -> "ExecutionUnit":
        """Return the unit for a type: matrix units before vector lanes, along the chain `FALLBACK`.

        Args:
            device: The device.
            dtype: The type of the operands; one without a unit of its own is converted to f32.
            tf32: Whether f32 operands may be rounded to TF32.
            lanes: Whether vector lanes alone will do.

        Raises:
            DeviceError: The device's file lacks a peak for the type, or the bandwidth of memory.
        """
        peaks = [device.vector_peak_flops_per_s]
        if not lanes:
            peaks.insert(0, device.matrix_peak_flops_per_s)
        chain = FALLBACK["tf32" if dtype == "f32" and tf32 else dtype]
        found: list[tuple[PeakDType, Quantity]] = [
            (each, peak[each]) for each in chain for peak in peaks if each in peak
        ]
        bandwidth = device.memory_bandwidth_bytes_per_s
        if not found or bandwidth is None:
            known = sorted({name for peak in peaks for name in peak})
            no_peak = f"a peak for {' or '.join(chain)} (it has {', '.join(known) or 'none'})"
            lacking = [
                *([] if found else [no_peak]),
                *([] if bandwidth else ["memory_bandwidth_bytes_per_s"]),
            ]
            raise DeviceError(
                what=f"kernels in {dtype} on {device.name!r} cannot be priced",
                why=f"its file lacks {' and '.join(lacking)}",
                fix="choose another type or device, or add what is missing from the data sheet",
            )
        unit_dtype, peak = found[0]
        is_matrix = not lanes and unit_dtype in device.matrix_peak_flops_per_s
        return ExecutionUnit(
            dtype=unit_dtype,
            is_matrix=is_matrix,
            peak_flops_per_s=peak.value,
            clock_hz=clock_hz(device, matrix=is_matrix),
            count=device.compute_units.value,
            memory_bytes_per_s=bandwidth.value,
            cache_bytes=device.l2_bytes.value if device.l2_bytes else 0.0,
        )


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that does arithmetic.

    Attributes:
        rate: FLOP/s that it sustains in a kernel with this many FLOPs.
        peak_flops_per_s: Upper bound of the rate; infinite if unknown.
        source: Source of the rate.
    """

    rate: Callable[[float], float]
    peak_flops_per_s: float
    source: LatencySource


def contraction_unit(
    device: Device, sustained: MeasuredRates, kind: WorkKind, dtype: DType, tf32: bool
) -> Unit | None:
    """Return the unit for the multiply-accumulate chains of a kernel, or None where the device has none.

    Matrix units come before vector lanes, along the chain of types in `FALLBACK`.
    """
    if kind == "depthwise_convolution":  # too thin for a matrix unit
        return _vector_unit(device, sustained, "depthwise_convolution", dtype)
    for each in FALLBACK["tf32" if dtype == "f32" and tf32 else dtype]:
        matrix = device.matrix_peak_flops_per_s.get(each)
        peak = matrix or device.vector_peak_flops_per_s.get(each)
        fraction = matrix_fraction(device, each) if matrix else VECTOR_FRACTION
        unit = _unit(device, sustained, _RATE_KINDS.get(kind, ("contraction",)), each, peak, fraction)
        if unit:
            return unit
    return None


def pointwise_unit(device: Device, sustained: MeasuredRates, dtype: DType) -> Unit | None:
    """Return the lanes for additions, multiplications and comparisons, or None where there are none."""
    return _vector_unit(device, sustained, "pointwise", dtype)


def transcendental_unit(device: Device, sustained: MeasuredRates, dtype: DType) -> Unit | None:
    """Return the unit for exp, log, tanh and the like, in calls per second, or None where there is none."""
    return _vector_unit(device, sustained, "transcendental", dtype, TRANSCENDENTAL_FRACTION)


def rate_source(number: Quantity | Rate | None) -> LatencySource:
    """Return the source of a latency that rests on this number; None stands for a default factor."""
    if number is None or number.kind != "measured":
        return "analytic"
    return "interpolated" if isinstance(number, Rate) and number.curve else "fitted"


def _vector_unit(
    device: Device, sustained: MeasuredRates, kind: RateKind, dtype: DType, results_per_flop: float = 1.0
) -> Unit | None:
    # Frameworks do the arithmetic of narrower types in f32.
    lane: PeakDType = "f64" if dtype == "f64" else "f32"
    peak = device.vector_peak_flops_per_s.get(lane)
    return _unit(device, sustained, (kind,), lane, peak, VECTOR_FRACTION * results_per_flop)


def _unit(
    device: Device,
    sustained: MeasuredRates,
    kinds: tuple[RateKind, ...],
    dtype: PeakDType,
    peak: Quantity | None,
    fraction: float,
) -> Unit | None:
    peak_flops_per_s = peak.value if peak else inf
    for kind in kinds:
        rate = sustained.flops_per_s.get(kind, {}).get(dtype)
        if rate:
            return Unit(rate.evaluator(), peak_flops_per_s, rate_source(rate))
    if not peak:
        return None
    if device.kind == "cpu" and sustained.threads:
        fraction *= min(1.0, sustained.threads / device.compute_units.value)
    typical_flops_per_s = peak_flops_per_s * fraction
    return Unit(lambda _: typical_flops_per_s, peak_flops_per_s, "analytic")
