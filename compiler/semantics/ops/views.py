"""Views: results that are another look at an argument, so that nothing is computed or moved."""

from steelyard.compiler.semantics.call import OpCall
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import register, work
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.kernel_cost import KernelCost

_VIEWS = (
    "_conj _fw_primal _indices _make_dual _ncf_unsqueeze _ncf_view _neg_view _nested_get_values"
    " _nested_view_from_buffer _nested_view_from_jagged _reshape_alias _sparse_broadcast_to"
    " _test_autograd_multiple_dispatch_view _unpack_dual _unsafe_view _values adjoint alias as_strided"
    " broadcast_to ccol_indices chunk coalesce col_indices conj contiguous crow_indices detach"
    " diagonal dsplit expand expand_as flatten hsplit imag indices lift lift_fresh linalg_diagonal mH"
    " mT matrix_H moveaxis movedim narrow numpy_T permute pin_memory positive ravel real requires_grad"
    " reshape reshape_as resolve_conj resolve_neg row_indices select slice slice_inverse split"
    " split_with_sizes squeeze swapaxes swapdims t tensor_split transpose unbind unflatten unfold"
    " unsafe_split unsafe_split_with_sizes unsqueeze values view view_as view_as_complex view_as_real"
    " vsplit"
)
_CONVERSIONS = (
    "to cpu cuda as_tensor _autocast_to_full_precision _autocast_to_reduced_precision _grad_sum_to_size"
)


def view(call: OpCall) -> OpWork:
    """All results share the storage of the first tensor given."""
    source = next(call.tensors).name.partition("[")[0]
    return OpWork("view", aliases=tuple((index, source) for index in range(len(call.results))))


@work(*(f"aten.{name}" for name in _CONVERSIONS.split()))
def conversion(call: OpCall) -> OpWork:
    """A view if there is nothing to convert, else a copy."""
    source, target = next(call.tensors), call.result()
    if source.type == target.type:
        return view(call)
    if source.type.numel == target.type.numel:
        return OpWork("copy", (elementwise((source,), (target,), KernelCost()),))
    return OpWork(
        "reduction",
        (elementwise((source,), (), KernelCost(pointwise_flops=1)), elementwise((), (target,), KernelCost())),
    )


@work(
    "aten.empty",
    "aten.empty_like",
    "aten.new_empty",
    "aten.new_empty_strided",
    "aten.empty_strided",
    "aten.empty_permuted",
    "aten.resize",
)
def nothing(call: OpCall) -> OpWork:
    """Memory is taken at most, and not touched."""
    return OpWork("view")


for _name in _VIEWS.split():
    register(f"aten.{_name}", view)
register("_c10d_functional.wait_tensor", view)
