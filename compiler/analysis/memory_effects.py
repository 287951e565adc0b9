"""Memory effects of torch's ops: operands that are written, and the effects of which `cse` and `dce` ask."""

from collections.abc import Iterator

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import SSAValue
from xdsl.traits import EffectInstance, MemoryEffectKind

from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.kernel import FusedOp
from steelyard.compiler.dialects.program import ENTRIES, DropOp
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


def memory_effects(op: TorchOp) -> set[EffectInstance] | None:
    """The effects of an op for `cse`, `dce` and `canonicalize`, by its schema and its work; None if unknown.

    An op reads its operands and writes those that it mutates. Random numbers write the generator's state, a
    collective what all ranks share. A result that is mutated later is an allocation: two equal ones are two
    tensors.
    """
    reader = OpInfoCache()
    work = reader.read(op).work
    if work is None:
        return None
    effects = {EffectInstance(MemoryEffectKind.WRITE, value) for value in written_values(op, reader)}
    if work.is_random or work.collective:
        effects.add(EffectInstance(MemoryEffectKind.WRITE))
    if not work.is_view:
        effects |= {EffectInstance(MemoryEffectKind.READ, value) for value in op.operands}
        mutated = (value for value in op.results if _is_mutated(value, reader))
        effects |= {EffectInstance(MemoryEffectKind.ALLOC, value) for value in mutated}
    return effects


def _is_mutated(value: SSAValue, reader: OpInfoCache) -> bool:
    """Whether a tensor, or a view of it, is written after it was made; in a callee or a caller it may be."""
    for user in {use.operation for use in value.uses}:
        if isinstance(user, DropOp | FusedOp):
            continue
        if isinstance(user, ReturnOp):
            function = user.parent_op()
            if not isinstance(function, FuncOp) or function.sym_name.data not in ENTRIES:
                return True
            continue
        if not isinstance(user, TorchOp) or value in written_values(user, reader):
            return True
        if any(_is_mutated(result, reader) for result in _aliases(user, value, reader)):
            return True
    return False


def _aliases(op: TorchOp, value: SSAValue, reader: OpInfoCache) -> Iterator[SSAValue]:
    """The results of an op that share the storage of an operand."""
    for result, operand in zip(op.results, reader.read(op).aliases, strict=True):
        if operand is not None and op.operands[operand] is value:
            yield result


def _values(arguments: dict[str, Argument], name: str) -> list[SSAValue]:
    # A rule may name one tensor of a list: "self[3]".
    base, _, index = name.removesuffix("]").partition("[")
    given = arguments.get(base)
    values = given if isinstance(given, list) else [given]
    if index:
        present = [value for value in values if value is not None]
        values = present[int(index) : int(index) + 1]
    return [value for value in values if isinstance(value, SSAValue)]
