"""The summary of an annotated program: its totals, and its ops by module, operator or phase."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any, Literal

from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import CallOp, FuncOp
from xdsl.ir import Operation

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.call_graph import CallGraph, callee_name
from steelyard.compiler.analysis.storages import join_paths
from steelyard.compiler.dialects.cost import LATENCY, WORK, LatencyAttr, WorkAttr
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.program import (
    OP_PATH,
    PATH,
    PHASE,
    ROLE,
    argument_texts,
    assumptions,
    text_attribute,
)
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.pass_infra.contract import require
from steelyard.compiler.pass_infra.totals import largest_first, read_totals
from steelyard.passes.annotate.latency import WAITS
from steelyard.runtime.program.conditions import conditions, count_trained
from steelyard.runtime.report.output_shapes import output_shapes

Grouping = Literal["module", "op", "phase"]


@dataclass(frozen=True, slots=True)
class Figures:
    """The cost of some ops together, and the parameters of the modules they belong to.

    Attributes:
        ops: Number of ops.
        unknown: Those of unknown work. FLOPs, bytes and latency are lower bounds where there are any.
        flops: FLOPs.
        bytes_read: Bytes that kernels ask for.
        bytes_written: Bytes that they write.
        latency_us: Time.
        params: Elements of parameters.
    """

    ops: int = 0
    unknown: int = 0
    flops: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    latency_us: float = 0.0
    params: int = 0

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            self.ops + other.ops,
            self.unknown + other.unknown,
            self.flops + other.flops,
            self.bytes_read + other.bytes_read,
            self.bytes_written + other.bytes_written,
            self.latency_us + other.latency_us,
            self.params + other.params,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """The runs of one operator in one module and phase.

    What kernels wait for (`WAITS`) is a row of its own, named for its op and its phase.
    """

    op: str
    path: str
    phase: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """The peak of live bytes as it is annotated.

    Attributes:
        bytes: The most that is alive at once.
        low_bytes: The same if kernels whose scratch is not known take the least that is possible.
        op: The op at which that is; empty in a program without ops.
        path: Its module path.
        by_role: The bytes alive there by role, the largest first.
        by_path: Those of what the step makes itself, by module path.
        by_source: Likewise by source line.
    """

    bytes: int
    low_bytes: int
    op: str
    path: str
    by_role: Mapping[str, int]
    by_path: Mapping[str, int]
    by_source: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Summary:
    """The annotations of one program; every total is the one that the program carries.

    Attributes:
        model: The SPEC it was captured from; `program` if it was not.
        mode: `train` or `inference`.
        params: Elements of all parameters, shared ones once.
        total: Of the whole program.
        latency_us: Value, low and high.
        latency_by_limiter: Microseconds by limiter, the largest first.
        latency_by_source: Microseconds by source of the estimate, the largest first.
        flops_by_phase: FLOPs of each phase.
        rows: The ops that run, in the order in which they are first met; with those of `WAITS` they add
            up to the total.
        parameters: Path and elements of each parameter.
        memory: The peak.
        unknown: Count of ops whose work is not known, by name.
        assumptions: What the capture took for granted.
        conditions: What the figures hold for: inputs, dtypes, dropout, execution.
        trained: Elements of the parameters that train; None where no optimizer runs.
        outputs: Shape of each module's output, by path.
    """

    model: str
    mode: Literal["train", "inference"]
    params: int
    total: Figures
    latency_us: tuple[float, float, float]
    latency_by_limiter: Mapping[str, float]
    latency_by_source: Mapping[str, float]
    flops_by_phase: Mapping[str, int]
    rows: tuple[Row, ...]
    parameters: tuple[tuple[str, int], ...]
    memory: PeakMemory
    unknown: Mapping[str, int]
    assumptions: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    trained: int | None = None
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])

    def share(self, figures: Figures) -> float:
        """The part of the program's time that some ops take."""
        return figures.latency_us / self.total.latency_us if self.total.latency_us else 0.0

    def group_flat(self, by: Literal["op", "phase"]) -> dict[str, Figures]:
        """The figures by name of op or by phase, in the order in which they are first met."""
        groups: dict[str, Figures] = {}
        for row in self.rows:
            name = row.op if by == "op" else row.phase
            groups[name] = groups.get(name, Figures()) + row.figures
        return groups


def summarize(program: Analyses) -> Summary:
    """Read the annotations of a program.

    Args:
        program: Annotated with work, memory and latency.

    Raises:
        IRError: The module is not a program, or lacks an annotation.
    """
    module, entry = program.module, program.call_graph.entry
    require(module, {"work", "memory", "latency"}, "the summary")
    totals: Any = read_totals(module)
    work, latency = totals["work"], totals["latency"]
    rows = _rows(program.call_graph)
    for limiter in WAITS:
        if wait_us := latency["us_by_limiter"].get(limiter):
            rows.append(Row(f"({limiter})", "", f"({limiter})", Figures(latency_us=wait_us)))
    parameters = _parameters(entry)
    params = sum(elements for _, elements in parameters)
    return Summary(
        model=text_attribute(module, "program.model") or "program",
        mode="train" if entry.sym_name.data == "step" else "inference",
        params=params,
        total=Figures(
            ops=work["coverage"]["ops"],
            unknown=work["coverage"]["unknown"],
            flops=sum(work["flops"].values()),
            bytes_read=work["bytes"]["read"],
            bytes_written=work["bytes"]["written"],
            latency_us=latency["value_us"],
            params=params,
        ),
        latency_us=(latency["value_us"], latency["low_us"], latency["high_us"]),
        latency_by_limiter=largest_first(latency["us_by_limiter"]),
        latency_by_source=largest_first(latency["us_by_source"]),
        flops_by_phase=work["flops_by_phase"],
        rows=tuple(rows),
        parameters=parameters,
        memory=_peak(totals["memory"]),
        unknown=work["unknown_by_op"],
        assumptions=assumptions(module),
        conditions=conditions(module),
        trained=count_trained(entry),
        outputs=output_shapes(program.call_graph),
    )


def _rows(graph: CallGraph) -> list[Row]:
    """The kernels that run, added up; a function is read once, however often it is called."""

    @cache
    def rows_of(function: FuncOp) -> list[Row]:
        found: dict[tuple[str, str, str], Figures] = {}
        for op in function.body.block.ops:
            for row in own_rows(op):
                key = row.op, row.path, row.phase
                found[key] = found[key] + row.figures if key in found else row.figures
        return [Row(*key, figures) for key, figures in found.items()]

    def own_rows(op: Operation) -> Iterator[Row]:
        path = text_attribute(op, OP_PATH)
        if isinstance(op, CallOp):
            for row in rows_of(graph.functions[callee_name(op)]):
                yield Row(row.op, join_paths(path, row.path), row.phase, row.figures)
        elif isinstance(op, TorchOp | FusedOp):
            yield Row(operator_name(op), path, text_attribute(op, PHASE) or "forward", _figures(op))

    return rows_of(graph.entry)


def _figures(op: TorchOp | FusedOp) -> Figures:
    work, latency = op.attributes.get(WORK), op.attributes.get(LATENCY)
    latency_us = latency.data.value_us if isinstance(latency, LatencyAttr) else 0.0
    if not isinstance(work, WorkAttr):
        return Figures(ops=1, unknown=1, latency_us=latency_us)
    counts = work.data
    return Figures(1, 0, counts.flops, counts.bytes_read, counts.bytes_written, latency_us)


def _parameters(entry: FuncOp) -> tuple[tuple[str, int], ...]:
    roles, paths = argument_texts(entry, ROLE), argument_texts(entry, PATH)
    types = entry.function_type.inputs
    return tuple(
        (path, prod(kind.get_shape()))
        for role, path, kind in zip(roles, paths, types, strict=True)
        if role == "parameter" and isinstance(kind, TensorType)
    )


def _peak(memory: Mapping[str, Any]) -> PeakMemory:
    by_role, by_path, by_source = (memory[f"peak_bytes_by_{each}"] for each in ("role", "path", "source"))
    peak_bytes = memory["peak_bytes"]
    low_bytes = memory.get("peak_low_bytes", peak_bytes)
    return PeakMemory(
        peak_bytes, low_bytes, memory["peak_op"], memory["peak_path"], by_role, by_path, by_source
    )
