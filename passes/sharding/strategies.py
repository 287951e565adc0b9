"""Placements of the arguments of a program by data and by tensor parallelism."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from steelyard.compiler.analysis.op_facts import tensor_type, where
from steelyard.compiler.dialects.program import ROLE, argument_texts
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name
from steelyard.compiler.pass_infra.remarks import Remark, emit
from steelyard.compiler.semantics.placement import REPLICATE, Replicate, Shard
from steelyard.hw.base.errors import IRError
from steelyard.passes.sharding.propagation import ShardingRules
from steelyard.passes.sharding.tensor_parallel import TensorParallelFinder

Strategy = Literal["data", "tensor"]

_MAX_REASONS = 3
"""As many as are told in an error."""


@dataclass(frozen=True, slots=True)
class ShardingPlan:
    """The placements of a program's arguments.

    Attributes:
        strategy: By what they were placed.
        placements: One for each argument; none is partial.
        batch: The samples that ranks share out, 1 if they share out weights.
        constants: Values of equal elements that the program makes itself, and of which ranks need blocks.
    """

    strategy: Strategy
    placements: tuple[Shard | Replicate, ...]
    batch: int = 1
    constants: Mapping[SSAValue, Shard] = field(default_factory=dict[SSAValue, Shard])


def assign_placements(function: FuncOp, strategy: Strategy, ranks: int) -> ShardingPlan:
    """Place the arguments of a program.

    Raises:
        IRError: Nothing can be cut into equal parts.
    """
    return _by_data(function, ranks) if strategy == "data" else _by_tensor(function, ranks)


def _by_data(function: FuncOp, ranks: int) -> ShardingPlan:
    """Inputs and targets with as many elements along their first dim as the first of them are cut there."""
    roles = argument_texts(function, ROLE)
    shapes = [_shape(value) for value in function.body.block.args]
    given = [shape for role, shape in zip(roles, shapes, strict=True) if role in ("input", "target")]
    batch = given[0][0] if given and given[0] else 1
    if batch % ranks:
        raise IRError(
            what="the batch cannot be cut into equal parts",
            why=f"it has {batch} samples, the mesh {ranks} ranks",
            fix=f"capture it with a --batch that is a multiple of {ranks}",
        )
    placements = (
        Shard(0) if role in ("input", "target") and shape[:1] == (batch,) else REPLICATE
        for role, shape in zip(roles, shapes, strict=True)
    )
    return ShardingPlan("data", tuple(placements), batch)


def _by_tensor(function: FuncOp, ranks: int) -> ShardingPlan:
    """Weights and what goes with them are sharded as `TensorParallelFinder` finds, all else is replicated."""
    finder = TensorParallelFinder(function, ranks)
    groups = finder.groups()
    if not groups:
        whys = [*dict.fromkeys(refusal.why for refusal in finder.refusals)][:_MAX_REASONS]
        why = "; ".join(whys) or "no product of the forward sums over a dim of a parameter"
        raise IRError(what="no weight can be cut", why=why, fix="choose strategy=data, or another mesh")
    placed = {value: each for group in groups for value, each in group.placements.items()}
    for refusal in finder.refusals:
        if refusal.weight not in placed:
            name, message = operator_name(refusal.op), f"its weight is not cut: {refusal.why}"
            emit(Remark("shard", "missed", name, where(refusal.op), message))
    rules = ShardingRules()
    constants = {
        value: each
        for value, each in placed.items()
        if isinstance(value.owner, TorchOp) and (work := rules.work(value.owner)) and work.is_constant
    }
    placements = (placed.get(value, REPLICATE) for value in function.body.block.args)
    return ShardingPlan("tensor", tuple(placements), constants=constants)


def _shape(value: SSAValue) -> tuple[int, ...]:
    found = tensor_type(value.type)
    return found.shape if found else ()
