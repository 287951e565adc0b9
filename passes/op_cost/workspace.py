"""Workspace of kernels: bytes that one allocates for itself while it runs, by the library it is from."""

from dataclasses import replace
from functools import partial
from math import prod
from typing import cast

from xdsl.dialects.builtin import FixedBitwidthType, TensorType
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.analysis.liveness import Workspace, no_workspace
from steelyard.compiler.analysis.op_facts import OpInfoCache, to_call
from steelyard.compiler.dialects.cost import WORK, WorkAttr
from steelyard.compiler.dialects.program import CHANNELS_LAST
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.hw.devices.device import Device
from steelyard.hw.scratch.onednn_convolution import Convolution, backward_peak_bytes, forward_peak_bytes
from steelyard.hw.scratch.onednn_matmul import matmul_scratch_bytes
from steelyard.passes.op_cost.cudnn_workspace import CudnnWorkspace

_CONVOLUTIONS = ("convolution", "depthwise_convolution")


def workspace_of(device: Device, threads: int | None = None) -> Workspace:
    """The workspace of the kernels of a device; where nothing is known of it, none.

    Args:
        device: The device.
        threads: Threads of a CPU; by default the most it was calibrated with, or its cores.
    """
    if device.kind != "cpu":
        return CudnnWorkspace(device) if device.compute_capability else no_workspace
    most = max((entry.threads or 0 for entry in device.sustained), default=0)
    return partial(onednn_workspace_bytes, threads=threads or most or round(device.compute_units.value))


def onednn_workspace_bytes(op: Operation, threads: int = 1) -> int:
    """Bytes beside operands and results that an op takes on a CPU at its peak; 0 where none are known of.

    Reads the kind in `cost.work`.

    Args:
        op: Any op.
        threads: Threads of the CPU, some of which need scratch of their own.
    """
    work = op.attributes.get(WORK)
    if not isinstance(op, TorchOp) or not isinstance(work, WorkAttr):
        return 0
    if work.data.kind == "contraction" and work.data.dtype == "bf16":
        return _product_bytes(op, threads)
    return _convolution_bytes(op, threads) if work.data.kind in _CONVOLUTIONS else 0


def _product_bytes(op: TorchOp, threads: int) -> int:
    """Scratch of a product of two matrices, (rows, depth) by (depth, columns); 0 of others."""
    reader = OpInfoCache()
    work = reader.read(op).work
    spaces = work.spaces if work else ()
    product = next((each for each in spaces if each.flops_per_iteration.contraction), None)
    if product is None or [len(each.indices) for each in product.reads] != [2, 2]:
        return 0
    left, right = product.reads
    if left.indices[1] != right.indices[0]:
        return 0
    values = dict(zip((each.name for each in to_call(op).tensors), op.operands, strict=True))
    (rows, depth), columns = left.type.shape, right.type.shape[1]
    transposed = _is_transposed(values[left.value], reader)
    return matmul_scratch_bytes(rows, depth, columns, threads, transposed=transposed)


def _is_transposed(value: SSAValue, reader: OpInfoCache) -> bool:
    """Whether a matrix is a view of one whose rows are its columns."""
    work = reader.read(value.owner).work if isinstance(value.owner, TorchOp) else None
    if work is None or not work.is_view or len(work.spaces) != 1:
        return False
    source, result = work.spaces[0].reads[0], work.spaces[0].writes[0]
    return len(source.indices) == 2 and source.indices == result.indices[::-1]


def _convolution_bytes(op: TorchOp, threads: int) -> int:
    arguments = op.arguments()
    gradient, weight = arguments.get("grad_output"), arguments.get("weight")
    source = arguments.get("input")
    if not isinstance(source, SSAValue) or not isinstance(weight, SSAValue) or arguments.get("transposed"):
        return 0
    destination = gradient if isinstance(gradient, SSAValue) else op.results[0]
    stride = cast("list[int]", arguments["stride"])
    sizes = replace(
        _sizes(source, weight, destination, cast(int, arguments["groups"]), max(stride), threads),
        channels_last=CHANNELS_LAST in op.attributes,
    )
    results = sum(
        prod(_shape(result)) * sizes.item_bytes
        for result in op.results
        if isinstance(result.type, TensorType)
    )
    if gradient is None:
        return max(0, forward_peak_bytes(sizes) - results)
    data, weights, _ = cast("list[bool]", arguments["output_mask"])
    return max(0, backward_peak_bytes(sizes, data, weights) - results)


def _sizes(
    source: SSAValue, weight: SSAValue, destination: SSAValue, groups: int, stride: int, threads: int
) -> Convolution:
    batch, in_channels, *image = _shape(source)
    out_channels, _, *window = _shape(weight)
    element = cast("TensorType[FixedBitwidthType]", source.type).element_type
    return Convolution(
        batch=batch,
        in_channels=in_channels,
        out_channels=out_channels,
        groups=groups,
        image=tuple(image),
        result=_shape(destination)[2:],
        window=tuple(window),
        stride=stride,
        item_bytes=element.bitwidth // 8,
        threads=threads,
    )


def _shape(value: SSAValue) -> tuple[int, ...]:
    return cast("TensorType[FixedBitwidthType]", value.type).get_shape()
