"""Functional collectives: what each rank reads and writes. How long that takes is a matter of links."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.iteration_space import Flops
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import register
from steelyard.compiler.semantics.work import OpWork

_KINDS = ("all_reduce", "all_gather_into_tensor", "reduce_scatter_tensor", "all_to_all_single", "broadcast")


def _collective(call: OpCall, kind: str) -> OpWork:
    """Each input is read and each result written once."""
    reads = [elementwise((each,), (), Flops(), prefix=f"from{i}_") for i, each in enumerate(call.tensors)]
    writes = [elementwise((), (each,), Flops(), prefix=f"to{i}_") for i, each in enumerate(call.outputs)]
    return OpWork("collective", (*reads, *writes), collective=kind)


def _declare(kind: str) -> None:
    for name in (kind, f"{kind}_coalesced"):  # several tensors as one message
        register(f"_c10d_functional.{name}", lambda call: _collective(call, kind))


for _kind in _KINDS:
    _declare(_kind)
