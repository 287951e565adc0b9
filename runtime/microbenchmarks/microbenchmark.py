"""A microbenchmark: one timed operation and its work."""

# pyright: standard

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

from steelyard.compiler.semantics.call import OpCall, Operand
from steelyard.compiler.semantics.registry import work_of
from steelyard.compiler.semantics.tensor_type import TensorType
from steelyard.hw.base.kernel_work import DType, KernelWork
from steelyard.hw.devices.measured_rates import PeakDType

TORCH_DTYPES: dict[PeakDType, torch.dtype] = {
    "f64": torch.float64,
    "f32": torch.float32,
    "bf16": torch.bfloat16,
}
_ELEMENTS = {kind: name for name, kind in TORCH_DTYPES.items()} | {torch.int64: "i64", torch.bool: "i1"}
_ABSENT = TensorType((0,), "i1")


@dataclass(frozen=True, slots=True)
class Microbenchmark:
    """An ATen operation with operands like a real model's.

    Attributes:
        name: Display name.
        op: The operation.
        operands: Makes its arguments, by position.
        produced: Position of the argument that the operation before it in a model has just written, and that
            the caches still hold; the others come from long before.
        options: Its arguments by name.
    """

    name: str
    op: Any
    operands: Callable[[], tuple[Any, ...]]
    produced: int = 0
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


def work_of_probe(probe: Microbenchmark) -> KernelWork:
    """The work of a microbenchmark, by the rules of programs; it is run once.

    Raises:
        ValueError: there is no rule for the operation.
    """
    arguments = probe.operands()
    returned = probe.op(*arguments, **probe.options)
    results = tuple(returned) if isinstance(returned, tuple | list) else (returned,)
    call = _call(probe, arguments, results)
    work = work_of(call)
    if work is None:
        raise ValueError(f"the work of {probe.name} is not known")
    return KernelWork(
        kind=work.kind,
        dtype=cast(DType, work.compute_dtype),
        rows=work.rows,
        op=call.variant,
        **work.cost.counts(),
    )


def _call(probe: Microbenchmark, arguments: tuple[Any, ...], results: tuple[Any, ...]) -> OpCall:
    operands = list[tuple[str, Operand]]()
    properties = dict[str, Any]()
    for index, parameter in enumerate(probe.op._schema.arguments):
        given = probe.options.get(parameter.name, parameter.default_value)
        value = arguments[index] if index < len(arguments) else given
        if "Tensor" not in str(parameter.type):
            properties[parameter.name] = value
        elif isinstance(value, list):
            operands.append((parameter.name, tuple(_type(each) for each in value)))
        else:
            operands.append((parameter.name, _type(value)))
    name = probe.op.name().replace("::", ".")
    return OpCall(name, tuple(operands), properties, tuple(_type(each) or _ABSENT for each in results))


def _type(value: object) -> TensorType | None:
    return TensorType(tuple(value.shape), _ELEMENTS[value.dtype]) if isinstance(value, Tensor) else None
