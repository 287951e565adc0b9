"""Pooling over windows, its gradients, and resampling."""

from collections.abc import Sequence
from math import ceil

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Combiner, Flops
from steelyard.compiler.semantics.ops.windows import per_dim, window_terms
from steelyard.compiler.semantics.registry import register
from steelyard.compiler.semantics.work import ExtentArgument, OpWork

_ONE = Flops(pointwise=1)
# Taps of an interpolation: a multiplication and an addition each.
_TAPS = {"nearest": 0, "nearest_exact": 0, "linear": 2, "bilinear": 4, "trilinear": 8, "bicubic": 16}


def _terms(call: OpCall, rank: int, spatial: int, strides: Sequence[int] = ()) -> tuple[str, str, list[str]]:
    """Return the terms of a tensor of windows and of their results, and the names of the taps."""
    outer = [f"d{i}" for i in range(rank - spatial)]
    places = [f"o{i}" for i in range(spatial)]
    taps = [f"k{i}" for i in range(spatial)]
    windows = window_terms(call, places, taps, strides)
    return " ".join([*outer, *windows]), " ".join([*outer, *places]), taps


def _kernel(call: OpCall, large: Value, small: Value, spatial: int) -> Sequence[int]:
    """Return the extents of a window; an adaptive one shares out the input."""
    if given := call.properties.get("kernel_size"):
        return per_dim(given, spatial, ())
    extents = zip(large.type.shape[-spatial:], small.type.shape[-spatial:], strict=True)
    return [ceil(whole / part) for whole, part in extents]


def _strides(call: OpCall, large: Value, small: Value, spatial: int) -> Sequence[int]:
    """Return the strides where the call gives none: windows lie side by side, adaptive ones evenly."""
    if call.properties.get("kernel_size"):
        return _kernel(call, large, small, spatial)
    extents = zip(large.type.shape[-spatial:], small.type.shape[-spatial:], strict=True)
    return [max(whole // part, 1) for whole, part in extents]


def _pool(call: OpCall, spatial: int, is_max: bool) -> OpWork:
    source, result = call.arg("self"), call.result()
    strides = _strides(call, source, result, spatial)
    windows, places, taps = _terms(call, len(source.type.shape), spatial, strides)
    shapes = zip(windows.split(), source.type.shape, result.type.shape, strict=True)
    # An adaptive pool may make an image larger; then no affine index gives the windows.
    windows = " ".join("?" if whole < part else term for term, whole, part in shapes)
    sizes = dict(zip(taps, _kernel(call, source, result, spatial), strict=True))
    equation = f"{windows} -> {', '.join([places] * len(call.results))}"
    # The place of a maximum counts from the beginning of the whole image.
    combine: Combiner = ("argmax" if len(call.results) > 1 else "max") if is_max else "sum"
    positional = places.split()[-spatial:] if len(call.results) > 1 else ()
    space = iteration_space(
        equation, (source,), call.outputs, _ONE, sizes=sizes, combine=combine, positional=positional
    )
    extents = (ExtentArgument("output_size", tuple((f"o{i}",) for i in range(spatial))),)
    return OpWork("reduction", (space,), extents=extents)


def _average_backward(call: OpCall, spatial: int) -> OpWork:
    """Every element of a window gets its part of the gradient."""
    grad, target = call.arg("grad_output"), call.result()
    strides = _strides(call, target, grad, spatial)
    windows, places, taps = _terms(call, len(target.type.shape), spatial, strides)
    sizes = dict(zip(taps, _kernel(call, target, grad, spatial), strict=True))
    return OpWork(
        "reduction", (iteration_space(f"{places} -> {windows}", (grad,), (target,), _ONE, sizes=sizes),)
    )


def _max_backward(call: OpCall, spatial: int) -> OpWork:
    """Zeros, to which each gradient is added at the place of its maximum."""
    grad, indices, target = call.arg("grad_output"), call.arg("indices"), call.result()
    rank = len(target.type.shape)
    _, places, _ = _terms(call, rank, spatial)
    outer = " ".join(f"d{i}" for i in range(rank - spatial))
    whole = " ".join([outer, *(f"x{i}" for i in range(spatial))])
    gathered = " ".join([outer, *["?indices"] * spatial])
    zeros = iteration_space(f"-> {whole}", (), (target,))
    added = iteration_space(f"{places}, {places} -> {gathered}", (grad, indices), (target,), _ONE)
    return OpWork("scatter", (zeros, added))


def _resample(call: OpCall, spatial: int, taps: int, backward: bool) -> OpWork:
    source, target = next(call.tensors), call.result()
    rank = len(target.type.shape)
    outer = " ".join(f"d{i}" for i in range(rank - spatial))
    placed = " ".join([outer, *(f"o{i}" for i in range(spatial))])
    gathered = " ".join([outer, *["?"] * spatial])
    flops_per_iteration = Flops(pointwise=2 * taps or int(backward))
    equation = f"{placed} -> {gathered}" if backward else f"{gathered} -> {placed}"
    return OpWork(
        "scatter" if backward else "gather",
        (iteration_space(equation, (source,), (target,), flops_per_iteration),),
    )


def _declare(spatial: int) -> None:
    rank = f"{spatial}d"
    for name in (f"max_pool{rank}_with_indices", f"max_pool{rank}", f"adaptive_max_pool{rank}"):
        register(f"aten.{name}", lambda call: _pool(call, spatial, is_max=True))
        register(f"aten.{name}_backward", lambda call: _max_backward(call, spatial))
    for name in (f"avg_pool{rank}", f"_adaptive_avg_pool{rank}", f"adaptive_avg_pool{rank}"):
        register(f"aten.{name}", lambda call: _pool(call, spatial, is_max=False))
        register(f"aten.{name}_backward", lambda call: _average_backward(call, spatial))


def _declare_resampling(mode: str, spatial: int, taps: int) -> None:
    op = f"upsample_{mode}{spatial}d"
    for name in (op, f"_{op}", f"_{op}_aa"):
        register(f"aten.{name}", lambda call: _resample(call, spatial, taps, backward=False))
        register(f"aten.{name}_backward", lambda call: _resample(call, spatial, taps, backward=True))


for _spatial in (1, 2, 3):
    _declare(_spatial)
    for _mode in ("nearest", "nearest_exact"):
        _declare_resampling(_mode, _spatial, _TAPS[_mode])
for _mode, _spatial in (("linear", 1), ("bilinear", 2), ("bicubic", 2), ("trilinear", 3)):
    _declare_resampling(_mode, _spatial, _TAPS[_mode])
