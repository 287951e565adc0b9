"""Losses: a pointwise formula and a reduction, and their gradients."""

from dataclasses import replace

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Flops, IndexingMap, IterationSpace, Mean
from steelyard.compiler.semantics.ops.pointwise import elementwise, pointwise
from steelyard.compiler.semantics.registry import register, work
from steelyard.compiler.semantics.work import OpWork, Summand

# torch's numbers of the argument `reduction`.
_NONE, _MEAN, _SUM = 0, 1, 2

# Operations at each element, without the sum over all of them.
_LOSSES: dict[str, tuple[Flops, Flops]] = {
    "mse_loss": (Flops(pointwise=2), Flops(pointwise=3)),
    "l1_loss": (Flops(pointwise=2), Flops(pointwise=3)),
    "smooth_l1_loss": (Flops(pointwise=6), Flops(pointwise=6)),
    "huber_loss": (Flops(pointwise=6), Flops(pointwise=6)),
    "soft_margin_loss": (Flops(pointwise=3, transcendental=2), Flops(pointwise=5, transcendental=2)),
    "binary_cross_entropy": (
        Flops(pointwise=6, transcendental=2),
        Flops(pointwise=5, transcendental=1),
    ),
    "binary_cross_entropy_with_logits": (
        Flops(pointwise=6, transcendental=2),
        Flops(pointwise=4, transcendental=2),
    ),
    "kl_div": (Flops(pointwise=3, transcendental=1), Flops(pointwise=2)),
}


def _loss(call: OpCall, flops_per_iteration: Flops) -> OpWork:
    result = call.result()
    if result.type.shape == next(call.tensors).type.shape:
        return pointwise(call, flops_per_iteration)
    space = elementwise(tuple(call.tensors), (), flops_per_iteration + Flops(pointwise=1))
    space = replace(
        space,
        writes=(IndexingMap(result.name, result.type, ()),),
        reduction=frozenset(space.dims),
        mean=_mean(call, space),
    )
    return OpWork("reduction", (space,))


def _gradient(call: OpCall, flops_per_iteration: Flops) -> OpWork:
    """The gradient of each element, divided by their number if the loss is a mean."""
    work = pointwise(call, flops_per_iteration)
    space = replace(work.spaces[0], mean=_mean(call, work.spaces[0]))
    return replace(work, spaces=(space,), summands=(Summand(("grad_output",)),))


def _mean(call: OpCall, space: IterationSpace) -> Mean | None:
    return Mean(frozenset(space.dims)) if call.properties.get("reduction", _MEAN) == _MEAN else None


def _classes(value: Value) -> tuple[str, str, str]:
    """Return the terms of scores with and without their dim of classes, and of the scores picked."""
    names = [f"d{i}" for i in range(len(value.type.shape))]
    at = 1 if len(names) > 1 else 0
    kept = [*names[:at], *names[at:][1:]]
    return " ".join(names), " ".join(kept), " ".join([*names[:at], "?target", *names[at:][1:]])


@work("aten.nll_loss_forward", "aten.nll_loss2d_forward", "aten.nll_loss", "aten.nll_loss_nd")
def nll_loss(call: OpCall) -> OpWork:
    """The score of each target class is picked; the others are not read."""
    scores, target = call.arg("self"), call.arg("target")
    _, kept, picked = _classes(scores)
    weight = call.get("weight")
    weights = (elementwise((weight,), (), Flops(), prefix="class"),) if weight else ()
    reads, each = (scores, target), Flops(pointwise=2)
    if call.properties.get("reduction", _MEAN) == _NONE:
        take = iteration_space(f"{picked}, {kept} -> {kept}", reads, call.outputs[:1], each)
        rest = [elementwise((), (value,), Flops(), prefix=f"{value.name}_") for value in call.outputs[1:]]
        return OpWork("reduction", (take, *weights, *rest))
    terms = ", ".join("" for _ in call.outputs)
    take = iteration_space(f"{picked}, {kept} -> {terms}", reads, call.outputs, each)
    if call.properties.get("reduction", _MEAN) == _MEAN:
        # The divisor is the sum of the weights of the targets, which the second result is.
        is_known = len(call.outputs) > 1
        mean = Mean(take.reduction, "result1", (("reduction", _SUM),)) if is_known else None
        take = replace(take, mean=mean, combine="sum" if is_known else "opaque")
    return OpWork("reduction", (take, *weights))


@work("aten.nll_loss_backward", "aten.nll_loss2d_backward")
def nll_loss_backward(call: OpCall) -> OpWork:
    """Zeros, and one number for each target."""
    target, result = call.arg("target"), call.result()
    whole, kept, picked = _classes(result)
    zeros = iteration_space(f"-> {whole}", (), (result,))
    zeros = replace(zeros, shapes=(replace(zeros.writes[0], value="self"),))
    put = iteration_space(f"{kept} -> {picked}", (target,), (result,), Flops(pointwise=1))
    rest = [call.get(name) for name in ("grad_output", "weight", "total_weight")]
    reads = [elementwise((each,), (), Flops(), prefix=f"{each.name}_") for each in rest if each]
    return OpWork("scatter", (zeros, put, *reads))


def _declare(name: str, forward: Flops, backward: Flops) -> None:
    register(f"aten.{name}", lambda call: _loss(call, forward))
    register(f"aten.{name}_backward", lambda call: _gradient(call, backward))


for _name, _each in _LOSSES.items():
    _declare(_name, *_each)
