"""Memory effects: the operands that an op writes."""

from xdsl.ir import SSAValue

from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.torch_op import Argument, TorchOp


def written_values(op: TorchOp, reader: OpInfoCache) -> list[SSAValue]:
    """The operands that an op changes, by its schema and by the rule for its work.

    Schemas of batch norms do not say that running statistics are written; the rules do.
    """
    arguments = op.arguments()
    names = [parameter.name for parameter in op.schema.parameters if parameter.writes]
    work = reader.read(op).work
    names += [name for name in (work.mutates if work else ()) if name not in names]
    return [value for name in names for value in _values(arguments, name)]


def _values(arguments: dict[str, Argument], name: str) -> list[SSAValue]:
    # A rule may name one tensor of a list: "self[3]".
    base, _, index = name.removesuffix("]").partition("[")
    given = arguments.get(base)
    values = given if isinstance(given, list) else [given]
    if index:
        present = [value for value in values if value is not None]
        values = present[int(index) : int(index) + 1]
    return [value for value in values if isinstance(value, SSAValue)]
