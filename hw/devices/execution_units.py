"""Execution units: the unit of a device that runs a kernel's arithmetic, and its rate."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

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
