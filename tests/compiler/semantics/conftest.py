"""Calls as torch makes them, for tests that ask whether the rules agree with it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.tensor_type import TensorType

DTYPES = {
    torch.float64: "f64", torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16",
    torch.int64: "i64", torch.int32: "i32", torch.int16: "i16", torch.int8: "i8", torch.uint8: "ui8",
    torch.bool: "i1", torch.complex64: "c64", torch.complex128: "c128",
}  # fmt: skip


def typed(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return TensorType(tuple(value.shape), DTYPES[value.dtype])
    if isinstance(value, list | tuple):
        return tuple(map(typed, value))
    return None


def holds_tensors(argument: Any) -> bool:
    return "Tensor" in str(argument.type)


def op_call(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> OpCall:
    operands, properties = [], {}
    for index, argument in enumerate(func._schema.arguments):
        given = args[index] if index < len(args) else kwargs.get(argument.name, argument.default_value)
        if holds_tensors(argument):
            operands.append((argument.name, typed(given)))
        else:
            properties[argument.name] = given
    results = out if isinstance(out, list | tuple) else (out,)
    name = str(func).removesuffix(".default")
    spread = tuple(typed(each) for each in results if isinstance(each, torch.Tensor))
    written = (each for each in func._schema.arguments if each.alias_info and each.alias_info.is_write)
    return OpCall(name, tuple(operands), properties, spread, frozenset(each.name for each in written))


class Recorder(TorchDispatchMode):
    """Keeps every call that reaches a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[OpCall] = []
        self.flops: list[tuple[OpCall, Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.namespace in ("aten", "semantics_test"):
            call = op_call(func, args, kwargs or {}, out)
            self.calls.append(call)
            self.flops.append((call, func, args, kwargs or {}, out))
        return out


@pytest.fixture
def record() -> Callable[[], Any]:
    @contextmanager
    def recording() -> Iterator[Recorder]:
        with Recorder() as recorder:
            yield recorder

    return recording
