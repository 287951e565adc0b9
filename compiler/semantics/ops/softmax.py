"""Softmax and its relatives along one dim."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import Combiner, Flops
from steelyard.compiler.semantics.registry import register
from steelyard.compiler.semantics.work import OpWork

# Of each element: softmax takes the maximum, subtracts it, sums exp and divides; its gradient is
# y * (g - sum(g * y)). log_softmax subtracts log(sum) instead; its gradient is g - exp(y) * sum(g).
SOFTMAX = Flops(pointwise=3, transcendental=2)
SOFTMAX_BACKWARD = Flops(pointwise=4)
_RULES: dict[str, tuple[Flops, Combiner]] = {
    "_softmax": (SOFTMAX, "online_softmax"),
    "_safe_softmax": (SOFTMAX, "online_softmax"),
    "softmax": (SOFTMAX, "online_softmax"),
    "_log_softmax": (Flops(pointwise=4, transcendental=1), "online_softmax"),
    "log_softmax": (Flops(pointwise=4, transcendental=1), "online_softmax"),
    "_softmax_backward_data": (SOFTMAX_BACKWARD, "sum"),
    "_log_softmax_backward_data": (Flops(pointwise=3, transcendental=1), "sum"),
}


def _declare(name: str, flops_per_iteration: Flops, combine: Combiner) -> None:
    def rule(call: OpCall) -> OpWork:
        values = tuple(call.tensors)
        dims = [f"d{i}" for i in range(len(values[0].type.shape))]
        equation = f"{', '.join([' '.join(dims)] * len(values))} -> {' '.join(dims)}"
        along = (dims[int(call.properties["dim"])],) if dims else ()
        space = iteration_space(
            equation, values, (call.result(),), flops_per_iteration, reduction=along, combine=combine
        )
        return OpWork("softmax", (space,))

    register(f"aten.{name}", rule)


for _name, _each in _RULES.items():
    _declare(_name, *_each)
