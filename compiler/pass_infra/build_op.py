"""A torch op in the place of another."""

from collections.abc import Mapping, Sequence
from typing import cast

from xdsl.ir import Attribute, Operation, SSAValue

from steelyard.compiler.dialects.program import OP_PATH, PHASE, SOURCE
from steelyard.compiler.dialects.schema import schema_of
from steelyard.compiler.dialects.torch_dialects import op_class
from steelyard.compiler.dialects.torch_op import Argument


def call_like(
    like: Operation, name: str, arguments: Mapping[str, Argument], results: Sequence[Attribute]
) -> Sequence[SSAValue]:
    """Insert an op before another, with its phase, module path and source line.

    Args:
        like: The op that it stands for.
        name: As in the IR, `aten.mm`.
        arguments: By the names of torch's schema.
        results: The types of its results.
    """
    kind, schema, block = op_class(name), schema_of(name), like.parent
    assert kind and schema and block, name
    new = kind.build_call(schema, dict(arguments), results)
    new.attributes.update({k: v for k, v in like.attributes.items() if k in (PHASE, OP_PATH, SOURCE)})
    block.insert_op_before(new, like)
    return cast("Sequence[SSAValue]", new.results)
