"""The dialects of torch's operators: `aten`, `_c10d_functional` (collectives) and `torch` (all others)."""

from functools import cache

from xdsl.ir import Dialect, Operation

from steelyard.compiler.dialects.schema import schema_lines
from steelyard.compiler.dialects.torch_op import ExternOp, TorchOp


@cache
def op_class(name: str) -> type[TorchOp] | None:
    """The op class of an IR name such as `aten.mm`, or None where torch has no such operator."""
    if name not in schema_lines():
        return None
    return type("".join(part.title() for part in name.split(".")) + "Op", (TorchOp,), {"name": name})


@cache
def _operations(namespace: str) -> list[type[Operation]]:
    names = [name for name in schema_lines() if name.startswith(namespace + ".")]
    return [op for name in names if (op := op_class(name)) is not None]


def get_aten() -> Dialect:
    """One op per ATen overload."""
    return Dialect("aten", _operations("aten"))


def get_c10d() -> Dialect:
    """Torch's functional collectives."""
    return Dialect("_c10d_functional", _operations("_c10d_functional"))


def get_torch() -> Dialect:
    """Operators that no table names; each carries its schema."""
    return Dialect("torch", [ExternOp])
