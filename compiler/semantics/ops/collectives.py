"""Functional collectives: what each rank reads and writes. How long that takes is a matter of links."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.kernel_cost import KernelCost

_NAMES = (
    "all_reduce all_reduce_coalesced all_gather_into_tensor reduce_scatter_tensor all_to_all_single broadcast"
)


@work(*(f"_c10d_functional.{name}" for name in _NAMES.split()))
def collective(call: OpCall) -> OpWork:
    """Each input is read and each result written once."""
    reads = [
        elementwise((each,), (), KernelCost(), prefix=f"from{i}_") for i, each in enumerate(call.tensors)
    ]
    writes = [elementwise((), (each,), KernelCost(), prefix=f"to{i}_") for i, each in enumerate(call.outputs)]
    return OpWork("collective", (*reads, *writes))
