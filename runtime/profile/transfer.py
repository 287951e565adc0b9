"""Transfer of a measured trace to another device by wave scaling, beside the models' predictions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from steelyard.hw.base.errors import UsageError
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.devices.device import Device
from steelyard.hw.devices.plausible_time import require_possible
from steelyard.hw.devices.registry import load_device
from steelyard.hw.kernels.common.kernel_queries import KernelBatch
from steelyard.hw.latency.kernel_latency import Kernel, KernelLatency
from steelyard.hw.latency.wave_scaling import MeasuredOp, Scaling, transfer
from steelyard.runtime.profile.op_trace import Trace, TracedOp, read_trace

_EAGER = ExecutionContext(mode="eager")


@dataclass(frozen=True, slots=True)
class TransferredOp:
    """An op of a trace on another device.

    Attributes:
        traced: The op with its measured time.
        scaled: Its time by wave scaling.
        predicted_s: Its time by the models, without the trace; None if its work is unknown.
    """

    traced: TracedOp
    scaled: Scaling
    predicted_s: float | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A trace on another device; times are in seconds.

    Attributes:
        trace: The trace.
        destination: Name of the other device.
        rows: Its ops.
    """

    trace: Trace
    destination: str
    rows: tuple[TransferredOp, ...]

    @property
    def measured_s(self) -> float:
        """Total time measured on the trace's device."""
        return sum(row.traced.count * row.traced.op.measured_s for row in self.rows)

    @property
    def scaled_s(self) -> float:
        """Total time by wave scaling."""
        return sum(row.traced.count * row.scaled.seconds for row in self.rows)

    @property
    def predicted_s(self) -> float | None:
        """Total time by the models; None if the work of an op is unknown."""
        known = [row.traced.count * row.predicted_s for row in self.rows if row.predicted_s is not None]
        return sum(known) if len(known) == len(self.rows) else None


def transfer_file(path: Path, origin: str, destination: str) -> Transfer:
    """Return the trace of a file on another device.

    Args:
        path: A trace written by `profile --format json`.
        origin: The device of the trace, by name or file.
        destination: The other device, by name or file.

    Raises:
        SteelyardError: The file is no trace or of another device; or a device is unknown or lacks a rate.
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
    for each in trace.ops:
        if each.op.work:
            flops = np.array([each.op.work.contraction_flops], dtype=np.float64)
            require_possible(source, np.array([each.op.measured_s]), flops)
    rows = [
        TransferredOp(each, transfer(each.op, source, target), predicted_s(each.op, each.dtype, target))
        for each in trace.ops
    ]
    return Transfer(trace, target.name, tuple(rows))


def predicted_s(op: MeasuredOp, dtype: DType, device: Device) -> float | None:
    """Return the models' prediction of an op in a running program, None if its work is unknown.

    Args:
        op: The op; its measured time is not used.
        dtype: The type that it calculates in.
        device: The device.

    Raises:
        DeviceError: The device lacks what the work needs.
    """
    if op.work is None:
        return None
    kernels: tuple[Kernel, ...] = ()
    if op.kind is not None:
        columns = {dim: np.array([size]) for dim, size in op.dims.items()}
        kernels = (Kernel(query=KernelBatch(op.kind, dtype, columns)),)
    return KernelLatency(device, _EAGER, measured=False).time(op.work, kernels).value_s
