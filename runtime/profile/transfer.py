"""`transfer`: a trace of one device, scaled to another, beside what our models say of the other."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.latency.gpu_kernel_latency import GpuKernelLatency
from steelyard.hw.latency.roofline import roofline_latency
from steelyard.hw.latency.wave_scaling import MeasuredOp, Scaling, transfer
from steelyard.runtime.profile.op_trace import Trace, TracedOp, read_trace

_EAGER = ExecutionContext(mode="eager")


@dataclass(frozen=True, slots=True)
class Row:
    """An op of a trace on another device.

    Attributes:
        traced: The op and what it took on its own device.
        scaled: What wave scaling makes of that.
        predicted_s: What our models say, without the trace; None where they do not know the work.
    """

    traced: TracedOp
    scaled: Scaling
    predicted_s: float | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A trace on another device; times are in seconds.

    Attributes:
        trace: The trace.
        destination: The name of the other device.
        rows: Its ops.
    """

    trace: Trace
    destination: str
    rows: tuple[Row, ...]

    @property
    def measured_s(self) -> float:
        """What all ops took on their own device."""
        return sum(row.traced.count * row.traced.op.measured_s for row in self.rows)

    @property
    def scaled_s(self) -> float:
        """What they take by wave scaling."""
        return sum(row.traced.count * row.scaled.seconds for row in self.rows)

    @property
    def predicted_s(self) -> float | None:
        """What they take by our models; None where those do not know one of them."""
        known = [row.traced.count * row.predicted_s for row in self.rows if row.predicted_s is not None]
        return sum(known) if len(known) == len(self.rows) else None


def transfer_file(path: Path, origin: str, destination: str) -> Transfer:
    """Return the trace of a file on another device.

    Args:
        path: What `profile --format json` wrote.
        origin: The device of the trace, by name or file.
        destination: The other device, by name or file.

    Raises:
        SteelyardError: The file is no trace, or of another device; a device is unknown or lacks a rate.
    """
    source, target = load_device(origin), load_device(destination)
    trace = read_trace(path)
    if trace.device != source.name:
        raise UsageError(
            what="the trace is of another device",
            where=str(path),
            why=f"it was measured on {trace.device!r}, --from is {source.name!r}",
            fix=f"say --from {trace.device}",
        )
    rows = [
        Row(each, transfer(each.op, source, target), predicted_s(each.op, each.dtype, target))
        for each in trace.ops
    ]
    return Transfer(trace, target.name, tuple(rows))


def predicted_s(op: MeasuredOp, dtype: DType, device: Device) -> float | None:
    """Return what our models say of an op in a running program, None where its work is not known.

    Args:
        op: The op; what it took is not looked at.
        dtype: The type that it calculates in.
        device: The device.

    Raises:
        DeviceError: The device lacks what the work needs.
    """
    clock = GpuKernelLatency(device, _EAGER, measured=False) if GpuKernelLatency.knows(device) else None
    if clock and op.kind is not None and clock.has_model(op.kind, dtype):
        columns = {dim: np.array([size]) for dim, size in op.dims.items()}
        return clock.time(KernelBatch(op.kind, dtype, columns)).value_s
    if op.work is None:
        return None
    if clock and not op.work.contraction_flops:
        return clock.stream(op.work).value_s
    return roofline_latency(device, op.work, _EAGER).value_s
