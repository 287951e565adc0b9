"""Scaled dot product attention as the kernel that torch takes on a device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from xdsl.dialects.builtin import IntegerType, NoneType, Signedness, TensorType, f32, i64
from xdsl.ir import Attribute, Block, Operation, SSAValue

from steelyard.compiler.analysis.op_facts import where
from steelyard.compiler.dialects.program import DropOp
from steelyard.compiler.dialects.torch_op import Argument, TorchOp
from steelyard.compiler.pass_infra.build_op import call_like
from steelyard.compiler.pass_infra.remarks import Remark, emit
from steelyard.hw.devices.device import Device

CPU = "aten._scaled_dot_product_flash_attention_for_cpu"
FLASH = "aten._scaled_dot_product_flash_attention"
EFFICIENT = "aten._scaled_dot_product_efficient_attention"

_HALF = ("f16", "bf16")
_FLASH_LARGEST_HEAD = 256
_ROW_BLOCK = 32
"""The memory-efficient kernel writes its logarithms of sums for whole blocks of rows."""
_SHARED = ("dropout_p", "is_causal", "scale")
_TENSORS = ("query", "key", "value")
_SCALAR = TensorType(i64, [])
_UNSIGNED = IntegerType(64, Signedness.UNSIGNED)


@dataclass(frozen=True, slots=True)
class _Attention:
    """A forward kernel, and the kernels of its gradient, which read the logarithms of its sums."""

    forward: TorchOp
    backward: tuple[TorchOp, ...]

    @property
    def mask(self) -> Argument:
        given = self.forward.arguments()
        return given.get("attn_mask") or given.get("attn_bias")


def retarget_attention(block: Block, device: Device) -> None:
    """Give each attention of a block the kernel that torch takes on a device.

    The rules are those of `aten/src/ATen/native/transformers/cuda/sdp_utils.cpp`: flash needs half precision,
    compute capability 8.0, heads of at most 256 and no mask; the memory-efficient kernel, which is asked
    next, needs as many heads of keys as of queries; both need rows of whole 16 bytes. Where none of them
    can, torch composes attention from products; the op then stays, with a remark.
    """
    for op in list(block.ops):
        if isinstance(op, TorchOp) and op.name in (CPU, FLASH, EFFICIENT):
            _retarget(op, device)


def _retarget(forward: TorchOp, device: Device) -> None:
    readers = [use.operation for use in forward.results[1].uses if not isinstance(use.operation, DropOp)]
    backward = [op for op in readers if isinstance(op, TorchOp) and op.name == f"{forward.name}_backward"]
    attention = _Attention(forward, tuple(backward))
    name = CPU if device.kind == "cpu" else _cuda_kernel(attention, device)
    if name == forward.name:
        return
    if name is None or len(backward) < len(readers):
        why = (
            "its gradient is in another function, run inline before"
            if name
            else f"no fused kernel takes it on {device.name}"
        )
        emit(Remark("retarget", "missed", forward.name, where(forward), f"attention stays as it is: {why}"))
        return
    results = call_like(forward, name, _forward_arguments(name, attention), _result_types(name, attention))
    for op in backward:
        types = [each.type for each in op.results[:3]]
        extra: list[Attribute] = [NoneType()] if name == EFFICIENT else []
        gradients = call_like(
            op, f"{name}_backward", _backward_arguments(name, attention, op, results), [*types, *extra]
        )
        _replace(op, gradients)
    _replace(forward, results)


def _cuda_kernel(attention: _Attention, device: Device) -> str | None:
    query, key, value = (_type(each) for each in attention.forward.operands[:3])
    heads, width, element = query.get_shape()[-3], query.get_shape()[-1], str(query.element_type)
    is_aligned = width % (8 if element in _HALF else 4) == 0
    capability = float(device.compute_capability or 0)
    same_width = value.get_shape()[-1] == width
    fits_flash = element in _HALF and width <= _FLASH_LARGEST_HEAD and same_width and capability >= 8
    if not is_aligned or element not in (*_HALF, "f32"):
        return None
    if fits_flash and attention.mask is None:
        return FLASH
    return EFFICIENT if key.get_shape()[-3] == heads else None


def _forward_arguments(name: str, attention: _Attention) -> Mapping[str, Argument]:
    given = attention.forward.arguments()
    arguments: dict[str, Argument] = {key: given[key] for key in (*_TENSORS, *_SHARED) if key in given}
    if name == EFFICIENT:
        return arguments | {"attn_bias": attention.mask, "compute_log_sumexp": bool(attention.backward)}
    return arguments | ({"attn_mask": attention.mask} if name == CPU and attention.mask else {})


def _result_types(name: str, attention: _Attention) -> Sequence[Attribute]:
    """As torch's own kernels allocate them (torch/_meta_registrations.py, 2.13)."""
    query = _type(attention.forward.operands[0])
    *outer, rows, _ = query.get_shape()
    output = attention.forward.results[0].type
    if name == EFFICIENT:
        rows = -(-rows // _ROW_BLOCK) * _ROW_BLOCK if attention.backward else 0
        return [output, TensorType(f32, [*outer, rows]), _SCALAR, _SCALAR]
    sums = TensorType(f32, [*outer, rows])
    if name == CPU:
        return [output, sums]
    random = TensorType(_UNSIGNED, [2]), TensorType(_UNSIGNED, [])
    return [output, sums, *[NoneType()] * 4, *random, TensorType(query.element_type, [0])]


def _backward_arguments(
    name: str, attention: _Attention, op: TorchOp, results: Sequence[SSAValue]
) -> Mapping[str, Argument]:
    given = op.arguments()
    gradient = given.get("grad_out") or given["grad_out_"]
    arguments: dict[str, Argument] = {
        key: given[key] for key in (*_TENSORS, *_SHARED, "out") if key in given
    } | {"logsumexp": results[1]}
    if name == EFFICIENT:
        rest = {"philox_seed": results[2], "philox_offset": results[3], "attn_bias": attention.mask}
        return {**arguments, **rest, "grad_out_": gradient, "grad_input_mask": [True, True, True, False]}
    if name == CPU:
        mask = {"attn_mask": attention.mask} if attention.mask else {}
        return {**arguments, **mask, "grad_out": gradient}
    query, key = (_type(each).get_shape()[-2] for each in attention.forward.operands[:2])
    lengths = {"cum_seq_q": results[2], "cum_seq_k": results[3], "max_q": query, "max_k": key}
    random = {"philox_seed": results[6], "philox_offset": results[7]}
    return {**arguments, **lengths, **random, "grad_out": gradient}


def _type(value: SSAValue) -> TensorType[Attribute]:
    return cast("TensorType[Attribute]", value.type)


def _replace(op: Operation, results: Sequence[SSAValue]) -> None:
    for old, new in zip(op.results, results, strict=False):
        old.replace_all_uses_with(new)
    for old in op.results[len(results) :]:
        for use in list(old.uses):
            assert isinstance(use.operation, DropOp), "nothing reads the state of random numbers"
            use.operation.detach()
            use.operation.erase()
    op.detach()
    op.erase()
