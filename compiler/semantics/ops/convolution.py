"""Convolutions of any rank, grouped, transposed, and their gradients."""

from dataclasses import dataclass

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.windows import window_terms
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import ExtentArgument, OpWork, Summand
from steelyard.hw.base.kernel_work import WorkKind

MAC = Flops(contraction=2)
MATRIX_UNIT_DEPTH = 8
"""Channels that a matrix unit takes at once, at least: k of the PTX instruction mma.m16n8k8."""


_GROUPS = (ExtentArgument("groups", (("g",),)),)


@dataclass(frozen=True, slots=True)
class _Space:
    """The iteration space of a convolution and the terms of its three tensors.

    A transposed convolution is the same space with the window at the output.
    """

    small: str
    weight: str
    large: str
    sizes: dict[str, int]
    kind: WorkKind


def _space(call: OpCall, spatial: tuple[int, ...], batched: bool) -> _Space:
    """Return the space; `spatial` are the extents of the tensor over which windows do not slide."""
    weight, groups = call.arg("weight"), call.properties["groups"]
    outer, inner, *kernel = weight.type.shape
    places = [f"o{i}" for i in range(len(kernel))]
    taps = [f"k{i}" for i in range(len(kernel))]
    windows = window_terms(call, places, taps)
    batch = ["n"] if batched else []
    sizes = {"g": groups, "a": outer // groups, "c": inner}
    sizes |= dict(zip(taps, kernel, strict=True)) | dict(zip(places, spatial, strict=True))
    is_thin = groups > 1 and inner < MATRIX_UNIT_DEPTH
    return _Space(
        small=" ".join([*batch, "g*a", *places]),
        weight=" ".join(["g*a", "c", *taps]),
        large=" ".join([*batch, "g*c", *windows]),
        sizes=sizes,
        kind="depthwise_convolution" if is_thin else "convolution",
    )


@work(
    "aten.convolution",
    "aten._convolution",
    "aten.convolution_overrideable",
    "aten.cudnn_convolution",
    "aten.mkldnn_convolution",
    "aten.miopen_convolution",
)
def convolution(call: OpCall) -> OpWork:
    """Every output element is a sum over the channels of its group and the taps of the kernel."""
    source = call.get("input") or call.arg("self")
    weight, bias, out = call.arg("weight"), call.get("bias"), call.result()
    transposed = call.properties.get("transposed", False)
    rank = len(weight.type.shape) - 2
    placed = source if transposed else out
    batched = len(placed.type.shape) == rank + 2
    space = _space(call, placed.type.shape[-rank:], batched)
    terms = (space.small, space.large) if transposed else (space.large, space.small)
    product = iteration_space(
        f"{terms[0]}, {space.weight} -> {terms[1]}", (source, weight), (out,), MAC, sizes=space.sizes
    )
    factors = Summand((source.name, "weight"))
    if bias is None:
        return OpWork(space.kind, (product,), summands=(factors,), extents=_GROUPS)
    channels, whole, sizes = _channels(out, "g*c" if transposed else "g*a", space.sizes)
    added = iteration_space(f"{channels} -> {whole}", (bias,), (None,), Flops(pointwise=1), sizes=sizes)
    summands = (factors, Summand(("bias",)))
    return OpWork(space.kind, (product, added), summands=summands, extents=_GROUPS)


@work("aten.convolution_backward", "aten.convolution_backward_overrideable")
def convolution_backward(call: OpCall) -> OpWork:
    """The gradients that `output_mask` asks for: each of the first two costs as much as the forward pass."""
    grad, source, weight = call.arg("grad_output"), call.arg("input"), call.arg("weight")
    transposed = call.properties["transposed"]
    rank = len(weight.type.shape) - 2
    placed = source if transposed else grad
    batched = len(placed.type.shape) == rank + 2
    space = _space(call, placed.type.shape[-rank:], batched)
    out_term, in_term = (space.large, space.small) if transposed else (space.small, space.large)
    grad_input, grad_weight, grad_bias = call.masked_outputs()
    spaces = [
        iteration_space(equation, reads, (result,), MAC, sizes=space.sizes)
        for equation, reads, result in (
            (f"{out_term}, {space.weight} -> {in_term}", (grad, weight), grad_input),
            (f"{out_term}, {in_term} -> {space.weight}", (grad, source), grad_weight),
        )
        if result
    ]
    if grad_bias:
        channels, whole, sizes = _channels(grad, "g*c" if transposed else "g*a", space.sizes)
        equation = f"{whole} -> {channels}"
        spaces.append(iteration_space(equation, (grad,), (grad_bias,), Flops(pointwise=1), sizes=sizes))
    channels = ("g", "c") if transposed else ("g", "a")
    extents = (*_GROUPS, ExtentArgument("bias_sizes", (channels,)))
    return OpWork(space.kind, tuple(spaces), extents=extents)


def _channels(out: Value, channels: str, sizes: dict[str, int]) -> tuple[str, str, dict[str, int]]:
    """Return the terms of a bias and of the output it is added to, and the extents of their dims."""
    rank = sum(dim.startswith("k") for dim in sizes)
    *batch, _ = out.type.shape[:-rank]
    named = {f"x{i}": size for i, size in enumerate(out.type.shape[-rank:])}
    if batch:
        named["n"] = batch[0]
    whole = " ".join([*("n" for _ in batch), channels, *(f"x{i}" for i in range(rank))])
    return channels, whole, named | {dim: sizes[dim] for dim in channels.split("*")}
