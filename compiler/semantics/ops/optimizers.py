"""Fused optimizers: one pass over the parameters, their gradients and their state."""

from collections.abc import Callable

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import register
from steelyard.compiler.semantics.work import OpWork


def _adam(call: OpCall) -> Flops:
    """M += (g - m)(1 - b1); v = v b2 + g g (1 - b2); p -= lr m / (sqrt(v) / c + eps), and weight decay."""
    decays = call.properties.get("weight_decay", 0) != 0
    decoupled = "adamw" in call.name
    decay = (1 if decoupled else 2) * decays
    return Flops(pointwise=3 + 4 + 3 + decay + bool(call.properties.get("amsgrad")), transcendental=3)


def _sgd(call: OpCall) -> Flops:
    """G += wd p; m = momentum m + (1 - dampening) g; with Nesterov g += momentum m; p -= lr g."""
    has = [call.properties.get(name, 0) != 0 for name in ("weight_decay", "momentum")]
    nesterov = has[1] and bool(call.properties.get("nesterov"))
    return Flops(pointwise=2 + 2 * has[0] + 3 * has[1] + 2 * nesterov)


def _adagrad(call: OpCall) -> Flops:
    """S += g g; p -= lr g / (sqrt(s) + eps), and weight decay."""
    return Flops(pointwise=5 + 2 * (call.properties.get("weight_decay", 0) != 0), transcendental=2)


def _declare(name: str, state: tuple[str, ...], per_element: Callable[[OpCall], Flops]) -> None:
    def rule(call: OpCall) -> OpWork:
        flops_per_iteration = per_element(call)
        lists = {name: call.list(name) for name in ("self", "grads", *state)}
        written = ["self", *(each for each in state if lists[each])]
        # Unscaled gradients are written back.
        written += ["grads"] if call.get("grad_scale") else []
        read = list(dict.fromkeys(["self", "grads", *written]))
        # SGD has no momentum to read in its first step.
        if call.properties.get("is_first_step"):
            read = [each for each in read if each not in state]
        spaces = tuple(
            elementwise(
                [lists[each][i] for each in read],
                [lists[each][i] for each in written],
                flops_per_iteration,
                prefix=f"p{i}_",
            )
            for i in range(len(lists["self"]))
        )
        return OpWork("optimizer", spaces, mutates=tuple(written), gradients="grads")

    register(f"aten.{name}", rule)


for _name in ("_fused_adam_", "_fused_adamw_"):
    _declare(_name, ("exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs"), _adam)
_declare("_fused_sgd_", ("momentum_buffer_list",), _sgd)
_declare("_fused_adagrad_", ("state_sums",), _adagrad)
