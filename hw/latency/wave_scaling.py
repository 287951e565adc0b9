"""Wave scaling: what an op takes on one device, from what it was measured to take on another."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal

import numpy as np

from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType, ExecutionContext, KernelWork
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.execution_units import contraction_unit, pointwise_unit
from steelyard.hw.devices.typical_factors import DISPATCH_OVERHEAD_S, MEMORY_FRACTION
from steelyard.hw.kernels.common.dispatch import call_coefficients
from steelyard.hw.kernels.common.kernel_queries import KernelBatch, KernelKind
from steelyard.hw.kernels.common.launch_grid import Grid, blocks_per_wave, thread_blocks
from steelyard.hw.kernels.common.memory_system import MemorySystem, memory_coefficients
from steelyard.hw.kernels.common.power import sustained_fraction
from steelyard.hw.latency.analytic_rung import MODELLED
from steelyard.hw.latency.ladder import Ladder

KERNEL_VARYING: tuple[KernelKind, ...] = ("gemm", "bmm", "conv2d")
"""Kinds for which a library has other kernels on other devices."""


@dataclass(frozen=True, slots=True)
class MeasuredOp:
    """One op of a trace.

    Attributes:
        work: Its work; None where that is not known.
        kind: The kind of kernel that it is; None where no model knows it.
        dims: The dims of that kind.
        measured_s: What it took on the device of the trace.
    """

    work: KernelWork | None
    kind: KernelKind | None
    dims: Mapping[str, int | str]
    measured_s: float


@dataclass(frozen=True, slots=True)
class Scaling:
    """Wave scaling of an op from one device to another.

    Attributes:
        seconds: What it takes on the destination.
        method: `waves`; `models` where the devices run different kernels for the op; `copied` where all of it
            is overhead.
        memory_exponent: Habitat's gamma: 1 where memory alone decides, 0 where arithmetic does; None where
            waves were not scaled.
    """

    seconds: float
    method: Literal["waves", "models", "copied"]
    memory_exponent: float | None = None


def transfer(op: MeasuredOp, origin: Device, destination: Device, overhead_s: float | None = None) -> Scaling:
    """Return what an op takes on another device, by the wave scaling of Habitat.

    With g the memory exponent, B the thread blocks and W those of a wave:

        large  T_d = T_o (D_o / D_d)^g (C_o / C_d)^(1-g)
        small  T_d = T_o (D_o / D_d)^g (c_o / c_d ceil(B / W_d) / ceil(B / W_o))^(1-g)

    (Yu et al., Habitat, USENIX ATC 2021, equations 1 and 2, as in habitat/analysis/wave_scaling of 5f01e52.)
    D is the bandwidth that is sustained. Habitat has the clock for c and clock times SMs for C; ours are the
    FLOP/s of an SM and of the device, which also tell apart SMs of 64 and 128 lanes, matrix units, and a
    clock that the power limit holds down. A grid is small where it is less than a wave on both devices. A CPU
    has no waves. The overhead of the call is not scaled.

    Libraries have other kernels for products and convolutions on each device, so that waves say little. As in
    Habitat (section 3.4) these are T_d = T_o M_d / M_o with a model M of both devices, there a neural
    network, here the kernel models.

    Args:
        op: The op as it was measured.
        origin: Where that was.
        destination: Where it is to go.
        overhead_s: The part of the measured time that is the host's or the launch's; that of an op in a
            stream of ops where it is None.

    Raises:
        DeviceError: One of the devices lacks a rate that the work needs.
    """
    fixed_s = _overhead_s(origin) if overhead_s is None else overhead_s
    busy_s = op.measured_s - fixed_s
    work = op.work
    if busy_s <= 0:
        return Scaling(op.measured_s, "copied")
    dtype = work.dtype if work else None
    if op.kind in KERNEL_VARYING and dtype and {origin.kind, destination.kind} <= {*MODELLED}:
        ratio = _modelled_s(op, dtype, destination) / _modelled_s(op, dtype, origin)
        return Scaling(fixed_s + busy_s * ratio, "models")
    bandwidth_ratio = _bytes_per_s(origin, work) / _bytes_per_s(destination, work)
    exponent = 1.0 if work is None else memory_exponent(work, destination)
    compute_ratio = 1.0
    if work is not None and exponent < 1:
        compute_ratio = _compute_ratio(work, thread_blocks(work, op.kind, op.dims), origin, destination)
    scaled_s = busy_s * bandwidth_ratio**exponent * compute_ratio ** (1 - exponent)
    return Scaling(fixed_s + scaled_s, "waves", exponent)


def memory_exponent(work: KernelWork, destination: Device) -> float:
    """Return Habitat's gamma (equation 3): 1 - x / 2R for x <= R, else R / 2x.

    x is the work's FLOPs over its bytes, R those of the destination: FLOP/s over bytes/s.

    Raises:
        DeviceError: The destination lacks a rate that the work needs.
    """
    flops, moved_bytes = _flops(work), work.bytes_read + work.bytes_written
    if not moved_bytes:
        return 0.0
    if not flops:
        return 1.0
    balance = _flops_per_s(destination, work) / _bytes_per_s(destination, work)
    intensity = flops / moved_bytes
    return 1 - 0.5 * intensity / balance if intensity <= balance else 0.5 * balance / intensity


def _modelled_s(op: MeasuredOp, dtype: DType, device: Device) -> float:
    assert op.kind is not None
    columns = {dim: np.array([size]) for dim, size in op.dims.items()}
    ladder = Ladder(device, ExecutionContext(host_overhead=False), measured=False)
    return float(ladder.price(KernelBatch(op.kind, dtype, columns)).value_s[0])


def _compute_ratio(work: KernelWork, grid: Grid, origin: Device, destination: Device) -> float:
    """Return the time of the arithmetic on the destination over that on the origin."""
    whole = _flops_per_s(origin, work) / _flops_per_s(destination, work)
    if not {origin.kind, destination.kind} <= {*MODELLED}:
        return whole
    waves = [grid.blocks / blocks_per_wave(device, grid) for device in (origin, destination)]
    if max(waves) >= 1:
        return whole
    one_unit = whole * destination.compute_units.value / origin.compute_units.value
    return one_unit * ceil(waves[1]) / ceil(waves[0])


def _flops(work: KernelWork) -> int:
    return work.contraction_flops + work.pointwise_flops + work.transcendental_flops


def _flops_per_s(device: Device, work: KernelWork) -> float:
    sustained = device.sustained_with(None)
    if work.contraction_flops:
        unit = contraction_unit(device, sustained, work.kind, work.dtype, tf32=False)
    else:
        unit = pointwise_unit(device, sustained, work.dtype)
    if unit is None:
        raise DeviceError(
            what=f"device {device.name!r} has no rate for {work.kind} in {work.dtype}",
            fix="choose another destination, or add the peak to a copy of its file",
        )
    if device.kind not in MODELLED:
        return unit.rate(_flops(work))
    matrix = bool(work.contraction_flops) and work.dtype in device.matrix_peak_flops_per_s
    dtype = work.dtype if work.dtype in ("f64", "tf32", "f16", "bf16", "f8", "i8") and matrix else "f32"
    return unit.peak_flops_per_s * sustained_fraction(device, dtype, "matrix" if matrix else "vector")


def _bytes_per_s(device: Device, work: KernelWork | None) -> float:
    if device.kind in MODELLED:
        return MemorySystem.of(device, memory_coefficients(device)).bytes_per_s
    sustained = device.sustained_with(None).memory_bandwidth_bytes_per_s
    if sustained:
        return sustained.at(work.bytes_read + work.bytes_written or 1 if work else 1)
    if device.memory_bandwidth_bytes_per_s is None:
        raise DeviceError(
            what=f"device {device.name!r} has no memory bandwidth",
            fix="add memory_bandwidth_bytes_per_s to its file, or calibrate it",
        )
    return device.memory_bandwidth_bytes_per_s.value * MEMORY_FRACTION[device.memory_kind]


def _overhead_s(device: Device) -> float:
    """Return the part of an op in a stream of ops that does not depend on its size."""
    if device.kind in MODELLED:
        return call_coefficients(device)["launch_s"]
    known = device.sustained_with(None).dispatch_overhead_s
    return known.value if known else DISPATCH_OVERHEAD_S[device.kind]
