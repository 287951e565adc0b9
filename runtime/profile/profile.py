"""Profiling of a program's distinct ops on this machine, into the local profile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, floor
from pathlib import Path
from statistics import median

import torch
from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.kernel_ops import kernels
from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.analysis.op_signature import op_signature
from steelyard.compiler.dialects.cost import WORK, LatencyAttr, WorkAttr, WorkCounts
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.hw.base.errors import DeviceError
from steelyard.hw.base.kernel_work import DType, ExecutionContext
from steelyard.hw.base.progress import Progress
from steelyard.hw.base.spread import COVERAGE
from steelyard.hw.devices.device import Device
from steelyard.hw.latency.profile_store import Measurement, ProfileStore
from steelyard.passes.op_cost.kernel_query import kernel_queries
from steelyard.passes.op_cost.op_latency import LatencyModel, work_dtype
from steelyard.runtime.timing.isolated_op import Timer, time_on_cpu, time_on_cuda
from steelyard.runtime.timing.microbench import threads_set_to
from steelyard.runtime.timing.random_operands import make_runnable

REPEATS = 19
"""Calls of an op: the fastest and slowest of n calls bound (n - 1) / (n + 1), here 90%, of further calls."""

ROUNDS = 3
"""Rounds of measurement of each op, so that a disturbance of seconds spoils only one of them."""

_CONTEXT = "eager"


@dataclass(frozen=True, slots=True)
class DistinctOp:
    """A class of equal ops of a program.

    Attributes:
        op: The first of them.
        signature: Their common signature.
        dtype: The dtype they compute in.
        kind: The kind of kernel, "" if there is no model or several kernels do the work.
        dims: The dims of that kind as text.
        count: Executions per run of the program.
        work: Work of one op, None if unknown.
        predicted_s: Predicted time of one op, None if its work is unknown.
    """

    op: TorchOp
    signature: str
    dtype: DType
    kind: str
    dims: str
    count: int
    work: WorkCounts | None
    predicted_s: float | None


@dataclass(frozen=True, slots=True)
class Profiling:
    """Result of profiling a program.

    Attributes:
        ops: Its distinct ops in the order in which they first run.
        measured: Measurements by signature and dtype, earlier ones included.
        failed: The reason why an op could not be run alone, by signature.
        threads: Number of CPU threads; 0 on a GPU.
        new: Number of ops measured in this run.
        store: The file that keeps the measurements.
    """

    ops: tuple[DistinctOp, ...]
    measured: Mapping[tuple[str, str], Measurement]
    failed: Mapping[str, str]
    threads: int
    new: int
    store: Path


def profile(
    module: ModuleOp,
    device: Device,
    store: ProfileStore,
    repeats: int = REPEATS,
    progress: Progress | None = None,
    timer: Timer | None = None,
) -> Profiling:
    """Measure every distinct op of a program that the store lacks for this torch version.

    Views are left out, since they run no kernel. Each op gets fresh random operands, and writes to copies.
    Ops are measured in interleaved rounds and stored one by one, so that an interruption loses nothing.

    Args:
        module: A program with `cost.work` on its ops.
        device: This machine's device.
        store: The store of measurements.
        repeats: Timed calls of each op.
        progress: Called before each measurement.
        timer: Times an op; that of the device by default.

    Raises:
        DeviceError: The device is not in this machine, or the store cannot be used.
    """
    place, own_timer = _place(device)
    store.require_writable()
    threads = 0 if place == "cuda" else _threads(device)
    ops = distinct_ops(module, device, threads)
    known = {
        (each.signature, each.dtype): each
        for each in store.of(device.name, _CONTEXT)
        if each.threads == threads and each.torch_version == torch.__version__
    }
    missing = [each for each in ops if (each.signature, each.dtype) not in known]
    failed: dict[str, str] = {}
    reader = OpInfoCache()
    turns = [(number, index) for number in range(ROUNDS) for index in range(len(missing))]
    times_s: list[list[float]] = [[] for _ in missing]
    with threads_set_to(threads or torch.get_num_threads()):
        for done, (number, index) in enumerate(turns):
            each = missing[index]
            calls = repeats * (number + 1) // ROUNDS - repeats * number // ROUNDS
            if not calls or each.signature in failed:
                continue
            if progress:
                progress(done, len(turns), operator_name(each.op))
            try:
                times_s[index] += (timer or own_timer)(make_runnable(each.op, reader, place), calls)
            except (RuntimeError, IndexError, TypeError, ValueError) as error:  # torch's own, of any op
                if not times_s[index]:
                    failed[each.signature] = str(error).partition("\n")[0]
                continue
            found = _measurement(each, device.name, threads, times_s[index])
            store.add([found])
            known[each.signature, each.dtype] = found
    if progress and missing:
        progress(len(turns), len(turns), "done")
    return Profiling(ops, known, failed, threads, len(missing) - len(failed), store.path)


def distinct_ops(module: ModuleOp, device: Device, threads: int) -> tuple[DistinctOp, ...]:
    """Return the classes of equal ops of a program, without views and collectives.

    Args:
        module: A program with `cost.work` on its ops.
        device: The device of the predictions.
        threads: CPU threads; 0 on other devices.
    """
    clock = LatencyModel(device, ExecutionContext(mode=_CONTEXT, threads=threads or None), measured=False)
    graph, reader = call_graph(module), OpInfoCache()
    counts: dict[tuple[str, str], int] = {}
    first: dict[tuple[str, str], tuple[TorchOp, WorkCounts | None]] = {}
    for name, function in graph.functions.items():
        for op in kernels(function):
            work = op.attributes.get(WORK)
            counted = work.data if isinstance(work, WorkAttr) else None
            if not isinstance(op, TorchOp) or (counted and counted.kind in ("view", "collective")):
                continue
            key = op_signature(op, reader), work_dtype(counted) if counted else ""
            counts[key] = counts.get(key, 0) + graph.times[name]
            first.setdefault(key, (op, counted))
    return tuple(_distinct(key, *first[key], counts[key], clock, reader) for key in first)


def _distinct(
    key: tuple[str, str],
    op: TorchOp,
    work: WorkCounts | None,
    count: int,
    clock: LatencyModel,
    reader: OpInfoCache,
) -> DistinctOp:
    facts = reader.read(op)
    queries = kernel_queries(facts.work) if facts.work else ()
    only = queries[0] if len(queries) == 1 and not queries[0].backward else None
    dims = " ".join(f"{name}={size}" for name, size in only.dims) if only else ""
    latency = clock.time(op)
    predicted_s = latency.data.value_us * 1e-6 if isinstance(latency, LatencyAttr) else None
    return DistinctOp(op, *key, only.kind if only else "", dims, count, work, predicted_s)  # pyright: ignore


def _measurement(op: DistinctOp, device: str, threads: int, times_s: Sequence[float]) -> Measurement:
    ordered, count = sorted(times_s), len(times_s)
    left_out = round((count + 1) * (1 - COVERAGE) / 2, 6)  # 0.1 has no exact binary form
    low = max(1, floor(left_out))
    high = min(count, ceil(count + 1 - left_out))
    return Measurement(
        device=device,
        context=_CONTEXT,
        threads=threads,
        op=operator_name(op.op),
        signature=op.signature,
        dtype=op.dtype,
        kind=op.kind,
        dims=op.dims,
        median_s=median(ordered),
        min_s=ordered[0],
        low_s=ordered[low - 1],
        high_s=ordered[high - 1],
        repeats=count,
        measured_on=date.today().isoformat(),
        torch_version=torch.__version__,
    )


def _place(device: Device) -> tuple[str, Timer]:
    """Return torch's name of a device of this machine, and its timer.

    Raises:
        DeviceError: The machine has no such device.
    """
    if device.kind == "cpu":
        return "cpu", time_on_cpu
    if not torch.cuda.is_available():
        raise DeviceError(
            what=f"{device.name} cannot be profiled on this machine",
            why=f"it is a {device.kind}, and torch finds no CUDA device here",
            fix="name this machine's CPU, such as --device cpu or the file that `steelyard calibrate` wrote",
        )
    found = torch.cuda.get_device_properties(0)
    if found.multi_processor_count != device.compute_units.value:
        raise DeviceError(
            what=f"{device.name} is not the GPU of this machine",
            why=f"it has {device.compute_units.value:g} SMs, {found.name} has {found.multi_processor_count}",
            fix="name the device that this machine has",
        )
    return "cuda", time_on_cuda


def _threads(device: Device) -> int:
    return (device.sustained_with(None).threads if device.sustained else None) or torch.get_num_threads()
