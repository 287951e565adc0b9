"""Workspace of kernels: bytes that one allocates for itself while it runs, by the library it is from."""

from dataclasses import dataclass, replace
from math import prod
from typing import cast

from xdsl.dialects.builtin import FixedBitwidthType, TensorType
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.analysis.liveness import Workspace, no_workspace
from steelyard.compiler.analysis.op_facts import OpInfoCache, to_call
from steelyard.compiler.dialects.cost import WORK, WorkAttr
from steelyard.compiler.dialects.program import CHANNELS_LAST
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.hw.base.instruction_set import InstructionSet
from steelyard.hw.devices.device import Device
from steelyard.hw.scratch.convolution import Convolution
from steelyard.hw.scratch.cpu_convolution import backward_peak_bytes, forward_peak_bytes
from steelyard.hw.scratch.onednn_lstm import Lstm
from steelyard.hw.scratch.onednn_matmul import matmul_scratch_bytes
from steelyard.hw.scratch.scratch_bytes import NO_SCRATCH, ScratchBytes, scratch_of_kernels
from steelyard.passes.op_cost.cudnn_workspace import CudnnWorkspace

_CONVOLUTIONS = ("convolution", "depthwise_convolution")
_F32_BYTES = 4
_GRADIENT = "grad_output"
_HIDDEN_STATE = "hx_"
"""The operand of a recurrent layer of oneDNN; cuDNN's is named otherwise."""


def workspace_of(device: Device, threads: int | None = None) -> Workspace:
    """The workspace of the kernels of a device; where nothing is known of it, none.

    Args:
        device: The device.
        threads: Threads of a CPU; by default the most it was calibrated with, or its cores.
    """
    if device.kind != "cpu":
        return CudnnWorkspace(device) if device.compute_capability else no_workspace
    most = max((entry.threads or 0 for entry in device.sustained), default=0)
    return CpuWorkspace(device.instruction_set, threads or most or round(device.compute_units.value))


@dataclass(frozen=True, slots=True)
class CpuWorkspace:
    """Bytes beside operands and results that an op takes on a CPU at its peak; 0 where none are known of.

    Reads the kind in `cost.work`.

    Attributes:
        instruction_set: Of the CPU; None where it is not known.
        threads: Threads of the CPU, some of which need scratch of their own.
        is_least: Whether ops whose scratch is an interval take the least of it, in contrast to the most.
    """

    instruction_set: InstructionSet | None
    threads: int
    is_least: bool = False

    def __call__(self, op: Operation) -> int:
        """The bytes of an op; where its instruction set was not measured, the most of those that were."""
        found = self.scratch(op)
        return found.low if self.is_least else found.value

    def scratch(self, op: Operation) -> ScratchBytes:
        """The bytes of an op and their interval."""
        work = op.attributes.get(WORK)
        if not isinstance(op, TorchOp) or not isinstance(work, WorkAttr):
            return NO_SCRATCH
        if isinstance(op.arguments().get(_HIDDEN_STATE), SSAValue):
            return _recurrent(op)
        if work.data.kind == "contraction" and work.data.dtype == "bf16":
            return self._product(op)
        return self._convolution(op) if work.data.kind in _CONVOLUTIONS else NO_SCRATCH

    def _product(self, op: TorchOp) -> ScratchBytes:
        """Scratch of a product of two matrices, (rows, depth) by (depth, columns); none of others."""
        reader = OpInfoCache()
        work = reader.read(op).work
        spaces = work.spaces if work else ()
        product = next((each for each in spaces if each.flops_per_iteration.contraction), None)
        if product is None or [len(each.indices) for each in product.reads] != [2, 2]:
            return NO_SCRATCH
        left, right = product.reads
        if left.indices[1] != right.indices[0]:
            return NO_SCRATCH
        values = dict(zip((each.name for each in to_call(op).tensors), op.operands, strict=True))
        (rows, depth), columns = left.type.shape, right.type.shape[1]
        transposed = _is_transposed(values[left.value], reader)

        def bytes_of(instruction_set: InstructionSet) -> int:
            if instruction_set == "avx2":
                return 0
            return matmul_scratch_bytes(rows, depth, columns, self.threads, transposed=transposed)

        return scratch_of_kernels(self.instruction_set, is_half=True, bytes_of=bytes_of)

    def _convolution(self, op: TorchOp) -> ScratchBytes:
        arguments = op.arguments()
        gradient, weight = arguments.get(_GRADIENT), arguments.get("weight")
        source = arguments.get("input")
        if not isinstance(source, SSAValue) or not isinstance(weight, SSAValue):
            return NO_SCRATCH
        destination = gradient if isinstance(gradient, SSAValue) else op.results[0]
        plain = _sizes(op, source, weight, destination, self.threads)
        is_copied = isinstance(gradient, SSAValue) and _is_broadcast(gradient, OpInfoCache())
        copied = prod(_shape(destination)) * plain.item_bytes if is_copied else 0
        tensors = [result for result in op.results if isinstance(result.type, TensorType)]
        results = sum(prod(_shape(result)) * plain.item_bytes for result in tensors)

        def bytes_of(instruction_set: InstructionSet) -> int:
            sizes = replace(plain, instruction_set=instruction_set)
            if gradient is None:
                return max(0, forward_peak_bytes(sizes) - results)
            data, weights, _ = cast("list[bool]", arguments["output_mask"])
            return copied + max(0, backward_peak_bytes(sizes, data, weights) - results)

        return scratch_of_kernels(self.instruction_set, is_half=plain.is_half, bytes_of=bytes_of)


def _recurrent(op: TorchOp) -> ScratchBytes:
    """Scratch of a layer of an LSTM, which oneDNN does in f32."""
    arguments = op.arguments()
    time, batch, inputs = _shape(cast(SSAValue, arguments["input"]))
    sizes = Lstm(time, batch, inputs, _shape(cast(SSAValue, arguments[_HIDDEN_STATE]))[-1])
    if _GRADIENT in arguments:
        scratch = sizes.backward_scratch_bytes
        for name in (_GRADIENT, "grad_hy", "grad_cy"):  # where there is none, zeros are made
            value = arguments.get(name) or arguments[_HIDDEN_STATE]
            is_made = arguments.get(name) is None or _is_broadcast(cast(SSAValue, value), OpInfoCache())
            scratch += prod(_shape(cast(SSAValue, value))) * _F32_BYTES * is_made
    else:
        is_training = prod(_shape(op.results[-1])) > 0
        scratch = sizes.forward_scratch_bytes if is_training else sizes.inference_scratch_bytes
    return ScratchBytes(scratch, scratch, scratch)


def _is_transposed(value: SSAValue, reader: OpInfoCache) -> bool:
    """Whether a matrix is a view of one whose rows are its columns."""
    work = reader.read(value.owner).work if isinstance(value.owner, TorchOp) else None
    if work is None or not work.is_view or len(work.spaces) != 1:
        return False
    source, result = work.spaces[0].reads[0], work.spaces[0].writes[0]
    return len(source.indices) == 2 and source.indices == result.indices[::-1]


def _is_broadcast(value: SSAValue, reader: OpInfoCache) -> bool:
    """Whether a value is a view of fewer elements than it has, which a library does not read as it is."""
    while isinstance(value.owner, TorchOp):
        work = reader.read(value.owner).work
        if work is None or not work.is_view or not value.owner.operands:
            return False
        source = value.owner.operands[0]
        if prod(_shape(source)) < prod(_shape(value)):
            return True
        value = source
    return False


def _sizes(
    op: TorchOp, source: SSAValue, weight: SSAValue, destination: SSAValue, threads: int
) -> Convolution:
    """The sizes of a convolution; a transposed one makes the source of the convolution that it undoes."""
    arguments = op.arguments()
    transposed = cast(bool, arguments["transposed"])
    if transposed:
        source, destination = destination, source
    batch, in_channels, *image = _shape(source)
    window = _shape(weight)[2:]
    stride, padding, dilation = (
        tuple((cast("list[int]", arguments[name]) * len(window))[: len(window)])
        for name in ("stride", "padding", "dilation")
    )
    output_mask = cast("list[bool] | None", arguments.get("output_mask"))
    element = cast("TensorType[FixedBitwidthType]", source.type).element_type
    return Convolution(
        batch=batch,
        in_channels=in_channels,
        out_channels=_shape(destination)[1],
        groups=cast(int, arguments["groups"]),
        image=tuple(image),
        result=_shape(destination)[2:],
        window=window,
        stride=stride,
        padding=padding,
        dilation=dilation,
        item_bytes=element.bitwidth // 8,
        threads=threads,
        instruction_set="avx2",
        channels_last=CHANNELS_LAST in op.attributes,
        transposed=transposed,
        has_bias=bool(output_mask[2]) if output_mask else isinstance(arguments.get("bias"), SSAValue),
    )


def _shape(value: SSAValue) -> tuple[int, ...]:
    return cast("TensorType[FixedBitwidthType]", value.type).get_shape()
