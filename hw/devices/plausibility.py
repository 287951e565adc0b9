"""Plausibility of a device's figures: errors of units and slips of a thousand, with the likely unit."""

from collections.abc import Iterator, Mapping
from math import inf

from steelyard.hw.base.quantity import Quantity, Rate
from steelyard.hw.devices.device import Device, MemoryKind
from steelyard.hw.devices.execution_units import clock_hz
from steelyard.hw.devices.measured_rates import MeasuredRates, PeakDType

Range = tuple[float, float]
Units = Mapping[str, float]

_CLOCK: Units = {"GHz": 1e9, "MHz": 1e6, "kHz": 1e3}
_SIZE: Units = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10}
_RATE: Units = {"TB/s": 1e12, "GB/s": 1e9, "MB/s": 1e6}
_FLOPS: Units = {"TFLOP/s": 1e12, "GFLOP/s": 1e9, "PFLOP/s": 1e15}
_TIME: Units = {"us": 1e-6, "ns": 1e-9, "ms": 1e-3}
_POWER: Units = {"kW": 1e3, "mW": 1e-3}
_PRICE: Units = {"cents": 1e-2}

_BANDWIDTH: Mapping[MemoryKind, Range] = {
    "hbm": (1e11, 4e13),
    "gddr": (3e10, 5e12),
    "lpddr": (5e9, 3e12),
    "ddr": (3e9, 3e12),
}
"""Pin bandwidth of one device, from the first products of a kind of memory to some times the largest."""

_GIB = 2**30
_CAPACITY: Mapping[bool, Range] = {True: (_GIB // 4, 64 * 1024 * _GIB), False: (_GIB // 4, 2 * 1024 * _GIB)}
"""By whether it is a CPU."""

_LANE_FLOPS: Mapping[PeakDType, Range] = {
    "f64": (0.01, 4.5),
    "f32": (0.9, 4.5),
    "f16": (0.9, 9),
    "bf16": (0.9, 9),
}
"""FLOPs of a vector lane in a clock: a multiply-add, twice that with dual issue, and packed halves."""

_UNIT_FLOPS: Range = (32, 300_000)
"""FLOPs of one unit's matrix unit in a clock: a P4's DP4A below, the four 128 x 128 arrays of a TPU above."""

_DENSE_SM_FLOPS: Mapping[str, float] = {
    "7.0": 1024,
    "7.5": 1024,
    "8.0": 2048,
    "8.6": 1024,
    "8.9": 1024,
    "9.0": 4096,
    "10.0": 8192,
    "12.0": 1024,
}
"""FLOPs of dense f16 products in a clock of one SM, by compute capability: NVIDIA's white papers of Volta to
Blackwell. With structured sparsity twice this is printed."""

_OF_F16: Mapping[PeakDType, float] = {"f64": 0.07, "tf32": 0.5, "f16": 1, "bf16": 1, "f8": 2, "i8": 2}


def find_implausible(device: Device) -> Iterator[str]:
    """Yield what cannot be right in a device's figures: the key, the figure, the range, and the likely unit.

    Args:
        device: Its values are positive, but may be in any unit.
    """
    is_cpu = device.kind == "cpu"
    ranges: Mapping[str, tuple[Range, Units]] = {
        "base_clock_hz": ((1e8, 1e10), _CLOCK),
        "boost_clock_hz": ((1e8, 1e10), _CLOCK),
        "matrix_clock_hz": ((1e8, 1e10), _CLOCK),
        "memory_capacity_bytes": (_CAPACITY[is_cpu], _SIZE),
        "memory_bandwidth_bytes_per_s": (_BANDWIDTH[device.memory_kind], _RATE),
        "l2_bytes": ((2**10, 4 * _GIB), _SIZE),
        "tdp_w": ((2, 5000), _POWER),
        "link_bandwidth_bytes_per_s": ((1e8 if is_cpu else 3e9, 2e13), _RATE),
        "host_bandwidth_bytes_per_s": ((5e8, 2e12), _RATE),
        "price_usd_per_h": ((0.005, 500), _PRICE),
    }
    for key, (allowed, units) in ranges.items():
        given: Quantity | None = getattr(device, key)
        if given is not None:
            yield from _outside(key, given.value, allowed, units)
    yield from _counts(device)
    yield from _clocks(device)
    yield from _peaks(device)
    for index, rates in enumerate(device.sustained):
        yield from _sustained(f"sustained.{index}", device, rates)


def _counts(device: Device) -> Iterator[str]:
    for key in ("compute_units", "lanes_per_unit", "simd_bits"):
        given: Quantity | None = getattr(device, key)
        if given is not None and given.value != int(given.value):
            yield f"{key}: {given.value:g} is not a whole number"


def _clocks(device: Device) -> Iterator[str]:
    base, boost = device.base_clock_hz, device.boost_clock_hz
    if base and boost and base.value > boost.value:
        yield f"base_clock_hz: {base.value:g} is above the boost clock, {boost.value:g}"


def _peaks(device: Device) -> Iterator[str]:
    units = device.compute_units.value
    lanes = device.lanes_per_unit.value if device.lanes_per_unit else None
    has_clock = device.boost_clock_hz or device.base_clock_hz
    for dtype, peak in device.vector_peak_flops_per_s.items():
        per_clock = units * (lanes or 1) * clock_hz(device)
        low, high = _LANE_FLOPS.get(dtype, (0.01, 18)) if lanes else (0.01, 10_000)
        allowed = (low * per_clock, high * per_clock) if has_clock else (1e9, 1e17)
        yield from _outside(f"vector_peak_flops_per_s.{dtype}", peak.value, allowed, _FLOPS)
    for dtype, peak in device.matrix_peak_flops_per_s.items():
        per_clock = units * clock_hz(device, matrix=True)
        allowed = (_UNIT_FLOPS[0] * per_clock, _UNIT_FLOPS[1] * per_clock) if has_clock else (1e11, 1e17)
        key = f"matrix_peak_flops_per_s.{dtype}"
        wrong = list(_outside(key, peak.value, allowed, _FLOPS))
        yield from wrong
        dense = (
            _DENSE_SM_FLOPS.get(device.compute_capability or "", inf) * _OF_F16.get(dtype, inf) * per_clock
        )
        if not wrong and has_clock and peak.value > 1.25 * dense:
            yield (
                f"{key}: {peak.value:g} is above the dense peak of its SMs, {dense:.4g}; "
                f"it looks like the peak with sparsity: write {peak.value / 2:g}"
            )


def _sustained(path: str, device: Device, rates: MeasuredRates) -> Iterator[str]:
    for kind, by_dtype in rates.flops_per_s.items():
        for dtype, rate in by_dtype.items():
            peaks = device.matrix_peak_flops_per_s.get(dtype), device.vector_peak_flops_per_s.get(dtype)
            best = max((peak.value for peak in peaks if peak), default=None)
            is_product = kind in ("contraction", "convolution", "attention")
            allowed = (2e-3 * best, 3 * best) if best and is_product else (1e6, 1e17)
            yield from _outside(f"{path}.flops_per_s.{kind}.{dtype}", _top(rate), allowed, _FLOPS)
    pins = device.memory_bandwidth_bytes_per_s
    for key, least in (("memory_bandwidth_bytes_per_s", 0.01), ("fresh_page_bytes_per_s", 1e-8)):
        rate: Rate | None = getattr(rates, key)
        if rate is not None:
            allowed = (least * pins.value, 3 * pins.value) if pins else (least * 1e10, 4e13)
            last = rate.curve[-1][1] if rate.curve else rate.value or 0.0
            yield from _outside(f"{path}.{key}", last, allowed, _RATE)
    for key in ("launch_overhead_s", "dispatch_overhead_s", "call_overhead_s", "view_overhead_s"):
        time: Quantity | None = getattr(rates, key)
        if time is not None:
            yield from _outside(f"{path}.{key}", time.value, (1e-9, 2e-3), _TIME)


def _top(rate: Rate) -> float:
    return max(point[1] for point in rate.curve) if rate.curve else rate.value or 0.0


def _outside(key: str, value: float, allowed: Range, units: Units) -> Iterator[str]:
    low, high = allowed
    if low <= value <= high:
        return
    fault = f"{key}: {value:g} is outside of {low:.3g} to {high:.3g}"
    for name, factor in units.items():
        if low <= value * factor <= high:
            yield f"{fault}; it looks like {name}: write {value * factor:g}"
            return
    for factor, name in ((1e3, "a thousand times too small"), (1e-3, "a thousand times too large")):
        if low <= value * factor <= high:
            yield f"{fault}; it looks {name}: write {value * factor:g}"
            return
    yield fault
