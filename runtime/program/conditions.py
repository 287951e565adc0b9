"""Conditions of a program, as its IR has them: inputs, dtypes, dropout, execution; parameters that train."""

from collections.abc import Iterator
from math import prod
from typing import TypeAlias, cast

from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute

from steelyard.compiler.analysis.op_facts import OpInfoCache
from steelyard.compiler.dialects.program import (
    PATH,
    PHASE,
    ROLE,
    argument_texts,
    entry_function,
    text_attribute,
)
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.passes.annotate.target import read_target

Tensor: TypeAlias = "TensorType[Attribute]"


def conditions(module: ModuleOp) -> tuple[str, ...]:
    """Return what the figures of a program hold for, whether the user chose it or it is a default."""
    entry = entry_function(module)
    inputs = ", ".join(f"{path} {shape_of(kind)}" for path, kind in _arguments(entry, "input", "target"))
    dtypes = sorted({str(kind.element_type) for _, kind in _arguments(entry, "parameter")})
    target = read_target(module)
    told = [f"inputs {inputs}" * bool(inputs), f"parameters in {', '.join(dtypes)}" * bool(dtypes)]
    if entry.sym_name.data == "step":
        told.append("with dropout" if _draws(module) else "without dropout")
    if target:
        told.append(f"{target.context} on {target.device}")
    return tuple(each for each in told if each)


def shape_of(kind: Tensor) -> str:
    """Return the extents and the element type of a tensor, as in `8x128xf32`."""
    return "x".join([*map(str, kind.get_shape()), str(kind.element_type)])


def count_trained(entry: FuncOp) -> int | None:
    """Return the elements of the parameters that an optimizer reads; None where the program has none."""
    if not any(text_attribute(op, PHASE) == "optimizer" for op in entry.body.block.ops):
        return None
    roles = argument_texts(entry, ROLE)
    return sum(
        prod(value.type.get_shape())
        for role, value in zip(roles, entry.body.block.args, strict=True)
        if role == "parameter"
        and isinstance(value.type, TensorType)
        and any(text_attribute(use.operation, PHASE) == "optimizer" for use in value.uses)
    )


def _arguments(entry: FuncOp, *wanted: str) -> Iterator[tuple[str, Tensor]]:
    roles, paths = argument_texts(entry, ROLE), argument_texts(entry, PATH)
    for role, path, kind in zip(roles, paths, entry.function_type.inputs, strict=True):
        if role in wanted and isinstance(kind, TensorType):
            yield path, cast(Tensor, kind)


def _draws(module: ModuleOp) -> bool:
    """Whether an op draws random numbers, as dropout does."""
    facts = OpInfoCache()
    works = (facts.read(op).work for op in module.walk() if isinstance(op, TorchOp))
    return any(work and work.is_random for work in works)
