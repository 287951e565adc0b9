"""The pass fuse: pointwise ops become one kernel where that is faster."""

from dataclasses import dataclass
from itertools import takewhile

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Block, Region, SSAValue

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.analysis.op_facts import OpInfoCache, where
from steelyard.compiler.dialects.cost import LATENCY, MEMORY
from steelyard.compiler.dialects.kernel import FusedOp, YieldOp
from steelyard.compiler.dialects.program import OP_PATH, PHASE, SOURCE, text_attribute
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.pass_infra.remarks import Remark, RemarkKind, emit
from steelyard.passes.annotate.latency import latency_model
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.annotate.target import read_target
from steelyard.passes.fusion.legality import FusionScope, Group
from steelyard.passes.op_cost.fused_work import fused_work
from steelyard.passes.op_cost.op_latency import LatencyModel


@dataclass(frozen=True)
class FusePass(ProgramPass):
    """Make pointwise ops one kernel where that is faster on the device for which they are annotated.

    Reads `cost.work`, the target and the peak of memory, as `annotate-latency` does. A group of ops
    that read each other's results pays if one kernel, which reads its inputs and writes only what others
    read, takes less than all of them. A smaller op broadcast into a group is computed again at every point,
    which a device may do faster than it launches a kernel, or not. The group runs at the place of its last
    op; the peak of live memory never rises. Views stay outside. Writes `kernel.fused` ops, the annotations
    that were there anew, and a remark for each group (passed) and each op that could not join one (missed).

        %1 = aten.tanh(%0) : tensor<8xf32>
        %2 = aten.mul.Tensor(%1, %0) : tensor<8xf32>

    becomes `%2 = "kernel.fused"(%0) ({ ... "kernel.yield"(...) })`.

    Raises:
        IRError: the program has no annotated latency.
    """

    name = "fuse"
    requires = frozenset({"work", "latency"})
    invalidates = frozenset({"work", "memory", "latency"})
    rewrites = True

    apart: tuple[str, ...] = ()
    """Pairs such as "aten.gelu+aten.cat" that stay apart, the second reading the first: what runs the program
    was seen not to fuse them (`steelyard detect-fusion`)."""

    def transform(self, program: Analyses) -> None:
        """Fuse in every function of a module."""
        target = read_target(program.module)
        assert target, "a program with latencies has a target"
        model = latency_model(program.module, target)
        live, reader = program.liveness(), OpInfoCache()
        for storages in program.storages.values():
            _Fusion(FusionScope(storages, live, reader), model, frozenset(self.apart)).run()


class _Fusion:
    """Grows groups in one function and replaces them."""

    def __init__(self, scope: FusionScope, model: LatencyModel, apart: frozenset[str]) -> None:
        self._scope = scope
        self._model = model
        self._apart = apart
        self._group_of: dict[int, Group] = {}

    def run(self) -> None:
        for index in self._scope.candidates():
            self._join(index)
        for group in dict.fromkeys(self._group_of.values()):
            if len(group) > 1:
                self._fuse(group)

    def _join(self, index: int) -> None:
        """Put an op into one group with those of the ops that it reads from, one after the other."""
        group: Group = (index,)
        made = [self._group_of[each] for each in self._scope.producers(index) if each in self._group_of]
        for other in dict.fromkeys(made):
            union = tuple(sorted((*group, *other)))
            obstacle = self._scope.obstacle(union) or self._known_apart(other, index)
            gain_us = None
            if self._scope.fusion_error(union) is None:
                gain_us = self._gain_us(union) - self._gain_us(group) - self._gain_us(other)
            if not obstacle and gain_us is not None and gain_us > 0:
                group = union
                continue
            self._remark("missed", (other[-1], index), obstacle or "one kernel takes no less", gain_us)
        for each in group:
            self._group_of[each] = group

    def _known_apart(self, group: Group, index: int) -> str | None:
        """Why an op cannot join a group whose results it reads, by what was measured."""
        read = tuple(each for each in self._scope.producers(index) if each in group)
        (reader,) = self._scope.members((index,))
        for op in self._scope.members(read):
            if f"{operator_name(op)}+{operator_name(reader)}" in self._apart:
                return f"{operator_name(op)} and {operator_name(reader)} were measured to run apart"
        return None

    def _fuse(self, group: Group) -> None:
        scope, gain_us = self._scope, self._gain_us(group)
        # Groups were weighed one by one; together they may keep too much.
        if not scope.fits_memory(group):
            self._remark("missed", group, "with the other kernels it would raise the peak", gain_us)
            return
        self._remark("passed", group, f"{len(group)} ops run as one kernel", gain_us)
        scope.accept(group)
        inputs, outputs = scope.inputs(group), scope.outputs(group)
        members = scope.members(group)
        kernel = _build(members, inputs, outputs)
        block = members[-1].parent_block()
        assert block is not None
        block.insert_op_before(kernel, members[-1])
        scope.replace(group, outputs, kernel)

    def _gain_us(self, group: Group) -> float:
        """Time saved by one fused kernel; 0 for a single op."""
        if len(group) == 1:
            return 0.0
        members = self._scope.members(group)
        work = fused_work(members, self._scope.outputs(group), self._scope.reader)
        assert work is not None, "a pointwise op has known work"
        # By the model and not as annotated: fresh pages are no matter of one kernel or many.
        alone_us = sum(self._time_us(op) for op in members)
        return alone_us - self._model.time_work(work).data.value_us

    def _time_us(self, op: TorchOp) -> float:
        latency = self._model.time(op)
        assert latency is not None, "a pointwise op has known work"
        return latency.data.value_us

    def _remark(self, kind: RemarkKind, group: Group, message: str, gain_us: float | None) -> None:
        members = self._scope.members(group)
        names = ", ".join(operator_name(op) for op in members)
        text = message if gain_us is None else f"{message} (gain {gain_us:.3g} us)"
        emit(Remark("fuse", kind, names, where(members[-1]), text, gain_us))


def _build(members: list[TorchOp], inputs: list[SSAValue], outputs: list[SSAValue]) -> FusedOp:
    block = Block(arg_types=[value.type for value in inputs])
    inside: dict[SSAValue, SSAValue] = dict(zip(inputs, block.args, strict=True))
    for op in members:
        copy = op.clone(inside)
        # They are no kernels any more.
        for name in (LATENCY, MEMORY):
            copy.attributes.pop(name, None)
        block.add_op(copy)
    block.add_op(YieldOp([inside[value] for value in outputs]))
    kernel = FusedOp(inputs, [value.type for value in outputs], Region(block))
    paths = [text_attribute(op, OP_PATH).split(".") for op in members]
    shared = takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))
    origin = {
        PHASE: text_attribute(members[-1], PHASE),
        OP_PATH: ".".join(names[0] for names in shared),
        SOURCE: text_attribute(members[-1], SOURCE),
    }
    kernel.attributes.update({name: StringAttr(text) for name, text in origin.items() if text})
    return kernel
