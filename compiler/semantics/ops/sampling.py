"""Sampling of images at the points of a grid, and affine grids."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.fused import Step, fused
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import OpWork

_TAPS = {(0, 2): 4, (1, 2): 1, (2, 2): 16, (0, 3): 8, (1, 3): 1}
"""Elements of the image by mode (linear, nearest, cubic) and dims of the grid; each is scaled and added."""


@work("aten.grid_sampler_2d", "aten.grid_sampler_3d", "aten.grid_sampler")
def sample(call: OpCall) -> OpWork:
    """For each point of the grid the weighted sum of the elements around it, in each channel."""
    return fused(call, "gather", (_taps(call, call.result().type.numel, times=1),))


@work("aten.grid_sampler_2d_backward", "aten.grid_sampler_3d_backward")
def sample_backward(call: OpCall) -> OpWork:
    """The gradients of the elements and of the weights, each with as many operations as the sum."""
    wanted = sum(map(bool, call.properties["output_mask"]))
    return fused(call, "scatter", (_taps(call, call.arg("grad_output").type.numel, times=wanted),))


def _taps(call: OpCall, points: int, times: int) -> Step:
    spatial = call.arg("grid").type.shape[-1]
    taps = _TAPS[int(call.properties["interpolation_mode"]), spatial]
    return Step({"point": points, "tap": taps, "times": times}, Flops(pointwise=2))


@work("aten.affine_grid_generator", "aten.affine_grid_generator_backward")
def affine_grid(call: OpCall) -> OpWork:
    """The product of each place, in homogeneous coordinates, with the matrix of its image."""
    grid = max((*call.tensors, *call.outputs), key=lambda each: each.type.numel)
    spatial = grid.type.shape[-1]
    return fused(call, "pointwise", (Step({"out": grid.type.numel, "k": spatial + 1}, Flops(pointwise=2)),))
