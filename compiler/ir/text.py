"""Reading and writing programs as text."""

from io import StringIO
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, SSAValue
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import ParseError, VerifyException

from steelyard.compiler.ir.context import make_context
from steelyard.compiler.ir.gc_pause import without_collector
from steelyard.hw.base.errors import IRError


def parse_program(text: str, name: str = "<text>") -> ModuleOp:
    """Parse and verify a module.

    Raises:
        IRError: The text is not a valid program; the error names line and column.
    """
    try:
        with without_collector():
            module = Parser(make_context(), text, name).parse_module()
            module.verify()
            check_definitions(module, name)
    except ParseError as error:
        start = error.span.start
        line = text.count("\n", 0, start) + 1
        column = start - (text.rfind("\n", 0, start) + 1) + 1
        raise IRError(
            what="the IR cannot be read",
            where=f"{name}:{line}:{column}",
            why=error.msg,
            fix="repair that line, or write the file again with `steelyard annotate SPEC -o FILE`",
        ) from error
    except VerifyException as error:
        raise IRError(what="the IR is not valid", where=name, why=str(error)) from error
    except RecursionError as error:
        raise IRError(what="the IR cannot be read", where=name, why="it is nested too deeply") from error
    except (ValueError, KeyError) as error:  # xDSL lets a few of its own escape
        raise IRError(what="the IR cannot be read", where=name, why=str(error)) from error
    return module


def check_definitions(module: ModuleOp, name: str) -> None:
    """Check that ops use values only after their definition, which xDSL leaves to each op.

    Args:
        module: Of functions of one block each.
        name: The file, for the error.

    Raises:
        IRError: an op uses a value before it is defined.
    """
    defined = set[SSAValue]()
    for op in module.walk():
        for operand in op.operands:
            if operand not in defined:
                owner = "its block" if isinstance(operand.owner, Block) else operand.owner.name
                raise IRError(
                    what="the IR is not valid",
                    where=name,
                    why=f"{op.name} uses a value before {owner} defines it",
                )
        defined.update(op.results)
        defined.update(
            argument for region in op.regions for block in region.blocks for argument in block.args
        )


def read_program(path: Path) -> ModuleOp:
    """Read, parse and verify the module in a file; see `parse_program`.

    Raises:
        IRError: The file cannot be read, or is not a valid program.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise IRError(what="the file cannot be read", where=str(path), why=str(error)) from error
    return parse_program(text, str(path))


def format_program(module: ModuleOp, generic: bool = False) -> str:
    """The text of a module, in the generic form if asked (which Netron opens)."""
    stream = StringIO()
    Printer(stream, print_generic_format=generic).print_op(module)
    return stream.getvalue() + "\n"
