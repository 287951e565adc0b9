# pyright: standard
"""Random operands for one op of a program, with its types and memory layout."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from xdsl.ir import OpResult, SSAValue

from steelyard.compiler.analysis.op_facts import OpInfoCache, tensor_type
from steelyard.compiler.analysis.op_signature import view_chain
from steelyard.compiler.analysis.producer_locality import just_written
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.compiler.emit.fx import torch_arguments, torch_operator
from steelyard.compiler.semantics.tensor_type import TensorType

TORCH_DTYPES = {
    "c128": torch.complex128,
    "c64": torch.complex64,
    "c32": torch.complex32,
    "f64": torch.float64,
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "f8": torch.float8_e4m3fn,
    "i64": torch.int64,
    "i32": torch.int32,
    "i16": torch.int16,
    "i8": torch.int8,
    "ui64": torch.uint64,
    "ui32": torch.uint32,
    "ui16": torch.uint16,
    "ui8": torch.uint8,
    "i1": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Runnable:
    """An op with its own operands.

    Attributes:
        run: Runs it and returns its results.
        restore: Restores the initial values of the operands that it writes.
        produced: The operands written by the previous kernel of the program.
    """

    run: Callable[[], object]
    restore: Callable[[], None]
    produced: tuple[torch.Tensor, ...] = ()


def make_runnable(op: TorchOp, reader: OpInfoCache, device: str) -> Runnable:
    """Return an op with fresh random operands.

    Numbers are between 0 and 1 and indices are in range, so that every op accepts them.

    Args:
        op: The op.
        reader: Cache of the ops' work.
        device: Torch's name of the operands' device.

    Raises:
        ExecutionError: The installed torch has no such op.
        IRError: A type cannot be read.
    """
    operator = torch_operator(op)
    limit = _index_limit(op, reader)
    values = {value: _operand(value, reader, limit, device) for value in op.operands}
    written = {parameter.name for parameter in op.schema.parameters if parameter.writes}
    targets = list[torch.Tensor]()
    for name, argument in op.arguments().items():
        for each in argument if isinstance(argument, list) else [argument]:
            tensor = values.get(each) if name in written and isinstance(each, SSAValue) else None
            if tensor is not None:
                targets.append(tensor)
    first = [target.clone() for target in targets]
    arguments, named = torch_arguments(op, values)

    def restore() -> None:
        for target, value in zip(targets, first, strict=True):
            target.copy_(value)

    written_before = (values[value] for value in just_written(op, reader))
    produced = tuple(tensor for tensor in written_before if tensor is not None)
    return Runnable(lambda: operator(*arguments, **named), restore, produced)


def _operand(value: SSAValue, reader: OpInfoCache, limit: int, device: str) -> torch.Tensor | None:
    chain = view_chain(value, reader)
    found = tensor_type(chain[0].op.operands[0].type if chain else value.type)
    if found is None:
        return None
    tensor = _random(found, limit, device)
    for view in chain:
        try:
            tensor = _viewed(view, tensor)
        except RuntimeError:  # the view asks for a layout that only its own kernel writes
            dense = tensor_type(view.type)
            assert dense is not None
            tensor = _random(dense, limit, device)
    return tensor


def _random(found: TensorType, limit: int, device: str) -> torch.Tensor:
    dtype = TORCH_DTYPES[found.dtype]
    if found.dtype == "i1":
        return torch.rand(found.shape, device=device) < 0.5
    if not (dtype.is_floating_point or dtype.is_complex):
        return torch.randint(0, min(limit, torch.iinfo(dtype).max), found.shape, dtype=dtype, device=device)
    if found.dtype in ("f8", "c32"):  # torch draws neither
        drawn = torch.complex64 if dtype.is_complex else torch.float32
        return torch.rand(found.shape, dtype=drawn, device=device).to(dtype)
    return torch.rand(found.shape, dtype=dtype, device=device)


def _viewed(view: OpResult, source: torch.Tensor) -> torch.Tensor:
    assert isinstance(view.op, TorchOp)
    arguments, named = torch_arguments(view.op, {view.op.operands[0]: source})
    result = torch_operator(view.op)(*arguments, **named)
    return result if isinstance(result, torch.Tensor) else result[view.index]


def _index_limit(op: TorchOp, reader: OpInfoCache) -> int:
    """Return the exclusive limit of integer operands: the shortest dim with data-dependent indices."""
    work = reader.read(op).work
    accesses = [access for space in work.spaces for access in (*space.reads, *space.writes)] if work else []
    chosen = [
        size
        for access in accesses
        for size, index in zip(access.type.shape, access.indices, strict=True)
        if index.gathered
    ]
    if chosen:
        return max(1, min(chosen))
    # No dim is shorter than this one, whichever is indexed.
    types = [tensor_type(value.type) for value in (*op.operands, *op.results)]
    return max(1, min((size for found in types if found for size in found.shape), default=1))
