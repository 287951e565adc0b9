"""Annotation of work: FLOPs and bytes of each op, from its description."""

from collections import Counter

from xdsl.ir import Attribute

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.kernel_ops import kernels, members, yielded
from steelyard.compiler.analysis.op_facts import OpInfo, OpInfoCache, where
from steelyard.compiler.analysis.work_text import work_text
from steelyard.compiler.dialects.cost import WORK, UnknownAttr, WorkAttr, WorkCounts
from steelyard.compiler.dialects.cost_spaces import SPACES, SpacesAttr
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.program import PHASE, text_attribute
from steelyard.compiler.dialects.torch_op import ExternOp, TorchOp, operator_name
from steelyard.compiler.pass_infra.remarks import Remark, emit
from steelyard.compiler.pass_infra.totals import write_totals
from steelyard.compiler.semantics.compose import FusionError
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.errors import IRError
from steelyard.passes.op_cost.fused_work import fused_work

HOW_TO_ADD = "docs/howto/add-an-op.md says how to add it"


def annotate_work(program: Analyses, *, strict: bool = False, spaces: bool = False) -> None:
    """Annotate each op with its work, and the program with the sums over all calls.

    Writes `cost.work` on each op, `#cost.unknown` where no rule applies (a remark for each such name), and
    the entry `work` of the totals: FLOPs by unit and by phase, bytes, the count of known and unknown ops, and
    the names of the latter.

    Args:
        program: Its analyses.
        strict: Whether an unknown op is an error.
        spaces: Whether to write the iteration spaces of each op with its indexing maps, as `cost.spaces`.

    Raises:
        IRError: with `strict`, an op is unknown; an op does not fit its rule.
    """
    graph = program.call_graph
    annotator, totals = _Annotator(), _Totals()
    for name, function in graph.functions.items():
        for kernel in kernels(function):
            work = annotator.annotate(kernel)
            if spaces:
                annotator.describe(kernel)
            totals.add(kernel, work, graph.times[name])
    for unknown in annotator.unknown.values():
        _report(unknown, strict)
    write_totals(program.module, "work", totals.entry())


def _report(op: TorchOp, strict: bool) -> None:
    name = operator_name(op)
    if strict:
        raise IRError(what=f"the work of {name} is not known", where=where(op) or None, fix=HOW_TO_ADD)
    emit(Remark("annotate-cost", "unknown", name, where(op), f"its work is not known; {HOW_TO_ADD}"))


class _Annotator:
    def __init__(self) -> None:
        self.unknown: dict[str, TorchOp] = {}
        self._reader = OpInfoCache()
        self._attributes: dict[int, tuple[OpInfo, Attribute]] = {}

    def annotate(self, kernel: TorchOp | FusedOp) -> WorkCounts | None:
        """Annotate one kernel and, if it is fused, what is in it."""
        attribute = self._fused(kernel) if isinstance(kernel, FusedOp) else self._attribute(kernel)
        kernel.attributes[WORK] = attribute
        if isinstance(kernel, ExternOp):  # its rule is the user's: whoever reads the file may not have it
            self.describe(kernel)
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
        self._unknown: Counter[str] = Counter()

    def add(self, kernel: TorchOp | FusedOp, work: WorkCounts | None, times: int) -> None:
        self._coverage["ops"] += times
        self._coverage["costed" if work else "unknown"] += times
        if work is None:
            self._unknown[operator_name(kernel)] += times
            return
        self._flops["contraction"] += times * work.contraction_flops
        self._flops["pointwise"] += times * work.pointwise_flops
        self._flops["transcendental"] += times * work.transcendental_flops
        self._phases[text_attribute(kernel, PHASE) or "forward"] += times * work.flops
        self._bytes["read"] += times * work.bytes_read
        self._bytes["written"] += times * work.bytes_written
        self._bytes["unique"] += times * work.bytes_unique

    def entry(self) -> dict[str, dict[str, int]]:
        return {
            "flops": self._flops,
            "flops_by_phase": dict(sorted(self._phases.items())),
            "bytes": self._bytes,
            "coverage": self._coverage,
            "unknown_by_op": dict(sorted(self._unknown.items())),
        }
