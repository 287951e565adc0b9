"""Microbenchmarks as IR: the last op of a function is timed, on operands that lie as the function says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import cast

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.ir.text import parse_program
from steelyard.hw.base.errors import IRError
from steelyard.hw.base.kernel_work import DType, KernelWork
from steelyard.runtime.timing.random_operands import Runnable, make_runnable

Sizes = Mapping[str, int | str]
"""A value for each `${name}` of a template."""

_FOLDER = files("steelyard.runtime.microbenchmarks")
_SIZES = "// sizes:"


@dataclass(frozen=True, slots=True)
class Microbenchmark:
    """One op with the types and layouts of its operands.

    Views before the op say how an operand lies in memory, a kernel before it that the caches hold what that
    kernel wrote; function arguments come from memory.

    Attributes:
        name: The function and its sizes.
        op: What is timed.
        module: The program that the op is in.
    """

    name: str
    op: TorchOp
    module: ModuleOp

    def work(self) -> KernelWork:
        """Return the work of the op by its description.

        Raises:
            IRError: The work of the op is not known.
        """
        found = OpInfoCache().read(self.op).work
        if found is None:
            raise IRError(what=f"the work of {self.op.name} is not known", where=self.name)
        dtype = cast(DType, found.compute_dtype)
        return KernelWork(kind=found.kind, dtype=dtype, **found.cost.counts())

    def runnable(self) -> Runnable:
        """Return the op with random operands of its own, on the CPU."""
        return make_runnable(self.op, OpInfoCache(), "cpu")


def all_microbenchmarks() -> Iterator[Microbenchmark]:
    """Yield every function of every .mlir file beside this one, at each of the sizes that the file lists.

    Raises:
        IRError: A file cannot be read.
    """
    for path in sorted(_FOLDER.iterdir(), key=lambda path: path.name):
        if path.name.endswith(".mlir"):
            text = path.read_text(encoding="utf-8")
            for line in text.splitlines():
                if line.startswith(_SIZES):
                    pairs = (each.split("=", 1) for each in line.removeprefix(_SIZES).split())
                    yield from instantiate(path.name, text, dict(pairs))


def microbenchmark(file: str, function: str, sizes: Sizes) -> Microbenchmark:
    """Return one function of a file at sizes of the caller's.

    Raises:
        IRError: The file cannot be read, or has no such function.
    """
    text = (_FOLDER / file).read_text(encoding="utf-8")
    for found in instantiate(file, text, sizes):
        if found.name.split()[0] == function:
            return found
    raise IRError(what=f"there is no function {function!r}", where=file)


def instantiate(file: str, text: str, sizes: Sizes) -> Iterator[Microbenchmark]:
    """Yield the functions of a template at some sizes.

    Args:
        file: Its name, for errors.
        text: Functions, in which `${name}` stands for a size.
        sizes: By name.

    Raises:
        IRError: A size is missing, the text cannot be read, or a function has no op.
    """
    try:
        module = parse_program(Template(text).substitute(sizes), file)
    except KeyError as error:
        raise IRError(what=f"the size {error} is not given", where=file, why=f"given: {sizes}") from error
    shown = " ".join(f"{name}={value}" for name, value in sizes.items())
    for function in module.ops:
        assert isinstance(function, FuncOp)
        ops = [op for op in function.body.block.ops if isinstance(op, TorchOp)]
        if not ops:
            raise IRError(what=f"the function {function.sym_name.data} has no op to time", where=file)
        yield Microbenchmark(f"{function.sym_name.data} {shown}", ops[-1], module)
