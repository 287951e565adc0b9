"""Ops that only move data: copies, concatenation, padding, and the filling of new tensors."""

from collections.abc import Sequence

from steelyard.compiler.semantics.call import OpCall, Value
from steelyard.compiler.semantics.equation import iteration_space
from steelyard.compiler.semantics.iteration_space import IterationSpace
from steelyard.compiler.semantics.ops.pointwise import elementwise
from steelyard.compiler.semantics.registry import register, work
from steelyard.compiler.semantics.work import OpWork
from steelyard.hw.base.kernel_cost import KernelCost

_FILLS = (
    "zeros ones full zeros_like ones_like full_like new_zeros new_ones new_full scalar_tensor arange linspace"
    " logspace eye tril_indices triu_indices zero _efficientzerotensor"
)
_SAME_PLACE = "clone _to_copy tril triu _conj_physical conj_physical alias_copy detach_copy"
_REARRANGED = (
    "roll flip constant_pad_nd slice_backward repeat expand_copy permute_copy transpose_copy"
    " slice_copy reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d"
    " replication_pad2d replication_pad3d repeat_interleave as_strided_copy unfold_copy _pad_circular"
    " im2col narrow_copy t_copy _reshape_copy squeeze_copy unsqueeze_copy"
    " as_strided_scatter unfold_backward channel_shuffle pixel_shuffle pixel_unshuffle"
    " native_channel_shuffle rot90"
)


def rearrange(source: Value, source_dims: Sequence[str], target: Value, target_dims: Sequence[str]) -> OpWork:
    """Return the work of moving all of a tensor; along the dims that both name it keeps its place."""
    moved = set(source_dims).symmetric_difference(target_dims)
    take = iteration_space(
        " ".join(source_dims) + " ->",
        (source,),
        (),
        reduction=[d for d in source_dims if d in moved],
        combine="other",
    )
    put = iteration_space(
        "-> " + " ".join(target_dims),
        (),
        (target,),
        reduction=[d for d in target_dims if d in moved],
        combine="other",
    )
    return OpWork("copy", (take, put))


def _dims(value: Value, prefix: str = "d") -> list[str]:
    return [f"{prefix}{i}" for i in range(len(value.type.shape))]


def _rearranged(call: OpCall) -> OpWork:
    """Dims of equal extent keep their place unless the op names them; of the others nothing is said."""
    source, target = next(call.tensors), call.result()
    source_dims, target_dims = _dims(source, "from"), _dims(target, "to")
    if len(source_dims) != len(target_dims):
        return rearrange(source, source_dims, target, target_dims)
    named = call.properties.get("dims", call.properties.get("dim")) or ()
    rank = len(source_dims)
    touched = {dim % rank for dim in ((named,) if isinstance(named, int) else named)}
    sizes = zip(source.type.shape, target.type.shape, strict=True)
    for i, (taken, put) in enumerate(sizes):
        if taken == put and i not in touched:
            source_dims[i] = target_dims[i] = f"d{i}"
    return rearrange(source, source_dims, target, target_dims)


def _same_place(call: OpCall) -> OpWork:
    return OpWork("copy", (elementwise((next(call.tensors),), (call.result(),), KernelCost()),))


def fill(call: OpCall) -> OpWork:
    """Every element of the results is written and nothing is read."""
    return OpWork("copy", tuple(elementwise((), (each,), KernelCost()) for each in call.outputs))


@work("aten.copy", "aten._copy_from")
def copy(call: OpCall) -> OpWork:
    """The second tensor, converted and broadcast, becomes the first."""
    source = tuple(call.tensors)[-1]
    return OpWork("copy", (elementwise((source,), (call.result(),), KernelCost()),))


@work("aten.fill")
def fill_with(call: OpCall) -> OpWork:
    """A value, perhaps in a tensor of one element, goes everywhere."""
    return OpWork("copy", (elementwise(tuple(call.tensors)[1:], (call.result(),), KernelCost()),))


@work("aten.select_backward")
def select_backward(call: OpCall) -> OpWork:
    """Zeros, with the gradient at one index."""
    source, target = call.arg("grad_output"), call.result()
    dims = _dims(target)
    kept = dims.copy()
    del kept[call.properties["dim"]]
    return rearrange(source, kept, target, dims)


@work("aten.cat", "aten.concat", "aten.stack", "aten.hstack", "aten.vstack")
def cat(call: OpCall) -> OpWork:
    """Tensors side by side along one dim."""
    target = call.result()
    dims = _dims(target)
    along = int(call.properties.get("dim", 0))
    spaces: list[IterationSpace] = [
        iteration_space("-> " + " ".join(dims), (), (target,), reduction=(dims[along],), combine="other")
    ]
    for index, each in enumerate(call.tensors):
        own = dims.copy()
        if len(each.type.shape) == len(own):
            own[along] = f"part{index}"
        else:
            # A stack has one dim more than its parts; torch lets an empty vector take part in any cat.
            own = own[:along] + own[along:][1:] if each.type.numel else [f"part{index}"]
        here = [dim for dim in own if dim.startswith("part")]
        spaces.append(iteration_space(" ".join(own) + " ->", (each,), (), reduction=here, combine="other"))
    return OpWork("copy", tuple(spaces))


@work("aten._local_scalar_dense", "aten.item")
def item(call: OpCall) -> OpWork:
    """One number goes to the host."""
    return OpWork("copy", (elementwise(tuple(call.tensors), (), KernelCost()),))


@work("aten.slice_scatter", "aten.select_scatter", "aten.diagonal_scatter")
def scatter_part(call: OpCall) -> OpWork:
    """A copy in which one part is another tensor."""
    base, part = call.arg("self"), call.arg("src")
    whole = elementwise((base,), (call.result(),), KernelCost())
    return OpWork("copy", (whole, elementwise((part,), (), KernelCost(), prefix="part")))


for _name in _FILLS.split():
    register(f"aten.{_name}", fill)
for _name in _SAME_PLACE.split():
    register(f"aten.{_name}", _same_place)
for _name in _REARRANGED.split():
    register(f"aten.{_name}", _rearranged)
