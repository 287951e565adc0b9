"""The pass annotate-cost: how much work each op does."""

from collections import Counter
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute
from xdsl.passes import ModulePass

from steelyard.compiler.analysis.call_graph import call_graph
from steelyard.compiler.analysis.kernel_ops import kernels, members, yielded
from steelyard.compiler.analysis.op_facts import OpInfo, OpInfoCache, where
from steelyard.compiler.analysis.work_text import work_text
from steelyard.compiler.dialects.cost import WORK, UnknownAttr, WorkAttr, WorkCounts
from steelyard.compiler.dialects.cost_spaces import SPACES, SpacesAttr
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.program import PHASE, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.pass_infra.remarks import Remark, emit
from steelyard.compiler.pass_infra.totals import write_totals
from steelyard.compiler.semantics.compose import FusionError
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.errors import IRError
from steelyard.passes.op_cost.fused_work import fused_work

HOW_TO_ADD = "docs/howto/add-an-op.md says how to add it"


@dataclass(frozen=True)
class AnnotateCostPass(ModulePass):
    """Say of each op how much work it does.

    Reads the types and properties of the ops, and `cost.spaces` of those that no rule knows. Writes
    `cost.work` on each, `#cost.unknown` where neither says the work (a remark for each such name), and the
    entry `work` of the module's `cost.totals`: FLOPs by unit and by phase, bytes, and how many ops are costed
    and unknown, over all calls.

        %2 = aten.mm(%0, %1) : tensor<4x8xf32>
        %2 = aten.mm(%0, %1) {cost.work = #cost.work<contraction f32, flops = [512, 0, 0], ...>} : ...

    Raises:
        IRError: with `strict`, an op is unknown; an op does not fit its rule.
    """

    name = "annotate-cost"

    strict: bool = False
    """Whether an unknown op is an error."""

    print_work: bool = False
    """Whether to write the iteration spaces of each op with its indexing maps, as `cost.spaces`."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Annotate the ops of a module."""
        graph = call_graph(op)
        annotator, totals = _Annotator(), _Totals()
        for name, function in graph.functions.items():
            for kernel in kernels(function):
                work = annotator.annotate(kernel)
                if self.print_work:
                    annotator.describe(kernel)
                totals.add(work, text_attribute(kernel, PHASE), graph.times[name])
        for unknown in annotator.unknown.values():
            self._report(unknown)
        write_totals(op, "work", totals.entry())

    def _report(self, op: TorchOp) -> None:
        name = operator_name(op)
        if self.strict:
            raise IRError(
                what=f"the work of {name} is not known", where=where(op) or None, fix=f"{HOW_TO_ADD}"
            )
        emit(Remark(self.name, "unknown", name, where(op), f"its work is not known; {HOW_TO_ADD}"))


class _Annotator:
    def __init__(self) -> None:
        self.unknown: dict[str, TorchOp] = {}
        self._reader = OpInfoCache()
        self._attributes: dict[int, tuple[OpInfo, Attribute]] = {}

    def annotate(self, kernel: TorchOp | FusedOp) -> WorkCounts | None:
        """Annotate one kernel and, if it is fused, what is in it."""
        attribute = self._fused(kernel) if isinstance(kernel, FusedOp) else self._attribute(kernel)
        kernel.attributes[WORK] = attribute
        return attribute.data if isinstance(attribute, WorkAttr) else None

    def describe(self, kernel: TorchOp | FusedOp) -> None:
        """Write the work of a kernel, or of what is in it, as text."""
        if isinstance(kernel, FusedOp):
            for op in members(kernel):
                if isinstance(op, TorchOp):
                    self.describe(op)
        elif work := self._reader.read(kernel).work:
            kernel.attributes[SPACES] = SpacesAttr(work_text(work))

    def _attribute(self, op: TorchOp) -> Attribute:
        facts = self._reader.read(op)
        if facts.work is None:
            self.unknown.setdefault(operator_name(op), op)
        if id(facts) not in self._attributes:
            self._attributes[id(facts)] = facts, _counts(facts.work) if facts.work else UnknownAttr()
        return self._attributes[id(facts)][1]

    def _fused(self, kernel: FusedOp) -> Attribute:
        """One kernel reads its operands and writes its results; what it passes on stays on chip."""
        inside = [op for op in members(kernel) if isinstance(op, TorchOp)]
        for op in inside:
            self.annotate(op)
        try:
            work = fused_work(inside, yielded(kernel), self._reader)
        except FusionError as error:
            raise IRError(what="the ops of a kernel.fused cannot be one kernel", why=str(error)) from error
        return WorkAttr(work) if work else UnknownAttr()


def _counts(work: OpWork) -> WorkAttr:
    return WorkAttr(
        WorkCounts(
            kind=work.kind,
            dtype=work.compute_dtype or "none",
            bytes_unique=work.bytes_unique,
            **work.cost.counts(),
        )
    )


class _Totals:
    def __init__(self) -> None:
        self._flops = Counter({"contraction": 0, "pointwise": 0, "transcendental": 0})
        self._phases: Counter[str] = Counter()
        self._bytes = Counter({"read": 0, "written": 0, "unique": 0})
        self._coverage = Counter({"ops": 0, "costed": 0, "unknown": 0})

    def add(self, work: WorkCounts | None, phase: str, times: int) -> None:
        self._coverage["ops"] += times
        self._coverage["costed" if work else "unknown"] += times
        if work is None:
            return
        self._flops["contraction"] += times * work.contraction_flops
        self._flops["pointwise"] += times * work.pointwise_flops
        self._flops["transcendental"] += times * work.transcendental_flops
        self._phases[phase] += times * work.flops
        self._bytes["read"] += times * work.bytes_read
        self._bytes["written"] += times * work.bytes_written
        self._bytes["unique"] += times * work.bytes_unique

    def entry(self) -> dict[str, dict[str, int]]:
        return {
            "flops": self._flops,
            "flops_by_phase": dict(sorted(self._phases.items())),
            "bytes": self._bytes,
            "coverage": self._coverage,
        }
