"""A block of ops that each rank runs, and the collectives between the ranks."""

from collections.abc import Sequence
from typing import cast

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, Block, Operation, SSAValue

from steelyard.compiler.dialects.program import OP_PATH, PHASE
from steelyard.compiler.dialects.schema import schema_of
from steelyard.compiler.dialects.torch_dialects import op_class
from steelyard.compiler.dialects.torch_op import Argument
from steelyard.compiler.semantics.iteration_space import Combiner
from steelyard.compiler.semantics.placement import Shard

_GROUP = "0"
"""torch's name of the group of all ranks."""

_REDUCE_OPS: dict[Combiner, str] = {"sum": "sum", "max": "max", "min": "min", "prod": "product"}
"""torch's names of what an all-reduce does."""


class SpmdBuilder:
    """A block that grows at its end.

    Attributes:
        block: The block itself.
    """

    def __init__(self, argument_types: Sequence[Attribute], ranks: int) -> None:
        self.block = Block(arg_types=argument_types)
        self._ranks = ranks

    @property
    def arguments(self) -> Sequence[SSAValue]:
        """The arguments of the block."""
        return self.block.args

    def add(self, op: Operation) -> None:
        """Put an op at the end."""
        self.block.add_op(op)

    def call(self, name: str, arguments: dict[str, Argument], result: Attribute, like: Operation) -> SSAValue:
        """Add an op of torch with one result; it belongs to the module and the phase of another op."""
        return self._call(name, arguments, [result], like)[0]

    def divide(self, value: SSAValue, by: SSAValue | int, like: Operation) -> SSAValue:
        """Add the quotient of a value and a number, or a tensor of one element."""
        name = "aten.div.Scalar" if isinstance(by, int) else "aten.div.Tensor"
        return self.call(name, {"self": value, "other": by}, value.type, like)

    def all_reduce(self, terms: Sequence[SSAValue], combine: Combiner, like: Operation) -> Sequence[SSAValue]:
        """Combine what all ranks hold; several values, of one element type, go as one message."""
        how: dict[str, Argument] = {"reduce_op": _REDUCE_OPS[combine], "group_name": _GROUP}
        types = [term.type for term in terms]
        if len(terms) == 1:
            pending = self._call("_c10d_functional.all_reduce", {"input": terms[0], **how}, types, like)
        else:
            inputs: dict[str, Argument] = {"inputs": [*terms]}
            pending = self._call("_c10d_functional.all_reduce_coalesced", inputs | how, types, like)
        return [self._wait(each, like) for each in pending]

    def all_gather(self, local: SSAValue, placement: Shard, like: Operation) -> SSAValue:
        """The whole of what all ranks hold blocks of.

        The collective lays the blocks of all ranks one behind the other; unless they are cut along the first
        dim, in one part, they are put in their places afterwards.
        """
        type_ = cast("TensorType[Attribute]", local.type)
        shape, dim, parts, ranks = tuple(type_.get_shape()), placement.dim, placement.parts, self._ranks
        whole = (*shape[:dim], shape[dim] * ranks, *shape[dim + 1 :])
        stacked = (shape[0] * ranks, *shape[1:])

        def typed(sizes: Sequence[int]) -> TensorType[Attribute]:
            return TensorType(type_.element_type, sizes)

        arguments: dict[str, Argument] = {"input": local, "group_size": ranks, "group_name": _GROUP}
        name = "_c10d_functional.all_gather_into_tensor"
        gathered = self._wait(self.call(name, arguments, typed(stacked), like), like)
        if (dim, parts) == (0, 1):
            return gathered
        apart = (ranks, *shape[:dim], parts, shape[dim] // parts, *shape[dim + 1 :])
        order = [*range(1, dim + 2), 0, *range(dim + 2, len(apart))]
        placed = typed([apart[each] for each in order])
        value = self.call("aten.view", {"self": gathered, "size": [*apart]}, typed(apart), like)
        value = self.call("aten.permute", {"self": value, "dims": [*order]}, placed, like)
        copy: dict[str, Argument] = {"self": value, "memory_format": "contiguous_format"}
        value = self.call("aten.clone", copy, placed, like)
        return self.call("aten._unsafe_view", {"self": value, "size": [*whole]}, typed(whole), like)

    def _call(
        self, name: str, arguments: dict[str, Argument], results: Sequence[Attribute], like: Operation
    ) -> Sequence[SSAValue]:
        kind, schema = op_class(name), schema_of(name)
        assert kind and schema, name
        new = kind.build_call(schema, arguments, results)
        new.attributes.update({k: v for k, v in like.attributes.items() if k in (PHASE, OP_PATH)})
        self.add(new)
        return new.results

    def _wait(self, pending: SSAValue, like: Operation) -> SSAValue:
        return self.call("_c10d_functional.wait_tensor", {"tensor": pending}, pending.type, like)
