"""Functional collectives: what each rank reads and writes. How long that takes is a matter of links."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.nest import Flops
from steelyard.compiler.semantics.pointwise import elementwise
from steelyard.compiler.semantics.registry import work
from steelyard.compiler.semantics.work import Work

_NAMES = "all_reduce all_gather_into_tensor reduce_scatter_tensor all_to_all_single broadcast"


@work(*(f"_c10d_functional.{name}" for name in _NAMES.split()))
def collective(call: OpCall) -> Work:
    """The input is read and the result written once."""
    take = elementwise(tuple(call.tensors), (), Flops(), prefix="from")
    put = elementwise((), call.outputs, Flops(), prefix="to")
    return Work("collective", (take, put))
