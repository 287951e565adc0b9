"""Losses: a pointwise formula and a reduction, and their gradients."""

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.ops.pointwise import elementwise, pointwise
from steelyard.compiler.semantics.registry import register, work
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.kernel_cost import KernelCost

# Operations at each element, without the sum over all of them.
_LOSSES: dict[str, tuple[KernelCost[int], KernelCost[int]]] = {
    "mse_loss": (KernelCost(pointwise_flops=2), KernelCost(pointwise_flops=3)),
    "l1_loss": (KernelCost(pointwise_flops=2), KernelCost(pointwise_flops=3)),
    "smooth_l1_loss": (KernelCost(pointwise_flops=6), KernelCost(pointwise_flops=6)),
    "huber_loss": (KernelCost(pointwise_flops=6), KernelCost(pointwise_flops=6)),
    "soft_margin_loss": (
        KernelCost(pointwise_flops=3, transcendental_flops=2),
        KernelCost(pointwise_flops=5, transcendental_flops=2),
    ),
    "binary_cross_entropy": (
        KernelCost(pointwise_flops=6, transcendental_flops=2),
        KernelCost(pointwise_flops=5, transcendental_flops=1),
    ),
    "binary_cross_entropy_with_logits": (
        KernelCost(pointwise_flops=6, transcendental_flops=2),
        KernelCost(pointwise_flops=4, transcendental_flops=2),
    ),
    "kl_div": (KernelCost(pointwise_flops=3, transcendental_flops=1), KernelCost(pointwise_flops=2)),
}


def _loss(call: OpCall, flops_per_iteration: KernelCost[int]) -> OpWork:
    result = call.result()
    if result.type.shape == next(call.tensors).type.shape:
        return pointwise(call, flops_per_iteration)
    return OpWork(
        "reduction",
        (
            elementwise(tuple(call.tensors), (), flops_per_iteration + KernelCost(pointwise_flops=1)),
            elementwise((), (result,), KernelCost(), prefix="loss"),
        ),
    )


def _classes(value: Value) -> tuple[str, str, str]:
    """Return the terms of scores with and without their dim of classes, and of the scores picked."""
    names = [f"d{i}" for i in range(len(value.type.shape))]
    at = 1 if len(names) > 1 else 0
    kept = [*names[:at], *names[at:][1:]]
    return " ".join(names), " ".join(kept), " ".join([*names[:at], "?", *names[at:][1:]])


@work("aten.nll_loss_forward", "aten.nll_loss2d_forward", "aten.nll_loss", "aten.nll_loss_nd")
def nll_loss(call: OpCall) -> OpWork:
    """The score of each target class is picked; the others are not read."""
    scores, target = call.arg("self"), call.arg("target")
    _, kept, picked = _classes(scores)
    take = iteration_space(f"{picked}, {kept} ->", (scores, target), (None,), KernelCost(pointwise_flops=2))
    put = [elementwise((), (each,), KernelCost(), prefix=f"{each.name}_") for each in call.outputs]
    weight = call.get("weight")
    weights = (elementwise((weight,), (), KernelCost(), prefix="class"),) if weight else ()
    return OpWork("reduction", (take, *weights, *put))


@work("aten.nll_loss_backward", "aten.nll_loss2d_backward")
def nll_loss_backward(call: OpCall) -> OpWork:
    """Zeros, and one number for each target."""
    target, result = call.arg("target"), call.result()
    whole, kept, picked = _classes(result)
    zeros = iteration_space(f"-> {whole}", (), (result,))
    put = iteration_space(f"{kept} -> {picked}", (target,), (result,), KernelCost(pointwise_flops=1))
    rest = [call.get(name) for name in ("grad_output", "weight", "total_weight")]
    reads = [elementwise((each,), (), KernelCost(), prefix=f"{each.name}_") for each in rest if each]
    return OpWork("scatter", (zeros, put, *reads))


def _declare(name: str, forward: KernelCost[int], backward: KernelCost[int]) -> None:
    register(f"aten.{name}", lambda call: _loss(call, forward))
    register(f"aten.{name}_backward", lambda call: pointwise(call, backward))


for _name, _each in _LOSSES.items():
    _declare(_name, *_each)
