"""The pass shard: one program for all ranks of a mesh, with explicit collectives."""

from dataclasses import dataclass, replace
from typing import get_args

from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    FunctionType,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    i64,
)
from xdsl.dialects.func import FuncOp, ReturnOp

from steelyard.compiler.analysis.analyses import Analyses
from steelyard.compiler.dialects.program import entry_function
from steelyard.compiler.pass_infra.remarks import Remark, emit
from steelyard.compiler.semantics.placement import Shard
from steelyard.hw.base.errors import IRError, UsageError, did_you_mean
from steelyard.passes.annotate.program_pass import ProgramPass
from steelyard.passes.annotate.shard_attributes import MESH, PARTS, PLAN, SPLIT, mesh_ranks
from steelyard.passes.annotate.target import Target, read_target, write_target
from steelyard.passes.sharding.spmd_partitioner import rewrite_for_ranks
from steelyard.passes.sharding.step_price import step_time
from steelyard.passes.sharding.strategies import ShardingPlan, Strategy, assign_placements

_STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


@dataclass(frozen=True)
class ShardPass(ProgramPass):
    """Make the program of each rank of a mesh, by data or by tensor parallelism, whichever takes less.

    Reads roles, types and the work of the ops. By data, inputs and targets are cut along their first dim, the
    batch, and all else is whole on every rank. By tensor, weights are cut, with their gradients and optimizer
    state: `steelyard.passes.sharding.tensor_parallel` says which. From there the work of each op says what it
    makes of blocks. What every rank then holds is exactly a block of the value in the program of one process,
    all of it, or a term of its sum; a sum is formed by an all-reduce where all of it is needed: the gradients
    before the optimizer, the loss, results, what goes from a row-cut layer into a norm.

    A mean is taken of the whole batch: a loss with targets becomes a sum, divided by the weight of the
    targets on all ranks, so ranks may have unequal counts of ignored targets. A bias that is added to a sum
    over ranks is added by each of them in equal shares. Annotations that the program has are made anew, for
    the device.

    Both programs are weighed on the device, collectives included, and a remark gives both times.

    Refused, by an error with the op and its source line: what is not a sum along the cut dim (batch norm in
    training by data, a sort), random numbers (dropout), what cannot be cut into equal parts, functions that
    are called (`inline` first), fused kernels (`fuse` last).

    Writes on the module `shard.mesh` and `shard.plan` ("data" or "tensor"), on each argument `shard.split`:
    the dim that is cut, or -1; and `shard.parts` where each of several parts of it is cut.

        steelyard-opt a.mlir -p 'shard{mesh=2 device=h100-sxm}'

    Raises:
        UsageError: the mesh has no rank, or there is no such strategy.
        IRError: an op cannot be done by parts, as above; the module is sharded already.
        DeviceError: the device is not known, or nothing is known of its links.
    """

    name = "shard"
    invalidates = frozenset({"work", "memory", "latency"})
    rewrites = True

    mesh: int
    """How many ranks there are."""

    device: str | None = None
    """What each rank runs on; that of the program's annotations where not given, else `cpu`."""

    strategy: str = "auto"
    """`data`, `tensor`, or the one of them that takes less (`auto`)."""

    def transform(self, program: Analyses) -> None:
        """Replace the program by that of each rank."""
        op = program.module
        if self.mesh < 1:
            raise UsageError(what=f"a mesh of {self.mesh} ranks", where="shard", why="it needs at least 1")
        if self.strategy not in (*_STRATEGIES, "auto"):
            raise UsageError(
                what=f"there is no strategy {self.strategy!r}",
                where="shard",
                fix=did_you_mean(self.strategy, (*_STRATEGIES, "auto")),
            )
        if mesh_ranks(op) is not None:
            raise IRError(what="the program is sharded already", where=MESH)
        wanted: list[Strategy] = [each for each in _STRATEGIES if self.strategy in (each, "auto")]
        programs: dict[str, ModuleOp] = {}
        refused: dict[str, IRError] = {}
        for strategy in wanted:
            try:
                programs[strategy] = _shard(op, strategy, self.mesh)
            except IRError as error:
                refused[strategy] = error
        if not programs:
            raise _refusal(refused)
        for strategy, error in refused.items():
            emit(Remark("shard", "missed", strategy, error.where or "", f"{error.what}: {error.why}"))
        annotated = read_target(op)
        target = annotated or Target()
        target = replace(target, device=self.device or target.device)
        chosen = next(iter(programs)) if len(programs) == 1 else _fastest(programs, target)
        _become(op, programs[chosen])
        op.attributes |= {MESH: IntegerAttr(self.mesh, i64), PLAN: StringAttr(chosen)}
        if annotated:
            write_target(op, target)


def _fastest(programs: dict[str, ModuleOp], target: Target) -> str:
    """The strategy that takes least, with a remark on each."""
    prices = {strategy: step_time(each.clone(), target) for strategy, each in programs.items()}
    order = sorted(prices, key=lambda strategy: prices[strategy].total_us)
    gain_us = prices[order[-1]].total_us - prices[order[0]].total_us
    for strategy, other in zip(order, reversed(order), strict=True):
        message = f"{prices[strategy]} on {target.device}; by {other} {prices[other]}"
        kind = "passed" if strategy == order[0] else "missed"
        emit(Remark("shard", kind, strategy, "", message, gain_us if kind == "passed" else -gain_us))
    return order[0]


def _shard(module: ModuleOp, strategy: Strategy, ranks: int) -> ModuleOp:
    """The program of each rank, in a module of its own."""
    sharded = module.clone()
    function = entry_function(sharded)
    layout = assign_placements(function, strategy, ranks)
    block = rewrite_for_ranks(function, layout, ranks)
    function.body.detach_block(function.body.block)
    function.body.add_block(block)
    last = block.last_op
    assert isinstance(last, ReturnOp)
    types = [value.type for value in block.args], [value.type for value in last.arguments]
    function.function_type = FunctionType.from_lists(*types)
    _write_layout(function, layout)
    sharded.attributes[MESH] = IntegerAttr(ranks, i64)
    return sharded


def _write_layout(function: FuncOp, layout: ShardingPlan) -> None:
    known = function.arg_attrs or ArrayAttr([DictionaryAttr({})] * len(layout.placements))
    entries: list[DictionaryAttr] = []
    for entry, placement in zip(known, layout.placements, strict=True):
        is_sharded = isinstance(placement, Shard)
        cut: dict[str, IntegerAttr] = {SPLIT: IntegerAttr(placement.dim if is_sharded else -1, i64)}
        if is_sharded and placement.parts > 1:
            cut[PARTS] = IntegerAttr(placement.parts, i64)
        entries.append(DictionaryAttr({**entry.data, **cut}))
    function.arg_attrs = ArrayAttr(entries)


def _become(module: ModuleOp, other: ModuleOp) -> None:
    module.body.detach_block(module.body.block)
    module.body.add_block(other.body.detach_block(other.body.block))
    module.attributes.clear()
    module.attributes.update(other.attributes)


def _refusal(refused: dict[str, IRError]) -> IRError:
    """One error for all strategies that were tried: that of the first, and why the others do not help."""
    first, *others = refused.values()
    whys = [
        first.why,
        *(
            f"nor by {name}: {error.what}, {error.why}"
            for name, error in zip([*refused][1:], others, strict=True)
        ),
    ]
    return IRError(what=first.what, where=first.where, why="; ".join(filter(None, whys)), fix=first.fix)
