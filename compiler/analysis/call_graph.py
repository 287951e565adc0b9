"""Call graph of a program, with executions of each function per run."""

from collections import Counter
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import CallOp, FuncOp

from steelyard.compiler.dialects.program import entry_function
from steelyard.hw.base.errors import IRError


@dataclass(frozen=True, slots=True)
class CallGraph:
    """The functions that the program reaches.

    Attributes:
        entry: The function that is the program.
        functions: All by name, those called before those that call them; the entry is last.
        times: How often one run of the program runs each function.
    """

    entry: FuncOp
    functions: dict[str, FuncOp]
    times: Counter[str]


def call_graph(module: ModuleOp) -> CallGraph:
    """The call graph of a module.

    Raises:
        IRError: there is no entry, a call leads nowhere, or a function calls itself.
    """
    try:
        entry = entry_function(module)
    except ValueError as error:
        raise IRError(
            what="the module has no entry function", why=str(error), fix="name its function @step or @forward"
        ) from error
    defined = {op.sym_name.data: op for op in module.body.ops if isinstance(op, FuncOp)}
    order: dict[str, FuncOp] = {}
    _visit(entry.sym_name.data, defined, order, ())
    times = Counter({entry.sym_name.data: 1})
    for name, function in reversed(order.items()):
        for call in calls_of(function):
            times[callee_name(call)] += times[name]
    return CallGraph(entry, order, times)


def calls_of(function: FuncOp) -> list[CallOp]:
    """The calls in a function, in order."""
    return [op for op in function.body.block.ops if isinstance(op, CallOp)]


def callee_name(call: CallOp) -> str:
    """The name of the function that is called."""
    return call.callee.string_value()


def _visit(name: str, defined: dict[str, FuncOp], order: dict[str, FuncOp], callers: tuple[str, ...]) -> None:
    if name in order:
        return
    if name in callers:
        raise IRError(what=f"@{name} calls itself", where=" -> ".join((*callers, name)))
    if name not in defined or not defined[name].body.blocks:
        raise IRError(what=f"there is no function @{name}", where=f"a call in @{callers[-1]}")
    for call in calls_of(defined[name]):
        _visit(callee_name(call), defined, order, (*callers, name))
    order[name] = defined[name]
