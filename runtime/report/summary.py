"""What the annotations of a program add up to: totals, the groups they fall in, the peak of memory."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import fsum, prod
from typing import Literal

from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import CallOp, FuncOp

from steelyard.compiler.analysis.call_graph import callee_name
from steelyard.compiler.analysis.liveness import Liveness, LiveStorage, liveness
from steelyard.compiler.analysis.storages import join_paths
from steelyard.compiler.dialects.cost import LATENCY, WORK, LatencyAttr, LatencyEstimate, WorkAttr
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.program import (
    OP_PATH,
    PATH,
    PHASE,
    ROLE,
    argument_texts,
    entry_function,
    text_attribute,
)
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.hw.devices.device import Device
from steelyard.passes.op_cost.workspace import workspace_of

Grouping = Literal["module", "op", "phase"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What some ops cost together, and what the modules they belong to hold."""

    ops: int = 0
    flops: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    latency_us: float = 0.0
    params: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            self.ops + other.ops,
            self.flops + other.flops,
            self.bytes_read + other.bytes_read,
            self.bytes_written + other.bytes_written,
            self.latency_us + other.latency_us,
            self.params + other.params,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One run of one op: an op in a function that is called twice has two rows."""

    op: str
    path: str
    phase: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Report:
    """The totals of one annotated program on one device.

    Attributes:
        model: The SPEC it was captured from; `program` if it was not.
        mode: `train` or `inference`.
        device: The name of the device.
        params: Elements of all parameters, shared ones once.
        total: Of all ops.
        latency_us: Value, low and high, added up over the ops.
        latency_by_limiter: Microseconds of the ops that each limiter holds back.
        latency_by_source: Microseconds of the ops whose time comes from each source.
        rows: Every op that runs, in order.
        parameters: Elements by the path of the parameter.
        memory: Live bytes.
        unknown: How many ops of each name have no known work.
    """

    model: str
    mode: Literal["train", "inference"]
    device: str
    params: int
    total: Figures
    latency_us: tuple[float, float, float]
    latency_by_limiter: dict[str, float]
    latency_by_source: dict[str, float]
    rows: tuple[Row, ...]
    parameters: dict[str, int]
    memory: Liveness
    unknown: dict[str, int]

    @property
    def flops_by_phase(self) -> dict[str, int]:
        """FLOPs of each phase, in the order in which they run."""
        return {phase: figures.flops for phase, figures in self.group_flat("phase").items()}

    @property
    def memory_by_role(self) -> dict[str, int]:
        """Bytes alive at the peak by role, the largest first."""
        return _largest_first((each.role, each) for each in self.memory.peak)

    @property
    def memory_by_path(self) -> dict[str, int]:
        """Bytes alive at the peak that are no parameters and the like, by module path, the largest first."""
        own = ("gradient", "activation", "temporary", "workspace", "communication")
        return _largest_first((each.path, each) for each in self.memory.peak if each.role in own)

    @property
    def memory_by_source(self) -> dict[str, int]:
        """As `memory_by_path`, by the source line that made them."""
        return _largest_first((each.source, each) for each in self.memory.peak if each.source)

    def group_flat(self, by: Literal["op", "phase"]) -> dict[str, Figures]:
        """The figures by name of op or by phase, in the order in which they are first met."""
        groups: dict[str, Figures] = {}
        for row in self.rows:
            name = row.op if by == "op" else row.phase
            groups[name] = groups.get(name, Figures()) + row.figures
        return groups


def make_report(module: ModuleOp, device: Device) -> Report:
    """Add up the annotations of a module.

    Args:
        module: Went through annotate-cost and annotate-latency.
        device: The device that the latencies are of, and whose kernels take workspace.

    Raises:
        IRError: The module is no program.
    """
    memory = liveness(module, workspace_of(device))
    entry = entry_function(module)
    functions = {op.sym_name.data: op for op in module.body.ops if isinstance(op, FuncOp)}
    rows, latencies = list[Row](), list[LatencyEstimate]()
    unknown = Counter[str]()
    own: dict[TorchOp | FusedOp, Row] = {}
    for op, prefix in walk(entry, functions):
        latency = op.attributes.get(LATENCY)
        if isinstance(latency, LatencyAttr):
            latencies.append(latency.data)
        if op not in own:
            own[op] = _row(op)
        row = own[op]
        if not isinstance(op.attributes.get(WORK), WorkAttr):
            unknown[row.op] += 1
        rows.append(Row(row.op, join_paths(prefix, row.path), row.phase, row.figures))
    parameters = _parameters(entry)
    return Report(
        model=text_attribute(module, "program.model") or "program",
        mode="train" if entry.sym_name.data == "step" else "inference",
        device=device.name,
        params=sum(parameters.values()),
        total=sum((row.figures for row in rows), Figures(params=sum(parameters.values()))),
        latency_us=(
            fsum(each.value_us for each in latencies),
            fsum(each.low_us for each in latencies),
            fsum(each.high_us for each in latencies),
        ),
        latency_by_limiter=_sums_us((each.limiter, each.value_us) for each in latencies),
        latency_by_source=_sums_us((each.source, each.value_us) for each in latencies),
        rows=tuple(rows),
        parameters=parameters,
        memory=memory,
        unknown=dict(unknown),
    )


def walk(
    function: FuncOp, functions: dict[str, FuncOp], prefix: str = ""
) -> Iterator[tuple[TorchOp | FusedOp, str]]:
    """Yield every kernel that a function runs, and the module path of the calls that lead to it."""
    for op in function.body.block.ops:
        if isinstance(op, CallOp):
            path = join_paths(prefix, text_attribute(op, OP_PATH))
            yield from walk(functions[callee_name(op)], functions, path)
        elif isinstance(op, TorchOp | FusedOp):
            yield op, prefix


def _row(op: TorchOp | FusedOp) -> Row:
    """The row of an op, with its path inside the function that has it."""
    name = operator_name(op) if isinstance(op, TorchOp) else op.name
    return Row(name, text_attribute(op, OP_PATH), text_attribute(op, PHASE) or "forward", _figures(op))


def _figures(op: TorchOp | FusedOp) -> Figures:
    work, latency = op.attributes.get(WORK), op.attributes.get(LATENCY)
    latency_us = latency.data.value_us if isinstance(latency, LatencyAttr) else 0.0
    if not isinstance(work, WorkAttr):
        return Figures(ops=1, latency_us=latency_us)
    counts = work.data
    return Figures(1, counts.flops, counts.bytes_read, counts.bytes_written, latency_us)


def _sums_us(named: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Times added up by name, the largest first, those without any time left out."""
    times: dict[str, list[float]] = {}
    for name, value_us in named:
        times.setdefault(name, []).append(value_us)
    sums = {name: fsum(values) for name, values in times.items() if any(values)}
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def _parameters(entry: FuncOp) -> dict[str, int]:
    roles, paths = argument_texts(entry, ROLE), argument_texts(entry, PATH)
    types = entry.function_type.inputs
    return {
        path: prod(kind.get_shape())
        for role, path, kind in zip(roles, paths, types, strict=True)
        if role == "parameter" and isinstance(kind, TensorType)
    }


def _largest_first(named: Iterator[tuple[str, LiveStorage]]) -> dict[str, int]:
    sizes = Counter[str]()
    for name, storage in named:
        sizes[name] += storage.bytes
    return dict(sizes.most_common())
