"""Distances between all pairs of vectors."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.fused import MAC, Step, fused
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import OpWork

_BY_NORM = {
    0.0: Flops(pointwise=3),
    1.0: Flops(pointwise=3),
    2.0: Flops(pointwise=3),
    float("inf"): Flops(pointwise=3),
}
"""A difference, its size or square, and the sum or maximum; other norms take a power."""
_POWER = Flops(pointwise=3, transcendental=1)
_ROOT = Flops(pointwise=1, transcendental=1)


@work("aten._euclidean_dist")
def euclidean(call: OpCall) -> OpWork:
    """By one product: |x - y|^2 of vectors that are lengthened by their squared length and a one."""
    left = call.arg("x1").type
    pairs = call.result().type.numel
    lengths = Step({"x": left.numel + call.arg("x2").type.numel}, Flops(pointwise=2))
    product = Step({"pair": pairs, "k": left.shape[-1] + 2}, MAC)
    return fused(call, "contraction", (lengths, product, Step({"pair": pairs}, _ROOT)))


@work("aten._cdist_forward", "aten._pdist_forward", "aten._cdist_backward", "aten._pdist_backward")
def distances(call: OpCall) -> OpWork:
    """A pass over each pair of vectors; the gradient takes two."""
    is_backward = "backward" in call.name
    pairs = call.arg("grad") if is_backward else call.result()
    vectors = call.get("x1") or call.arg("self")
    each = _BY_NORM.get(float(call.properties.get("p", 2.0)), _POWER)
    dims = {"pair": pairs.type.numel, "e": vectors.type.shape[-1], "times": 1 + is_backward}
    return fused(call, "reduction", (Step(dims, each), Step({"root": pairs.type.numel}, _ROOT)))
