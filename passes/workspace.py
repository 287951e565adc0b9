"""What a kernel allocates for itself while it runs, by the library that provides it."""

from math import prod
from typing import cast

from xdsl.dialects.builtin import FixedBitwidthType, TensorType
from xdsl.ir import Operation, SSAValue

from steelyard.compiler.dialects.cost import WORK, WorkAttr
from steelyard.compiler.dialects.torch_op import TorchOp
from steelyard.hw.onednn import Convolution, backward_peak_bytes, forward_peak_bytes

_CONVOLUTIONS = ("convolution", "depthwise_convolution")


def onednn_workspace_bytes(op: Operation) -> int:
    """Bytes beside operands and results that an op takes on a CPU at its peak; 0 where none are known of.

    Reads the kind in `cost.work`.
    """
    work = op.attributes.get(WORK)
    if not isinstance(op, TorchOp) or not isinstance(work, WorkAttr) or work.data.kind not in _CONVOLUTIONS:
        return 0
    arguments = op.arguments()
    gradient, weight = arguments.get("grad_output"), arguments.get("weight")
    source = arguments.get("input")
    if not isinstance(source, SSAValue) or not isinstance(weight, SSAValue) or arguments.get("transposed"):
        return 0
    destination = gradient if isinstance(gradient, SSAValue) else op.results[0]
    sizes = _sizes(source, weight, destination, cast(int, arguments.get("groups", 1)))
    results = sum(
        prod(_shape(result)) * sizes.item_bytes
        for result in op.results
        if isinstance(result.type, TensorType)
    )
    if gradient is None:
        return max(0, forward_peak_bytes(sizes) - results)
    data, weights, _ = cast("list[bool]", arguments["output_mask"])
    return max(0, backward_peak_bytes(sizes, data, weights) - results)


def _sizes(source: SSAValue, weight: SSAValue, destination: SSAValue, groups: int) -> Convolution:
    batch, in_channels, *image = _shape(source)
    out_channels, _, *kernel = _shape(weight)
    element = cast("TensorType[FixedBitwidthType]", source.type).element_type
    return Convolution(
        in_channels=in_channels,
        out_channels=out_channels,
        groups=groups,
        source=batch * prod(image),
        destination=batch * prod(_shape(destination)[2:]),
        taps=prod(kernel),
        item_bytes=element.bitwidth // 8,
    )


def _shape(value: SSAValue) -> tuple[int, ...]:
    return cast("TensorType[FixedBitwidthType]", value.type).get_shape()
