"""The `program` dialect: what makes a module of functions a training step or an inference.

A training program has one `@step`, an inference program `@forward`. Their arguments carry
`program.role` (parameter, buffer, input, target, optimizer_state) and `program.path`; the ops carry
`phase`, `path` (of the module they belong to, relative to the call inside outlined functions) and `source`.
The module says in `program.assumptions` what the capture took for granted, sentences for the user.
"""

from collections.abc import Set
from typing import Self, cast

from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Dialect, Operation, SSAValue
from xdsl.irdl import AnyAttr, IRDLOperation, irdl_op_definition, operand_def, traits_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import EffectInstance, MemoryEffect, MemoryEffectKind
from xdsl.transforms.dead_code_elimination import would_be_trivially_dead

ROLE, PATH = "program.role", "program.path"
PHASE, OP_PATH, SOURCE = "phase", "path", "source"
CHANNELS_LAST = "channels_last"
RESULTS = "program.results"
ASSUMPTIONS = "program.assumptions"
ENTRIES = ("step", "forward")


class EndsReference(MemoryEffect):
    """The effect of a drop: the tensor may be freed here, unless the drop says nothing any more.

    It says nothing where the value is used later (two equal ops have become one), and where nothing uses the
    value and its op could be removed.
    """

    @classmethod
    def get_effects(cls, op: Operation) -> Set[EffectInstance]:
        """Return the end of the reference, or nothing."""
        assert isinstance(op, DropOp)
        users = [use.operation for use in op.value.uses if use.operation is not op]
        is_last = all(user.is_before_in_block(op) for user in users)
        if not is_last or _is_dead(op.value, _DEPTH):
            return set()
        return {EffectInstance(MemoryEffectKind.FREE, op.value)}


_DEPTH = 8
"""Ops one behind the other that are looked at to find that a value is of no use."""


def _is_dead(value: SSAValue, depth: int) -> bool:
    """Whether an op that could be removed makes a value, and only such ops, themselves of no use, read it."""
    owner = value.owner
    return isinstance(owner, Operation) and would_be_trivially_dead(owner) and _are_dead(owner, depth)


def _are_dead(op: Operation, depth: int) -> bool:
    users = {use.operation for result in op.results for use in result.uses}
    return all(
        isinstance(user, DropOp)
        or (depth > 0 and would_be_trivially_dead(user) and bool(user.results) and _are_dead(user, depth - 1))
        for user in users
    )


@irdl_op_definition
class DropOp(IRDLOperation):
    """`program.drop %x : tensor<4xf32>`: the program's last reference to a value ends here.

    It computes nothing. Eager PyTorch keeps a tensor as long as a Python variable names it, which can be
    longer than its last use; capture records that, so that liveness by last use is the real one.
    """

    name = "program.drop"
    value = operand_def(AnyAttr())
    traits = traits_def(EndsReference())

    def __init__(self, value: SSAValue):
        super().__init__(operands=[value])

    def print(self, printer: Printer) -> None:
        """Prints the value and its type."""
        printer.print_string(" ")
        printer.print_ssa_value(self.value)
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        printer.print_attribute(self.value.type)

    @classmethod
    def parse(cls, parser: Parser) -> Self:
        """Reads the value and its type."""
        operand = parser.parse_unresolved_operand()
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        op = cls(parser.resolve_operand(operand, parser.parse_type()))
        op.attributes.update(attributes)
        return op


def entry_function(module: ModuleOp) -> FuncOp:
    """The function that is the program: `@step` or `@forward`.

    Raises:
        ValueError: there is none.
    """
    functions = {op.sym_name.data: op for op in module.body.ops if isinstance(op, FuncOp)}
    for name in ENTRIES:
        if name in functions:
            return functions[name]
    raise ValueError(f"the module has no @step and no @forward, only {sorted(functions) or 'no function'}")


def text_attribute(op: Operation, name: str) -> str:
    """A string attribute of an op such as its `phase` or `path`, or "" where it has none."""
    attribute = op.attributes.get(name)
    return attribute.data if isinstance(attribute, StringAttr) else ""


def assumptions(module: ModuleOp) -> tuple[str, ...]:
    """Assumptions of the capture of a program, in sentences."""
    found = module.attributes.get(ASSUMPTIONS)
    if not isinstance(found, ArrayAttr):
        return ()
    texts = cast("ArrayAttr[Attribute]", found)
    return tuple(text.data for text in texts if isinstance(text, StringAttr))


def argument_texts(function: FuncOp, name: str) -> list[str]:
    """`program.role` or `program.path` of every argument, "" where there is none."""
    if function.arg_attrs is None:
        return [""] * len(function.body.block.args)
    found = (entry.data.get(name) for entry in function.arg_attrs)
    return [text.data if isinstance(text, StringAttr) else "" for text in found]


def get_program() -> Dialect:
    """The dialect of program structure."""
    return Dialect("program", [DropOp])
