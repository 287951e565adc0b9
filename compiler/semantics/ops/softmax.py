"""Softmax and its relatives along one dim."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.registry import register
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.kernel_cost import KernelCost

# Of each element: softmax takes the maximum, subtracts it, sums exp and divides; its gradient is
# y * (g - sum(g * y)). log_softmax subtracts log(sum) instead; its gradient is g - exp(y) * sum(g).
SOFTMAX = KernelCost(pointwise_flops=3, transcendental_flops=2)
SOFTMAX_BACKWARD = KernelCost(pointwise_flops=4)
_FLOPS = {
    "_softmax": SOFTMAX,
    "_safe_softmax": SOFTMAX,
    "softmax": SOFTMAX,
    "_log_softmax": KernelCost(pointwise_flops=4, transcendental_flops=1),
    "log_softmax": KernelCost(pointwise_flops=4, transcendental_flops=1),
    "_softmax_backward_data": SOFTMAX_BACKWARD,
    "_log_softmax_backward_data": KernelCost(pointwise_flops=3, transcendental_flops=1),
}


def _declare(name: str, flops_per_iteration: KernelCost[int]) -> None:
    def rule(call: OpCall) -> OpWork:
        values = tuple(call.tensors)
        dims = [f"d{i}" for i in range(len(values[0].type.shape))]
        equation = f"{', '.join([' '.join(dims)] * len(values))} -> {' '.join(dims)}"
        along = (dims[int(call.properties["dim"])],) if dims else ()
        space = iteration_space(
            equation, values, (call.result(),), flops_per_iteration, reduction=along, combine="other"
        )
        return OpWork("softmax", (space,))

    register(f"aten.{name}", rule)


for _name, _flops in _FLOPS.items():
    _declare(_name, _flops)
