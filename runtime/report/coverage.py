"""The ops of a program whose work no rule knows."""

from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp

from steelyard.compiler.analysis.op_facts import OpInfoCache, where
from steelyard.compiler.dialects.torch_op import TorchOp, operator_name


@dataclass(frozen=True, slots=True)
class UnknownOp:
    """An operator without a rule: how many ops call it, and the module and source line of the first."""

    name: str
    count: int
    where: str


def find_unknown(module: ModuleOp) -> list[UnknownOp]:
    """The operators of a program that no rule knows, in the order in which they are met."""
    reader = OpInfoCache()
    found: dict[str, list[TorchOp]] = {}
    for op in module.walk():
        if isinstance(op, TorchOp) and reader.read(op).work is None:
            found.setdefault(operator_name(op), []).append(op)
    return [UnknownOp(name, len(ops), where(ops[0])) for name, ops in found.items()]
